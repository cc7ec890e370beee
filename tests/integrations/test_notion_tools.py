"""Notion's tools over real HTTP: what they read and write, and what they make of bad answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from omniforge.core.errors import Invalid, NotFound, OmniForgeError
from omniforge.integrations.catalog.notion.standin import Fault, FaultKind
from omniforge.integrations.errors import (
    AnswerTooLarge,
    ConflictThere,
    PermissionDeniedThere,
    RateLimitedThere,
    ResourceNotFound,
    ServiceDown,
)


@pytest.fixture
async def call(service, actor, connect):
    connection = await connect(service)

    async def called(tool: str, **args: object) -> dict:
        return await service.call_tool(actor.tenant_id, actor.user_id, connection.id, f"notion.{tool}", args)

    return called


@pytest.fixture
def projects(notion) -> str:
    return notion.database_id("Client Projects")


def previous_week() -> tuple[datetime, datetime]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    return monday - timedelta(weeks=1), monday


async def test_who_am_i_names_person_and_workspace(call):
    found = await call("who_am_i")
    assert found["user"]["name"] == "Maya Lindholm"
    assert found["workspace"]["name"] == "Acme Operations"


async def test_items_are_counted_through_all_pages(call, notion):
    found = await call("list_databases")
    assert found["truncated"] is False
    assert [(d["name"], d["items"]) for d in found["databases"]] == [
        ("Archived", 156),
        ("Client Projects", 42),
        ("Internal Initiatives", 8),
    ]
    archived = notion.state.workspace.tables[2].source_id
    assert notion.paths().count(f"POST /v1/data_sources/{archived}/query") == 2


async def test_fields_are_described_with_their_options(call, projects):
    found = await call("describe_database", database_id=projects)
    fields = {field["name"]: field for field in found["fields"]}
    assert found["fields"][0]["name"] == "Project"
    assert fields["Status"]["type"] == "status"
    assert "At Risk" in fields["Status"]["options"]
    assert fields["Owner"]["type"] == "people"


async def test_last_weeks_rows_come_as_plain_values(call, projects, notion):
    start, end = previous_week()
    found = await call(
        "query_database", database_id=projects, edited_after=start.isoformat(), edited_before=end.isoformat()
    )
    assert found["truncated"] is False
    assert len(found["rows"]) >= 12
    for row in found["rows"]:
        assert start <= datetime.fromisoformat(row["edited_at"]) < end
        assert row["title"] == row["fields"]["Project"]
        assert isinstance(row["fields"]["Owner"], list)
        assert all(isinstance(name, str) for name in row["fields"]["Owner"])
        assert isinstance(row["fields"]["Latest Update"], str)
        assert isinstance(row["fields"]["Tags"], list)
    statuses = {row["fields"]["Status"] for row in found["rows"]}
    assert "At Risk" in statuses
    assert any(row["fields"]["Blockers"] for row in found["rows"])
    internal = await call(
        "query_database",
        database_id=notion.database_id("Internal Initiatives"),
        edited_after=start.isoformat(),
        edited_before=end.isoformat(),
    )
    assert len(internal["rows"]) >= 3


async def test_conditions_order_and_limit_are_notions_to_apply(call, projects):
    found = await call(
        "query_database",
        database_id=projects,
        filters=[
            {"field": "Status", "op": "equals", "value": "At Risk"},
            {"field": "Owner", "op": "contains", "value": "maya lindholm"},
        ],
        sort={"field": "edited_at", "direction": "descending"},
    )
    assert found["rows"]
    assert all(row["fields"]["Status"] == "At Risk" for row in found["rows"])
    assert all("Maya Lindholm" in row["fields"]["Owner"] for row in found["rows"])
    times = [row["edited_at"] for row in found["rows"]]
    assert times == sorted(times, reverse=True)
    limited = await call("query_database", database_id=projects, limit=5)
    assert len(limited["rows"]) == 5
    assert limited["truncated"] is True
    exact = await call("query_database", database_id=projects, limit=42)
    assert (len(exact["rows"]), exact["truncated"]) == (42, False)


@pytest.mark.parametrize(
    "question",
    [
        {"filters": [{"field": "Nothing", "op": "equals", "value": "x"}]},
        {"filters": [{"field": "Status", "op": "before", "value": "x"}]},
        {"filters": [{"field": "Owner", "op": "contains", "value": "Nobody Here"}]},
        {"sort": {"field": "Nothing"}},
        {"edited_after": "yesterday"},
        {"edited_after": "2026-01-01T00:00:00"},
        {"limit": 0},
        {"colour": "red"},
    ],
)
async def test_a_question_that_does_not_fit_names_the_mistake(call, projects, question):
    with pytest.raises(Invalid) as refusal:
        await call("query_database", database_id=projects, **question)
    assert refusal.value.details["fields"][0]["rule"]


async def test_a_page_made_with_a_mark_is_found_by_it_and_read_back(call, projects):
    text = "# Heading\n\nSome **bold** words\n\n- one\n- two\n\n1. first\n\n- [x] done\n\n> quote\n\n---"
    fields = {
        "Project": "Made here",
        "Status": "On Track",
        "Client": "New Client",
        "Owner": ["Derek Osei"],
        "Due": "2026-12-24",
        "Tags": ["data"],
    }
    made = await call("create_page", database_id=projects, fields=fields, text=text, mark="run_1.step.0")
    assert (await call("find_page", database_id=projects, mark="run_1.step.0"))["page"] == made
    assert (await call("find_page", database_id=projects, mark="run_1.step.1"))["page"] is None
    page = await call("read_page", page_id=made["id"])
    assert page["text"] == text
    assert {name: page["fields"][name] for name in fields} == fields
    assert page["truncated"] is False


async def test_long_text_arrives_whole(call, projects):
    text = "\n\n".join(f"Paragraph {number} " + "x" * 40 for number in range(250)) + "\n\n" + "y" * 5000
    made = await call(
        "create_page", database_id=projects, fields={"Project": "Long"}, text=text, mark="m-long"
    )
    assert (await call("read_page", page_id=made["id"]))["text"] == text


async def test_nested_blocks_are_read(call, notion, projects):
    row = next(row for row in notion.state.workspace.rows.values() if row.values["Blockers"])
    page = await call(
        "read_page", page_id=f"https://www.notion.so/Some-Title-{row.id.replace('-', '')}?pvs=4"
    )
    assert "## Next steps" in page["text"]
    assert "- Review with" in page["text"]
    assert "\n  - Prepare figures\n" in page["text"]


async def test_an_update_changes_only_what_is_named(call, notion, projects):
    row = next(row for row in notion.state.workspace.rows.values() if row.values["Status"] == "On Track")
    before = dict(row.values)
    await call("update_page", page_id=row.id, fields={"Status": "Done", "Blockers": ""})
    assert row.values == {**before, "Status": "Done", "Blockers": ""}


@pytest.mark.parametrize(
    "fields",
    [{"Nothing": 1}, {"Edited": "x"}, {"Owner": ["Nobody"]}, {"Due": 7}, {"Client": 7}, {"Tags": [1]}],
)
async def test_fields_that_cannot_be_written_are_named_and_nothing_is_sent(call, projects, notion, fields):
    with pytest.raises(Invalid) as refusal:
        await call("create_page", database_id=projects, fields={"Project": "x", **fields})
    assert [field["field"] for field in refusal.value.details["fields"]] == list(fields)
    assert "POST /v1/pages" not in notion.paths()


async def test_what_is_not_there_is_said_to_be_gone(call):
    with pytest.raises(ResourceNotFound) as refusal:
        await call("query_database", database_id="00000000-0000-4000-8000-000000000000")
    assert isinstance(refusal.value, NotFound)
    assert refusal.value.code == "resource_not_found"
    with pytest.raises(Invalid):
        await call("query_database", database_id="../../v1/users")


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        (FaultKind.SERVER_ERROR, ServiceDown, "service_down"),
        (FaultKind.UNAVAILABLE, ServiceDown, "service_down"),
        (FaultKind.GARBAGE, ServiceDown, "service_down"),
        (FaultKind.HALF_JSON, ServiceDown, "service_down"),
        (FaultKind.WRONG_SHAPE, ServiceDown, "service_down"),
        (FaultKind.OVERLOADED, ServiceDown, "service_down"),
        (FaultKind.RATE_LIMITED, RateLimitedThere, "rate_limited_there"),
        (FaultKind.FORBIDDEN, PermissionDeniedThere, "permission_denied_there"),
        (FaultKind.CONFLICT, ConflictThere, "conflict_there"),
        (FaultKind.HUGE, AnswerTooLarge, "answer_too_large"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/databases", "/v1/data_sources"])
async def test_lasting_faults_end_in_one_clear_error(  # noqa: PLR0917 - the table's columns
    call, notion, projects, kind, error, code, path
):
    notion.state.faults.append(Fault(kind, times=50, path=path, seconds=0.01))
    with pytest.raises(error) as refusal:
        await call("query_database", database_id=projects)
    assert refusal.value.code == code
    assert isinstance(refusal.value, OmniForgeError)
    assert "Notion" in refusal.value.message
    assert "html" not in refusal.value.message.lower()


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.OVERLOADED, FaultKind.SERVER_ERROR])
async def test_passing_faults_are_waited_out(call, notion, projects, clock, kind):
    notion.state.faults.append(Fault(kind, times=2, path="/v1/data_sources", seconds=3))
    assert len((await call("query_database", database_id=projects))["rows"]) == 42
    if kind is not FaultKind.SERVER_ERROR:
        assert clock.waits[-2:] == [3.0, 3.0]


async def test_a_wait_beyond_our_patience_is_handed_on_with_its_time(call, notion, clock):
    notion.state.faults.append(Fault(FaultKind.RATE_LIMITED, times=1, path="/v1/users", seconds=900))
    with pytest.raises(RateLimitedThere) as refusal:
        await call("who_am_i")
    assert refusal.value.retry_after == 900
    assert refusal.value.status == 429


async def test_a_lost_answer_to_a_write_is_not_repeated_but_can_be_looked_up(call, notion, projects):
    notion.state.faults.append(Fault(FaultKind.LOST, path="/v1/pages"))
    with pytest.raises(ServiceDown) as refusal:
        await call("create_page", database_id=projects, fields={"Project": "Once"}, mark="m-once")
    assert refusal.value.details["outcome_unknown"] is True
    assert notion.paths().count("POST /v1/pages") == 1
    assert (await call("find_page", database_id=projects, mark="m-once"))["page"] is not None


async def test_a_conflict_is_re_read_and_tried_once_more(call, notion):
    row_id = next(iter(notion.state.workspace.rows))
    conflict = Fault(FaultKind.CONFLICT, times=1, path="/v1/pages", method="PATCH")
    notion.state.faults.append(conflict)
    await call("update_page", page_id=row_id, fields={"Project": "Renamed"})
    assert notion.state.workspace.rows[row_id].values["Project"] == "Renamed"
    assert notion.paths()[-4:] == [
        f"{method} /v1/pages/{row_id}" for method in ("GET", "PATCH", "GET", "PATCH")
    ]
    conflict.times = 2
    with pytest.raises(ConflictThere):
        await call("update_page", page_id=row_id, fields={"Project": "Again"})


async def test_an_unreachable_service_is_down(call, settings):
    settings.service("notion").base_url = "http://127.0.0.1:9"
    with pytest.raises(ServiceDown) as refusal:
        await call("who_am_i")
    assert refusal.value.retryable
