"""`omniforge runs`: look at runs, follow them, stop them, answer them, do them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from omniforge.cli.terminal import AsJson, Port, console, run, settings_with

app = typer.Typer(no_args_is_help=True)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]
StepKey = Annotated[str, typer.Argument(metavar="STEP", help="Key of the step, such as ask or ask[2].")]


@app.callback()
def runs() -> None:
    """Runs: look at them, stop them, answer them, do them again.

    Exit codes: 0 completed, 1 failed, 6 waits for a person, 7 nothing happened.
    """


@app.command("list")
def list_runs(
    status: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """The latest runs, newest first."""
    from omniforge.cli.watching import show_runs  # noqa: PLC0415

    run(show_runs(settings_with(port), console, status or [], limit, as_json=as_json))


@app.command()
def show(run_id: RunId, port: Port = None, as_json: AsJson = False) -> None:
    """A run and its steps: status, attempts, what recovery tried."""
    from omniforge.cli.watching import show_run  # noqa: PLC0415

    raise typer.Exit(run(show_run(settings_with(port), console, run_id, as_json=as_json)))


@app.command()
def follow(
    run_id: RunId,
    port: Port = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event and line.")] = False,
) -> None:
    """What happens in a run, live, until it is over or a person has to do something."""
    from omniforge.cli.watching import follow_run  # noqa: PLC0415

    raise typer.Exit(run(follow_run(settings_with(port), console, run_id, as_json=as_json)))


@app.command()
def cancel(run_id: RunId, port: Port = None, as_json: AsJson = False) -> None:
    """End a run: steps under way are asked to leave, and stopped if they do not."""
    _do("cancel", run_id, None, port, as_json=as_json)


@app.command()
def pause(run_id: RunId, port: Port = None, as_json: AsJson = False) -> None:
    """Start nothing more of a run; steps under way finish."""
    _do("pause", run_id, None, port, as_json=as_json)


@app.command()
def resume(run_id: RunId, port: Port = None, as_json: AsJson = False) -> None:
    """Go on with a paused run."""
    _do("resume", run_id, None, port, as_json=as_json)


@app.command()
def retry(
    run_id: RunId,
    step: Annotated[str | None, typer.Option(help="The failed step, if only one failed.")] = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Do what failed again, in the same run; finished steps stay as they are."""
    _do("retry", run_id, {"step": step}, port, as_json=as_json)


@app.command()
def fork(
    run_id: RunId,
    *,
    from_step: Annotated[
        str | None, typer.Option("--from", help="Do this step and what follows anew.")
    ] = None,
    input_json: Annotated[
        str | None, typer.Option("--input", help="JSON object; default: the same input.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The same key makes the same run only once.")] = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """A new run that shares the finished steps of this one."""
    from omniforge.cli.watching import parsed  # noqa: PLC0415

    body = {"from_step": from_step, "idempotency_key": key, "input": run(parsed("--input", input_json))}
    _do("fork", run_id, body, port, as_json=as_json)


@app.command()
def answer(
    run_id: RunId,
    step: StepKey,
    *,
    output: Annotated[str | None, typer.Option(help="JSON object: what the step gives.")] = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="The same as --output '{\"approved\": true}'.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Do the step again instead of answering it.")
    ] = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Give a waiting step what it waits for."""
    from omniforge.cli.watching import parsed, step_path  # noqa: PLC0415

    if (output is not None) + approve + again != 1:
        raise typer.BadParameter("say one of --output JSON, --approve or --again")
    given = {"approved": True} if approve else run(parsed("--output", output))
    _do(step_path(step, "answer"), run_id, {"output": given}, port, as_json=as_json)


@app.command()
def reject(
    run_id: RunId,
    step: StepKey,
    why: Annotated[str | None, typer.Option(help="Told in the run's error.")] = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Say no to a step that waits for approval."""
    from omniforge.cli.watching import step_path  # noqa: PLC0415

    _do(step_path(step, "reject"), run_id, {"why": why}, port, as_json=as_json)


def _do(
    verb: str, run_id: str, body: Mapping[str, object] | None, port: int | None, *, as_json: bool
) -> None:
    from omniforge.cli.watching import do_verb  # noqa: PLC0415

    run(do_verb(settings_with(port), console, run_id, verb, body, as_json=as_json))
