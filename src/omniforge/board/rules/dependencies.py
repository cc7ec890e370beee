"""Rules over what a tree depends on."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase

from omniforge.board.rules.base import Json, Tree, Verdict
from omniforge.board.rules.manifests import (
    Manifest,
    Package,
    Unreadable,
    manifest_of,
    plain_name,
    read_packages,
)


async def declared(tree: Tree) -> dict[str, tuple[Manifest, list[Package]]]:
    """Every manifest and lock file of a tree with what it declares; `Unreadable` for one that is broken."""
    found: dict[str, tuple[Manifest, list[Package]]] = {}
    for path in await tree.files():
        if (manifest := manifest_of(path)) is None or (data := await tree.file(path)) is None:
            continue
        found[path] = (manifest, await asyncio.to_thread(read_packages, manifest, path, data))
    return found


async def blocked_dependency(tree: Tree, params: Json) -> Verdict:
    """params: names[], `*` for any part of one. Neither a manifest nor a lock file may name any of them."""
    try:
        found = await declared(tree)
    except Unreadable as flaw:
        return Verdict(passed=False, detail=f"{flaw}, so nobody knows what it declares.")
    blocked = [plain_name(name) for name in params["names"]]
    for path, (_, packages) in found.items():
        for package in packages:
            if any(fnmatchcase(plain_name(package.name), name) for name in blocked):
                return Verdict(passed=False, detail=f"{path} declares {package.name}, which is blocked.")
    read = ", ".join(list(found)[:5]) or "there is no manifest"
    return Verdict(passed=True, detail=f"No blocked package is declared (read: {read}).")
