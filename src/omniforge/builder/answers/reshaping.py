"""Steps that go, and services that take the place of others, said at any time of a build. Pure."""

from __future__ import annotations

import re

from omniforge.builder.design import place_of
from omniforge.builder.draft import title_of
from omniforge.builder.exchange import Facts, Integration, Turn
from omniforge.builder.generation import can
from omniforge.builder.outline import Create, Part, Post, Report, Summarise, Update
from omniforge.builder.parts import free_key
from omniforge.builder.placing import place_at
from omniforge.builder.progress import advance
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding.stance import Reading, Stance
from omniforge.builder.understanding.text import has_phrase, listed
from omniforge.builder.understanding.things import things_in

CLOSED_TO = frozenset(
    {
        Pending.NONE, Pending.WISH, Pending.UPKEEP, Pending.AGENT, Pending.EDIT_WHICH, Pending.EDIT_WHAT,
        Pending.PARK, Pending.PARKED, Pending.UNSURE,
    }
)  # fmt: skip
"""Questions at which such words are about something else."""
_GOES = (
    r"(?:forget|drop|remove|skip|cancel|delete|scrap|leave out|leave off|take out|get rid of|lose|without|no|"
    r"not|don't (?:use|need|want|read|post to|send to)|do not (?:use|need|want|read))"
)
_STEP = re.compile(
    rf"\b{_GOES} (?:the )?(?:step (?:number )?(?P<n>\d)|(?P<word>first|second|third|fourth|last) step)\b",
    re.IGNORECASE,
)
_WORDS = ("first", "second", "third", "fourth")


def reshaped(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
    """The next turn when a message takes a step away or puts one service in the place of another."""
    if not state.design.parts or state.pending in CLOSED_TO or text.endswith("?"):
        return None
    named = [i for i in facts.integrations if has_phrase(text, (i.name, i.title))]
    changed = _moved_place(state, text) or _swapped(state, text, reading, named, facts)
    changed = changed or _without(state, text, named, facts)
    return advance(changed, facts) if changed is not None else None


# --- another place

_MOVES = re.compile(
    r"\b(?:instead|rather|make it|change|move|switch|use|post (?:it |them )?(?:to|in)|"
    r"send (?:it |them )?to|not)\b",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"(?<![\w&])#[\w-]+")


def _moved_place(state: ConversationState, text: str) -> ConversationState | None:
    """ "#leads instead of #urgent", "make it #leads": a message goes somewhere else."""
    said = list(dict.fromkeys(_CHANNEL.findall(text)))
    posts = [p for p in state.posts() if p.service == "slack" and place_of(p)]
    if not said or not posts or not _MOVES.search(text) or has_phrase(text, ("also", "as well", "too")):
        return None
    old = {
        name: p for p in posts for name in said if name in (place_of(p)[0].name, *_CHANNEL.findall(p.words))
    }
    new = [name for name in said if name not in old]
    moving = list(old.values()) or (posts if len(posts) == 1 else [])
    if len(new) != 1 or len(moving) != 1:
        return None
    there = next((r for r in state.seen_at("slack") if r.name == new[0]), None)
    if there is None:
        known = listed((r.name for r in state.seen_at("slack")), "or")
        return state.noted(f"I can't find {new[0]} in Slack, so nothing is changed. There is: {known}.")
    design = state.design.doing(moving[0].key, "said", place=place_at(there))
    return state.but(design=design, focus=None)


# --- one service for another ----------------------------------------------------------------------


def _swapped(
    state: ConversationState, text: str, reading: Reading, named: list[Integration], facts: Facts
) -> ConversationState | None:
    """ "Actually Linear instead of Notion", "forget Notion, use Linear"."""
    used = state.outline.services
    fresh = [i for i in named if i.name not in used]
    told = [i for i in named if i.name in used]
    replaces = reading.stance is Stance.REPLACE or has_phrase(text, ("instead", "rather than", "not"))
    adds = has_phrase(text, ("also", "as well", "too", "additionally"))
    if len(fresh) != 1 or len(told) > 1 or adds or not (replaces or (told and re.search(_GOES, text, re.I))):
        return None
    new = fresh[0]
    old = [told[0].name] if told else list(dict.fromkeys(p.service for p in state.design.parts if p.service))
    moving = [p for p in state.design.parts if p.service in old and can(p.does.operation, new.name)]
    if not moving or (not told and len({type(p.does) for p in moving}) > 1):
        return None
    if not told and len(moving) > 1:
        return None
    was = title_of(state, facts, moving[0].service)
    for part in moving:
        state = _moved(state, part, new.name, text)
    note = f"Then it is {new.title} instead of {was}. What belonged to {was} is dropped: {_dropped(moving)}."
    return state.but(focus=None, offered=()).noted(note)


def _moved(state: ConversationState, part: Part, service: str, text: str) -> ConversationState:
    """The part at another service: what depends on its place is asked for anew."""
    does = part.does
    match does:
        case Report():
            things = things_in(text, service) or things_in(part.words, service)
            does = Report(format=does.format, window=does.window, things=things)
        case Post() | Create() | Update():
            does = does.model_copy(update={"place": None})
        case _:
            pass
    kept = ("format", "window", "content", "text", "title", "values")
    origins = {
        slot: origin
        for slot, origin in state.design.origins.items()
        if not slot.startswith(f"{part.key}.") or slot.rpartition(".")[2] in kept
    }
    words = re.sub(rf"\b{re.escape(part.service or '')}\b", service, part.words, flags=re.IGNORECASE)
    design = state.design.model_copy(update={"origins": origins})
    design = design.with_part(part.model_copy(update={"does": does, "service": service, "words": words}))
    key = part.key.removeprefix(f"{part.service}-")
    design = design.renamed(part.key, free_key(f"{service}-{key}", [p.key for p in design.parts]))
    uses = {name: used for name, used in design.uses.items() if name != part.key}
    return state.but(
        design=design.model_copy(update={"uses": uses}), built=None if part.key in uses else state.built
    )


def _dropped(parts: list[Part]) -> str:
    if any(isinstance(part.does, Report) for part in parts):
        return "where it reads, which information, which entries and their order"
    return "the place"


# --- steps that go --------------------------------------------------------------------------------


def _without(
    state: ConversationState, text: str, named: list[Integration], facts: Facts
) -> ConversationState | None:
    """ "Forget the Slack part", "without Linear", "remove step 2"."""
    parts = state.design.parts
    gone: list[Part] = []
    if found := _STEP.search(text):
        word = (found["word"] or "").lower()
        at = int(found["n"]) - 1 if found["n"] else len(parts) - 1 if word == "last" else _WORDS.index(word)
        gone = [parts[at]] if 0 <= at < len(parts) else []
    else:
        for one in named:
            spelled = "|".join(re.escape(name) for name in (one.title, one.name))
            if re.search(rf"\b{_GOES} (?:[\w']+ ){{0,3}}?(?:{spelled})\b", text, re.IGNORECASE):
                gone += [part for part in parts if part.service == one.name]
    if not gone or has_phrase(text, ("instead",)):
        return None
    if len(gone) == len(parts):
        return state.noted(
            "That is all there is to do, so I keep it. Say *start over* to begin anew, or what to do instead."
        )
    titles = [title_of(state, facts, part.service) for part in gone if part.service]
    design = state.design
    for part in gone:
        design = design.without(part.key)
    for part in design.parts:  # one thing alone needs no putting together
        alone = (
            isinstance(part.does, Summarise)
            and len(part.needs) == 1
            and len(design.parts) == len(part.needs) + 1
        )
        design = design.without(part.key) if alone else design
    what = listed(dict.fromkeys(titles)) or "that step"
    return state.but(design=design, focus=None).noted(f"Then without {what}.")
