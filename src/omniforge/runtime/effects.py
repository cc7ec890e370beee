"""Effects as the journal tells them: intended before, recorded or failed after; never repeated by a retry."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.core.errors import NeedsHuman
from omniforge.engine.events import EventRow
from omniforge.runtime.tools.protocol import Json, Target, Tool

INTENDED, RECORDED, FAILED = "effect.intended", "effect.recorded", "effect.failed"
APPROVED = "effect.approved"
"""A person allowed one exact call that the manifest does not list."""
TYPES = (INTENDED, RECORDED, FAILED, APPROVED)
MAX_SUMMARY = 500
MAX_CONTENT = 6_000
MAX_RESULT = 4_000
"""Bytes of JSON kept in an event, which holds 16 KB."""
MAX_FIELDS = 40
MARK = "mark"
"""The argument in which a write carries what it can be found again by."""

Same = tuple[str, str]
"""Tool and digest of its arguments."""


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
        "fields": fields_of(args, target),
        "held": held,
    }


def fields_of(args: Json, target: Target | None) -> list[str]:
    """What a write fills in: the names under `fields` where there are some, else its arguments."""
    named = args.get("fields")
    if isinstance(named, Mapping):
        return sorted(str(name) for name in cast("Mapping[str, Any]", named))[:MAX_FIELDS]
    where = () if target is None else (target.resource, target.name)
    return sorted(name for name, value in args.items() if name != MARK and value not in where)[:MAX_FIELDS]


def marked(tool: Tool, args: Json, key: str) -> Json:
    """The arguments with the effect's mark, where the tool has a place for one and the script left it free.

    key: of the effect. The same effect of the same run has the same mark in every attempt.
    """
    if MARK not in tool.input_schema.get("properties", {}) or args.get(MARK) is not None:
        return args
    return {**args, MARK: "of-" + hashlib.sha256(key.encode()).hexdigest()[:32]}


def kept_result(result: Json) -> Json:
    """What a retry is given instead of a second call; `{"kept": False}` when it is too large to keep."""
    whole = len(json.dumps(result, ensure_ascii=True, default=str)) <= MAX_RESULT
    return {"kept": True, "value": result} if whole else {"kept": False}


def _short(args: Json, limit: int) -> Any:
    text = json.dumps(args, ensure_ascii=True, default=str)
    return args if len(text) <= limit else text[:limit] + "…"


@dataclass(slots=True)
class EffectHistory:
    """What earlier attempts of this step did, by tool and content, in order.

    approvals: how often a person allowed an unlisted call that was not made yet.
    """

    done: dict[Same, list[Json]] = field(default_factory=lambda: defaultdict(list))
    unknown: dict[Same, list[Json]] = field(default_factory=lambda: defaultdict(list))
    approvals: Counter[Same] = field(default_factory=Counter[Same])

    @classmethod
    def read(cls, rows: Iterable[EventRow], step: str, *, held: bool = False) -> EffectHistory:
        """From the run's effect events. held: those of a dry run, which happen in its sample data."""
        history = cls()
        open_: dict[tuple[int, str], Json] = {}
        for row in rows:
            payload: Json = json.loads(row.payload)
            if payload.get("step") != step or bool(payload.get("held")) is not held:
                continue
            if row.type == APPROVED:
                history.approvals[_same(payload)] += 1
                continue
            place = (int(payload["attempt"]), str(payload["key"]))
            match row.type:
                case "effect.intended":
                    open_[place] = payload
                    history.approvals[_same(payload)] -= bool(payload.get("granted"))
                case "effect.recorded":
                    open_.pop(place, None)
                    history.done[_same(payload)].append(payload)
                case _:
                    if not payload.get("outcome_unknown"):
                        open_.pop(place, None)
                        history.approvals[_same(payload)] += bool(payload.get("granted"))
        for payload in open_.values():
            history.doubt(payload)
        return history

    def all(self) -> Iterable[Json]:
        """Everything that happened, or may have."""
        for same in (*self.done.values(), *self.unknown.values()):
            yield from same

    def take(self, tool: Tool, args: Json) -> Json | None:
        """The result of an earlier attempt's same effect, once; None when none is known to have happened.

        `OutcomeUnknown` when its answer was not kept.
        """
        earlier = self.done.get((tool.name, digest(args)))
        if not earlier:
            return None
        effect = earlier.pop(0)
        result: Json = effect.get("result") or {}
        if result.get("kept"):
            return result["value"]
        raise stopped(effect, "It was done before, but its answer was not kept.")

    def doubtful(self, tool: Tool, args: Json) -> Json | None:
        """What is told of the same effect, when nobody knows whether it happened."""
        found = self.unknown.get((tool.name, digest(args)))
        return found[0] if found else None

    def doubt(self, payload: Json) -> None:
        """This effect may have happened: nobody does it again without looking first."""
        self.unknown[_same(payload)].append(payload)

    def settle(self, payload: Json) -> None:
        """It is known by now whether this effect happened."""
        self.unknown[_same(payload)].remove(payload)


def stopped(effect: Json, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"I stopped rather than do this twice: {effect['summary']}. {why} Look there, then run it again.",
        tool=effect["tool"],
        destination=effect["destination"],
        key=effect["key"],
    )


def _same(payload: Json) -> Same:
    return str(payload["tool"]), str(payload["content_digest"])
