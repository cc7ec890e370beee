"""Folders that other programs wrote, told apart by their files and read as a spec. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from omniforge.board.importing.documents import Source
from omniforge.board.importing.folders import backlog, kiro, spec_kit, task_master
from omniforge.board.importing.folders.notes import Folder

READERS: tuple[tuple[Callable[[Folder], bool], Callable[[Folder], Source]], ...] = (
    (task_master.knows, task_master.read),
    (backlog.knows, backlog.read),
    (spec_kit.knows, spec_kit.read),
    (kiro.knows, kiro.read),
)
_OURS = re.compile(r"(?m)^#{2,4}[ \t]+(?:REQ|TKT|TSK)-")


def read_folder(documents: Folder) -> Source | None:
    """The spec in a folder of another format; None when the documents are in ours."""
    if any(_OURS.search(text) for _, text in documents):
        return None
    for knows, read in READERS:
        if knows(documents):
            return read(documents)
    return None
