"""Reading what is sent to a local server, and cutting what it answers into pages. No state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from starlette.requests import Request

from omniforge.integrations.standin.state import Json

T = TypeVar("T")


async def read_object(request: Request) -> Json | None:
    """The JSON object or form of a body, `{}` for none at all, and None for what is neither."""
    body = await request.body()
    if not body:
        return {}
    if is_form(request):
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    return await read_json(request)


async def read_json(request: Request) -> Json | None:
    """The JSON object of a body, whatever it is said to be; None for anything else."""
    try:
        parsed: Any = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return cast("Json", parsed) if isinstance(parsed, dict) else None


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def part_after(
    results: Sequence[T], cursor: str | None, count: int, prefix: str = "cursor-"
) -> tuple[list[T], str | None]:
    """`count` results from an opaque cursor on, and the next cursor; ValueError for one never given out."""
    start = int(cursor.removeprefix(prefix), 16) if cursor else 0
    if start < 0 or (start and (start >= len(results) or not str(cursor).startswith(prefix))):
        raise ValueError("no such cursor")
    end = start + count
    return list(results[start:end]), f"{prefix}{end:x}" if end < len(results) else None


def page_number(results: Sequence[T], page: int, count: int) -> tuple[list[T], int]:
    """Page 1, 2, … of `count` results each, and the number of the last page."""
    last = max(-(-len(results) // count), 1)
    return list(results[(page - 1) * count : page * count]), last
