"""What an answer to each open question does: functions of the state, the message and its stance. Pure."""

from __future__ import annotations

from collections.abc import Callable

from omniforge.builder import wording as say
from omniforge.builder.exchange import (
    Activate,
    CheckConnection,
    Facts,
    ListResources,
    RunAgent,
    RunTest,
    StartSignIn,
    Turn,
)
from omniforge.builder.phases import Phase, SessionStatus, Signal
from omniforge.builder.questions import (
    advance,
    ask_for,
    connections_of,
    create,
    default_sources,
    known,
    open_details,
    pose,
    readable,
    title_of,
    to_summary,
    with_defaults,
)
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.schedule import Schedule, Unclear, read_schedule
from omniforge.builder.understanding.slots import Source, Update, read_slots
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.understanding.text import has_phrase, listed

MOST_HEARD = 5
CLAIMS = (
    "done",
    "connected",
    "finished",
    "did it",
    "did everything",
    "signed in",
    "allowed",
    "ready",
    "complete",
)
EXPECTED: dict[Pending, tuple[str, ...]] = {
    Pending.DETAILS: ("fields", "format", "schedule", "group", "window"),
    Pending.OFFER: ("schedule",),
}


def noted(state: ConversationState, *notes: str) -> ConversationState:
    return state.but(notes=(*state.notes, *(note for note in notes if note)))


# --- using what a message says --------------------------------------------------------------------


def _update(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Update:
    return read_slots(
        text,
        state.slots,
        known(state, facts),
        stance=reading.stance,
        expected=EXPECTED.get(state.pending, ()),
    )


def _with(state: ConversationState, update: Update, facts: Facts) -> ConversationState:
    """The state with an update taken in; problems become notes, an unclear time becomes the open question."""
    title = title_of(state, facts)
    state = state.but(slots=update.slots)
    for problem in update.problems:
        state = noted(state, say.problem_words(problem, state, title))
        if problem.unclear:
            state = state.but(offer=problem.unclear.offer, pending=Pending.OFFER)
    return state


def _hear(state: ConversationState, text: str, reading: Reading, facts: Facts) -> ConversationState:
    """What can be used before the fields are known; the rest is kept for later."""
    update = _update(state, text, reading, facts)
    problems = tuple(p for p in update.problems if p.kind not in ("schedule", "field"))
    slots = update.slots
    plan = slots.schedule
    if "schedule" in update.touched and plan and plan.event == "scheduled" and not plan.time_said:
        slots = slots.having("default", schedule=plan.model_copy(update={"origin": "default", "notes": ()}))
    state = _with(state, Update(slots, update.touched, problems), facts)
    return state.but(heard=(*state.heard, text)[-MOST_HEARD:])


def _changed(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """A message taken as information: merged, then on to whatever is next."""
    update = _update(state, text, reading, facts)
    state = _with(state, update, facts)
    if state.pending is Pending.OFFER:
        return pose(state, facts)
    if not update.touched and not update.problems:
        note = say.NO_YES if reading.stance is Stance.UNSURE else say.NOT_UNDERSTOOD
        return pose(noted(state, note), facts)
    if not update.touched:
        return pose(state, facts)
    if state.draft_agent_id:
        return advance(state, facts)
    if state.pending is Pending.SUMMARY:
        described = {r.id for r in state.resources if r.fields is not None}
        if all(source.id in described for source in state.slots.sources):
            return pose(state.but(slots=with_defaults(state)), facts, revised=True)
    return advance(state, facts)


# --- answers to each question ---------------------------------------------------------------------


def _wish(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    wish = intent.read_wish(text)
    service = _service_named(text, facts)
    agreed = reading.stance in (Stance.YES, Stance.DELEGATE) and state.slots.service is not None
    goal = wish.goal or (state.slots.goal or "report" if agreed else None)
    if goal is None and service is None and not wish.pain and state.slots.goal is None:
        state = _hear(state, text, reading, facts) if reading.stance is Stance.NONE else state
        greeting = (
            "" if state.notes else say.NOT_UNDERSTOOD if reading.stance is not Stance.NONE else say.HELLO
        )
        return pose(noted(state, greeting), facts)
    slots = state.slots
    goal = goal or slots.goal
    if goal is None and wish.pain and service:
        goal = f"{_often(text)}report"
    slots = slots.having("said", goal=goal) if goal else slots
    slots = slots.having("said", subject=wish.subject) if wish.subject else slots
    slots = slots.having("said", service=service) if service else slots
    state = _hear(state.but(slots=slots, intent="create"), text, reading, facts)
    if slots.goal is None:
        return pose(state.but(pending=Pending.WISH), facts)
    if state.pending is Pending.OFFER:
        state = state.but(pending=Pending.WISH)
    return advance(state, facts)


def _often(text: str) -> str:
    wish = intent.read_wish(f"{text} report").goal or "report"
    return wish.removesuffix("report")


def _service_named(text: str, facts: Facts) -> str | None:
    for integration in readable(facts):
        if has_phrase(text, (integration.name, integration.title)):
            return integration.name
    return None


def _service(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    named = _service_named(text, facts)
    first = readable(facts)
    if named is None and reading.stance in (Stance.YES, Stance.DELEGATE) and first:
        named = first[0].name
    if named:
        state = state.but(slots=state.slots.having("said", service=named))
        return advance(_hear(state, text, reading, facts), facts)
    if reading.stance is Stance.NO:
        return pose(noted(state, "Other services can't be read yet."), facts)
    return pose(_hear(state, text, reading, facts), facts)


def _connect(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance in (Stance.YES, Stance.DELEGATE):
        if connections_of(state, facts):
            return advance(state, facts)
        return ask_for(state, StartSignIn(state.slots.service or ""), "Preparing the sign-in …")
    if reading.stance is Stance.NO:
        return pose(state.but(pending=Pending.SAMPLE), facts)
    if reading.stance is Stance.UNSURE:
        return pose(noted(state, say.NO_YES), facts)
    if wish := intent.read_wish(text).goal:
        state = state.but(slots=state.slots.having("said", goal=wish))
    return pose(_hear(state, text, reading, facts), facts)


def _sign_in(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    service = state.slots.service or ""
    if reading.act is Act.RETRY or has_phrase(
        text, ("new link", "new address", "expired", "another link", "link doesn't work")
    ):
        return ask_for(state, StartSignIn(service), "Preparing the sign-in …")
    if reading.stance is not Stance.NO and (
        reading.stance is Stance.YES
        or reading.act is Act.CONNECT
        or has_phrase(text, CLAIMS)  # looking costs nothing, so a hedged claim is checked too
        or connections_of(state, facts)
    ):
        heard = _hear(state, text, reading, facts)
        return ask_for(heard, CheckConnection(service), "Checking the connection …")
    if reading.stance is Stance.NO:
        if has_phrase(text, ("not yet", "yet", "not connected", "still", "didn't", "not done")):
            return pose(noted(state, "No hurry; I'll wait."), facts)
        return pose(state.but(pending=Pending.SAMPLE), facts)
    return pose(_hear(state, text, reading, facts), facts)


def _sample(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.act is Act.CONNECT:
        return ask_for(state, StartSignIn(state.slots.service or ""), "Preparing the sign-in …")
    if reading.stance in (Stance.YES, Stance.DELEGATE) or has_phrase(text, ("sample data", "sample")):
        state = state.on(Signal.DECLINED, sample=True, pending_oauth=None, oauth_url=None)
        return ask_for(
            state, ListResources(state.slots.service or "", None, True), "Getting the sample data …"
        )
    if reading.stance is Stance.NO:
        return pose(
            noted(state, "All right, nothing is connected and nothing is built.").but(
                pending=Pending.CONNECT
            ),
            facts,
        )
    return pose(_hear(state, text, reading, facts), facts)


def _workspace(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    names = [item.name for item in state.last_list]
    positions = resolve(text, names).positions
    if reading.stance in (Stance.DELEGATE, Stance.YES):
        positions = (0,)
    if len(positions) != 1:
        return pose(noted(state, "Please name one of them."), facts)
    return ask_for(
        state,
        CheckConnection(state.slots.service or "", state.last_list[positions[0]].id),
        "Checking the connection …",
    )


def _resources(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    names = [item.name for item in state.last_list]
    if reading.stance in (Stance.DELEGATE, Stance.YES):
        chosen = default_sources(state)
        state = noted(state, f"I take {listed(s.name for s in chosen)}.")
        return advance(state.but(slots=state.slots.having("default", sources=chosen)), facts)
    picked = resolve(text.partition(" with ")[0] if " with " in text else text, names)
    if not picked.positions:
        picked = resolve(text, names)
    if picked.positions:
        chosen = tuple(
            Source(id=state.last_list[i].id, name=state.last_list[i].name) for i in picked.positions
        )
        state = _hear(state, text, reading, facts)
        return advance(
            state.but(slots=state.slots.having("said", sources=chosen), pending=Pending.RESOURCES), facts
        )
    before = state.slots
    state = _hear(state, text, reading, facts)
    if state.slots != before or state.notes:
        return pose(state.but(pending=Pending.RESOURCES), facts)
    near = f" Did you mean {listed(picked.close, 'or')}?" if picked.close else ""
    return pose(noted(state, f"I couldn't tell which of them you mean.{near}"), facts)


def _details(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    update = _update(state, text, reading, facts)
    left_to_us = reading.stance in (Stance.DELEGATE, Stance.YES) or has_phrase(
        text,
        (
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
        ),
    )
    if left_to_us and not any(p.unclear for p in update.problems):
        state = _with(state, update, facts)
        taken = [
            {"fields": "the information", "format": "the format", "schedule": "the time"}[s]
            for s in open_details(state)
        ]
        return to_summary(noted(state, f"I take my suggestion for {listed(taken)}." if taken else ""), facts)
    if not update.touched and not update.problems:
        return pose(
            noted(
                state,
                f"{say.NOT_UNDERSTOOD} For example: *status and owner, as bullets, every Monday at 8:30*.",
            ),
            facts,
        )
    state = _with(state, update, facts)
    return pose(state, facts) if state.pending is Pending.OFFER else advance(state, facts)


def _offer(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """An unclear time: our offer with a yes, else a fresh sentence."""
    plan: Schedule | Unclear | None = None
    if reading.stance in (Stance.YES, Stance.DELEGATE) and state.offer:
        plan = state.offer
    elif reading.stance is not Stance.UNSURE:
        plan = read_schedule(text, base=state.slots.schedule or state.offer, expected=True)
    if isinstance(plan, Schedule) and plan.event != "event_driven":
        zone = plan.timezone or (state.slots.schedule.timezone if state.slots.schedule else None)
        origin = "said" if plan.origin == "default" else plan.origin
        plan = plan.model_copy(update={"timezone": zone, "origin": origin})
        slots = state.slots.having(origin, schedule=plan)
        update = (
            read_slots(text, slots, known(state, facts), stance=Stance.AMEND)
            if reading.stance is not Stance.YES
            else None
        )
        state = state.but(slots=update.slots.having(origin, schedule=plan) if update else slots, offer=None)
        return advance(
            state.but(pending=Pending.DETAILS if not state.draft_agent_id else Pending.ACCEPT), facts
        )
    if isinstance(plan, Unclear):
        return pose(noted(state, plan.question).but(offer=plan.offer), facts)
    if reading.stance is Stance.NO or reading.stance is Stance.DELEGATE:
        slots = state.slots.having("said", schedule=Schedule(event="on_demand", time_said=False))
        return advance(noted(state, "Then it runs whenever you ask.").but(slots=slots, offer=None), facts)
    return pose(noted(state, "I'm not sure about the time. For example: *every Monday at 8:30*."), facts)


def _summary(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.YES and reading.act in (None, Act.CREATE):
        return create(state, facts)
    if reading.stance is Stance.NO:
        return pose(
            noted(
                state,
                "What shall I change? For example: *add the owner*, *make it a table*, *Tuesdays at 10*.",
            ),
            facts,
        )
    if reading.act in (Act.TEST, Act.ACTIVATE) and reading.stance is Stance.YES:
        return pose(
            noted(state, "First it has to be created; that comes before testing and switching on."), facts
        )
    return _changed(state, text, reading, facts)


def _start_test(state: ConversationState, mode: str | None = None) -> Turn:
    mode = mode or ("dry" if state.sample else "preview")
    return ask_for(state, RunTest(state.draft_agent_id or "", mode), "Testing …")


def _test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.act is Act.ACTIVATE:
        return pose(noted(state, say.FAILURES["not_tested"]), facts)
    if (
        reading.act in (Act.TEST, Act.RETRY)
        or (reading.stance is Stance.YES and reading.act is None)
        or (
            intent.says_it(text.partition(" ")[2])
            and reading.stance is Stance.NONE
            and text.lower().startswith("run")
        )
    ):
        return _start_test(state)
    if reading.stance is Stance.NO:
        return pose(noted(state.on(Signal.TEST_DECLINED), say.test_declined()), facts)
    return _changed(state, text, reading, facts)


def _sample_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.YES and reading.act in (None, Act.TEST):
        return _start_test(state, "dry")
    return _test(state, text, reading, facts)


def _accept(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.act in (Act.TEST, Act.RETRY):
        return _start_test(state)
    if reading.stance is Stance.YES and reading.act in (None, Act.ACTIVATE, Act.CREATE):
        if state.test is None or not state.test.passed:
            return pose(noted(state, say.FAILURES["not_tested"]).but(pending=Pending.TEST), facts)
        if state.sample and not state.connection_id:
            note = (
                f"It works with sample data. To run on your own, {title_of(state, facts)} must be connected."
            )
            return pose(noted(state, note).but(pending=Pending.CONNECT), facts)
        return pose(state.on(Signal.TEST_ACCEPTED, pending=Pending.ACTIVATE), facts)
    if reading.stance is Stance.NO:
        return pose(noted(state, "What shall I change?"), facts)
    return _changed(state, text, reading, facts)


def _activate(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if (
        reading.stance is Stance.YES
        and reading.act in (None, Act.ACTIVATE)
        and state.test
        and state.draft_agent_id
    ):
        return ask_for(state, Activate(state.draft_agent_id, state.test.test_id), "Switching it on …")
    if reading.stance in (Stance.NO, Stance.PAUSE):
        done = state.on(Signal.NOT_NOW, pending=Pending.NONE, status=SessionStatus.COMPLETE)
        return pose(noted(done, say.not_now_text(state.draft_name or "the agent", state.active)), facts)
    if reading.act in (Act.TEST, Act.RETRY):
        return _start_test(state.on(Signal.BACK))
    return _changed(state, text, reading, facts)


def _agent(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    positions = resolve(text, [item.name for item in state.last_list]).positions
    if len(positions) != 1:
        return pose(noted(state, "Please name one of them."), facts)
    state = state.but(pending=Pending.NONE if state.phase is Phase.COMPLETE else Pending.WISH)
    return ask_for(state, RunAgent(state.last_list[positions[0]].id), "Running it …")


def _idle(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """Nothing is open: a change of the agent just made, a new wish, or politeness."""
    if state.draft_agent_id is None or intent.is_new_wish(text):
        fresh = ConversationState(phase=Phase.COMPLETE).on(
            Signal.NEW_WISH, intent="create", pending=Pending.WISH, quoted=state.quoted
        )
        return _wish(fresh, text, reading, facts)
    if not state.active and reading.act is Act.ACTIVATE:
        if state.test and state.test.passed and state.built == state.slots:
            return pose(state.on(Signal.FINISH, pending=Pending.ACTIVATE), facts)
        return pose(state.on(Signal.RETEST, pending=Pending.TEST), facts)
    if (
        state.active
        and reading.act is Act.TEST
        and has_phrase(text, ("run",))
        and not has_phrase(text, ("test",))
    ):
        return ask_for(state, RunAgent(state.draft_agent_id), "Running it …")
    if reading.act in (Act.TEST, Act.RETRY) and reading.stance is not Stance.NO:
        return _start_test(state.on(Signal.RETEST))
    update = _update(state, text, reading, facts)
    if update.touched or update.problems:
        return _changed(state, text, reading, facts)
    if intent.read_wish(text).goal:
        fresh = ConversationState(phase=Phase.COMPLETE).on(
            Signal.NEW_WISH, intent="create", pending=Pending.WISH, quoted=state.quoted
        )
        return _wish(fresh, text, reading, facts)
    return pose(state, facts)


Answer = Callable[[ConversationState, str, Reading, Facts], Turn]
ANSWERS: dict[Pending, Answer] = {
    Pending.NONE: _idle,
    Pending.WISH: _wish,
    Pending.SERVICE: _service,
    Pending.CONNECT: _connect,
    Pending.SIGN_IN: _sign_in,
    Pending.SAMPLE: _sample,
    Pending.WORKSPACE: _workspace,
    Pending.RESOURCES: _resources,
    Pending.DETAILS: _details,
    Pending.OFFER: _offer,
    Pending.SUMMARY: _summary,
    Pending.TEST: _test,
    Pending.SAMPLE_TEST: _sample_test,
    Pending.ACCEPT: _accept,
    Pending.ACTIVATE: _activate,
    Pending.AGENT: _agent,
}
