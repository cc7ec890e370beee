"""How far runs may start further runs on their own (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.core.config import Settings


@dataclass(frozen=True, slots=True)
class SpawnLimits:
    """depth: generations below the first run. runs: that one run starts in all."""

    depth: int = 2
    runs: int = 20

    @classmethod
    def from_settings(cls, settings: Settings) -> SpawnLimits:
        return cls(depth=settings.max_spawn_depth, runs=settings.max_spawned_runs)


def needs_approval(depth: int, started: int, limits: SpawnLimits) -> str | None:
    """Why a person has to allow one more run; None when nobody has to.

    `depth` is the new run's (0: no run started it), `started` how many its parent has started before.
    """
    if depth > limits.depth:
        return f"It would be generation {depth} below the first run; {limits.depth} may start on their own"
    if depth > 0 and started >= limits.runs:
        return f"The run has started {started} others; {limits.runs} may start on their own"
    return None
