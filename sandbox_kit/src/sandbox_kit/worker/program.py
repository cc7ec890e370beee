"""The worker from its start to its end: the brief, the work, the result, told until it is answered."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Any

from sandbox_kit.worker.agent_work import run_agent
from sandbox_kit.worker.brief import Brief, list_in, object_in, read_brief
from sandbox_kit.worker.client import Client, Refused
from sandbox_kit.worker.command_work import put_deliverables, run_commands
from sandbox_kit.worker.control import Control, Stopped
from sandbox_kit.worker.heartbeat import Heartbeat
from sandbox_kit.worker.inbox import Inbox
from sandbox_kit.worker.outcomes import Outcome, Question, failed, result_body
from sandbox_kit.worker.settings import (
    NotTold,
    Settings,
    environment_of_children,
    hide_token,
    read_settings,
    read_token,
)
from sandbox_kit.worker.skill_work import run_skill
from sandbox_kit.worker.spool import Spool
from sandbox_kit.worker.state import State
from sandbox_kit.worker.telemetry import Telemetry
from sandbox_kit.worker.workplace import Workplace

Json = dict[str, Any]
DONE, NOT_STARTED, STOPPED = 0, 2, 3
"""Exit codes: the host has an answer (or wants none any more), the environment is not complete, told to
stop."""


def main() -> int:
    hide_token(os.environ)
    try:
        settings = read_settings(os.environ, read_token(os.environ))
    except NotTold as missing:
        sys.stderr.write(f"{missing}\n")
        return NOT_STARTED
    control = Control()

    def leave(*_: Any) -> None:
        control.stop("terminated")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    return Worker(settings, control).run()


class Worker:
    """One attempt, or what is left of it when an earlier worker was cut off."""

    def __init__(self, settings: Settings, control: Control) -> None:
        self._settings, self._control = settings, control
        self._state = State(settings.state)
        self._client = Client(settings, control)
        self._telemetry = Telemetry(settings, self._client, control, Spool(self._state))
        self._heartbeat = Heartbeat(settings, self._client, control)
        self._inbox = Inbox(settings, self._client, control, self._state)

    def run(self) -> int:
        """The exit code."""
        try:
            self._heartbeat.start()
            ending = self._state.load("ending")
            if ending is None:
                brief = read_brief(self._client.get("/sandbox/task"))
                self._inbox.start()
                ending = self._ending(brief)
                self._state.keep("ending", ending)
            self._heartbeat.status, self._heartbeat.busy = "stopping", False
            self._telemetry.flush(self._settings.flush)
            self._tell(ending)
        except Stopped as stopped:
            self._telemetry.agent("stopped", reason=stopped.reason)
            self._telemetry.flush_while_leaving()
            return STOPPED
        except Refused as refusal:
            sys.stderr.write(f"{refusal}\n")
            return STOPPED
        return DONE

    def _ending(self, brief: Brief) -> Json:
        """Do the work. How it ended, as it is told from then on until there is an answer."""
        place = Workplace(
            settings=self._settings,
            client=self._client,
            control=self._control,
            state=self._state,
            telemetry=self._telemetry,
            inbox=self._inbox,
            environment=environment_of_children(os.environ),
            brief=brief,
        )
        self._heartbeat.status, self._heartbeat.busy = "working", True
        try:
            ending = work_on(place)
        except Stopped:
            raise
        except Exception:  # noqa: BLE001 - the path of the work ends here
            ending = failed("The worker itself failed.", traceback.format_exc())
        finally:
            place.commands.end_all()
        place.tell_changes()
        masked = self._telemetry.masked
        if isinstance(ending, Question):
            body: Json = {"reason": masked(ending.reason)[:1_000], "description": masked(ending.text)[:5_000]}
            more = {} if ending.context is None else {"context": ending.context}
            return {"way": "review", "body": {**body, **more, "blocking": True}}
        body = result_body(ending, place.all_changes(), brief.attempt, masked)
        return {"way": "results", "body": body}

    def _tell(self, ending: Json) -> None:
        path = f"/sandbox/task/{self._settings.task_id}/{ending['way']}"
        body: Json = ending["body"]
        try:
            self._client.call("POST", path, body, timeout=120)
        except Refused as refusal:
            if refusal.status == 409:  # somebody else has settled it: nothing is left to say
                sys.stderr.write(f"{refusal}\n")
                return
            if refusal.status not in (413, 422) or ending["way"] != "results":
                raise
            notes = f"Details were left out, as they were not taken: {refusal.message}"
            short = {name: body[name] for name in ("status", "attempt", "error_code") if name in body}
            self._client.call("POST", path, {**short, "summary": body["summary"][:2_000], "notes": notes})


def work_on(place: Workplace) -> Outcome | Question:
    """Raises `Stopped`."""
    brief = place.brief
    work = brief.work
    if (broken := put_deliverables(place, brief.deliverables)) is not None:
        return broken
    match work.get("kind"):
        case "commands":
            return run_commands(place, [str(command) for command in list_in(work, "commands")])
        case "skill":
            return run_skill(place, str(work.get("name") or ""), object_in(work, "inputs"))
        case "agent":
            return run_agent(place)
        case other:
            return failed(f"This worker cannot do work of kind {other}.", code="unsupported_capability")
