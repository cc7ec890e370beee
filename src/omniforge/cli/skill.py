"""`omniforge skill`: checks SKILL.md files like a linter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from omniforge.skills.document import (
    MAX_BYTES,
    SKILL_FILE,
    Diagnostic,
    Profile,
    Severity,
    is_valid,
    load,
    validate,
)

app = typer.Typer(no_args_is_help=True)

USAGE = 2


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Checked:
    path: Path
    diagnostics: list[Diagnostic]


@app.callback()
def skill() -> None:
    """Skills: folders with a SKILL.md."""


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, skill folders or trees.")],
    profile: Annotated[Profile, typer.Option(help="Whose rules to check against.")] = Profile.OMNIFORGE,
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TEXT,
) -> None:
    """Print every problem as `file:line: rule: message`; exit 1 when one of them is an error."""
    checked = [check_file(path, profile) for path in _skill_files(paths)]
    if output is Format.JSON:
        typer.echo(json.dumps({"files": [_as_json(item) for item in checked]}))
    else:
        for item in checked:
            for diagnostic in item.diagnostics:
                typer.echo(_line(item.path, diagnostic))
    if not all(is_valid(item.diagnostics) for item in checked):
        raise typer.Exit(1)


def check_file(path: Path, profile: Profile) -> Checked:
    """Read one file and what lies beside it; a file that cannot be read is a problem like others."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = Diagnostic("unreadable", "file", 1, f"The file cannot be read: {error.strerror}.")
        return Checked(path, [problem])
    if path.name != SKILL_FILE:
        return Checked(path, validate(load(data, folder=path.stem), profile))
    folder = path.absolute().parent
    document = load(data, folder=folder.name or None)
    return Checked(path, validate(document, profile, files=set(_paths_in(folder))))


def _skill_files(paths: list[Path]) -> Iterator[Path]:
    """Each file once, in order. A path that is missing, or holds no skill, is a wrong use of the command."""
    seen: set[Path] = set()
    for path in paths:
        found = list(_found_at(path))
        if not found:
            what = f"no {SKILL_FILE} in" if path.is_dir() else "no such file:"
            typer.echo(_printable(f"{what} {path}"), err=True)
            raise typer.Exit(USAGE)
        for file in found:
            if (real := file.resolve()) not in seen:
                seen.add(real)
                yield file


def _found_at(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif (path / SKILL_FILE).is_file():
        yield path / SKILL_FILE
    elif path.is_dir():
        for folder, inner, files in os.walk(path):
            inner[:] = sorted(name for name in inner if not name.startswith(".") or name == ".claude")
            if SKILL_FILE in files:
                yield Path(folder) / SKILL_FILE


def _paths_in(folder: Path) -> Iterator[str]:
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in files:
            yield (Path(place) / name).relative_to(folder).as_posix()


def _line(path: Path, item: Diagnostic) -> str:
    level = "" if item.severity is Severity.ERROR else f"{item.severity}: "
    return _printable(f"{path}:{item.line}: {item.code}: {level}{item.message}")


def _printable(text: str) -> str:
    """One line without control characters: what is printed is what a file held."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _as_json(item: Checked) -> dict[str, object]:
    return {
        "path": os.fsencode(item.path).decode("utf-8", "replace"),
        "valid": is_valid(item.diagnostics),
        "diagnostics": [asdict(diagnostic) for diagnostic in item.diagnostics],
    }
