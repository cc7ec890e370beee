"""Rules over what the work of a ticket changed."""

from __future__ import annotations

import asyncio

from omniforge.board.rules.base import Json, Tree, Verdict
from omniforge.board.rules.globs import Globs
from omniforge.board.rules.patterns import TooSlow, first_match

SHOWN = 200


async def forbidden_pattern(tree: Tree, params: Json) -> Verdict:
    """params: patterns[]. Only lines that the work added are looked at."""
    lines = await tree.added_lines()
    try:
        found = await asyncio.to_thread(first_match, params["patterns"], lines)
    except TooSlow as slow:
        detail = f"The pattern {str(slow)[:SHOWN]!r} takes too long on these lines, so nothing is shown."
        return Verdict(passed=False, detail=detail)
    except ValueError as flaw:
        return Verdict(passed=False, detail=str(flaw)[:SHOWN])
    if found is None:
        return Verdict(passed=True, detail="No added line matches a forbidden pattern.")
    pattern, path, line = found
    detail = f"{path[:SHOWN]}: {line.strip()[:SHOWN]!r} matches {pattern[:SHOWN]!r}."
    return Verdict(passed=False, detail=detail)


async def protected_path(tree: Tree, params: Json) -> Verdict:
    """params: globs[], as in a .gitignore: what they name, and everything in folders they name."""
    touched = await asyncio.to_thread(Globs(params["globs"]).among, await tree.changed_paths())
    if not touched:
        return Verdict(passed=True, detail="No protected path was touched.")
    more = f" and {len(touched) - 5} more" if len(touched) > 5 else ""
    return Verdict(passed=False, detail=f"Touched: {', '.join(touched[:5])}{more}.")
