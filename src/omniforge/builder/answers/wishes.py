"""A wish made into a design: its parts, what starts it, and what of it is not clear. Pure."""

from __future__ import annotations

from omniforge.builder.assistant.proposal import agreed_composition
from omniforge.builder.design import Design
from omniforge.builder.draft import readable
from omniforge.builder.exchange import Facts
from omniforge.builder.happenings import find_happening
from omniforge.builder.outline import Brief, Create, Fetch, Operation, Outline, Part, Post, Report, Update
from omniforge.builder.parts import free_key, parts_of, without_quotes
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.composition import Clause, Composition, read_composition
from omniforge.builder.understanding.plan import Schedule
from omniforge.builder.understanding.schedule import read_schedule
from omniforge.builder.understanding.text import has_phrase
from omniforge.builder.understanding.things import things_in
from omniforge.builder.wanted import named_places

MOST_HEADING = 6
"""Words of a heading before a colon."""
OUTWARD = frozenset({Operation.POST, Operation.CREATE, Operation.UPDATE})
"""What can be added to an agent by a sentence that changes it."""


def compose(text: str, facts: Facts) -> Composition:
    services = tuple(i.name for i in facts.integrations)
    return agreed_composition(read_composition(text, services), facts.proposal)


def with_wish(
    state: ConversationState, text: str, facts: Facts, *, goal: str | None, service: str | None
) -> ConversationState:
    """The state with the parts that a first sentence asks for; a plain report where it names only a goal."""
    found = compose(text, facts)
    by_event = is_event(without_quotes(text))
    clauses = tuple(_fitting(clause, by_event=by_event) for clause in found.clauses)
    parts = parts_of([_of_file(clause, facts) for clause in clauses], text)
    if not parts and goal:
        parts = (_report(service, by_event=by_event, words=text),)
    if any(part.service == service and isinstance(part.does, (Post, Create)) for part in parts):
        service = None  # named as where it goes, which says nothing of where it comes from
    parts = _possible(tuple(_served(_inferred(part, facts), service) for part in parts), facts)
    design = state.design.model_copy(update={"outline": state.outline.model_copy(update={"parts": parts})})
    if by_event:
        design = with_start(design, text, facts)
    heading = _heading(text)
    if heading and parts:
        design = design.having("derived", name=heading)
    left = tuple(words for words in found.unsure if words.strip(" .:").casefold() != heading.casefold())
    return state.but(design=marked(design), unsure=left if parts else ())


def _heading(text: str) -> str:
    """ "Onboard a customer: …": what stands before the first colon is what the whole is called."""
    head, colon, rest = text.partition(":")
    return (
        " ".join(head.split()).capitalize()
        if colon and rest.strip() and len(head.split()) <= MOST_HEADING
        else ""
    )


def _possible(parts: tuple[Part, ...], facts: Facts) -> tuple[Part, ...]:
    """Without what is to be done outside at services that are not here; what is read there is asked about."""
    here = {i.name for i in facts.integrations}
    missing = [p for p in parts if p.service is not None and p.service not in here]
    outline = Outline(parts=parts)
    for part in missing:
        if isinstance(part.does, (Post, Create, Update, Fetch)):
            outline = outline.without(part.key)
        else:
            outline = outline.having(part.model_copy(update={"service": None}))
    return outline.parts


def is_event(text: str) -> bool:
    plan = read_schedule(text)
    return isinstance(plan, Schedule) and plan.event == "event_driven"


def _fitting(clause: Clause, *, by_event: bool) -> Clause:
    """What is told of each new thing is a briefing about it, not a report over a time."""
    if by_event and clause.operation == Operation.REPORT and not clause.needs:
        return clause.model_copy(update={"operation": Operation.BRIEF.value, "service": None})
    return clause


def _report(service: str | None, *, by_event: bool, words: str) -> Part:
    if by_event:
        return Part(key="entry-briefing", does=Brief(), words=words)
    return Part(
        key=free_key(f"{service}-report" if service else "report", ()), does=Report(), service=service
    )


def _of_file(clause: Clause, facts: Facts) -> Clause:
    """A table that is named by its file is read as what it is, not taken for a document to read out."""
    here = any(i.name == "files" for i in facts.integrations)
    if not here or clause.operation not in ("extract", "report", "fetch", "follow") or clause.service:
        return clause
    if not (files := named_places(clause.words, "files")):
        return clause
    return clause.model_copy(update={"operation": "report", "service": "files", "place": files[0]})


def _inferred(part: Part, facts: Facts) -> Part:
    """The service of a report that names none, by what it speaks of: pull requests are at GitHub."""
    if part.service is not None or not isinstance(part.does, Report):
        return part
    able = [i for i in readable(facts) if i.words and has_phrase(part.words, i.words)]
    if len(able) != 1:
        return part
    service = able[0].name
    does = part.does.model_copy(update={"things": things_in(part.words, service)})
    return part.model_copy(update={"service": service, "does": does, "key": f"{service}-{part.key}"})


def _served(part: Part, service: str | None) -> Part:
    if part.service is None and isinstance(part.does, Report) and service:
        return part.model_copy(update={"service": service, "key": f"{service}-{part.key}"})
    return part


def with_start(design: Design, text: str, facts: Facts) -> Design:
    """The event that a sentence waits for, with what is not said left open."""
    starts = find_happening(text, [(i.name, i.words) for i in facts.integrations])
    return design.model_copy(update={"outline": design.outline.model_copy(update={"starts": starts})})


def marked(design: Design) -> Design:
    """What the words of a part told counts as said: it is not asked again."""
    origins = dict(design.origins)
    for part in design.parts:
        for slot, value in part.does.model_dump(exclude_defaults=True).items():
            if slot not in ("operation", "place", "places") and value:
                origins.setdefault(f"{part.key}.{slot}", "said")
    return design.model_copy(update={"origins": origins})


def added_parts(state: ConversationState, text: str, facts: Facts) -> tuple[Part, ...]:
    """What a sentence adds to an agent: things to do outside with what it has found."""
    clauses = [c for c in compose(text, facts).clauses if c.operation in OUTWARD]
    parts = parts_of([c.model_copy(update={"needs": ()}) for c in clauses], text, state.design.parts)
    last = leaves(state.design)
    here = {i.name for i in facts.integrations}
    return tuple(part.model_copy(update={"needs": last}) for part in parts if part.service in here)


def leaves(design: Design) -> tuple[str, ...]:
    """Keys of parts that nothing waits for, but those that only do something outside."""
    needed = {need for part in design.parts for need in part.needs}
    inner = [p for p in design.parts if not isinstance(p.does, (Post, Create, Update))]
    left = [part.key for part in inner if part.key not in needed]
    return tuple(left or [part.key for part in inner if not isinstance(part.does, Fetch)][-1:])
