"""Attempts that fail, wait for people, are interrupted or cancelled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.board.task_stage import OWNER, Stage

from omniforge.board.attempts import PERMANENT, back_off
from omniforge.board.errors import PreconditionFailed, TaskHasSandbox
from omniforge.board.store.tickets import TicketRow
from omniforge.board.titles import title_by_rule
from omniforge.board.vocabulary import AttemptOutcome
from omniforge.board.workplaces import Ending
from omniforge.db import Database


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


@given(st.integers(0, 10), st.floats(0, 1))
def test_waits_grow_fourfold_to_five_minutes_and_spread_by_a_fifth(tries: int, chance: float) -> None:
    middle = min(10 * 4**tries, 300)
    assert 0.8 * middle - 1e-6 <= back_off(tries, chance) <= 1.2 * middle + 1e-6
    assert back_off(tries, 0.5) == pytest.approx(middle)


async def test_it_is_tried_as_often_as_it_may_and_then_blocks_its_ticket(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    task = await stage.task(ticket, max_retries=2)
    for number, wait in ((1, 10), (2, 40)):
        claimed = await stage.claimed()
        settled = await stage.settle(
            claimed, AttemptOutcome.EVIDENCE_FAILED, message="red", output="1 failed"
        )
        assert settled is not None
        assert (settled.status, settled.retry_count) == ("queued", number)
        assert settled.not_before is not None
        assert settled.not_before - settled.updated_at == timedelta(seconds=wait)
        assert len(settled.feedback) == number
        stage.clock.turn(wait)
    last = await stage.claimed()
    settled = await stage.settle(last, AttemptOutcome.EVIDENCE_FAILED)
    assert settled is not None
    assert (settled.status, settled.error_code, settled.attempt) == ("failed", "evidence_failed", 3)
    assert settled.feedback[0]["text"] == "red\n\n1 failed"
    (failed,) = await stage.payloads("task.failed")
    assert (failed["attempts"], failed["error_code"]) == (3, "evidence_failed")
    (blocked,) = await stage.payloads("ticket.blocked")
    assert blocked["blocker_type"] == "failing_checks"
    assert blocked["blockers"] == [{"kind": "task", "id": task, "ref": settled.ref}]
    async with stage.db.read() as session:
        assert (await session.get_one(TicketRow, ticket)).is_blocked

    again = await stage.attempts.retry(OWNER, task)
    assert (again.status, again.retry_count, again.not_before) == ("queued", 0, None)
    async with stage.db.read() as session:
        assert not (await session.get_one(TicketRow, ticket)).is_blocked
    with pytest.raises(PreconditionFailed):
        await stage.attempts.retry(OWNER, task)


@pytest.mark.parametrize("code", sorted(PERMANENT))
async def test_some_failures_are_not_tried_again(stage: Stage, code: str) -> None:
    await stage.task(await stage.ticket(await stage.project()))
    settled = await stage.settle(await stage.claimed(), AttemptOutcome.FAILED, error_code=code)
    assert settled is not None
    assert settled.status == "failed"
    (told,) = await stage.payloads("task.attempt_failed")
    assert told["will_retry"] is False


async def test_a_sandbox_that_keeps_breaking_blocks_for_its_environment(stage: Stage) -> None:
    await stage.task(await stage.ticket(await stage.project()), max_retries=0)
    await stage.settle(await stage.claimed(), AttemptOutcome.FAILED, error_code="provider_error")
    (blocked,) = await stage.payloads("ticket.blocked")
    assert blocked["blocker_type"] == "environment"


async def test_an_interruption_uses_up_no_try(stage: Stage) -> None:
    task = await stage.task(await stage.ticket(await stage.project()), max_retries=0)
    settled = await stage.settle(await stage.claimed(), AttemptOutcome.CANCELLED, by="user:local")
    assert settled is not None
    assert (settled.status, settled.retry_count, settled.not_before) == ("queued", 0, None)
    (sandbox,) = await stage.sandboxes(task)
    assert sandbox.state == "pending", "whoever took it away ends it"
    assert await stage.claim() is None, "not before that"
    with pytest.raises(TaskHasSandbox):
        await stage.claims.claim_one(OWNER, task)
    await stage.take_down()
    assert (await stage.claimed()).attempt.attempt == 2


async def test_it_waits_for_people_and_goes_on_with_their_words(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    task = await stage.task(ticket)
    after = await stage.task(ticket, task)
    await stage.settle(await stage.claimed(), AttemptOutcome.REVIEW)
    assert await stage.status(task, after) == ["needs_review", "pending"]
    assert await stage.claim() is None
    (sandbox,) = await stage.sandboxes(task)
    assert sandbox.state == "completed"
    async with stage.db.transaction() as session:
        answered = await stage.attempts.answer_in(session, "default", task, "Use the blue one.", "user:local")
    assert answered is not None
    assert (answered.status, answered.retry_count) == ("queued", 0)
    assert answered.feedback[-1]["text"] == "Use the blue one."
    again = await stage.claimed()
    assert again.attempt.attempt == 2
    await stage.settle(again, AttemptOutcome.REVIEW)
    async with stage.db.transaction() as session:
        ending = Ending(AttemptOutcome.COMPLETED, "user:local", result_id="res-1")
        assert await stage.attempts.approve_in(session, "default", task, ending) is not None
        assert await stage.attempts.approve_in(session, "default", task, ending) is None
        assert await stage.attempts.answer_in(session, "default", task, "No.", "user:local") is None
    assert await stage.status(task, after) == ["completed", "queued"]


async def test_a_failed_try_of_a_ticket_that_went_on_waits_outside_the_queue(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    task = await stage.task(ticket)
    claimed = await stage.claimed()
    await stage.set_ticket(ticket, is_blocked=True)
    assert await stage.status(task) == ["running"], "what runs is finished"
    await stage.settle(claimed, AttemptOutcome.FAILED)
    assert await stage.status(task) == ["pending"]
    assert (await stage.told())[-4:-1] == ["task.attempt_failed", "task.queued", "task.dequeued"]


async def test_only_what_is_completed_frees_what_waits(stage: Stage) -> None:
    ticket = await stage.ticket(await stage.project())
    first = await stage.task(ticket, max_retries=0)
    after = await stage.task(ticket, first)
    await stage.settle(await stage.claimed(), AttemptOutcome.FAILED)
    assert await stage.status(first, after) == ["failed", "pending"]
    assert (await stage.get(after)).remaining == 1
    late = await stage.task(ticket, first)
    assert (await stage.get(late)).remaining == 1


async def test_a_long_output_is_kept_with_its_end(stage: Stage) -> None:
    task = await stage.task(await stage.ticket(await stage.project()))
    await stage.settle(await stage.claimed(), AttemptOutcome.FAILED, output="x" * 50_000 + "the end")
    (note,) = (await stage.get(task)).feedback
    assert note["text"].endswith("the end")
    assert len(note["text"]) <= 20_001


@given(st.text(max_size=300))
def test_titles_are_short_and_never_empty(text: str) -> None:
    title = title_by_rule(text)
    assert 0 < len(title) <= 80
    assert title == title.strip()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Add a door. Then paint it.", "Add a door"),
        ("## Mend the roof\nIt leaks.", "Mend the roof"),
        ("- [ ] Sweep", "[ ] Sweep"),
        ("   ", "Untitled"),
        ("word " * 40, "word " * 15 + "word…"),
        ("Why does it leak? Find out.", "Why does it leak?"),
    ],
)
def test_a_title_is_the_first_sentence(text: str, title: str) -> None:
    assert title_by_rule(text) == title
