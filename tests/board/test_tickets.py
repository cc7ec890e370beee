"""Tickets are made, found, changed, ranked, and shown on a board in few queries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from board_stage import Stage, open_stage
from omniforge.board import ranks
from omniforge.board.store.tickets import TicketRow
from omniforge.db import Database


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home") as stage:
        yield stage


async def test_a_ticket_is_made_with_a_ref_and_defaults_and_everybody_is_told(stage: Stage) -> None:
    project_id = await stage.project()
    ticket = await stage.call(
        "POST", "/tickets", 201, project_id=project_id, title=" Search ", priority="high"
    )
    assert (ticket["ref"], ticket["title"], ticket["priority"]) == ("TKT-001", "Search", "HIGH")
    assert (ticket["status"], ticket["phase_id"], ticket["version"]) == ("backlog", "PHASE_BACKLOG", 1)
    assert (ticket["approval_status"], ticket["ticket_type"]) == ("approved", "component")
    assert ticket["legal_targets"] == [{"status": "analyzing", "allowed": True, "reason": None}]
    assert "tenant_id" not in ticket
    assert "embedding" not in ticket
    (told,) = await stage.events("ticket.created")
    assert told["entity"] == f"ticket:{ticket['id']}"
    assert {name: told["payload"][name] for name in ("ref", "status", "priority")} == {
        "ref": "TKT-001",
        "status": "backlog",
        "priority": "HIGH",
    }
    (made,) = (await stage.call("GET", f"/tickets/{ticket['id']}/history"))["history"]
    assert (made["from_status"], made["to_status"], made["cause"], made["seq"]) == (
        None,
        "backlog",
        "create",
        told["seq"],
    )


async def test_twenty_made_at_once_have_twenty_refs(stage: Stage) -> None:
    project_id = await stage.project()
    ids = await asyncio.gather(*(stage.ticket(project_id, f"Ticket {n}") for n in range(20)))
    shown = await stage.call("GET", "/tickets", project_id=project_id, limit=200)
    assert {one["ref"] for one in shown["tickets"]} == {f"TKT-{n:03d}" for n in range(1, 21)}
    assert len(set(ids)) == 20


async def test_criteria_come_with_the_ticket(stage: Stage) -> None:
    criteria = [
        {"text": "Finds umlauts"},
        {"text": "Is quick", "kind": "command", "check": {"command": "make"}},
    ]
    ticket_id = await stage.ticket(await stage.project(), criteria=criteria)
    shown = (await stage.call("GET", f"/tickets/{ticket_id}"))["criteria"]
    assert [(one["text"], one["kind"], one["position"]) for one in shown] == [
        ("Finds umlauts", "text", 0),
        ("Is quick", "command", 1),
    ]


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"title": "  "}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"description": "x" * 50_001}, "description"),
        ({"priority": "urgent"}, "priority"),
        ({"phase_id": "PHASE_TESTING"}, "phase_id"),
        ({"phase_id": "nowhere"}, "phase_id"),
        ({"estimate": "XXL"}, "estimate"),
        ({"ticket_type": "epic"}, "ticket_type"),
        ({"similarity_threshold": 2}, "similarity_threshold"),
        ({"status": "done"}, "status"),
        ({"criteria": [{"text": "", "kind": "text"}]}, "criteria[0].text"),
        ({"criteria": [{"text": "x", "kind": "guess"}]}, "criteria[0].kind"),
    ],
)
async def test_what_is_wrong_is_named(stage: Stage, given_: dict[str, Any], field: str) -> None:
    project_id = await stage.project()
    refusal = await stage.call("POST", "/tickets", 422, **({"project_id": project_id, "title": "x"} | given_))
    assert refusal["error"] == "invalid"
    assert [one["field"] for one in refusal["details"]["fields"]] == [field]
    assert (await stage.call("GET", "/tickets"))["total"] == 0


async def test_what_a_ticket_refers_to_has_to_be_there(stage: Stage) -> None:
    project_id = await stage.project()
    for unknown in ({"spec_id": "spec-x"}, {"requirement_ids": ["req-x"]}):
        await stage.call("POST", "/tickets", 404, project_id=project_id, title="x", **unknown)
    await stage.call("POST", "/tickets", 404, project_id="project-x", title="x")
    await stage.call("GET", "/tickets/" + "x" * 5000, 404)


async def test_a_ticket_begins_where_it_is_told_if_there_is_a_place(stage: Stage) -> None:
    project_id = await stage.project(default_phase_id="PHASE_REQUIREMENTS")
    await stage.call("PATCH", "/board/columns/analyzing", project_id=project_id, wip_limit=1)
    first = await stage.call("POST", "/tickets", 201, project_id=project_id, title="First")
    assert (first["status"], first["open_tasks"]) == ("analyzing", 1)
    refusal = await stage.call("POST", "/tickets", 409, project_id=project_id, title="Second")
    assert (refusal["error"], refusal["details"]["limit"], refusal["details"]["count"]) == ("wip_limit", 1, 1)
    third = await stage.call(
        "POST", "/tickets", 201, project_id=project_id, title="Third", phase_id="PHASE_BACKLOG"
    )
    assert (third["ref"], third["status"]) == ("TKT-002", "backlog")


# --- change --------------------------------------------------------------------------------------


async def test_what_is_absent_stays_and_null_clears(stage: Stage) -> None:
    ticket_id = await stage.ticket(await stage.project(), description="Long", estimate="M", tags=["a", "b"])
    path = f"/tickets/{ticket_id}"
    changed = await stage.call("PATCH", path, description=None, tags=["b"], expected_version=1)
    assert (changed["description"], changed["estimate"], changed["tags"]) == (None, "M", ["b"])
    assert changed["version"] == 2
    (told,) = await stage.events("ticket.updated")
    assert told["payload"]["changes"] == {"description": ["Long", None], "tags": [["a", "b"], ["b"]]}
    assert (await stage.call("PATCH", path, 409, title="x", expected_version=1))[
        "error"
    ] == "version_conflict"
    assert (await stage.call("PATCH", path, tags=["b"]))["version"] == 2
    for wrong in ({"title": None}, {"priority": None}, {"status": "done"}, {"phase_id": "PHASE_DONE"}):
        assert (await stage.call("PATCH", path, 422, **wrong))["error"] == "invalid"


async def test_an_archived_ticket_leaves_its_column_and_needs_a_place_to_come_back(stage: Stage) -> None:
    project_id = await stage.project(default_phase_id="PHASE_REQUIREMENTS")
    await stage.call("PATCH", "/board/columns/analyzing", project_id=project_id, wip_limit=1)
    first = await stage.ticket(project_id, "First")
    archived = await stage.call("PATCH", f"/tickets/{first}", archived=True)
    assert archived["legal_targets"][0]["allowed"] is False
    await stage.call("POST", f"/tickets/{first}/transition", 409, to_status="building")
    await stage.ticket(project_id, "Second")
    refusal = await stage.call("PATCH", f"/tickets/{first}", 409, archived=False)
    assert refusal["error"] == "wip_limit"
    assert (await stage.call("GET", "/tickets", archived=True))["total"] == 1


# --- find ----------------------------------------------------------------------------------------


async def test_tickets_are_found_by_every_filter(stage: Stage) -> None:
    project_id, other = await stage.project(), await stage.project()
    first = await stage.ticket(project_id, "Suche nach Größe", tags=["ui", 'odd"tag'], priority="LOW")
    second = await stage.ticket(project_id, "Pay", description="100%_sure", phase_id="PHASE_IMPLEMENTATION")
    third = await stage.ticket(other, "Search")

    async def found(**query: Any) -> list[str]:
        answer = await stage.call("GET", "/tickets", **query)
        assert answer["total"] == len(answer["tickets"])
        return [one["id"] for one in answer["tickets"]]

    assert await found() == [third, second, first]
    assert await found(project_id=project_id, offset=0) == [second, first]
    assert await found(search="GRÖSSE") == []
    assert await found(search="GRÖßE") == [first]
    assert await found(search="tkt-002") == [second]
    assert await found(search="0%_s") == [second]
    assert await found(search="0x_s") == []
    assert await found(tag="ui") == [first]
    assert await found(tag='odd"tag') == [first]
    assert await found(tag="u") == []
    assert await found(priority="low") == [first]
    assert await found(status="building") == [second]
    assert await found(phase_id="phase_implementation") == [second]
    assert await found(phase_id="PHASE_IMPLEMENTATION", status="done") == []
    assert await found(is_blocked=True) == []
    assert await found(approval_status="approved", priority="LOW") == [first]
    assert await found(spec_id="spec-x") == []


# --- board ---------------------------------------------------------------------------------------


async def test_the_board_shows_columns_with_their_cards_in_five_queries(stage: Stage) -> None:
    project_id = await stage.project()
    for n in range(12):
        await stage.ticket(project_id, f"Ticket {n}", priority="HIGH" if n % 2 else "LOW")
    first = await stage.ticket(project_id, "Begun", phase_id="PHASE_IMPLEMENTATION")
    await stage.ticket(project_id, "Waits", depends_on=[first])
    asked: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            asked.append(statement)

    engine = stage.db.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        view = await stage.call("GET", "/board/view", project_id=project_id, per_column=5)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert len(asked) <= 5, asked
    backlog, building = view["columns"][0], view["columns"][2]
    assert [card["title"] for card in backlog["tickets"]] == [f"Ticket {n}" for n in range(5)]
    assert (backlog["total"], backlog["ticket_count"], view["total"]) == (13, 13, 14)
    (card,) = building["tickets"]
    assert (card["open_tasks"], [one["title"] for one in card["blocks"]]) == (1, ["Waits"])
    narrowed = await stage.call("GET", "/board/view", project_id=project_id, priority="high", search="ticket")
    assert (narrowed["columns"][0]["total"], narrowed["columns"][0]["ticket_count"]) == (6, 13)
    everywhere = await stage.call("GET", "/board/view", per_column=1)
    assert (everywhere["total"], everywhere["project_id"]) == (14, None)
    assert {column["wip_limit"] for column in everywhere["columns"]} == {None}
    await stage.call("GET", "/board/view", 422, per_column=201)


async def order(stage: Stage, project_id: str, column: int = 0) -> str:
    view = await stage.call("GET", "/board/view", project_id=project_id, per_column=200)
    return "".join(card["title"] for card in view["columns"][column]["tickets"])


async def test_cards_are_put_before_others_and_at_the_end(stage: Stage) -> None:
    project_id = await stage.project()
    ids = {name: await stage.ticket(project_id, name) for name in "ABCD"}

    async def move(name: str, column: str = "backlog", status: int = 200, before: str | None = None) -> Any:
        target = ids[before] if before else None
        return await stage.call(
            "POST",
            "/board/move",
            status,
            ticket_id=ids[name],
            target_column_id=column,
            before_ticket_id=target,
        )

    assert (await move("D", before="B"))["status"] == "ranked"
    assert await order(stage, project_id) == "ADBC"
    await move("A")
    assert await order(stage, project_id) == "DBCA"
    await move("A", before="D")
    assert await order(stage, project_id) == "ADBC"
    moved = await move("B", "analyzing")
    assert (moved["status"], moved["new_status"], moved["new_phase"]) == (
        "moved",
        "analyzing",
        "PHASE_REQUIREMENTS",
    )
    await move("C", "analyzing", before="B")
    assert await order(stage, project_id, 1) == "CB"
    refusal = await move("A", "analyzing", 422, before="D")
    assert refusal["details"]["fields"][0]["field"] == "before_ticket_id"
    assert (await move("A", status=422, before="A"))["error"] == "invalid"
    assert (await stage.events("ticket.ranked"))[0]["payload"]["rank"] == 1536.0


async def test_a_column_without_room_between_two_cards_is_numbered_anew(stage: Stage) -> None:
    project_id = await stage.project()
    ids = [await stage.ticket(project_id, name) for name in "ABC"]
    async with stage.db.transaction() as session:
        for row in await session.scalars(select(TicketRow)):
            row.rank = 7.0 + {"A": 0, "B": 0, "C": 1}[row.title]
    await stage.call(
        "POST", "/board/move", ticket_id=ids[2], target_column_id="backlog", before_ticket_id=ids[1]
    )
    assert await order(stage, project_id) == "ACB"
    for _ in range(40):  # always the same place: the gap is halved each time
        for one, other in ((0, 1), (2, 1)):
            body = {"ticket_id": ids[one], "before_ticket_id": ids[other]}
            await stage.call("POST", "/board/move", target_column_id="backlog", **body)
    assert await order(stage, project_id) == "ACB"


@given(st.floats(-1e9, 1e9), st.floats(0.01, 1e6))
def test_a_rank_between_two_others_is_between_them(before: float, gap: float) -> None:
    found = ranks.between(before, before + gap)
    assert found is not None
    assert before < found < before + gap
    assert ranks.between(None, before) == before - ranks.STEP
    assert ranks.between(before, before) is None
