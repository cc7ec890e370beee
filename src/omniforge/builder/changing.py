"""Changing an agent that exists: which one is meant, and the conversation turned to it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from omniforge.builder.draft import integration_of
from omniforge.builder.exchange import AgentLoaded, AgentSeen, Facts, LoadAgent, Turn
from omniforge.builder.naming import told_apart
from omniforge.builder.phases import Phase, SessionStatus, Signal
from omniforge.builder.progress import ask_for
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Link, ListItem, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.text import stems

MOST_CANDIDATES = 5
_EDITS = re.compile(
    r"^\W*(?:(?:please|ok|hey|hi|can you|could you|now|and)[\s,]+)*"
    r"(?:also|additionally|add|change|edit|update|modify|adjust|remove|drop|"
    r"stop (?:posting|sending)|make (?:it|the|my)|let (?:it|my|the)|move|put|post it|send it|rename)\b",
    re.IGNORECASE,
)
_OF_AN_AGENT = re.compile(
    r"\b(?:change|edit|update|modify|adjust|improve|extend)\b.*\b(?:agent|report|briefing)\b", re.I
)
_SMALL = frozenset(
    stems("also add post a an the to my our it in and summary of report agent change make please put send")
)


def is_edit(text: str, facts: Facts) -> bool:
    """Words that change something which exists already, while there are agents to change."""
    return bool(facts.agents) and (_EDITS.search(text) is not None or _OF_AN_AGENT.search(text) is not None)


def meant(state: ConversationState, text: str, facts: Facts) -> list[AgentSeen]:
    """The agents a change can be about: named, of this conversation, or telling by what they do; newest
    first."""
    agents = sorted(facts.agents, key=lambda a: a.changed.timestamp() if a.changed else 0, reverse=True)
    named = _named(text, agents)
    if named:
        return named
    own = [a for a in agents if a.id == state.draft_agent_id]
    if own:
        return own
    said = set(stems(text)) - _SMALL
    rated = [(len(said & _about(a)), a) for a in agents]
    best = max((score for score, _ in rated), default=0)
    return [a for score, a in rated if score == best] if best else agents


def _named(text: str, agents: Sequence[AgentSeen]) -> list[AgentSeen]:
    """Those whose whole name is said; else those of which "my … agent" tells."""
    plain = " ".join(stems(text))
    full = [a for a in agents if " ".join(stems(a.name)) in plain]
    if full:
        return full
    match = re.search(
        r"\b(?:my|our|the) (?P<what>(?:[\w-]+ ){1,4}?(?:agent|report|briefing|summary))\b", text, re.I
    )
    if match is None:
        return []
    return [agents[i] for i in intent.match_agents(match["what"], [a.name for a in agents])][:MOST_CANDIDATES]


def _about(agent: AgentSeen) -> set[str]:
    return set(
        stems(" ".join([agent.name, agent.description, *agent.integrations, *agent.skills]).replace("-", " "))
    )


def begin_change(state: ConversationState, text: str, facts: Facts) -> Turn:
    """Find the agent and read it; several that fit are asked about."""
    found = meant(state, text, facts)
    state = state.but(waiting_wish=text)
    if len(found) == 1:
        return ask_for(state, LoadAgent(found[0].id), f"Looking at {found[0].name} …")
    names = told_apart(found[:MOST_CANDIDATES])
    items = tuple(ListItem(id=a.id, name=name) for a, name in zip(found, names, strict=False))
    return pose(state.but(pending=Pending.EDIT_WHICH, last_list=items), facts)


def loaded(state: ConversationState, outcome: AgentLoaded, facts: Facts) -> ConversationState:
    """The conversation turned to this agent: what it is made of, and how its services are reached."""
    links = {
        service: Link(
            connection_id=connection, workspace=_workspace(facts, connection), since=_since(facts, connection)
        )
        for service, connection in outcome.connections.items()
    }
    for service in outcome.design.outline.services:
        integration = integration_of(facts, service)
        if integration is not None and integration.sign_in == "none":
            links[service] = Link(connection_id=service, workspace=integration.title)
    fresh = ConversationState(phase=Phase.COMPLETE, quoted=(*state.quoted, outcome.name), notes=state.notes)
    active = outcome.status == "active"
    return fresh.on(
        Signal.EDIT,
        status=SessionStatus.OPEN,
        intent="edit",
        design=outcome.design,
        built=outcome.design,
        running=outcome.design if active else None,
        active=active,
        others=outcome.others,
        copies=outcome.copies,
        links=links,
        draft_agent_id=outcome.agent_id,
        draft_name=outcome.name,
        waiting_wish=state.waiting_wish,
        parked=state.parked,
        pending=Pending.EDIT_WHAT,
    )


def _workspace(facts: Facts, connection_id: str) -> str | None:
    return next((c.workspace_name for c in facts.connections if c.id == connection_id), None)


def _since(facts: Facts, connection_id: str) -> datetime | None:
    return next((c.since for c in facts.connections if c.id == connection_id), None)


def names_only(text: str, state: ConversationState) -> bool:
    """A message that tells which agent, and not yet what to change about it."""
    said = set(stems(text)) - set(stems(state.draft_name or "")) - _SMALL
    return said <= set(
        stems("i want would like need can could you edit update modify adjust something about")
    )
