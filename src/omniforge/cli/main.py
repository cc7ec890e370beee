"""The `omniforge` command.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 unreachable, 6 waits for a person,
7 nothing to do, 130 interrupted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omniforge.cli.terminal import AsJson, Port, console, plainly, run, settings_with

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
dev = typer.Typer(no_args_is_help=True, help="For developers: stand-ins for services, and the demonstration.")
key = typer.Typer(no_args_is_help=True, help="API keys.")
database = typer.Typer(no_args_is_help=True, help="The database as a whole.")
app.add_typer(dev, name="dev")
app.add_typer(key, name="key")
app.add_typer(database, name="db")


@app.command()
def up(
    port: Port = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond loopback needs sign-in.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="error, warning, info or debug.")] = None,
) -> None:
    """Start the server and print its address and a one-time login link."""
    from omniforge.cli.server import serve  # noqa: PLC0415

    run(serve(settings_with(port, host), console, log_level))


@app.command()
def worker(
    concurrency: Annotated[int | None, typer.Option(min=1, help="Runs to drive at the same time.")] = None,
) -> None:
    """Drive runs of an installation on PostgreSQL; any number of these, on any machine."""
    from omniforge.cli.worker import work  # noqa: PLC0415

    settings = settings_with()
    if concurrency is not None:
        settings = settings.model_copy(update={"worker_concurrency": concurrency})
    run(work(settings, console))


@app.command()
def chat(
    port: Port = None,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with this conversation; 'last' is the newest.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="The conversations that can be resumed.")] = False,
) -> None:
    """Describe work in plain words; get an agent that does it."""
    from omniforge.cli.chat import converse, list_talks  # noqa: PLC0415

    settings = settings_with(port)
    if listed:
        run(list_talks(settings, console))
        return
    with plainly():
        converse(settings, console, resume)


@app.command("run")
def run_agent(
    agent_id: Annotated[str, typer.Argument(metavar="AGENT", help="Its id or name.")],
    input_json: Annotated[str, typer.Option("--input", help="JSON object given to the agent.")] = "{}",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Run an active agent now and watch it, step by step."""
    from omniforge.cli.runs import run_and_watch  # noqa: PLC0415

    code = run(run_and_watch(settings_with(port), console, agent_id, input_json, as_json=as_json))
    raise typer.Exit(code)


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    permission: Annotated[
        list[str] | None, typer.Option(help="May be repeated; default: all of yours.")
    ] = None,
    port: Port = None,
) -> None:
    """Make an API key; it is shown this once."""
    from omniforge.cli.runs import make_key  # noqa: PLC0415

    run(make_key(settings_with(port), console, name, permission))


@database.command("move")
def move_database(
    to: Annotated[str, typer.Option(help="postgresql://user:password@host/database; it has to be empty.")],
) -> None:
    """Copy this SQLite installation into an empty PostgreSQL database; the original stays as it is."""
    from omniforge.cli.db import move  # noqa: PLC0415

    run(move(settings_with(), to, console))


@app.command("test")
def try_agent(
    agent_id: Annotated[str, typer.Argument(metavar="AGENT", help="Its id or name.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Sample data, no network (default).")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Real reads, nothing is changed.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Real effects; needs --yes.")] = False,
    suite: Annotated[str, typer.Option(help="quick, full or regression.")] = "quick",
    faults: Annotated[bool, typer.Option("--faults", help="The same as --suite full.")] = False,
    input_json: Annotated[str, typer.Option("--input", help="JSON object given to the agent.")] = "{}",
    yes: Annotated[
        bool, typer.Option("--yes", help="Allow exactly the effects the last test showed.")
    ] = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Try an agent: what it would do, and what happens if something fails."""
    from omniforge.cli.test import mode_of, test_agent  # noqa: PLC0415

    async def work() -> int:
        return await test_agent(
            settings_with(port),
            console,
            agent_id,
            mode=mode_of(dry_run=dry_run, preview=preview, live=live),
            suite="full" if faults else suite,
            input_json=input_json,
            confirm=yes,
            as_json=as_json,
        )

    raise typer.Exit(run(work()))


@app.command()
def doctor() -> None:
    """Check this computer and say what to do."""
    from omniforge.cli.doctor import examine  # noqa: PLC0415

    raise typer.Exit(run(examine(settings_with(), console)))


@dev.command()
def services(
    port: Annotated[int, typer.Option(help="First port; the others follow.")] = 8765,
    only: Annotated[str, typer.Option(help="Some of them, by commas.")] = "",
    server: Annotated[str, typer.Option(help="Address of the installation.")] = "http://127.0.0.1:8700",
    as_json: AsJson = False,
) -> None:
    """Local servers in place of the services outside, to build and try agents without an account."""
    from omniforge.cli.dev_services import serve  # noqa: PLC0415

    run(serve(port, only, server, console, as_json=as_json))


@dev.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where data and results go.")] = Path(".demo"),
) -> None:
    """The main job from nothing to a finished run; the last line is JSON."""
    from omniforge.cli.demo import play  # noqa: PLC0415

    raise typer.Exit(run(play(folder, console)))


@dev.command("demo-board")
def demo_board(
    folder: Annotated[Path, typer.Option(help="Where data and results go.")] = Path(".demo"),
    from_sentence: Annotated[
        bool, typer.Option("--from-sentence", help="Spec and work by a scripted model, from one sentence.")
    ] = False,
) -> None:
    """A feature from a Markdown spec to merged work, by programs in sandboxes; the last line is JSON."""
    from omniforge.cli.demo_board import play_board  # noqa: PLC0415

    raise typer.Exit(run(play_board(folder, from_sentence=from_sentence)))


@dev.command()
def simulate(
    seed: Annotated[int | None, typer.Option(help="Only this one, with its history when it fails.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 1000,
    first: Annotated[int, typer.Option("--from", help="The first of them.")] = 0,
) -> None:
    """Run random plans under virtual time with crashes, delays and clock jumps; the last line is JSON."""
    from omniforge.cli.simulate import play_many, play_one  # noqa: PLC0415

    raise typer.Exit(play_many(first, seeds, console) if seed is None else play_one(seed, console))


def _add_rooms() -> None:
    from omniforge.cli import (  # noqa: PLC0415
        agent,
        audit,
        board,
        project,
        schedule,
        skill,
        spec,
        task,
        ticket,
        user,
        verbs,
    )

    app.add_typer(agent.app, name="agent", help="Agents: look, run, go back, share, switch on and off.")
    app.add_typer(user.app, name="user", help="The people of this tenant.")
    app.add_typer(verbs.app, name="runs", help="Runs: look at them, stop them, answer them, do them again.")
    app.add_typer(schedule.app, name="schedule", help="Schedules: what runs by itself, and when.")
    app.add_typer(skill.app, name="skill", help="Skills: folders with a SKILL.md.")
    app.add_typer(project.app, name="project", help="Projects, each with a board and a repository.")
    app.add_typer(board.app, name="board", help="The board of a project, as it is and as it changes.")
    app.add_typer(spec.app, name="spec", help="Specifications: bring in, approve, take out, trace.")
    app.add_typer(ticket.app, name="ticket", help="Tickets: make, move, block, review.")
    app.add_typer(task.app, name="task", help="Tasks, the work of tickets.")
    app.add_typer(
        audit.app, name="audit", help="The log of everything: whether it is whole, and a copy of it."
    )


_add_rooms()

if __name__ == "__main__":
    app()
