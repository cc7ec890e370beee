"""The agent being built, as the conversation has it: its name, its words, its unsaved differences. Pure."""

from __future__ import annotations

from dataclasses import replace

from pydantic import JsonValue

from omniforge.builder.design import Design
from omniforge.builder.exchange import Connection, Facts, Integration
from omniforge.builder.generation import QUERY_TOOLS, AgentDraft, build_draft
from omniforge.builder.naming import agent_name, final_key
from omniforge.builder.outline import Keep, Part, Post, Report
from omniforge.builder.rows import Row, rows_of, titles_of, told, zone_in, zone_of
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.slots import Known, Source

TOLD_ONLY = frozenset({"mention.received", "reaction.added", "*"})
"""Events that a service tells of, and that nobody can look up."""


def title_of(state: ConversationState, facts: Facts, service: str | None = None) -> str:
    """The name of a service as people know it; of the one talked about when none is given."""
    wanted = service or state.service or (state.part.service if state.part else None)
    if wanted is None and state.outline.services:
        wanted = state.outline.services[0]
    known = next((i.title for i in facts.integrations if i.name == wanted), None)
    return known or (wanted or "Notion").title()


def integration_of(facts: Facts, service: str | None) -> Integration | None:
    return next((i for i in facts.integrations if i.name == service), None)


def readable(facts: Facts) -> tuple[Integration, ...]:
    """The services reports can be made from here."""
    here = {i.name: i for i in facts.integrations}
    return tuple(here[name] for name in QUERY_TOOLS if name in here)


def connections_of(facts: Facts, service: str) -> list[Connection]:
    """Connections that work; a service without a sign-in is always there."""
    integration = integration_of(facts, service)
    if integration is not None and integration.sign_in == "none":
        return [Connection(service, service, integration.title)]
    return [c for c in facts.connections if c.integration == service and c.healthy]


def name_of(state: ConversationState) -> str | None:
    design = state.design
    if design.said("name") and design.name:
        return design.name
    return state.draft_name or (agent_name(design) if design.parts else None)


def is_shaped(state: ConversationState) -> bool:
    """Whether enough is known to give it a name."""
    part = state.part
    return bool(state.design.parts) and (part is None or bool(state.slots.sources) or part.service is None)


def summary_rows(state: ConversationState, facts: Facts) -> list[Row]:
    name = name_of(state) if is_shaped(state) and state.slots.fields else None
    return rows_of(state.design, zone_of(state, facts), titles_of(facts), name)


def summary_text(state: ConversationState, facts: Facts) -> str:
    """The numbered list of what happens, and what holds for all of it."""
    return told(state.design, zone_of(state, facts), titles_of(facts), name_of(state))


def known(state: ConversationState, facts: Facts) -> Known:
    part = state.part
    seen = state.seen_at(part.service if part else None)
    here = [i for i in facts.integrations if i.name != "webhook"]
    return Known(
        state.fields,
        tuple(Source(id=r.id, name=r.name, kind=r.kind) for r in seen),
        tuple({word.casefold() for i in here for word in (i.name, i.title, *i.words)}),
        part.service if part and isinstance(part.does, Report) else None,
    )


def finished(design: Design) -> Design:
    """With the names that its skills get once everything is known."""
    for part in design.parts:
        wanted = final_key(part, design)
        if wanted != part.key and design.outline.part(wanted) is None:
            design = design.renamed(part.key, wanted)
    return design


def draft_of(state: ConversationState, facts: Facts) -> AgentDraft:
    """What is written down: public skills are used as they are, all other parts get skills of their own."""
    design = state.design
    outline = design.outline
    for part in design.parts:
        if used := design.uses.get(part.key):
            does = Keep(
                skill=used.skill,
                source="public",
                version=used.version,
                config=settings_of(part),
                author=used.author,
            )
            outline = outline.having(part.model_copy(update={"does": does}))
    draft = build_draft(
        outline,
        name=name_of(state) or "Agent",
        timezone=zone_of(state, facts),
        schedule=design.schedule,
    )
    needed = [*draft.integrations, *outline.services]
    event = draft.event_config
    if event is not None and event["event"] not in TOLD_ONLY:
        event = {**event, "mode": "poll"}
    return replace(draft, integrations=tuple(dict.fromkeys(needed)), event_config=event)


def settings_of(part: Part) -> dict[str, JsonValue]:
    """The settings that a public skill gets for a part: what was decided about it."""
    match part.does:
        case Post(place=place, content=content, text=text):
            settings: dict[str, JsonValue] = {
                "channel": place.name if place else "",
                "content": content.value,
            }
            return {**settings, "text": text} if text else settings
        case does:
            return {k: v for k, v in does.model_dump(mode="json", exclude={"operation"}).items() if v}


def differences(state: ConversationState, facts: Facts) -> list[tuple[str, str, str]]:
    """(label, before, after) of everything that differs from the saved draft."""
    return [row for row in compared_rows(state, facts, state.built) if row[1] != row[2]]


def compared_rows(
    state: ConversationState, facts: Facts, before: Design | None
) -> list[tuple[str, str, str]]:
    """(label, before, after) of every row, also of those that stay as they are."""
    if before is None:
        return []
    titles = titles_of(facts)
    old = {a: b for a, b, _ in rows_of(before, zone_in(before, facts), titles, state.draft_name)}
    new = {a: b for a, b, _ in rows_of(state.design, zone_of(state, facts), titles, name_of(state))}
    if len(before.parts) == 1 and len(state.design.parts) > 1:  # one step had no number
        own = {a for a, _, _ in rows_of(before, "UTC", titles, None)} - {"When", "Goes to"}
        old = {f"1. {a}" if a in own else a: b for a, b in old.items()}
        old["1"] = new.get("1", "")
    labels = [*new, *(label for label in old if label not in new)]
    return [(x, old.get(x, "nothing"), new.get(x, "nothing")) for x in labels]
