"""The web application: every slice's routes, the one error handler, limits on what comes in."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from omniforge.agents import endpoints as agents
from omniforge.agents import hook_endpoints as hooks
from omniforge.agents import ledger_endpoints as ledger
from omniforge.agents import version_endpoints as versions
from omniforge.api import event_socket, events, metrics, operation, start_page
from omniforge.api.answers import answer
from omniforge.api.feed import Feed
from omniforge.api.hearing import Hearing
from omniforge.api.once import OnceOnly
from omniforge.board import endpoints as board
from omniforge.bootstrap import Installation
from omniforge.builder import endpoints as builder
from omniforge.core import plainjson
from omniforge.core.errors import Invalid, OmniForgeError, PayloadTooLarge, RateLimited
from omniforge.core.shapes import dotted, mistakes
from omniforge.integrations import endpoints as integrations
from omniforge.runs import endpoints as runs
from omniforge.skills import endpoints as skills
from omniforge.skills.intake import endpoints as intake
from omniforge.skills.library import endpoints as library
from omniforge.tenants import endpoints as tenants
from omniforge.tenants import member_endpoints as members

log = logging.getLogger(__name__)

ROUTERS = (
    start_page.router,
    metrics.router,
    operation.router,
    events.router,
    event_socket.router,
    tenants.router,
    members.router,
    tenants.pages,
    skills.router,
    intake.router,
    library.router,
    integrations.router,
    integrations.pages,
    runs.router,
    agents.router,
    ledger.router,
    versions.router,
    hooks.router,
    hooks.deliveries,
    builder.router,
    *board.ROUTERS,
)
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]


def create_app(house: Installation) -> FastAPI:
    """The application of an installation that is open; whoever opened it closes it."""
    app = FastAPI(title="OmniForge", docs_url=None, redoc_url=None)
    house.attach(app.state)
    app.state.feed = Feed(house.engine.events, Hearing(house.agents.executions.audience))
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/health", health, tags=["operation"], dependencies=[tenants.KnownSource])
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unexpected_error)
    app.add_middleware(OnceOnly, tenants=house.tenants)
    app.add_middleware(Intake, limit=house.settings.max_body_bytes)
    return app


async def health() -> dict[str, str]:
    """Answers as soon as the installation is open: database migrated, unfinished runs taken up."""
    return {"status": "ok"}


async def omniforge_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OmniForgeError)  # noqa: S101 - what this handler is registered for
    headers = {"Retry-After": f"{error.retry_after:.0f}"} if isinstance(error, RateLimited) else None
    if error.status >= 500:
        log.warning("%s: %s %s", error.code, error.message, error.details)
    return answer(error.status, error.code, error.message, error.details, headers)


async def validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = [{**item, "loc": item["loc"][1:] or item["loc"]} for item in error.errors()]
    fields = mistakes(found)
    first = fields[0] if fields else {"field": "request", "rule": "is not understood"}
    return answer(422, "invalid", f"{first['field']}: {first['rule']}", {"fields": fields})


CODES = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
}


async def http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    message = "There is nothing at this address." if error.status_code == 404 else str(error.detail)
    code = CODES.get(error.status_code, "invalid")
    headers = dict(error.headers) if error.headers else None
    return answer(error.status_code, code, message, {"path": request.url.path[:200]}, headers)


async def unexpected_error(request: Request, error: Exception) -> JSONResponse:
    """The path ends here: what nobody expected is logged whole and shown as one sentence."""
    log.error("unexpected error at %s", request.url.path, exc_info=error)
    message = "Something unexpected went wrong here. The details are in the server's log."
    return answer(500, "internal", message, {})


IMPORTS = re.compile(r"/api/v1/specs/[^/]+/import$")
LONGEST_SPEC = 6 * 1_048_576
"""Bytes of a specification as JSON: its text may be 5 MB."""
TELEMETRY = re.compile(r"/api/v1/sandboxes/[^/]+/events$")
LONGEST_TELEMETRY = 6 * 1_048_576
"""Bytes of fifty events of a worker, each of which may tell 100 KB."""
TAKES_NUL_OUT = re.compile(
    r"/api/v1/(?:sandboxes/[^/]+/(?:events|messages)|sandbox/task/[^/]+/(?:progress|status|results|review))$"
)
"""Where the text of workers comes in, which may be whatever a program has printed."""


class Intake:
    """ASGI middleware: reads the body up to the limit before anything looks at it; adds safe headers."""

    def __init__(self, app: Any, limit: int, patience: float = 60) -> None:
        self.app = app
        self.limit = limit
        self.patience = patience
        """Seconds a body may take to arrive."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            async with asyncio.timeout(self.patience):
                body = await self._whole(receive, self._limit(scope))
            if body is None:
                return  # the client left
            check_text(scope, body)
        except (PayloadTooLarge, TimeoutError, Invalid) as error:
            refusal = error if isinstance(error, OmniForgeError) else TooSlow()
            headers = None if isinstance(error, Invalid) else {"Connection": "close"}
            refused = answer(refusal.status, refusal.code, refusal.message, refusal.details, headers)
            await refused(scope, receive, send_with_headers)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send_with_headers)

    def _limit(self, scope: Scope) -> int:
        path = scope["path"]
        if IMPORTS.match(path):
            return max(self.limit, LONGEST_SPEC)
        return max(self.limit, LONGEST_TELEMETRY) if TELEMETRY.match(path) else self.limit

    async def _whole(self, receive: Receive, limit: int) -> bytes | None:
        """The body; None when the client left before its end."""
        parts, size, more = list[bytes](), 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > limit:
                raise PayloadTooLarge(f"At most {limit} bytes are taken here.", limit=limit)
        return b"".join(parts)


class TooSlow(OmniForgeError):
    """A body that does not come to its end."""

    status = 408
    code = "too_slow"

    def __init__(self) -> None:
        super().__init__("The request did not arrive completely; send it again.")


def check_text(scope: Scope, body: bytes) -> None:
    """`Invalid` for an address or a JSON body that could be read but not kept, wherever it would go.

    What is no JSON at all is left to whoever wants to read it, and so is what services deliver: its signature
    comes first.
    """
    if scope["path"].startswith("/webhooks/"):
        return
    if b"%00" in scope["query_string"] or "\0" in scope["path"]:
        raise Invalid("The address holds a NUL character.", path=scope["path"][:200])
    if not any(name == b"content-type" and b"json" in value.lower() for name, value in scope["headers"]):
        return
    try:
        plainjson.parse(body, with_nul=TAKES_NUL_OUT.match(scope["path"]) is not None)
    except plainjson.NotPlain as flaw:
        field = {"field": dotted(flaw.location), "value": None, "rule": str(flaw)}
        raise Invalid(f"{field['field'] or 'The body'}: {flaw}.", fields=[field]) from None
    except json.JSONDecodeError:
        pass
