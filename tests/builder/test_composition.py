"""What a wish consists of: clauses, their order, conditions that a rule engine can read, and plain words."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import time

import cel
import pytest
from bench.understanding import CORPUS, KINDS, SERVICES, Line, accuracy, evaluate, known, summary
from hypothesis import given
from hypothesis import strategies as st

from omniforge.builder.outline import Operation
from omniforge.builder.understanding.composition import Composition, explain, read_composition
from omniforge.builder.understanding.conditions import read_condition
from omniforge.builder.understanding.intents import Intent, read_intent
from omniforge.builder.understanding.stance import Stance, read_stance
from omniforge.builder.vocabulary import forbidden_words

PURCHASE = (
    "Extract the purchase order and the invoice, find the purchase order that belongs to the invoice (stop with "
    "'No PO found' if there is none), compare them, and then: 0 % approve; more than 0 and less than 2 % review and "
    "tell Slack; 2 % or more reject with an urgent note to #finance"
)


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return evaluate()


@pytest.mark.parametrize("kind", KINDS)
def test_the_labelled_sentences_are_understood(kind: str, lines: list[Line]) -> None:
    told = known(lines)
    wrong = [(line.says, line.expected, line.found) for line in told if line.kind == kind and not line.right]
    assert accuracy(told, kind) >= 0.95, wrong


def test_no_confirmation_is_read_where_none_was_given(lines: list[Line]) -> None:
    assert [line.says for line in lines if line.confirmed] == []


def test_the_corpus_is_large_and_some_of_it_was_never_tuned_to(lines: list[Line]) -> None:
    figures = summary(lines)
    assert figures["lines"] >= 450
    assert figures["held_out"]["lines"] >= 100
    assert len({(line.kind, line.says) for line in lines}) == len(lines)
    assert all((CORPUS / f"{kind}.yaml").exists() for kind in KINDS)


def test_every_condition_of_the_corpus_can_be_evaluated(lines: list[Line]) -> None:
    for line in (line for line in lines if line.kind == "compositions"):
        for clause in read_composition(line.says, SERVICES).clauses:
            if clause.condition:
                cel.compile(clause.condition)


@pytest.mark.parametrize(
    ("variance", "verdicts"), [(0.0, ["approve"]), (1.5, ["review"]), (2.0, ["reject"]), (5.9, ["reject"])]
)
def test_exactly_one_verdict_is_taken(variance: float, verdicts: list[str]) -> None:
    clauses = read_composition(PURCHASE, SERVICES).clauses
    taken = [
        clause.object
        for clause in clauses
        if clause.operation == "decide" and cel.evaluate(clause.condition, {"variance_percent": variance})
    ]
    assert taken == verdicts


def test_what_is_said_beside_an_operation_is_kept() -> None:
    clauses = read_composition(PURCHASE, SERVICES).clauses
    match = next(clause for clause in clauses if clause.operation == "match")
    urgent = [clause for clause in clauses if clause.urgent]
    assert match.text == "No PO found"
    assert [(clause.operation, clause.place) for clause in urgent] == [("post", "#finance")]


def test_a_branch_for_everything_else_is_marked() -> None:
    found = read_composition("if overdue post to #urgent, otherwise to #team", SERVICES).clauses
    assert [(c.operation, c.place, c.otherwise) for c in found] == [
        ("report", "", False),
        ("post", "#urgent", False),
        ("post", "#team", True),
    ]
    assert not cel.evaluate(found[2].condition, {"overdue": True})


def test_needs_point_back_and_operations_exist(lines: list[Line]) -> None:
    known = set(Operation)
    for line in lines:
        for at, clause in enumerate(read_composition(line.says, SERVICES).clauses):
            assert clause.operation in known
            assert all(0 <= need < at for need in clause.needs)


def test_services_that_are_not_here_are_named_all_the_same() -> None:
    found = read_composition("copy the open tickets from Jira into Notion", ("notion",)).clauses
    assert [clause.service for clause in found] == ["jira", "notion"]


@pytest.mark.parametrize(
    "says",
    ["authenticate the users", "have it approved by #managers", "read the board and frobnicate the widgets"],
)
def test_what_fits_no_rule_is_asked_and_not_guessed(says: str) -> None:
    assert read_composition(says, SERVICES).unsure


@pytest.mark.parametrize(
    "says", ["I know Notion well", "yesterday was fine", "authenticate", "hello", "thanks"]
)
def test_words_inside_words_ask_for_nothing(says: str) -> None:
    assert read_composition(says, SERVICES).clauses == ()
    assert read_stance(says).stance is not Stance.YES


def test_the_explanation_is_numbered_and_tells_what_happens_at_the_same_time() -> None:
    text = explain(read_composition("check Notion and Linear, then post one summary to #team", SERVICES))
    assert text.splitlines()[0] == "1. Read Notion."
    assert text.splitlines()[2].startswith("3. After 1 and 2,")
    assert "1 and 2 happen at the same time." in text


def test_explanations_hold_no_word_of_developers(lines: list[Line]) -> None:
    for line in (line for line in lines if line.kind == "compositions"):
        found = read_composition(line.says, SERVICES)
        said = [text for c in found.clauses for text in (c.words, c.object, c.place, c.condition_words)]
        assert forbidden_words(explain(found), (line.says, *said)) == []


@pytest.mark.parametrize(
    ("words", "subject", "expression"),
    [
        ("variance below 2 %", None, "variance_percent < 2.0"),
        ("at most 1.5k", "amount", "amount <= 1500.0"),
        ("the total is not over $1,000", None, "total <= 1000.0"),
        ("the status isn't Done", None, "status != 'Done'"),
        ("it is either A4 or Letter", "format", "format == 'A4' || format == 'Letter'"),
        ('the title contains "it\'s late"', None, "title.contains('it\\'s late')"),
        ("the amount is over 500 and the status is Open", None, "amount > 500.0 && status == 'Open'"),
        ("there are more than 3 open bugs", None, "items > 3"),
        ("nothing was found", None, "items == 0"),
        ("they don't match", None, "equal == false"),
    ],
)
def test_conditions_in_words(words: str, subject: str | None, expression: str) -> None:
    check = read_condition(words, subject=subject)
    assert check
    assert check.expression == expression
    cel.compile(check.expression)


@pytest.mark.parametrize(
    "words", ["the customer sounds angry", "a deadline is near", "you feel like it", "it is more"]
)
def test_a_condition_that_needs_judgement_is_not_guessed(words: str) -> None:
    assert read_condition(words) is None


@given(st.text(max_size=400))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    found = read_composition(text, SERVICES)
    explain(found)
    assert Composition.model_validate_json(found.model_dump_json()) == found
    assert read_intent(text).intent in (None, *Intent)
    if check := read_condition(text):
        cel.compile(check.expression)


@given(
    st.lists(
        st.sampled_from(
            ["if", "the amount is over 5", "post to #a", "then", "otherwise", ",", "and", "Notion", ".", "2 % or more",
             "reject", "depending on the kind", "A, B or C", "when a row appears", "unless", "both are done", "1.", "\n- "]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_any_order_of_the_words_that_join_is_read(parts: list[str]) -> None:
    found = read_composition(" ".join(parts), SERVICES)
    for at, clause in enumerate(found.clauses):
        assert all(need < at for need in clause.needs)
        if clause.condition:
            cel.compile(clause.condition)


def test_long_and_foreign_text_is_read_in_little_time() -> None:
    for nasty in (
        "1,2,",
        "and then ",
        "if a is b ",
        "Aa or ",
        "\n1. a ",
        "日本語 ",
        "“x” ",
        "can you ",
        "zzq0zz ",
        "# ",
    ):
        text = (nasty * 100_000)[:100_000]
        started = time.perf_counter()
        explain(read_composition(text, SERVICES))
        read_intent(text)
        assert time.perf_counter() - started < 5, nasty
