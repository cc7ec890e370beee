"""A feature from its description to merged work, over the real API of a server in this process."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from omniforge.cli.demo import free_port
from omniforge.cli.server import Running, ask, serving
from omniforge.core.config import ModelSettings, Settings

Json = dict[str, Any]
PATIENCE = 600.0
"""Seconds after which it is given up."""
SENTENCE = "Count the words of a text, in a program and at the command line"
TEST = "python3 -m unittest discover -s tests"
SHOWN = {
    "task.claimed": "[cyan]{ref}[/] is worked on (attempt {attempt})",
    "task.completed": "[green]{ref}[/] is completed",
    "task.attempt_failed": "[yellow]{ref}[/] failed: {message}",
    "task.failed": "[red]{ref}[/] has failed for good: {error_code}",
    "receipt.recorded": "{ref}: {check_key} ended with {exit_code}",
    "ticket.transitioned": "[bold]{ref}[/] {from_status} → {to_status}",
    "ticket.blocked": "[red]{ref}[/] is blocked: {reason}",
    "gate.decided": "{ref}: the gate out of {from_status} says {decision}",
}


async def play_board(folder: Path, *, from_sentence: bool = False) -> int:
    """Play it all; prints one JSON line last. Returns the exit code. `from_sentence`: a scripted model writes
    the spec and does the work."""
    begun = time.monotonic()
    home = folder.resolve() / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    home.mkdir(parents=True)
    console = Console(stderr=True)
    settings = Settings(home=home / "home", port=free_port())
    if from_sentence:
        script = home / "script.yaml"
        script.write_text(_resource("demo_board.yaml"), encoding="utf-8")
        settings.llm = ModelSettings(default="scripted:author", script=script)
    async with serving(settings) as running, httpx.AsyncClient(base_url=settings.url, timeout=60) as client:
        console.print(f"OmniForge at {settings.url}, everything it makes in {home}")
        project, ids = await (_generate(client, console) if from_sentence else _import(client))
        tickets = [one for name, one in ids.items() if name.startswith("TKT-")]
        tasks = [one for name, one in ids.items() if name.startswith("TSK-")]
        is_done = await _watch(running, client, console, project, {one: name for name, one in ids.items()})
        stats = await ask(client, "GET", f"/api/v1/projects/{project}/stats")
        merged = await running.house.rooms.chain.commits_of(project)
    result = {
        "status": "done" if is_done else "stopped",
        "tickets": len(tickets),
        "tasks": stats["tasks_by_status"].get("completed", 0) if is_done else len(tasks),
        "merged_commits": merged,
        "seconds": round(time.monotonic() - begun, 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if is_done else 1


def _resource(name: str) -> str:
    return resources.files("omniforge.cli").joinpath(name).read_text(encoding="utf-8")


async def _begin(client: httpx.AsyncClient) -> tuple[str, str]:
    """A project with a command for its tests, and an empty spec."""
    given = {"name": "Word counts", "settings": {"commands": {"test": {"command": TEST}}}}
    project = (await ask(client, "POST", "/api/v1/projects", json=given))["id"]
    wanted = {"project_id": project, "title": "Word counts"}
    return project, (await ask(client, "POST", "/api/v1/specs", json=wanted))["id"]


async def _import(client: httpx.AsyncClient) -> tuple[str, dict[str, str]]:
    """The project, and ids by the names in the spec."""
    project, spec = await _begin(client)
    body = {"documents": [{"path": "demo_board.md", "content": _resource("demo_board.md")}]}
    said = await ask(client, "POST", f"/api/v1/specs/{spec}/import", json=body)
    return project, {name: one["id"] for name, one in said["map"].items()}


async def _generate(client: httpx.AsyncClient, console: Console) -> tuple[str, dict[str, str]]:
    """The same from one sentence: the phases are told as they pass."""
    project, spec = await _begin(client)
    console.print(f"“{SENTENCE}” (what the model says is scripted)")
    await ask(client, "POST", f"/api/v1/specs/{spec}/generate", json={"description": SENTENCE})
    told: set[str] = set()
    while True:
        phases = (await ask(client, "GET", f"/api/v1/specs/{spec}/phases"))["phases"]
        for one in reversed(phases):
            if one["status"] != "running" and one["phase"] not in told:
                console.print(
                    f"  {one['phase']}: {one['status']} {'; '.join(one['reasons'])}", highlight=False
                )
                told.add(one["phase"])
        if "tasks" in told or any(one["status"] == "failed" for one in phases):
            break
        await asyncio.sleep(0.2)
    query = {"project_id": project, "limit": 200}
    tickets = (await ask(client, "GET", "/api/v1/tickets", params=query))["tickets"]
    tasks = (await ask(client, "GET", "/api/v1/tasks", params=query))["tasks"]
    return project, {one["ref"]: one["id"] for one in (*tickets, *tasks)}


async def _watch(
    running: Running, client: httpx.AsyncClient, console: Console, project: str, names: dict[str, str]
) -> bool:
    """Show what happens until every ticket is done; False when one cannot go on, or it takes too long."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    left = {one for one, name in names.items() if name.startswith("TKT-")}
    open_tasks = {one for one, name in names.items() if name.startswith("TSK-")}
    with Progress(*columns, console=console) as progress:
        tickets = progress.add_task("tickets done", total=len(left))
        tasks = progress.add_task("tasks completed", total=len(open_tasks))
        async with _giving_up(PATIENCE) as late, _events(running) as events:
            async for type_, payload in events:
                ids: Json = payload.get("ids", {})
                if ids.get("project_id") != project:
                    continue
                ref = names.get(ids.get("task_id") or "") or names.get(ids.get("ticket_id") or "", "")
                if (form := SHOWN.get(type_)) is not None:
                    console.print("  " + form.format_map({"ref": ref, **_plain(payload)}), highlight=False)
                if type_ == "task.completed":
                    progress.advance(tasks)
                if type_ == "ticket.blocked":
                    return False
                if type_ == "ticket.transitioned" and payload["to_status"] == "done":
                    left.discard(ids["ticket_id"])
                    progress.advance(tickets)
                if not left:
                    return True
    return not late


def _plain(payload: Json) -> Json:
    shown = {name: str(value).replace("[", "\\[") for name, value in payload.items()}
    key = shown.get("check_key", "")
    return {**shown, "check_key": "its criterion"} if key.startswith("criterion:") else shown


@asynccontextmanager
async def _giving_up(seconds: float) -> AsyncGenerator[list[bool]]:
    """Ends the block after a while; the list is not empty then."""
    late: list[bool] = []
    try:
        async with asyncio.timeout(seconds):
            yield late
    except TimeoutError:
        late.append(True)


@asynccontextmanager
async def _events(running: Running) -> AsyncGenerator[AsyncGenerator[tuple[str, Json]]]:
    """Everything from the beginning, as type and payload."""

    async def each() -> AsyncGenerator[tuple[str, Json]]:
        async for row in running.house.engine.events.follow("default"):
            yield row.type, json.loads(row.payload)

    events = each()
    try:
        yield events
    finally:
        await events.aclose()
