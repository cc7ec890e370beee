"""The `omniforge` command.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 unreachable, 6 waits for a person,
7 nothing to do, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
dev = typer.Typer(no_args_is_help=True, help="For developers: stand-ins for services, and the demonstration.")
agent = typer.Typer(no_args_is_help=True, help="Agents.")
key = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(dev, name="dev")
app.add_typer(agent, name="agent")
app.add_typer(key, name="key")

console = Console()
errors = Console(stderr=True)

EXIT_BY_STATUS = {401: 4, 403: 4, 404: 3, 422: 2, 502: 5, 503: 5}
INTERRUPTED = 130

Port = Annotated[int | None, typer.Option(help="Port to listen on, or that the server listens on.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Do the work of a command; our errors become one line on stderr and an exit code."""
    try:
        return asyncio.run(work)
    except OmniForgeError as error:
        status = getattr(error, "http_status", 0) or error.status
        errors.print(f"[red]{error.code}[/red]: {error.message}", highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_BY_STATUS.get(status, 1)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def settings_with(port: int | None = None, host: str | None = None) -> Settings:
    given = {name: value for name, value in {"port": port, "host": host}.items() if value is not None}
    try:
        return Settings(**given)  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        for item in error.errors(include_url=False):
            errors.print(
                f"[red]setting {'.'.join(map(str, item['loc']))}[/red]: {item['msg']}", highlight=False
            )
        raise typer.Exit(2) from None


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@app.command()
def up(
    port: Port = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond loopback needs sign-in.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="error, warning, info or debug.")] = "warning",
) -> None:
    """Start the server and print its address and a one-time login link."""
    from omniforge.cli.server import serve  # noqa: PLC0415

    run(serve(settings_with(port, host), console, log_level))


@app.command()
def chat(
    port: Port = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this conversation.")] = None,
) -> None:
    """Describe work in plain words; get an agent that does it."""
    from omniforge.cli.chat import converse  # noqa: PLC0415

    run(converse(settings_with(port), console, resume))


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


@agent.command("list")
def list_agents(port: Port = None, as_json: AsJson = False) -> None:
    """The agents of this installation."""
    from omniforge.cli.runs import show_agents  # noqa: PLC0415

    run(show_agents(settings_with(port), console, as_json=as_json))


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


@app.command()
def doctor() -> None:
    """Check this computer and say what to do."""
    from omniforge.cli.doctor import examine  # noqa: PLC0415

    raise typer.Exit(run(examine(settings_with(), console)))


@dev.command()
def notion(port: Annotated[int, typer.Option(help="Port to listen on.")] = 8765) -> None:
    """A local Notion with sample data, to build and try agents without an account."""
    from omniforge.integrations.catalog.notion import standin  # noqa: PLC0415

    console.print(f"A local stand-in for Notion at http://127.0.0.1:{port}. To use it, start OmniForge with:")
    console.print(f"  OMNIFORGE_NOTION_BASE_URL=http://127.0.0.1:{port}", highlight=False)
    console.print(f"  NOTION_CLIENT_ID={standin.CLIENT_ID}", highlight=False)
    console.print(f"  NOTION_CLIENT_SECRET={standin.CLIENT_SECRET}", highlight=False)
    console.print("  NOTION_REDIRECT_URI=http://127.0.0.1:8700/oauth/callback/notion", highlight=False)
    standin.run("127.0.0.1", port)


@dev.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where data and results go.")] = Path(".demo"),
) -> None:
    """The main job from nothing to a finished run; the last line is JSON."""
    from omniforge.cli.demo import play  # noqa: PLC0415

    raise typer.Exit(run(play(folder, console)))


def _add_rooms() -> None:
    from omniforge.cli import skill  # noqa: PLC0415

    app.add_typer(skill.app, name="skill", help="Skills: folders with a SKILL.md.")


_add_rooms()

if __name__ == "__main__":
    app()
