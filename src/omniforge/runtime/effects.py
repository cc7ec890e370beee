"""Effects as the journal tells them: intended before, recorded or failed after; never repeated by a retry."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import NeedsHuman
from omniforge.engine.events import EventRow
from omniforge.runtime.tools.protocol import Json, Target, Tool

INTENDED, RECORDED, FAILED = "effect.intended", "effect.recorded", "effect.failed"
TYPES = (INTENDED, RECORDED, FAILED)
MAX_SUMMARY = 500
MAX_CONTENT = 6_000
MAX_RESULT = 4_000
"""Bytes of JSON kept in an event, which holds 16 KB."""


class OutcomeUnknown(NeedsHuman):
    """An effect may have happened, and doing it again could double it."""

    code = "outcome_unknown"


def digest(args: Json) -> str:
    """What makes two calls of one tool the same effect."""
    text = json.dumps(args, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def told(tool: Tool, args: Json, target: Target | None, *, number: int, key: str, held: bool) -> Json:
    """The payload of an effect's events, the same for all three."""
    return {
        "n": number,
        "key": f"{key}/{number}",
        "tool": tool.name,
        "access": tool.access.value,
        "destination": target.shown() if target else None,
        "summary": tool.summary(args)[:MAX_SUMMARY],
        "content": _short(args, MAX_CONTENT),
        "content_digest": digest(args),
        "held": held,
    }


def kept_result(result: Json) -> Json:
    """What a retry is given instead of a second call; `{"kept": False}` when it is too large to keep."""
    whole = len(json.dumps(result, ensure_ascii=True, default=str)) <= MAX_RESULT
    return {"kept": True, "value": result} if whole else {"kept": False}


def _short(args: Json, limit: int) -> Any:
    text = json.dumps(args, ensure_ascii=True, default=str)
    return args if len(text) <= limit else text[:limit] + "…"


@dataclass(slots=True)
class EffectHistory:
    """What earlier attempts of this step did, by tool and content, in order."""

    done: dict[tuple[str, str], list[Json]] = field(default_factory=lambda: defaultdict(list))
    unknown: dict[tuple[str, str], list[Json]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, rows: Iterable[EventRow], step: str) -> EffectHistory:
        """From the run's effect events."""
        history = cls()
        open_: dict[tuple[int, str], Json] = {}
        for row in rows:
            payload: Json = json.loads(row.payload)
            if payload.get("step") != step or payload.get("held"):
                continue
            place = (int(payload["attempt"]), str(payload["key"]))
            match row.type:
                case "effect.intended":
                    open_[place] = payload
                case "effect.recorded":
                    open_.pop(place, None)
                    history.done[_same(payload)].append(payload)
                case _:
                    if not payload.get("outcome_unknown"):
                        open_.pop(place, None)
        for payload in open_.values():
            history.doubt(payload)
        return history

    def places(self) -> Iterable[tuple[str, Json | None]]:
        """Tool and destination of everything that happened, or may have."""
        for same in (*self.done.values(), *self.unknown.values()):
            for payload in same:
                yield str(payload["tool"]), payload["destination"]

    def take(self, tool: Tool, args: Json) -> Json | None:
        """The result of an earlier attempt's same effect, once; None when there was none.

        `OutcomeUnknown` when it is not known whether that effect happened.
        """
        same = (tool.name, digest(args))
        if self.done.get(same):
            earlier = self.done[same].pop(0)
            result: Json = earlier.get("result") or {}
            if result.get("kept"):
                return result["value"]
            raise self._unknown(earlier, "It was done before, but its answer was not kept.")
        if self.unknown.get(same):
            raise self._unknown(
                self.unknown[same][0], "The answer was lost, so it may or may not have happened."
            )
        return None

    def _unknown(self, effect: Json, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"I stopped rather than do this twice: {effect['summary']}. {why} Look there, then run it again.",
            tool=effect["tool"],
            destination=effect["destination"],
            key=effect["key"],
        )

    def doubt(self, payload: Json) -> None:
        """This effect may have happened: nobody does it again."""
        self.unknown[_same(payload)].append(payload)


def _same(payload: Json) -> tuple[str, str]:
    return str(payload["tool"]), str(payload["content_digest"])
