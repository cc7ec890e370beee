"""`omniforge run`, `key create`: asking the server, showing what it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.markdown import Markdown

from omniforge.cli.server import api, ask
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid, NotFound

EXIT_BY_EXECUTION = {"completed": 0, "no_effect": 7, "waiting": 6}
MARKS = {
    "skill_completed": "[green]✓[/green]",
    "skill_failed": "[red]✗[/red]",
    "skill_skipped": "[yellow]-[/yellow]",
    "skill_retrying": "[yellow]↻[/yellow]",
    "skill_waiting": "[yellow]…[/yellow]",
}


async def run_and_watch(
    settings: Settings, console: Console, agent: str, input_json: str, *, as_json: bool
) -> int:
    """Run an agent and follow it to its end; returns the exit code."""
    input_data = parse_object(input_json)
    async with api(settings) as client:
        agent_id = await find_agent(client, agent)
        started = await ask(client, "POST", f"/api/v1/agents/{agent_id}/run", json={"input_data": input_data})
        execution_id = str(started["execution_id"])
        if not as_json:
            console.print(f"Run [bold]{execution_id}[/bold] of {agent_id}")
        async for event in events(client, execution_id):
            if not as_json:
                show_event(console, event)
        execution = await ask(client, "GET", f"/api/v1/executions/{execution_id}")
    if as_json:
        sys.stdout.write(json.dumps(execution, ensure_ascii=False) + "\n")
    else:
        show_execution(console, execution)
    return EXIT_BY_EXECUTION.get(str(execution["status"]), 1)


def parse_object(text: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise Invalid(f"--input is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Invalid('--input is a JSON object, for example \'{"timeframe": "7 days"}\'.')
    return value  # pyright: ignore[reportUnknownVariableType]


async def find_agent(client: httpx.AsyncClient, agent: str, *, archived: bool = False) -> str:
    """The id of the agent with this id or name; `archived`: also of a deleted one."""
    items: list[dict[str, Any]] = []
    for status in ({}, {"status": "archived"}) if archived else ({},):
        params = {"search": agent, "limit": 200} | status
        items += (await ask(client, "GET", "/api/v1/agents", params=params))["agents"]
    exact = [item for item in items if agent in (item["id"], item["name"])]
    named = exact or [item for item in items if item["name"].lower() == agent.lower()]
    if len(named) == 1:
        return str(named[0]["id"])
    near = ", ".join(f"{item['name']} ({item['id']})" for item in (named or items)[:5])
    hint = f" Did you mean: {near}?" if near else " 'omniforge agent list' shows what there is."
    raise NotFound(f"There is no agent {agent!r}.{hint}")


async def events(client: httpx.AsyncClient, execution_id: str) -> AsyncGenerator[dict[str, Any]]:
    """The execution's events, live, until it has finished or waits; a broken stream is taken up again."""
    after = 0
    while True:
        try:
            async with client.stream(
                "GET",
                f"/api/v1/executions/{execution_id}/events",
                params={"after": after},
                headers={"Accept": "text/event-stream"},
                timeout=httpx.Timeout(None, connect=5),
            ) as stream:
                async for line in stream.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    event: dict[str, Any] = json.loads(line[5:])
                    after = max(after, int(event["seq"]))
                    yield event
                    if event["type"] in ("execution_finished", "execution_waiting"):
                        return
        except httpx.RemoteProtocolError:
            continue


def show_event(console: Console, event: dict[str, Any]) -> None:
    data: dict[str, Any] = event.get("data") or {}
    name = event.get("skill_name") or event.get("key") or ""
    text = data.get("message") or data.get("text") or data.get("summary") or data.get("reason") or ""
    match event["type"]:
        case "skill_started":
            console.print(f"  [dim]▸[/dim] {name}")
        case "skill_completed" | "skill_failed" | "skill_skipped" | "skill_retrying" | "skill_waiting":
            error: dict[str, Any] = data.get("error") or {}
            said = error.get("message") or text
            console.print(f"  {MARKS[event['type']]} {name}  [dim]{said}[/dim]")
        case "skill_progress" | "effect_recorded" | "log":
            console.print(f"    [dim]{text}[/dim]")
        case _:
            pass


def show_execution(console: Console, execution: dict[str, Any]) -> None:
    status = execution["status"]
    colour = {"completed": "green", "no_effect": "yellow", "waiting": "yellow"}.get(status, "red")
    console.print(f"[{colour}]{status}[/{colour}]")
    result: dict[str, Any] = execution.get("result") or {}
    if result.get("text"):
        console.print(Markdown(result["text"]))
    if execution.get("error"):
        console.print(execution["error"]["message"])


def next_run(agent: dict[str, Any]) -> str:
    """`Mon 23 Nov 08:30 (Europe/Berlin)`, or when it runs otherwise."""
    if not agent.get("next_fire_at"):
        return "when asked" if agent["trigger_type"] == "on_demand" else "not switched on"
    local = datetime.fromisoformat(agent["next_fire_at"]).astimezone(ZoneInfo(agent["timezone"]))
    return f"{local:%a %d %b %H:%M} ({agent['timezone']})"


async def make_key(settings: Settings, console: Console, name: str, permissions: list[str] | None) -> None:
    async with api(settings) as client:
        body: dict[str, Any] = {"name": name}
        if permissions:
            body["permissions"] = permissions
        else:
            me: dict[str, Any] = await ask(client, "GET", "/api/v1/me")
            body["permissions"] = me["permissions"]
        made = await ask(client, "POST", "/api/v1/keys", json=body)
    console.print(f"{made['key']}", soft_wrap=True, highlight=False)
    console.print("[dim]Keep it: it is not shown again.[/dim]")
