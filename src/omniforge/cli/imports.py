"""Skills from outside at the command line: kept apart, looked at, and let in by an explicit yes."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.prompt import Confirm

from omniforge.cli.library import put
from omniforge.cli.local_skills import files_in, own_root, printable
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import print_json
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid, NotFound
from omniforge.engine.events import storable
from omniforge.skills import folders, lockfile, place
from omniforge.skills.findings import Weight
from omniforge.skills.intake.archives import pack
from omniforge.skills.intake.reading import Incoming, read_files, read_source
from omniforge.skills.lockfile import Locked
from omniforge.skills.resolver import Root, RootKind

WAITS = 6
MAX_READ = 64 * 1_048_576
_COLOURS = {Weight.HIGH: "red", Weight.MEDIUM: "yellow", Weight.NOTE: "dim"}


async def bring_in(
    settings: Settings, console: Console, source: str, scope: str, *, yes: bool, as_json: bool
) -> int:
    """Read a source, show what is in it, and let it in if that is said. Exit code 6: it waits."""
    found = read_from(source)
    if scope == "tenant":
        return await _bring_to_server(settings, console, source, found, yes=yes, as_json=as_json)
    personal = scope == "personal"
    quarantine = _quarantine(settings, personal=personal)
    for incoming in found:
        _put_aside(quarantine, incoming)
        if not as_json:
            show(console, incoming)
    let_in = yes or _asked(console, found, as_json=as_json)
    root = own_root(settings, personal=personal)
    if let_in:
        for incoming in found:
            _let_in(root, quarantine, incoming, source, replace=yes)
    if as_json:
        print_json({"skills": [_as_json(each, released=let_in) for each in found]})
    elif let_in:
        for incoming in found:
            console.print(f"{root.path / incoming.name}", soft_wrap=True, highlight=False)
    else:
        names = ", ".join(incoming.name for incoming in found)
        console.print(f"Kept apart and without effect: {names}. `omniforge skill release NAME` lets it in.")
    return 0 if let_in else WAITS


async def release(
    settings: Settings, console: Console, name: str, *, personal: bool, yes: bool, as_json: bool
) -> int:
    """Let in what waits in the quarantine of the project."""
    quarantine = _quarantine(settings, personal=personal)
    files = lockfile.files_at(quarantine, name)
    if files is None:
        raise NotFound(f"No imported skill {name!r} waits in {quarantine.path}.")
    incoming = read_files({f"{name}/{path}": data for path, data in files.items()}, name)[0]
    if not as_json:
        show(console, incoming)
    if not (yes or _asked(console, [incoming], as_json=as_json)):
        return WAITS
    root = own_root(settings, personal=personal)
    _let_in(root, quarantine, incoming, "quarantine", replace=yes)
    if as_json:
        print_json(_as_json(incoming, released=True))
    else:
        console.print(f"{root.path / name}", soft_wrap=True, highlight=False)
    return 0


def read_from(source: str) -> list[Incoming]:
    """The skills in a folder, an archive, a file, or (`-`) what is given on the standard input."""
    if source == "-":
        return read_source(sys.stdin.buffer.read(MAX_READ), "")
    if "://" in source:
        raise Invalid("Download it first and look at it: addresses are not imported directly.")
    path = Path(source)
    if path.is_dir():
        label = path.absolute().name
        inside = files_in(path)
        is_skill = any(name.lower() == "skill.md" for name in inside)
        return read_files(
            {f"{label}/{name}": data for name, data in inside.items()} if is_skill else inside, label
        )
    if not path.is_file():
        raise NotFound(f"There is no file or folder {source}.")
    with path.open("rb") as file:
        data = file.read(MAX_READ)
    return read_source(data, path.absolute().parent.name if path.name == "SKILL.md" else path.name)


def show(console: Console, incoming: Incoming) -> None:
    console.print(f"[bold]{incoming.name}[/bold]  {printable(incoming.document.description[:200])}")
    for key, value in incoming.foreign.items():
        console.print(f"  [dim]{printable(key)}: {printable(str(value))} (shown, not obeyed)[/dim]")
    for item in incoming.diagnostics:
        console.print(f"  [dim]SKILL.md:{item.line}: {printable(item.message)}[/dim]", highlight=False)
    for finding in incoming.findings:
        colour = _COLOURS[finding.weight]
        where = f"{finding.path}:{finding.line}"
        console.print(
            f"  [{colour}]{printable(where)}: {printable(finding.message)}[/{colour}]", highlight=False
        )
    if not incoming.findings:
        console.print("  Nothing was found that speaks against it.")


def _asked(console: Console, found: Sequence[Incoming], *, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        return False
    names = ", ".join(incoming.name for incoming in found)
    return Confirm.ask(f"Let {names} in?", console=console, default=False)


def _quarantine(settings: Settings, *, personal: bool) -> Root:
    """Beside the folder of skills, where no name is looked up."""
    root = own_root(settings, personal=personal)
    return Root(RootKind.PROJECT, root.path.parent, ("quarantine",))


def _put_aside(quarantine: Root, incoming: Incoming) -> None:
    there = lockfile.files_at(quarantine, incoming.name)
    seen = () if there is None else (folders.content_hash(there),)
    place.replace(quarantine, incoming.name, incoming.files, seen)


def _let_in(root: Root, quarantine: Root, incoming: Incoming, source: str, *, replace: bool) -> None:
    if not incoming.document.loadable:
        why = incoming.document.reason
        raise Invalid(f"The skill {incoming.name} cannot be read ({why}), so it cannot be let in.")
    version = str(incoming.foreign.get("version", ""))
    entry = Locked(version or "imported", incoming.hash, f"import of {Path(source).name or source}")
    put(root, incoming.name, dict(incoming.files), entry, replace=replace)
    shutil.rmtree(quarantine.path / incoming.name, ignore_errors=True)


async def _bring_to_server(
    settings: Settings,
    console: Console,
    source: str,
    found: Sequence[Incoming],
    *,
    yes: bool,
    as_json: bool,
) -> int:
    files = {f"{each.name}/{path}": data for each in found for path, data in each.files.items()}
    body = {"scope": "tenant", "archive": base64.b64encode(pack(files)).decode(), "label": Path(source).name}
    async with api(settings) as client:
        taken = await ask(client, "POST", "/api/v1/skills/import", json=body)
        if not as_json:
            for incoming in found:
                show(console, incoming)
        let_in = yes or _asked(console, found, as_json=as_json)
        for skill in taken["skills"] if let_in else ():
            asked = {"scope": "tenant", "hash": skill["hash"], "replace": yes}
            await ask(client, "POST", f"/api/v1/skills/{skill['name']}/release", json=asked)
    if as_json:
        print_json({**taken, "released": let_in})
    else:
        state = "let in" if let_in else "kept apart and without effect"
        console.print(f"{', '.join(each.name for each in found)}: {state}")
    return 0 if let_in else WAITS


def _as_json(incoming: Incoming, *, released: bool) -> Mapping[str, Any]:
    shown = {
        "name": incoming.name,
        "status": "released" if released else "quarantined",
        "description": incoming.document.description,
        "hash": incoming.hash,
        "diagnostics": [asdict(item) for item in incoming.diagnostics],
        "findings": [finding.as_json() for finding in incoming.findings],
        "foreign": dict(incoming.foreign),
    }
    return json.loads(storable(shown))
