"""Guests in a sandbox: programs that talk in lines and ask a model, over the bridge and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.llm.claude.guest import Bridge, Ended, Guest
from omniforge.sandboxes.protocol import Limits, SandboxProvider, SandboxRequest

LONGEST = 24 * 3600.0
"""Seconds; whoever asked has limits of his own."""
MOST_CPU = 3600.0
PROCESSES = 128


@dataclass(frozen=True, slots=True)
class SandboxEnclosure:
    """`llm.claude.guest.Enclosure` over the sandboxes of this installation."""

    provider: SandboxProvider

    async def run(self, guest: Guest, bridge: Bridge) -> Ended:
        result = await self.provider.run(
            SandboxRequest(
                argv=["python3", "-m", "sandbox_kit.talking", guest.socket, *guest.argv],
                programs=guest.programs,
                workspace_files=guest.files,
                limits=Limits(
                    wall_seconds=LONGEST,
                    cpu_seconds=MOST_CPU,
                    memory_bytes=guest.memory_bytes,
                    processes=PROCESSES,
                    artifact_files=0,
                    artifact_bytes=0,
                ),
            ),
            bridge,
        )
        killed_by = None if result.killed_by is None else result.killed_by.value
        return Ended(result.exit_code, killed_by, result.stderr.decode("utf-8", "replace")[-2000:])
