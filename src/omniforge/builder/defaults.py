"""Which details are still open, and what is proposed for them. Pure."""

from __future__ import annotations

import re

from omniforge.builder.design import Design, place_of
from omniforge.builder.naming import cadence
from omniforge.builder.outline import (
    Brief,
    Check,
    Compare,
    Content,
    Create,
    Extract,
    Fetch,
    Fill,
    Match,
    Part,
    Place,
    Post,
    Report,
    Summarise,
    Update,
)
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.fields import Field, find_fields
from omniforge.builder.understanding.mentions import Format
from omniforge.builder.understanding.references import is_archive
from omniforge.builder.understanding.schedule import Schedule, suggested
from omniforge.builder.understanding.text import singular, words
from omniforge.builder.wanted import is_standing

MOST_DEFAULT_FIELDS = 4
PLAIN = frozenset(("identifier", "state_type", "seen", "to", "from"))
"""Information that says nothing to a reader beside what else there is."""
AMOUNTS = ("total", "amount", "price", "sum", "value", "cost")
WIDE_SLOT = "schedule"
MOST_ASKED = 2


def asked_as(part: Part, slot: str) -> str:
    """The name under which it is counted how often a slot was asked; those of the whole agent count once."""
    return slot if slot == WIDE_SLOT else f"{part.key}.{slot}"


def open_details(  # noqa: C901 - one line for each operation
    state: ConversationState, part: Part
) -> list[str]:
    """Slots of this part, and of the whole agent, that its questions are about and nobody has filled."""
    if state.built is not None and state.built.outline.part(part.key) is not None:
        return []
    if state.built is not None and isinstance(part.does, Post) and tells_a_lot(state.design, part):
        # how much is posted is asked again of what is added: "a summary" may be meant with a link or without
        asked = state.asked.get(f"{part.key}.content", 0)
        return [] if asked or part.does.content is Content.TEXT else ["content"]
    design, key = state.design, part.key

    def unsaid(*slots: str) -> list[str]:
        return [slot for slot in slots if not design.said(f"{key}.{slot}")]

    match part.does:
        case Report():
            there = ("fields",) if state.fields_of(part) else ()
            return [*unsaid(*there, "format"), *_open_schedule(state)]
        case Brief():
            return unsaid("include")
        case Fetch(url=url):
            return [] if url else ["url"]
        case Post(content=content, text=text):
            if content is Content.TEXT:
                return [] if text else ["text"]
            if not writes_something(design, part):
                return ["text"]
            return unsaid("content") if tells_a_lot(design, part) else []
        case Extract(fields=fields):
            return [] if fields else ["fields"]
        case Create(title=title, values=values):
            return [] if title or values else unsaid("title")
        case Update(values=values):
            return [] if values else ["values"]
        case _:
            return []


def _open_schedule(state: ConversationState) -> list[str]:
    if state.design.said("schedule") or state.built is not None or state.asked.get(WIDE_SLOT, 0) > MOST_ASKED:
        return []
    return [WIDE_SLOT]


def writes_something(design: Design, part: Part) -> bool:
    """Whether an earlier part, or the event, gives this one something to tell."""
    return bool(part.needs) or design.outline.starts is not None


def tells_a_lot(design: Design, part: Part) -> bool:
    """Whether what comes before it is long enough to be posted in part."""
    long = (Report, Brief, Fetch, Summarise)
    return any(isinstance(p.does, long) for p in design.parts if p.key in _before(design, part))


def with_defaults(state: ConversationState) -> Design:
    """Every slot that is still open takes what was proposed, marked as our suggestion."""
    design = state.design
    if design.schedule is None:
        design = design.having("default", schedule=default_schedule(design))
    if design.destination is None:
        design = design.having("default", destination="inbox")
    for part in design.parts:
        values = {
            slot: value
            for slot, value in default_values(state, design, part).items()
            if not getattr(part.does, slot)
        }
        design = design.doing(part.key, "default", **values) if values else design
    return design


def default_values(state: ConversationState, design: Design, part: Part) -> dict[str, object]:
    """What is proposed for the slots of a part that nobody has filled."""
    match part.does:
        case Report():
            return {
                "fields": default_fields(state.fields_of(part)),
                "format": Format.BULLETS,
                "window": "all" if is_standing(part) else default_window(design),
            }
        case Brief():
            return {"include": all_fields(state.fields_of(part))}
        case Extract():
            return {"fields": names_used(design)}
        case Fill():
            return {"fields": extracted(design, part)}
        case Match():
            return {"by": shared_name(design), "missing": none_found(design)}
        case Compare():
            left, right = compared(design, part)
            return {"left": left, "right": right}
        case Check():
            return {"required": extracted(design, part), "known": known_values(design, part)}
        case Create():
            return {"title": "{title}" if design.outline.starts else ""}
        case _:
            return {}


def default_fields(fields: tuple[Field, ...]) -> tuple[str, ...]:
    """Those that tell how things stand; else the first ones there are."""
    useful = [
        f for f in fields if f.type not in ("title", "files", "relation", "button") and f.name not in PLAIN
    ]
    telling = find_fields("status, update, blocker, owner", useful)
    further = find_fields("priority, due", useful) if len(telling) < MOST_DEFAULT_FIELDS - 1 else []
    names = [*telling, *(name for name in further if name not in telling)]
    return tuple((names or [f.name for f in useful])[:MOST_DEFAULT_FIELDS])


def all_fields(fields: tuple[Field, ...]) -> tuple[str, ...]:
    return tuple(f.name for f in fields if f.type not in ("title", "files", "relation", "button"))


def default_schedule(design: Design) -> Schedule:
    if not any(isinstance(part.does, (Report, Fetch)) for part in design.parts):
        return Schedule(event="on_demand", origin="default", time_said=False)
    match cadence(design):
        case "daily":
            return suggested("MON-FRI")
        case "monthly":
            return Schedule(cron="0 9 1 * *", origin="default", time_said=False)
        case "quarterly":
            return Schedule(cron="0 9 1 1,4,7,10 *", origin="default", time_said=False)
        case _:
            return suggested()


def default_window(design: Design) -> str:
    spans = {"daily": "yesterday", "hourly": "today", "monthly": "last_month", "quarterly": "last_90_days"}
    return spans.get(cadence(design) or "weekly", "last_week")


def default_places(state: ConversationState, part: Part | None) -> tuple[Place, ...]:
    """For a report all of them but archives, at most two; else the first one."""
    service = state.service or (part.service if part else None)
    seen = state.seen_at(service)
    live = [r for r in seen if not is_archive(r.name)] or list(seen)
    most = 2 if part is not None and isinstance(part.does, Report) else 1
    return tuple(Place(id=r.id, name=r.name, kind=r.kind) for r in live[:most])


# --- flows over documents and records: what one step needs is told by the others ------------------


def extracted(design: Design, part: Part) -> tuple[str, ...]:
    """Fields that the extractors before a part give."""
    before = _before(design, part)
    fields = [p.does.fields for p in design.parts if isinstance(p.does, Extract) and p.key in before]
    return tuple(dict.fromkeys(name for group in fields for name in group))


def _before(design: Design, part: Part) -> set[str]:
    """Keys of everything a part needs, directly or through others."""
    found: set[str] = set()
    left = list(part.needs)
    while left:
        key = left.pop()
        if key not in found and (needed := design.outline.part(key)):
            found.add(key)
            left += needed.needs
    return found


def names_used(design: Design) -> tuple[str, ...]:
    """Names that other parts speak of: in their conditions, matches and comparisons."""
    names: list[str] = []
    for part in design.parts:
        if part.condition:
            names += _names_in(part.condition.expression)
        if isinstance(part.does, Match):
            names += part.does.by
        if isinstance(part.does, Fill):
            names += part.does.fields
        if isinstance(part.does, Compare):
            names += [singular(word) for word in words(part.words) if singular(word) in AMOUNTS]
    return tuple(dict.fromkeys(names)) or ("name", "date", "amount")


def _names_in(expression: str) -> list[str]:
    made = {
        "variance_percent",
        "difference",
        "equal",
        "left",
        "right",
        "true",
        "false",
        "null",
        "in",
        "matched",
    }
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", " ", expression)
    return [name for name in re.findall(r"(?<![\w.\"])[a-z_]\w*(?![\w.(\"])", bare) if name not in made]


def none_found(design: Design) -> str:
    sources = {part.does.source for part in design.parts if isinstance(part.does, Extract)}
    return "No PO found" if "purchase_order" in sources else "Nothing found that fits"


def shared_name(design: Design) -> tuple[str, ...]:
    """The name by which records are told apart: one that extractors share and that reads like a number."""
    groups = [part.does.fields for part in design.parts if isinstance(part.does, Extract)]
    names = [name for name in groups[0] if all(name in group for group in groups)] if groups else []
    telling = [
        n for n in names if n.endswith(("number", "_no", "_id", "order", "reference")) or n in ("po", "id")
    ]
    return tuple((telling or names)[:1])


def compared(design: Design, part: Part) -> tuple[str, str]:
    """The same amount on both sides: of what was looked up and of what was read, or of two documents."""
    readers = [p for p in design.parts if isinstance(p.does, Extract) and p.key in _before(design, part)]
    readers.sort(
        key=lambda p: isinstance(p.does, Extract) and p.does.source == "invoice"
    )  # ordered, then billed
    sides = [
        f"{p.key}.{name}" for p in readers if isinstance(p.does, Extract) and (name := _amount(p.does.fields))
    ]
    if len(sides) > 1:
        return sides[0], sides[1]
    return (sides[0], sides[0]) if sides else ("", "")


def _amount(names: tuple[str, ...]) -> str | None:
    return next((name for word in AMOUNTS for name in names if word in name), None)


def known_values(design: Design, part: Part) -> dict[str, tuple[str, ...]]:
    """Values that the branches before a check ask for: field → every value one of them is for."""
    found: dict[str, list[str]] = {}
    for key in [p.key for p in design.parts if p.key in _before(design, part)]:
        needed = design.outline.part(key)
        if needed is None or needed.condition is None:
            continue
        pairs = re.findall(r"([a-z_]\w*)\s*==\s*['\"]([^'\"]+)['\"]", needed.condition.expression)
        for name, value in pairs:
            found.setdefault(name, []).append(value)
    return {name: tuple(dict.fromkeys(values)) for name, values in found.items()}


def has_places(part: Part) -> bool:
    return bool(place_of(part)) and all(place.id for place in place_of(part))
