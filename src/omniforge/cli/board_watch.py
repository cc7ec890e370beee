"""`omniforge board watch`: the board as it changes, fed by the event stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from omniforge.cli.board_refs import find_project, path_of
from omniforge.cli.board_words import event_line, picture
from omniforge.cli.server import Refused, api, ask, sent_events
from omniforge.cli.terminal import print_json
from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError, Unavailable

Json = dict[str, Any]
SHOWN = 6
"""Lines of activity."""
TOGETHER = 0.1
"""Seconds within which events share one look at the board."""
AGAIN = 1.0
"""Seconds between tries to reach a server that went away."""


@dataclass
class Watched:
    """What is on the screen."""

    client: httpx.AsyncClient
    project: Json
    view: Json = field(default_factory=dict[str, Any])
    refs: dict[str, str] = field(default_factory=dict[str, str])
    activity: deque[Text] = field(default_factory=lambda: deque[Text](maxlen=SHOWN))
    after: int = 0
    state: str = "live"

    async def look(self) -> None:
        """The board as it is now."""
        params = {"project_id": self.project["id"]}
        self.view = await ask(self.client, "GET", path_of("board", "view"), params=params)
        for column in self.view["columns"]:
            self.refs |= {ticket["id"]: ticket["ref"] for ticket in column["tickets"]}

    async def recall(self) -> None:
        """The latest activity; the stream goes on after it."""
        params = {"project_id": self.project["id"], "order": "desc", "limit": 100}
        found = await ask(self.client, "GET", path_of("events"), params=params)
        self.after = found["next_after"]
        for event in reversed(found["events"]):
            await self.note(event)

    async def note(self, event: Json) -> None:
        """Remember an event as a line."""
        self.after = max(self.after, event["seq"])
        if ref := event["payload"].get("ref"):
            self.refs[event["entity_id"]] = ref
        await self._learn("tasks", event["task_id"])
        await self._learn("tickets", event["ticket_id"])
        line = event_line(event, lambda about: self.refs.get(about, about))
        if line is not None:
            self.activity.append(line)

    async def _learn(self, plural: str, about: str | None) -> None:
        """The ref of a thing that is not on the board."""
        if about is None or about in self.refs:
            return
        try:
            self.refs[about] = (await ask(self.client, "GET", path_of(plural, about)))["ref"]
        except Refused:  # gone since: then by its id
            self.refs[about] = about

    def shown(self, width: int, *, live: bool = True) -> RenderableType:
        title = Text(self.project["name"], "bold")
        title.append(f"  {self.view['total']} tickets", "dim")
        if live:
            style = "green" if self.state == "live" else "yellow"
            title.append(f"  ● {self.state}", style)
            title.append("   Ctrl+C leaves", "dim")
        return Group(title, picture(self.view, width), *self.activity)


async def show_board(settings: Settings, console: Console, project: str | None, *, as_json: bool) -> None:
    """One picture, without what happened."""
    async with api(settings) as client:
        watched = Watched(client, await find_project(client, project))
        await watched.look()
    if as_json:
        print_json(watched.view)
    else:
        console.print(watched.shown(console.width, live=False))


async def watch(
    settings: Settings, console: Console, project: str | None, *, once: bool, as_json: bool
) -> None:
    """Until interrupted; `once`: one picture with the latest activity. as_json: a line per event."""
    async with api(settings) as client:
        watched = Watched(client, await find_project(client, project))
        await watched.look()
        await watched.recall()
        if once:
            if as_json:
                print_json(watched.view)
            else:
                console.print(watched.shown(console.width, live=False))
            return
        if as_json:
            async for event in _events(watched):
                if event is not None:
                    print_json(event)
                    watched.after = event["seq"]
            return
        with Live(console=console, auto_refresh=False, transient=False) as screen:
            screen.update(watched.shown(console.width), refresh=True)
            await _follow(watched, screen)


async def _follow(watched: Watched, screen: Live) -> None:
    """Events come as they come; the board is looked at once for all that come together."""
    arrived = asyncio.Queue[Json | OmniForgeError | None]()

    async def listen() -> None:
        try:
            async for event in _events(watched):
                arrived.put_nowait(event)
        except OmniForgeError as error:
            arrived.put_nowait(error)

    listening = asyncio.create_task(listen())
    try:
        while True:
            batch = [await arrived.get()]
            await asyncio.sleep(TOGETHER)
            while not arrived.empty():
                batch.append(arrived.get_nowait())
            await _take_in(watched, batch)
            screen.update(watched.shown(screen.console.width), refresh=True)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _take_in(watched: Watched, batch: list[Json | OmniForgeError | None]) -> None:
    happened = False
    try:
        for event in batch:
            if isinstance(event, OmniForgeError):
                raise event
            if event is not None:
                happened = True
                await watched.note(event)
        if happened:
            await watched.look()
    except Unavailable:
        pass  # the stream tells, and goes on when the server is back


async def _events(watched: Watched) -> AsyncGenerator[Json | None]:
    """The project's events, live; None when the server went away or is back. Taken up where it broke off."""
    after = watched.after
    while True:
        try:
            async with watched.client.stream(
                "GET",
                path_of("events"),
                params={"project_id": watched.project["id"], "after": after},
                headers={"Accept": "text/event-stream"},
                timeout=httpx.Timeout(None, connect=5, read=60),
            ) as stream:
                if stream.is_error:
                    await stream.aread()
                    raise Refused.of(stream.status_code, stream.json(), stream.reason_phrase)
                if watched.state != "live":
                    watched.state = "live"
                    yield None
                async for _, event in sent_events(stream):
                    after = max(after, int(event["seq"]))
                    yield event
        except httpx.HTTPError:
            pass
        watched.state = "reconnecting"
        yield None
        await asyncio.sleep(AGAIN)
