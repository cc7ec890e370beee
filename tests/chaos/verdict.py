"""What the storm left: compares the database with what the outside saw, and says what is lost or doubled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from chaos.outside import Told, read_lines
from chaos.work import LAST, STEPS, TENANTS, expected_output, key_of, tenant_of
from omniforge.db import Database
from omniforge.engine.events import first_broken
from omniforge.engine.state import RunStatus
from omniforge.engine.store import RunStore

_TOGETHER = 200


@dataclass
class Witness:
    """What the file of the outside says."""

    started: dict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    begun: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    durable: dict[str, int] = field(default_factory=dict[str, int])
    effects: Counter[str] = field(default_factory=Counter[str])
    killed: Counter[str] = field(default_factory=Counter[str])
    again: list[str] = field(default_factory=list[str])
    """Steps that were begun again although their checkpoint held."""

    @classmethod
    def of(cls, path: Path) -> Witness:
        made = cls()
        for line in read_lines(path):
            match line.told:
                case Told.STARTED:
                    made.started[line.key].add(line.value)
                case Told.BEGIN | Told.EFFECT:
                    # An attempt before the durable one is that of a frozen process: it was in flight then.
                    if int(line.value) > made.durable.get(line.key, int(line.value)):
                        made.again.append(f"{line.key} {line.told} by attempt {line.value}")
                    if line.told is Told.BEGIN:
                        made.begun[line.key, int(line.value)] += 1
                    else:
                        made.effects[line.key] += 1
                case Told.DURABLE:
                    made.durable.setdefault(line.key, int(line.value))
                case Told.KILLED:
                    made.killed[line.key] += 1
        return made


@dataclass
class Verdict:
    """Empty lists and "ok" are good. repeated_in_flight: effects of steps that were caught under way.

    left_to_person: runs that were interrupted too often, and then retried as a person does.
    """

    runs: int = 0
    lost: list[str] = field(default_factory=list[str])
    duplicated: list[str] = field(default_factory=list[str])
    repeated_in_flight: int = 0
    left_to_person: int = 0
    integrity: str = "ok"
    chain: str = "ok"


async def judge(database: Database, outside: Path, numbers: Sequence[int]) -> Verdict:
    """`numbers`: of the runs that were to be started."""
    witness, verdict = Witness.of(outside), Verdict(len(numbers))
    ids = await _check_runs(database, witness, numbers, verdict)
    await _check_events(database, ids, verdict)
    await _check_steps(database, witness, ids, verdict)
    verdict.duplicated += witness.again
    verdict.duplicated += [f"{step} begun {n} times" for step, n in witness.begun.items() if n > 1]
    verdict.repeated_in_flight = sum(witness.effects.values()) - len(witness.effects)
    verdict.integrity = await _integrity(database)
    for tenant in range(TENANTS):
        async with database.read() as session:
            broken = await first_broken(session, tenant_of(tenant))
        if broken is not None:
            verdict.chain = f"{tenant_of(tenant)} breaks at {broken}"
    return verdict


async def _check_runs(
    database: Database, witness: Witness, numbers: Sequence[int], verdict: Verdict
) -> dict[str, int]:
    rows = await _rows(database, "SELECT idempotency_key, id, status, tenant_id FROM runs")
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    ids: dict[str, int] = {}
    for number in numbers:
        key = key_of(number)
        here = {row[1] for row in found[key]}
        verdict.lost += [f"{key}: {run_id} was confirmed" for run_id in witness.started[key] - here]
        if not here:
            verdict.lost.append(f"{key} is not there")
        if len(here) > 1 or len(witness.started[key]) > 1:
            verdict.duplicated.append(f"{key} became {sorted(here | witness.started[key])}")
        for row in found[key]:
            ids[row[1]] = number
            if row[2] != RunStatus.COMPLETED.value:
                verdict.lost.append(f"{key} is {row[2]}")
    return ids


async def _check_events(database: Database, ids: dict[str, int], verdict: Verdict) -> None:
    retried = await _rows(
        database, "SELECT run_id, count(*) FROM events WHERE type = 'run.retried' GROUP BY 1"
    )
    again = {str(row[0]): int(row[1]) for row in retried}
    verdict.left_to_person = len(again)
    for type_, each in (("run.queued", 1), ("run.finished", 1), ("step.completed", STEPS)):
        query = f"SELECT entity, run_id, count(*) FROM events WHERE type = '{type_}' GROUP BY 1, 2"
        told = await _rows(database, query)
        if type_ == "run.finished":  # a run that was retried ends once more
            told = [(row[0], row[1], row[2] - again.get(str(row[1]), 0)) for row in told]
        verdict.duplicated += [f"{type_} of {row[0]} told {row[2]} times" for row in told if row[2] > 1]
        of_run = Counter(str(row[1]) for row in told)
        verdict.lost += [f"{run_id}: {of_run[run_id]} {type_}" for run_id in ids if of_run[run_id] != each]


async def _check_steps(database: Database, witness: Witness, ids: dict[str, int], verdict: Verdict) -> None:
    begun: dict[str, int] = {}
    for key, attempt in witness.begun:
        begun[key] = max(attempt, begun.get(key, 0))
    names = list(ids)
    for start in range(0, len(names), _TOGETHER):
        for run in await RunStore(database).runs(names[start : start + _TOGETHER]):
            if run.corrupted:
                verdict.integrity = f"{run.record.id}: the checksums of {run.corrupted} do not hold"
            result = run.steps[LAST].result if LAST in run.steps else None
            if result is None or result.output != expected_output(ids[run.record.id]):
                verdict.lost.append(f"{run.record.id}: the last step gave {result and result.output}")
            for name, state in run.steps.items():
                key = f"{run.record.id}/{name}"
                if begun.get(key, 0) > state.attempt:
                    verdict.duplicated.append(f"{key} done in {state.attempt}, begun in {begun[key]}")


async def _integrity(database: Database) -> str:
    if database.is_sqlite:
        (answer,) = (await _rows(database, "PRAGMA integrity_check"))[0]
        return str(answer)
    if left := await _rows(database, "SELECT run_id FROM run_places"):
        return f"{len(left)} runs that are over still have a place in line"
    for table, column in (("runs", "id"), ("run_steps", "run_id"), ("events", "position")):
        counts: set[int] = set()
        async with database.read() as session:
            for through_index in ("on", "off"):
                for way in ("indexscan", "indexonlyscan", "bitmapscan"):
                    await session.execute(text(f"SET LOCAL enable_{way} = {through_index}"))
                await session.execute(
                    text(f"SET LOCAL enable_seqscan = {'off' if through_index == 'on' else 'on'}")
                )
                query = text(f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL")
                counts.add((await session.execute(query)).scalar_one())
        if len(counts) > 1:
            return f"an index of {table} does not agree with it: {counts}"
    return "ok"


async def _rows(database: Database, query: str) -> Sequence[Any]:
    async with database.read() as session:
        return (await session.execute(text(query))).all()
