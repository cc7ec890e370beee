"""The work of a script-backed skill: its program in a sandbox, with the bridge as its only way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omniforge.core.errors import Fatal, Retryable, StepFailed
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.state import Signal, StepResult, Waiting
from omniforge.runtime.bridge import GIVEN_UP_FOR, SkillBridge
from omniforge.runtime.frame import (
    Frame,
    check_trouble,
    keep_artifact,
    missing_file,
    request_for,
    waiting_for,
)
from omniforge.runtime.tools.protocol import Json
from omniforge.sandboxes import KilledBy, Limits, SandboxProvider, SandboxRequest, SandboxResult
from omniforge.sandboxes.skill_protocol import SkillResult, entry_argv, parse_result


async def run_script(
    frame: Frame, script: str, sandbox: SandboxProvider, artifacts: ArtifactStore
) -> StepResult | Waiting:
    done = await start_script(
        sandbox, script, request_for(frame), frame.folder, frame.bridge, frame.call.step.timeout or 300.0
    )
    waiting = waiting_for(frame.bridge.trouble)
    if waiting is not None:
        return waiting
    check_trouble(frame.bridge.trouble)
    result = read_result(done, frame.bridge)
    return StepResult(
        output=result.output,
        message=result.message,
        signal=Signal(result.status.value),
        artifacts=await _keep(artifacts, frame.call.run.tenant_id, result, done.files),
        effects=frame.bridge.gate.done,
    )


async def start_script(  # noqa: PLR0917 - one program and what it is given
    sandbox: SandboxProvider, script: str, stdin: bytes, folder: Path, bridge: SkillBridge, seconds: float
) -> SandboxResult:
    request = SandboxRequest(
        argv=entry_argv(script.removeprefix("scripts/")),
        stdin=stdin,
        folders={"/skill": folder},
        limits=Limits(wall_seconds=seconds),
    )
    return await sandbox.run(request, bridge.serve())


def read_result(done: SandboxResult, bridge: SkillBridge) -> SkillResult:
    """What the script says it did, or why there is no result."""
    if done.killed_by is KilledBy.WALL:
        raise Retryable("The script took too long, so it was stopped.", code="step_timeout")
    if done.killed_by is not None:
        raise Fatal(f"The script used more {done.killed_by} than it may.", code="limit_reached")
    try:
        return parse_result(done.stdout, done.exit_code, done.stderr)
    except StepFailed:
        if isinstance(bridge.trouble, GIVEN_UP_FOR):
            raise bridge.trouble from None  # the script gave up because the service did
        raise


async def _keep(
    store: ArtifactStore, tenant_id: str, result: SkillResult, files: Mapping[str, bytes]
) -> tuple[Json, ...]:
    kept: list[Json] = []
    for artifact in result.artifacts:
        data = files.get(artifact.path)
        if data is None:
            raise missing_file(artifact.path)
        kept.append(await keep_artifact(store, tenant_id, artifact.path, artifact.title, data))
    return tuple(kept)
