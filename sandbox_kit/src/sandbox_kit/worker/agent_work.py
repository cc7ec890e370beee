"""Work that an agent does: it asks the model, does what that calls for, and ends with `finish`."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from sandbox_kit.worker.agent_tools import TOOLS, AgentTools, ToolFailed
from sandbox_kit.worker.brief import as_text
from sandbox_kit.worker.client import Refused, Unreached
from sandbox_kit.worker.control import Interrupted, Stopped
from sandbox_kit.worker.conversation import Conversation
from sandbox_kit.worker.outcomes import Outcome, Question, failed
from sandbox_kit.worker.workplace import Json, Workplace

INSTRUCTIONS = """\
Work on the task below in the workspace. Look at what is there before you change it, keep changes small, and
see for yourself that they work, by the project's own tests where there are any. What the task is checked by
is run again by others, in this workspace: do not claim what you have not seen. Call `finish` when you are
done; call `ask_person` when you need a decision that only a person can make."""
SILENT = (
    "Nothing was called. Go on with a tool; call `finish` when the work is done, `ask_person` when you need "
    "a person."
)
CUT_SHORT = "Your answer was too long and broke off. Go on in smaller steps."
NEARLY_OVER = "Two turns are left. End now with `finish`."
INTERRUPTED = "A person interrupted this."
MOST_SILENT = 3
TICK = 0.05
PATIENCE = 600.0
"""Seconds without an answer of the model before the attempt is given up."""
LEAST_ROOM = 20_000
ENDINGS = ("ask_person", "finish")


@dataclass(frozen=True)
class NoAnswer(Exception):
    """The model cannot be asked (any more)."""

    outcome: Outcome


def run_agent(place: Workplace, instructions: str = "") -> Outcome | Question:
    return Agent(place).run(instructions)


class Agent:
    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._tools = AgentTools(place, place.brief.allowed_tools)
        self._said = Conversation(place.state, place.settings.context)
        self._offered = [tool for tool in TOOLS if tool["name"] in self._tools.names().union(ENDINGS)]
        self._silent = 0

    def run(self, instructions: str) -> Outcome | Question:
        """Raises `Stopped`."""
        place, said = self._place, self._said
        work = place.brief.work
        if not said.messages:
            place.telemetry.agent("started", model=work.get("model"), agent_id=work.get("agent_id"))
            own = instructions or str(work.get("instructions") or "")
            said.hear("\n\n".join(part for part in (INSTRUCTIONS, own, as_text(place.brief)) if part))
        try:
            ending = self._work()
        except NoAnswer as none:
            ending = none.outcome
        reason = "review" if isinstance(ending, Question) else ending.error_code or "finish"
        place.telemetry.agent(
            "completed",
            turns=said.turns,
            cost_usd=round(said.cost, 6),
            tokens_in=said.tokens_in,
            tokens_out=said.tokens_out,
            stop_reason=reason,
        )
        return ending

    def _work(self) -> Outcome | Question:
        place, said = self._place, self._said
        while True:
            place.control.take_interruption()
            for message in place.hear():
                if message.text.strip():
                    said.hear(f"A person says: {message.text}")
            if said.turns >= place.brief.turns:
                return failed(self._unfinished("all turns are used up"), code="budget_exceeded")
            if place.seconds_left == 0:
                return failed(self._unfinished("the time is over"), code="timed_out")
            try:
                ending = self._turn()
            except Interrupted:
                said.answer_open_calls(INTERRUPTED)
                continue
            if ending is not None:
                return ending
            if place.brief.turns - said.turns == 2:
                said.hear(NEARLY_OVER)

    def _turn(self) -> Outcome | Question | None:
        """One answer of the model and what it calls for."""
        place, said = self._place, self._said
        turn = self._ask()
        calls = said.answered(turn)
        if thought := turn.get("thinking"):
            place.telemetry.agent("thought", text=str(thought))
        if text := str(turn.get("text") or "").strip():
            place.telemetry.agent("replied", text=text)
        self._silent = 0 if calls else self._silent + 1
        if self._silent >= MOST_SILENT:
            return failed(f"The agent stopped without saying that it is done. It said: {text}")
        for call in calls:
            place.control.check()
            ending = self._do(call)
            if ending is not None:
                return ending
        if not calls:
            said.hear(CUT_SHORT if turn.get("stop") == "length" else SILENT)
        return None

    def _do(self, call: Json) -> Outcome | Question | None:
        """One call, told before and after; what it ends the work with."""
        place, name, given = self._place, str(call["name"]), _object(call.get("input"))
        place.telemetry.agent("tool_used", call_id=call["id"], tool=name, input=given)
        begun, ending, ok = time.monotonic(), None, True
        try:
            if name in ENDINGS:
                ending, output = self._end(name, given)
            else:
                output = self._tools.use(name, given, str(call["id"]))
        except ToolFailed as no:
            ok, output = False, str(no)
        except Interrupted:
            self._returned(call, INTERRUPTED, begun, ok=False)
            raise
        self._returned(call, place.telemetry.masked(output), begun, ok=ok)
        return ending

    def _returned(self, call: Json, output: str, begun: float, *, ok: bool) -> None:
        self._said.told(call, output, ok=ok)
        duration = round((time.monotonic() - begun) * 1000)
        tell = self._place.telemetry.agent
        tell("tool_returned", call_id=call["id"], ok=ok, output=output, duration_ms=duration)
        self._place.tell_changes()

    def _end(self, name: str, given: Json) -> tuple[Outcome | Question | None, str]:
        if name == "finish":
            status, summary = given.get("status"), str(given.get("summary") or "").strip()
            if status not in ("completed", "failed") or not summary:
                raise ToolFailed("`finish` wants a status, completed or failed, and a summary.")
            notes = str(given.get("notes") or "")
            code = "worker_failed" if status == "failed" else None
            return Outcome(status, summary, notes, code), "The work ends here."
        question = str(given.get("question") or "").strip()
        if not question:
            raise ToolFailed("`ask_person` wants a question.")
        asked = Question(str(given.get("reason") or "The agent needs a person"), question)
        if given.get("blocking", True):
            return asked, "The question is put to people. The work ends here and goes on with their answer."
        self._note(asked)
        return None, "The question is noted. Go on."

    def _note(self, asked: Question) -> None:
        settings = self._place.settings
        body = {"reason": asked.reason, "description": asked.text, "blocking": False}
        try:
            self._place.client.call("POST", f"/sandbox/task/{settings.task_id}/review", body, patience=60)
        except (Refused, Unreached) as error:
            raise ToolFailed(f"The question could not be noted: {error}") from None

    def _ask(self) -> Json:
        """The model's answer. Raises `NoAnswer`, `Interrupted`, `Stopped`."""
        said = self._said
        said.fit()
        while True:
            try:
                return self._asked({"messages": said.messages, "tools": self._offered})
            except Refused as refusal:
                if refusal.status == 413 and said.room > LEAST_ROOM:
                    said.fit(min(said.room, said.size()) // 2)
                    continue
                raise NoAnswer(self._given_up(refusal)) from None
            except Unreached as error:
                raise NoAnswer(failed(f"The model did not answer: {error}", code="network")) from None

    def _asked(self, body: Json) -> Json:
        """On a thread of its own, so that people need not wait for an answer they have interrupted."""
        answers: queue.Queue[Any] = queue.Queue(1)
        place = self._place

        def ask() -> None:
            try:
                answers.put(
                    place.client.call(
                        "POST", "/sandbox/model", body, patience=PATIENCE, timeout=place.settings.model
                    )
                )
            except (Refused, Unreached, Stopped) as error:
                answers.put(error)

        threading.Thread(target=ask, name="model", daemon=True).start()
        while True:
            try:
                answer = answers.get(timeout=TICK)
            except queue.Empty:
                place.control.check()
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer

    def _given_up(self, refusal: Refused) -> Outcome:
        place = self._place
        if refusal.is_dismissal:
            place.control.stop("dismissed")
            place.control.check()
        place.telemetry.agent("errored", message=refusal.message, retryable=False)
        code = "unsupported_capability" if refusal.code == "model_not_configured" else refusal.code
        return failed(self._unfinished(refusal.message), code=code)

    def _unfinished(self, why: str) -> str:
        words = [one["text"] for one in self._said.messages if one["role"] == "assistant" and one["text"]]
        last = f" The agent's last words: {words[-1]}" if words else ""
        return f"The work is not finished: {why.rstrip('.')}.{last}"


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
