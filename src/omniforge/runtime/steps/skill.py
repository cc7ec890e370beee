"""Step kind `skill`: a script in a sandbox, or a text that a model follows; both reach out by one bridge."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from omniforge.agents.inbox import Inbox
from omniforge.core.errors import Fatal, ProviderError, RateLimited, Retryable
from omniforge.core.network import no_network
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import EventLog
from omniforge.engine.state import StepResult, Waiting
from omniforge.llm.protocol import ModelClient
from omniforge.runs.service import Mode
from omniforge.runtime import effects
from omniforge.runtime.bridge import SkillBridge
from omniforge.runtime.effects import EffectHistory
from omniforge.runtime.frame import Frame, origins, script_of, write_files
from omniforge.runtime.gate import EffectGate
from omniforge.runtime.instructions import InstructionRun
from omniforge.runtime.memory import SkillMemory
from omniforge.runtime.rehearsal import Rehearsal, rehearse
from omniforge.runtime.scripts import run_script
from omniforge.runtime.tools.policy import DEFAULT_GRANT, EffectLock, ToolPolicy
from omniforge.runtime.tools.protocol import CallScope, Json, Tool
from omniforge.sandboxes import SandboxProvider
from omniforge.skills.document import SKILL_FILE, load
from omniforge.skills.service import SkillService

PREVIEWED = 2
PATIENCE = 10.0
"""Attempts of a step in a preview, and the longest wait before one, in seconds: somebody sits there, so what
does not answer then is told and not waited for."""


@dataclass(frozen=True, slots=True)
class SkillStep:
    """args: `{"skill", "hash", "config", "tool_grant", "manifest"}`; `hash` pins the exact files that run.

    For skills that a model follows also `model`, `max_iterations`, `allow_injection`, all optional.
    """

    db: Database
    skills: SkillService
    sandbox: SandboxProvider
    tools: Mapping[str, Tool]
    artifacts: ArtifactStore
    events: EventLog
    models: ModelClient | None = None
    inbox: Inbox | None = None

    async def __call__(self, call: StepCall) -> StepResult | Waiting:
        match Mode(call.run.mode):
            case Mode.DRY:
                with no_network():
                    return await rehearse(call, self._attempt)
            case Mode.PREVIEW:
                try:
                    return await self._attempt(call)
                except (Retryable, ProviderError, RateLimited) as error:
                    if call.attempt < PREVIEWED and (error.retry_after or 0.0) <= PATIENCE:
                        raise
                    raise Fatal(error.message, code=error.code, **error.details) from error
            case _:
                return await self._attempt(call)

    async def _attempt(self, call: StepCall) -> StepResult | Waiting:
        args: Json = dict(call.step.args)
        files = await self.skills.snapshot(call.run.tenant_id, str(args["hash"]))
        with tempfile.TemporaryDirectory(prefix="omniforge-") as made:
            folder, workspace = Path(made) / "skill", Path(made) / "workspace"
            workspace.mkdir()
            write_files(folder, files)
            document = load(files[SKILL_FILE], folder=str(args["skill"]))
            policy = ToolPolicy.of(document, [*DEFAULT_GRANT, *args.get("tool_grant", ())])
            bridge = self._bridge(call, args, files, workspace, policy)
            if call.attempt > 1:
                bridge.gate.take_up(await self._history(call))
            frame = Frame(call, args, files, document, folder, workspace, bridge)
            script = script_of(files, frame.config)
            if script is not None:
                return await run_script(frame, script, self.sandbox, self.artifacts)
            work = InstructionRun(
                frame,
                self.models,
                self.skills,
                self.sandbox,
                self.artifacts,
                self.events,
                self.db,
                self.inbox,
            )
            return await work.run()

    def _bridge(
        self, call: StepCall, args: Json, files: Mapping[str, bytes], workspace: Path, policy: ToolPolicy
    ) -> SkillBridge:
        run, facts = call.run, call.run.facts
        mode = Mode(run.mode)
        return SkillBridge(
            call=call,
            skill=str(args["skill"]),
            tools=self.tools,
            policy=policy,
            gate=EffectGate(
                call=call,
                tools=self.tools,
                lock=EffectLock(args.get("manifest", ()), origins(call, args, files)),
                mode=mode,
                asks=args.get("on_unlisted_effect") == "ask",
            ),
            scope=CallScope(
                tenant_id=run.tenant_id,
                user_id=str(facts.get("user_id", "")),
                mode=mode,
                logical_time=datetime.fromisoformat(run.logical_time).astimezone(
                    ZoneInfo(str(facts.get("timezone") or "UTC"))  # "today" in sample data is the agent's
                ),
                workspace=workspace,
                connections=facts.get("connections", {}),
                resources=tuple(facts.get("resources", ())),
                folders={"/skill": workspace.parent / "skill"},
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
