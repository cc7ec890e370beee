"""What every skill step stands in, however its work is done: files, folders, bridge, how its work ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from omniforge.core.errors import Fatal, OmniForgeError
from omniforge.engine.active import StepCall
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.state import Waiting
from omniforge.integrations.errors import ConnectionExpired, ConnectionMissing
from omniforge.runs.service import WAITS_FOR_ANSWER, WAITS_FOR_EFFECT, Mode
from omniforge.runtime.bridge import SkillBridge
from omniforge.runtime.effects import OutcomeUnknown
from omniforge.runtime.gate import EffectAsked
from omniforge.runtime.tools.origins import Origins
from omniforge.runtime.tools.own import QuestionAsked
from omniforge.runtime.tools.policy import EffectNotApproved
from omniforge.runtime.tools.protocol import Json, Tool
from omniforge.sandboxes.skill_protocol import ENTRY_POINTS, render_request
from omniforge.skills.document import Document

MEDIA_TYPES = {".md": "text/markdown", ".csv": "text/csv", ".json": "application/json", ".txt": "text/plain"}
SCRIPTS = tuple(f"scripts/{name}" for name in ENTRY_POINTS)


@dataclass(frozen=True, slots=True)
class Frame:
    """One attempt of one skill step. folder: the skill's files, laid out. bridge: its only way out."""

    call: StepCall
    args: Json
    files: Mapping[str, bytes]
    document: Document
    folder: Path
    workspace: Path
    bridge: SkillBridge

    @property
    def skill(self) -> str:
        return str(self.args["skill"])

    @property
    def hash(self) -> str:
        return str(self.args["hash"])

    @property
    def config(self) -> Json:
        return self.args.get("config") or {}

    @property
    def is_test(self) -> bool:
        """Whether this only shows what would happen, or is a test that really does it."""
        return self.call.run.mode != Mode.LIVE.value or self.call.run.trigger_type == "test"

    def now(self) -> datetime:
        """The run's own time, in the agent's zone."""
        zone = str(self.call.run.facts.get("timezone") or "UTC")
        return self.bridge.scope.logical_time.astimezone(ZoneInfo(zone))


def script_of(files: Mapping[str, bytes], config: Mapping[str, Any]) -> str | None:
    """The script that does a skill's work; None when a model follows its text."""
    if config.get("mode") == "instructions":
        return None
    return next((path for path in SCRIPTS if path in files), None)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Lay out a skill's files; their paths were checked when they were stored."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def origins(call: StepCall, args: Json, files: Mapping[str, bytes]) -> Origins:
    """Everything that was written down before the step began. What a run is started with is data."""
    settings = json.dumps([args.get("config"), dict(call.step.inputs)], ensure_ascii=False, default=str)
    return Origins.of_texts([settings, *(data.decode("utf-8", "replace") for data in files.values())])


def waiting_for(trouble: OmniForgeError | None) -> Waiting | None:
    """What a person has to do first; None when nobody can do anything about this."""
    match trouble:
        case ConnectionMissing() | ConnectionExpired():
            told = {"code": trouble.code, "message": trouble.message, **trouble.details}
            return Waiting("connection", told)
        case EffectAsked():
            told = {"question": trouble.message, "code": trouble.code, **trouble.details}
            return Waiting(WAITS_FOR_EFFECT, told)
        case QuestionAsked():
            return Waiting(WAITS_FOR_ANSWER, {"question": trouble.message, **trouble.details})
        case _:
            return None


def check_trouble(trouble: OmniForgeError | None) -> None:
    """Raise what ends a step whatever else it did."""
    if isinstance(trouble, EffectNotApproved | OutcomeUnknown):
        raise trouble


async def keep_artifact(store: ArtifactStore, tenant_id: str, path: str, title: str, data: bytes) -> Json:
    return {
        "sha256": await store.put(tenant_id, data),
        "path": path,
        "title": title,
        "bytes": len(data),
        "media_type": MEDIA_TYPES.get(Path(path).suffix, "application/octet-stream"),
    }


def missing_file(path: str) -> Fatal:
    return Fatal(f"The skill named a file it did not leave: {path}", code="bad_output")


def request_for(frame: Frame) -> bytes:
    """What a script reads on its standard input."""
    facts, bridge, now = frame.call.run.facts, frame.bridge, frame.now()
    return render_request(
        run_id=told_id(frame.call),
        step=frame.call.step.key,
        skill_name=frame.skill,
        skill_version=frame.hash[:12],
        input=given_input(frame.call),
        config=frame.config,
        context={
            "now": now.isoformat(),
            "date": now.date().isoformat(),
            "timezone": str(facts.get("timezone") or "UTC"),
            "locale": facts.get("locale", "en"),
            "user": facts.get("user", {"id": bridge.scope.user_id, "name": ""}),
        },
        tools=[_offer(tool) for name, tool in bridge.tools.items() if bridge.policy.offers(name)],
    )


def told_id(call: StepCall) -> str:
    """The id that a skill is told: in a dry run one that is the same whenever the same thing is run."""
    run = call.run
    if run.mode != Mode.DRY.value:
        return run.id
    seed = json.dumps([run.plan_hash, run.input, run.logical_time], sort_keys=True)
    return f"run_{hashlib.sha256(seed.encode()).hexdigest()[:28]}"


def _offer(tool: Tool) -> Json:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.input_schema,
        "access": tool.access.value,
    }


def given_input(call: StepCall) -> Json:
    """The step's inputs; without any, what it needs gave (later needs win), or the run's own input."""
    if call.inputs:
        return call.inputs
    if not call.step.needs:
        return dict(call.run.input)
    merged: Json = {}
    for key in call.step.needs:
        output = call.outputs[key]["output"]
        if isinstance(output, Mapping):
            merged.update(cast("Mapping[str, Any]", output))
    return merged
