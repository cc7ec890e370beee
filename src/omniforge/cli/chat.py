"""`omniforge chat`: the conversation in the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table

from omniforge.cli.server import Refused, api, ask, sent_events
from omniforge.core.clock import local_zone
from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError, Unavailable

LEAVE = {"exit", "quit", "bye"}
LAST_SHOWN = 4
HINT = "[dim]A number takes a suggestion. 'help' says what you can say, 'exit' leaves; nothing is lost.[/dim]"


@dataclass
class Talk:
    """One conversation in one terminal. `actions` are the answers suggested last; `arrived` is a service that
    was connected while the person was away from the prompt."""

    client: httpx.AsyncClient
    console: Console
    session_id: str
    actions: list[str] = field(default_factory=list[str])
    arrived: str = ""

    @property
    def path(self) -> str:
        return f"/api/v1/conversation/{self.session_id}"


async def converse(settings: Settings, console: Console, resume: str | None) -> None:
    """Talk until the person leaves; the conversation is kept and can be resumed."""
    async with api(settings) as client:
        talk = await _open(client, console, resume)
        console.print(HINT, highlight=False)
        async with _listening(talk):
            while True:
                said = await _said(talk)
                if said is None or said.lower() in LEAVE:
                    console.print(
                        f"[dim]Kept. Go on any time with: omniforge chat --resume {talk.session_id}[/dim]"
                    )
                    return
                if said:
                    await _answer(talk, said)


async def list_talks(settings: Settings, console: Console) -> None:
    """The conversations that can be resumed, newest first."""
    async with api(settings) as client:
        found = await ask(client, "GET", "/api/v1/conversation", params={"limit": 20})
    table = Table("id", "about", "where", "status", "last said")
    table.columns[0].no_wrap = True
    for item in found["sessions"]:
        row = (item["id"], item["title"] or "-", item["phase"], item["status"], item["updated_at"][:16])
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table if found["sessions"] else "No conversations yet. 'omniforge chat' starts one.")


async def _open(client: httpx.AsyncClient, console: Console, resume: str | None) -> Talk:
    if resume is None:
        started = await ask(client, "POST", "/api/v1/conversation/start", json={"timezone": local_zone()})
        console.print(Padding(Markdown(str(started["message"])), (1, 0)))
        return Talk(client, console, str(started["session_id"]))
    session: dict[str, Any] = await ask(client, "GET", f"/api/v1/conversation/{resume}")
    talk = Talk(client, console, resume)
    messages: list[dict[str, Any]] = session["messages"][-LAST_SHOWN:]
    for message in messages:
        if message["role"] == "user":
            console.print(f"[bold]you ▸[/bold] {escape(message['text'])}", highlight=False)
        else:
            console.print(Padding(Markdown(message["text"]), (1, 0)))
    if messages and messages[-1]["reply"]:
        talk.actions = _suggest(console, messages[-1]["reply"])
    return talk


# --- listening ------------------------------------------------------------------------------------


async def _said(talk: Talk) -> str | None:
    """What the person typed, a number as the suggestion it stands for; None at the end of the input."""
    try:
        typed = (await asyncio.to_thread(talk.console.input, "[bold]you ▸[/bold] ")).strip()
    except EOFError:
        return None
    if not typed and talk.arrived:
        return "Done"
    chosen = int(typed) if typed.isascii() and typed.isdecimal() else 0
    return talk.actions[chosen - 1] if 0 < chosen <= len(talk.actions) else typed


@asynccontextmanager
async def _listening(talk: Talk) -> AsyncGenerator[None]:
    """Tell as soon as a sign-in has arrived, also while the prompt waits."""
    listener = asyncio.create_task(_listen(talk))
    try:
        yield
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


async def _listen(talk: Talk) -> None:
    waits = httpx.Timeout(None, connect=5)
    headers = {"Accept": "text/event-stream"}
    with suppress(httpx.HTTPError):  # the conversation itself tells when the server is gone
        async with talk.client.stream("GET", f"{talk.path}/stream", headers=headers, timeout=waits) as stream:
            async for kind, data in sent_events(stream):
                if kind == "connection":
                    talk.arrived = str(data.get("workspace") or data.get("integration"))
                    talk.console.print(
                        f"\n[green]Connected: {escape(talk.arrived)}.[/green] Press Enter to go on.",
                        highlight=False,
                    )


# --- answering ------------------------------------------------------------------------------------


async def _answer(talk: Talk, said: str) -> None:
    """Send what was said and show what comes back; an error is told, and the conversation stays open."""
    talk.arrived = ""
    message = {"message": said, "client_message_id": uuid4().hex}
    try:
        reply = await _turn(talk, message)
    except OmniForgeError as error:
        talk.console.print(f"[red]{escape(error.message)}[/red]", highlight=False)
        return
    if reply.get("oauth_url"):
        talk.console.print(f"Open this to connect:  {reply['oauth_url']}", soft_wrap=True, highlight=False)
    talk.actions = _suggest(talk.console, reply)


async def _turn(talk: Talk, message: dict[str, str]) -> dict[str, Any]:
    """The reply, shown as it comes. When the line breaks, the same message is sent once more: it counts as
    one."""
    try:
        return await _stream(talk, message)
    except httpx.TransportError:
        reply = await ask(talk.client, "POST", f"{talk.path}/message", json=message)
        talk.console.print(Padding(Markdown(reply["text"]), (1, 0)))
        return reply


async def _stream(talk: Talk, message: dict[str, str]) -> dict[str, Any]:
    headers = {"Accept": "text/event-stream"}
    shown = ""
    with Live(Spinner("dots", "…"), console=talk.console, transient=True, refresh_per_second=12) as live:
        async with talk.client.stream(
            "POST", f"{talk.path}/message", json=message, headers=headers
        ) as stream:
            if stream.is_error:
                await stream.aread()
                raise Refused.of(stream.status_code, stream.json(), stream.reason_phrase)
            async for kind, data in sent_events(stream):
                match kind:
                    case "progress":
                        live.update(Spinner("dots", Markdown(data["text"])))
                        live.console.print(f"[dim]· {escape(data['text'])}[/dim]", highlight=False)
                    case "delta":
                        shown += data["text"]
                        live.update(Padding(Markdown(shown), (1, 0)))
                    case "reply":
                        live.update("")
                        talk.console.print(Padding(Markdown(data["text"]), (1, 0)))
                        return data
                    case _:
                        raise Refused.of(0, data)
    raise Unavailable("The answer broke off. Say it once more; what was done is kept.")


def _suggest(console: Console, reply: dict[str, Any]) -> list[str]:
    """Print the suggested answers as numbers; returns them."""
    actions: list[str] = reply.get("actions") or []
    for number, action in enumerate(actions, 1):
        console.print(f"  [cyan]{number}[/cyan]  {escape(action)}", highlight=False)
    return actions
