"""`omniforge chat`: the conversation in the terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any
from uuid import uuid4

import httpx
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.markup import escape
from rich.segment import Segment
from rich.spinner import Spinner
from rich.style import Style
from rich.table import Table
from rich.text import Text

from omniforge.cli.keyboard import Keyboard, prompt_again
from omniforge.cli.server import Refused, api, ask, sent_events
from omniforge.core.clock import local_zone
from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError, Unavailable

LEAVE = {"exit", "quit", "bye"}
LAST = "last"
"""In place of an id: the conversation somebody spoke in last."""
LAST_SHOWN = 4
WIDEST = 100
"""Columns; longer lines are hard to read."""
AGAIN_SECONDS = 3
MOST_NUMBERED = 9
HINT = (
    "[dim]A number takes a suggestion; your own words do as well. 'help' tells what you can say, 'exit' "
    "leaves.[/dim]"
)
STOPPED = "[dim]I no longer wait for it; what was begun goes on and is kept. Say something to go on.[/dim]"
_OPTION = re.compile(r"^\s*[-*] +\*\*([A-Z])\*\*[:.)]? +(.+)$", re.MULTILINE)
_NO_ZONE = {"UTC", "Etc/UTC"}


@dataclass
class Talk:
    """One conversation in one terminal. `actions` are the answers suggested last; `arrived` is a service that
    was connected while the person was away from the prompt."""

    client: httpx.AsyncClient
    console: Console
    session_id: str
    actions: list[str] = field(default_factory=list[str])
    arrived: str = ""
    asking: bool = False

    @property
    def path(self) -> str:
        return f"/api/v1/conversation/{self.session_id}"


@dataclass
class Spoken:
    """Markdown without the empty lines that open some of its blocks, and not too wide to read."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        narrow = options.update(width=min(options.max_width, WIDEST))
        lines = console.render_lines(Markdown(self.text), narrow, pad=False)
        while lines and not "".join(segment.text for segment in lines[0]).strip():
            lines.pop(0)
        while lines and not "".join(segment.text for segment in lines[-1]).strip():
            lines.pop()
        yield Segment.line()
        for line in lines:
            yield from line
            yield Segment.line()


def converse(settings: Settings, console: Console, resume: str | None) -> None:
    """Talk until the person leaves; the conversation is kept and can be resumed."""

    async def talking(keyboard: Keyboard) -> None:
        async with api(settings) as client:
            talk = await _open(client, console, resume)
            console.print(f"\n{HINT}", highlight=False)
            async with _listening(talk):
                while (said := await _said(talk, keyboard)) is not None:
                    if said and await keyboard.unless_stopped(_answer(talk, said)) is None:
                        console.print(STOPPED, highlight=False)
            again = f"omniforge chat --resume {talk.session_id}"
            console.print(f"[dim]Kept. Go on any time with: {again}[/dim]", highlight=False, soft_wrap=True)

    Keyboard().attend(talking)


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
    if resume == LAST:
        newest = await ask(client, "GET", "/api/v1/conversation", params={"limit": 1})
        resume = newest["sessions"][0]["id"] if newest["sessions"] else None
    if resume is None:
        zone = local_zone()  # a computer in a cellar runs on UTC: then the installation's own zone is better
        body = {} if zone in _NO_ZONE else {"timezone": zone}
        started = await ask(client, "POST", "/api/v1/conversation/start", json=body)
        console.print(Spoken(str(started["message"])), end="")
        return Talk(client, console, str(started["session_id"]))
    session: dict[str, Any] = await ask(client, "GET", f"/api/v1/conversation/{resume}")
    talk = Talk(client, console, resume)
    messages: list[dict[str, Any]] = session["messages"][-LAST_SHOWN:]
    for message in messages:
        if message["role"] == "user":
            console.print(f"\n[bold]you ▸[/bold] {escape(message['text'])}", highlight=False)
        else:
            console.print(Spoken(message["text"]), end="")
    if messages and messages[-1]["reply"]:
        _offer(talk, messages[-1]["reply"])
    return talk


# --- listening ------------------------------------------------------------------------------------


async def _said(talk: Talk, keyboard: Keyboard) -> str | None:
    """What the person typed, a number as the suggestion it stands for; None when they leave."""
    talk.console.print()
    talk.asking = True
    typed = await keyboard.line()
    talk.asking = False
    if typed is None or typed.strip().lower() in LEAVE:
        return None
    typed = typed.strip()
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
    while True:
        with suppress(httpx.HTTPError):  # the conversation itself tells when the server is gone
            path = f"{talk.path}/stream"
            async with talk.client.stream("GET", path, headers=headers, timeout=waits) as stream:
                async for kind, data in sent_events(stream):
                    if kind == "connection":
                        _tell_arrival(talk, str(data.get("workspace") or data.get("integration")))
        await asyncio.sleep(AGAIN_SECONDS)


def _tell_arrival(talk: Talk, arrived: str) -> None:
    talk.arrived = arrived
    talk.console.print(
        f"\n[green]Connected: {escape(arrived)}.[/green] Press Enter to go on.", highlight=False
    )
    if talk.asking:
        prompt_again()


# --- answering ------------------------------------------------------------------------------------


async def _answer(talk: Talk, said: str) -> bool:
    """Send what was said and show what comes back; an error is told, and the conversation stays open."""
    talk.arrived = ""
    message = {"message": said, "client_message_id": uuid4().hex}
    try:
        reply = await _turn(talk, message)
    except OmniForgeError as error:
        talk.console.print(f"\n[red]{escape(error.message)}[/red]", highlight=False)
        return True
    _offer(talk, reply)
    return True


async def _turn(talk: Talk, message: dict[str, str]) -> dict[str, Any]:
    """The reply, shown as it comes. When the line breaks, the same message is sent once more: it counts as
    one."""
    try:
        return await _stream(talk, message)
    except httpx.TransportError:
        try:
            reply = await ask(talk.client, "POST", f"{talk.path}/message", json=message)
        except Unavailable as error:
            raise Unavailable(
                f"OmniForge at {talk.client.base_url} does not answer. Start it again with 'omniforge up', "
                "then say that once more; nothing is lost."
            ) from error
        talk.console.print(Spoken(reply["text"]), end="")
        return reply


async def _stream(talk: Talk, message: dict[str, str]) -> dict[str, Any]:
    headers = {"Accept": "text/event-stream"}
    waits = httpx.Timeout(None, connect=5)
    shown, line = "", ""
    with Live(Spinner("dots", "…"), console=talk.console, transient=True, refresh_per_second=12) as live:
        async with talk.client.stream(
            "POST", f"{talk.path}/message", json=message, headers=headers, timeout=waits
        ) as stream:
            if stream.is_error:
                await stream.aread()
                raise Refused.of(stream.status_code, stream.json(), stream.reason_phrase)
            async for kind, data in sent_events(stream):
                match kind:
                    case "progress" if data["text"] != line:
                        line = data["text"]
                        live.update(Spinner("dots", escape(line)))
                        live.console.print(f"[dim]· {escape(line)}[/dim]", highlight=False)
                    case "progress":
                        pass
                    case "delta":
                        shown += data["text"]
                        live.update(Spoken(shown))
                    case "reply":
                        live.update("")
                        talk.console.print(Spoken(data["text"]), end="")
                        return data
                    case _:
                        raise Refused.of(0, data)
    raise Unavailable("The answer broke off. Say it once more; what was done is kept.")


def _offer(talk: Talk, reply: dict[str, Any]) -> None:
    """Print what a reply offers: the address to sign in at, and the suggested answers as numbers; a letter
    with the words it stands for."""
    if url := reply.get("oauth_url"):
        talk.console.print("\nOpen this to connect:\n")
        talk.console.print(Text(url, Style(color="cyan", link=url)), soft_wrap=True)
    talk.actions = _answers_to(reply)
    options = {letter: _plain(words) for letter, words in _OPTION.findall(str(reply.get("text", "")))}
    if talk.actions:
        talk.console.print()
    for number, action in enumerate(talk.actions, 1):
        words = f"{action}: {options[action]}" if action in options else action
        talk.console.print(f"  [cyan]{number}[/cyan]  {escape(words)}", highlight=False, soft_wrap=True)


def _answers_to(reply: dict[str, Any]) -> list[str]:
    """The answers that were suggested, then the choices that are not among them."""
    actions: list[str] = reply.get("actions") or []
    cards: list[dict[str, Any]] = reply.get("data", {}).get("cards") or []
    options = [option for card in cards if card["type"] == "choices" for option in card["options"]]
    others = [str(one["text"]) for one in options if not {one["text"], one["label"]} & set(actions)]
    return [*actions, *others][:MOST_NUMBERED]


def _plain(words: str) -> str:
    return shorten(re.sub(r"[*_`]", "", words), 72, placeholder=" …")
