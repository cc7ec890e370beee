"""Where a part works: places named before they were known, the only one there is, typed addresses. Pure."""

from __future__ import annotations

import re

from omniforge.builder.design import place_of
from omniforge.builder.happenings import opening_of
from omniforge.builder.outline import Create, Part, Place, Post, Report
from omniforge.builder.state import ConversationState, Resource
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.text import listed
from omniforge.builder.wanted import NAMED, named_places

BY_ADDRESS = frozenset({"rss", "http", "email"})
"""Services whose places are addresses that people type: there is nothing to list."""


def is_listed(state: ConversationState, service: str) -> bool:
    """Whether places are chosen from a list there. A mailbox is read by folders, and sent from by address."""
    reads = any(p.service == service and isinstance(p.does, Report) for p in state.design.parts)
    return service not in BY_ADDRESS or (service == "email" and reads)


def is_typed(part: Part) -> bool:
    return part.service in BY_ADDRESS and not (part.service == "email" and isinstance(part.does, Report))


def works_somewhere(state: ConversationState, part: Part) -> bool:
    if part.key in state.design.uses:
        return isinstance(part.does, Post)
    if is_typed(part):
        return isinstance(part.does, (Report, Post)) and part.service != "http"
    return part.service in state.resources and isinstance(part.does, (Report, Post, Create))


def typed(state: ConversationState, part: Part) -> ConversationState | None:
    """An address that was said already counts as the place."""
    given = [p for p in place_of(part) if re.search(r"@|https?://", p.name)]
    if not given:
        return None
    return put_places(state, part, tuple(Place(id=p.name, name=p.name) for p in given), "said")


def find_place(state: ConversationState, part: Part | None, service: str | None) -> ConversationState:
    """Places named before they were known; the only one there is."""
    seen = state.seen_at(service)
    names = [r.name for r in seen]
    said = place_of(part) if part else ((state.outline.starts.place,) if state.outline.starts else ())
    wanted = [place.name for place in said if place is not None and not place.id]
    told = [part.words] if part else [opening_of(message) for message in state.heard]
    if not wanted:
        wanted = [name for words in told for name in named_places(words, service)]
    hits = {i for name in wanted for i in resolve(name, names).positions}
    if not hits and not wanted:
        about = [words for words in told if words]
        messages = [*about, *state.heard] if len(state.design.parts) == 1 or not about else about
        hits = {i for message in messages for i in resolve(message, names, expected=False).positions}
    if not hits and not wanted:
        hits = {
            at for at, name in enumerate(names) if any(_is_called(name, words, service) for words in told)
        }
    if part is None or isinstance(part.does, (Post, Create)):
        hits = hits if len(hits) == 1 else set[int]()
    usual = [at for at, name in enumerate(names) if name.casefold() == "inbox"]
    only = (len(seen) == 1 and not wanted) or bool(usual and not hits and not wanted)
    if only:
        hits = {usual[0] if usual else 0}
    if not hits:
        missing = [name for name in wanted if name and seen]
        if missing:
            note = f"I can't find {listed(missing)} among what I see there."
            asked = {**state.asked, f"{part.key if part else ''}.{NAMED}": 1}
            state = state.noted(note).but(quoted=(*state.quoted, *missing), asked=asked)
            state = put_places(state, part, (), "said")
        return state
    chosen = tuple(place_at(seen[i]) for i in sorted(hits))
    state = put_places(state, part, chosen, "found" if only else "said")
    return state.noted(f"I use {listed(p.name for p in chosen)}.")


def _is_called(name: str, words: str, service: str | None) -> bool:
    """A repository by its own name without the owner's; a channel without its mark."""
    own = re.escape(name.rpartition("/")[2].lstrip("#"))
    match service:
        case "github":
            return re.search(rf"(?<![\w/-]){own}(?![\w/-])", words, re.IGNORECASE) is not None
        case "slack":
            return (
                re.search(rf"(?<![\w-]){own} channel\b|\bchannel {own}(?![\w-])", words, re.IGNORECASE)
                is not None
            )
        case _:
            return False


def place_at(resource: Resource) -> Place:
    return Place(id=resource.id, name=resource.name, kind=resource.kind)


def put_places(
    state: ConversationState, part: Part | None, chosen: tuple[Place, ...], origin: str
) -> ConversationState:
    """The state with these places for a part; for what starts the agent when there is no part."""
    if part is None:
        starts = state.outline.starts
        if starts is None:
            return state
        changed = starts.model_copy(update={"place": chosen[0] if chosen else None})
        outline = state.outline.model_copy(update={"starts": changed})
        return state.but(design=state.design.model_copy(update={"outline": outline}))
    told = "found" if origin == "found" else "default" if origin == "default" else "said"
    if isinstance(part.does, Report):
        return state.but(design=state.design.doing(part.key, told, places=chosen))
    return state.but(design=state.design.doing(part.key, told, place=chosen[0] if chosen else None))
