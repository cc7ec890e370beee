"""Stored cases: what an agent is expected to give for an input, and how a later result compares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from difflib import unified_diff
from typing import Any, cast

from sqlalchemy import String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.agents.content import CaseRule
from omniforge.agents.readings import digest
from omniforge.agents.schemas import CaseGiven, CaseView
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Fatal, Invalid, NotFound
from omniforge.db import Base, Database
from omniforge.engine.templates import condition_references, is_true

Json = dict[str, Any]

MAX_CASES = 100
MAX_CHANGES = 40
"""Lines of difference that are shown."""


class CaseRow(Base):
    """What an agent gave, or is to give, for one input, on sample data."""

    __tablename__ = "agent_cases"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    input: Mapped[dict[str, Any]]
    rule: Mapped[str] = mapped_column(String(16))
    expected: Mapped[dict[str, Any]]
    """`{"value": …}`."""
    accepted: Mapped[dict[str, Any]]
    created_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]


ReadAgent = Callable[[Actor, str], Awaitable[AgentRow]]


class Cases:
    """What later tests are compared with. `row` reads an agent, `editable` one that may be changed."""

    def __init__(self, db: Database, clock: Clock, row: ReadAgent, editable: ReadAgent) -> None:
        self.db, self.clock, self._row, self._editable = db, clock, row, editable

    async def list(self, actor: Actor, agent_id: str) -> Sequence[CaseView]:
        await self._row(actor, agent_id)
        async with self.db.read() as session:
            return [view(row) for row in await list_cases(session, actor.tenant_id, agent_id)]

    async def put(self, actor: Actor, agent_id: str, name: str, given: CaseGiven) -> CaseView:
        """Store what the agent is to give for an input, under a name of one's own."""
        row = await self._editable(actor, agent_id)
        check(given)
        made = given_row(row.tenant_id, row.id, name, given, by=actor.by, now=self.clock.now())
        shown = view(made)
        async with self.db.transaction() as session:
            await put(session, made)
        return shown

    async def remove(self, actor: Actor, agent_id: str, name: str) -> None:
        row = await self._editable(actor, agent_id)
        async with self.db.transaction() as session:
            await remove(session, row.tenant_id, row.id, name)


def name_for(input_data: Mapping[str, Any]) -> str:
    """What an accepted test is called: there is one for each input."""
    return f"accepted-{digest(dict(input_data))[:12]}"


def view(row: CaseRow) -> CaseView:
    return CaseView(
        name=row.name,
        input_data=row.input,
        rule=CaseRule(row.rule),
        expected=row.expected.get("value"),
        accepted=row.accepted,
        created_at=row.created_at,
    )


# --- compare (pure) ----------------------------------------------------------------------------------------


def check(given: CaseGiven) -> None:
    """Invalid for a condition that cannot be asked."""
    if given.rule is not CaseRule.CEL:
        return
    rule = [{"field": "expected", "value": given.expected, "rule": "a CEL condition over `result`"}]
    if not isinstance(given.expected, str):
        raise Invalid("expected: a CEL condition over `result`, as text.", fields=rule)
    try:
        read = condition_references(_bound(given.expected))
    except ValueError as error:
        raise Invalid(f"expected: {error}", fields=rule) from error
    if read:
        raise Invalid("expected: it may only read `result`.", fields=rule)


def compare(case: CaseView, result: Mapping[str, Any]) -> Json:
    """How a result `{text, output, effects}` meets a case: `{name, rule, passed, before, after, changes}`."""
    match case.rule:
        case CaseRule.EQUALITY:
            passed = result.get("output") == case.expected
            if case.accepted:
                passed = passed and _effects(result) == _effects(case.accepted)
        case CaseRule.SUBSET:
            passed = _contains(result.get("output"), case.expected)
        case CaseRule.CEL:
            try:
                passed = is_true(_bound(str(case.expected)), {"result": dict(result)}, {})
            except Fatal:
                passed = False
    before = case.accepted or {"text": "", "output": case.expected, "effects": []}
    return {
        "name": case.name,
        "rule": case.rule.value,
        "passed": passed,
        "before": {"text": before.get("text", ""), "effects": _effects(before)},
        "after": {"text": result.get("text", ""), "effects": _effects(result)},
        "changes": _changes(before, result) if case.accepted else [],
    }


def _bound(condition: str) -> str:
    """The condition with `result` as a name of its own; the line break ends a comment at its end."""
    return f"[input.result].all(result, {condition}\n)"


def _contains(whole: Any, part: Any) -> bool:
    """Whether all of `part` is in `whole`: members of objects in members, items of lists in some item."""
    if isinstance(part, dict):
        if not isinstance(whole, dict):
            return False
        known = cast("Json", whole)
        return all(
            name in known and _contains(known[name], value) for name, value in cast("Json", part).items()
        )
    if isinstance(part, list):
        if not isinstance(whole, list):
            return False
        items = cast("list[Any]", whole)
        return all(any(_contains(item, wanted) for item in items) for wanted in cast("list[Any]", part))
    return whole == part


def _effects(result: Mapping[str, Any]) -> list[str]:
    return [str(effect) for effect in result.get("effects") or ()]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Lines that went (`-`) and came (`+`), of the text and of what happens outside."""
    old = [*str(before.get("text", "")).splitlines(), *_effects(before)]
    new = [*str(after.get("text", "")).splitlines(), *_effects(after)]
    lines = [
        line for line in unified_diff(old, new, n=0, lineterm="") if not line.startswith(("---", "+++", "@@"))
    ]
    return lines[:MAX_CHANGES]


# --- queries -----------------------------------------------------------------------------------------------


async def list_cases(session: AsyncSession, tenant_id: str, agent_id: str) -> Sequence[CaseRow]:
    query = select(CaseRow).where(CaseRow.tenant_id == tenant_id, CaseRow.agent_id == agent_id)
    return list(await session.scalars(query.order_by(CaseRow.name)))


def accepted(tenant_id: str, agent_id: str, baseline: Mapping[str, Any], by: str, now: datetime) -> CaseRow:
    """What an accepted test gave on sample data, to be kept for its input."""
    input_data = baseline["input"]
    return CaseRow(
        tenant_id=tenant_id,
        agent_id=agent_id,
        name=name_for(input_data),
        input=input_data,
        rule=CaseRule.EQUALITY.value,
        expected={"value": baseline["output"]},
        accepted={name: baseline[name] for name in ("text", "output", "effects")},
        created_by=by,
        created_at=now,
    )


def given_row(
    tenant_id: str, agent_id: str, name: str, given: CaseGiven, *, by: str, now: datetime
) -> CaseRow:
    """A case as somebody states it."""
    return CaseRow(
        tenant_id=tenant_id,
        agent_id=agent_id,
        name=name,
        input=given.input_data,
        rule=given.rule.value,
        expected={"value": given.expected},
        accepted={},
        created_by=by,
        created_at=now,
    )


async def put(session: AsyncSession, row: CaseRow) -> None:
    """Store a case under its name; Invalid when there are too many already."""
    known = await list_cases(session, row.tenant_id, row.agent_id)
    if len(known) >= MAX_CASES and not any(other.name == row.name for other in known):
        raise Invalid(f"An agent has at most {MAX_CASES} stored cases; delete some first.", code="too_many")
    await session.merge(row)


async def remove(session: AsyncSession, tenant_id: str, agent_id: str, name: str) -> None:
    if await session.get(CaseRow, (tenant_id, agent_id, name)) is None:
        raise NotFound("There is no such case.", name=name)
    own = (CaseRow.tenant_id == tenant_id, CaseRow.agent_id == agent_id, CaseRow.name == name)
    await session.execute(delete(CaseRow).where(*own))
