"""`client.agents`: find, make, change, test, switch on and run agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from omniforge.client.executions import Executions
from omniforge.client.shapes import AgentInfo, Execution, TestResult
from omniforge.client.wire import Json, Wire, new_key, path_of
from omniforge.core.errors import Conflict

TEST_WAIT = {"Prefer": "wait=60"}
Mode = Literal["dry", "preview", "live"]
Suite = Literal["quick", "full", "regression"]


class Agents:
    def __init__(self, wire: Wire, executions: Executions) -> None:
        self._wire, self._executions = wire, executions

    async def list(
        self,
        *,
        status: str | None = None,
        trigger_type: str | None = None,
        search: str | None = None,
        limit: int | None = None,
    ) -> list[AgentInfo]:
        """Every agent you can see, over all pages; `limit` for the first ones only."""
        found = self._wire.every(
            path_of("agents"), "agents", limit=limit, status=status, trigger_type=trigger_type, search=search
        )
        return [AgentInfo.of(one) async for one in found]

    async def get(self, agent_id: str) -> AgentInfo:
        return AgentInfo.of(await self._wire.ask("GET", path_of("agents", agent_id)))

    async def create(self, fields: Mapping[str, Any]) -> AgentInfo:
        """A draft; `fields` as `Agent.to_dict()` gives them. `Invalid` lists every mistake."""
        made = await self._wire.ask("POST", path_of("agents"), json=dict(fields), key=new_key())
        return AgentInfo.of(made)

    async def update(
        self, agent_id: str, fields: Mapping[str, Any], *, expected_version: int | None = None
    ) -> AgentInfo:
        """Change these fields; of an active agent they wait for the next activation."""
        expected = {} if expected_version is None else {"expected_version": expected_version}
        body = {**fields, **expected}
        return AgentInfo.of(await self._wire.ask("PATCH", path_of("agents", agent_id), json=body))

    async def replace(self, agent_id: str, fields: Mapping[str, Any]) -> AgentInfo:
        """All fields at once: what is not given falls back to its default."""
        return AgentInfo.of(await self._wire.ask("PUT", path_of("agents", agent_id), json=dict(fields)))

    async def delete(self, agent_id: str) -> None:
        await self._wire.ask("DELETE", path_of("agents", agent_id))

    async def test(
        self,
        agent_id: str,
        *,
        mode: Mode = "dry",
        input_data: Mapping[str, Any] | None = None,
        suite: Suite = "quick",
        use_model: bool = False,
        confirm_effects: bool = False,
    ) -> TestResult:
        """Test it and wait for the report. `confirm_effects`: a live test may do what the last one showed."""
        body: Json = {
            "mode": mode,
            "suite": suite,
            "use_model": use_model,
            "confirm_effects": confirm_effects,
        }
        body["input_data"] = dict(input_data or {})
        path = path_of("agents", agent_id, "test")
        answer = await self._wire.ask("POST", path, json=body, headers=TEST_WAIT, key=new_key())
        while "verdict" not in answer:
            answer = await self._report(agent_id, answer)
        return TestResult.of(answer)

    async def _report(self, agent_id: str, under_way: Json) -> Json:
        """The report, or the test as it was while that is not there yet."""
        path = path_of("agents", agent_id, "tests", str(under_way["test_id"]))
        try:
            return await self._wire.ask("GET", path, headers=TEST_WAIT)
        except Conflict as refusal:
            if refusal.code != "test_under_way":
                raise
            return under_way

    async def activate(
        self,
        agent_id: str,
        *,
        test: TestResult | None = None,
        expected_version: int | None = None,
        bounds: list[Json] | None = None,
    ) -> AgentInfo:
        """Switch it on with what this test showed; without one, resume what was paused and not changed."""
        body: Json = {"expected_version": expected_version, "bounds": bounds or []}
        if test is not None:
            body |= {"test_id": test.test_id, "manifest_hash": test.manifest_hash}
            body["accept_no_effect"] = test.verdict == "no_effect"
        path = path_of("agents", agent_id, "activate")
        return AgentInfo.of(await self._wire.ask("POST", path, json=body, key=new_key()))

    async def pause(self, agent_id: str, reason: str = "") -> AgentInfo:
        path = path_of("agents", agent_id, "pause")
        return AgentInfo.of(await self._wire.ask("POST", path, json={"reason": reason}, key=new_key()))

    async def run(
        self,
        agent_id: str,
        input_data: Mapping[str, Any] | None = None,
        *,
        wait: bool = False,
        idempotency_key: str | None = None,
    ) -> Execution:
        """Run an active agent: the execution as accepted, or with `wait` as it ended.

        The same `idempotency_key` is the same execution, however often it is asked for.
        """
        path, key = path_of("agents", agent_id, "run"), idempotency_key or new_key()
        started = await self._wire.ask("POST", path, json={"input_data": dict(input_data or {})}, key=key)
        execution_id = str(started["execution_id"])
        if wait:
            return await self._executions.wait(execution_id)
        return await self._executions.get(execution_id)

    async def get_executions(
        self, agent_id: str, *, mode: Mode | None = None, limit: int | None = 50
    ) -> list[Execution]:
        """Its executions, newest first; `limit=None` for all of them."""
        path = path_of("agents", agent_id, "executions")
        found = self._wire.every(path, "executions", limit=limit, mode=mode)
        return [Execution.of(one) async for one in found]

    async def versions(self, agent_id: str) -> list[Json]:
        found = self._wire.every(path_of("agents", agent_id, "versions"), "versions")
        return [one async for one in found]

    async def rollback(self, agent_id: str, version: int, *, reason: str = "") -> AgentInfo:
        """A further version with the content of an earlier one."""
        body = {"version": version, "reason": reason}
        path = path_of("agents", agent_id, "rollback")
        return AgentInfo.of(await self._wire.ask("POST", path, json=body, key=new_key()))
