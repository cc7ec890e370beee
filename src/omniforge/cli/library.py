"""The public library from the command line: search it, put a skill of it into a project, publish one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from omniforge.cli.local_skills import files_in, own_root, printable
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import print_json
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.skills import folders, lockfile, place
from omniforge.skills.document import SKILL_FILE, load
from omniforge.skills.intake.risks import risks
from omniforge.skills.lockfile import Locked
from omniforge.skills.resolver import Root
from omniforge.skills.schemas import SkillFile

LIBRARY = "/api/v1/library/skills"


async def search(settings: Settings, console: Console, query: dict[str, str], *, as_json: bool) -> None:
    given = {name: value for name, value in query.items() if value}
    async with api(settings) as client:
        found = await ask(client, "GET", LIBRARY, params={**given, "limit": 50})
    if as_json:
        print_json(found)
        return
    if not found["skills"]:
        console.print("Nothing in the library fits. Fewer words find more.")
        return
    table = Table("name", "version", "what it does", "author", "uses", "rating", "needs")
    for skill in found["skills"]:
        table.add_row(
            printable(skill["name"]),
            skill["latest_version"],
            printable(skill["description"]),
            printable(skill["author_name"]),
            str(skill["usage_count"]),
            f"{skill['rating_avg']:.1f}" if skill["rating_count"] else "",
            printable(", ".join(skill["integrations"])),
        )
    console.print(table)


async def install(
    settings: Settings, console: Console, wanted: str, *, personal: bool, replace: bool, as_json: bool
) -> None:
    """`NAME` or `NAME@VERSION` into the project, its version and hash into the lock file."""
    name, _, version = wanted.partition("@")
    async with api(settings) as client:
        path = f"{LIBRARY}/{name}/download"
        got = await ask(client, "GET", path, params={"version": version or "latest"})
    files = {file.path: file.data() for file in (SkillFile.model_validate(each) for each in got["files"])}
    if folders.content_hash(files) != got["hash"]:
        message = f"What arrived as {name} is not what the library says it sent. Nothing was installed."
        raise Invalid(message, code="skill_damaged")
    root = own_root(settings, personal=personal)
    entry = Locked(got["version"], got["hash"], f"library by {got['author_name']}")
    put(root, got["name"], files, entry, replace=replace)
    where = root.path / got["name"]
    if as_json:
        print_json({"name": got["name"], "version": got["version"], "hash": got["hash"], "path": str(where)})
        return
    terms = f", {got['license']}" if got["license"] else ""
    console.print(f"{got['name']} {got['version']} by {printable(got['author_name'])}{printable(terms)}")
    for finding in risks(files):
        place_ = f"{finding.path}:{finding.line}"
        console.print(f"[dim]{printable(place_)}: {printable(finding.message)}[/dim]", highlight=False)
    console.print(f"{where}", soft_wrap=True, highlight=False)


def put(root: Root, name: str, files: dict[str, bytes], entry: Locked, *, replace: bool) -> None:
    """Write a folder and its line in the lock file; what was changed there is only replaced when asked."""
    path = lockfile.lock_of(root)
    locks = lockfile.read(path)
    there = lockfile.files_at(root, name)
    if there is not None and not replace:
        before = locks.get(name)
        if before is None or folders.content_hash(there) != before.sha256:
            raise Conflict(
                f"There is a skill {name} in {root.path} that was made or changed here; --yes replaces it.",
                code="already_exists",
            )
    folders.check_files(files)
    place.replace(root, name, files, () if there is None else (folders.content_hash(there),))
    lockfile.write(path, {**locks, name: entry})


async def publish(
    settings: Settings,
    console: Console,
    path: Path,
    given: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Send the folder. given: version, changelog, category, and names that must not be in it."""
    folder = path.parent if path.name == SKILL_FILE else path
    if not (folder / SKILL_FILE).is_file():
        raise NotFound(f"There is no {SKILL_FILE} in {folder}.")
    files = files_in(folder)
    content = files.pop(SKILL_FILE)
    body: dict[str, Any] = {
        "name": load(content).name or folder.absolute().name,
        **{name: value for name, value in given.items() if value is not None},
        "content": content.decode("utf-8", "replace"),
        "files": [SkillFile.of(path, data).model_dump() for path, data in files.items()],
    }
    async with api(settings) as client:
        made = await ask(client, "POST", LIBRARY, json=body)
    if as_json:
        print_json(made)
        return
    console.print(f"{made['name']} {made['version']['version']} waits to be approved.", highlight=False)
    for reason in made["version"]["breaking_reasons"]:
        console.print(f"[yellow]It may break agents that use it: {printable(reason)}[/yellow]")
    for changed in made["anonymised"]:
        console.print(f"[dim]{printable(changed)}: its values were taken out.[/dim]")


async def decide(
    settings: Settings, console: Console, verb: str, name: str, *, reason: str, version: str | None
) -> None:
    """approve, reject or archive."""
    body: dict[str, Any] = {"reason": reason, "version": version}
    async with api(settings) as client:
        made = await ask(client, "POST", f"{LIBRARY}/{name}/{verb}", json=body)
    console.print(f"{made['name']}: {made['status']}", highlight=False)
