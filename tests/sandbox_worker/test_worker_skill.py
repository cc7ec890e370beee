"""The worker runs a skill: its script over the protocol of skills, or its text by the agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sandbox_worker.local_host import Worker, call, in_turn, open_worker

WRITES = """
from pathlib import Path
from sandbox_kit.skill import Request, ToolError, call, log, model, progress, run, state_get, state_set

def main(request: Request) -> dict:
    progress(1, 2, "halfway")
    log("I am on it")
    state_set("seen", 3)
    try:
        call("slack.post_message", text="x")
    except ToolError as error:
        refused = error.code
    Path("report.md").write_text("# " + request.input["title"] + "\\n")
    answer = model("Which?", {"type": "object", "properties": {"which": {"type": "string"}}})
    output = {"refused": refused, "seen": state_get("seen"), "which": answer["which"], "text": model("Say")}
    output["odd"] = float("nan") if request.input.get("odd") else 1.5
    return {"output": output, "message": "Written.", "artifacts": [{"path": "report.md", "title": "Report"}]}

run(main)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with open_worker(tmp_path) as found:
        yield found


def skill(worker: Worker, text: str, file: str = "scripts/main.py", **inputs: object) -> None:
    place = worker.folder / "skills/writer" / file
    place.parent.mkdir(parents=True)
    place.write_text(text)
    worker.host.brief = {"work": {"kind": "skill", "name": "writer", "inputs": inputs}}


def test_a_script_gets_its_input_and_gives_a_result(worker: Worker) -> None:
    skill(worker, WRITES, title="Week 47")
    worker.host.model = in_turn(call("answer", which="this"), {"text": "words"})
    result = worker.work()
    assert (result["status"], result["summary"]) == ("completed", "Written.")
    assert [file["path"] for file in result["files_changed"]] == ["report.md"]
    assert (worker.workspace / "report.md").read_text() == "# Week 47\n"
    output = {"refused": "tool_not_found", "seen": 3, "which": "this", "text": "words", "odd": 1.5}
    assert result["artifacts"] == [
        {"type": "other", "content": output},
        {"type": "other", "path": "report.md"},
    ]
    assert worker.host.progress == [{"event_type": "info", "message": "halfway", "progress_percent": 50}]
    assert worker.host.data("agent.skill_used") == [{"skill": "writer"}]
    assert worker.host.data("agent.replied") == [{"text": "I am on it"}]


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("raise RuntimeError('it broke')", "worker_failed", "it broke"),
        ("print('no result')", "worker_failed", "did not answer as agreed"),
        (
            "from sandbox_kit.skill import Refused, run\n"
            "def main(r):\n    raise Refused('Not this one.')\nrun(main)",
            "invalid_input",
            "Not this one.",
        ),
    ],
)
def test_a_script_that_fails_says_why(worker: Worker, text: str, code: str, told: str) -> None:
    skill(worker, text)
    result = worker.work()
    assert (result["status"], result["error_code"]) == ("failed", code)
    assert told in result["summary"]


def test_a_script_that_asks_a_person_ends_with_a_review(worker: Worker) -> None:
    skill(
        worker,
        "from sandbox_kit.skill import ask, run\nrun(lambda r: {'output': {'a': ask('Which?', ['x'])}})",
    )
    worker.start()
    worker.ended()
    assert worker.host.results == []
    (review,) = worker.host.reviews
    assert (review["description"], review["blocking"]) == ("Which?", True)
    assert review["context"] == {"choices": ["x"]}


def test_a_skill_without_a_script_is_followed_by_the_agent(worker: Worker) -> None:
    skill(worker, "---\nname: writer\n---\nWrite in verse.", "SKILL.md", topic="rain")
    worker.host.model = in_turn(call("finish", status="completed", summary="It rhymes."))
    assert worker.work()["summary"] == "It rhymes."
    first = worker.host.asked[0]["messages"][0]["text"]
    assert "Write in verse." in first
    assert '"topic": "rain"' in first


@pytest.mark.parametrize("name", ["none", "../writer", ""])
def test_a_skill_that_is_not_there_is_refused(worker: Worker, name: str) -> None:
    worker.host.brief = {"work": {"kind": "skill", "name": name, "inputs": {}}}
    assert worker.work()["error_code"] == "invalid_input"
