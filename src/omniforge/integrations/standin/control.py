"""The control side of a local server: faults, tokens, what arrived, and deliveries on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from omniforge.integrations.standin.deliveries import send, signed_delivery
from omniforge.integrations.standin.reading import read_json
from omniforge.integrations.standin.rules import Service
from omniforge.integrations.standin.signin import LOOPBACK
from omniforge.integrations.standin.state import Fault, FaultKind, Hook, Json, StandinState

FAULT_FIELDS = {"times": int, "path": str, "method": str, "seconds": float, "body": str}


async def recorded(request: Request) -> Response:
    """Every API request that arrived, oldest first, and how often a refresh token was used."""
    state: StandinState = request.app.state.standin
    told = [asdict(entry) for entry in state.requests]
    return JSONResponse({"requests": told, "refreshes": state.refreshes})


async def change(request: Request) -> Response:
    """`{faults?: [{kind, times, path, method, seconds, body}], tokens?, token_seconds?, hooks?, reset?}`.

    `tokens` is `expire` (access tokens end, refresh tokens go on) or `revoke` (all end). `hooks` are
    `{url, secret}` on this computer, told of everything that happens from now on; they replace earlier ones.
    """
    state: StandinState = request.app.state.standin
    body = await read_json(request) or {}
    try:
        added = [_fault(given) for given in body.get("faults", [])]
        hooks = [Hook(_here(given["url"]), str(given["secret"])) for given in body.get("hooks", [])]
    except (KeyError, TypeError, ValueError) as error:
        return JSONResponse(
            {"error": f"not understood: {error}", "known": [kind.value for kind in FaultKind]}, 422
        )
    if body.get("reset") is True:
        state.faults.clear()
        state.requests.clear()
    state.faults += added
    if "hooks" in body:
        state.hooks = hooks
    if "token_seconds" in body:
        state.token_seconds = int(body["token_seconds"]) if body["token_seconds"] else None
    match body.get("tokens"):
        case "expire":
            state.expire_access()
        case "revoke":
            state.revoke_all()
        case _:
            pass
    return JSONResponse({"faults": [asdict(fault) for fault in state.faults if fault.times > 0]})


def _fault(given: Json) -> Fault:
    chosen: Json = {name: make(given[name]) for name, make in FAULT_FIELDS.items() if name in given}
    return Fault(FaultKind(given["kind"]), **chosen)


def _here(url: Any) -> str:
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or parts.hostname not in LOOPBACK:
        raise ValueError(f"url {url!r} is not an address of this computer")
    return str(url)


async def deliver(service: Service[Any], request: Request) -> Response:
    """`{url, secret, payload | event and what it is about, headers?, age_seconds?, times?}`: one webhook.

    `payload` goes as it is; `{event, …}` is made into the service's own body. `age_seconds` dates it back,
    `times` sends the same bytes again. Answers `{answers: [{status, body}], headers, payload}`.
    """
    state: StandinState = request.app.state.standin
    given = await read_json(request) or {}
    if service.webhook is None:
        return JSONResponse({"error": f"{service.title} sends no webhooks."}, 422)
    try:
        url, secret = _here(given["url"]), str(given["secret"])
        age, times = float(given.get("age_seconds", 0)), int(given.get("times", 1))
        payload, headers = _made(service, state, given)
    except (KeyError, TypeError, ValueError) as error:
        return JSONResponse({"error": f"not understood: {error!r}"}, 422)
    headers |= {str(name): str(value) for name, value in dict(given.get("headers", {})).items()}
    delivery = signed_delivery(
        service.webhook, secret, payload, state.now() - timedelta(seconds=age), headers
    )
    answers = [await send(delivery, url) for _ in range(max(min(times, 100), 1))]
    told = [{"status": status, "body": body} for status, body in answers]
    return JSONResponse({"answers": told, "headers": dict(delivery.headers), "payload": payload})


def _made(service: Service[Any], state: StandinState, given: Json) -> tuple[Json, dict[str, str]]:
    if "payload" in given:
        return cast("Json", given["payload"]), {}
    if service.delivery is None:
        raise ValueError(f"{service.title} needs a payload")
    about = {name: value for name, value in given.items() if name not in ("url", "secret", "headers")}
    payload, headers = service.delivery(state, about)
    return payload, dict(headers)


async def tell(service: Service[Any], state: StandinState, events: Sequence[Json]) -> None:
    """Deliver what happened to every address that wants to know."""
    if service.webhook is None or service.delivery is None:
        return
    for event in events:
        payload, headers = service.delivery(state, event)
        for hook in state.hooks:
            await send(signed_delivery(service.webhook, hook.secret, payload, state.now(), headers), hook.url)
