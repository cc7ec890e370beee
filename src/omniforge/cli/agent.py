"""`omniforge agent`: look at agents, go back, share, switch on and off, run and delete them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from omniforge.cli.runs import find_agent, next_run, run_and_watch
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, print_json, run, settings_with
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict

app = typer.Typer(no_args_is_help=True)

AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="Its id or name.")]
Number = Annotated[int, typer.Argument(min=1, help="Number of a version.")]
Yes = Annotated[bool, typer.Option("--yes", help="Allow exactly what is printed.")]
Json = dict[str, Any]


@app.callback()
def agents() -> None:
    """Agents."""


@app.command("list")
def list_agents(
    status: Annotated[str | None, typer.Option(help="draft, active, paused or archived.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """The agents you can see."""

    async def work() -> None:
        params: Json = {"limit": limit} | ({"status": status} if status else {})
        found = await _ask(settings_with(port), "GET", "/agents", params=params)
        if as_json:
            print_json(found)
        elif not found["agents"]:
            console.print("No agents yet. 'omniforge chat' makes one.")
        else:
            _table(found["agents"])

    run(work())


@app.command()
def show(agent: AgentName, port: Port = None, as_json: AsJson = False) -> None:
    """An agent: what it does, when, and what is missing."""
    run(_one(settings_with(port), agent, "GET", "", as_json=as_json, shown=_show))


@app.command()
def status(
    agent: AgentName,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 10,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """When it runs next, and how its last runs went."""

    async def work() -> None:
        async with api(settings_with(port)) as client:
            path = f"/api/v1/agents/{await find_agent(client, agent)}"
            found = await ask(client, "GET", path)
            runs = await ask(client, "GET", f"{path}/executions", params={"limit": limit, "mode": "live"})
        if as_json:
            print_json(
                {"agent": found, "next_fire_at": found["next_fire_at"], "executions": runs["executions"]}
            )
            return
        console.print(f"[bold]{escape(found['name'])}[/bold]  {found['status']}  next: {next_run(found)}")
        for one in runs["executions"]:
            why = f"  [dim]{escape(one['error']['message'])}[/dim]" if one["error"] else ""
            console.print(f"  {one['created_at'][:16]}  {one['status']}  {one['triggered_by']}{why}")

    run(work())


@app.command()
def versions(agent: AgentName, port: Port = None, as_json: AsJson = False) -> None:
    """Its versions, newest first."""
    run(_one(settings_with(port), agent, "GET", "/versions", as_json=as_json, shown=_versions))


@app.command()
def diff(agent: AgentName, first: Number, second: Number, port: Port = None, as_json: AsJson = False) -> None:
    """What differs from one version to another."""
    path = f"/versions/{first}/diff/{second}"
    run(_one(settings_with(port), agent, "GET", path, as_json=as_json, shown=_difference))


@app.command()
def rollback(
    agent: AgentName,
    version: Number,
    *,
    reason: Annotated[str, typer.Option(help="For the history.")] = "",
    yes: Yes = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """A further version with the content of an earlier one; brings a deleted agent back, paused."""

    async def work() -> None:
        async with api(settings_with(port)) as client:
            path = f"/api/v1/agents/{await find_agent(client, agent, archived=True)}"
            now = await ask(client, "GET", path)
            _confirm(f"{now['name']} goes from version {now['version']} back to version {version}", yes)
            body = {"version": version, "expected_version": now["version"], "reason": reason}
            done = await ask(client, "POST", f"{path}/rollback", json=body)
        _done(done, as_json=as_json)

    run(work())


@app.command()
def share(
    agent: AgentName,
    *,
    people: Annotated[
        list[str], typer.Option("--with", help="An id, e-mail address or name, or 'tenant'; may be repeated.")
    ],
    team: Annotated[bool, typer.Option("--team", help="They see this one agent and run it.")] = False,
    template: Annotated[bool, typer.Option("--template", help="Each gets a draft of their own.")] = False,
    yes: Yes = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Share an agent with colleagues: --team or --template."""
    if team == template:
        raise typer.BadParameter("say one of --team or --template")

    async def work() -> None:
        async with api(settings_with(port)) as client:
            path = f"/api/v1/agents/{await find_agent(client, agent)}"
            how = "is run by" if team else "is copied for"
            _confirm(f"{agent} {how} {', '.join(people)}", yes)
            body = {"mode": "team" if team else "template", "with": people}
            done = await ask(client, "POST", f"{path}/share", json=body)
        if as_json:
            print_json(done)
            return
        console.print(f"Shared: {done['agent']['sharing_level']}")
        for copy in done["copies"]:
            left = ", ".join(entry["what"] for entry in copy["to_choose"])
            console.print(
                f"  {copy['agent_id']}  for {copy['user_id']}" + (f"  to choose: {left}" if left else "")
            )

    run(work())


@app.command()
def unshare(
    agent: AgentName,
    *,
    people: Annotated[list[str] | None, typer.Option("--with", help="Without: everybody.")] = None,
    yes: Yes = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Take the sharing back; what runs for them ends at once."""
    _confirm(f"{agent} is taken back from {', '.join(people or ['everybody'])}; their runs end", yes)
    body = {"with": people or []}
    run(_one(settings_with(port), agent, "POST", "/unshare", as_json=as_json, shown=_unshared, json=body))


@app.command()
def pause(agent: AgentName, port: Port = None, as_json: AsJson = False) -> None:
    """Stop it from running by itself; what runs finishes."""
    run(_one(settings_with(port), agent, "POST", "/pause", as_json=as_json, shown=_line))


@app.command()
def activate(
    agent: AgentName,
    *,
    test_id: Annotated[
        str | None, typer.Option("--test", help="Its test that passed; default: the newest one.")
    ] = None,
    yes: Yes = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Switch on what was tested, after showing what it will do outside."""

    async def work() -> None:
        async with api(settings_with(port)) as client:
            path = f"/api/v1/agents/{await find_agent(client, agent)}"
            found = await ask(client, "GET", path)
            body: Json = {"expected_version": found["version"]}
            manifest, note = found["manifest"], ""
            if found["status"] == "draft" or found["pending_version"]:
                tests = (await ask(client, "GET", f"{path}/tests", params={"limit": 200}))["tests"]
                chosen = [test for test in tests if test_id in (None, test["test_id"])]
                fit = sorted((t for t in chosen if t["may_activate"]), key=lambda t: t["verdict"] != "passed")
                if not fit:
                    message = f"It has no test that passed: omniforge test {found['id']}"
                    raise Conflict(message, code="not_tested")
                idle = fit[0]["verdict"] != "passed"
                body |= {"test_id": fit[0]["test_id"], "manifest_hash": fit[0]["manifest_hash"]}
                body |= {"accept_no_effect": True} if idle else {}
                manifest = fit[0]["manifest"]
                note = "Nothing matched in its test; every step was tried all the same. " if idle else ""
            words = "; ".join(str(entry["words"]) for entry in manifest) or "changes nothing outside"
            _confirm(f"{note}{found['name']}, each time it runs: {words}", yes)
            done = await ask(client, "POST", f"{path}/activate", json=body)
        _done(done, as_json=as_json)

    run(work())


@app.command()
def archive(agent: AgentName, *, yes: Yes = False, port: Port = None, as_json: AsJson = False) -> None:
    """Delete it: its runs end; for 30 days 'rollback' brings it back."""
    _confirm(f"{agent} is deleted and its runs end", yes)
    run(
        _one(
            settings_with(port),
            agent,
            "DELETE",
            "",
            as_json=as_json,
            shown=_deleted,
        )
    )


app.command("delete", hidden=True)(archive)


@app.command("run")
def run_agent(
    agent: AgentName,
    input_json: Annotated[str, typer.Option("--input", help="JSON object given to the agent.")] = "{}",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Run it now and watch it, step by step."""
    work = run_and_watch(settings_with(port), console, agent, input_json, as_json=as_json)
    raise typer.Exit(run(work))


# --- asking ------------------------------------------------------------------------------------------------


async def _ask(settings: Settings, method: str, path: str, **options: Any) -> Json:
    async with api(settings) as client:
        return await ask(client, method, f"/api/v1{path}", **options)


async def _one(
    settings: Settings,
    agent: str,
    method: str,
    path: str,
    *,
    as_json: bool,
    shown: Any,
    **options: Any,
) -> None:
    async with api(settings) as client:
        agent_id = await find_agent(client, agent)
        answer = await ask(client, method, f"/api/v1/agents/{agent_id}{path}", **options)
    if as_json:
        print_json(answer)
    else:
        shown(answer)


def _confirm(what: str, yes: bool) -> None:
    """Ask on a terminal; elsewhere --yes has to be said."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"This needs --yes: {what}.")
    typer.confirm(f"{what}. Go on?", abort=True)


# --- showing -----------------------------------------------------------------------------------------------


def _table(found: list[Json], to: Console = console) -> None:
    table = Table("id", "name", "status", "version", "next run", "last run", "completed")
    for one in found:
        stats = one["usage_stats"]
        last = (one["last_run"] or "")[:16].replace("T", " ")
        done = f"{stats['successful_runs']} of {stats['total_runs']}"
        cells = (one["id"], one["name"], one["status"], str(one["version"]), next_run(one), last, done)
        table.add_row(*(escape(cell) for cell in cells))
    to.print(table)


def _show(one: Json) -> None:
    _line(one)
    if one["description"]:
        console.print(escape(one["description"]))
    for skill in sorted(one["skills"], key=lambda skill: skill["order"]):
        when = f"  only if {skill['when']}" if skill["when"] else ""
        console.print(f"  {skill['order']}. {escape(skill['key'])}{escape(when)}", highlight=False)
    for effect in one["manifest"]:
        console.print(f"  may: {escape(str(effect['words']))}", highlight=False)
    if one["shared_with"]:
        console.print(f"  shared with: {escape(', '.join(one['shared_with']))}", highlight=False)
    for problem in one["problems"]:
        console.print(f"  [yellow]{escape(problem['message'])}[/yellow]", highlight=False)


def _line(one: Json) -> None:
    name = f"[bold]{escape(one['name'])}[/bold] ({one['id']})"
    console.print(
        f"{name}  {one['status']}  version {one['version']}  next: {next_run(one)}", highlight=False
    )


def _done(one: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        _line(one)


def _deleted(answer: Json) -> None:
    console.print(str(answer["message"]))


def _unshared(answer: Json) -> None:
    console.print(f"Taken back; {len(answer['stopped'])} run(s) ended.")


def _versions(answer: Json) -> None:
    table = Table("version", "at", "by", "what")
    for one in answer["versions"]:
        mark = " *" if one["is_current"] else ""
        at = one["created_at"][:16].replace("T", " ")
        table.add_row(f"{one['version']}{mark}", at, escape(one["author_name"]), escape(one["summary"]))
    console.print(table)


def _difference(answer: Json) -> None:
    for change in answer["settings"]:
        before, after = change["before"], change["after"]
        console.print(
            f"{escape(change['field'])}: {escape(str(before))} → {escape(str(after))}", highlight=False
        )
    for skill in answer["skills"]:
        console.print(f"[bold]{escape(skill['key'])}[/bold] {skill['change']}", highlight=False)
        for file in skill["files"]:
            console.print(f"  {escape(file['path'])} {file['change']}", highlight=False)
            for line in file["lines"]:
                colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "default")
                console.print(f"    [{colour}]{escape(line)}[/]", highlight=False, soft_wrap=True)
    if not answer["settings"] and not answer["skills"]:
        console.print("No difference.")
