"""Step kind `command`: runs a program in a sandbox; its exit code decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from omniforge.core.errors import Fatal, Retryable
from omniforge.engine.active import StepCall
from omniforge.engine.state import StepResult
from omniforge.sandboxes import Limits, SandboxProvider, SandboxRequest

SHOWN = 20_000


@dataclass(frozen=True, slots=True)
class CommandStep:
    """args: `{"argv": [program, …], "files"?: {path: text}, "stdin"?: text}`.

    Output: `{"exit_code": 0, "stdout", "stderr", "seconds"}`, streams capped. Any other exit code fails.
    """

    sandbox: SandboxProvider

    async def __call__(self, call: StepCall) -> StepResult:
        argv, files, stdin = _arguments(call)
        request = SandboxRequest(argv=argv, stdin=stdin, workspace_files=files, limits=_limits(call))
        result = await self.sandbox.run(request, None)
        output: dict[str, Any] = {
            "exit_code": result.exit_code,
            "stdout": _text(result.stdout),
            "stderr": _text(result.stderr),
            "seconds": round(result.seconds, 3),
        }
        if result.killed_by is not None:
            raise Retryable(
                f"The command was stopped: {result.killed_by} limit.", code="limit_reached", **output
            )
        if result.exit_code != 0:
            raise Fatal(
                f"The command ended with exit code {result.exit_code}.", code="command_failed", **output
            )
        return StepResult(output=output, message=f"{argv[0]} ended well")


def _arguments(call: StepCall) -> tuple[tuple[str, ...], dict[str, bytes], bytes]:
    args: Any = dict(call.step.args)
    argv = args.get("argv")
    if (
        not isinstance(argv, list)
        or not argv
        or not all(isinstance(part, str) for part in cast("list[Any]", argv))
    ):
        raise Fatal("A command step needs argv: a list of texts.", code="bad_arguments")
    files = {str(path): str(text).encode() for path, text in dict(args.get("files", {})).items()}
    return tuple(cast("list[str]", argv)), files, str(args.get("stdin", "")).encode()


def _limits(call: StepCall) -> Limits:
    return Limits(wall_seconds=min(call.step.timeout or 3600.0, 3600.0))


def _text(data: bytes) -> str:
    return data[-SHOWN:].decode(errors="replace")
