"""`omniforge chat`: the conversation in the terminal."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding

from omniforge.cli.server import api, ask
from omniforge.core.clock import local_zone
from omniforge.core.config import Settings

LEAVE = {"exit", "quit", "bye"}


async def converse(settings: Settings, console: Console, resume: str | None) -> None:
    """Talk until the person leaves; the conversation is kept and can be resumed."""
    async with api(settings) as client:
        session_id = await _open(client, console, resume)
        actions: list[str] = []
        while True:
            said = await _listen(console)
            if said is None or said.lower() in LEAVE:
                console.print(f"[dim]Kept. Go on any time with: omniforge chat --resume {session_id}[/dim]")
                return
            if not said:
                continue
            message = actions[int(said) - 1] if said.isdecimal() and 0 < int(said) <= len(actions) else said
            with console.status("…"):
                reply = await ask(
                    client, "POST", f"/api/v1/conversation/{session_id}/message", json={"message": message}
                )
            actions = show_reply(console, reply)


async def _open(client: httpx.AsyncClient, console: Console, resume: str | None) -> str:
    if resume is not None:
        session: dict[str, Any] = await ask(client, "GET", f"/api/v1/conversation/{resume}")
        for message in session["messages"][-4:]:
            console.print(f"[dim]{message['role']}:[/dim] {message['text']}", highlight=False)
        return resume
    started = await ask(client, "POST", "/api/v1/conversation/start", json={"timezone": local_zone()})
    console.print(Padding(Markdown(str(started["message"])), (1, 0)))
    return str(started["session_id"])


async def _listen(console: Console) -> str | None:
    try:
        return (await asyncio.to_thread(console.input, "[bold]you ▸[/bold] ")).strip()
    except EOFError:
        return None


def show_reply(console: Console, reply: dict[str, Any]) -> list[str]:
    """Print a reply with its suggested answers as numbers; returns those answers."""
    console.print(Padding(Markdown(reply["text"]), (1, 0)))
    if reply.get("oauth_url"):
        console.print(f"Open this to connect:  {reply['oauth_url']}", soft_wrap=True, highlight=False)
    actions: list[str] = reply.get("actions") or []
    for number, action in enumerate(actions, 1):
        console.print(f"  [cyan]{number}[/cyan]  {action}", highlight=False)
    return actions
