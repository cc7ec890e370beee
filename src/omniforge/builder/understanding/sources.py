"""What has to be at hand before something is done with it."""

from __future__ import annotations

import re
from dataclasses import replace

from omniforge.builder.understanding.gathering import fetched, reports
from omniforge.builder.understanding.pieces import CHATS, Action, Piece

_NAMED_BASE = re.compile(
    r"\b(?:from|in|through|on|of) (?:the |our |my )?(?:[A-Z][\w&-]*\s){1,4}(?:database|board|list|table|"
    r"sheet)\b"
)


def read_first(piece: Piece) -> list[Action]:
    """What is read for an operation on data that lie elsewhere ("convert the invoices in Notion")."""
    if piece.around.held.of_kind("u", piece.rest) and not piece.around.before:
        return fetched(piece) or []
    reads = [m for m in piece.mentions if m.source is not False and m.service not in CHATS]
    if (
        not piece.around.before
        and not piece.around.triggered
        and re.search(r"\b(?:in|from) (?:the )?#", piece.rest)
    ):
        return [Action("report", "slack", object=piece.about, place=piece.place)]
    named = None if piece.around.before else _NAMED_BASE.search(piece.rest)
    return reports(replace(piece, mentions=reads[:1], rest="")) if reads or named else []


def filled(piece: Piece) -> list[Action]:
    return [Action("fill", object=re.sub(r"^(?:in|out|up)\b\s*", "", piece.about))]
