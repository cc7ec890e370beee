"""The agent being built, as the conversation has it: its name, its rows, its unsaved differences. Pure."""

from __future__ import annotations

from omniforge.builder.exchange import Connection, Facts, Integration
from omniforge.builder.generator import QUERY_TOOLS, AgentDraft, agent_name, build_draft
from omniforge.builder.rows import Row, rows_of, zone_of
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.slots import Known, Source


def title_of(state: ConversationState, facts: Facts) -> str:
    known = next((i.title for i in facts.integrations if i.name == state.slots.service), None)
    return known or (state.slots.service or "Notion").title()


def readable(facts: Facts) -> tuple[Integration, ...]:
    """The services reports can be made from here."""
    return tuple(i for i in facts.integrations if i.name in QUERY_TOOLS)


def connections_of(state: ConversationState, facts: Facts) -> list[Connection]:
    return [c for c in facts.connections if c.integration == state.slots.service and c.healthy]


def name_of(state: ConversationState) -> str | None:
    if state.slots.said("name") and state.slots.name:
        return state.slots.name
    return state.draft_name or (agent_name(state.slots) if state.slots.sources else None)


def summary_rows(state: ConversationState, facts: Facts) -> list[Row]:
    return rows_of(state.slots, zone_of(state, facts), name_of(state) if state.slots.fields else None)


def known(state: ConversationState, facts: Facts) -> Known:
    return Known(
        state.fields,
        tuple(Source(id=r.id, name=r.name) for r in state.resources),
        tuple(i.name for i in readable(facts)),
    )


def draft_of(state: ConversationState, facts: Facts) -> AgentDraft:
    return build_draft(
        state.slots, timezone=zone_of(state, facts), name=name_of(state), skill=state.draft_skill
    )


def differences(state: ConversationState, facts: Facts) -> list[tuple[str, str, str]]:
    """(label, before, after) of everything that differs from the saved draft."""
    if state.built is None:
        return []
    zone = zone_of(state, facts)
    plan = state.built.schedule
    before = {
        a: b
        for a, b, _ in rows_of(
            state.built, (plan.timezone if plan else None) or facts.timezone, state.draft_name
        )
    }
    after = {a: b for a, b, _ in rows_of(state.slots, zone, name_of(state))}
    labels = [*before, *(label for label in after if label not in before)]
    return [
        (x, before.get(x, "nothing"), after.get(x, "nothing"))
        for x in labels
        if before.get(x) != after.get(x)
    ]
