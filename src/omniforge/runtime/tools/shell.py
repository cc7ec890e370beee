"""Bash and Grep: programs over a copy of the working folder, in the sandbox, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.errors import Invalid
from omniforge.integrations.manifest import Access
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool
from omniforge.runtime.tools.workspace import MAX_FILES, own_files, relative
from omniforge.sandboxes import Limits, SandboxProvider, SandboxRequest, SandboxResult

SHOWN = 30_000
GREP_SECONDS = 10.0
MAX_MATCHES = 200


class BashArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: str = Field(min_length=1, max_length=10_000)
    seconds: float = Field(default=30.0, gt=0, le=120)


class GrepArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pattern: str = Field(min_length=1, max_length=500)
    """An extended regular expression."""
    path: str = Field(default=".", min_length=1, max_length=500)
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Shell:
    """What a program leaves in the working folder stays there for the step's next call."""

    sandbox: SandboxProvider

    async def bash(self, args: BashArguments, scope: CallScope) -> Json:
        done = await self._run(("sh", "-c", args.command), scope, args.seconds)
        if done.killed_by is None:
            await asyncio.to_thread(_take_over, scope.workspace, done.files)
        return {
            "exit_code": done.exit_code,
            "stdout": _text(done.stdout),
            "stderr": _text(done.stderr),
            **({"stopped_by": f"{done.killed_by} limit"} if done.killed_by else {}),
        }

    async def grep(self, args: GrepArguments, scope: CallScope) -> Json:
        """Matching takes time in proportion to the text, and is bounded beside that."""
        place = relative(args.path)
        if place.startswith("-") or ".." in Path(place).parts:
            raise Invalid("A path stays inside the working folder.", code="path_outside", path=args.path)
        options = ["-rInE", "-m", str(MAX_MATCHES), *(["-i"] if args.ignore_case else [])]
        done = await self._run(("grep", *options, "-e", args.pattern, "--", place), scope, GREP_SECONDS)
        if done.killed_by is not None or done.exit_code > 1:
            why = _text(done.stderr).strip()[:300] or "It took too long."
            raise Invalid(f"That could not be searched for. {why}", code="bad_pattern")
        lines = _text(done.stdout).splitlines()
        return {"matches": lines[:MAX_MATCHES], "truncated": len(lines) > MAX_MATCHES or done.truncated}

    async def _run(self, argv: Sequence[str], scope: CallScope, seconds: float) -> SandboxResult:
        files = await asyncio.to_thread(_contents, scope.workspace)
        limits = Limits(wall_seconds=seconds, cpu_seconds=seconds)
        request = SandboxRequest(argv=argv, folders=dict(scope.folders), workspace_files=files, limits=limits)
        return await self.sandbox.run(request, None)

    def tools(self) -> tuple[LocalTool, LocalTool]:
        return (
            LocalTool(
                name="Bash",
                description="Run a shell command in the working folder; no network.",
                arguments=BashArguments,
                access=Access.READ,  # changes nothing outside the step
                run=self.bash,
                subject_field="command",
            ),
            LocalTool(
                name="Grep",
                description="Find lines in the files of the working folder (or of /skill/) by pattern.",
                arguments=GrepArguments,
                access=Access.READ,
                run=self.grep,
                subject_field="path",
                plain_subject=relative,
            ),
        )


def _contents(workspace: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workspace)): path.read_bytes() for path in own_files(workspace)}


def _take_over(workspace: Path, files: Mapping[str, bytes]) -> None:
    """Make the working folder what the program left; paths were checked when they came out of the sandbox."""
    for path in list(own_files(workspace)):
        if str(path.relative_to(workspace)) not in files:
            path.unlink()
    for path, data in list(files.items())[:MAX_FILES]:
        target = workspace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _text(data: bytes) -> str:
    return data[:SHOWN].decode("utf-8", "replace")
