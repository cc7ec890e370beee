"""Commands in a skill's text whose output takes their place: denied unless every condition holds."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omniforge.core.errors import OmniForgeError
from omniforge.sandboxes import KilledBy, Limits, SandboxProvider, SandboxRequest
from omniforge.skills.admission import Origin
from omniforge.skills.allowed_tools import AllowedTools

SECONDS = 5.0
MAX_OUTPUT = 10_000
MAX_COMMANDS = 10
OWN_ORIGINS = frozenset({Origin.CUSTOM, Origin.GENERATED, Origin.FILE})
"""Skills that the tenant itself wrote; imported, public and shipped ones never run commands."""
_COMMAND = re.compile(
    r"^```!\n(?P<block>.*?)\n?^```[ \t]*$|(?:(?<=\s)|^)!`(?P<inline>[^`\n]+)`", re.MULTILINE | re.DOTALL
)
RAN, BLOCKED = "injection.ran", "injection.blocked"

Audit = Callable[[str, str, Mapping[str, object], str], Awaitable[None]]
"""Told of every command: event type, command, facts, and what stands in its place."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What decides whether the commands of one skill run.

    origins: of every known version with these files; none for a skill that nobody of the tenant wrote.
    allowed: by the agent's owner. sandbox: None where there is none.
    """

    origins: frozenset[Origin] = frozenset()
    allowed: bool = False
    tools: AllowedTools | None = None
    sandbox: SandboxProvider | None = None

    def refusal(self, command: str) -> str | None:
        """Why this command does not run; None when it may."""
        if not self.origins or not self.origins <= OWN_ORIGINS:
            return "only skills that you wrote yourselves may run commands"
        if not self.allowed:
            return "the agent's owner has not allowed commands in skill texts"
        rules = () if self.tools is None else self.tools.rules
        exact = [rule for rule in rules if rule.tool == "Bash" and rule.pattern not in (None, "*")]
        if not any(rule.matches("Bash", command) for rule in exact):
            return "no Bash(…) entry of the skill's allowed-tools covers this command"
        return "there is no sandbox here to run it in" if self.sandbox is None else None


@dataclass(slots=True)
class Injection:
    """Runs the commands of one skill text. known: outputs of this run so far, by command."""

    permit: Permit
    folder: Path
    audit: Audit
    known: MutableMapping[str, str] = field(default_factory=dict[str, str])

    async def split(self, text: str) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether it is the author's own or what a command gave."""
        pieces: list[tuple[str, bool]] = []
        at = 0
        for count, found in enumerate(_COMMAND.finditer(text), start=1):
            pieces += [(text[at : found.start()], True), (await self._output(_command(found), count), False)]
            at = found.end()
        return [*pieces, (text[at:], True)]

    async def _output(self, command: str, count: int) -> str:
        if count > MAX_COMMANDS:
            return await self._blocked(command, f"at most {MAX_COMMANDS} commands in one skill text")
        refusal = self.permit.refusal(command)
        if refusal is not None or self.permit.sandbox is None:
            return await self._blocked(command, refusal or "there is no sandbox")
        if command in self.known:
            return self.known[command]
        shown, told = await self._run(self.permit.sandbox, command)
        self.known[command] = shown
        await self.audit(RAN, command, told, shown)
        return shown

    async def _run(self, sandbox: SandboxProvider, command: str) -> tuple[str, Mapping[str, object]]:
        request = SandboxRequest(
            argv=("sh", "-c", command),
            folders={"/skill": self.folder},
            limits=Limits(wall_seconds=SECONDS, cpu_seconds=SECONDS),
        )
        try:
            done = await sandbox.run(request, None)
        except OmniForgeError as error:
            return f"[Command blocked: {error.message}]", {"outcome": error.code}
        if done.killed_by is KilledBy.WALL or done.killed_by is KilledBy.CPU:
            return f"[Command timed out after {SECONDS:g} s]", {"outcome": "timed_out"}
        if done.killed_by is not None or done.exit_code != 0:
            return f"[Command failed: exit {done.exit_code}]", {"outcome": "failed", "exit": done.exit_code}
        output = done.stdout.decode("utf-8", "replace").rstrip("\n")
        told = {"outcome": "done", "characters": len(output), "seconds": round(done.seconds, 3)}
        if len(output) > MAX_OUTPUT or done.truncated:
            return f"{output[:MAX_OUTPUT]}\n[Output truncated at {MAX_OUTPUT} characters]", told
        return output, told

    async def _blocked(self, command: str, why: str) -> str:
        shown = f"[Command blocked: {why}]"
        await self.audit(BLOCKED, command, {"why": why}, shown)
        return shown


def commands_of(text: str) -> Sequence[str]:
    """The commands that a skill's text holds, in order."""
    return [_command(found) for found in _COMMAND.finditer(text)]


def _command(found: re.Match[str]) -> str:
    return str(found["inline"] if found["inline"] is not None else found["block"]).strip()
