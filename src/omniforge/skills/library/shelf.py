"""Approved skills on the disk, where every tenant's names are looked up: a copy of what the tables hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from omniforge.skills import folders, place
from omniforge.skills.errors import SkillNotFound
from omniforge.skills.resolver import Root, RootKind

PUBLIC = "public-skills"
VERSIONS = ".versions"


class Shelf:
    """`root` is the folder of all skills. The newest of each skill lies open, every version beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._turn = asyncio.Lock()

    async def put(self, name: str, version: str, files: Mapping[str, bytes], *, newest: bool) -> None:
        """Lay a version down; harmless when it lies there."""
        async with self._turn:
            await asyncio.to_thread(
                _put, Root(RootKind.PUBLIC, self.root, (PUBLIC, VERSIONS, version)), name, files
            )
            if newest:
                await asyncio.to_thread(_put, self._open(), name, files)

    async def take_away(self, name: str) -> None:
        """From now on the name means nothing here; the versions stay."""
        async with self._turn:
            await asyncio.to_thread(_remove, self._open(), name)

    def _open(self) -> Root:
        return Root(RootKind.PUBLIC, self.root, (PUBLIC,))


def _put(root: Root, name: str, files: Mapping[str, bytes]) -> None:
    there = _hash_of(root, name)
    if there != folders.content_hash(files):
        place.replace(root, name, files, () if there is None else (there,))


def _remove(root: Root, name: str) -> None:
    there = _hash_of(root, name)
    if there is not None:
        place.remove(root, name, (there,))


def _hash_of(root: Root, name: str) -> str | None:
    try:
        with folders.open_folder(root.base, *root.steps) as parent:
            files = folders.read_tree(parent, name)
    except (FileNotFoundError, SkillNotFound):
        return None
    return None if files is None else folders.content_hash(files)
