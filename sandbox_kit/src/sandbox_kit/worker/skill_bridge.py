"""The host's end of a skill's bridge, as the worker gives it: no tools, a memory that lasts for one attempt,
words for the log, and the model."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

from sandbox_kit.worker.client import Refused, Unreached
from sandbox_kit.worker.control import Stopped
from sandbox_kit.worker.outcomes import Question
from sandbox_kit.worker.workplace import Json, Workplace

ANSWER = "answer"
"""The tool by which the model gives a typed answer."""


class NotDone(Exception):
    """A request that is refused."""

    def __init__(self, code: str, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.retryable = code, message, retryable


class SkillBridge:
    """One line, one answer, in order. `question`: what a person is to answer; the script ends with it."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._memory: dict[str, Any] = {}
        self.question: Question | None = None
        ours, theirs = socket.socketpair()
        self._ours, self._theirs = ours, theirs

    @property
    def their_fd(self) -> int:
        return self._theirs.fileno()

    def serve(self) -> None:
        threading.Thread(target=self._serve, name="skill", daemon=True).start()

    def close(self) -> None:
        for end in (self._ours, self._theirs):
            end.close()

    def _serve(self) -> None:
        try:
            with self._ours.makefile("rb") as lines:
                for line in lines:
                    self._ours.sendall(json.dumps(self._answer(line), ensure_ascii=False).encode() + b"\n")
        except (OSError, ValueError, Stopped):
            pass  # the script has ended, and with it everything here

    def _answer(self, line: bytes) -> Json:
        request: Any = json.loads(line)
        about: Json = {"id": request.get("id")}
        try:
            return {**about, "ok": True, "result": self._done(request)}
        except NotDone as no:
            error = {"code": no.code, "message": no.message, "retryable": no.retryable}
            return {**about, "ok": False, "error": error}

    def _done(self, request: Json) -> Any:
        match request.get("op"):
            case "log":
                self._place.telemetry.agent("replied", text=str(request.get("text", "")))
                return None
            case "progress":
                return self._progress(request)
            case "state":
                return self._state(request)
            case "model":
                return self._model(str(request.get("prompt", "")), request.get("schema"))
            case "ask":
                text = str(request.get("question", "")).strip() or "The skill asks for an answer."
                self.question = Question("A skill needs an answer", text, {"choices": request.get("choices")})
                self._place.control.interrupt()
                raise NotDone("waiting", "A person is asked; the work goes on in another attempt.")
            case "tool":
                raise NotDone("tool_not_found", "A skill that works on a task has no tools.")
            case unknown:
                raise NotDone("unknown_operation", f"There is no operation {str(unknown)[:100]!r}.")

    def _progress(self, request: Json) -> None:
        done, total = request.get("done"), request.get("total")
        percent = None
        if isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
            percent = max(0, min(100, round(100 * done / total)))
        text = str(request.get("text", "")) or "The skill is under way."
        self._place.tell_progress("info", text, percent)

    def _state(self, request: Json) -> Any:
        key = request.get("key")
        if not isinstance(key, str) or not key:
            raise NotDone("bad_arguments", "State needs a key.")
        match request.get("action"):
            case "get":
                return self._memory.get(key)
            case "set":
                self._memory[key] = request.get("value")
            case "delete":
                self._memory.pop(key, None)
            case _:
                raise NotDone("bad_arguments", "State can get, set and delete.")
        return None

    def _model(self, prompt: str, schema: Any) -> Any:
        """Text, or an object where a schema is given."""
        tools: list[Json] = []
        if isinstance(schema, dict):
            tools = [{"name": ANSWER, "description": "Gives the answer.", "input_schema": schema}]
            prompt = f"{prompt}\n\nGive the answer by calling the tool `{ANSWER}` once."
        body = {"messages": [{"role": "user", "text": prompt}], "tools": tools}
        try:
            turn = self._place.client.call(
                "POST", "/sandbox/model", body, timeout=self._place.settings.model, patience=300
            )
        except Refused as refusal:
            raise NotDone(refusal.code, refusal.message) from None
        except Unreached as error:
            raise NotDone("model_unavailable", str(error), retryable=True) from None
        if not tools:
            return turn.get("text", "")
        calls: list[Json] = turn.get("calls") or []
        given = [call["input"] for call in calls if call.get("name") == ANSWER]
        if not given:
            raise NotDone("answer_invalid", "The model gave no answer of the wanted shape.", retryable=True)
        return given[0]
