"""The local Linear reads GraphQL: what it refuses and how, what it counts, filters and pages."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.linear.queries import operations
from omniforge.integrations.catalog.linear.standin import StandinState
from omniforge.integrations.catalog.linear.standin.answering import Reading
from omniforge.integrations.catalog.linear.standin.execute import Execution
from omniforge.integrations.catalog.linear.standin.filters import matches
from omniforge.integrations.catalog.linear.standin.graphql import SyntaxProblem, Type, parse
from omniforge.integrations.catalog.linear.standin.validate import Check, Misfit, complexity_of, variables_of
from omniforge.integrations.catalog.linear.standin.world import schema

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
WORLD = StandinState(now=lambda: NOW).world
VIEWER = WORLD.rows("User")[0]["id"]


def ask(text: str, **variables: Any) -> tuple[Any, list[dict[str, Any]]]:
    document = parse(text)
    operation = next(iter(document.operations.values()))
    Check(schema(), document, operation).run()
    values = variables_of(schema(), operation, variables)
    execution = Execution(schema(), document, values, Reading(WORLD, VIEWER))
    return execution.run(operation), execution.errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ viewer { shoeSize } }", 'Cannot query field "shoeSize" on type "User".'),
        ("{ viewer }", 'Field "viewer" of type "User!" must have a selection of subfields.'),
        ("{ viewer { id { x } } }", "must not have a selection"),
        ('{ issue(key: "x") { id } }', 'Unknown argument "key" on field "Query.issue".'),
        ("{ issue { id } }", 'argument "id" of type "String!" is required'),
        ("{ issues(first: 1.5) { nodes { id } } }", "Int cannot represent value: 1.5"),
        ("{ issues(orderBy: size) { nodes { id } } }", 'Value "size" does not exist'),
        ('{ issues(filter: {colour: {eq: "x"}}) { nodes { id } } }', 'Field "colour" is not defined by type'),
        ("query Q($id: String) { issue(id: $id) { id } }", 'of type "String" used in position expecting'),
        ("query Q($a: String!) { viewer { id } }", 'Variable "$a" is never used in operation "Q".'),
        ("query Q { issue(id: $id) { id } }", 'Variable "$id" is not defined by operation "Q".'),
        ("{ viewer { ...Parts } }", 'Unknown fragment "Parts".'),
        ("{ viewer { id } } fragment F on User { id }", 'Fragment "F" is never used.'),
        ("{ viewer { ...F } } fragment F on Team { id }", "can never be of type"),
        ("{ viewer { ...F } } fragment F on User { ...F }", "within itself"),
        (
            "mutation M { issueDelete(id: 1) { success } }",
            'Cannot query field "issueDelete" on type "Mutation".',
        ),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_in_graphqls_words(text: str, said: str):
    with pytest.raises(Misfit) as refusal:
        ask(text)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["", "{", "{ viewer { id }", "query {", "{ a(b: ) }", "{ a } }", "{ § }", '{ a(b: "\\x") }']
)
def test_what_is_no_graphql_is_a_syntax_error(text: str):
    with pytest.raises(SyntaxProblem, match=r"^Syntax Error"):
        parse(text)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str):
    with suppress(SyntaxProblem):
        parse(text)


@settings(deadline=None)
@given(st.sampled_from(list(operations().values())), st.data())
def test_a_damaged_operation_is_read_or_refused(text: str, data: st.DataObject):
    at = data.draw(st.integers(0, len(text) - 1))
    with suppress(SyntaxProblem, Misfit):
        ask(text[:at] + text[at + data.draw(st.integers(1, 12)) :])


@settings(deadline=None)
@given(
    st.recursive(
        st.booleans().map(lambda r: Type("ID", required=r)),
        lambda t: st.builds(Type, of=t, required=st.booleans()),
    )
)
def test_types_are_written_as_they_are_read(kind: Type):
    document = parse(f"query Q($a: {kind}) {{ viewer {{ id }} }}")
    assert document.operations["Q"].variables["a"] == kind


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, 'Variable "$input" of required type "IssueCreateInput!" was not provided.'),
        ({"input": {"title": "x"}}, 'Field "teamId" of required type "String!" was not provided.'),
        ({"input": {"teamId": 7}}, "String cannot represent value: 7"),
        (
            {"input": {"teamId": "x", "colour": 1}},
            'Field "colour" is not defined by type "IssueCreateInput".',
        ),
        ({"input": {"teamId": "x", "priority": True}}, "Int cannot represent value: True"),
    ],
)
def test_wrong_variables_are_named(variables: dict[str, Any], said: str):
    with pytest.raises(Misfit) as refusal:
        ask(operations()["CreateIssue"], **variables)
    assert said in str(refusal.value)


def test_aliases_fragments_and_inline_values_are_understood():
    text = """
    query Two($first: Int = 1) { ...R }
    fragment R on Query { mine: viewer { ... on User { me: isMe __typename } } }
    """
    with pytest.raises(SyntaxProblem):  # defaults of variables are not needed, and so not read
        parse(text)
    data, errors = ask(text.replace("($first: Int = 1)", ""))
    assert errors == []
    assert data == {"mine": {"me": True, "__typename": "User"}}


def test_a_missing_thing_is_an_error_beside_the_rest():
    data, errors = ask('{ viewer { id } issue(id: "ENG-9999") { id } }')
    assert data is None  # issue is required at the top, so nothing is left
    assert errors[0]["message"] == "Entity not found: Issue"
    assert errors[0]["path"] == ["issue"]
    assert errors[0]["extensions"]["code"] == "INPUT_ERROR"


def test_complexity_counts_what_is_in_a_connection_times_its_size():
    def cost(text: str) -> int:
        document = parse(text)
        return complexity_of(schema(), document, document.operations[""], {})

    assert cost("{ viewer { id name } }") == 2
    assert cost("{ issues(first: 10) { nodes { id } } }") == 11
    assert (
        cost("{ issues { nodes { id labels(first: 2) { nodes { id } } } } }") == 165
    )  # 50 of them, each 1.1 and 2 of 1.1


# --- filters, against plain Python over the same rows


ISSUES = WORLD.rows("Issue")
STATES = WORLD.tables["WorkflowState"]
LABELS = WORLD.tables["IssueLabel"]


EITHER = [{"priority": {"eq": 1}}, {"estimate": {"eq": 5}}]
CLOSED = ("completed", "canceled")


def state_of(issue: dict[str, Any]) -> str:
    return STATES[issue["stateId"]]["type"]


def labels_of(issue: dict[str, Any]) -> set[str]:
    return {LABELS[label]["name"] for label in issue["labelIds"]}


def within(issue: dict[str, Any], first: str, last: str) -> bool:
    return f"2026-11-{first}" <= issue["updatedAt"] < f"2026-11-{last}"


def fits(where: dict[str, Any]) -> set[str]:
    return {issue["id"] for issue in ISSUES if matches(WORLD, VIEWER, "Issue", issue, where)}


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({}, lambda _: True),
        ({"priority": {"in": [1, 2]}}, lambda i: i["priority"] in (1, 2)),
        ({"priority": {"gte": 3}}, lambda i: i["priority"] >= 3),
        ({"assignee": {"null": True}}, lambda i: i["assigneeId"] is None),
        ({"assignee": {"isMe": {"eq": True}}}, lambda i: i["assigneeId"] == VIEWER),
        ({"estimate": {"null": True}}, lambda i: i["estimate"] is None),
        ({"estimate": {"lt": 3}}, lambda i: i["estimate"] is not None and i["estimate"] < 3),
        ({"title": {"containsIgnoreCase": "FIX"}}, lambda i: "fix" in i["title"].lower()),
        ({"title": {"notContains": "Fix"}}, lambda i: "Fix" not in i["title"]),
        ({"state": {"type": {"nin": ["completed", "canceled"]}}}, lambda i: state_of(i) not in CLOSED),
        ({"labels": {"some": {"name": {"eqIgnoreCase": "bug"}}}}, lambda i: "Bug" in labels_of(i)),
        ({"labels": {"length": {"eq": 0}}}, lambda i: not i["labelIds"]),
        ({"labels": {"every": {"name": {"eq": "Bug"}}}}, lambda i: labels_of(i) <= {"Bug"}),
        ({"or": EITHER}, lambda i: i["priority"] == 1 or i["estimate"] == 5),
        ({"and": EITHER}, lambda i: i["priority"] == 1 and i["estimate"] == 5),
        ({"updatedAt": {"gte": "2026-11-16T00:00:00Z", "lt": "2026-11-20"}}, lambda i: within(i, "16", "20")),
        ({"updatedAt": {"gt": "-P1W"}}, lambda i: i["updatedAt"] > rfc3339(NOW - timedelta(days=7))),
        ({"completedAt": {"null": False}}, lambda i: i["completedAt"] is not None),
        ({"project": {"null": True}}, lambda i: i["projectId"] is None),
        ({"team": {"key": {"eq": "DES"}}}, lambda i: i["identifier"].startswith("DES-")),
    ],
)  # fmt: skip
def test_a_filter_lets_through_what_it_says(where: dict[str, Any], wanted: Any):
    found = fits(where)
    assert found == {issue["id"] for issue in ISSUES if wanted(issue)}
    assert found or "eq" in str(where)


def test_every_page_follows_the_one_before_and_none_is_twice():
    text = """query Q($after: String) {
        issues(first: 25, after: $after) { nodes { id createdAt } pageInfo { hasNextPage endCursor } }
    }"""
    seen: list[dict[str, str]] = []
    cursor = None
    while True:
        data, errors = ask(text, after=cursor)
        assert errors == []
        seen += data["issues"]["nodes"]
        if not data["issues"]["pageInfo"]["hasNextPage"]:
            break
        cursor = data["issues"]["pageInfo"]["endCursor"]
    assert len(seen) == len({issue["id"] for issue in seen}) == len(ISSUES) == 168
    assert [issue["createdAt"] for issue in seen] == sorted((i["createdAt"] for i in seen), reverse=True)


@pytest.mark.parametrize("first", [0, 251, -1])
def test_a_page_has_a_sensible_size(first: int):
    _, errors = ask("query Q($n: Int) { issues(first: $n) { nodes { id } } }", n=first)
    assert errors[0]["extensions"]["userPresentableMessage"].startswith("first must")
