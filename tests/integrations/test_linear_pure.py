"""What Linear's answers and deliveries mean, without a server: errors, waits, marks, plain values, events."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.integrations import load_catalog
from omniforge.integrations.catalog.linear import shapes
from omniforge.integrations.catalog.linear.client import id_from, is_id
from omniforge.integrations.catalog.linear.events import read_delivery
from omniforge.integrations.catalog.linear.queries import operations
from omniforge.integrations.catalog.linear.trouble import read_trouble
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.rest import Answer, Said, Trouble

LINEAR = load_catalog()["linear"]
DATE = "Mon, 23 Nov 2026 08:30:00 GMT"
AT = 1_795_422_600_000  # the same, in milliseconds


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, httpx.Headers(named), json.dumps(body).encode())


def refused(message: str = "", data: Any = None, status: int = 200, **extensions: Any) -> Answer:
    error = {"message": message, "path": ["issue"], "extensions": extensions}
    return answer({"errors": [error], "data": data}, status)


@pytest.mark.parametrize(
    ("given", "trouble"),
    [
        (refused("Authentication required", code="AUTHENTICATION_ERROR", status=401), Trouble.SIGNED_OUT),
        (refused("x", type="authentication error", status=400), Trouble.SIGNED_OUT),
        (refused("You're trying to use an API key as a Bearer token.", status=400), Trouble.SIGNED_OUT),
        (refused("Rate limit exceeded", code="RATELIMITED", statusCode=429, status=400), Trouble.SLOW_DOWN),
        (refused("x", type="ratelimited", status=429), Trouble.SLOW_DOWN),
        (refused("Forbidden", code="FORBIDDEN"), Trouble.FORBIDDEN),
        (refused("Invalid scope: `write` required", status=400), Trouble.FORBIDDEN),
        (refused("x", type="feature not accessible"), Trouble.FORBIDDEN),
        (refused("Entity not found: Issue", code="INPUT_ERROR", type="invalid input"), Trouble.NOT_FOUND),
        (refused("Entity not found in validateAccess: projectId", code="INPUT_ERROR"), Trouble.NOT_FOUND),
        (refused("conflict on insert of Issue", code="INPUT_ERROR"), Trouble.CONFLICT),
        (refused("x", type="lock timeout"), Trouble.CONFLICT),
        (refused("Argument Validation Error", code="INVALID_INPUT", status=400), Trouble.REFUSED),
        (refused('Cannot query field "x"', code="GRAPHQL_VALIDATION_FAILED", status=400), Trouble.REFUSED),
        (refused("x", type="usage limit exceeded"), Trouble.REFUSED),
        (refused("x", code="INTERNAL_SERVER_ERROR"), Trouble.DOWN),
        (refused("x", code="SOMETHING_NEW", statusCode=503), Trouble.DOWN),
        (refused("x", code="SOMETHING_NEW", statusCode=403), Trouble.FORBIDDEN),
        (refused("x", status=404), Trouble.NOT_FOUND),
        (refused("x"), Trouble.DOWN),
    ],
)  # fmt: skip
def test_errors_are_told_by_what_stands_in_them_not_by_the_status(given: Answer, trouble: Trouble):
    said = read_trouble(given)
    assert said is not None
    assert said.trouble is trouble
    assert "`" not in said.text


@pytest.mark.parametrize(
    "body", [{"data": {"viewer": {}}}, {"errors": []}, {}, [], None, "x", {"errors": "x"}]
)
def test_without_errors_the_status_decides(body: Any):
    assert read_trouble(answer(body)) is None


def test_an_answer_with_its_top_is_used_though_parts_are_missing():
    error = {
        "message": "Forbidden",
        "path": ["issues", "nodes", 0, "project"],
        "extensions": {"code": "FORBIDDEN"},
    }
    assert read_trouble(answer({"errors": [error], "data": {"issues": {"nodes": []}}})) is None
    gone = read_trouble(answer({"errors": [error], "data": {"issues": None}}))
    assert gone is not None
    assert gone.trouble is Trouble.FORBIDDEN


def test_the_text_is_linears_own_for_people():
    said = read_trouble(
        refused(
            "Argument Validation Error",
            code="INVALID_INPUT",
            userPresentableMessage="title should not be empty",
        )
    )
    assert said == Said(Trouble.REFUSED, "Linear did not accept the request: title should not be empty")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "12"}, 12),
        ({"date": DATE, "x_ratelimit_requests_reset": str(AT + 90_000)}, 90),
        (
            {
                "date": DATE,
                "x_ratelimit_requests_remaining": "17",
                "x_ratelimit_requests_reset": str(AT + 3_000_000),
                "x_ratelimit_complexity_remaining": "0",
                "x_ratelimit_complexity_reset": str(AT + 5_000),
            },
            5,
        ),
        ({"date": DATE, "x_ratelimit_requests_reset": str(AT - 5_000)}, 1),
        ({"x_ratelimit_requests_reset": str(AT + 90_000)}, 30),
        ({"retry_after": "soon", "date": "never", "x_ratelimit_requests_reset": "x"}, 30),
        ({"retry_after": "nan"}, 30),
        ({}, 30),
    ],
)
def test_the_wait_is_the_one_of_the_empty_bucket(headers: dict[str, str], seconds: float):
    error = {"message": "Rate limit exceeded", "extensions": {"code": "RATELIMITED"}}
    said = read_trouble(answer({"errors": [error]}, 400, **headers))
    assert said is not None
    assert said.retry_after == seconds


NAMES = ["errors", "data", "message", "extensions", "code", "type", "statusCode", "userPresentableMessage"]
ANYTHING = st.sampled_from(
    [None, True, 0, 503, "", "FORBIDDEN", "ratelimited", "not found", [], {}, [None, "x"]]
)
ERROR = st.dictionaries(
    st.sampled_from(NAMES),
    ANYTHING | st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4),
    max_size=4,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), ANYTHING | ERROR | st.lists(ERROR | ANYTHING, max_size=2)),
    st.sampled_from([200, 400, 401, 500]),
)
def test_no_answer_breaks_the_reader(body: dict[str, Any], status: int):
    said = read_trouble(answer(body, status))
    assert said is None or said.trouble in Trouble


@settings(deadline=None)
@given(st.from_regex(r"^[A-Za-z0-9_.:-]{4,120}$"))
def test_a_mark_always_gives_the_same_uuid_v4(mark: str):
    made = id_from("issue", mark.strip())
    assert made == id_from("issue", mark.strip())
    assert uuid.UUID(made).version == 4
    assert uuid.UUID(made).variant == uuid.RFC_4122
    assert made != id_from("comment", mark.strip())
    assert is_id(made)


@pytest.mark.parametrize("given", ["ENG-1", "", "x" * 36, "{00000000-0000-4000-8000-000000000000}", "0" * 32])
def test_other_texts_are_no_ids(given: str):
    assert not is_id(given)


def test_each_operation_is_sent_with_its_fragments_and_no_others():
    texts = operations()
    assert "fragment IssueParts" in texts["ChangedIssues"]
    assert "fragment CommentParts" not in texts["ChangedIssues"]
    assert texts["CreateIssue"].count("fragment") == 0
    assert all(text.split(maxsplit=1)[1].startswith(name) for name, text in texts.items())


def test_issues_of_graphql_and_of_webhooks_look_the_same():
    common: dict[str, Any] = {
        "id": "i", "identifier": "ENG-1", "title": "T", "url": "u", "priorityLabel": "High", "estimate": 3,
        "dueDate": "2026-12-01", "createdAt": "a", "updatedAt": "b", "startedAt": None, "completedAt": None,
        "canceledAt": None, "state": {"name": "Todo", "type": "unstarted"}, "assignee": {"name": "Maya"},
        "team": {"id": "t", "name": "Engineering"}, "project": None, "creator": {"name": "Derek"},
    }  # fmt: skip
    listed = {**common, "labels": [{"name": "Bug"}]}
    connected = {**common, "labels": {"nodes": [{"name": "Bug"}]}}
    assert shapes.plain_issue(listed) == shapes.plain_issue(connected)
    assert shapes.plain_issue(listed)["labels"] == ["Bug"]
    with pytest.raises(ServiceDown):
        shapes.plain_issue({"title": "no id"})


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        ({"updatedAt": "x", "stateId": "s", "assigneeId": None}, ["assignee", "state"]),
        ({"sortOrder": 1.0, "updatedAt": "x"}, []),
        ({"actorId": "u", "fromStateId": "s", "fromTitle": None, "addedLabelIds": []}, ["state"]),
        ({"actorId": "u", "fromPriority": 0, "updatedDescription": False}, ["priority"]),
        ({"actorId": "u", "toAssigneeId": "a", "updatedDescription": True}, ["assignee", "description"]),
    ],
)
def test_changed_fields_have_the_names_of_the_reading_tools(before: dict[str, Any], changed: list[str]):
    assert shapes.changed_fields(before) == changed


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "Issue", "action": "create", "data": {}},
        {"type": "Issue", "action": "create", "data": {"id": "i", "createdAt": "yesterday"}},
        {"type": "Issue", "action": "remove", "data": {"id": "i"}},
        {"type": "Project", "action": "create", "data": {"id": "i"}},
        {"type": "Comment", "action": "create", "data": {"id": "c", "createdAt": "2026-11-23T08:00:00Z"}},
        {"type": ["Issue"], "action": {}, "data": 7},
    ],
)
def test_what_nobody_waits_for_is_passed_over(payload: dict[str, Any]):
    assert read_delivery({}, payload) == []
