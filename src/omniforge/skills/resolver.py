"""Finds a skill by its name over an ordered list of roots; the first root that has it wins wholly."""

from __future__ import annotations

import difflib
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from omniforge.core.errors import Conflict
from omniforge.skills import folders
from omniforge.skills.document import NAME, SKILL_FILE, Diagnostic, Document, Severity, load
from omniforge.skills.errors import SkillNotFound

REFRESH_SECONDS = 60.0
MAX_NAME = 64


class RootKind(StrEnum):
    AGENT = "agent"
    TENANT = "tenant"
    PUBLIC = "public"
    GLOBAL = "global"
    PROJECT = "project"
    PERSONAL = "personal"
    BUNDLED = "bundled"


class Source(StrEnum):
    """Where a reference looks: `custom` passes over public skills, `public` sees nothing else."""

    CUSTOM = "custom"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Root:
    """A folder of skills: `base` is trusted as it is, below it `steps` lead on and no link is followed."""

    kind: RootKind
    base: Path
    steps: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.base.joinpath(*self.steps)


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill that was found. `base` is the folder its relative paths start from."""

    name: str
    root: Root
    path: Path
    document: Document
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def is_flat(self) -> bool:
        return self.path.name != SKILL_FILE

    @property
    def base(self) -> Path:
        return self.path.parent

    @property
    def description(self) -> str:
        return self.document.description


def platform_ladder(library: Path, shipped: Path, tenant_id: str, agent_id: str | None) -> list[Root]:
    """Agent, tenant, public, global. The ids were validated by the caller."""
    roots = [
        Root(RootKind.TENANT, library, ("tenants", tenant_id, "skills")),
        Root(RootKind.PUBLIC, library, ("public-skills",)),
        Root(RootKind.GLOBAL, shipped),
    ]
    if agent_id is not None:
        roots.insert(0, Root(RootKind.AGENT, library, ("tenants", tenant_id, "agents", agent_id, "skills")))
    return roots


def local_ladder(project: Path, home: Path, shipped: Path) -> list[Root]:
    """Project (ours before Claude Code's), personal, installed public ones, bundled."""
    return [
        Root(RootKind.PROJECT, project, (".omniforge", "skills")),
        Root(RootKind.PROJECT, project, (".claude", "skills")),
        Root(RootKind.PERSONAL, home / "skills"),
        Root(RootKind.PUBLIC, home / "skills", ("public-skills",)),
        Root(RootKind.BUNDLED, shipped),
    ]


def is_searched(kind: RootKind, source: Source | str | None) -> bool:
    if source is None:
        return True
    is_public = kind in {RootKind.PUBLIC, RootKind.BUNDLED}
    match Source(source):
        case Source.PUBLIC:
            return is_public
        case Source.CUSTOM:
            return kind is not RootKind.PUBLIC


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one file looked like when it was read."""

    stamp: tuple[int, int, int]
    document: Document


@dataclass(slots=True)
class _Listing:
    at: float
    entries: dict[Path, _Entry] = field(default_factory=dict[Path, _Entry])
    by_name: dict[str, list[Path]] = field(default_factory=dict[str, list[Path]])


class SkillIndex:
    """What the roots hold, kept by size and time of change; looked at again at most once a minute."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._listings: dict[Root, _Listing] = {}
        self._lock = threading.Lock()

    def listing(self, root: Root, *, force: bool = False) -> Mapping[str, Sequence[Skill]]:
        """Every candidate of each name, best first, unloadable ones last."""
        known = self._known(root, force=force)
        return {name: _ranked(root, name, known) for name in known.by_name}

    def candidates(self, root: Root, name: str, *, force: bool = False) -> Sequence[Skill]:
        return _ranked(root, name, self._known(root, force=force))

    def _known(self, root: Root, *, force: bool) -> _Listing:
        with self._lock:
            known = self._listings.get(root)
            if known is None or force or self._monotonic() - known.at >= REFRESH_SECONDS:
                known = self._listings[root] = self._refresh(root, known)
            return known

    def _refresh(self, root: Root, known: _Listing | None) -> _Listing:
        listing = _Listing(self._monotonic())
        try:
            with folders.open_folder(root.base, *root.steps) as folder:
                for entry in sorted(os.listdir(folder)):
                    if not entry.startswith("."):
                        _look_at(folder, root.path / entry, listing, known)
        except (FileNotFoundError, NotADirectoryError, PermissionError, Conflict):
            return _Listing(listing.at)
        return listing


def _look_at(folder: int, place: Path, listing: _Listing, known: _Listing | None) -> None:
    """Read one entry of a root, if it is a skill that changed since."""
    entry = place.name
    try:
        is_folder = stat.S_ISDIR(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode)
        name, path = (entry, place / SKILL_FILE) if is_folder else (entry[:-3], place)
        if not is_folder and not (entry.endswith(".md") and NAME.fullmatch(name)):
            return
        if is_folder:
            with folders.opened(entry, folder) as inner:
                found = _read(inner, SKILL_FILE, name, known.entries.get(path) if known else None)
        else:
            found = _read(folder, entry, name, known.entries.get(path) if known else None)
    except (OSError, Conflict):
        return  # it went away, or became a link, while we looked
    if found is not None:
        listing.entries[path] = found
        listing.by_name.setdefault(name, []).append(path)


def _read(folder: int, file: str, name: str, known: _Entry | None) -> _Entry | None:
    info = os.stat(file, dir_fd=folder, follow_symlinks=False)
    stamp = (info.st_size, info.st_mtime_ns, info.st_ino)
    if known is not None and known.stamp == stamp:
        return known
    data = folders.read_file_at(folder, file)
    return None if data is None else _Entry(stamp, load(data, folder=name))


def _ranked(root: Root, name: str, listing: _Listing) -> list[Skill]:
    """Higher priority first; then the folder form, then path order."""
    paths = listing.by_name.get(name, ())
    found = [Skill(name, root, path, listing.entries[path].document) for path in paths]
    return sorted(
        found,
        key=lambda skill: (
            not skill.document.loadable,
            -skill.document.priority,
            skill.is_flat,
            str(skill.path),
        ),
    )


def resolve(
    name: str,
    roots: Sequence[Root],
    *,
    source: Source | str | None = None,
    index: SkillIndex | None = None,
    force: bool = False,
) -> Skill:
    """The one skill a name means, or `SkillNotFound`. Nothing of lower roots is merged into it.

    Its diagnostics say which files were passed over: `duplicate_name`, `unloadable`.
    """
    index = index or SkillIndex()
    searched = [root for root in roots if is_searched(root.kind, source)]
    passed: list[Skill] = []
    for root in searched:
        candidates = index.candidates(root, name, force=force)
        good = [skill for skill in candidates if skill.document.loadable]
        if good:
            winner = good[0]
            notes = [_duplicate(winner, other) for other in good[1:]]
            passed += candidates[len(good) :]
            notes += [_unloadable(other, winner) for other in passed]
            return Skill(name, root, winner.path, winner.document, tuple(notes))
        passed += candidates
    names = {found for root in searched for found in _loadable_names(index, root)}
    near = difflib.get_close_matches(name[:MAX_NAME], sorted(names), n=3, cutoff=0.6)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    damaged = [{"file": str(skill.path.name), "reason": skill.document.reason} for skill in passed]
    broken = (
        f" There is a file of that name, but it cannot be read: {damaged[0]['reason']}." if damaged else ""
    )
    message = f"There is no skill {name[:MAX_NAME]!r}.{broken}{hint}"
    raise SkillNotFound(message, name=name[:MAX_NAME], near=near, unloadable=damaged)


def resolvable(
    roots: Sequence[Root],
    *,
    source: Source | str | None = None,
    index: SkillIndex | None = None,
    force: bool = False,
) -> list[Skill]:
    """What `resolve` would find for every name, in the order of names."""
    index = index or SkillIndex()
    found: dict[str, Skill] = {}
    for root in roots:
        if is_searched(root.kind, source):
            for name, candidates in index.listing(root, force=force).items():
                if candidates[0].document.loadable:
                    found.setdefault(name, candidates[0])
    return [found[name] for name in sorted(found)]


def _loadable_names(index: SkillIndex, root: Root) -> list[str]:
    return [name for name, found in index.listing(root).items() if found[0].document.loadable]


def _duplicate(winner: Skill, other: Skill) -> Diagnostic:
    message = f"{other.path.name} has the same name; {winner.path.parent.name}/{winner.path.name} is used."
    return Diagnostic("duplicate_name", "name", 1, message, Severity.WARNING)


def _unloadable(other: Skill, winner: Skill) -> Diagnostic:
    message = (
        f"The one in the {other.root.kind} root cannot be read ({other.document.reason}); "
        f"the one in the {winner.root.kind} root is used."
    )
    return Diagnostic("unloadable", "file", 1, message, Severity.WARNING)
