"""Answers about what the agent shall do, up to the yes that creates it. Pure."""

from __future__ import annotations

import re

from omniforge.builder import wording as say
from omniforge.builder.answers.intake import answer_change, hear, read_update, take_in
from omniforge.builder.defaults import asked_as, default_places, default_values, open_details
from omniforge.builder.draft import known
from omniforge.builder.exchange import Facts, Turn
from omniforge.builder.outline import Brief, Content, Extract, Fetch, Part, Place, Post, Report
from omniforge.builder.parts import names_in, values_in
from omniforge.builder.placing import place_at, put_places
from omniforge.builder.progress import advance, create
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding.mentions import Format
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.schedule import Schedule, Unclear, read_schedule
from omniforge.builder.understanding.slots import read_slots
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.understanding.text import has_phrase, listed
from omniforge.builder.wanted import NAMED

LEFT_TO_US = (
    "you choose",
    "you decide",
    "you pick",
    "whatever",
    "skip",
    "up to you",
    "default",
    "defaults",
    "your choice",
    "the rest",
)
_CONTENTS = (
    (Content.SUMMARY_AND_LINK, ("link", "summary and link", "summary with a link")),
    (Content.SUMMARY, ("summary", "short", "shortened", "brief")),
    (Content.FULL, ("everything", "all of it", "full", "whole", "the whole report", "complete")),
)


def answer_resources(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """Which of the places listed a part works with, or what starts the agent happens in."""
    part = state.outline.part(state.focus or "")
    many = part is not None and isinstance(part.does, Report)
    names = [item.name for item in state.last_list]
    missed = f"{part.key if part else ''}.{NAMED}" in state.asked
    if missed and reading.stance is Stance.YES:
        return pose(state.noted("The one you named isn't there, so I take none without your word."), facts)
    if reading.stance in (Stance.DELEGATE, Stance.YES):
        chosen = default_places(state, part)
        state = state.noted(f"I take {listed(s.name for s in chosen)}.")
        return advance(put_places(state, part, chosen, "default"), facts)
    picked = resolve(text.partition(" with ")[0] if " with " in text else text, names)
    if not picked.positions:
        picked = resolve(text, names)
    if picked.positions and (many or len(picked.positions) == 1):
        seen = {r.id: r for r in state.seen_at(state.service)}
        items = [state.last_list[i] for i in picked.positions]
        chosen = tuple(
            place_at(seen[item.id]) if item.id in seen else Place(id=item.id, name=item.name)
            for item in items
        )
        focus = state.focus
        state = hear(state, text, reading, facts).but(focus=focus)
        return advance(put_places(state, part, chosen, "said").but(pending=Pending.RESOURCES), facts)
    if picked.positions:
        return pose(state.noted("I need one of them. Which one?"), facts)
    before = state.design
    state = hear(state, text, reading, facts)
    if state.design != before or state.notes:
        return pose(state.but(pending=Pending.RESOURCES), facts)
    near = f" Did you mean {listed(picked.close, 'or')}?" if picked.close else ""
    return pose(state.noted(f"I couldn't tell which of them you mean.{near}"), facts)


def answer_address(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """An address that somebody types: of a page, a feed, a person."""
    part = state.outline.part(state.focus or "")
    url = re.search(r"https?://[^\s<>\"']+", text)
    mail = re.search(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", text)
    if part is not None and isinstance(part.does, Fetch) and url:
        return advance(
            state.but(design=state.design.doing(part.key, "said", url=url.group().rstrip(".,;)"))), facts
        )
    found = url or mail
    if part is not None and found is not None:
        place = Place(id=found.group().rstrip(".,;)"), name=found.group().rstrip(".,;)"))
        return advance(put_places(state, part, (place,), "said"), facts)
    return pose(state.noted("I need the whole address."), facts)


def answer_content(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """How much of the result is posted: A everything, B a summary, C a summary with a link."""
    part = state.outline.part(state.focus or "")
    options = (Content.FULL, Content.SUMMARY, Content.SUMMARY_AND_LINK)
    chosen: Content | None = None
    if reading.choice and 1 <= reading.choice <= len(options):
        chosen = options[reading.choice - 1]
    elif reading.stance in (Stance.YES, Stance.DELEGATE):
        chosen = part.does.content if part is not None and isinstance(part.does, Post) else Content.FULL
    else:
        chosen = next((content for content, said in _CONTENTS if has_phrase(text, said)), None)
    if part is None or chosen is None:
        return pose(state.noted("Please say A, B or C."), facts)
    return advance(state.but(design=state.design.doing(part.key, "said", content=chosen)), facts)


def answer_values(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """What a message says, what an entry is called, what is set in it."""
    part = state.outline.part(state.focus or "")
    if part is None:
        return advance(state, facts)
    slot = (open_details(state, part) or ["text"])[0]
    ours = reading.stance in (Stance.YES, Stance.DELEGATE)
    if isinstance(part.does, Post):
        said = "Done." if ours else _unquoted(text)
        values: dict[str, object] = {"content": Content.TEXT, "text": said}
    elif slot == "title":
        values = {"title": "{title}" if ours else _unquoted(text)}
    else:
        found = values_in(text)
        if not found:
            return pose(state.noted("I couldn't tell what to set. For example: *set Status to Done*."), facts)
        values = {"values": found}
    return advance(
        state.but(design=state.design.doing(part.key, "default" if ours else "said", **values)), facts
    )


def _unquoted(text: str) -> str:
    quoted = re.search(r"[\"']([^\"']{1,2000})[\"']", text)
    return quoted[1] if quoted else text.strip()


def answer_details(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    part = state.outline.part(state.focus or "") or state.part
    if part is not None and isinstance(part.does, Extract):
        return _answer_names(state, part, text, reading, facts)
    update = read_update(state, text, reading, facts)
    left_to_us = reading.stance in (Stance.DELEGATE, Stance.YES) or has_phrase(text, LEFT_TO_US)
    if left_to_us and part is not None and not any(p.unclear for p in update.problems):
        state = take_in(state, update, facts, text)
        said = {
            "fields": "the information",
            "format": "the format",
            "schedule": "the time",
            "include": "what is in it",
        }
        taken = [said[s] for s in open_details(state, part) if s in said]
        state = _settled(state, part)
        if isinstance(part.does, Report):  # "you choose" holds for all of them
            for other in state.design.parts:
                state = _settled(state, other) if isinstance(other.does, Report) else state
        return advance(state.noted(f"I take my suggestion for {listed(taken)}." if taken else ""), facts)
    whole = (
        part is not None
        and isinstance(part.does, Brief)
        and has_phrase(text, ("all of it", "everything", "all", "all of that"))
    )
    if whole and part is not None:
        state = take_in(state, update, facts, text)
        return advance(_settled(state, part), facts)
    if not update.touched and not update.problems:
        return pose(
            state.noted(
                f"{say.NOT_UNDERSTOOD} For example: *status and owner, as bullets, every Monday at 8:30*.",
            ),
            facts,
        )
    state = take_in(state, update, facts, text)
    if update.problems and not update.touched:
        return pose(state, facts)
    if "format" in update.touched:
        state = _all_alike(state, update.slots.format)
    if part is not None and isinstance(part.does, Brief):
        state = _settled(state, part)
    return pose(state, facts) if state.pending is Pending.OFFER else advance(state, facts)


def _all_alike(state: ConversationState, said: Format | None) -> ConversationState:
    """Reports for which no format was said look like the one for which it was."""
    design = state.design
    for part in design.parts:
        if isinstance(part.does, Report) and part.does.format is None:
            design = design.doing(part.key, "derived", format=said)
    return state.but(design=design)


def _settled(state: ConversationState, part: Part) -> ConversationState:
    """The questions of a part are over: what is still open takes what was proposed."""
    asked = {**state.asked, **{asked_as(part, slot): 9 for slot in open_details(state, part)}}
    return state.but(asked=asked)


def _answer_names(state: ConversationState, part: Part, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance in (Stance.DELEGATE, Stance.YES) or has_phrase(text, LEFT_TO_US):
        names = default_values(state, state.design, part)["fields"]
        return advance(state.but(design=state.design.doing(part.key, "default", fields=names)), facts)
    names = names_in(re.sub(r"^.*?\b(?:read|extract|need|want|take|get)\b", " ", text, flags=re.IGNORECASE))
    if not names:
        return pose(
            state.noted("I couldn't tell the names. For example: *policy number, patient name*."), facts
        )
    return advance(state.but(design=state.design.doing(part.key, "said", fields=names)), facts)


def answer_offer(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """An unclear time: our offer with a yes, else a fresh sentence."""
    plan: Schedule | Unclear | None = None
    if reading.stance in (Stance.YES, Stance.DELEGATE) and state.offer:
        plan = state.offer
    elif reading.stance is not Stance.UNSURE:
        plan = read_schedule(text, base=state.design.schedule or state.offer, expected=True)
    if isinstance(plan, Schedule) and plan.event != "event_driven":
        zone = plan.timezone or (state.design.schedule.timezone if state.design.schedule else None)
        origin = "said" if plan.origin == "default" else plan.origin
        plan = plan.model_copy(update={"timezone": zone, "origin": origin})
        if reading.stance is not Stance.YES and state.part is not None:
            read = read_slots(text, state.slots, known(state, facts), stance=Stance.AMEND)
            state = state.but(design=state.design.taking(state.part.key, read.slots))
        state = state.but(design=state.design.having(origin, schedule=plan), offer=None)
        return advance(
            state.but(pending=Pending.DETAILS if not state.draft_agent_id else Pending.ACCEPT), facts
        )
    if isinstance(plan, Unclear):
        return pose(state.noted(plan.question).but(offer=plan.offer), facts)
    if reading.stance is Stance.NO or reading.stance is Stance.DELEGATE:
        design = state.design.having("said", schedule=Schedule(event="on_demand", time_said=False))
        return advance(state.noted("Then it runs whenever you ask.").but(design=design, offer=None), facts)
    return pose(state.noted("I'm not sure about the time. For example: *every Monday at 8:30*."), facts)


def answer_summary(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.YES and reading.act in (None, Act.CREATE):
        return create(state, facts)
    if reading.stance is Stance.DELEGATE and not read_update(state, text, reading, facts).touched:
        note = "My suggestions are all in it already. Only the yes is yours to say."
        return pose(state.noted(note), facts)
    if reading.stance is Stance.NO:
        return pose(
            state.noted(
                "What shall I change? For example: *add the owner*, *make it a table*, *Tuesdays at 10*.",
            ),
            facts,
        )
    if reading.act in (Act.TEST, Act.ACTIVATE) and reading.stance is Stance.YES:
        return pose(
            state.noted("First it has to be created; that comes before testing and switching on."), facts
        )
    return answer_change(state, text, reading, facts)
