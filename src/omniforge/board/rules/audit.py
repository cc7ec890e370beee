"""The audit of dependencies: which command it is for a tree. It is run as every command of a gate is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from omniforge.board.rules.base import Tree, Verdict
from omniforge.board.rules.dependencies import declared
from omniforge.board.rules.manifests import (
    Ecosystem,
    Manifest,
    Package,
    Unreadable,
    is_lock_file,
    plain_name,
)

NO_AUDITOR = 127
"""Exit code of an audit that nobody could make: it says so, and fails."""
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
_NPM_PLACE = "--registry=https://registry.npmjs.org/ --include=dev --include=optional --include=peer"

Found = dict[str, tuple[Manifest, list[Package]]]


async def has_lock_file(tree: Tree) -> bool:
    """Whether the tree fixes its dependencies anywhere. A broken file counts: the audit looks at it."""
    try:
        return bool(locks_of(await declared(tree)))
    except Unreadable:
        return True


async def audit_command(tree: Tree, severity: str, own: str | None = None) -> str | Verdict:
    """A shell command that ends with 0 only when every lock file was audited and nothing at or above
    `severity` was found. `own`: the auditor of this installation, run instead. A verdict: nothing to run."""
    try:
        locks = locks_of(await declared(tree))
    except Unreadable as flaw:
        return Verdict(passed=False, detail=f"{flaw}, so its dependencies cannot be audited.")
    if not locks:
        return Verdict(passed=True, detail="There is no lock file, so no dependency is fixed.")
    if own is not None:
        return own
    return "\n".join(["set -u", *_python(locks), *_node(locks, severity), *_others(locks)])


def locks_of(found: Found) -> Found:
    return {
        path: (kind, packages) for path, (kind, packages) in found.items() if is_lock_file(kind, packages)
    }


def _python(locks: Found) -> list[str]:
    """pip-audit over everything that Python lock files fix. It tells no severity, so all of it counts."""
    mine = [packages for kind, packages in locks.values() if kind.ecosystem is Ecosystem.PYTHON]
    fixed = sorted(
        {
            f"{plain_name(package.name)}=={package.version}"
            for packages in mine
            for package in packages
            if package.version and _VERSION.fullmatch(package.version)
        }
    )
    if not fixed:
        return []
    lines = " ".join(shlex.quote(one) for one in fixed)
    return [
        _needs("pip-audit", Ecosystem.PYTHON),
        'list="$(mktemp)"',
        f"printf '%s\\n' {lines} > \"$list\"",
        'pip-audit --strict --disable-pip --no-deps --progress-spinner off -r "$list" || exit 1',
    ]


def _node(locks: Found, severity: str) -> list[str]:
    """npm audit over copies, so that no settings of the tree reach it."""
    lines: list[str] = []
    for path in locks:
        at = PurePosixPath(path)
        if at.name not in _NPM_LOCKS:
            continue
        copies = " ".join(shlex.quote(f"./{at.with_name(name)}") for name in ("package.json", at.name))
        command = f"npm audit --package-lock-only --audit-level={severity} {_NPM_PLACE}"
        lines += [
            'place="$(mktemp -d)"',
            f'cp {copies} "$place"/ || exit {NO_AUDITOR}',
            f'(cd "$place" && HOME="$place" {command}) || exit 1',
        ]
    return [_needs("npm", Ecosystem.NODE), *lines] if lines else []


def _others(locks: Found) -> list[str]:
    """Lock files that nobody here can audit."""
    known = (*_NPM_LOCKS,)
    left = [
        path
        for path, (kind, _) in locks.items()
        if kind.ecosystem is not Ecosystem.PYTHON and PurePosixPath(path).name not in known
    ]
    return [_refusal(f"No auditor is known for {', '.join(sorted(left)[:5])}.")] if left else []


def _needs(program: str, ecosystem: Ecosystem) -> str:
    why = f"No auditor for {ecosystem} packages: {program} is not in the check sandbox."
    return f"command -v {program} >/dev/null 2>&1 || {{ {_refusal(why)}; }}"


def _refusal(why: str) -> str:
    return f"echo {shlex.quote(why)}; exit {NO_AUDITOR}"


def said_plainly(exit_code: int, tail: str, seen: Sequence[str] = ()) -> str:
    """What came of an audit, in one sentence."""
    if exit_code == 0:
        return "The audit of the lock files reports nothing that counts."
    last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
    if exit_code == NO_AUDITOR:
        return last or "No auditor is available, so nothing is shown."
    return "The audit of the lock files reports problems, or could not be made: see its output."
