"""Receipts: what a command leaves behind; which count, stand for another run, or are void."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.board.proof_stage import IMAGE, OTHER_TREE, TREE, ProofStage, Workspace, command
from tests.board.task_stage import OWNER

from omniforge.board.checks import TAIL_BYTES, CommandCheck, tail_of
from omniforge.board.coverage import ReportUnreadable, read_coverage
from omniforge.board.receipts import passes, stands_for
from omniforge.board.shapes.results import ReceiptQuery
from omniforge.board.store.evidence import ReceiptRow
from omniforge.board.vocabulary import TaskStatus
from omniforge.db import Database
from omniforge.sandboxes.workspaces import OUTPUT_KEPT

COVERED = {"report": "cov/lcov.info", "format": "lcov", "minimum": 80}


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> ProofStage:
    return await ProofStage(database, tmp_path / "kept").open()


# --- coverage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_", "report", "percent"),
    [
        ("cobertura", b'<coverage line-rate="0.875"/>', 87.5),
        ("cobertura", b'<coverage line-rate="0" lines-covered="3" lines-valid="4"/>', 75),
        (
            "cobertura",
            b'<?xml version="1.0"?><!DOCTYPE coverage SYSTEM "http://x/c.dtd"><coverage line-rate="1"/>',
            100,
        ),
        ("lcov", b"SF:a\nDA:1,1\nDA:2,0\nLF:2\nLH:1\nend_of_record\nSF:b\nDA:1,5\nend_of_record\n", 200 / 3),
        ("lcov", b"SF:a\r\nDA:1,0\r\nDA:1,2,abc\r\nend_of_record\r\n", 100),
        ("coverage-json", b'{"totals": {"percent_covered": 91.5}}', 91.5),
    ],
)
def test_coverage_is_read_from_its_report(format_: str, report: bytes, percent: float) -> None:
    assert read_coverage(report, format_) == pytest.approx(percent)


BOMB = b'<!DOCTYPE c [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><coverage line-rate="1">&b;</coverage>'
OUTSIDE = b'<!DOCTYPE c [<!ENTITY a SYSTEM "file:///etc/passwd">]><coverage line-rate="1">&a;</coverage>'


@pytest.mark.parametrize(
    ("format_", "report"),
    [
        ("cobertura", b""),
        ("cobertura", b"<coverage/>"),
        ("cobertura", b'<coverage line-rate="nan"/>'),
        ("cobertura", b'<coverage line-rate="2"/>'),
        ("cobertura", b'<coverage line-rate="1" lines-covered="5" lines-valid="4"/>'),
        ("cobertura", b'<report line-rate="1"/>'),
        ("cobertura", BOMB),
        ("cobertura", OUTSIDE),
        ("lcov", b""),
        ("lcov", b"SF:a\nLF:x\nend_of_record\n"),
        ("lcov", b"SF:a\nLF:1\nLH:2\nend_of_record\n"),
        ("coverage-json", b"[]"),
        ("coverage-json", b'{"totals": 1}'),
        ("coverage-json", b'{"totals": {"percent_covered": true}}'),
        ("coverage-json", b'{"totals": {"percent_covered": NaN}}'),
        ("coverage-json", b'{"totals": {"percent_covered": 1e400}}'),
        ("coverage-json", b"[" * 100_000),
    ],
)
def test_what_is_no_report_says_nothing_about_coverage(format_: str, report: bytes) -> None:
    with pytest.raises(ReportUnreadable):
        read_coverage(report, format_)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["cobertura", "lcov", "coverage-json"]))
def test_a_hostile_report_is_a_share_or_is_refused(report: bytes, format_: str) -> None:
    with suppress(ReportUnreadable):
        assert 0 <= read_coverage(report, format_) <= 100


# --- what a command leaves behind -----------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=40_000), st.lists(st.text(max_size=200), max_size=3))
def test_the_tail_of_an_output_is_short_and_plain(output: bytes, notes: list[str]) -> None:
    tail = tail_of(output, notes)
    assert len(tail.encode()) <= TAIL_BYTES
    assert "\0" not in tail.partition("[omniforge]")[0]


def test_the_tail_is_the_end_without_colours() -> None:
    output = b"first\n" + b"x" * 20_000 + b"\n\x1b[31mFAILED\x1b[0m two\r\n\xff\n"
    tail = tail_of(output, ["It ended badly."])
    assert tail.endswith("\nFAILED two\n\ufffd\n\n[omniforge] It ended badly.")
    assert "first" not in tail


async def test_a_command_that_ends_as_expected_passes(stage: ProofStage) -> None:
    at = Workspace(output=b"3 passed\n")
    check = command(cwd="api", timeout_seconds=30)
    receipt = await stage.run(check, at, task_id=stage.task, attempt=2, from_status="building")
    assert at.ran == [(("/bin/sh", "-c", "make test"), "api", 30.0)]
    assert (receipt.passed, receipt.exit_code, receipt.duration_ms) == (True, 0, 1500)
    assert (receipt.command, receipt.cwd, receipt.check_key) == ("make test", "api", "test")
    assert (receipt.tree_hash, receipt.image, receipt.run_by) == (TREE, IMAGE, "system:host")
    assert (receipt.task_id, receipt.attempt, receipt.from_status) == (stage.task, 2, "building")
    assert receipt.output_tail == "3 passed\n"
    assert receipt.output_hash == hashlib.sha256(b"3 passed\n").hexdigest()
    (told,) = await stage.stage.payloads("receipt.recorded")
    assert told == {
        "receipt_id": receipt.id,
        "check_key": "test",
        "passed": True,
        "exit_code": 0,
        "tree_hash": TREE,
        "duration_ms": 1500,
        "ids": {"project_id": stage.project, "ticket_id": stage.ticket, "task_id": stage.task},
    }


@pytest.mark.parametrize(
    ("fields", "ended", "passed", "said"),
    [
        ({}, {"code": 1}, False, "[omniforge] It ended with exit code 1; 0 was expected."),
        ({"expect_exit": 3}, {"code": 3}, True, ""),
        ({"expect_exit": 3}, {"code": 0}, False, "exit code 0; 3 was expected"),
        ({"timeout_seconds": 9}, {"code": 137, "timed_out": True}, False, "It was ended after 9 seconds."),
        ({"expect_exit": 137}, {"code": 137, "timed_out": True}, False, "It was ended after"),
    ],
)
async def test_what_does_not_end_as_expected_fails(
    stage: ProofStage, fields: dict[str, Any], ended: dict[str, Any], passed: bool, said: str
) -> None:
    receipt = await stage.run(command(**fields), Workspace(**ended))
    assert receipt.passed is passed
    assert said in receipt.output_tail


async def test_words_are_run_without_a_shell(stage: ProofStage) -> None:
    at = Workspace()
    receipt = await stage.run(command(["pytest", "-k", "a b; rm"]), at)
    assert at.ran[0][0] == ("pytest", "-k", "a b; rm")
    assert receipt.command == "pytest -k 'a b; rm'"


async def test_a_command_that_could_not_be_run_leaves_no_receipt(stage: ProofStage) -> None:
    class Gone(Workspace):
        async def execute(self, argv: Any, cwd: str, timeout: float) -> Any:
            raise ConnectionError("the sandbox is gone")

    with pytest.raises(ConnectionError):
        await stage.run(workspace=Gone())
    assert await stage.receipts() == []


async def test_a_long_output_is_kept_up_to_its_limit(stage: ProofStage) -> None:
    output = b"line\n" * (OUTPUT_KEPT // 5 + 1_000)
    receipt = await stage.run(workspace=Workspace(output=output, truncated=True))
    assert len(receipt.output_tail.encode()) <= TAIL_BYTES
    assert "Only the first" in receipt.output_tail
    assert receipt.passed
    shown = await stage.proofs.receipts.get(OWNER, receipt.id, output=True)
    assert shown.output is not None
    assert len(shown.output) == OUTPUT_KEPT
    assert (await stage.proofs.receipts.get(OWNER, receipt.id)).output is None


@pytest.mark.parametrize(
    ("leaves", "passed", "percent", "said"),
    [
        ({"cov/lcov.info": b"LF:10\nLH:8\nend_of_record\n"}, True, 80, ""),
        ({"cov/lcov.info": b"LF:10\nLH:7\nend_of_record\n"}, False, 70, "Coverage is 70.00 %; at least 80 %"),
        ({"cov/lcov.info": b"nothing"}, False, None, "could not be read"),
        ({}, False, None, "It left no coverage report at cov/lcov.info."),
    ],
)
async def test_coverage_is_part_of_passing(
    stage: ProofStage, leaves: dict[str, bytes], passed: bool, percent: float | None, said: str
) -> None:
    receipt = await stage.run(command(coverage=COVERED), Workspace(leaves=leaves))
    assert (receipt.passed, receipt.coverage_percent) == (passed, percent)
    assert said in receipt.output_tail


async def test_a_report_that_lay_there_before_proves_nothing(stage: ProofStage) -> None:
    planted = {"cov/lcov.info": b"LF:10\nLH:10\nend_of_record\n"}
    removed = await stage.run(command(coverage=COVERED), Workspace(files=dict(planted)))
    assert (removed.passed, removed.coverage_percent) == (False, None)
    locked = await stage.run(command(coverage=COVERED), Workspace(files=dict(planted), is_locked=True))
    assert (locked.passed, locked.coverage_percent) == (False, None)
    assert "could not be removed" in locked.output_tail


# --- which stand for another run ---------------------------------------------------------------------------


def stands(stage: ProofStage, receipt: ReceiptRow, check: Any = None, **other: Any) -> bool:
    wanted = CommandCheck.of(check or command())
    given = {"tree_hash": TREE, "image": IMAGE, "now": stage.clock.now(), **other}
    return stands_for(receipt, wanted, **given)


async def test_a_receipt_stands_for_another_run_when_all_is_equal(stage: ProofStage) -> None:
    receipt = await stage.run()
    assert stands(stage, receipt)
    assert stands(stage, receipt, command(key="criterion"))
    assert not stands(stage, receipt, command("make tests"))
    assert not stands(stage, receipt, command(cwd="api"))
    assert not stands(stage, receipt, command(expect_exit=1))
    assert not stands(stage, receipt, command(coverage=COVERED))
    assert not stands(stage, receipt, tree_hash=OTHER_TREE)
    assert not stands(stage, receipt, image="other")
    assert not stands(stage, receipt, image=None)


async def test_no_receipt_stands_for_a_run_after_a_day(stage: ProofStage) -> None:
    receipt = await stage.run()
    day = timedelta(hours=24)
    assert stands(stage, receipt, now=receipt.started_at + day - timedelta(seconds=1))
    assert not stands(stage, receipt, now=receipt.started_at + day)


async def test_a_failure_stands_for_nothing(stage: ProofStage) -> None:
    assert not stands(stage, await stage.run(workspace=Workspace(code=1)))
    killed = await stage.run(command(expect_exit=137), Workspace(code=137, timed_out=True))
    assert not passes(killed, CommandCheck.of(command(expect_exit=137)))


async def test_coverage_stands_only_for_the_check_that_measured_it(stage: ProofStage) -> None:
    leaves = {"cov/lcov.info": b"LF:10\nLH:9\nend_of_record\n"}
    receipt = await stage.run(command(coverage=COVERED), Workspace(leaves=leaves))
    assert stands(stage, receipt, command(coverage=COVERED))
    assert not stands(stage, receipt, command(key="other", coverage=COVERED))
    assert not stands(stage, receipt, command(coverage={**COVERED, "minimum": 95}))


async def test_a_receipt_is_read_by_the_definition_as_it_is_now(stage: ProofStage) -> None:
    receipt = await stage.run(workspace=Workspace(code=3))
    assert not passes(receipt, CommandCheck.of(command()))
    assert passes(receipt, CommandCheck.of(command(expect_exit=3)))
    assert not passes(receipt, CommandCheck.of(command(expect_exit=3, coverage=COVERED)))


# --- voiding --------------------------------------------------------------------------------------------


async def void(stage: ProofStage, tree: str) -> list[str]:
    async with stage.db.transaction() as session:
        ticket = await session.get_one(type(await stage.row()), stage.ticket)
        return [row.id for row in await stage.proofs.receipts.void_stale(session, ticket, tree)]


async def test_an_edit_voids_what_was_shown_before(stage: ProofStage) -> None:
    old, new = await stage.run(), await stage.run(tree=OTHER_TREE)
    assert await void(stage, OTHER_TREE) == [old.id]
    assert await void(stage, OTHER_TREE) == []
    (told,) = await stage.stage.payloads("receipt.voided")
    assert told["receipt_id"] == old.id
    assert told["reason"]
    first, second = await stage.receipts()
    assert (first.voided_at is not None, first.void_reason) == (True, told["reason"])
    assert (second.voided_at, second.void_reason) == (None, None)
    assert not stands(stage, first)
    assert stands(stage, second, tree_hash=OTHER_TREE)
    found = await stage.proofs.receipts.find(OWNER, ReceiptQuery(ticket_id=stage.ticket))
    assert [one.id for one in found.receipts] == [new.id]
    both = await stage.proofs.receipts.find(OWNER, ReceiptQuery(include_voided=True))
    assert [one.id for one in both.receipts] == [new.id, old.id]


async def test_files_that_were_put_back_do_not_bring_a_void_receipt_back(stage: ProofStage) -> None:
    await stage.run()
    await void(stage, OTHER_TREE)
    assert await void(stage, TREE) == []
    (receipt,) = await stage.receipts()
    assert not stands(stage, receipt)


async def test_receipts_of_another_ticket_stay_as_they_are(stage: ProofStage) -> None:
    await stage.run()
    stage.ticket = await stage.stage.ticket(stage.project)
    assert await void(stage, OTHER_TREE) == []


async def test_an_attempt_that_is_being_judged_keeps_its_receipts(stage: ProofStage) -> None:
    await stage.stage.set_task(stage.task, status=TaskStatus.RUNNING.value, attempt=2)
    earlier = await stage.run(task_id=stage.task, attempt=1)
    judged = await stage.run(task_id=stage.task, attempt=2)
    assert await void(stage, OTHER_TREE) == [earlier.id]
    await stage.stage.set_task(stage.task, status=TaskStatus.COMPLETED.value)
    assert await void(stage, OTHER_TREE) == [judged.id]


# --- people ---------------------------------------------------------------------------------------------


async def test_receipts_are_listed_and_shown_with_their_output(stage: ProofStage) -> None:
    passed = await stage.run(workspace=Workspace(output=b"all good\n"))
    failed = await stage.run(workspace=Workspace(code=2), task_id=stage.task, attempt=1)
    async with stage.http() as http:
        everything = await http.ask("GET", "/results/receipts")
        assert [one["id"] for one in everything["receipts"]] == [failed.id, passed.id]
        assert (everything["total"], everything["limit"], everything["offset"]) == (2, 50, 0)
        assert "output_ref" not in everything["receipts"][0]
        for query, ids in (
            (f"ticket_id={stage.ticket}&passed=true", [passed.id]),
            (f"task_id={stage.task}", [failed.id]),
            ("ticket_id=nothing", []),
            ("limit=1&offset=1", [passed.id]),
        ):
            found = await http.ask("GET", f"/results/receipts?{query}")
            assert [one["id"] for one in found["receipts"]] == ids
        shown = await http.ask("GET", f"/results/receipts/{passed.id}?output=true")
        assert shown["output"] == "all good\n"
        assert (await http.ask("GET", f"/results/receipts/{passed.id}", who="vera"))["output"] is None
        await http.refused("GET", "/results/receipts?limit=0", 422, "invalid")
        for receipt_id in (passed.id, "nothing", "rcp_" + "0" * 28):
            await http.refused("GET", f"/results/receipts/{receipt_id}", 404, "not_found", who="sam")
        assert (await http.ask("GET", "/results/receipts", who="sam"))["total"] == 0
