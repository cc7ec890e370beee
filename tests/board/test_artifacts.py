"""Artifacts: what the host makes, workers send and people upload; the handover of a built ticket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.board.proof_stage import ProofStage, Workspace, command

from omniforge.board.artifacts import keep_other
from omniforge.board.diffs import Change
from omniforge.board.store.evidence import ArtifactRow, ReceiptRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import CommitRow, TicketRow
from omniforge.board.vocabulary import PhaseId
from omniforge.core.clock import new_id
from omniforge.db import Database

CHANGES = [Change("src/a.py", "created", 10, 0), Change("src/b.py", "modified", 2, 3)]


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> ProofStage:
    return await ProofStage(database, tmp_path / "kept").open()


@dataclass
class Attempt:
    ticket: TicketRow
    task: TaskRow
    number: int = 1


async def attempt(stage: ProofStage) -> Attempt:
    return Attempt(await stage.row(), await stage.stage.get(stage.task))


async def stored(stage: ProofStage) -> dict[str, ArtifactRow]:
    async with stage.db.read() as session:
        return {row.artifact_type: row for row in await session.scalars(select(ArtifactRow))}


async def store_work(stage: ProofStage, receipts: list[ReceiptRow]) -> list[ArtifactRow]:
    whose = await attempt(stage)
    async with stage.db.transaction() as session:
        return await stage.proofs.artifacts.store_work(session, whose, "c1", "c2", CHANGES, receipts)


async def test_the_host_makes_artifacts_of_diff_and_receipts(stage: ProofStage) -> None:
    report = {"report": "lcov", "format": "lcov", "minimum": 50}
    leaves = {"lcov": b"LF:4\nLH:3\nend_of_record\n"}
    receipts = [
        await stage.run(command(coverage=report), Workspace(leaves=leaves)),
        await stage.run(command("make lint", "lint"), Workspace(code=1)),
    ]
    rows = await store_work(stage, receipts)
    assert {row.collected_by for row in rows} == {"system:host"}
    assert {(row.phase_id, row.task_id) for row in rows} == {("PHASE_IMPLEMENTATION", stage.task)}
    found = {name: row.content or {} for name, row in (await stored(stage)).items()}
    assert set(found) == {"code_changes", "test_results", "test_evidence", "test_coverage"}
    assert found["code_changes"] == {
        "base": "c1",
        "head": "c2",
        "files_changed": 2,
        "lines_added": 12,
        "lines_removed": 3,
        "files": [one.shown() for one in CHANGES],
    }
    results = found["test_results"]
    assert (results["total"], results["passed"], results["failed"]) == (2, 1, 1)
    assert [one["receipt_id"] for one in found["test_evidence"]["receipts"]] == [row.id for row in receipts]
    assert found["test_coverage"]["percent"] == 75
    told = await stage.stage.payloads("artifact.stored")
    assert {one["artifact_id"] for one in told} == {row.id for row in rows}
    assert {one["phase_id"] for one in told} == {"PHASE_IMPLEMENTATION"}


async def test_making_them_again_changes_nothing(stage: ProofStage) -> None:
    receipts = [await stage.run()]
    first = await store_work(stage, receipts)
    assert [row.id for row in await store_work(stage, receipts)] == [row.id for row in first]
    assert len(await stage.stage.payloads("artifact.stored")) == len(first) == 3


async def test_without_a_diff_or_receipts_there_is_nothing_to_show(stage: ProofStage) -> None:
    whose = await attempt(stage)
    async with stage.db.transaction() as session:
        assert await stage.proofs.artifacts.store_work(session, whose, None, None, [], []) == []
    assert await stored(stage) == {}


async def test_commands_of_a_gate_show_something_as_well(stage: ProofStage) -> None:
    receipt = await stage.run(from_status="testing")
    async with stage.db.transaction() as session:
        ticket = await session.get_one(TicketRow, stage.ticket)
        await stage.proofs.artifacts.store_evidence(session, ticket, PhaseId.TESTING, [receipt])
    found = await stored(stage)
    assert {row.phase_id for row in found.values()} == {"PHASE_TESTING"}
    assert set(found) == {"test_results", "test_evidence"}


@pytest.mark.parametrize(
    ("sent", "kind", "path", "content"),
    [
        ({"type": "design_document", "content": "# Scope"}, "design_document", "", {"text": "# Scope"}),
        ({"type": "packaging_bundle", "path": "dist/a.whl"}, "packaging_bundle", "dist/a.whl", None),
        ({"type": "other", "content": [1, 2]}, "other", "", {"value": [1, 2]}),
        (
            {"type": "test_results", "content": {"passed": 99}},
            "other",
            "",
            {"type": "test_results", "content": {"passed": 99}},
        ),
        ({"type": "poem", "content": "x"}, "other", "", {"type": "poem", "content": "x"}),
        ({"type": "other", "path": "../../etc/passwd", "content": "x"}, "other", "", {"text": "x"}),
    ],
)
async def test_a_worker_sends_artifacts_but_not_the_hosts(
    stage: ProofStage, sent: dict[str, Any], kind: str, path: str, content: Any
) -> None:
    whose = await attempt(stage)
    async with stage.db.transaction() as session:
        (row,) = await stage.proofs.artifacts.store_sent(session, whose, [sent], "sandbox:sbx-1")
    assert (row.artifact_type, row.path, row.content) == (kind, path, content)
    assert row.collected_by == "sandbox:sbx-1"


async def test_late_words_are_kept_apart(stage: ProofStage) -> None:
    whose = await attempt(stage)
    async with stage.db.transaction() as session:
        now = stage.clock.now()
        await keep_other(session, stage.stage.events, whose, {"status": "completed"}, "sandbox:s", now)
    row = (await stored(stage))["other"]
    assert row.content == {"attempt": 1, "late_result": {"status": "completed"}}


# --- uploads --------------------------------------------------------------------------------------------


async def test_a_document_may_hold_any_number(stage: ProofStage) -> None:
    given = {"phase_id": "PHASE_TESTING", "artifact_type": "other", "content": {"large": 2**80}}
    async with stage.http() as http:
        made = await http.ask("POST", f"/tickets/{stage.ticket}/artifacts", 201, json=given)
    assert made["content"] == {"large": 2**80}


async def test_people_upload_and_list_artifacts(stage: ProofStage) -> None:
    path = f"/tickets/{stage.ticket}/artifacts"
    given = {"phase_id": "phase_requirements", "artifact_type": "requirements_document", "content": "# Scope"}
    async with stage.http() as http:
        made = await http.ask("POST", path, 201, json=given)
        assert made["content"] == {"text": "# Scope"}
        assert (made["phase_id"], made["path"], made["collected_by"]) == (
            "PHASE_REQUIREMENTS",
            None,
            "user:local",
        )
        assert not {"tenant_id", "content_hash"} & set(made)
        again = await http.ask("POST", path, 200, who="otto", json=given)
        assert again == made
        second = await http.ask("POST", path, 201, json={**given, "path": "docs/a.md"})
        found = await http.ask("GET", path, who="vera")
        assert [one["id"] for one in found["artifacts"]] == [second["id"], made["id"]]
        assert found["total"] == 2
    assert len(await stage.stage.payloads("artifact.stored")) == 2


async def test_one_that_is_shown_again_after_a_ticket_was_sent_back_counts_from_then(
    stage: ProofStage,
) -> None:
    path = f"/tickets/{stage.ticket}/artifacts"
    given = {"phase_id": "PHASE_IMPLEMENTATION", "artifact_type": "handoff_documentation", "content": "x"}
    async with stage.http() as http:
        first = await http.ask("POST", path, 201, json=given)
        await stage.stage.set_ticket(stage.ticket, evidence_since=stage.clock.now())
        again = await http.ask("POST", path, 200, json=given)
    assert again["id"] == first["id"]
    assert again["created_at"] > first["created_at"]


@pytest.mark.parametrize("kind", ["code_changes", "test_results", "test_evidence", "test_coverage"])
async def test_what_only_the_host_makes_cannot_be_uploaded(stage: ProofStage, kind: str) -> None:
    given = {"phase_id": "PHASE_IMPLEMENTATION", "artifact_type": kind, "content": {"passed": 1}}
    async with stage.http() as http:
        details = await http.refused("POST", f"/tickets/{stage.ticket}/artifacts", 422, "invalid", json=given)
    assert details["fields"][0]["field"] == "artifact_type"
    assert kind not in details["fields"][0]["allowed"]
    assert await stored(stage) == {}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"artifact_type": "poem"}, 422, "invalid"),
        ({"phase_id": "PHASE_X"}, 422, "invalid"),
        ({"path": "../x"}, 422, "invalid"),
        ({"path": "/etc/x"}, 422, "invalid"),
        ({"content": [1]}, 422, "invalid"),
        ({"more": 1}, 422, "invalid"),
        ({"content": "x" * 200_000}, 413, "payload_too_large"),
    ],
)
async def test_uploads_that_are_refused(
    stage: ProofStage, change: dict[str, Any], status: int, code: str
) -> None:
    given = {"phase_id": "PHASE_IMPLEMENTATION", "artifact_type": "other", "content": "x", **change}
    async with stage.http() as http:
        await http.refused("POST", f"/tickets/{stage.ticket}/artifacts", status, code, json=given)


async def test_artifacts_of_others_are_not_there(stage: ProofStage) -> None:
    given = {"phase_id": "PHASE_IMPLEMENTATION", "artifact_type": "other"}
    path = f"/tickets/{stage.ticket}/artifacts"
    async with stage.http() as http:
        for ticket in (stage.ticket, "nothing"):
            await http.refused("GET", f"/tickets/{ticket}/artifacts", 404, "not_found", who="sam")
            await http.refused(
                "POST", f"/tickets/{ticket}/artifacts", 404, "not_found", who="sam", json=given
            )
        await http.refused("POST", path, 403, "forbidden", who="vera", json=given)


# --- handover -------------------------------------------------------------------------------------------


async def assemble(stage: ProofStage) -> ArtifactRow:
    async with stage.db.transaction() as session:
        ticket = await session.get_one(TicketRow, stage.ticket)
        return await stage.proofs.artifacts.assemble_handoff(session, ticket)


async def finish(stage: ProofStage, **commit: Any) -> None:
    now = stage.clock.now()
    await stage.stage.set_task(stage.task, status="completed", attempt=2, completed_at=now)
    async with stage.db.transaction() as session:
        session.add(
            CommitRow(
                id=new_id("commit"),
                tenant_id="default",
                project_id=stage.project,
                ticket_id=stage.ticket,
                task_id=stage.task,
                sha="c" * 40,
                message=commit.get("message", "TSK-001: Write it"),
                insertions=12,
                deletions=3,
                files=["src/b.py", "src/a.py"],
                method="result",
                created_at=now,
            )
        )


async def test_a_handover_tells_what_was_done_changed_and_shown(stage: ProofStage) -> None:
    await stage.result(attempt=1, summary="not this one")
    said = await stage.result(attempt=2, summary="Signed in.\n\n# Evidence\nall is well")
    await finish(stage)
    passed, failed = await stage.run(), await stage.run(command("make lint", "lint"), Workspace(code=1))
    row = await assemble(stage)
    assert (row.artifact_type, row.phase_id, row.collected_by) == (
        "handoff_documentation",
        "PHASE_IMPLEMENTATION",
        "system:host",
    )
    content = row.content or {}
    assert content["results"] == [said]
    assert content["tasks"] == [stage.task]
    assert content["commits"] == ["c" * 40]
    assert content["receipts"] == [passed.id, failed.id]
    assert content["files"] == ["src/a.py", "src/b.py"]
    text = content["text"]
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Handover of TKT-001: Sign in",
        "## Summary",
        "## Work",
        "## Files",
        "## Commits",
        "## Evidence",
    ]
    assert "1 task completed, 1 commit, 2 files changed (+12 -3 lines), 1 of 2 checks passed." in text
    assert "Its worker says: Signed in. # Evidence all is well" in text
    assert "not this one" not in text
    assert "- passed: `make test` (exit code 0, 1500 ms" in text
    assert "- failed: `make lint` (exit code 1" in text


async def test_the_same_state_gives_the_same_handover(stage: ProofStage) -> None:
    await finish(stage)
    first = await assemble(stage)
    assert (await assemble(stage)).id == first.id
    await stage.run()
    assert (await assemble(stage)).id != first.id


async def test_void_and_old_receipts_are_no_part_of_a_handover(stage: ProofStage) -> None:
    old = await stage.run()
    await stage.stage.set_ticket(stage.ticket, evidence_since=stage.clock.now())
    void = await stage.run(tree="b" * 64)
    async with stage.db.transaction() as session:
        ticket = await session.get_one(TicketRow, stage.ticket)
        voided = await stage.proofs.receipts.void_stale(session, ticket, "d" * 64)
    assert {row.id for row in voided} == {old.id, void.id}
    row = await assemble(stage)
    assert (row.content or {})["receipts"] == []
    assert "## Evidence\n\nNone." in (row.content or {})["text"]
