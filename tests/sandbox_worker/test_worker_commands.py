"""The worker as a process of its own, before a strict host: commands, and everything around all work."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandbox_worker.local_host import CUT, LOST, TOKEN, Json, Worker, open_worker


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with open_worker(tmp_path) as found:
        yield found


def commands(worker: Worker, *lines: str, **brief: object) -> None:
    worker.host.brief = {"work": {"kind": "commands", "commands": list(lines)}, **brief}


def output(worker: Worker) -> str:
    return "".join(data["text"] for data in worker.host.data("command.output"))


def test_commands_run_in_order_and_their_changes_are_told(worker: Worker) -> None:
    commands(worker, "echo one > one.txt", "rm old.txt; printf 'b\\na\\n' > kept.txt; cat one.txt")
    worker.host.brief["deliverables"] = [{"path": "plan.md", "content": "# Plan\n"}]
    worker.workspace.mkdir()
    (worker.workspace / "old.txt").write_text("1\n2\n")
    (worker.workspace / "kept.txt").write_text("a\n")
    result = worker.work()
    assert result["status"] == "completed"
    assert result["files_changed"] == [
        {"path": "kept.txt", "action": "modified", "lines_added": 1, "lines_removed": 0},
        {"path": "old.txt", "action": "deleted", "lines_added": 0, "lines_removed": 2},
        {"path": "one.txt", "action": "created", "lines_added": 1, "lines_removed": 0},
        {"path": "plan.md", "action": "created", "lines_added": 1, "lines_removed": 0},
    ]
    assert output(worker) == "one\n"
    assert [one["event_type"] for one in worker.host.told()] == [
        "file.created",
        "command.started",
        "command.completed",
        "file.created",
        "command.started",
        "command.output",
        "command.completed",
        "file.modified",
        "file.deleted",
    ]
    assert [one["progress_percent"] for one in worker.host.progress] == [50, 100]
    assert worker.host.calls.index("task") < worker.host.calls.index("results")


def test_the_first_command_that_fails_ends_the_work_with_its_output(worker: Worker) -> None:
    commands(worker, "echo fine", "echo it is broken >&2; exit 3", "touch never")
    result = worker.work()
    assert (result["status"], result["error_code"]) == ("failed", "worker_failed")
    assert "Command 2 of 3 failed with exit code 3" in result["summary"]
    assert "it is broken" in result["notes"]
    assert not (worker.workspace / "never").exists()
    assert [data["exit_code"] for data in worker.host.data("command.completed")] == [0, 3]


def test_the_token_is_nowhere_a_command_could_read_it(worker: Worker) -> None:
    """Written to files, since what is told is masked anyway."""
    look = "env > own; cat /proc/$PPID/environ /proc/$PPID/cmdline > parents; ls -l /proc/self/fd > open"
    commands(worker, look)
    worker.environment["GREETING"] = "hello from outside"
    assert worker.work()["status"] == "completed"
    own, parents = [(worker.workspace / name).read_text() for name in ("own", "parents")]
    assert "GREETING=hello from outside" in own
    assert "OMNIFORGE_TASK_ID=task-1" in own
    assert "OMNIFORGE_TOKEN" not in own
    assert "OMNIFORGE_URL" not in own
    assert "PYTHONPATH" not in own
    assert "sandbox_kit.worker" in parents
    assert TOKEN not in own + parents


def test_a_secret_that_a_command_prints_is_masked(worker: Worker) -> None:
    commands(worker, f"echo the token is {TOKEN}; echo {TOKEN} >&2; exit 1")
    result = worker.work()
    assert TOKEN not in json.dumps([worker.host.data("command.output"), result])
    assert "the token is ***" in output(worker)


def test_a_flood_of_output_becomes_few_events(worker: Worker) -> None:
    commands(worker, "i=0; while [ $i -lt 30 ]; do seq 1 5000; i=$((i+1)); done; echo the end")
    begun = time.monotonic()
    result = worker.work()
    told = worker.host.data("command.output")
    assert len(told) <= (time.monotonic() - begun) / 0.1 + 2
    assert max(len(data["text"]) for data in told) < 9_000
    assert told[-1]["text"].endswith("the end\n")
    assert "characters left out" in output(worker)
    assert result["status"] == "completed"


def test_what_a_command_leaves_running_neither_holds_it_up_nor_survives(worker: Worker) -> None:
    commands(worker, "(sleep 60; touch late) & echo $! > pid", "test -d /proc/$(cat pid)")
    assert worker.work()["status"] == "completed"
    pid = (worker.workspace / "pid").read_text().strip()
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().split()[2] in ("Z", "X")


def test_a_command_that_takes_longer_than_there_is_time_is_ended(worker: Worker) -> None:
    commands(worker, "echo begun; sleep 60", constraints={"time_limit_minutes": 0.005})
    result = worker.work()
    assert (result["status"], result["error_code"]) == ("failed", "timed_out")
    assert "begun" in result["notes"]


def test_files_that_version_control_ignores_are_not_claimed(worker: Worker) -> None:
    commands(worker, "mkdir -p out/deep a/node_modules; touch out/deep/x a/node_modules/y a/z.log a/keep.py")
    worker.workspace.mkdir()
    (worker.workspace / ".gitignore").write_text("/out/\n*.log\n")
    assert [file["path"] for file in worker.work()["files_changed"]] == ["a/keep.py"]


@pytest.mark.parametrize("path", ["../out.txt", "/etc/omniforge-test", ".git/hooks/pre-commit"])
def test_a_deliverable_stays_inside_the_workspace(worker: Worker, path: str) -> None:
    commands(worker, "touch never", deliverables=[{"path": path, "content": "x"}])
    result = worker.work()
    assert (result["status"], result["error_code"]) == ("failed", "invalid_input")
    assert result["files_changed"] == []


def test_work_of_an_unknown_kind_is_refused(worker: Worker) -> None:
    worker.host.brief = {"work": {"kind": "dance"}}
    assert worker.work()["error_code"] == "unsupported_capability"


def test_errors_and_lost_answers_on_the_way_change_nothing(worker: Worker) -> None:
    host = worker.host
    host.faults["task"] = [CUT, 500, 429]
    host.faults["events"] = [500, LOST, 429, CUT, LOST]
    host.faults["progress"] = [500]
    host.faults["messages"] = [CUT, 500]
    host.faults["heartbeat"] = [500, CUT]
    host.faults["results"] = [CUT, 503, LOST, 429, LOST]
    commands(worker, "echo hello", "echo again; exit 1")
    result = worker.work()
    assert len(host.results) == 3  # two answers were lost
    assert all(body == result for body in host.results)
    assert output(worker) == "hello\nagain\n"
    assert len(host.told("command.completed")) == 2


def test_a_restart_of_the_server_loses_nothing(worker: Worker) -> None:
    host = worker.host
    commands(worker, "echo before", "while [ ! -e go ]; do sleep 0.02; done; echo during", "echo after")
    worker.start()
    host.until(lambda: host.told("command.completed"))
    host.stop()
    (worker.workspace / "go").touch()
    time.sleep(0.2)
    host.start()
    worker.ended()
    assert output(worker) == "before\nduring\nafter\n"
    assert host.results[0]["status"] == "completed"


def test_a_worker_that_was_killed_goes_on_where_it_was(worker: Worker) -> None:
    host = worker.host
    commands(worker, "echo first | tee -a log", "while [ ! -e go ]; do sleep 0.02; done", "echo third >> log")
    process = worker.start()
    host.until(lambda: len(host.told("command.started")) == 2)
    host.faults["events"] = [LOST]  # what is told last before the end is told again, under the same numbers
    process.kill()
    process.wait()
    (worker.workspace / "go").touch()
    worker.start()
    worker.ended()
    assert (worker.workspace / "log").read_text() == "first\nthird\n"
    assert [one["path"] for one in host.results[0]["files_changed"]] == ["go", "log"]
    assert len(host.told("command.started")) == 4


def test_a_worker_that_lost_its_disk_counts_on(worker: Worker) -> None:
    commands(worker, "true")
    worker.work()
    before = max(worker.host.events)
    assert len(worker.host.events) == 2
    worker.environment["OMNIFORGE_STATE"] = str(worker.folder / "another")
    worker.host.results.clear()
    time.sleep(0.7)  # four numbers a second are set apart
    worker.work()
    assert len([seq for seq in worker.host.events if seq > before]) == 2


def test_the_same_result_is_told_by_the_next_worker_too(worker: Worker) -> None:
    host = worker.host
    host.faults["results"] = [LOST, *[500] * 200]
    commands(worker, "echo done; date +%N > now")
    process = worker.start()
    host.until(lambda: host.results)
    process.kill()
    process.wait()
    host.faults["results"] = []
    worker.start()
    worker.ended()
    assert len(host.results) == 2
    assert host.results[0] == host.results[1]
    assert len(host.told("command.started")) == 1


def test_an_order_to_abort_ends_everything_at_once(worker: Worker) -> None:
    host = worker.host
    commands(worker, "sleep 60 & sleep 60", "touch never")
    worker.start()
    host.until(lambda: host.told("command.started"))
    host.commands = ["abort"]
    worker.ended(3)
    assert host.results == []
    assert host.data("agent.stopped") == [{"reason": "abort"}]


def test_a_worker_whose_token_was_taken_back_stops(worker: Worker) -> None:
    commands(worker, "sleep 60")
    worker.start()
    worker.host.until(lambda: worker.host.told("command.started"))
    worker.host.is_revoked = True
    worker.ended(3)
    assert worker.host.results == []


def test_a_worker_that_is_asked_to_end_says_so(worker: Worker) -> None:
    commands(worker, "sleep 60")
    process = worker.start()
    worker.host.until(lambda: worker.host.told("command.started"))
    process.send_signal(signal.SIGTERM)
    worker.ended(3)
    assert worker.host.data("agent.stopped") == [{"reason": "terminated"}]


def test_an_interruption_ends_the_command_under_way(worker: Worker) -> None:
    host = worker.host
    commands(worker, "echo begun; sleep 60", "touch never")
    worker.start()
    host.until(lambda: host.told("command.started"))
    host.say("Not like this.", "interrupt")
    worker.ended()
    result = host.results[0]
    assert (result["status"], result["error_code"]) == ("failed", "interrupted")
    assert "Not like this." in result["notes"]
    assert host.data("agent.input_received") == [{"text": "Not like this.", "message_id": "msg-1"}]


def test_heartbeats_come_as_often_as_agreed(worker: Worker) -> None:
    commands(worker, "sleep 0.6")
    worker.work()
    beats = worker.host.heartbeats
    assert len(beats) >= 4
    assert beats[0]["status"] == "starting"
    assert any(beat["busy"] and beat["status"] == "working" for beat in beats)
    assert all(beat["task_id"] == "task-1" for beat in beats)


def test_a_result_that_is_too_late_ends_the_worker_quietly(worker: Worker) -> None:
    host = worker.host
    host.faults["results"] = [409]
    commands(worker, "true")
    worker.start()
    worker.ended()
    assert host.results == []


def test_a_result_whose_details_are_not_taken_is_told_without_them(worker: Worker) -> None:
    host = worker.host
    host.faults["results"] = [422]
    commands(worker, "echo x > x.txt")
    result = worker.work()
    assert result["status"] == "completed"
    assert "files_changed" not in result


def test_without_its_environment_it_says_what_is_missing(worker: Worker) -> None:
    worker.environment["OMNIFORGE_URL"] = ""
    worker.start()
    assert "OMNIFORGE_URL is not set." in worker.ended(2)


def test_the_way_to_the_host_may_lead_through_a_proxy(worker: Worker) -> None:
    """A host whose name only the proxy knows; the proxy here is the host, which takes whole addresses."""
    worker.environment["HTTP_PROXY"] = worker.host.url
    worker.environment["OMNIFORGE_URL"] = "http://omniforge.internal"
    commands(worker, "echo $HTTP_PROXY")
    assert worker.work()["status"] == "completed"
    assert output(worker).strip() == worker.host.url


def test_odd_names_and_bytes_do_no_harm(worker: Worker) -> None:
    name = os.fsdecode(b"bad-\xff")
    commands(worker, f"touch '{name}' 'two words'; printf '\\377\\000\\033[1mbold'; ln -s /etc/passwd link")
    result: Json = worker.work()
    assert [file["path"] for file in result["files_changed"]] == ["two words"]
    assert output(worker).endswith("bold")
    assert "[1m" not in output(worker)
