"""Every row of the recovery catalogue, as the steps of its ladder and its end."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine.recovery.ladders import (
    LADDER,
    busy,
    damaged,
    down,
    failing,
    full,
    garbled,
    late,
    of,
    short_of_memory,
    walk,
)
from omniforge.core.errors import (
    Fatal,
    Forbidden,
    Invalid,
    NeedsHuman,
    ProviderError,
    RateLimited,
    Retryable,
    Unavailable,
)
from omniforge.engine.plan import Retry
from omniforge.engine.recovery.decide import LADDER as STRATEGIES
from omniforge.engine.recovery.decide import decide
from omniforge.engine.recovery.decision import Again, AskPerson, Decision, GiveUp, Later, told
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure, FailureKind, classify

FEEDBACK = {"feedback": "- The answer does not parse."}
WAYS: list[tuple[str, Failure, dict[str, Any], list[str], type]] = [
    ("no answer in time", late(), {}, ["simpler", "simpler"], AskPerson),
    ("context full", full(), {}, ["compact", "compact", "other_model"], AskPerson),
    ("does not parse", garbled(), {}, ["reformat", "reformat", "fresh", "reformat", "reformat"], GiveUp),
    (
        "does not parse, part of it will do",
        garbled(),
        {"allows_partial": True},
        ["reformat", "reformat", "fresh", "reformat", "reformat", "partial"],
        GiveUp,
    ),
    ("no memory", short_of_memory(), {}, ["later"] * 3, AskPerson),
    ("bad checkpoint", damaged(), {}, ["earlier_checkpoint"] * 2, AskPerson),
    ("429", busy(), {}, (["wait"] * 3 + ["later"]) * 3 + ["wait"] * 3, GiveUp),
    ("429 for long", busy(3600), {}, ["later"] * 3, GiveUp),
    ("types", failing("types"), {}, ["fix"] * 3, AskPerson),
    ("tests", failing("tests"), {}, ["fix"] * 2, AskPerson),
    ("another check", failing(), {}, ["fix"] * 2, AskPerson),
    (
        "provider down, two others",
        down(),
        {"fallbacks": 2},
        (["next_provider"] * 2 + ["later"]) * 3 + ["next_provider"] * 2,
        GiveUp,
    ),
    ("provider down, no other", down(), {}, ["wait", "later"] * 3 + ["wait"], GiveUp),
    ("left alone for a while", down(900, code="circuit_open"), {}, ["later"] * 3, GiveUp),
    ("no sandbox", of(Unavailable("No sandbox.", code="sandbox_unavailable")), {}, [], GiveUp),
    ("policy refuses", of(Forbidden("Not allowed.")), {}, [], GiveUp),
    ("bad plan", of(Invalid("A circle.", code="invalid_plan")), {}, [], GiveUp),
    ("passes by itself", of(Retryable("Hiccup.")), {}, ["back_off"] * 2, GiveUp),
    ("who?", of(NeedsHuman("Who?")), {}, [], AskPerson),
    ("a fault of ours", classify(ValueError("x")), {}, [], GiveUp),
]


@pytest.mark.parametrize(
    ("failure", "terms", "moves", "end"), [row[1:] for row in WAYS], ids=[r[0] for r in WAYS]
)
def test_each_failure_goes_its_way_to_its_end(
    failure: Failure, terms: dict[str, Any], moves: list[str], end: type
) -> None:
    steps, last = walk(failure, **terms)
    assert [told(step)["move"] for step in steps] == moves
    assert isinstance(last, end)
    assert all(decision.reason.strip() for decision in (*steps, last))


def test_every_kind_has_a_strategy() -> None:
    assert set(STRATEGIES) == set(FailureKind)
    assert {row[1].kind for row in WAYS} == set(FailureKind)


def test_after_a_timeout_less_is_read_each_time_and_the_waits_grow() -> None:
    steps, _ = walk(late())
    assert [step.hints for step in steps] == [{"context": "minimal"}, {"context": "essential"}]
    assert 5 <= steps[0].delay <= 6
    assert 30 <= steps[1].delay <= 36


def test_a_full_window_is_compacted_with_little_context_then_another_model_is_asked() -> None:
    steps, _ = walk(full())
    compacted = {"context": "minimal", "compact": True}
    assert [step.hints for step in steps] == [compacted, compacted, {"context": "minimal", "model": "larger"}]
    cheaper = of(Fatal("full", code="context_full", model="cheaper"))
    assert walk(cheaper)[0][-1].hints["model"] == "cheaper"


def test_an_answer_in_the_wrong_form_is_asked_for_again_naming_every_error() -> None:
    fields = [{"field": "rows[0].price", "value": "x", "rule": "a number"}]
    failure = garbled(problems=["$.name: is missing"], fields=fields)
    first = walk(failure)[0][0]
    assert first.hints["reformat"] is True
    assert first.hints["feedback"] == "- $.name: is missing\n- rows[0].price: a number (given: 'x')"
    partial = walk(failure, allows_partial=True)[0][-1]
    assert partial.hints["partial"] is True
    assert "Warning" in partial.reason


def test_a_fix_attempt_is_shown_what_the_check_said_cut_to_what_one_can_read() -> None:
    hints = walk(failing("types", stdout="a.py:1 error", stderr="2 errors"))[0][0].hints
    assert hints == {"fix": "types", "feedback": "a.py:1 error\n2 errors"}
    long = walk(failing("tests", output="first " + "x" * 20_000 + " last"))[0][0].hints["feedback"]
    assert len(long) == 6_000
    assert long.startswith("first ")
    assert long.endswith(" last")


def test_checks_under_ever_new_names_are_not_fixed_for_ever() -> None:
    history = History()
    for number in range(10):
        failure = failing(f"check{number}")
        decision = decide(failure, history, LADDER, "s")
        if isinstance(decision, AskPerson):
            break
        history = history.after(failure, decision)
    assert sum(history.fixes.values()) == 6


def test_waits_for_a_busy_service_grow_and_a_named_time_is_kept() -> None:
    steps, _ = walk(busy())
    for step, least in zip(steps, (5, 30, 60, 60, 5, 30, 60, 300), strict=False):
        assert least <= step.delay <= least * 1.2
    named = walk(busy(17))[0]
    assert all(17 <= step.delay <= 17 * 1.2 for step in named if isinstance(step, Again))


def test_after_being_put_off_the_first_provider_is_asked_again() -> None:
    steps, _ = walk(down(), fallbacks=2)
    assert [step.hints.get("provider", 0) for step in steps[:5]] == [1, 2, 0, 1, 2]
    assert [step.delay for step in steps[:2]] == [0, 0]


def test_what_was_decided_for_good_holds_through_later_failures() -> None:
    history = History()
    seen: list[dict[str, Any]] = []
    for failure in (down(), full(), garbled(), late()):
        decision = decide(failure, history, LADDER, "s", fallbacks=1)
        assert isinstance(decision, Again)
        history = history.after(failure, decision)
        seen.append(dict(decision.hints))
    assert seen == [
        {"provider": 1},
        {"provider": 1, "context": "minimal", "compact": True},
        {"provider": 1, "context": "minimal", "reformat": True, **FEEDBACK},
        {"provider": 1, "context": "essential"},
    ]


# --- without the ladder: the step's own policy, and what is certainly safe


@pytest.mark.parametrize(
    ("failure", "end"),
    [
        (late(), GiveUp),
        (full(), GiveUp),
        (garbled(), GiveUp),
        (failing("types"), GiveUp),
        (short_of_memory(), GiveUp),
        (of(Retryable("Hiccup.")), GiveUp),
        (of(Retryable("Busy.", code="rate_limited_there")), GiveUp),
        (of(ProviderError("No.", retryable=False)), GiveUp),
        (of(ProviderError("Odd.", retryable=True, code="odd")), GiveUp),
        (down(outcome_unknown=True), AskPerson),
        (busy(), Again),
        (of(RateLimited("Busy.", retry_after=2)), Again),
        (down(), Again),
    ],
)
def test_nothing_is_repeated_unasked_but_what_certainly_did_nothing(
    failure: Failure, end: type[Decision]
) -> None:
    assert isinstance(decide(failure, History(), Retry(), "s"), end)


@pytest.mark.parametrize(
    "failure", [late(), of(Retryable("x")), of(Retryable("x", code="rate_limited_there"))]
)
def test_a_policy_repeats_what_is_retryable_with_its_own_delays_as_often_as_it_says(failure: Failure) -> None:
    steps, end = walk(failure, Retry(attempts=4, delay=0.01, jitter=0))
    assert [step.delay for step in steps] == [0.01, 0.02, 0.04]
    assert isinstance(end, GiveUp)


@pytest.mark.parametrize("policy", [Retry(attempts=5), Retry(attempts=5, ladder=True)])
@pytest.mark.parametrize("error", [Fatal("No."), Invalid("No."), KeyError("x"), Unavailable("No.")])
def test_what_will_not_pass_by_itself_is_never_repeated(policy: Retry, error: Exception) -> None:
    assert isinstance(decide(classify(error), History(), policy, "s"), GiveUp)


def test_a_service_that_is_down_is_waited_for_however_few_attempts_were_asked_for() -> None:
    quick, _ = walk(down(), Retry(attempts=3, delay=0.01))
    assert [told(step)["move"] for step in quick[:4]] == ["back_off", "back_off", "wait", "later"]


def test_an_effect_with_unknown_outcome_is_repeated_only_where_the_author_said_so() -> None:
    doubtful = down(outcome_unknown=True)
    steps, end = walk(doubtful, Retry(attempts=3, delay=0))
    assert (len(steps), type(end)) == (2, AskPerson)
    steps, end = walk(doubtful, LADDER)
    assert (len(steps), type(end)) == (0, AskPerson)


@pytest.mark.parametrize(
    "left", [{"tokens_left": 0}, {"money_left": 0.0}, {"tokens_left": -3, "money_left": 1.0}]
)
def test_nothing_is_tried_again_once_the_budget_is_used_up(left: dict[str, Any]) -> None:
    decision = decide(late(), History(), LADDER, "s", **left)
    assert isinstance(decision, GiveUp)
    assert "budget" in decision.reason
    assert isinstance(decide(late(), History(), LADDER, "s", tokens_left=1, money_left=0.01), Again)


# --- how many end with a person

_FAULTS = [row for row in WAYS if row[1].kind not in (FailureKind.NEEDS_PERSON, FailureKind.UNEXPECTED)]


def _ending(failure: Failure, terms: dict[str, Any], passes_after: int) -> type:
    history = History()
    for number in range(1, 100):
        decision = decide(failure, history, LADDER, f"run{number}", **terms)
        if not isinstance(decision, Again | Later):
            return type(decision)
        if number >= passes_after:
            return Again
        history = history.after(failure, decision)
    raise AssertionError("it never ends")


@pytest.mark.parametrize("seed", range(5))
def test_fewer_than_one_fault_in_ten_ends_with_a_person(seed: int) -> None:
    """Each fault passes after k attempts: half of them after one, half of the rest after two, …"""
    chance = random.Random(seed)
    endings: list[type] = []
    hopeless = 0
    for _ in range(2_000):
        _, failure, terms, _, _ = chance.choice(_FAULTS)
        attempts = 1
        while chance.random() < 0.5:
            attempts += 1
        endings.append(_ending(failure, terms, attempts))
        hopeless += failure.kind is FailureKind.FATAL
    assert 0 < endings.count(AskPerson) < len(endings) / 10
    assert endings.count(Again) > (len(endings) - hopeless) * 0.85
