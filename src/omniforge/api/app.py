"""The web application: every slice's routes, the one error handler, limits on what comes in."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from omniforge.agents import endpoints as agents
from omniforge.api import start_page
from omniforge.bootstrap import Installation
from omniforge.builder import endpoints as builder
from omniforge.core.errors import OmniForgeError, PayloadTooLarge, RateLimited
from omniforge.core.shapes import mistakes
from omniforge.integrations import endpoints as integrations
from omniforge.runs import endpoints as runs
from omniforge.skills import endpoints as skills
from omniforge.tenants import endpoints as tenants

log = logging.getLogger(__name__)

ROUTERS = (
    start_page.router,
    tenants.router,
    tenants.pages,
    skills.router,
    integrations.router,
    integrations.pages,
    runs.router,
    agents.router,
    builder.router,
)
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]


def create_app(house: Installation) -> FastAPI:
    """The application of an installation that is open; whoever opened it closes it."""
    app = FastAPI(title="OmniForge", docs_url=None, redoc_url=None)
    house.attach(app.state)
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/health", health, tags=["operation"], dependencies=[tenants.KnownSource])
    app.add_exception_handler(OmniForgeError, omniforge_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unexpected_error)
    app.add_middleware(Intake, limit=house.settings.max_body_bytes)
    return app


async def health() -> dict[str, str]:
    """Answers as soon as the installation is open: database migrated, unfinished runs taken up."""
    return {"status": "ok"}


def answer(
    status: int, code: str, message: str, details: dict[str, Any], headers: dict[str, str] | None = None
):
    body = {"error": code, "message": message, "details": details}
    return JSONResponse(body, status, headers=headers)


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


class Intake:
    """ASGI middleware: reads the body up to the limit before anything looks at it; adds safe headers."""

    def __init__(self, app: Any, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        body, more, size = [b""], True, 0
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client left
            body.append(message.get("body", b""))
            size += len(body[-1])
            more = message.get("more_body", False)
            if size > self.limit:
                error = PayloadTooLarge(f"At most {self.limit} bytes are taken here.", limit=self.limit)
                refused = answer(
                    error.status, error.code, error.message, error.details, {"Connection": "close"}
                )
                await refused(scope, receive, send_with_headers)
                return
        whole: list[Message] = [{"type": "http.request", "body": b"".join(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send_with_headers)
