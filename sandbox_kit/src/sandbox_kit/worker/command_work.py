"""Work that is a list of commands: one after the other, until one fails."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sandbox_kit.worker.control import Interrupted
from sandbox_kit.worker.outcomes import Outcome, failed
from sandbox_kit.worker.running import Ran
from sandbox_kit.worker.workplace import Json, Workplace

SHOWN = 200
"""Characters of a command in a sentence."""


def put_deliverables(place: Workplace, deliverables: Sequence[Json]) -> Outcome | None:
    """Write the files that came with the task; a failure when that cannot be done. Once per attempt: what a
    restarted worker finds is its own work."""
    if place.state.load("delivered"):
        return None
    for item in deliverables:
        path, content = str(item.get("path") or ""), item.get("content")
        try:
            target = place.path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1)
            target.write_text("" if content is None else text, encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return failed(f"The file {path} could not be written: {reason}", code="invalid_input")
    place.state.keep("delivered", value=True)
    place.tell_changes()
    return None


def run_commands(place: Workplace, commands: Sequence[str]) -> Outcome:
    """A restarted worker begins with the command it was at."""
    done: list[str] = place.state.load("commands-done", [])
    for number, command in enumerate(commands, start=1):
        if number <= len(done):
            continue
        about = f"Command {number} of {len(commands)}"
        try:
            ran = place.commands.shell(command, call_id=place.call_id(), timeout=place.seconds_left)
        except Interrupted:
            place.control.take_interruption()
            place.tell_changes()
            said = "\n".join(message.text for message in place.hear())
            return failed(f"{about} was interrupted: {shortly(command)}", said, "interrupted")
        place.tell_changes()
        if ran.timed_out or ran.exit_code != 0:
            return _broken(about, command, ran)
        done.append(f"$ {command}\n{ran.tail[-1_000:]}".strip())
        place.state.keep("commands-done", done)
        percent = round(100 * number / len(commands))
        place.tell_progress("step_completed", f"{about} is done: {shortly(command)}", percent)
    heard = [f"A person said meanwhile: {message.text}" for message in place.hear() if message.text]
    summary = f"All {len(commands)} commands succeeded." if len(commands) != 1 else "The command succeeded."
    return Outcome("completed", summary, "\n\n".join([*done, *heard]))


def shortly(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def _broken(about: str, command: str, ran: Ran) -> Outcome:
    if ran.timed_out:
        return failed(
            f"{about} took longer than there was time: {shortly(command)}\n{ran.tail}",
            ran.output,
            "timed_out",
        )
    return failed(
        f"{about} failed with exit code {ran.exit_code}: {shortly(command)}\n{ran.tail}", ran.output
    )
