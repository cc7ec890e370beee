"""`omniforge test AGENT`: try an agent without effects, show what it would do and what breaks it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from omniforge.cli.runs import events, find_agent, parse_object, show_event
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import print_json
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid

EXIT_BY_VERDICT = {"passed": 0, "no_effect": 7, "not_simulated": 7}
"""Everything else did not pass: 1."""
COLOURS = {"passed": "green", "failed": "red", "no_effect": "yellow", "not_simulated": "yellow"}
MODES = {
    "dry": "a dry run: sample data, no network, nothing is changed",
    "preview": "a preview: your real data are read, nothing is changed",
    "live": "a live test: what is listed below really happens",
}
MOST_CELLS = 40


def mode_of(*, dry_run: bool, preview: bool, live: bool) -> str:
    """The one mode that was asked for; `Invalid` for more than one."""
    wanted = [name for name, given in (("dry", dry_run), ("preview", preview), ("live", live)) if given]
    if len(wanted) > 1:
        raise Invalid("Say one of --dry-run, --preview and --live.")
    return wanted[0] if wanted else "dry"


async def test_agent(
    settings: Settings,
    console: Console,
    agent: str,
    *,
    mode: str,
    suite: str,
    input_json: str,
    confirm: bool,
    as_json: bool,
) -> int:
    """Test it and show the report; returns the exit code."""
    body: dict[str, Any] = {
        "mode": mode,
        "suite": suite,
        "input_data": parse_object(input_json),
        "confirm_effects": confirm,
    }
    async with api(settings) as client:
        agent_id = await find_agent(client, agent)
        started = await ask(client, "POST", f"/api/v1/agents/{agent_id}/test", json=body)
        if not as_json:
            console.print(f"Testing {agent_id}: {MODES[mode]}.")
        async for event in events(client, str(started["execution_id"])):
            if not as_json:
                show_event(console, event)
        report = await _report(client, agent_id, str(started["test_id"]))
    if as_json:
        print_json(report)
    else:
        show_report(console, report)
    return EXIT_BY_VERDICT.get(str(report["verdict"]), 1)


async def _report(client: Any, agent_id: str, test_id: str) -> dict[str, Any]:
    return await ask(
        client,
        "GET",
        f"/api/v1/agents/{agent_id}/tests/{test_id}",
        headers={"Prefer": "wait=110"},
    )


def show_report(console: Console, report: dict[str, Any]) -> None:
    if report["text"]:
        console.print(Padding(Markdown(report["text"]), (1, 2)))
    if report["sample_data"]:
        console.print("[dim]This is sample data.[/dim]")
    console.print("[bold]What it will do outside[/bold]")
    manifest: list[dict[str, Any]] = report["manifest"]
    for entry in manifest or [{"words": "nothing"}]:
        console.print(f"  {escape(str(entry['words']))}", highlight=False)
    if report["faults"]:
        console.print("[bold]What happens if something fails[/bold]")
        for sentence in report["fault_words"]:
            console.print(f"  {escape(sentence)}", highlight=False)
        console.print(_matrix(report["faults"]))
    for case in report["cases"]:
        _show_case(console, case)
    for problem in report["problems"]:
        console.print(f"  [yellow]![/yellow] {escape(str(problem['message']))}", highlight=False)
    verdict = str(report["verdict"])
    console.print(f"[{COLOURS.get(verdict, 'red')}]{verdict}[/]")


def _matrix(rows: list[dict[str, Any]]) -> Table:
    """One line per call, one mark per fault."""
    kinds = list(dict.fromkeys(str(row["fault"]) for row in rows))
    table = Table("call", *kinds)
    calls: dict[str, dict[str, str]] = {}
    for row in rows:
        mark = "[green]✓[/green]" if row["passed"] else "[red]✗[/red]"
        calls.setdefault(f"{row['step']}: {row['tool']} ({row['call']})", {})[str(row["fault"])] = mark
    for call, marks in list(calls.items())[:MOST_CELLS]:
        table.add_row(call, *(marks.get(kind, "") for kind in kinds))
    return table


def _show_case(console: Console, case: dict[str, Any]) -> None:
    if case["passed"]:
        console.print(f"  [green]✓[/green] as before: {escape(str(case['name']))}", highlight=False)
        return
    console.print(f"  [yellow]≠[/yellow] not as before: {escape(str(case['name']))}", highlight=False)
    for line in case["changes"]:
        console.print(f"    {escape(str(line))}", highlight=False)
