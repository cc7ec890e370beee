"""Workers over HTTP: heard with their token and nothing else, about their own attempt and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.board.task_stage import Stage
from tests.board.worker_stage import Works, open_works

from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import AttemptOutcome
from omniforge.board.workplaces import Ending
from omniforge.core.actor import Role
from omniforge.db import Database
from omniforge.sandboxes.store import SandboxRow


@pytest.fixture
async def works(database: Database, tmp_path: Path) -> AsyncIterator[Works]:
    async with open_works(Stage(database), tmp_path) as opened:
        yield opened


async def test_a_worker_may_tell_of_any_number(works: Works) -> None:
    worker = await works.start(await works.claimed())
    told = {"event_type": "step_completed", "message": "Counted", "details": {"large": 2**80}}
    assert (await worker.ask("POST", f"/sandbox/task/{worker.task_id}/progress", json=told))["success"]
    assert (await worker.tell("agent.thought", event_data={"large": 2**80}))["status"] == "received"


async def test_the_whole_way_of_a_worker(works: Works) -> None:
    claimed = await works.claimed()
    sandbox_id = claimed.sandbox.id
    assert await works.told(sandbox_id) == ["sandbox.requested"]
    worker = await works.start(claimed)
    spawned = await works.row(sandbox_id)
    assert (spawned.state, spawned.image, spawned.started_at) == ("creating", "plain:1", None)
    task = await works.stage.get(worker.task_id)
    assert task.started_at is None

    first = await worker.beat(busy=True, metrics={"cpu_percent": 12.5, "memory_mb": 100})
    assert first["success"] is True
    assert first["commands"] == []
    started = await works.row(sandbox_id)
    assert (started.state, started.heartbeat_count) == ("running", 1)
    assert started.metrics == {"busy": True, "cpu_percent": 12.5, "memory_mb": 100}
    task = await works.stage.get(worker.task_id)
    assert task.started_at is not None
    assert task.lease_expires_at is not None
    assert first["lease_expires_at"].startswith(task.lease_expires_at.isoformat()[:19])

    path = f"/sandbox/task/{worker.task_id}"
    begun = await worker.ask("PATCH", f"{path}/status", json={"status": "in_progress", "message": "Reading"})
    assert (begun["success"], begun["task_id"], begun["status"]) == (True, worker.task_id, "running")
    said = await worker.tell("agent.message", event_data={"text": "I read it."}, client_seq=1)
    assert (said["status"], said["event_type"]) == ("received", "agent.replied")
    progress = {"event_type": "step_completed", "message": "Half done", "progress_percent": 50}
    kept = await worker.ask("POST", f"{path}/progress", json=progress)
    assert kept["success"] is True

    assert await works.told(sandbox_id) == [
        "sandbox.requested",
        "sandbox.spawned",
        "sandbox.started",
        "sandbox.heartbeat_received",
        "agent.replied",
    ]
    log = await works.stage.told("sandbox.started", "task.started", "task.progressed")
    assert log == ["sandbox.started", "task.started", "task.progressed", "task.progressed"]
    assert (await works.stage.payloads("task.progressed"))[1] == {
        "attempt": 1,
        "message": "Half done",
        "event_type": "step_completed",
        "details": {},
        "percent": 50.0,
        "ids": {
            "project_id": works.project,
            "ticket_id": works.ticket,
            "task_id": worker.task_id,
            "sandbox_id": sandbox_id,
        },
    }
    shown = await works.ask("GET", f"/sandboxes/{sandbox_id}/events", params={"event_type": "agent.replied"})
    (event,) = shown["events"]
    assert (event["id"], event["seq"]) == (said["event_id"], said["seq"])
    assert (event["payload"], event["task_id"]) == ({"text": "I read it."}, worker.task_id)
    assert (await works.row(sandbox_id)).last_work_at is not None


async def test_the_token_is_given_to_the_worker_alone_and_only_its_hash_is_kept(works: Works) -> None:
    worker = await works.worker()
    row = await works.row(worker.sandbox_id)
    assert worker.token.startswith("ofs_")
    assert len(worker.token) == 47
    assert row.token_hash is not None
    assert worker.token not in row.token_hash
    shown = await works.ask("GET", f"/sandboxes/{worker.sandbox_id}")
    assert "token_hash" not in shown
    assert "token" not in shown
    events = await works.stage.events.read("default")
    assert not any("ofs_" in row.payload for row in events)
    placed = works.provider.places[row.provider_ref or ""]
    assert placed.env is not None
    assert {name for name in placed.env if name.startswith("OMNIFORGE_")} == {
        "OMNIFORGE_URL",
        "OMNIFORGE_TOKEN",
        "OMNIFORGE_SANDBOX_ID",
        "OMNIFORGE_TASK_ID",
        "OMNIFORGE_WORKSPACE",
    }


async def test_every_call_is_noted_with_its_sandbox_and_without_its_token(
    works: Works, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    worker = await works.worker()
    await worker.beat()
    await worker.ask("PATCH", "/sandbox/task/another/status", 403, json={"status": "in_progress"})
    noted = [line for line in caplog.messages if line.startswith(f"sandbox {worker.sandbox_id} calls ")]
    assert [line.rsplit(" ", 2)[1:] for line in noted] == [
        ["POST", "/api/v1/sandbox/heartbeat"],
        ["PATCH", "/api/v1/sandbox/task/another/status"],
    ]
    assert worker.token not in caplog.text


async def test_no_token_and_tokens_that_do_not_hold_are_401(works: Works) -> None:
    worker = await works.worker()
    body = {"sandbox_id": worker.sandbox_id, "status": "working"}
    # Also where a person needs none, because the person is at this computer.
    refused = await works.ask("POST", "/sandbox/heartbeat", 401, json=body)
    assert refused["error"] == "unauthenticated"
    nobody = works.speak_as(worker.sandbox_id, worker.task_id, "ofs_" + "x" * 43)
    assert (await nobody.beat(401))["error"] == "unauthenticated"
    wrong = works.speak_as(worker.sandbox_id, worker.task_id, "of_sk_wrong")
    assert (await wrong.beat(401))["error"] == "unauthenticated"
    assert (await works.row(worker.sandbox_id)).state == "creating", "nobody was heard"

    works.stage.clock.turn(24 * 3600)
    assert (await worker.beat(401))["error"] == "token_expired"


async def test_a_persons_credential_opens_nothing_of_a_worker_but_messages(works: Works) -> None:
    worker = await works.worker()
    person = await works.sign_in(Role.DEVELOPER)
    where = f"/api/v1/sandboxes/{worker.sandbox_id}"
    for method, path, body in (
        ("POST", "/api/v1/sandbox/heartbeat", {"sandbox_id": worker.sandbox_id, "status": "working"}),
        ("POST", f"{where}/events", {"event_type": "agent.message"}),
        ("PATCH", f"/api/v1/sandbox/task/{worker.task_id}/status", {"status": "in_progress"}),
    ):
        answer = await person.request(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert (await person.get(f"{where}/messages")).json()["messages"] == []


async def test_a_sandbox_token_opens_nothing_of_people(works: Works) -> None:
    worker = await works.worker()
    for path in ("/sandboxes", f"/sandboxes/{worker.sandbox_id}", "/tasks", f"/tasks/{worker.task_id}"):
        assert (await worker.ask("GET", path, 401))["error"] == "unauthenticated"
    said = {"content": "Do as I say"}
    await worker.ask("POST", f"/sandboxes/{worker.sandbox_id}/messages", 401, json=said)


async def test_ids_of_others_are_403_whether_there_is_such_a_thing_or_not(works: Works) -> None:
    worker, other = await works.worker(), await works.worker()
    for sandbox_id in (other.sandbox_id, "sbx_nothing"):
        given = {"event_type": "agent.message"}
        refused = await worker.ask("POST", f"/sandboxes/{sandbox_id}/events", 403, json=given)
        assert refused["error"] == "foreign_sandbox"
        refused = await worker.ask("GET", f"/sandboxes/{sandbox_id}/messages", 403)
        assert refused["error"] == "foreign_sandbox"
        assert (await worker.beat(403, sandbox_id=sandbox_id))["error"] == "foreign_sandbox"
    for task_id in (other.task_id, "nothing"):
        path, given = f"/sandbox/task/{task_id}", {"status": "in_progress"}
        assert (await worker.ask("PATCH", f"{path}/status", 403, json=given))["error"] == "foreign_task"
        given = {"event_type": "info", "message": "hello"}
        assert (await worker.ask("POST", f"{path}/progress", 403, json=given))["error"] == "foreign_task"
        assert (await worker.beat(403, task_id=task_id))["error"] == "foreign_task"
    assert (await works.row(other.sandbox_id)).state == "creating"
    people = await works.ask("GET", "/sandboxes/sbx_nothing/messages", 404)
    assert people["error"] == "not_found"


async def test_a_task_ends_by_results_and_stops_by_a_review(works: Works) -> None:
    worker = await works.worker()
    path = f"/sandbox/task/{worker.task_id}/status"
    for status, code in (("completed", "use_results"), ("failed", "use_results"), ("blocked", "use_review")):
        refused = await worker.ask("PATCH", path, 409, json={"status": status})
        assert refused["error"] == code
    await worker.ask("PATCH", path, 422, json={"status": "running"})
    await worker.tell("agent.completed", event_data={"turns": 3, "stop_reason": "done"})
    assert (await works.stage.get(worker.task_id)).status == "running"
    assert (await works.row(worker.sandbox_id)).state == "running"


async def test_workers_tell_telemetry_and_nothing_else(works: Works) -> None:
    worker = await works.worker()
    assert (await worker.tell("task.completed", 403))["error"] == "event_not_allowed"
    assert (await worker.tell("sandbox.completed", 403))["error"] == "event_not_allowed"
    unknown = await worker.tell("agent.daydreamed", 422)
    assert unknown["error"] == "invalid"
    assert unknown["details"]["fields"][0]["field"] == "event_type"
    for sent, kept in (
        ("agent.thinking", "agent.thought"),
        ("agent.tool_use", "agent.tool_used"),
        ("agent.tool_result", "agent.tool_returned"),
        ("agent.error", "agent.errored"),
        ("sandbox.metrics", "sandbox.measured"),
        ("command.output", "command.output"),
    ):
        assert (await worker.tell(sent))["event_type"] == kept
    assert (await works.row(worker.sandbox_id)).tool_calls == 1


async def test_a_posted_heartbeat_is_a_heartbeat(works: Works) -> None:
    worker = await works.worker()
    await worker.tell("sandbox.heartbeat", event_data={"busy": True, "memory_mb": 64})
    row = await works.row(worker.sandbox_id)
    assert (row.heartbeat_count, row.metrics) == (1, {"busy": True, "memory_mb": 64})
    assert row.last_work_at is None
    for _ in range(9):
        await worker.tell("sandbox.heartbeat_received")
    assert (await worker.tell("sandbox.heartbeat", 429))["error"] == "rate_limited"
    assert (await worker.beat(429))["error"] == "rate_limited"


async def test_an_event_that_is_sent_again_is_recognised(works: Works) -> None:
    worker = await works.worker()
    first = await worker.tell("agent.message", client_seq=7, event_data={"text": "once"})
    again = await worker.tell("agent.message", 200, client_seq=7, event_data={"text": "once"})
    assert again == {**first, "status": "duplicate"}
    batch = [{"event_type": "agent.message", "client_seq": number} for number in (7, 8, 9, 9)]
    path = f"/sandboxes/{worker.sandbox_id}/events"
    answer = await worker.ask("POST", path, 201, json={"events": batch})
    assert [one["client_seq"] for one in answer["received"]] == [8, 9]
    assert [one["client_seq"] for one in answer["duplicates"]] == [7, 9]
    assert answer["duplicates"][0]["seq"] == first["seq"]
    assert answer["duplicates"][1]["seq"] == answer["received"][1]["seq"] == first["seq"] + 2
    assert (await worker.ask("POST", path, 200, json={"events": batch}))["received"] == []
    assert (await works.told(worker.sandbox_id)).count("agent.replied") == 3


async def test_of_a_batch_everything_is_taken_or_nothing(works: Works) -> None:
    worker = await works.worker()
    path = f"/sandboxes/{worker.sandbox_id}/events"
    fine = {"event_type": "agent.message", "client_seq": 1}
    for wrong, status in (
        ({"event_type": "agent.daydreamed"}, 422),
        ({"event_type": "ticket.created"}, 403),
        ({"event_type": "file.created", "event_data": {"path": "../../etc/passwd"}}, 422),
        ({"event_type": "agent.message", "event_data": {"text": "x" * 110_000}}, 413),
    ):
        await worker.ask("POST", path, status, json={"events": [fine, wrong]})
    await worker.ask("POST", path, 422, json={"events": []})
    await worker.ask("POST", path, 422, json={"events": [fine] * 51})
    await worker.ask("POST", path, 422, json={"events": [fine], **fine})
    assert await works.told(worker.sandbox_id) == ["sandbox.requested", "sandbox.spawned"]


async def test_what_is_too_long_for_the_log_is_kept_whole_all_the_same(works: Works) -> None:
    worker = await works.worker()
    whole = {"call_id": "c1", "text": "line " * 19_000, "ids": {"sandbox_id": "mine"}}
    await worker.tell("command.output", event_data=whole)
    await worker.tell("command.output", event_data={"text": "short"})
    path = f"/sandboxes/{worker.sandbox_id}/events"
    shown = await works.ask("GET", path, params={"event_type": "command.output", "order": "asc"})
    assert [event["payload"] for event in shown["events"]] == [whole, {"text": "short"}]
    (long, _) = await works.stage.payloads("command.output")
    assert long["ids"]["sandbox_id"] == worker.sandbox_id
    assert long["shortened"] is True
    assert len(long["text"]) < 16_000
    fifty = [{"event_type": "command.output", "event_data": {"text": "y" * 30_000}}] * 50
    answer = await worker.ask("POST", path, 201, json={"events": fifty})
    assert len(answer["received"]) == 50


async def test_control_characters_and_secrets_do_not_come_in(works: Works) -> None:
    claimed = await works.claimed()
    async with works.stage.db.transaction() as session:
        seal = works.sandboxes.environments.seal
        env = await seal(session, "default", claimed.task.id, {"SHOP_KEY": "hunter2-hunter2", "LEVEL": "low"})
        await session.execute(update(SandboxRow).where(SandboxRow.id == claimed.sandbox.id).values(env=env))
    worker = await works.start(claimed)
    ref = (await works.row(worker.sandbox_id)).provider_ref or ""
    placed = works.provider.places[ref].env or {}
    assert (placed["SHOP_KEY"], placed["LEVEL"]) == ("hunter2-hunter2", "low")

    text = f"a\x00b\x1b[31mred\x07\tx\ny {worker.token} hunter2-\x00hunter2 low"
    await worker.tell("agent.message", event_data={"text": text, "k\x01ey": ["hunter2-hunter2"]})
    (kept,) = await works.stage.payloads("agent.replied")
    assert kept["text"] == "ab[31mred\tx\ny [OmniForge key removed] [secret removed] low"
    assert kept["key"] == ["[secret removed]"]
    body = b'{"event_type":"agent.message","event_data":{"text":"\xff\xfe"}}'
    json_type = {"Content-Type": "application/json"}
    path = f"/sandboxes/{worker.sandbox_id}/events"
    await worker.ask("POST", path, 422, content=body, headers=json_type)
    half = b'{"event_type":"agent.message","event_data":{"text":"\\ud800"}}'
    await worker.ask("POST", path, 422, content=half, headers=json_type)
    assert len(await works.stage.payloads("agent.replied")) == 1


async def test_how_much_one_may_say(works: Works) -> None:
    worker = await works.worker()
    path = f"/sandbox/task/{worker.task_id}"
    long = {"event_type": "info", "message": "x" * 10_300}
    assert (await worker.ask("POST", f"{path}/progress", 413, json=long))["error"] == "payload_too_large"
    large = {"event_type": "info", "message": "x", "details": {"text": "x" * 110_000}}
    await worker.ask("POST", f"{path}/progress", 413, json=large)
    fits = {"event_type": "info", "message": "x" * 10_000, "details": {"text": "y" * 90_000}}
    await worker.ask("POST", f"{path}/progress", json=fits)
    (kept,) = await works.stage.payloads("task.progressed")
    assert kept["ids"]["task_id"] == worker.task_id
    wrong = {"event_type": "info", "message": "x", "progress_percent": 101}
    await worker.ask("POST", f"{path}/progress", 422, json=wrong)


@pytest.mark.parametrize(
    ("calls", "limit"), [("events", 100), ("heartbeats", 10), ("polls", 30), ("other", 60)]
)
async def test_calls_are_counted_by_sandbox_and_minute(works: Works, calls: str, limit: int) -> None:
    worker, other = await works.worker(), await works.worker()
    path, info = f"/sandbox/task/{worker.task_id}/progress", {"event_type": "info", "message": "m"}
    where = f"/api/v1/sandboxes/{worker.sandbox_id}"
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {
        "events": ("POST", f"{where}/events", {"json": {"event_type": "agent.message"}}),
        "heartbeats": (
            "POST",
            "/api/v1/sandbox/heartbeat",
            {"json": {"sandbox_id": worker.sandbox_id, "status": "working"}},
        ),
        "polls": ("GET", f"{where}/messages", {}),
        "other": ("POST", f"/api/v1{path}", {"json": info}),
    }
    method, address, body = asked[calls]
    if calls == "events":  # each event of a batch counts
        batch = {"events": [{"event_type": "agent.message"}] * 49}
        for _ in range(2):
            assert (await worker.http.request(method, address, json=batch)).status_code == 201
        refused = await worker.http.request(method, address, json=batch)
        assert refused.status_code == 429
    else:
        for _ in range(limit - 2):
            assert (await worker.http.request(method, address, **body)).is_success
    for _ in range(2):
        assert (await worker.http.request(method, address, **body)).is_success
    refused = await worker.http.request(method, address, **body)
    assert (refused.status_code, refused.json()["error"]) == (429, "rate_limited")
    seconds = int(refused.headers["retry-after"])
    assert 1 <= seconds <= 60
    assert (await other.beat())["success"] is True
    works.stage.clock.turn(seconds)
    assert (await worker.http.request(method, address, **body)).is_success


async def test_a_waiting_worker_hears_a_message_as_soon_as_it_is_said(works: Works) -> None:
    worker = await works.worker()
    await worker.beat()
    waiting = asyncio.create_task(worker.hear(wait=30))
    await asyncio.sleep(0)
    said = {"content": "Use tabs,\x00 please"}
    path = f"/sandboxes/{worker.sandbox_id}/messages"
    sent = await works.ask("POST", path, 201, json=said)
    heard = await asyncio.wait_for(waiting, 5)
    (message,) = heard["messages"]
    assert message == {
        "id": sent["message_id"],
        "seq": 1,
        "content": "Use tabs, please",
        "message_type": "user_message",
        "timestamp": message["timestamp"],
    }
    assert (sent["status"], sent["seq"], sent["sandbox_id"]) == ("queued", 1, worker.sandbox_id)

    await works.ask("POST", path, 201, json={"content": "Stop that", "message_type": "interrupt"})
    both = await worker.hear()
    assert [one["content"] for one in both["messages"]] == ["Use tabs, please", "Stop that"]
    assert "sandbox.message_delivered" not in await works.told(worker.sandbox_id)
    person = await works.sign_in(Role.VIEWER)
    seen = (await person.get(f"/api/v1{path}", params={"after": 1})).json()
    assert [one["content"] for one in seen["messages"]] == ["Stop that"]
    assert "sandbox.message_delivered" not in await works.told(worker.sandbox_id), "people only look"
    assert (await worker.hear(after=1))["total"] == 1
    delivered = await works.stage.payloads("sandbox.message_delivered")
    assert [one["message_id"] for one in delivered] == [sent["message_id"]]
    await worker.hear(after=1)
    assert len(await works.stage.payloads("sandbox.message_delivered")) == 1


async def test_nobody_waits_for_messages_when_the_attempt_has_ended(works: Works) -> None:
    worker = await works.worker()
    await worker.beat()
    waiting = asyncio.create_task(worker.hear(wait=30, status=401))
    await asyncio.sleep(0)
    await works.ask("POST", f"/tasks/{worker.task_id}/cancel")
    assert (await asyncio.wait_for(waiting, 5))["error"] == "token_revoked"
    said = await works.ask(
        "POST", f"/sandboxes/{worker.sandbox_id}/messages", 409, json={"content": "hello?"}
    )
    assert said["error"] == "precondition_failed"


async def test_waiting_ends_in_time_and_asks_for_no_more_than_half_a_minute(works: Works) -> None:
    worker = await works.worker()
    assert (await worker.hear(wait=0.05))["messages"] == []
    await worker.hear(wait=31, status=422)


async def test_what_may_be_said_to_a_worker(works: Works) -> None:
    worker = await works.worker()
    path = f"/sandboxes/{worker.sandbox_id}/messages"
    await works.ask("POST", path, 413, json={"content": "é" * 6_000})
    await works.ask("POST", path, 422, json={"content": ""})
    await works.ask("POST", path, 422, json={"content": "\x01\x02"})
    await works.ask("POST", path, 422, json={"content": "x", "message_type": "nudge"})
    viewer = await works.sign_in(Role.VIEWER)
    assert (await viewer.post(f"/api/v1{path}", json={"content": "x"})).status_code == 403


async def test_a_restart_of_the_server_loses_and_doubles_nothing(
    works: Works, tmp_path: Path, database: Database
) -> None:
    worker = await works.worker()
    await worker.tell("agent.message", client_seq=1)
    path = f"/sandboxes/{worker.sandbox_id}/messages"
    for content in ("first", "second"):
        await works.ask("POST", path, 201, json={"content": content})
    assert (await worker.hear())["total"] == 2
    assert (await worker.hear(after=1))["total"] == 1

    given = {"provider": works.provider, "project": works.project, "ticket": works.ticket}
    async with open_works(Stage(database, clock=works.stage.clock), tmp_path, **given) as again:
        same = again.speak_as(worker.sandbox_id, worker.task_id, worker.token)
        path = f"/sandboxes/{worker.sandbox_id}/events"
        resent = [{"event_type": "agent.message", "client_seq": number} for number in (1, 2)]
        answer = await same.ask("POST", path, 201, json={"events": resent})
        assert [one["client_seq"] for one in answer["received"]] == [2]
        assert [one["client_seq"] for one in answer["duplicates"]] == [1]
        heard = await same.hear(after=1)
        assert [one["content"] for one in heard["messages"]] == ["second"]
        told = await again.told(worker.sandbox_id)
        assert told.count("sandbox.started") == 1
        assert told.count("agent.replied") == 2


async def test_a_new_attempt_silences_the_one_before(works: Works) -> None:
    old = await works.worker(max_retries=3)
    await old.beat()
    works.stage.clock.turn(61)  # its lease
    assert await works.stage.claim() is None
    assert (await old.beat(401))["error"] == "token_revoked"
    assert (await old.tell("agent.message", 401))["error"] == "token_revoked"
    works.stage.clock.turn(60)
    new = await works.start(await works.stage.claimed())
    assert new.task_id == old.task_id
    assert (await new.beat())["success"] is True
    assert (await old.hear(status=401))["error"] == "token_revoked"
    assert (await works.row(old.sandbox_id)).state == "failed"


async def test_every_authenticated_call_renews_the_lease(works: Works) -> None:
    worker = await works.worker()
    until: list[Any] = []
    for call in (worker.beat, worker.hear, lambda: worker.tell("agent.thinking")):
        works.stage.clock.turn(30)
        await call()
        until.append((await works.stage.get(worker.task_id)).lease_expires_at)
    assert until[0] < until[1] < until[2]
    assert await works.stage.claim() is None
    assert (await works.stage.get(worker.task_id)).attempt == 1


async def test_a_worker_whose_time_is_over_is_told_to_stop(works: Works) -> None:
    worker = await works.worker(timeout_seconds=60)
    assert (await worker.beat())["commands"] == []
    works.stage.clock.turn(59)
    assert (await worker.beat())["commands"] == []
    works.stage.clock.turn(2)
    assert (await worker.beat())["commands"] == ["abort"]
    assert await works.stage.claim() is None
    assert (await worker.beat(401))["error"] == "token_revoked"


async def test_results_are_let_through_with_a_token_that_held_once(works: Works) -> None:
    """What takes in results has to tell those that come too late from those of nobody."""
    worker = await works.worker()
    service = works.sandboxes
    now = await service.authenticate(worker.token, also_lapsed=True)
    assert (now.task_id, now.attempt, now.lapsed) == (worker.task_id, 1, None)
    async with works.stage.db.read() as session:
        task = await session.get_one(TaskRow, worker.task_id)
    claimed = (task.tenant_id, task.id, task.attempt)
    await works.work.attempts.settle(*claimed, Ending(AttemptOutcome.FAILED, "user:local"))
    late = await service.authenticate(worker.token, also_lapsed=True)
    assert (late.task_id, late.attempt, late.lapsed) == (worker.task_id, 1, "token_revoked")


async def test_a_worker_keeps_where_its_own_conversation_is(works: Works) -> None:
    worker, other = await works.worker(), await works.worker()
    given = {"conversation_id": "c-1", "sandbox_id": worker.sandbox_id}
    await worker.ask("POST", f"/tasks/{worker.task_id}/register-conversation", json=given)
    assert (await works.stage.get(worker.task_id)).conversation_id == "c-1"
    for task_id in (other.task_id, "nothing"):
        path = f"/tasks/{task_id}/register-conversation"
        refused = await worker.ask("POST", path, 403, json={"conversation_id": "c-2"})
        assert refused["error"] == "foreign_task"
