"""`omniforge skill`: look at skills, check them, begin one, and bring them in and out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from omniforge.cli.terminal import Port, console, errors, run, settings_with
from omniforge.skills.document import (
    MAX_BYTES,
    SKILL_FILE,
    Diagnostic,
    ExportForm,
    Profile,
    Severity,
    is_valid,
    load,
    validate,
)
from omniforge.skills.resolver import RootKind

app = typer.Typer(no_args_is_help=True)

USAGE = 2


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class Scope(StrEnum):
    """Whose an imported skill becomes."""

    PROJECT = "project"
    PERSONAL = "personal"
    TENANT = "tenant"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the skill.")]
Output = Annotated[Format, typer.Option("--format", help="How to print.")]
Personal = Annotated[bool, typer.Option("--personal", help="Yours, in every project.")]
Yes = Annotated[bool, typer.Option("--yes", help="Say yes to what is shown, and replace what is there.")]
Decided = Annotated[str | None, typer.Option(help="Default: the highest that waits.")]
Reason = Annotated[str, typer.Option(help="What its author is told.")]


@dataclass(frozen=True, slots=True)
class Checked:
    path: Path
    diagnostics: list[Diagnostic]


@app.callback()
def skill() -> None:
    """Skills: folders with a SKILL.md."""


@app.command("validate")
@app.command(hidden=True)
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH…", help="Files, skill folders or trees.")
    ] = None,
    profile: Annotated[Profile, typer.Option(help="Whose rules to check against.")] = Profile.OMNIFORGE,
    *,
    output: Output = Format.TEXT,
    locked: Annotated[
        bool, typer.Option("--locked", help="Also: installed skills are what was installed.")
    ] = False,
) -> None:
    """Print every problem as `file:line: rule: message`; exit 1 when one of them is an error."""
    if not paths and not locked:
        raise typer.BadParameter("name files, skill folders or trees, or say --locked", param_hint="PATH…")
    checked = [check_file(path, profile) for path in _skill_files(paths or [])]
    installed = _installed() if locked else []
    if output is Format.JSON:
        answer: dict[str, object] = {"files": [_as_json(item) for item in checked]}
        typer.echo(json.dumps(answer | ({"installed": installed} if locked else {})))
    else:
        for item in checked:
            for diagnostic in item.diagnostics:
                typer.echo(_line(item.path, diagnostic))
        for entry in installed:
            if entry["state"] != "same":
                typer.echo(
                    _printable(f"{entry['name']}: {entry['state']} since {entry['version']} was installed")
                )
    if not all(is_valid(item.diagnostics) for item in checked):
        raise typer.Exit(1)
    if any(entry["state"] != "same" for entry in installed):
        raise typer.Exit(1)


def _installed() -> list[dict[str, str]]:
    from omniforge.cli.local_skills import verify  # noqa: PLC0415

    async def work() -> list[dict[str, str]]:
        return verify(settings_with())

    return run(work())


@app.command("list")
def list_skills(
    root: Annotated[RootKind | None, typer.Option(help="Only those of this root.")] = None,
    output: Output = Format.TEXT,
) -> None:
    """The skills of this project and of yours, and those that come with OmniForge."""
    from omniforge.cli.local_skills import show_list  # noqa: PLC0415

    run(show_list(settings_with(), console, root, as_json=output is Format.JSON))


@app.command()
def show(name: Name, output: Output = Format.TEXT) -> None:
    """A skill, where it was found, and what is wrong with it."""
    from omniforge.cli.local_skills import show_one  # noqa: PLC0415

    run(show_one(settings_with(), console, name, as_json=output is Format.JSON))


@app.command("new")
def begin(
    name: Name,
    *,
    script: Annotated[bool, typer.Option("--script", help="With a script to fill in.")] = False,
    personal: Personal = False,
) -> None:
    """Begin a skill in this project; prints its folder."""
    from omniforge.cli.local_skills import begin as start  # noqa: PLC0415

    typer.echo(run(start(settings_with(), name, script=script, personal=personal)))


@app.command("export")
def write_out(
    name: Name,
    *,
    profile: Annotated[Profile, typer.Option(help="Whose rules it is written for.")] = Profile.PORTABLE,
    original: Annotated[bool, typer.Option("--original", help="Every byte as it is.")] = False,
    target: Annotated[
        Path, typer.Option("-o", "--output", help="Folder to write into, a .zip, or - for SKILL.md alone.")
    ] = Path(),
    yes: Yes = False,
) -> None:
    """Write a skill for another reader; prints where."""
    from omniforge.cli.local_skills import write_out as write  # noqa: PLC0415

    form = ExportForm.ORIGINAL if original else ExportForm(profile.value)
    written = run(write(settings_with(), errors, name, form, target, replace=yes))
    if written is not None:
        typer.echo(written)


@app.command("import")
def bring_in(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder, zip, tar, SKILL.md, or -.")],
    *,
    scope: Annotated[Scope, typer.Option(help="Whose it becomes.")] = Scope.PROJECT,
    yes: Yes = False,
    output: Output = Format.TEXT,
) -> None:
    """Read skills from outside, show what is in them, and let them in when you say so.

    Exit code 6: they are kept apart, without effect, until `skill release`.
    """
    from omniforge.cli.imports import bring_in as bring  # noqa: PLC0415

    work = bring(settings_with(), console, source, scope.value, yes=yes, as_json=output is Format.JSON)
    raise typer.Exit(run(work))


@app.command()
def release(
    name: Name, *, personal: Personal = False, yes: Yes = False, output: Output = Format.TEXT
) -> None:
    """Let in an imported skill that waits."""
    from omniforge.cli.imports import release as let_in  # noqa: PLC0415

    as_json = output is Format.JSON
    raise typer.Exit(run(let_in(settings_with(), console, name, personal=personal, yes=yes, as_json=as_json)))


@app.command()
def search(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORDS", help="Beginnings of words.")] = None,
    *,
    tags: Annotated[str, typer.Option(help="By commas; all of them.")] = "",
    integration: Annotated[str, typer.Option(help="Such as slack.")] = "",
    category: Annotated[str, typer.Option(help="One category.")] = "",
    author: Annotated[str, typer.Option(help="Whole name.")] = "",
    output: Output = Format.TEXT,
    port: Port = None,
) -> None:
    """Look through the public library."""
    from omniforge.cli.library import search as look  # noqa: PLC0415

    query = {"q": " ".join(words or []), "tags": tags, "integration": integration}
    query |= {"category": category, "author": author}
    run(look(settings_with(port), console, query, as_json=output is Format.JSON))


@app.command()
def install(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    *,
    personal: Personal = False,
    yes: Yes = False,
    output: Output = Format.TEXT,
    port: Port = None,
) -> None:
    """Put a public skill into this project; version and hash go into .omniforge/skills.lock."""
    from omniforge.cli.library import install as put_in  # noqa: PLC0415

    as_json = output is Format.JSON
    run(put_in(settings_with(port), console, name, personal=personal, replace=yes, as_json=as_json))


@app.command()
def publish(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder with a SKILL.md.")],
    *,
    version: Annotated[str, typer.Option(help="Higher than the last one.")] = "1.0.0",
    changelog: Annotated[str, typer.Option(help="What is different.")] = "",
    category: Annotated[str | None, typer.Option(help="Such as reports.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A name that must not be in it; may be repeated.")
    ] = None,
    output: Output = Format.TEXT,
    port: Port = None,
) -> None:
    """Give a skill to the public library; it waits there until somebody approves it."""
    from omniforge.cli.library import publish as give  # noqa: PLC0415

    given = {"version": version, "changelog": changelog, "category": category, "names": without or []}
    run(give(settings_with(port), console, path, given, as_json=output is Format.JSON))


@app.command()
def approve(name: Name, version: Decided = None, reason: Reason = "", port: Port = None) -> None:
    """Let a published skill be found and used by everybody."""
    _decide("approve", name, version, reason, port)


@app.command()
def reject(name: Name, reason: Reason, version: Decided = None, port: Port = None) -> None:
    """Send a published skill back to its author."""
    _decide("reject", name, version, reason, port)


@app.command()
def withdraw(name: Name, reason: Reason, port: Port = None) -> None:
    """Take a public skill out of the library; agents that use it go on as they are."""
    _decide("archive", name, None, reason, port)


def _decide(verb: str, name: str, version: str | None, reason: str, port: int | None) -> None:
    from omniforge.cli.library import decide  # noqa: PLC0415

    run(decide(settings_with(port), console, verb, name, reason=reason, version=version))


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
