"""Skills of a project and of this person, without a server: look at them, begin one, write one out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from omniforge.cli.terminal import print_json
from omniforge.core.config import Settings, shipped
from omniforge.core.errors import Conflict, Invalid
from omniforge.engine.events import storable
from omniforge.skills import folders, lockfile, place, resolver
from omniforge.skills.admission import check_skill
from omniforge.skills.document import (
    SKILL_FILE,
    Diagnostic,
    ExportForm,
    Profile,
    Severity,
    export,
    render,
    validate,
)
from omniforge.skills.intake.archives import pack
from omniforge.skills.lockfile import State
from omniforge.skills.resolver import Root, RootKind, Skill

MAX_ENTRIES = 2_000
OWN_SCRIPT = '''"""What this skill does."""

from __future__ import annotations

from typing import Any

from sandbox_kit.skill import run


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Answer with what the next step needs."""
    return {"output": {"report": f"Hello from {request['skill']['name']}."}}


run(main)
'''
BODY = """# {title}

Say in one sentence what comes out of this.

## When to use

Use this when somebody wants …

## Prerequisites

- Nothing.

## Steps

1. Read the input.
2. Do the work.
3. Answer with the result.

## Error handling

- Without an input, say what is missing and stop.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A skill that was found, its files, and everything that is wrong with it."""

    skill: Skill
    files: Mapping[str, bytes]
    problems: Sequence[Diagnostic]


def printable(text: str) -> str:
    """One line for the console without control characters and markup: what a file held is only shown."""
    return escape("".join(char if char.isprintable() or char == "\t" else "?" for char in text))


def ladder(settings: Settings) -> list[Root]:
    """Project, personal, installed, bundled."""
    return resolver.local_ladder(Path.cwd(), settings.home, shipped("skills"))


def own_root(settings: Settings, *, personal: bool) -> Root:
    """Where skills are put: the project's folder, or this person's."""
    project, _, home, *_ = ladder(settings)
    return home if personal else project


def find(settings: Settings, name: str) -> Found:
    return _looked_at(resolver.resolve(name, ladder(settings)))


def _looked_at(skill: Skill) -> Found:
    try:
        files = place.read(skill)
    except Invalid as error:  # one bad folder never hides the others
        problem = Diagnostic(error.code, "file", 1, error.message)
        return Found(skill, {SKILL_FILE: skill.document.data}, [*skill.diagnostics, problem])
    problems = [*skill.diagnostics, *validate(skill.document, Profile.OMNIFORGE, files=files.keys())]
    locked = lockfile.read(lockfile.lock_of(skill.root)).get(skill.name)
    if locked is not None and folders.content_hash(files) != locked.sha256:
        said = f"It was changed since it was installed ({locked.source}, {locked.version})."
        problems.insert(0, Diagnostic("changed_since_installed", "file", 1, said, Severity.WARNING))
    return Found(skill, files, problems)


async def show_list(settings: Settings, console: Console, root: RootKind | None, *, as_json: bool) -> None:
    found = [_looked_at(skill) for skill in resolver.resolvable(ladder(settings))]
    kept = [each for each in found if root in (None, each.skill.root.kind)]
    if as_json:
        skills = [_as_json(each) for each in kept]
        print_json({"skills": skills, "total": len(skills), "limit": len(skills), "offset": 0})
        return
    table = Table("name", "root", "what it does", "problems")
    for each in kept:
        errors = [item for item in each.problems if item.severity is not Severity.NOTE]
        table.add_row(
            each.skill.name,
            each.skill.root.kind.value,
            printable(each.skill.description),
            printable(errors[0].message) if errors else "",
        )
    console.print(table)


async def show_one(settings: Settings, console: Console, name: str, *, as_json: bool) -> None:
    found = find(settings, name)
    if as_json:
        content = found.files[SKILL_FILE].decode("utf-8", "replace")
        print_json({**_as_json(found), "content": content, "files": sorted(found.files)})
        return
    console.print(f"[dim]{escape(str(found.skill.path))}[/dim]", soft_wrap=True, highlight=False)
    for item in found.problems:
        console.print(f"[yellow]line {item.line}: {printable(item.message)}[/yellow]", highlight=False)
    for line in found.files[SKILL_FILE].decode("utf-8", "replace").splitlines():
        console.print(printable(line), highlight=False, soft_wrap=True)
    others = [path for path in sorted(found.files) if path != SKILL_FILE]
    if others:
        console.print("[dim]with " + printable(", ".join(others)) + "[/dim]", highlight=False)


def _as_json(found: Found) -> dict[str, Any]:
    skill = found.skill
    shown = {
        "name": skill.name,
        "description": skill.description,
        "root": skill.root.kind.value,
        "origin": skill.root.kind.value,
        "path": str(skill.path),
        "tags": list(skill.document.tags),
        "hash": folders.content_hash(found.files),
        "diagnostics": [asdict(item) for item in found.problems],
    }
    return json.loads(storable(shown))


async def begin(settings: Settings, name: str, *, script: bool, personal: bool) -> Path:
    """A skill to fill in, valid as it is; the path of its folder."""
    title = name.replace("-", " ").capitalize()
    fields: dict[str, Any] = {
        "name": name,
        "description": f"{title[:60]}: say here what it does",
        "allowed-tools": [],
    }
    files = {SKILL_FILE: render(fields, BODY.format(title=title))}
    if script:
        files["scripts/main.py"] = OWN_SCRIPT.encode()
    check_skill(name, files)
    root = own_root(settings, personal=personal)
    if (root.path / name).exists():
        raise Conflict(f"There is {root.path / name} already.", code="already_exists")
    place.replace(root, name, files, ())
    return root.path / name


async def write_out(
    settings: Settings, console: Console, name: str, form: ExportForm, target: Path, *, replace: bool
) -> Path | None:
    """The skill in a form: a folder inside `target`, a zip when it is named so, SKILL.md to `-`."""
    found = find(settings, name)
    made = export(found.skill.document, form, found.files)
    for note in made.notes:
        console.print(f"[dim]{printable(note.message)}[/dim]", highlight=False)
    if str(target) == "-":
        sys.stdout.buffer.write(made.content)
        return None
    as_zip = target.suffix == ".zip"
    place_of = target if as_zip else target / made.name
    if place_of.exists() and not replace:
        raise Conflict(f"There is {place_of} already; --yes writes over it.", code="already_exists")
    if as_zip:
        target.write_bytes(pack({f"{made.name}/{path}": data for path, data in made.files.items()}))
        return target
    for path, data in made.files.items():
        (place_of / path).parent.mkdir(parents=True, exist_ok=True)
        (place_of / path).write_bytes(data)
    return place_of


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path; links are not followed. `Invalid` beyond the limits."""
    files: dict[str, bytes] = {}
    total = 0
    for place_, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if name not in {".git", "__pycache__", "node_modules"})
        for name in sorted(names):
            path = Path(place_) / name
            if path.is_symlink() or not path.is_file():
                continue
            total += path.stat().st_size
            if len(files) >= MAX_ENTRIES or total > folders.MAX_TOTAL:
                raise Invalid(f"There is too much in {folder}.", code="skill_too_large")
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def verify(settings: Settings) -> list[dict[str, str]]:
    """Every installed skill against what was installed: `{name, root, version, source, state}`."""
    found: list[dict[str, str]] = []
    for personal in (False, True):
        root = own_root(settings, personal=personal)
        for name, locked in sorted(lockfile.read(lockfile.lock_of(root)).items()):
            state = lockfile.state_of(root, name, locked)
            entry = {"name": name, "root": root.kind.value, "version": locked.version}
            found.append({**entry, "source": locked.source, "state": state.value})
    return found


def is_intact(verified: Sequence[Mapping[str, str]]) -> bool:
    return all(entry["state"] == State.SAME.value for entry in verified)
