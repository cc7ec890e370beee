"""Tickets that say what another says already are found without any model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from tests.board.task_stage import TurnedClock

from board_stage import Stage, open_stage
from omniforge.board.similarity import LetterGroups, Vector, from_bytes, similarity, to_bytes
from omniforge.board.store.tickets import TicketRow
from omniforge.db import Database

GROUPS = LetterGroups()
TEXTS = st.text(max_size=200)
TITLE, LIKE = "Add search to the shop", "Add a search to the shop"


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def stage(database: Database, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Stage]:
    async with open_stage(database, tmp_path / "home", clock=clock) as stage:
        yield stage


async def check(stage: Stage, project_id: str, title: str = TITLE, **more: Any) -> dict[str, Any]:
    return await stage.call("POST", "/tickets/check-duplicates", project_id=project_id, title=title, **more)


# --- texts ---------------------------------------------------------------------------------------


@given(TEXTS)
def test_a_text_is_wholly_like_itself(text: str) -> None:
    assert similarity(GROUPS.embed(text), LetterGroups().embed(text)) == 1.0


@given(TEXTS, TEXTS)
def test_likeness_is_the_same_both_ways_and_between_nothing_and_everything(one: str, other: str) -> None:
    first, second = GROUPS.embed(one), GROUPS.embed(other)
    assert similarity(first, second) == similarity(second, first)
    assert 0.0 <= similarity(first, second) <= 1.0


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True), st.randoms())
def test_the_order_of_calls_is_no_matter(texts: list[str], chance: Any) -> None:
    asked_once = {text: GROUPS.embed(text) for text in texts}
    again = LetterGroups()
    chance.shuffle(texts)
    assert {text: again.embed(text) for text in texts} == asked_once


@given(TEXTS)
def test_a_vector_is_kept_without_loss(text: str) -> None:
    vector = GROUPS.embed(text)
    assert list(from_bytes(to_bytes(vector)) or []) == list(vector)


def test_case_signs_and_spaces_are_no_difference() -> None:
    assert similarity(GROUPS.embed("Sign-in: form\n"), GROUPS.embed("  sign in FORM!")) == 1.0


def test_what_is_kept_elsewhere_means_the_same_here() -> None:
    """These numbers are in databases: whoever changes them changes the embedder's name as well."""
    vector = LetterGroups().embed("Search")
    assert LetterGroups().name == "letters-3-5/1024"
    places = {place: round(one, 6) for place, one in enumerate(vector) if one}
    assert len(places) == 15
    assert set(places.values()) == {0.258199, -0.258199}
    assert sum(places) == 5246
    assert [place for place, one in places.items() if one > 0][:2] == [3, 155]


def test_other_texts_are_little_alike() -> None:
    pay = "Users can pay with a card\nWe need a form, a provider and an invoice."
    sign = "Users can sign in with a password\nWe need a form, a session and a sign out button."
    sign_too = "Users can sign in using a password\nWe need a form, a session and a sign-out button."
    assert similarity(GROUPS.embed(sign), GROUPS.embed(sign_too)) > 0.85
    assert similarity(GROUPS.embed(sign), GROUPS.embed(pay)) < 0.6


# --- tickets -------------------------------------------------------------------------------------


async def test_a_ticket_like_another_is_refused_with_what_it_is_like(stage: Stage) -> None:
    project_id = await stage.project()
    first = await stage.ticket(project_id, TITLE)
    await stage.ticket(project_id, "Export invoices")
    given_ = {"project_id": project_id, "title": LIKE}
    refusal = await stage.call("POST", "/tickets", 409, **given_)
    assert refusal["error"] == "duplicate_ticket"
    (like,) = refusal["details"]["candidates"]
    assert {name: like[name] for name in ("ticket_id", "ref", "title", "status")} == {
        "ticket_id": first,
        "ref": "TKT-001",
        "title": TITLE,
        "status": "backlog",
    }
    assert 0.85 <= like["similarity"] == refusal["details"]["highest_similarity"] < 1
    assert set(refusal["details"]) == {"candidates", "highest_similarity"}
    assert (await stage.call("GET", "/tickets"))["total"] == 2
    made = await stage.call("POST", "/tickets", 201, **given_, force_create=True)
    assert made["ref"] == "TKT-003", "a refusal takes no number"
    (told,) = await stage.events("ticket.duplicate_overridden")
    assert told["payload"]["candidates"] == [like]
    assert told["entity"] == f"ticket:{made['id']}"
    await stage.call("POST", "/tickets", 201, **given_, check_duplicates=False)
    assert len(await stage.events("ticket.duplicate_overridden")) == 1


async def test_the_threshold_itself_is_enough(stage: Stage) -> None:
    project_id = await stage.project()
    await stage.ticket(project_id, TITLE)
    exact = (await check(stage, project_id, LIKE))["highest_similarity"]
    assert (await check(stage, project_id, LIKE, similarity_threshold=exact))["is_duplicate"]
    above = await check(stage, project_id, LIKE, similarity_threshold=exact + 1e-6)
    assert (above["is_duplicate"], above["candidates"]) == (False, [])
    assert above["highest_similarity"] == exact
    await stage.call("PATCH", f"/projects/{project_id}", settings={"duplicate_threshold": 1})
    assert not (await check(stage, project_id, LIKE))["is_duplicate"]
    assert (await check(stage, project_id, TITLE.upper()))["is_duplicate"]
    given_ = {"project_id": project_id, "title": LIKE}
    refusal = await stage.call("POST", "/tickets", 409, **given_, similarity_threshold=exact)
    assert refusal["error"] == "duplicate_ticket"
    await stage.call("POST", "/tickets", 201, **given_)


async def test_the_most_alike_come_first_and_only_as_many_as_are_wanted(stage: Stage) -> None:
    project_id = await stage.project()
    for text in ("", " now", " right now please"):
        await stage.ticket(project_id, TITLE + text)
    found = await check(stage, project_id, similarity_threshold=0)
    assert [one["ref"] for one in found["candidates"]] == ["TKT-001", "TKT-002", "TKT-003"]
    assert found["highest_similarity"] == 1
    assert len((await check(stage, project_id, similarity_threshold=0, top_k=2))["candidates"]) == 2
    for top_k in (0, 21):
        await stage.call(
            "POST", "/tickets/check-duplicates", 422, project_id=project_id, title="x", top_k=top_k
        )
    nothing = await check(stage, project_id, "Paint the wall")
    assert (nothing["is_duplicate"], nothing["candidates"]) == (False, [])
    assert nothing["message"] == "No other ticket is much like this one."


async def test_what_is_over_and_what_stands_elsewhere_is_no_like(stage: Stage, clock: TurnedClock) -> None:
    project_id = await stage.project(settings={"approval_timeout_seconds": 60})
    done, archived = await stage.ticket(project_id, TITLE), await stage.ticket(project_id, TITLE)
    await stage.bring(done, "analyzing", "building", "building-done", "testing", "done")
    await stage.call("PATCH", f"/tickets/{archived}", archived=True)
    await stage.ticket(await stage.project(), TITLE)
    await stage.call("PATCH", f"/projects/{project_id}", settings={"ticket_human_review": "all"})
    late = await stage.ticket(project_id, TITLE)
    assert [one["ticket_id"] for one in (await check(stage, project_id))["candidates"]] == [late]
    clock.turn(61)
    found = await check(stage, project_id)
    assert (found["candidates"], found["highest_similarity"]) == ([], 0)


async def test_a_changed_text_is_compared_anew(stage: Stage) -> None:
    project_id = await stage.project()
    ticket_id = await stage.ticket(project_id, "Paint the wall")
    assert not (await check(stage, project_id))["is_duplicate"]
    await stage.call("PATCH", f"/tickets/{ticket_id}", title=TITLE)
    assert (await check(stage, project_id))["is_duplicate"]
    await stage.call("PATCH", f"/tickets/{ticket_id}", description="In every room, and twice in the hall.")
    assert not (await check(stage, project_id))["is_duplicate"], "the description counts as well"


async def test_of_two_that_are_made_at_once_one_is_refused(stage: Stage) -> None:
    project_id = await stage.project()
    given_ = {"project_id": project_id, "title": TITLE}
    answers = await asyncio.gather(*(stage.http.post("/api/v1/tickets", json=given_) for _ in range(2)))
    assert sorted(one.status_code for one in answers) == [201, 409]


async def test_vectors_are_kept_but_change_nothing_that_people_see(stage: Stage) -> None:
    project_id = await stage.project()
    ticket_id = await stage.ticket(project_id, TITLE)
    before = await stage.call("GET", f"/tickets/{ticket_id}")
    await check(stage, project_id, LIKE)
    assert await stage.call("GET", f"/tickets/{ticket_id}") == before
    async with stage.db.read() as session:
        row = await session.get_one(TicketRow, ticket_id)
    assert row.embedder == GROUPS.name
    assert list(from_bytes(row.embedding or b"") or []) == list(GROUPS.embed(f"{TITLE}\n"))
    assert len(await stage.events("ticket.updated")) == 0


class Broken:
    name = "broken"

    def embed(self, text: str) -> Vector:
        raise RuntimeError("no vectors today")


class Counted:
    """Another embedder: texts of the same length are alike."""

    name = "lengths"

    def embed(self, text: str) -> Vector:
        places = [0.0] * 64
        places[len(text) % 64] = 1.0
        return places


async def test_a_broken_embedder_keeps_nobody_from_making_tickets(database: Database, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path / "home", embedder=Broken()) as stage:
        project_id = await stage.project()
        given_ = {"project_id": project_id, "title": TITLE, "criteria": [{"text": "Finds"}]}
        for ref in ("TKT-001", "TKT-002"):
            assert (await stage.call("POST", "/tickets", 201, **given_))["ref"] == ref
        assert not (await check(stage, project_id))["is_duplicate"]


async def test_vectors_of_another_embedder_are_made_anew(database: Database, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path / "home") as stage:
        project_id = await stage.project()
        await stage.ticket(project_id, TITLE)
        assert (await check(stage, project_id))["is_duplicate"]
    async with open_stage(database, tmp_path / "home", has_tables=True, embedder=Counted()) as stage:
        assert (await check(stage, project_id, "x" * len(TITLE)))["is_duplicate"]
        assert not (await check(stage, project_id, LIKE))["is_duplicate"]
        async with stage.db.read() as session:
            assert list(await session.scalars(select(TicketRow.embedder))) == ["lengths"]
