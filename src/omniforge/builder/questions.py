"""The open question in words, with suggested answers and cards. Pure."""

from __future__ import annotations

from collections.abc import Callable

from omniforge.builder import telling
from omniforge.builder import wording as say
from omniforge.builder.defaults import (
    asked_as,
    default_fields,
    default_places,
    default_schedule,
    names_used,
    open_details,
)
from omniforge.builder.draft import integration_of, readable, summary_rows, summary_text, title_of
from omniforge.builder.exchange import Facts, Json, Turn
from omniforge.builder.happenings import WORDS, able
from omniforge.builder.naming import cadence
from omniforge.builder.outline import Brief, Create, Extract, Fetch, Part, Post, Report
from omniforge.builder.phases import Phase
from omniforge.builder.replies import choices_card, event_card, make_reply, summary_card
from omniforge.builder.rows import does_words, next_words, steps_of, titles_of, when_words, zone_of
from omniforge.builder.state import ConversationState, ListItem, Pending
from omniforge.builder.understanding.cron_words import read_back
from omniforge.builder.understanding.text import listed
from omniforge.builder.wanted import NAMED

PLACES = {"database": "Databases", "channel": "Channels", "repository": "Repositories", "team": "Teams"}
Asked = tuple[list[str], list[str], list[Json], str | None]
"""Paragraphs, suggested answers, cards, and the address of a sign-in."""


def pose(state: ConversationState, facts: Facts, *, revised: bool = False) -> Turn:
    """The open question in words. Notes that waited are said first, once."""
    if state.pending is Pending.SUMMARY:
        return _said(state, *_summary(state, facts, revised))
    if state.pending is Pending.RESOURCES:
        return _resources(state, facts)
    if state.pending is Pending.UPKEEP:
        return _said(state, *_upkeep(state))
    asked = _WITH_CARDS.get(state.pending)
    if asked is not None:
        return _said(state, *asked(state, facts))
    text, actions = _question(state, facts)
    return _said(state, [text], actions, [], None)


def _upkeep(state: ConversationState) -> Asked:
    """A question about an agent that exists, as whoever asks it has put it down."""
    asked = state.upkeep["open"]
    return list(asked["paragraphs"]), list(asked["actions"]), list(asked["cards"]), asked["url"]


def _question(  # noqa: C901, PLR0912 - one line for each question
    state: ConversationState, facts: Facts
) -> tuple[str, list[str]]:
    """Questions that are one text, with their suggested answers."""
    title = title_of(state, facts)
    match state.pending:
        case Pending.WISH if state.service:
            return say.OFFER_REPORT.format(title=title), ["Yes"]
        case Pending.WISH:
            return say.WISH, ["A weekly report from Notion"]
        case Pending.SERVICE:
            return _service(state, facts)
        case Pending.UNSURE:
            return say.unsure_question(state.unsure[0] if state.unsure else ""), ["Leave it out"]
        case Pending.CONNECT:
            return say.connect_question(title, first=not state.links), ["Yes", "Not now"]
        case Pending.KEY:
            return say.key_question(title), ["Done", "Sample data"]
        case Pending.SAMPLE:
            return say.SAMPLE_QUESTION.format(title=title), ["Yes", f"Connect {title}"]
        case Pending.ADDRESS:
            return _address(state), []
        case Pending.DETAILS:
            return _details_text(state, facts), ["You choose"]
        case Pending.VALUES:
            return _values_text(state, facts), ["You choose"]
        case Pending.OFFER:
            return "", ["Yes", "Only when I ask"] if state.offer else [
                "Every Monday at 8:30",
                "Only when I ask",
            ]
        case Pending.TEST if state.outline.starts is not None:
            return say.EVENT_TEST, ["A", "B", "Not now"]
        case Pending.TEST:
            return telling.test_question(state), ["Yes, test it", "Not now"]
        case Pending.SAMPLE_TEST if state.sample or (state.test and state.test.mode == "dry"):
            return say.OTHER_TIME, ["Last 30 days"]
        case Pending.SAMPLE_TEST:
            return say.SAMPLE_TEST, ["Yes, test it", "Last 30 days"]
        case Pending.ACCEPT if state.test and state.test.idle:
            return say.ACCEPT_IDLE, ["Yes, keep it", "Test it again"]
        case Pending.ACCEPT:
            return telling.accept_question(state.active), ["Looks good", "Test it again"]
        case Pending.EDIT_WHAT:
            return say.EDIT_WHAT.format(name=state.draft_name or "it"), []
        case Pending.PARK:
            return say.PARK.format(title=what_is_built(state)), ["Yes, put it aside", "No, go on"]
        case _:
            return "" if state.notes else say.ANYTHING_ELSE, _idle_actions(state)


def _said(
    state: ConversationState,
    parts: list[str],
    actions: list[str],
    cards: list[Json],
    url: str | None = None,
) -> Turn:
    progress = (
        say.step_of(state.phase)
        if state.status == "open" and state.pending not in (Pending.NONE, Pending.UPKEEP)
        else ""
    )
    shown = [*parts[:-1], f"{parts[-1]} {progress}".strip()] if parts and parts[-1] and progress else parts
    reply = make_reply(
        state, shown, actions=[*state.offered, *actions], cards=(*state.cards, *cards), oauth_url=url
    )
    return Turn(state.but(notes=(), quoted=(), cards=(), offered=()), reply=reply)


def _idle_actions(state: ConversationState) -> list[str]:
    if state.phase is not Phase.COMPLETE or not state.draft_name:
        return []
    return [run_phrase(state), "Status"] if state.active else ["Switch it on", "Status"]


def run_phrase(state: ConversationState) -> str:
    name = state.draft_name or "agent"
    often = (cadence(state.built or state.design) or "").lower()
    own = name.lower().split()
    short = f"{often} {own[-1]}" if often in own and len(own) > 2 else " ".join(own)
    return f"Run my {short} agent"


def what_is_built(state: ConversationState) -> str:
    return state.draft_name or state.design.goal or "the one we are at"


# --- services and connections ---------------------------------------------------------------------


def _service(state: ConversationState, facts: Facts) -> tuple[str, list[str]]:
    part = state.outline.part(state.focus or "")
    if state.outline.starts is not None and part is None:
        names = able([(i.name, i.words) for i in facts.integrations])
        titles = [title_of(state, facts, name) for name in names] or ["Notion"]
        return say.STARTS.format(titles=listed(titles, "or"), first=titles[0]), [f"Yes, {titles[0]}"]
    if part is not None and not isinstance(part.does, Report):
        text = does_words(state.design, part, {}).partition(" in ")[0].partition(" to a place")[0]
        there = [i for i in facts.integrations if _can_write(i.tools, i.name)]
        if isinstance(part.does, Post):  # a message goes where people talk, first of all
            there.sort(key=lambda i: not any(tool.endswith(".post_message") for tool in i.tools))
        titles = [i.title for i in there] or ["Slack"]
        return say.WHERE.format(what=text.lower(), titles=listed(titles, "or"), first=titles[0]), [titles[0]]
    titles = [i.title for i in readable(facts)] or ["Notion"]
    return say.SERVICE.format(titles=listed(titles), first=titles[0]), [f"Yes, {titles[0]}"]


def _can_write(tools: tuple[str, ...], name: str) -> bool:
    return (
        any(t.startswith((f"{name}.post_", f"{name}.create_", f"{name}.send")) for t in tools)
        or name == "slack"
    )


def _sign_in(state: ConversationState, facts: Facts) -> Asked:
    title = title_of(state, facts, state.pending_oauth)
    url = state.oauth_url or ""
    integration = integration_of(facts, state.pending_oauth)
    asks = integration.asks if integration else ()
    card = {
        "type": "connection",
        "title": f"Connect {title}",
        "integration": state.pending_oauth,
        "status": "waiting",
        "url": url,
    }
    text = say.sign_in_text(title, asks, url, again=bool(state.notes))
    return [text], ["Done", "I'd rather not"], [card], url or None


def _listing(title: str, question: Callable[[ConversationState, Facts, str], str]) -> Callable[..., Asked]:
    """A question over the list last shown: A, B, C."""

    def asked(state: ConversationState, facts: Facts) -> Asked:
        names = [item.name for item in state.last_list]
        first = names[0] if names else ""
        card = choices_card(title, state.last_list)
        return [question(state, facts, first), say.choices(names)], names[:4], [card], None

    return asked


def _library(state: ConversationState, facts: Facts) -> Asked:
    found = state.suggestion
    part = state.outline.part(found.part) if found else None
    if found is None or part is None:
        return [""], [], [], None
    step = does_words(state.design, part, titles_of(facts))
    options = (
        ListItem(id=found.skill, name=f"Use {found.title}"),
        ListItem(id="own", name="Make one of your own"),
    )
    text = say.library_question(step, found.title, found.author, found.used)
    return [text], ["A", "B"], [choices_card("A skill that exists", options)], None


# --- places and details ---------------------------------------------------------------------------


def _resources(state: ConversationState, facts: Facts) -> Turn:
    seen = state.seen_at(state.service)
    part = state.outline.part(state.focus or "")
    items = tuple(ListItem(id=r.id, name=r.name) for r in seen)
    names = [r.name if r.items is None else f"{r.name} ({r.items:,} items)" for r in seen]
    missed = f"{part.key if part else ''}.{NAMED}" in state.asked
    default = [] if missed else [place.name for place in default_places(state, part)]
    state = state.but(last_list=items)
    kind = seen[0].kind if seen else "database"
    card = choices_card(PLACES.get(kind, kind.title() + "s"), items, {r.id: r.items for r in seen})
    many = part is not None and isinstance(part.does, Report)
    if many:
        actions = (["The first two"] if len(items) > 1 else []) + ["All of them", "You choose"]
        question = say.resources_question(default, title_of(state, facts, part.service if part else None))
    else:
        actions = [*[item.name for item in items[:3]], "You choose"]
        question = say.place_question(_purpose(state, part, facts), kind, default)
    return _said(state, [say.choices(names), question], actions, [card])


def _purpose(state: ConversationState, part: Part | None, facts: Facts) -> str:
    if part is None:
        event = state.outline.starts.event if state.outline.starts else ""
        return f"shall I watch, so that it starts when {WORDS.get(event, 'something happens')}"
    if isinstance(part.does, Create):
        return "shall it be made in"
    return "shall it be posted to"


def _address(state: ConversationState) -> str:
    part = state.outline.part(state.focus or "")
    if part is not None and isinstance(part.does, (Fetch, Report)):
        return say.WEB_ADDRESS
    return say.MAIL_ADDRESS


def _content(state: ConversationState, facts: Facts) -> Asked:
    part = state.outline.part(state.focus or "")
    post = part.does if part is not None and isinstance(part.does, Post) else Post()
    place = post.place
    items = tuple(ListItem(id=key, name=name) for key, name in say.CONTENT_OPTIONS)
    names = [item.name for item in items]
    where = place.name if place else title_of(state, facts)
    text = say.content_question(where, post.content)
    return [text, say.choices(names)], ["A", "B", "C"], [choices_card("What is posted", items)], None


def _details_text(state: ConversationState, facts: Facts) -> str:
    part = state.outline.part(state.focus or "") or state.part
    still = open_details(state, part) if part else []
    fields = [f.name for f in state.fields if f.type != "title"]
    plan = state.design.schedule or default_schedule(state.design)
    zone = plan.timezone or facts.timezone
    when = read_back(plan.cron, zone) if plan.event == "scheduled" else "whenever you ask"
    again = any(state.asked.get(asked_as(part, slot), 0) > 1 for slot in still) if part else False
    if part is not None and isinstance(part.does, Extract):
        return say.names_question(part.does.source, names_used(state.design))
    if part is not None and isinstance(part.does, Brief):
        placed = any(isinstance(one.does, (Post, Create)) for one in state.design.parts)
        return say.include_question(fields, placed=placed)
    return say.details_questions(still, fields, default_fields(state.fields), when, again)


def _values_text(state: ConversationState, facts: Facts) -> str:
    part = state.outline.part(state.focus or "")
    if part is None:
        return ""
    step = does_words(state.design, part, titles_of(facts))
    still = open_details(state, part)
    fields = [f.name for f in state.fields_of(part) if f.type != "title"]
    return say.values_question(step, still[0] if still else "text", fields)


# --- summary and activation -----------------------------------------------------------------------


def _summary(state: ConversationState, facts: Facts, revised: bool) -> Asked:
    zone = zone_of(state, facts)
    cards: list[Json] = [summary_card(summary_rows(state, facts))]
    if state.outline.starts is not None:
        titles = titles_of(facts)
        does = [step.text for step in steps_of(state.design, titles)]
        includes = [
            row[1] for step in steps_of(state.design, titles) for row in step.rows if row[0] == "Includes"
        ]
        cards.append(event_card(when_words(state.design, zone, titles), does, includes))
    parts = [
        "This is what I understood now:" if revised else "This is what I understood:",
        summary_text(state, facts),
        next_words(state.design, zone, facts),
        say.summary_question(revised),
    ]
    return parts, ["Yes, create it", "Start over"], cards, None


def _activate(state: ConversationState, facts: Facts) -> Asked:
    zone = zone_of(state, facts)
    titles = titles_of(facts)
    effects = state.test.effects if state.test else ()
    when = when_words(state.design, zone, titles)
    name = state.draft_name or "the agent"
    times = next_words(state.design, zone, facts)
    parts = [
        telling.activation_text(name, effects, when, times),
        telling.faults_text(state.test.faults if state.test else ()),
        telling.others_text(state.others, state.copies) if state.active else "",
        telling.activate_question(state.active),
    ]
    card = {
        "type": "effects",
        "title": "What it will do",
        "effects": list(effects),
        "when": when,
        "timezone": zone,
    }
    actions = ["Yes, save it" if state.active else "Yes, switch it on", "Not now"]
    return parts, actions, [card], None


_WITH_CARDS: dict[Pending, Callable[[ConversationState, Facts], Asked]] = {
    Pending.SIGN_IN: _sign_in,
    Pending.WORKSPACE: _listing("Workspaces", lambda s, f, first: say.workspaces(title_of(s, f), first)),
    Pending.LIBRARY: _library,
    Pending.CONTENT: _content,
    Pending.ACTIVATE: _activate,
    Pending.AGENT: _listing("Agents", lambda _s, _f, _n: "Which one do you mean?"),
    Pending.EDIT_WHICH: _listing("Agents", lambda _s, _f, _n: "Which agent shall I change?"),
    Pending.PARKED: _listing("Put aside", lambda _s, _f, _n: say.RETURN_TO),
}
