"""How the conversation goes on after a request was done. A reply states only what the outcome shows. Pure."""

from __future__ import annotations

from dataclasses import asdict, replace

from omniforge.builder import telling
from omniforge.builder import wording as say
from omniforge.builder.answers.change import changed_agent
from omniforge.builder.answers.testing import test_mode
from omniforge.builder.changing import loaded
from omniforge.builder.design import place_of
from omniforge.builder.draft import compared_rows, title_of
from omniforge.builder.exchange import (
    Activated,
    AgentLoaded,
    AgentSaved,
    ConnectionChecked,
    Facts,
    Failed,
    Json,
    LibraryFound,
    Outcome,
    ResourcesDescribed,
    ResourcesListed,
    RunFinished,
    RunStarted,
    RunTest,
    SignInStarted,
    TestFinished,
    Turn,
    UpkeepOutcome,
)
from omniforge.builder.outline import Report
from omniforge.builder.phases import Phase, SessionStatus, Signal
from omniforge.builder.placing import put_places
from omniforge.builder.problems import failure_text
from omniforge.builder.progress import advance, ask_for, given, places_known
from omniforge.builder.questions import pose, run_phrase
from omniforge.builder.rows import titles_of, when_words, zone_of
from omniforge.builder.state import ConversationState, Link, Pending, Suggestion, TestSeen
from omniforge.builder.understanding.cron_words import moment_words
from omniforge.builder.understanding.references import is_archive
from omniforge.builder.upkeep.after import offer_to_tell
from omniforge.builder.upkeep.after import resume as after_upkeep
from omniforge.builder.vocabulary import forbidden_words


def resume(  # noqa: C901, PLR0912 - one line for each outcome
    state: ConversationState, outcome: Outcome, facts: Facts
) -> Turn:
    """Go on after an outcome: another request, or the reply. Also for a connection that arrives by itself."""
    match outcome:
        case SignInStarted():
            return _sign_in(state, outcome, facts)
        case ConnectionChecked():
            return _checked(state, outcome, facts)
        case ResourcesListed():
            return _listed(state, outcome, facts)
        case ResourcesDescribed():
            return _described(state, outcome, facts)
        case LibraryFound():
            return _found(state, outcome, facts)
        case AgentLoaded():
            return changed_agent(loaded(state, outcome, facts), facts)
        case AgentSaved():
            return _saved(state, outcome, facts)
        case TestFinished():
            return _tested(state, outcome, facts)
        case Activated():
            return _activated(state, outcome, facts)
        case RunStarted():
            note = f"**{outcome.name}** is running now. The result comes to your inbox here."
            return _ran(state, outcome, "pending", note, (), facts)
        case RunFinished():
            quoted = (outcome.text, *(name for name, _ in outcome.steps))
            return _ran(state, outcome, outcome.status, telling.run_text(outcome), quoted, facts)
        case UpkeepOutcome():
            return after_upkeep(state, outcome, facts)
        case Failed():
            return _failed(state, outcome, facts)


def _with_card(
    state: ConversationState, note: str, card: Json, facts: Facts, *, quoted: tuple[str, ...] = ()
) -> Turn:
    """A note with its card, followed by the open question."""
    noted = state.noted(note).but(quoted=(*state.quoted, *quoted), cards=(*state.cards, card))
    return pose(noted, facts)


def _ran(  # noqa: PLR0917 - one run and what is said of it
    state: ConversationState,
    run: RunStarted | RunFinished,
    status: str,
    note: str,
    quoted: tuple[str, ...],
    facts: Facts,
) -> Turn:
    card = {"type": "execution", "title": run.name, "execution_id": run.execution_id, "status": status}
    return _with_card(state, note, card, facts, quoted=(run.name, *quoted))


# --- connections and places -----------------------------------------------------------------------


def _sign_in(state: ConversationState, outcome: SignInStarted, facts: Facts) -> Turn:
    signal = Signal.SIGN_IN_FAILED if state.phase is Phase.OAUTH_FLOW else Signal.CONNECT_AGREED
    state = state.on(
        signal, pending=Pending.SIGN_IN, pending_oauth=outcome.integration, oauth_url=outcome.url
    )
    return pose(state.but(service=outcome.integration), facts)


def _checked(state: ConversationState, outcome: ConnectionChecked, facts: Facts) -> Turn:
    service = outcome.integration
    state = state.but(service=service)
    connection = outcome.connection
    if connection is None:
        if state.phase is not Phase.OAUTH_FLOW:
            return pose(state.but(pending=Pending.CONNECT), facts)
        note = say.nothing_arrived(title_of(state, facts))
        return pose(state.noted(note).but(pending=Pending.SIGN_IN), facts)
    signal = Signal.CONNECTED if state.phase in (Phase.DISCOVERY, Phase.OAUTH_FLOW) else Signal.STAY
    before, fresh = state.links.get(service), state.phase is Phase.OAUTH_FLOW
    state = state.on(signal, pending_oauth=None, oauth_url=None).linked(
        service,
        Link(
            connection_id=connection.id,
            workspace=connection.workspace_name,
            since=None if fresh else connection.since,
        ),
    )
    if before is not None and before.sample:
        state = _without_places(state, service).but(built=None)
    return advance(state, facts)


def _without_places(state: ConversationState, service: str) -> ConversationState:
    """Places of a service that were chosen elsewhere are asked for again."""
    state = state.but(resources={name: r for name, r in state.resources.items() if name != service})
    for part in state.design.parts:
        if part.service == service and place_of(part):
            state = put_places(state, part, (), "said")
    if state.outline.starts is not None and state.outline.starts.service == service:
        state = put_places(state, None, (), "said")
    return state


def _listed(state: ConversationState, outcome: ResourcesListed, facts: Facts) -> Turn:
    service = outcome.integration
    state = state.but(service=service)
    title, link = title_of(state, facts), state.links.get(service) or Link()
    if not outcome.resources:
        kinds = next((i.kinds for i in facts.integrations if i.name == service), ())
        note = say.nothing_shared(title, link.workspace, kinds[0] if kinds else "database")
        links = {name: one for name, one in state.links.items() if name != service}
        return pose(state.noted(note).but(links=links, pending=Pending.CONNECT), facts)
    ordered = tuple(sorted(outcome.resources, key=lambda r: is_archive(r.name)))
    note = say.connected_text(title, link.workspace, ordered, link.sample)
    if outcome.truncated:
        note += " There is more than I could list here."
    if link.since is not None:
        note = telling.reused_text(title, link.workspace, f"{link.since:%d %B %Y}".lstrip("0"), ordered)
    state = state.noted(note).seeing(service, ordered)
    if state.phase is Phase.DISCOVERY:
        state = state.on(Signal.READY_TO_ASK)
    card: Json = {
        "type": "connection", "title": title, "integration": service,
        "workspace": link.workspace, "status": "sample" if link.sample else "connected",
    }  # fmt: skip
    return advance(state.but(cards=(*state.cards, card)), facts)


def _described(state: ConversationState, outcome: ResourcesDescribed, facts: Facts) -> Turn:
    described = {r.id: r for r in outcome.resources}
    seen = state.seen_at(outcome.integration)
    merged = tuple(described.pop(r.id, r) for r in seen) + tuple(described.values())
    asked = {
        place.id
        for part in state.design.parts
        if part.service == outcome.integration
        for place in place_of(part)
    }
    unread = asked & {r.id for r in merged if r.fields is None}
    reads = any(isinstance(p.does, Report) for p in state.design.parts if p.service == outcome.integration)
    if unread and reads:
        return _failed(state, Failed("resource_not_found"), facts)
    if unread:  # what has no fields is not asked for them again
        merged = tuple(r.model_copy(update={"fields": ()}) if r.id in unread else r for r in merged)
    state = state.seeing(outcome.integration, merged)
    return changed_agent(state, facts) if state.waiting_wish is not None else advance(state, facts)


def _found(state: ConversationState, outcome: LibraryFound, facts: Facts) -> Turn:
    part = state.outline.part(state.focus or "")
    if not outcome.skills or part is None:
        return advance(state, facts)
    best = outcome.skills[0]
    suggestion = Suggestion(
        part=part.key,
        skill=best.name,
        title=best.title,
        author=best.author,
        used=best.used,
        version=best.version,
    )
    quoted = (*state.quoted, best.title, best.author, best.name)
    return pose(state.but(suggestion=suggestion, pending=Pending.LIBRARY, quoted=quoted), facts)


# --- the agent ------------------------------------------------------------------------------------


def _saved(state: ConversationState, outcome: AgentSaved, facts: Facts) -> Turn:
    first = state.built is None
    rows = compared_rows(state, facts, state.running or state.built)
    seen = state.test is not None and state.outline.starts is None
    state = state.on(
        Signal.DRAFT_READY, draft_agent_id=outcome.agent_id, draft_name=outcome.name, built=state.design,
        pending=Pending.TEST, asked={}, focus=None, under_way=None,
        others=outcome.others, copies=outcome.copies,
    )  # fmt: skip
    if first:
        when = when_words(state.design, zone_of(state, facts), titles_of(facts))
        note = telling.created_text(outcome.name, when)
        card: Json = {
            "type": "agent",
            "title": outcome.name,
            "agent_id": outcome.agent_id,
            "status": "draft",
            "skills": list(outcome.skills),
            "when": when,
        }
    else:
        note = telling.changed_text(rows)
        card = {
            "type": "diff",
            "title": "What changed",
            "rows": [{"label": a, "before": b, "after": c, "changed": b != c} for a, b, c in rows],
        }
    state = state.noted(note).but(cards=(*state.cards, card))
    if seen:
        request = RunTest(
            outcome.agent_id,
            test_mode(state),
            example=given(state),
            places=places_known(state),
        )
        return ask_for(state, request, "Testing it again …")
    return pose(state, facts)


def _tested(state: ConversationState, outcome: TestFinished, facts: Facts) -> Turn:
    title = title_of(state.but(service=None), facts)
    passed = outcome.verdict == "passed"
    effects = tuple(telling.effect_lines(outcome, state, title))
    seen = TestSeen(
        test_id=outcome.test_id,
        mode=outcome.mode,
        passed=passed,
        idle=outcome.idle,
        sample_data=outcome.sample_data,
        full=outcome.full,
        effects=effects,
        faults=outcome.faults,
    )
    if outcome.verdict == "failed" and outcome.code and not outcome.problem:
        outcome = replace(outcome, problem=failure_text(Failed(outcome.code), title))
    if outcome.problem and forbidden_words(outcome.problem):
        outcome = replace(outcome, problem=None)
    quoted = (
        outcome.report.strip(),
        *outcome.read,
        *(e.summary for e in outcome.effects),
        *(name for name, _ in outcome.steps),
        *outcome.faults,
    )
    if outcome.full and seen.will_do:
        accepted = state.on(Signal.TEST_ACCEPTED, pending=Pending.ACTIVATE, test=seen, under_way=None)
        return pose(accepted.but(quoted=(*state.quoted, *quoted)), facts)
    tried = passed or (outcome.idle and outcome.mode == "dry")  # else sample data may show more
    pending = (
        Pending.ACCEPT if tried else Pending.SAMPLE_TEST if outcome.verdict == "no_effect" else Pending.TEST
    )
    note = telling.test_text(outcome, state, title)
    card = {
        "type": "test_result", "title": "Test", "test_id": outcome.test_id, "mode": outcome.mode,
        "verdict": outcome.verdict, "sample_data": outcome.sample_data, "items": outcome.items,
        "report": outcome.report,
        "effects": [asdict(effect) for effect in outcome.effects],
    }  # fmt: skip
    return _with_card(state.but(test=seen, pending=pending), note, card, facts, quoted=quoted)


def _activated(state: ConversationState, outcome: Activated, facts: Facts) -> Turn:
    again = state.active
    state = state.on(
        Signal.ACTIVATED,
        pending=Pending.NONE,
        active=True,
        running=state.design,
        draft_name=outcome.name,
        status=SessionStatus.COMPLETE,
    )
    when = moment_words(outcome.next_run, outcome.timezone) if outcome.next_run else None
    by_event = state.outline.starts is not None
    what = telling.result_word(state)
    if again:
        note = telling.saved_text(outcome.name, outcome.version, when)
    else:
        note = telling.activated_text(outcome.name, when, outcome.minutes, by_event, run_phrase(state), what)
    card = {
        "type": "agent", "title": outcome.name, "agent_id": outcome.agent_id, "status": "active",
        "version": outcome.version, "timezone": outcome.timezone,
        "next_run": outcome.next_run.isoformat() if outcome.next_run else None,
    }  # fmt: skip
    if again and (how_many := state.others + state.copies):
        state = state.noted(note).but(quoted=(*state.quoted, outcome.name), cards=(*state.cards, card))
        return offer_to_tell(state, outcome.agent_id, outcome.name, how_many, facts)
    return _with_card(state, note, card, facts, quoted=(outcome.name,))


# --- what did not work ----------------------------------------------------------------------------


def _failed(state: ConversationState, failed: Failed, facts: Facts) -> Turn:
    """Say it in plain words and leave the person where a next step is possible."""
    title = title_of(state, facts)
    noted = state.noted(failure_text(failed, title))
    match failed.code:
        case "integration_not_configured" | "connection_declined":
            return pose(noted.but(pending=Pending.SAMPLE), facts)
        case "connection_missing" | "connection_expired":
            links = {name: link for name, link in state.links.items() if name != state.service}
            return pose(noted.but(links=links, pending=Pending.CONNECT), facts)
        case "state_invalid":
            return pose(noted.but(pending=Pending.CONNECT), facts)
        case "resource_not_found" if state.phase is Phase.REQUIREMENTS and state.service:
            return advance(_without_places(noted, state.service), facts)
        case "not_tested" | "manifest_not_approved" if state.phase is Phase.ACTIVATION:
            return pose(noted.on(Signal.BACK, pending=Pending.TEST), facts)
        case "test_under_way":
            return pose(noted.but(under_way=str(failed.details.get("test_id", "")) or None), facts)
        case "no_example" if state.pending in (Pending.TEST, Pending.ACCEPT):
            return pose(noted.but(pending=Pending.SAMPLE_TEST), facts)
        case _:
            pass
    if state.phase is Phase.GENERATION:
        if state.built is not None:
            return pose(noted.on(Signal.DRAFT_READY, pending=Pending.TEST, design=state.built), facts)
        return pose(noted.on(Signal.DRAFT_INVALID, pending=Pending.SUMMARY), facts)
    return pose(noted, facts)
