"""How the conversation goes on after a request was done. A reply states only what the outcome shows. Pure."""

from __future__ import annotations

from dataclasses import asdict, replace

from omniforge.builder import wording as say
from omniforge.builder.draft import differences, title_of
from omniforge.builder.exchange import (
    Activated,
    AgentSaved,
    ConnectionChecked,
    Facts,
    Failed,
    Json,
    Outcome,
    ResourcesDescribed,
    ResourcesListed,
    RunFinished,
    RunStarted,
    RunTest,
    SignInStarted,
    TestFinished,
    Turn,
)
from omniforge.builder.phases import Phase, SessionStatus, Signal
from omniforge.builder.problems import failure_text
from omniforge.builder.progress import advance, ask_for
from omniforge.builder.questions import pose, run_phrase
from omniforge.builder.rows import when_words, zone_of
from omniforge.builder.state import ConversationState, Pending, TestSeen
from omniforge.builder.understanding.cron_words import moment_words
from omniforge.builder.understanding.references import is_archive, resolve
from omniforge.builder.understanding.slots import Source
from omniforge.builder.understanding.text import listed
from omniforge.builder.vocabulary import forbidden_words


def resume(state: ConversationState, outcome: Outcome, facts: Facts) -> Turn:
    """Go on after an outcome: another request, or the reply. Also for a connection that arrives by itself."""
    match outcome:
        case SignInStarted():
            return _sign_in(state, outcome, facts)
        case ConnectionChecked():
            return _checked(state, outcome, facts)
        case ResourcesListed():
            return _listed(state, outcome, facts)
        case ResourcesDescribed():
            described = {r.id: r for r in outcome.resources}
            merged = tuple(described.get(r.id, r) for r in state.resources)
            unread = {s.id for s in state.slots.sources} - {r.id for r in merged if r.fields is not None}
            if unread:
                return _failed(state, Failed("resource_not_found"), facts)
            return advance(state.but(resources=merged), facts)
        case AgentSaved():
            return _saved(state, outcome, facts)
        case TestFinished():
            return _tested(state, outcome, facts)
        case Activated():
            return _activated(state, outcome, facts)
        case RunStarted():
            note = f"**{outcome.name}** is running now. The result comes to your inbox here."
            card = {
                "type": "execution",
                "title": outcome.name,
                "execution_id": outcome.execution_id,
                "status": "pending",
            }
            return _with_card(state, note, card, facts, quoted=(outcome.name,))
        case RunFinished():
            card = {
                "type": "execution",
                "title": outcome.name,
                "execution_id": outcome.execution_id,
                "status": outcome.status,
            }
            quoted = (outcome.name, outcome.text, *(name for name, _ in outcome.steps))
            return _with_card(state, say.run_text(outcome), card, facts, quoted=quoted)
        case Failed():
            return _failed(state, outcome, facts)


def _with_card(
    state: ConversationState, note: str, card: Json, facts: Facts, *, quoted: tuple[str, ...] = ()
) -> Turn:
    """A note with its card, followed by the open question."""
    noted = state.noted(note).but(quoted=(*state.quoted, *quoted), cards=(*state.cards, card))
    return pose(noted, facts)


def _sign_in(state: ConversationState, outcome: SignInStarted, facts: Facts) -> Turn:
    signal = Signal.SIGN_IN_FAILED if state.phase is Phase.OAUTH_FLOW else Signal.CONNECT_AGREED
    state = state.on(
        signal, pending=Pending.SIGN_IN, pending_oauth=outcome.integration, oauth_url=outcome.url
    )
    return pose(state, facts)


def _checked(state: ConversationState, outcome: ConnectionChecked, facts: Facts) -> Turn:
    title = title_of(state, facts)
    connection = outcome.connection
    if connection is None:
        if state.phase is not Phase.OAUTH_FLOW:
            return pose(state.but(pending=Pending.CONNECT), facts)
        return pose(state.noted(say.nothing_arrived(title)).but(pending=Pending.SIGN_IN), facts)
    signal = Signal.CONNECTED if state.phase in (Phase.DISCOVERY, Phase.OAUTH_FLOW) else Signal.STAY
    was_sample = state.sample
    state = state.on(
        signal,
        connection_id=connection.id,
        workspace=connection.workspace_name,
        pending_oauth=None,
        oauth_url=None,
        sample=False,
    )
    if was_sample:
        state = state.but(resources=(), slots=state.slots.having("said", sources=()), built=None)
    return advance(state, facts)


def _listed(state: ConversationState, outcome: ResourcesListed, facts: Facts) -> Turn:
    title = title_of(state, facts)
    if not outcome.resources:
        note = say.nothing_shared(title, state.workspace)
        return pose(state.noted(note).but(connection_id=None, pending=Pending.CONNECT), facts)
    ordered = tuple(sorted(outcome.resources, key=lambda r: is_archive(r.name)))
    note = say.connected_text(title, state.workspace, ordered, state.sample)
    if outcome.truncated:
        note += " There is more than I could list here."
    state = state.noted(note).but(resources=ordered)
    if state.phase is Phase.DISCOVERY:
        state = state.on(Signal.READY_TO_ASK)
    named = {
        i
        for message in state.heard
        for i in resolve(message, [r.name for r in ordered], expected=False).positions
    }
    if len(ordered) == 1:
        named = {0}
    if named and not state.slots.sources:
        chosen = tuple(Source(id=ordered[i].id, name=ordered[i].name) for i in sorted(named))
        origin = "said" if len(ordered) > 1 else "found"
        state = state.but(slots=state.slots.having(origin, sources=chosen))
        state = state.noted(f"I use {listed(s.name for s in chosen)}.")
    card: Json = {
        "type": "connection", "title": title, "integration": state.slots.service,
        "workspace": state.workspace, "status": "sample" if state.sample else "connected",
    }  # fmt: skip
    return advance(state.but(cards=(*state.cards, card)), facts)


def _saved(state: ConversationState, outcome: AgentSaved, facts: Facts) -> Turn:
    first = state.built is None
    changes = differences(state, facts)
    seen = state.test is not None
    state = state.on(
        Signal.DRAFT_READY, draft_agent_id=outcome.agent_id, draft_name=outcome.name, built=state.slots,
        pending=Pending.TEST, asked={},
    )  # fmt: skip
    if first:
        when = when_words(state.slots, zone_of(state, facts))
        note = say.created_text(outcome.name, when)
        card: Json = {
            "type": "agent",
            "title": outcome.name,
            "agent_id": outcome.agent_id,
            "status": "draft",
            "skills": list(outcome.skills),
            "when": when,
        }
    else:
        lines = "\n".join(f"- **{label}:** {before} → {after}" for label, before, after in changes)
        note = f"Changed, everything else is as it was:\n\n{lines}"
        card = {
            "type": "diff",
            "title": "What changed",
            "rows": [{"label": a, "before": b, "after": c, "changed": True} for a, b, c in changes],
        }
    state = state.noted(note).but(cards=(*state.cards, card))
    if seen:
        mode = "dry" if state.sample else "preview"
        return ask_for(state, RunTest(outcome.agent_id, mode), "Testing it again …")
    return pose(state, facts)


def _tested(state: ConversationState, outcome: TestFinished, facts: Facts) -> Turn:
    title = title_of(state, facts)
    passed = outcome.verdict == "passed"
    effects = tuple(part.strip() for part in say.effect_words(outcome, title).split(";"))
    seen = TestSeen(
        test_id=outcome.test_id,
        mode=outcome.mode,
        passed=passed,
        sample_data=outcome.sample_data,
        effects=effects,
    )
    if outcome.verdict == "failed" and outcome.code and not outcome.problem:
        outcome = replace(outcome, problem=failure_text(Failed(outcome.code), title))
    if outcome.problem and forbidden_words(outcome.problem):
        outcome = replace(outcome, problem=None)
    pending = (
        Pending.ACCEPT if passed else Pending.SAMPLE_TEST if outcome.verdict == "no_effect" else Pending.TEST
    )
    note = say.test_text(outcome, title)
    card = {
        "type": "test_result", "title": "Test", "test_id": outcome.test_id, "mode": outcome.mode,
        "verdict": outcome.verdict, "sample_data": outcome.sample_data, "items": outcome.items,
        "report": outcome.report,
        "effects": [asdict(effect) for effect in outcome.effects],
    }  # fmt: skip
    state = state.but(test=seen, pending=pending)
    return _with_card(
        state,
        note,
        card,
        facts,
        quoted=(outcome.report.strip(), *outcome.read, *(e.summary for e in outcome.effects)),
    )


def _activated(state: ConversationState, outcome: Activated, facts: Facts) -> Turn:
    state = state.on(
        Signal.ACTIVATED,
        pending=Pending.NONE,
        active=True,
        draft_name=outcome.name,
        status=SessionStatus.COMPLETE,
    )
    when = moment_words(outcome.next_run, outcome.timezone) if outcome.next_run else None
    note = say.activated_text(outcome.name, when, run_phrase(state))
    card = {
        "type": "agent", "title": outcome.name, "agent_id": outcome.agent_id, "status": "active",
        "version": outcome.version, "timezone": outcome.timezone,
        "next_run": outcome.next_run.isoformat() if outcome.next_run else None,
    }  # fmt: skip
    return _with_card(state, note, card, facts, quoted=(outcome.name,))


def _failed(state: ConversationState, failed: Failed, facts: Facts) -> Turn:
    """Say it in plain words and leave the person where a next step is possible."""
    title = title_of(state, facts)
    noted = state.noted(failure_text(failed, title))
    match failed.code:
        case "integration_not_configured" | "connection_declined":
            return pose(noted.but(pending=Pending.SAMPLE), facts)
        case "connection_missing" | "connection_expired":
            return pose(noted.but(connection_id=None, pending=Pending.CONNECT), facts)
        case "state_invalid":
            return pose(noted.but(pending=Pending.CONNECT), facts)
        case "resource_not_found" if state.phase is Phase.REQUIREMENTS:
            again = noted.but(resources=(), slots=noted.slots.having("said", sources=()))
            return advance(again, facts)
        case "not_tested" | "manifest_not_approved" if state.phase is Phase.ACTIVATION:
            return pose(noted.on(Signal.BACK, pending=Pending.TEST), facts)
        case _:
            pass
    if state.phase is Phase.GENERATION:
        if state.built is not None:
            return pose(noted.on(Signal.DRAFT_READY, pending=Pending.TEST, slots=state.built), facts)
        return pose(noted.on(Signal.DRAFT_INVALID, pending=Pending.SUMMARY), facts)
    return pose(noted, facts)
