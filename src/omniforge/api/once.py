"""`Idempotency-Key`: a POST that is sent again under the same key is answered again, not done again."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omniforge.api.answers import answer
from omniforge.core.errors import Conflict, Invalid, OmniForgeError
from omniforge.tenants.endpoints import facts_of
from omniforge.tenants.once import Answer, Asked
from omniforge.tenants.service import TenantService

HEADER = b"idempotency-key"
LONGEST = 255
LARGEST = 1024 * 1024
"""Bytes of an answer that is kept; no answer in JSON is near it."""


class OnceOnly:
    """ASGI middleware behind the one that read the whole body. What is refused may be tried again; an answer
    that is a stream is not kept."""

    def __init__(self, app: ASGIApp, tenants: TenantService) -> None:
        self.app, self.once, self.tenants = app, tenants.once, tenants

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        if not 0 < len(key) <= LONGEST:
            field = {"field": "Idempotency-Key", "value": key[:200], "rule": f"1 to {LONGEST} characters"}
            await _refuse(Invalid("This Idempotency-Key is too long or empty.", fields=[field]))(
                scope, receive, send
            )
            return
        asked, body = await self._asked(scope, receive, key)
        if asked is None:  # nobody we know: the endpoint says so
            await self.app(scope, _again(body, receive), send)
            return
        with self.once.turn(asked) as turn:
            async with turn:
                await self._answer(asked, body, scope, receive, send)

    @staticmethod
    def _key(scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/api/"):
            return None
        return next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), None)

    async def _asked(self, scope: Scope, receive: Receive, key: str) -> tuple[Asked | None, bytes]:
        message = await receive()
        body: bytes = message.get("body", b"")
        facts = facts_of(HTTPConnection(scope), self.tenants.settings)
        try:
            actor = await self.tenants.authenticate(facts)
        except OmniForgeError:
            return None, body
        address = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        return Asked.of(actor, address, key, body), body

    async def _answer(self, asked: Asked, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            known = await self.once.begin(asked)
        except Conflict as refusal:
            await _refuse(refusal)(scope, receive, send)
            return
        if known is not None:
            await Response(known.body, known.status, media_type=known.media_type)(scope, receive, send)
            return
        keeping = _Keeping(send)
        try:
            await self.app(scope, _again(body, receive), keeping.send)
        finally:
            if keeping.kept is not None:
                await self.once.keep(asked, keeping.kept)
            else:
                await self.once.forget(asked)
        await keeping.finish()


class _Keeping:
    """Holds an answer in JSON back until it is complete; lets everything else through."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._holds = False
        self.kept: Answer | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            types = [value for name, value in message["headers"] if name == b"content-type"]
            is_json = bool(types) and types[0].startswith(b"application/json")
            self._holds = is_json and message["status"] < 400
            self._start = message
        if not self._holds:
            await self._send(message)
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._complete()

    def _complete(self) -> None:
        whole = b"".join(self._parts)
        if self._start is not None and len(whole) <= LARGEST:
            self.kept = Answer(self._start["status"], "application/json", whole.decode())

    async def finish(self) -> None:
        """Send what was held back, now that it is kept."""
        if self._holds and self._start is not None:
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": b"".join(self._parts)})


def _again(body: bytes, receive: Receive) -> Receive:
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    return replay


def _refuse(error: OmniForgeError) -> Response:
    return answer(error.status, error.code, error.message, error.details)
