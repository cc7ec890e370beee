"""Work that is a skill: its script with a request on stdin and a result as the last line of stdout; without
a script, its text is what the agent follows."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sandbox_kit.worker.agent_work import run_agent
from sandbox_kit.worker.control import Interrupted
from sandbox_kit.worker.outcomes import Outcome, Question, failed
from sandbox_kit.worker.running import Ran
from sandbox_kit.worker.settings import KIT
from sandbox_kit.worker.skill_bridge import SkillBridge
from sandbox_kit.worker.workplace import Json, Workplace

SCRIPTS = {"main.py": [sys.executable], "main.sh": ["/bin/sh"], "main.js": ["node"]}
LONGEST_LINE = 4_000_000
"""Bytes of the last output that may hold the result."""
STATUSES = ("ok", "empty", "stop", "flag", "refused")


def run_skill(place: Workplace, name: str, inputs: Json) -> Outcome | Question:
    folder = place.settings.skills / name
    if not name or "/" in name or not folder.is_dir():
        return failed(f"The skill {name!r} is not here.", code="invalid_input")
    place.telemetry.agent("skill_used", skill=name)
    script = next(
        (folder / "scripts" / file for file in SCRIPTS if (folder / "scripts" / file).is_file()), None
    )
    if script is not None:
        return _run_script(place, name, script, inputs)
    try:
        text = (folder / "SKILL.md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return failed(f"The skill {name!r} has neither a script nor a text.", code="invalid_input")
    given = json.dumps(inputs, ensure_ascii=False, indent=1)
    instructions = f"Follow this skill; its files lie in {folder}.\n\n{text}\n\nWhat it is given:\n{given}"
    return run_agent(place, instructions)


def _run_script(place: Workplace, name: str, script: Path, inputs: Json) -> Outcome | Question:
    folder, last = place.state.folder, bytearray()

    def hear(chunk: bytes) -> None:
        last.extend(chunk)
        del last[:-LONGEST_LINE]

    request, errors = folder / "skill-request.json", folder / "skill-errors.txt"
    request.write_bytes(_request(place, name, inputs))
    bridge = SkillBridge(place)
    bridge.serve()
    try:
        with request.open("rb") as stdin, errors.open("wb") as stderr:
            ran = place.commands.run(
                [*SCRIPTS[script.name], str(script)],
                f"skill {name}",
                call_id=place.call_id(),
                timeout=place.seconds_left,
                hear=hear,
                stdin=stdin,
                stderr=stderr,
                pass_fds=(bridge.their_fd,),
                env={"OMNIFORGE_BRIDGE_FD": str(bridge.their_fd), "PYTHONPATH": KIT},
            )
    except Interrupted:
        place.control.take_interruption()
        ran = None
    finally:
        bridge.close()
        place.tell_changes()
    if bridge.question is not None:
        place.control.take_interruption()
        return bridge.question
    if ran is None:
        said = "\n".join(message.text for message in place.hear())
        return failed(f"The skill {name} was interrupted.", said, "interrupted")
    trouble = place.telemetry.masked(errors.read_bytes()[-8_000:].decode("utf-8", "replace"))
    return _outcome(name, ran, bytes(last), trouble)


def _request(place: Workplace, name: str, inputs: Json) -> bytes:
    now = datetime.now(UTC)
    context = {"now": now.isoformat(), "date": now.date().isoformat(), "timezone": "UTC", "locale": "en"}
    request: Json = {
        "protocol": 1,
        "run_id": place.settings.task_id,
        "step": f"attempt-{place.brief.attempt}",
        "skill": {"name": name, "version": None},
        "input": inputs,
        "config": {},
        "context": context,
        "tools": [],
    }
    return json.dumps(request, ensure_ascii=False).encode()


def _outcome(name: str, ran: Ran, stdout: bytes, trouble: str) -> Outcome:
    if ran.timed_out:
        return failed(f"The skill {name} took longer than there was time.", trouble, "timed_out")
    if ran.exit_code != 0:
        tail = trouble.strip() or ran.tail
        return failed(f"The skill {name} failed with exit code {ran.exit_code}.\n{tail}", tail)
    lines = [line for line in stdout.split(b"\n") if line.strip()]
    try:
        result: Any = json.loads(lines[-1]) if lines else None
    except ValueError:
        result = None
    said: Json = cast("Json", result) if isinstance(result, dict) else {}
    if not isinstance(said.get("output"), dict) or said.get("status", "ok") not in STATUSES:
        return failed(f"The skill {name} did not answer as agreed.", f"{ran.tail}\n{trouble}".strip())
    message = str(said.get("message") or f"The skill {name} is done.")
    if said.get("status") == "refused":
        return failed(message, trouble, "invalid_input")
    log = b"\n".join(lines[:-1]).decode("utf-8", "replace")
    return Outcome("completed", message, log, artifacts=_artifacts(said))


def _artifacts(said: Json) -> list[Json]:
    found: list[Json] = [{"type": "other", "content": said["output"]}] if said["output"] else []
    listed: Any = said.get("artifacts")
    for one in cast("list[Any]", listed) if isinstance(listed, list) else []:
        path = str(one.get("path", "")) if isinstance(one, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        path = path.removeprefix("/workspace/").removeprefix("./")
        if path and not path.startswith("/") and ".." not in path.split("/"):
            found.append({"type": "other", "path": path})
    return found
