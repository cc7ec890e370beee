"""Outputs of steps: checked, small ones in their row, large ones as artifacts, read back when needed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from omniforge.core.errors import Fatal
from omniforge.engine import templates
from omniforge.engine.active import ActiveRun
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.expansion import gathered
from omniforge.engine.plan import Step
from omniforge.engine.state import StepResult, Waiting

MAX_OUTPUT = 16 * 1024 * 1024
INLINE_OUTPUT = 64 * 1024
"""Bytes of JSON up to which an output stands in its row; a larger one is kept as an artifact."""
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Outputs:
    """Reads and keeps what steps return."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self.artifacts = artifacts

    async def checked(self, run: ActiveRun, key: str, result: Any) -> StepResult | Waiting:
        """A handler's answer as it can be stored, or `Fatal`."""
        if isinstance(result, Waiting):
            return result
        if not isinstance(result, StepResult):
            raise Fatal(f"The handler returned {type(result).__name__}, not a result", code="bad_output")
        try:
            text = _ENCODE(result.output)
            size = len(text) if text.isascii() else len(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise Fatal(f"The step's output is not plain JSON: {error}", code="bad_output") from error
        if size > MAX_OUTPUT:
            raise Fatal(f"The step's output is {size} bytes; at most {MAX_OUTPUT}", code="bad_output")
        if size <= INLINE_OUTPUT:
            run.texts[key] = text
            return result
        digest = await self.artifacts.put(run.record.tenant_id, text.encode())
        return replace(result, output=None, stored={"sha256": digest, "bytes": size})

    async def read(self, run: ActiveRun, result: StepResult) -> Any:
        """The output, from its artifact where it is kept as one."""
        if result.stored is None:
            return result.output
        return json.loads(await self.artifacts.get(run.record.tenant_id, result.stored["sha256"]))

    async def view(self, run: ActiveRun, names: Iterable[str], key: str) -> dict[str, dict[str, Any]]:
        """What the step `key` sees of the steps it names: name → {"output", "status"}."""
        scope = run.progress.scope(key)
        seen = run.progress.view(names, scope)
        for name, shown in seen.items():
            result = run.progress.states[scope.prefix + name].result
            if result is not None and result.stored is not None:
                shown["output"] = await self.read(run, result)
        return seen

    async def gather(self, run: ActiveRun, step: Step) -> StepResult:
        """The output of a composite step whose steps are over. `Fatal` when it is too large."""
        group = run.progress.groups[step.key]
        outputs: dict[str, Any] = {}
        for child in group.keys if step.for_each is not None else group.sinks:
            result = run.progress.states[child].result
            if result is not None:
                outputs[child] = await self.read(run, result)
        answer = StepResult(gathered(step, group.keys, group.sinks, outputs))
        result = await self.checked(run, step.key, answer)
        assert isinstance(result, StepResult)  # noqa: S101 - for the type checker
        return result

    def loaded_view(self, run: ActiveRun, names: Iterable[str], key: str) -> dict[str, dict[str, Any]]:
        """As `view`, without I/O: large outputs have been loaded before."""
        scope = run.progress.scope(key)
        seen = run.progress.view(names, scope)
        if run.loaded:
            for name, shown in seen.items():
                if scope.prefix + name in run.loaded:
                    shown["output"] = run.loaded[scope.prefix + name]
        return seen

    def unloaded(self, run: ActiveRun, step: Step) -> list[str]:
        """Steps whose large outputs are needed to decide whether and how this one starts."""
        names = set(templates.references(step.inputs)) if step.is_composite else set[str]()
        for text in (step.when, step.for_each):
            if text is not None:
                names |= templates.condition_references(text)
        prefix, states = run.progress.scope(step.key).prefix, run.progress.states
        return [
            key
            for key in (prefix + name for name in names)
            if key not in run.loaded and (result := states[key].result) is not None and result.stored
        ]

    async def load(self, run: ActiveRun, step: Step) -> list[str]:
        """Bring those into memory; returns their keys, to be forgotten after."""
        keys = self.unloaded(run, step)
        for key in keys:
            result = run.progress.states[key].result
            if result is not None:
                run.loaded[key] = await self.read(run, result)
        return keys
