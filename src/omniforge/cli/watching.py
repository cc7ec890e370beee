"""Runs in the terminal: lists, trees of steps, live events, and asking for verbs."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from omniforge.cli.server import api, ask, sent_events
from omniforge.cli.terminal import print_json
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid

EXIT_BY_RUN = {
    "completed": 0,
    "queued": 0,
    "running": 0,
    "waiting": 6,
    "paused": 6,
    "needs_person": 6,
    "no_effect": 7,
}
"""Everything else has failed: 1."""
OPEN = ("queued", "running", "waiting", "paused")
COLOURS = {"completed": "green", "failed": "red", "needs_person": "red"}
MARKS = {
    "completed": "[green]✓[/green]",
    "failed": "[red]✗[/red]",
    "skipped": "[yellow]-[/yellow]",
    "cancelled": "[dim]✗[/dim]",
    "running": "[cyan]▸[/cyan]",
    "waiting": "[yellow]…[/yellow]",
    "compensated": "[yellow]↶[/yellow]",
}
WHAT = ("message", "reason", "why", "question", "status")
"""Fields of an event's payload that say in words what happened."""


async def parsed(option: str, text: str | None) -> dict[str, Any] | None:
    """The JSON object given to an option; `Invalid` in plain words when it is none."""
    if text is None:
        return None
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise Invalid(f"{option} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Invalid(f"{option} is a JSON object, for example '{{\"approved\": true}}'.")
    return value  # pyright: ignore[reportUnknownVariableType]


def step_path(key: str, verb: str) -> str:
    return f"steps/{quote(key, safe='')}/{verb}"


async def show_runs(
    settings: Settings, console: Console, status: Sequence[str], limit: int, *, as_json: bool
) -> None:
    async with api(settings) as client:
        found = await ask(client, "GET", "/api/v1/runs", params={"status": list(status), "limit": limit})
    if as_json:
        print_json(found)
        return
    if not found["runs"]:
        console.print("No runs. 'omniforge run AGENT' starts one.")
        return
    table = Table("id", "of", "status", "steps", "by", "created")
    table.columns[0].no_wrap = True
    table.columns[0].min_width = max(len(item["id"]) for item in found["runs"])
    for item in found["runs"]:
        over = sum(step["status"] in ("completed", "skipped", "compensated") for step in item["steps"])
        steps = f"{over}/{len(item['steps'])}"
        table.add_row(
            item["id"],
            escape(item["subject"]),
            _coloured(item["status"]),
            steps,
            escape(item["triggered_by"]),
            item["created_at"],
        )
    console.print(table)


async def show_run(settings: Settings, console: Console, run_id: str, *, as_json: bool) -> int:
    """Print a run; the exit code that its status means."""
    async with api(settings) as client:
        run = await _run(client, run_id)
    if as_json:
        print_json(run)
    else:
        console.print(tree_of(run))
        _print_end(console, run)
    return exit_code(run)


async def follow_run(settings: Settings, console: Console, run_id: str, *, as_json: bool) -> int:
    """Print events until the run is over or somebody has to do something; the exit code of its status."""
    async with api(settings) as client:
        await _run(client, run_id)
        async for event in events(client, run_id):
            if as_json:
                print_json(event)
            else:
                console.print(event_line(event), soft_wrap=True, highlight=False)
            if event["type"] in ("run.waiting", "run.paused") and _needs_somebody(await _run(client, run_id)):
                break
        run = await _run(client, run_id)
    if not as_json:
        _print_end(console, run)
    return exit_code(run)


async def do_verb(
    settings: Settings,
    console: Console,
    run_id: str,
    verb: str,
    body: Mapping[str, object] | None,
    *,
    as_json: bool,
) -> None:
    """Ask the server to do something to a run; `verb` is the rest of the address."""
    async with api(settings) as client:
        run = await ask(client, "POST", f"/api/v1/runs/{quote(run_id, safe='')}/{verb}", json=body)
    if as_json:
        print_json(run)
        return
    note = ""
    if verb == "pause" and run["status"] == "running":
        note = "  [dim]steps under way finish first[/dim]"
    console.print(f"{run['id']} {_coloured(run['status'])}{note}", soft_wrap=True, highlight=False)


async def events(client: httpx.AsyncClient, run_id: str) -> AsyncGenerator[dict[str, Any]]:
    """The run's events from its start, live, until it is over; a broken stream is taken up again."""
    after = 0
    while True:
        try:
            async with client.stream(
                "GET",
                f"/api/v1/runs/{quote(run_id, safe='')}/events",
                params={"after": after},
                headers={"Accept": "text/event-stream"},
                timeout=httpx.Timeout(None, connect=5),
            ) as stream:
                async for _, event in sent_events(stream):
                    after = max(after, int(event["seq"]))
                    yield event
        except (httpx.RemoteProtocolError, httpx.ReadError):
            pass
        if (await _run(client, run_id))["status"] not in OPEN:
            return


def exit_code(run: dict[str, Any]) -> int:
    return EXIT_BY_RUN.get(str(run["status"]), 1)


def tree_of(run: dict[str, Any]) -> Tree:
    """The run's steps; those that a composite step became hang below it."""
    head = f"{run['id']}  {escape(run['subject'])}  {_coloured(run['status'])}"
    tree = Tree(head, highlight=False)
    nodes = {"": tree}
    for step in run["steps"]:
        key = str(step["key"])
        parent = _parent(key)
        while parent and parent not in nodes:
            parent = _parent(parent)
        nodes[key] = nodes[parent].add(_step_line(step, key[len(parent) :].lstrip("/")))
        for line in _ladder(step):
            nodes[key].add(f"[dim]{escape(line)}[/dim]")
    return tree


def event_line(event: dict[str, Any]) -> str:
    payload: dict[str, Any] = event["payload"]
    error: dict[str, Any] = payload.get("error") or {}
    said = error.get("message") or next((str(payload[name]) for name in WHAT if payload.get(name)), "")
    who = "" if event["actor"] == "system:engine" else f" by {event['actor']}"
    step = str(payload.get("step", ""))
    attempt = f" #{payload['attempt']}" if payload.get("attempt", 1) != 1 else ""
    words = f"{event['type']:<22} {step}{attempt}"
    return f"[dim]{event['at'][11:23]}[/dim] {escape(words)}{escape(who)}  [dim]{escape(said)}[/dim]"


def _step_line(step: dict[str, Any], name: str) -> str:
    status = str(step["status"])
    parts = [MARKS.get(status, "·"), f"[bold]{escape(name)}[/bold]", status]
    if step["attempt"] > 1:
        parts.append(f"attempt {step['attempt']}")
    if status == "waiting" and step["reason"]:
        parts.append(f"for {escape(step['reason'])}")
    if step["wake_at"]:
        parts.append(f"until {step['wake_at']}")
    error: dict[str, Any] = step["error"] or {}
    result: dict[str, Any] = step["result"] or {}
    said = error.get("message") or result.get("message")
    if str(step["reason"] or "").startswith(("stands: ", "shared with ")):
        said = step["reason"]
    return "  ".join(parts) + (f"  [dim]{escape(said)}[/dim]" if said else "")


def _ladder(step: dict[str, Any]) -> list[str]:
    """What failed and what recovery did about it, in words."""
    recovery: dict[str, Any] = step["recovery"] or {}
    lines: list[str] = []
    if recovery.get("failures"):
        lines.append("failed: " + _counted(recovery["failures"]))
    if recovery.get("moves"):
        lines.append("tried: " + _counted(recovery["moves"]))
    given: dict[str, Any] = recovery.get("hints") or {}
    hints = {name: value for name, value in given.items() if name != "feedback"}
    if hints:
        lines.append("told the next attempt: " + json.dumps(hints, ensure_ascii=False))
    return lines


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count} times" if count > 1 else name for name, count in counts.items())


def _parent(key: str) -> str:
    """The composite step that a step is part of, by its key; empty when it is of the plan itself."""
    if key.endswith("]"):
        return key.rpartition("[")[0]
    return key.rpartition("/")[0]


def _needs_somebody(run: dict[str, Any]) -> bool:
    if run["status"] == "paused":
        return True
    waiting = [step for step in run["steps"] if step["status"] == "waiting"]
    return run["status"] == "waiting" and any(step["reason"] != "time" for step in waiting)


def _print_end(console: Console, run: dict[str, Any]) -> None:
    """How the run stands, and what somebody can do about it."""
    error: dict[str, Any] = run["error"] or {}
    said = escape(error.get("message", ""))
    console.print(f"{_coloured(run['status'])} {said}".rstrip(), highlight=False, soft_wrap=True)
    for standing in error.get("stands", ()):
        certain = "" if standing["certain"] else "perhaps "
        line = f"  {certain}stands: {standing['step']} {', '.join(standing['effects'])}: {standing['reason']}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for step in run["steps"]:
        if step["status"] == "waiting" and step["reason"] != "time":
            command = f"omniforge runs answer {run['id']} {step['key']}"
            console.print(
                f"  {step['key']} waits for {step['reason']}: {command}", markup=False, soft_wrap=True
            )
    if run["status"] == "paused":
        console.print(f"  omniforge runs resume {run['id']}", markup=False, soft_wrap=True)


def _coloured(status: str) -> str:
    colour = COLOURS.get(status, "yellow")
    return f"[{colour}]{status}[/{colour}]"


async def _run(client: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    return await ask(client, "GET", f"/api/v1/runs/{quote(run_id, safe='')}")
