"""Step kind `skill`: runs a script-backed skill in a sandbox, with the bridge as its only way out."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from omniforge.core.errors import Fatal, Retryable, StepFailed
from omniforge.core.network import no_network
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import EventLog
from omniforge.engine.state import Signal, StepResult, Waiting
from omniforge.integrations.errors import ConnectionExpired, ConnectionMissing
from omniforge.runs.service import WAITS_FOR_EFFECT, Mode
from omniforge.runtime import effects
from omniforge.runtime.bridge import GIVEN_UP_FOR, SkillBridge
from omniforge.runtime.effects import EffectHistory, OutcomeUnknown
from omniforge.runtime.gate import EffectAsked, EffectGate
from omniforge.runtime.memory import SkillMemory
from omniforge.runtime.rehearsal import Rehearsal, rehearse
from omniforge.runtime.tools.origins import Origins
from omniforge.runtime.tools.policy import DEFAULT_GRANT, EffectLock, EffectNotApproved, ToolPolicy
from omniforge.runtime.tools.protocol import CallScope, Json, Tool
from omniforge.sandboxes import KilledBy, Limits, SandboxProvider, SandboxRequest, SandboxResult
from omniforge.sandboxes.skill_protocol import (
    ENTRY_POINTS,
    SkillResult,
    entry_argv,
    parse_result,
    render_request,
)
from omniforge.skills.document import load
from omniforge.skills.service import SkillService

MEDIA_TYPES = {".md": "text/markdown", ".csv": "text/csv", ".json": "application/json", ".txt": "text/plain"}
SCRIPTS = tuple(f"scripts/{name}" for name in ENTRY_POINTS)


@dataclass(frozen=True, slots=True)
class SkillStep:
    """args: `{"skill", "hash", "config", "tool_grant", "manifest"}`; `hash` pins the exact files that run."""

    db: Database
    skills: SkillService
    sandbox: SandboxProvider
    tools: Mapping[str, Tool]
    artifacts: ArtifactStore
    events: EventLog

    async def __call__(self, call: StepCall) -> StepResult | Waiting:
        if Mode(call.run.mode) is not Mode.DRY:
            return await self._attempt(call)
        with no_network():
            return await rehearse(call, self._attempt)

    async def _attempt(self, call: StepCall) -> StepResult | Waiting:
        args: Json = dict(call.step.args)
        files = await self.skills.snapshot(call.run.tenant_id, str(args["hash"]))
        script = next((path for path in SCRIPTS if path in files), None)
        if script is None:
            raise Fatal(
                f"The skill {args['skill']} gives instructions to a language model, and none is set up here.",
                code="model_not_configured",
                skill=args["skill"],
            )
        with tempfile.TemporaryDirectory(prefix="omniforge-") as made:
            folder, workspace = Path(made) / "skill", Path(made) / "workspace"
            workspace.mkdir()
            write_files(folder, files)
            bridge = self._bridge(call, args, files, workspace)
            if call.attempt > 1:
                bridge.gate.take_up(await self._history(call))
            request = SandboxRequest(
                argv=entry_argv(script.removeprefix("scripts/")),
                stdin=_request(call, args, bridge),
                folders={"/skill": folder},
                limits=Limits(wall_seconds=call.step.timeout or 300.0),
            )
            done = await self.sandbox.run(request, bridge.serve())
        return await self._result(call, bridge, done)

    def _bridge(self, call: StepCall, args: Json, files: Mapping[str, bytes], workspace: Path) -> SkillBridge:
        run, facts = call.run, call.run.facts
        mode = Mode(run.mode)
        allowed = load(files["SKILL.md"]).allowed_tools
        return SkillBridge(
            call=call,
            skill=str(args["skill"]),
            tools=self.tools,
            policy=ToolPolicy(
                granted=[*DEFAULT_GRANT, *args.get("tool_grant", ())],
                allows=None if allowed is None else allowed.matches,
                listed=[] if allowed is None else [str(item) for item in allowed],
            ),
            gate=EffectGate(
                call=call,
                tools=self.tools,
                lock=EffectLock(args.get("manifest", ()), _origins(call, args, files)),
                mode=mode,
                asks=args.get("on_unlisted_effect") == "ask",
            ),
            scope=CallScope(
                tenant_id=run.tenant_id,
                user_id=str(facts.get("user_id", "")),
                mode=mode,
                logical_time=datetime.fromisoformat(run.logical_time),
                workspace=workspace,
                connections=facts.get("connections", {}),
                resources=tuple(facts.get("resources", ())),
            ),
            memory=SkillMemory(
                self.db, run.tenant_id, str(facts.get("memory", run.subject)), scratch=mode is not Mode.LIVE
            ),
            rehearsal=Rehearsal.of(call) if mode is Mode.DRY else None,
        )

    async def _history(self, call: StepCall) -> EffectHistory:
        rows = await self.events.read(
            call.run.tenant_id, run_id=call.run.id, types=effects.TYPES, limit=100_000
        )
        return EffectHistory.read(rows, call.step.key, held=call.run.mode == Mode.DRY.value)

    async def _result(self, call: StepCall, bridge: SkillBridge, done: SandboxResult) -> StepResult | Waiting:
        trouble = bridge.trouble
        if isinstance(trouble, ConnectionMissing | ConnectionExpired):
            return Waiting(
                "connection", {"code": trouble.code, "message": trouble.message, **trouble.details}
            )
        if isinstance(trouble, EffectAsked):
            return Waiting(
                WAITS_FOR_EFFECT, {"question": trouble.message, "code": trouble.code, **trouble.details}
            )
        if isinstance(trouble, EffectNotApproved | OutcomeUnknown):
            raise trouble
        if done.killed_by is KilledBy.WALL:
            raise Retryable("The script took too long, so it was stopped.", code="step_timeout")
        if done.killed_by is not None:
            raise Fatal(f"The script used more {done.killed_by} than it may.", code="limit_reached")
        try:
            result = parse_result(done.stdout, done.exit_code, done.stderr)
        except StepFailed:
            if isinstance(trouble, GIVEN_UP_FOR):
                raise trouble from None  # the script gave up because the service did
            raise
        return StepResult(
            output=result.output,
            message=result.message,
            signal=Signal(result.status.value),
            artifacts=await self._keep(call.run.tenant_id, result, done.files),
            effects=bridge.gate.done,
        )

    async def _keep(
        self, tenant_id: str, result: SkillResult, files: Mapping[str, bytes]
    ) -> tuple[Json, ...]:
        kept: list[Json] = []
        for artifact in result.artifacts:
            data = files.get(artifact.path)
            if data is None:
                raise Fatal(f"The script named a file it did not leave: {artifact.path}", code="bad_output")
            kept.append(
                {
                    "sha256": await self.artifacts.put(tenant_id, data),
                    "path": artifact.path,
                    "title": artifact.title,
                    "bytes": len(data),
                    "media_type": MEDIA_TYPES.get(Path(artifact.path).suffix, "application/octet-stream"),
                }
            )
        return tuple(kept)


def _origins(call: StepCall, args: Json, files: Mapping[str, bytes]) -> Origins:
    """Everything that was written down before the step began. What a run is started with is data."""
    settings = json.dumps([args.get("config"), dict(call.step.inputs)], ensure_ascii=False, default=str)
    return Origins.of_texts([settings, *(data.decode("utf-8", "replace") for data in files.values())])


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Lay out a skill's files; their paths were checked when they were stored."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _request(call: StepCall, args: Json, bridge: SkillBridge) -> bytes:
    facts = call.run.facts
    zone = str(facts.get("timezone") or "UTC")
    now = bridge.scope.logical_time.astimezone(ZoneInfo(zone))
    return render_request(
        run_id=_told_id(call),
        step=call.step.key,
        skill_name=str(args["skill"]),
        skill_version=str(args["hash"])[:12],
        input=_input(call),
        config=args.get("config") or {},
        context={
            "now": now.isoformat(),
            "date": now.date().isoformat(),
            "timezone": zone,
            "locale": facts.get("locale", "en"),
            "user": facts.get("user", {"id": bridge.scope.user_id, "name": ""}),
        },
        tools=[_offer(tool) for name, tool in bridge.tools.items() if bridge.policy.offers(name)],
    )


def _told_id(call: StepCall) -> str:
    """The id that a script is told: in a dry run one that is the same whenever the same thing is run."""
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


def _input(call: StepCall) -> Json:
    """The step's inputs; without any, what it needs gave (later needs win), or the run's own input."""
    if call.inputs:
        return call.inputs
    if not call.step.needs:
        return dict(call.run.input)
    merged: dict[str, Any] = {}
    for key in call.step.needs:
        output = call.outputs[key]["output"]
        if isinstance(output, Mapping):
            merged.update(output)  # pyright: ignore[reportUnknownArgumentType]
    return merged
