"""What a skill script is given and what its answer means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Fatal
from omniforge.sandboxes.skill_protocol import (
    Artifact,
    SkillResult,
    SkillStatus,
    entry_argv,
    parse_result,
    render_request,
)


def test_the_request_is_one_json_object() -> None:
    raw = render_request(
        run_id="r1",
        step="collect",
        skill_name="weekly",
        skill_version="1.0.0",
        input={"a": "ä"},
        config={"database_id": "d"},
        context={"now": "2026-11-21T10:00:00Z", "user": {"id": "u", "name": "Ada"}},
        tools=[{"name": "notion.search", "description": "", "input_schema": {}, "access": "read"}],
    )
    assert json.loads(raw) == {
        "protocol": 1,
        "run_id": "r1",
        "step": "collect",
        "skill": {"name": "weekly", "version": "1.0.0"},
        "input": {"a": "ä"},
        "config": {"database_id": "d"},
        "context": {"now": "2026-11-21T10:00:00Z", "user": {"id": "u", "name": "Ada"}},
        "tools": [{"name": "notion.search", "description": "", "input_schema": {}, "access": "read"}],
    }


def test_the_last_line_is_the_result_and_earlier_ones_are_log() -> None:
    answer = {
        "output": {"n": 1},
        "message": "One page.",
        "status": "flag",
        "artifacts": [{"path": "report.md", "title": "Report"}, {"path": "/workspace/out/a.csv"}],
    }
    stdout = b"reading\n\n{not the result}\n\xff\n" + json.dumps(answer).encode() + b"\n\n  \n"
    assert parse_result(stdout, 0) == SkillResult(
        output={"n": 1},
        message="One page.",
        artifacts=(Artifact("report.md", "Report"), Artifact("out/a.csv", "a.csv")),
        status=SkillStatus.FLAG,
        log_lines=("reading", "{not the result}", "\ufffd"),
    )


def test_output_alone_is_enough() -> None:
    assert parse_result(b'{"output": {}}', 0) == SkillResult({}, None, (), SkillStatus.OK, ())


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [
        (b"", "it printed nothing"),
        (b"\n \n", "it printed nothing"),
        (b"done", "no result"),
        (b"[]", "not an object"),
        (b"{}", '"output" must be an object'),
        (b'{"output": []}', '"output" must be an object'),
        (b'{"output": {}, "message": 1}', '"message" must be text'),
        (b'{"output": {}, "status": "great"}', '"status" must be one of'),
        (b'{"output": {}, "status": ["ok"]}', '"status" must be one of'),
        (b'{"output": {}, "artifacts": {"path": "a"}}', '"artifacts" must be a list'),
        (b'{"output": {}, "artifacts": ["a"]}', "an artifact must be"),
        (b'{"output": {}, "artifacts": [{"path": "../a"}]}', "an artifact must be"),
        (b'{"output": {}, "artifacts": [{"path": "/etc/a"}]}', "an artifact must be"),
        (b'{"output": {"n": NaN}}', "NaN is not JSON"),
        (b'{"output": {"t": "\\ud800"}}', "half a surrogate pair"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"output": {}}\ntrailing', "no result"),
    ],
)
def test_bad_output_says_why(stdout: bytes, reason: str) -> None:
    with pytest.raises(Fatal) as raised:
        parse_result(stdout, 0)
    assert raised.value.code == "bad_output"
    assert reason in raised.value.details["reason"]


def test_a_failed_script_brings_the_last_lines_for_developers() -> None:
    stderr = b"".join(b"line %d\n" % number for number in range(50))
    with pytest.raises(Fatal) as raised:
        parse_result(b'{"output": {}}', 1, stderr)
    assert raised.value.code == "script_failed"
    assert raised.value.details["exit_code"] == 1
    assert raised.value.details["stderr"] == [f"line {number}" for number in range(30, 50)]


@given(st.binary(max_size=500))
def test_any_bytes_become_a_result_or_bad_output(stdout: bytes) -> None:
    assert outcome(stdout) in {"result", "bad_output"}


def outcome(stdout: bytes) -> str:
    try:
        parse_result(stdout, 0)
    except Fatal as error:
        return error.code
    return "result"


@pytest.mark.parametrize(
    ("script", "argv"),
    [
        ("main.py", ["python3", "/skill/scripts/main.py"]),
        ("main.sh", ["sh", "/skill/scripts/main.sh"]),
        ("main.js", ["node", "/skill/scripts/main.js"]),
    ],
)
def test_a_script_is_started_by_its_interpreter(script: str, argv: list[str]) -> None:
    assert entry_argv(script) == argv


def test_an_unknown_kind_of_script_is_refused() -> None:
    with pytest.raises(Fatal) as raised:
        entry_argv("main.rb")
    assert raised.value.code == "interpreter_missing"


def test_a_script_can_say_in_its_own_words_that_it_cannot_do_this() -> None:
    line = b'{"output": {}, "status": "refused", "message": "There is no database called X."}\n'
    with pytest.raises(Fatal, match="There is no database called X") as raised:
        parse_result(line, 0)
    assert raised.value.code == "refused"
