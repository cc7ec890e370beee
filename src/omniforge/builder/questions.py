"""The open question in words, with suggested answers and cards. Pure."""

from __future__ import annotations

from omniforge.builder import wording as say
from omniforge.builder.defaults import (
    default_fields,
    default_schedule,
    default_sources,
    open_details,
)
from omniforge.builder.draft import readable, summary_rows, title_of
from omniforge.builder.exchange import Facts, Json, Turn
from omniforge.builder.generator import cadence
from omniforge.builder.phases import Phase
from omniforge.builder.replies import choices_card, make_reply, summary_card
from omniforge.builder.rows import bullets, next_words, when_words, zone_of
from omniforge.builder.state import ConversationState, ListItem, Pending
from omniforge.builder.understanding.cron_words import read_back
from omniforge.builder.understanding.text import listed


def pose(state: ConversationState, facts: Facts, *, revised: bool = False) -> Turn:
    """The open question in words. Notes that waited are said first, once."""
    match state.pending:
        case Pending.SIGN_IN:
            return _sign_in(state, facts)
        case Pending.WORKSPACE:
            return _workspace(state, facts)
        case Pending.RESOURCES:
            return _resources(state)
        case Pending.SUMMARY:
            return _summary(state, facts, revised)
        case Pending.ACTIVATE:
            return _activate(state, facts)
        case Pending.AGENT:
            names = [item.name for item in state.last_list]
            card = choices_card("Agents", state.last_list)
            return _said(state, ["Which one do you mean?", say.choices(names)], names[:4], [card])
        case _:
            text, actions = _question(state, facts)
            return _said(state, [text], actions, [])


def _question(state: ConversationState, facts: Facts) -> tuple[str, list[str]]:
    """Questions that are one text, with their suggested answers."""
    title = title_of(state, facts)
    match state.pending:
        case Pending.WISH if state.slots.service:
            return say.OFFER_REPORT.format(title=title), ["Yes"]
        case Pending.WISH:
            return say.WISH, ["A weekly report from Notion"]
        case Pending.SERVICE:
            titles = [i.title for i in readable(facts)] or ["Notion"]
            return say.SERVICE.format(titles=listed(titles), first=titles[0]), [f"Yes, {titles[0]}"]
        case Pending.CONNECT:
            return say.connect_question(title), ["Yes", "Not now"]
        case Pending.SAMPLE:
            return say.SAMPLE_QUESTION.format(title=title), ["Yes", f"Connect {title}"]
        case Pending.DETAILS:
            return _details_text(state, facts), ["You choose"]
        case Pending.OFFER:
            return "", ["Yes", "Only when I ask"] if state.offer else [
                "Every Monday at 8:30",
                "Only when I ask",
            ]
        case Pending.TEST:
            return say.test_question(state.slots, state.sample), ["Yes, test it", "Not now"]
        case Pending.SAMPLE_TEST:
            return say.SAMPLE_TEST, ["Yes, test it", "Last 30 days"]
        case Pending.ACCEPT:
            return say.accept_question(), ["Looks good", "Test it again"]
        case _:
            return "" if state.notes else say.ANYTHING_ELSE, _idle_actions(state)


def _said(
    state: ConversationState,
    parts: list[str],
    actions: list[str],
    cards: list[Json],
    url: str | None = None,
) -> Turn:
    reply = make_reply(state, parts, actions=actions, cards=(*state.cards, *cards), oauth_url=url)
    return Turn(state.but(notes=(), quoted=(), cards=()), reply=reply)


def _idle_actions(state: ConversationState) -> list[str]:
    if state.phase is not Phase.COMPLETE or not state.draft_name:
        return []
    return [run_phrase(state), "Status"] if state.active else ["Switch it on", "Status"]


def run_phrase(state: ConversationState) -> str:
    name = state.draft_name or "agent"
    often = (cadence(state.built or state.slots) or "").lower()
    own = name.lower().split()
    short = f"{often} {own[-1]}" if often in own and len(own) > 2 else " ".join(own)
    return f"Run my {short} agent"


def _sign_in(state: ConversationState, facts: Facts) -> Turn:
    title = title_of(state, facts)
    url = state.oauth_url or ""
    asks = next((i.asks for i in facts.integrations if i.name == state.slots.service), ())
    parts = [say.sign_in_text(title, asks, url, again=bool(state.notes))]
    card = {
        "type": "connection",
        "title": f"Connect {title}",
        "integration": state.slots.service,
        "status": "waiting",
        "url": url,
    }
    return _said(state, parts, ["Done", "I'd rather not"], [card], url or None)


def _workspace(state: ConversationState, facts: Facts) -> Turn:
    names = [item.name for item in state.last_list]
    card = choices_card("Workspaces", state.last_list)
    return _said(state, [say.workspaces(title_of(state, facts), names[0]), say.choices(names)], names, [card])


def _resources(state: ConversationState) -> Turn:
    items = tuple(ListItem(id=r.id, name=r.name) for r in state.resources)
    names = [r.name if r.items is None else f"{r.name} ({r.items:,} items)" for r in state.resources]
    default = [source.name for source in default_sources(state)]
    state = state.but(last_list=items)
    card = choices_card("Databases", items, {r.id: r.items for r in state.resources})
    actions = (["The first two"] if len(items) > 1 else []) + ["All of them", "You choose"]
    return _said(state, [say.choices(names), say.resources_question(default)], actions, [card])


def _details_text(state: ConversationState, facts: Facts) -> str:
    still = open_details(state)
    fields = [f.name for f in state.fields if f.type != "title"]
    plan = state.slots.schedule or default_schedule(state.slots)
    zone = plan.timezone or facts.timezone
    when = read_back(plan.cron, zone) if plan.event == "scheduled" else "whenever you ask"
    again = any(state.asked.get(slot, 0) > 1 for slot in still)
    return say.details_questions(still, fields, default_fields(state), when, again)


def _summary(state: ConversationState, facts: Facts, revised: bool) -> Turn:
    found = summary_rows(state, facts)
    zone = zone_of(state, facts)
    parts = [
        "This is what I understood now:" if revised else "This is what I understood:",
        bullets(found),
    ]
    parts += [next_words(state.slots, zone, facts), say.summary_question(revised)]
    return _said(state, parts, ["Yes, create it", "Start over"], [summary_card(found)])


def _activate(state: ConversationState, facts: Facts) -> Turn:
    zone = zone_of(state, facts)
    effects = state.test.effects if state.test else ()
    when = when_words(state.slots, zone)
    parts = [
        say.activation_text(
            state.draft_name or "the agent", effects, when, next_words(state.slots, zone, facts)
        ),
        say.activate_question(state.active),
    ]
    card = {
        "type": "effects",
        "title": "What it will do",
        "effects": list(effects),
        "when": when,
        "timezone": zone,
    }
    return _said(state, parts, ["Yes, switch it on", "Not now"], [card])
