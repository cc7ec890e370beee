"""What the agent can do: read, write and search files of the workspace, run commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from sandbox_kit.worker.ignoring import Ignored, matches
from sandbox_kit.worker.telemetry import cut
from sandbox_kit.worker.workplace import Json, OutsideWorkspace, Workplace

LONGEST_OUTPUT = 30_000
"""Characters of a result that the model gets."""
LARGEST_FILE = 2_000_000
MOST_LINES = 2_000
MOST_FOUND = 200
LONGEST_COMMAND = 600.0
"""Seconds a command may take unless it is given more."""


class ToolFailed(Exception):
    """The model is told this."""


class AgentTools:
    """The tools that are done here; with `allowed` only those of that name."""

    def __init__(self, place: Workplace, allowed: Collection[str] = ()) -> None:
        self._place = place
        known: dict[str, Callable[[Json], str]] = {
            "read_file": self._read_file,
            "write_file": self._write_file,
            "edit_file": self._edit_file,
            "list_files": self._list_files,
            "search_files": self._search_files,
            "run_command": self._run_command,
        }
        self._done = {name: do for name, do in known.items() if not allowed or name in allowed}

    def names(self) -> set[str]:
        return set(self._done)

    def use(self, name: str, given: Json, call_id: str) -> str:
        """The result as text. Raises `ToolFailed`, `Interrupted`, `Stopped`."""
        if name not in self._done:
            raise ToolFailed(f"There is no tool {name}. There are: {', '.join(sorted(self._done))}.")
        try:
            return cut(self._done[name]({**given, "call_id": call_id}), LONGEST_OUTPUT)
        except OutsideWorkspace as error:
            raise ToolFailed(str(error)) from None
        except UnicodeDecodeError:
            raise ToolFailed("This file is no text.") from None
        except OSError as error:
            raise ToolFailed(f"{given.get('path', '')}: {error.strerror}") from None

    def _file(self, given: Json) -> Path:
        place = self._place.path(_text(given, "path"))
        if place.exists() and not place.is_file():
            raise ToolFailed("This is no file.")
        if place.is_file() and place.stat().st_size > LARGEST_FILE:
            raise ToolFailed(f"This file has more than {LARGEST_FILE} bytes; look at parts by a command.")
        return place

    def _owned(self, given: Json) -> Path:
        """A file that may be changed."""
        place, owned = self._file(given), self._place.brief.owned_files
        path = place.relative_to(self._place.workspace).as_posix()
        if owned and not any(matches(glob, path) for glob in owned):
            raise ToolFailed(f"{path} is not yours to change; yours are: {', '.join(owned)}.")
        return place

    def _read_file(self, given: Json) -> str:
        first, most = _number(given, "first_line", 1), _number(given, "lines", MOST_LINES)
        lines = self._file(given).read_text(encoding="utf-8").splitlines()
        shown = lines[first - 1 : first - 1 + min(most, MOST_LINES)]
        text = "\n".join(f"{number:>5}  {line}" for number, line in enumerate(shown, start=first))
        left = len(lines) - (first - 1) - len(shown)
        return f"{text}\n[{left} more lines]" if left > 0 else text or "(an empty file)"

    def _write_file(self, given: Json) -> str:
        place, content = self._owned(given), _text(given, "content", is_empty_fine=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
        return f"Written: {len(content.splitlines())} lines."

    def _edit_file(self, given: Json) -> str:
        place = self._owned(given)
        old, new = _text(given, "old"), _text(given, "new", is_empty_fine=True)
        text = place.read_text(encoding="utf-8")
        found = text.count(old)
        if found == 0:
            raise ToolFailed("The old text is not in this file. Read it again; white space counts.")
        if found > 1 and not given.get("all"):
            raise ToolFailed(f"The old text is there {found} times. Give more of it, or set `all`.")
        place.write_text(text.replace(old, new), encoding="utf-8")
        return f"Replaced {found} times." if found > 1 else "Replaced."

    def _list_files(self, given: Json) -> str:
        glob = str(given.get("glob") or "**")
        found = [path for path in self._paths(str(given.get("path") or ".")) if matches(glob, path)]
        more = f"\n[{len(found) - MOST_LINES} more files]" if len(found) > MOST_LINES else ""
        return "\n".join(found[:MOST_LINES]) + more or "(no files)"

    def _search_files(self, given: Json) -> str:
        try:
            pattern = re.compile(_text(given, "pattern"))
        except re.error as error:
            raise ToolFailed(f"The pattern cannot be read: {error}.") from None
        glob, found = str(given.get("glob") or "**"), list[str]()
        for path in self._paths(str(given.get("path") or ".")):
            place = self._place.workspace / path
            if not matches(glob, path) or place.stat().st_size > LARGEST_FILE:
                continue
            self._place.control.check()
            text = place.read_bytes().decode("utf-8", "replace")
            for number, line in enumerate(text.splitlines(), start=1):
                if pattern.search(line[:2_000]):
                    found.append(f"{path}:{number}: {line.strip()[:300]}")
                    if len(found) == MOST_FOUND:
                        return "\n".join(found) + f"\n[more than {MOST_FOUND} lines fit]"
        return "\n".join(found) or "(no line fits)"

    def _run_command(self, given: Json) -> str:
        place, command = self._place, _text(given, "command")
        cwd = place.path(str(given.get("cwd") or ".")).relative_to(place.workspace).as_posix()
        timeout = float(_number(given, "timeout_seconds", int(LONGEST_COMMAND)))
        if place.seconds_left is not None:
            timeout = min(timeout, place.seconds_left)
        ran = place.commands.shell(command, call_id=given["call_id"], cwd=cwd, timeout=timeout)
        ending = f"ended after {timeout:g} seconds" if ran.timed_out else f"exit code {ran.exit_code}"
        return f"{ran.output}\n[{ending}]".strip()

    def _paths(self, below: str) -> list[str]:
        """Files below a folder, relative to the workspace."""
        root = self._place.workspace
        start = self._place.path(below)
        ignored, found, folders = Ignored(root), list[str](), [start]
        while folders:
            for entry in sorted(folders.pop().iterdir()):
                path = entry.relative_to(root).as_posix()
                is_folder = entry.is_dir() and not entry.is_symlink()
                if ignored.holds(path, is_folder=is_folder):
                    continue
                if is_folder:
                    folders.append(entry)
                elif entry.is_file() and not entry.is_symlink():
                    found.append(path)
        return sorted(found)


def _text(given: Json, name: str, *, is_empty_fine: bool = False) -> str:
    value: Any = given.get(name)
    if not isinstance(value, str) or (not value and not is_empty_fine):
        raise ToolFailed(f"`{name}` must be text.")
    return value


def _number(given: Json, name: str, default: int) -> int:
    value: Any = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        raise ToolFailed(f"`{name}` must be a number from 1.")
    return int(value)


def _offer(name: str, description: str, required: list[str], **properties: Any) -> Json:
    kinds: Json = {
        field: kind if isinstance(kind, dict) else {"type": kind} for field, kind in properties.items()
    }
    schema: Json = {"type": "object", "properties": kinds, "required": required}
    return {"name": name, "description": description, "input_schema": schema}


TOOLS = (
    _offer(
        "read_file",
        "A text file of the workspace, with line numbers; long ones in parts.",
        ["path"],
        path="string",
        first_line="integer",
        lines="integer",
    ),
    _offer(
        "write_file",
        "Write a whole file; its folders are made.",
        ["path", "content"],
        path="string",
        content="string",
    ),
    _offer(
        "edit_file",
        "Replace text in a file; `old` must be there exactly once, or `all` set.",
        ["path", "old", "new"],
        path="string",
        old="string",
        new="string",
        all="boolean",
    ),
    _offer(
        "list_files",
        "Files below a folder, optionally those that fit a glob such as src/**/*.py.",
        [],
        path="string",
        glob="string",
    ),
    _offer(
        "search_files",
        "Lines of files that fit a regular expression (Python's).",
        ["pattern"],
        pattern="string",
        path="string",
        glob="string",
    ),
    _offer(
        "run_command",
        "Run a command with /bin/sh in the workspace; its output and exit code.",
        ["command"],
        command="string",
        cwd="string",
        timeout_seconds="integer",
    ),
    _offer(
        "ask_person",
        "Ask a person. Blocking: the work ends here and goes on when they have answered; only for what you "
        "cannot decide and that the task does not say. Not blocking: the question is noted, you go on.",
        ["question", "reason"],
        question="string",
        reason="string",
        blocking="boolean",
    ),
    _offer(
        "finish",
        "End the work: `completed` when everything asked for is done and you have seen that it works, "
        "`failed` when it cannot be done.",
        ["status", "summary"],
        status={"type": "string", "enum": ["completed", "failed"]},
        summary="string",
        notes="string",
    ),
)
