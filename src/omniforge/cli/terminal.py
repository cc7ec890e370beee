"""What every command uses: the two consoles, settings, and how errors become exit codes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from omniforge.cli.next_steps import next_steps
from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError

console = Console()
errors = Console(stderr=True)

EXIT_BY_STATUS = {401: 4, 403: 4, 404: 3, 422: 2, 502: 5, 503: 5}
INTERRUPTED = 130

Port = Annotated[int | None, typer.Option(help="Port to listen on, or that the server listens on.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Do the work of a command; our errors become one line on stderr and an exit code."""
    with plainly():
        return asyncio.run(work)


@contextmanager
def plainly() -> Generator[None]:
    """Our errors become a line on stderr, with what can be done about it, and an exit code."""
    try:
        yield
    except OmniForgeError as error:
        status = getattr(error, "http_status", 0) or error.status
        errors.print(f"[red]{error.code}[/red]: {escape(error.message)}", highlight=False, soft_wrap=True)
        for line in next_steps(error.code, error.details):
            errors.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
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
