"""A small web service of sample data: lists at any address, things that are made there and found again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx

from omniforge.core.clock import rfc3339

FIXTURES = Path(__file__).parent / "fixtures"

Json = dict[str, Any]


def transport(
    now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """Any host answers with the sample items of `fixtures/items.json`."""
    raw: list[Json] = json.loads((FIXTURES / "items.json").read_text(encoding="utf-8"))
    items = [
        {**item, "updated_at": rfc3339(now - timedelta(days=number + 1))} for number, item in enumerate(raw)
    ]
    return httpx.MockTransport(_Places([] if empty else items).answer)


class _Places:
    def __init__(self, items: list[Json]) -> None:
        self._items = items
        self._places: dict[str, Any] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        place = f"{request.url.host}{request.url.path.rstrip('/')}"
        body: Any = json.loads(request.content) if request.content else None
        match request.method:
            case "GET" | "HEAD":
                return self._read(place)
            case "POST":
                return self._make(place, body, request.headers.get("idempotency-key"))
            case "DELETE":
                self._places[place] = None
                return httpx.Response(204)
            case _:
                old = self._known(place) if request.method == "PATCH" else None
                both = isinstance(old, dict) and isinstance(body, dict)
                merged = cast("Any", {**cast("Json", old), **cast("Json", body)} if both else body)
                self._places[place] = merged
                return httpx.Response(200, json=merged)

    def _read(self, place: str) -> httpx.Response:
        found = self._known(place)
        if found is None:
            return httpx.Response(404, json={"message": "Nothing is here."})
        return httpx.Response(200, json=found)

    def _known(self, place: str) -> Any:
        """What was put there, a sample item by its id, or the list; None for the id of nothing."""
        if place in self._places:
            return self._places[place]
        last = place.rpartition("/")[2]
        for item in self._items:
            if item["id"] == last:
                return item
        is_id = any(char.isdigit() for char in last) and "/" in place
        return None if is_id else {"items": self._items, "sample": True}

    def _make(self, place: str, body: Any, key: str | None) -> httpx.Response:
        given: Json = dict(cast("Json", body)) if isinstance(body, dict) else {"content": body}
        thing = {"id": str(given.get("id") or key or f"sample-{len(self._places) + 1}"), **given}
        self._places[f"{place}/{thing['id']}"] = thing
        return httpx.Response(201, json=thing)
