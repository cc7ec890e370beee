"""What a script-backed skill reads on stdin and writes on stdout. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from omniforge.core.errors import Fatal
from omniforge.sandboxes.archive import is_safe_path
from omniforge.sandboxes.bridge import parse_object

PROTOCOL = 1
MAX_ERROR_LINES = 20
MAX_LINE = 2000

ENTRY_POINTS = {"main.py": "python3", "main.sh": "sh", "main.js": "node"}
"""File in a skill's `scripts/` → the interpreter that runs it."""


class SkillStatus(StrEnum):
    """How a script that did not fail sees its work."""

    OK = "ok"
    EMPTY = "empty"
    """There was nothing to do."""
    STOP = "stop"
    """End the run here, without failure."""
    FLAG = "flag"
    """Done, but a person should look."""
    REFUSED = "refused"
    """It cannot be done as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file the script wants to keep; `path` is relative to its workspace."""

    path: str
    title: str


@dataclass(frozen=True, slots=True)
class SkillResult:
    """What a script said it did."""

    output: dict[str, Any]
    message: str | None
    artifacts: tuple[Artifact, ...]
    status: SkillStatus
    log_lines: tuple[str, ...]


def entry_argv(script: str) -> list[str]:
    """How `script`, a file name in a skill's `scripts/`, is started with the skill bound at `/skill`."""
    interpreter = ENTRY_POINTS.get(script)
    if interpreter is None:
        raise Fatal(
            f"A skill cannot be started by '{script}'.", code="interpreter_missing", known=list(ENTRY_POINTS)
        )
    return [interpreter, f"/skill/scripts/{script}"]


def render_request(
    *,
    run_id: str,
    step: str,
    skill_name: str,
    skill_version: str | None,
    input: Mapping[str, Any],  # noqa: A002 - the protocol's word
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    tools: Sequence[Mapping[str, Any]],
) -> bytes:
    """The bytes for stdin. `context`: now, date, timezone, locale, user {id, name}.

    `tools`: each name, description, input_schema, access.
    """
    request = {
        "protocol": PROTOCOL,
        "run_id": run_id,
        "step": step,
        "skill": {"name": skill_name, "version": skill_version},
        "input": input,
        "config": config,
        "context": context,
        "tools": tools,
    }
    return json.dumps(request, ensure_ascii=False, default=_plain).encode()


def parse_result(stdout: bytes, exit_code: int, stderr: bytes = b"") -> SkillResult:
    """What a script printed: log lines, then one object `{"output", "message"?, "artifacts"?, "status"?}`.

    Raises `Fatal`: code `script_failed` when it did not exit with 0, `bad_output` when its last line is not
    that, `refused` with the script's own words when it says that this cannot be done. Details for
    developers: `exit_code`, `stderr` (the last 20 lines), `reason` of `bad_output`.
    """
    details = {"exit_code": exit_code, "stderr": _last_lines(stderr)}
    if exit_code != 0:
        raise Fatal("The script stopped unexpectedly.", code="script_failed", **details)
    lines = [line for line in stdout.split(b"\n") if line.strip()]
    try:
        result = parse_object(lines[-1] if lines else b"")
        output, message, artifacts, status = _read_fields(result)
    except ValueError as error:
        reason = f"its last line is no result: {error}" if lines else "it printed nothing"
        raise Fatal(
            "The script did not answer as agreed.", code="bad_output", reason=reason, **details
        ) from None
    if status is SkillStatus.REFUSED:
        raise Fatal(message or "The script says that this cannot be done.", code="refused", **details)
    log_lines = tuple(_text(line) for line in lines[:-1])
    return SkillResult(output, message, artifacts, status, log_lines)


def _read_fields(
    result: Mapping[str, Any],
) -> tuple[dict[str, Any], str | None, tuple[Artifact, ...], SkillStatus]:
    output = result.get("output")
    if not isinstance(output, dict):
        raise ValueError('"output" must be an object')  # noqa: TRY004 - one kind of error for all shapes
    message = result.get("message")
    if message is not None and not isinstance(message, str):
        raise ValueError('"message" must be text')
    status = result.get("status") or SkillStatus.OK
    if not isinstance(status, str) or status not in set(SkillStatus):
        raise ValueError(f'"status" must be one of {", ".join(SkillStatus)}')
    listed: object = result.get("artifacts") or []
    if not isinstance(listed, list):
        raise ValueError('"artifacts" must be a list')  # noqa: TRY004
    artifacts = tuple(_artifact(entry) for entry in cast("list[object]", listed))
    return cast("dict[str, Any]", output), message, artifacts, SkillStatus(status)


def _artifact(entry: object) -> Artifact:
    fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {}
    path = fields.get("path")
    if isinstance(path, str):
        relative = path.removeprefix("/workspace/").removeprefix("./")
        title = fields.get("title") or relative.rsplit("/", 1)[-1]
        if is_safe_path(relative) and isinstance(title, str):
            return Artifact(relative, title)
    raise ValueError('an artifact must be {"path", "title"} with a path inside the workspace')


def _last_lines(raw: bytes) -> list[str]:
    return [_text(line) for line in raw.split(b"\n") if line.strip()][-MAX_ERROR_LINES:]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip()[:MAX_LINE]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    raise TypeError(f"{type(value).__name__} cannot be given to a script")
