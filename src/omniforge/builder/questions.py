"""What comes next in a conversation: the open question, or a request that has to be done first. Pure."""

from __future__ import annotations

import re

from omniforge.builder import wording as say
from omniforge.builder.exchange import (
    CheckConnection,
    Connection,
    CreateAgent,
    DescribeResources,
    Facts,
    Integration,
    ListResources,
    Request,
    RewriteAgent,
    Turn,
)
from omniforge.builder.generator import (
    QUERY_TOOLS,
    AgentDraft,
    agent_name,
    build_draft,
    cadence,
    derived_skill_name,
)
from omniforge.builder.phases import Phase, Signal
from omniforge.builder.state import ConversationState, ListItem, Pending
from omniforge.builder.understanding.fields import find_fields
from omniforge.builder.understanding.mentions import Format
from omniforge.builder.understanding.schedule import Schedule, suggested
from omniforge.builder.understanding.slots import Known, Slots, Source, read_slots
from omniforge.builder.understanding.text import listed

DETAILS = ("fields", "format", "schedule")
MOST_ASKED = 2
MOST_DEFAULT_FIELDS = 4
_SHAPE_CUE = re.compile(
    r"\b(?:with|including|includes?|show(?:ing|s)?|cover(?:ing|s)?|contain(?:ing|s)?|list(?:ing|s)?|grouped|sorted)\b(?P<rest>.+)$",
    re.IGNORECASE,
)


def title_of(state: ConversationState, facts: Facts) -> str:
    known = next((i.title for i in facts.integrations if i.name == state.slots.service), None)
    return known or (state.slots.service or "Notion").title()


def readable(facts: Facts) -> tuple[Integration, ...]:
    """The services reports can be made from here."""
    return tuple(i for i in facts.integrations if i.name in QUERY_TOOLS)


def name_of(state: ConversationState) -> str | None:
    if state.slots.said("name") and state.slots.name:
        return state.slots.name
    return state.draft_name or (agent_name(state.slots) if state.slots.sources else None)


def rows(state: ConversationState, facts: Facts) -> list[say.Row]:
    return say.rows_of(state.slots, say.zone_of(state, facts), name_of(state) if state.slots.fields else None)


def known(state: ConversationState, facts: Facts) -> Known:
    return Known(
        state.fields,
        tuple(Source(id=r.id, name=r.name) for r in state.resources),
        tuple(i.name for i in readable(facts)),
    )


# --- advancing ------------------------------------------------------------------------------------


def advance(state: ConversationState, facts: Facts) -> Turn:
    """Go on with the build: the next request, else the next open question."""
    slots = state.slots
    if slots.goal is None:
        return pose(state.but(pending=Pending.WISH), facts)
    if slots.service is None:
        return pose(state.but(pending=Pending.SERVICE), facts)
    if not state.sample and state.connection_id is None:
        return _connected(state, facts)
    if not state.resources:
        return ask_for(
            state,
            ListResources(slots.service, state.connection_id, state.sample),
            "Looking at what is there …",
        )
    if not slots.sources:
        return pose(state.but(pending=Pending.RESOURCES), facts)
    chosen = {source.id for source in slots.sources}
    undescribed = tuple(r.id for r in state.resources if r.id in chosen and r.fields is None)
    if undescribed:
        request = DescribeResources(slots.service, state.connection_id, undescribed, state.sample)
        return ask_for(state, request, "Reading which information there is …")
    state = _use_heard(state, facts)
    if state.draft_agent_id and state.built is not None:
        return _rewritten(state, facts)
    return _details(state, facts)


def ask_for(state: ConversationState, request: Request, progress: str) -> Turn:
    return Turn(state, request=request, progress=progress)


def connections_of(state: ConversationState, facts: Facts) -> list[Connection]:
    return [c for c in facts.connections if c.integration == state.slots.service and c.healthy]


def _connected(state: ConversationState, facts: Facts) -> Turn:
    there = connections_of(state, facts)
    if not there:
        return pose(state.but(pending=Pending.CONNECT), facts)
    if len(there) > 1:
        items = tuple(ListItem(id=c.id, name=c.workspace_name) for c in there)
        return pose(state.but(pending=Pending.WORKSPACE, last_list=items), facts)
    return ask_for(state, CheckConnection(there[0].integration, there[0].id), "Checking the connection …")


def _use_heard(state: ConversationState, facts: Facts) -> ConversationState:
    """Words about the report that were said before its fields were known."""
    for message in state.heard:
        match = _SHAPE_CUE.search(message)
        if match is None:
            continue
        text = match["rest"]
        for resource in state.resources:
            text = re.sub(re.escape(resource.name), ",", text, flags=re.IGNORECASE)
        update = read_slots(text, state.slots, known(state, facts))
        kept = {
            slot: getattr(update.slots, slot)
            for slot in update.touched
            if slot in ("fields", "group", "order", "only")
        }
        state = state.but(slots=state.slots.having("said", **kept)) if kept else state
    return state.but(heard=())


def _details(state: ConversationState, facts: Facts) -> Turn:
    """The questions still open, at most twice; then what was proposed, for the summary to show."""
    still = open_details(state)
    often = max((state.asked.get(slot, 0) for slot in still), default=0)
    if still and (often == 0 or (often < MOST_ASKED and set(still) - {"format"})):
        asked = {**state.asked, **{slot: state.asked.get(slot, 0) + 1 for slot in still}}
        return pose(state.but(pending=Pending.DETAILS, asked=asked), facts)
    return to_summary(state, facts)


def open_details(state: ConversationState) -> list[str]:
    return [slot for slot in DETAILS if not state.slots.said(slot)]


def to_summary(state: ConversationState, facts: Facts) -> Turn:
    filled = state.but(slots=with_defaults(state), pending=Pending.SUMMARY)
    return pose(filled, facts)


def with_defaults(state: ConversationState) -> Slots:
    """Every slot that is still open takes what was proposed, marked as our suggestion."""
    slots = state.slots
    if not slots.fields:
        slots = slots.having("default", fields=default_fields(state))
    if slots.format is None:
        slots = slots.having("default", format=Format.BULLETS)
    if slots.schedule is None:
        slots = slots.having("default", schedule=default_schedule(slots))
    if slots.window is None:
        slots = slots.having("default", window=default_window(slots))
    if slots.destination is None:
        slots = slots.having("default", destination="inbox")
    return slots


def default_fields(state: ConversationState) -> tuple[str, ...]:
    """Those that tell how things stand; else the first ones there are."""
    fields = [f for f in state.fields if f.type not in ("title", "files", "relation", "button")]
    telling = find_fields("status, update, blocker, owner", fields)
    return tuple((telling or [f.name for f in fields])[:MOST_DEFAULT_FIELDS])


def default_schedule(slots: Slots) -> Schedule:
    match cadence(slots):
        case "daily":
            return suggested("MON-FRI")
        case "monthly":
            return Schedule(cron="0 9 1 * *", origin="default", time_said=False)
        case "quarterly":
            return Schedule(cron="0 9 1 1,4,7,10 *", origin="default", time_said=False)
        case _:
            return suggested()


def default_window(slots: Slots) -> str:
    spans = {"daily": "yesterday", "hourly": "today", "monthly": "last_month", "quarterly": "last_90_days"}
    return spans.get(cadence(slots) or "weekly", "last_week")


# --- writing --------------------------------------------------------------------------------------


def draft_of(state: ConversationState, facts: Facts) -> AgentDraft:
    return build_draft(
        state.slots, timezone=say.zone_of(state, facts), name=name_of(state), skill=state.draft_skill
    )


def create(state: ConversationState, facts: Facts) -> Turn:
    if state.draft_agent_id:
        if differences(state, facts):
            return _rewritten(state, facts)
        return pose(state.on(Signal.CONFIRMED).on(Signal.DRAFT_READY, pending=Pending.TEST), facts)
    state = state.but(slots=with_defaults(state)).on(Signal.CONFIRMED, pending=Pending.NONE)
    state = state.but(draft_skill=derived_skill_name(state.slots))
    return ask_for(state, CreateAgent(draft_of(state, facts), state.connection_id), "Writing the agent …")


def _rewritten(state: ConversationState, facts: Facts) -> Turn:
    """A change of a draft that exists: write only when something is different."""
    changes = differences(state, facts)
    if not changes or state.draft_agent_id is None:
        return pose(state, facts)
    if state.phase is Phase.COMPLETE:
        state = state.on(Signal.EDIT, intent="edit")
    elif state.phase is Phase.ACTIVATION:
        state = state.on(Signal.CHANGE)
    state = state.on(Signal.REWRITE, pending=Pending.NONE)
    request = RewriteAgent(
        state.draft_agent_id or "", draft_of(state, facts), tuple(f"{a}: {b} → {c}" for a, b, c in changes)
    )
    return ask_for(state, request, "Changing the agent …")


def differences(state: ConversationState, facts: Facts) -> list[tuple[str, str, str]]:
    """(label, before, after) of everything that differs from the saved draft."""
    if state.built is None:
        return []
    zone = say.zone_of(state, facts)
    plan = state.built.schedule
    before = {
        a: b
        for a, b, _ in say.rows_of(
            state.built, (plan.timezone if plan else None) or facts.timezone, state.draft_name
        )
    }
    after = {a: b for a, b, _ in say.rows_of(state.slots, zone, name_of(state))}
    labels = [*before, *(label for label in after if label not in before)]
    return [
        (x, before.get(x, "nothing"), after.get(x, "nothing"))
        for x in labels
        if before.get(x) != after.get(x)
    ]


# --- posing ---------------------------------------------------------------------------------------


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
            card = _choices_card("Agents", state.last_list)
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
    cards: list[say.Json],
    url: str | None = None,
) -> Turn:
    reply = say.make_reply(state, parts, actions=actions, cards=(*state.cards, *cards), oauth_url=url)
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


def default_sources(state: ConversationState) -> tuple[Source, ...]:
    """All of them but archives, at most two."""
    live = [r for r in state.resources if not is_archive(r.name)] or list(state.resources)
    return tuple(Source(id=r.id, name=r.name) for r in live[:2])


def is_archive(name: str) -> bool:
    return re.search(r"\b(?:archiv\w*|old|backup|template)\b", name, re.IGNORECASE) is not None


def _choices_card(
    title: str, items: tuple[ListItem, ...], counts: dict[str, int | None] | None = None
) -> say.Json:
    options = [
        {"label": chr(65 + n), "id": item.id, "text": item.name, "items": (counts or {}).get(item.id)}
        for n, item in enumerate(items[:26])
    ]
    return {"type": "choices", "title": title, "options": options}


def _workspace(state: ConversationState, facts: Facts) -> Turn:
    names = [item.name for item in state.last_list]
    card = _choices_card("Workspaces", state.last_list)
    return _said(state, [say.workspaces(title_of(state, facts), names[0]), say.choices(names)], names, [card])


def _resources(state: ConversationState) -> Turn:
    items = tuple(ListItem(id=r.id, name=r.name) for r in state.resources)
    names = [r.name if r.items is None else f"{r.name} ({r.items:,} items)" for r in state.resources]
    default = [source.name for source in default_sources(state)]
    state = state.but(last_list=items)
    card = _choices_card("Databases", items, {r.id: r.items for r in state.resources})
    actions = (["The first two"] if len(items) > 1 else []) + ["All of them", "You choose"]
    return _said(state, [say.choices(names), say.resources_question(default)], actions, [card])


def _details_text(state: ConversationState, facts: Facts) -> str:
    still = open_details(state)
    fields = [f.name for f in state.fields if f.type != "title"]
    plan = state.slots.schedule or default_schedule(state.slots)
    zone = plan.timezone or facts.timezone
    when = say.read_back(plan.cron, zone) if plan.event == "scheduled" else "whenever you ask"
    again = any(state.asked.get(slot, 0) > 1 for slot in still)
    return say.details_questions(still, fields, default_fields(state), when, again)


def _summary(state: ConversationState, facts: Facts, revised: bool) -> Turn:
    found = rows(state, facts)
    zone = say.zone_of(state, facts)
    parts = [
        "This is what I understood now:" if revised else "This is what I understood:",
        say.bullets(found),
    ]
    parts += [say.next_words(state.slots, zone, facts), say.summary_question(revised)]
    return _said(state, parts, ["Yes, create it", "Start over"], [say.summary_card(found)])


def _activate(state: ConversationState, facts: Facts) -> Turn:
    zone = say.zone_of(state, facts)
    effects = state.test.effects if state.test else ()
    when = say.when_words(state.slots, zone)
    parts = [
        say.activation_text(
            state.draft_name or "the agent", effects, when, say.next_words(state.slots, zone, facts)
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
