"""Whether every fire that was due, and every event that was told of, was run once or is accounted for."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import text

from chaos.firing_life import LISTENERS, POLICIES, Size, expected_times
from omniforge.core.clock import rfc3339
from omniforge.db import Database
from omniforge.engine.events import first_broken

RUNS = "SELECT subject, logical_time, input, status FROM runs WHERE mode = 'live'"
ROWS = "SELECT agent_id, logical_time, status, count FROM agent_fires"


@dataclass
class Verdict:
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])


async def judge(url: str, size: Size) -> Verdict:
    """Reads the tables as they are, and by other queries than ours."""
    database, verdict = Database(url), Verdict()
    runs: Counter[tuple[str, str]] = Counter()
    rows: dict[tuple[str, str], str] = {}
    async with database.read() as session:
        for subject, at, given, status in await session.execute(text(RUNS)):
            agent = str(subject).removeprefix("agent:")
            what = json.loads(given)["event"]["id"] if agent.startswith("ear-") else str(at)
            runs[agent, what] += 1
            if status != "completed":
                verdict.problems.append(f"a run of {agent} for {what} is {status}")
        for agent, at, status, count in await session.execute(text(ROWS)):
            rows[agent, str(at)] = status
            if count != 1 or status == "waiting":
                verdict.problems.append(f"a fire of {agent} at {at} is {status}, {count} times")
        if await first_broken(session, "default") is not None:
            verdict.problems.append("the event log is broken")
    await database.close()
    for number in range(size.agents):
        agent, policy = f"clock-{number}", POLICIES[number % len(POLICIES)]
        for at in expected_times():
            fire = (agent, rfc3339(at))
            if not runs[fire] and fire not in rows:
                verdict.lost.append(f"{agent} at {at:%H:%M} ({policy})")
            if not runs[fire] and policy == "all" and rows.get(fire) == "dropped":
                verdict.lost.append(f"{agent} at {at:%H:%M}, which all late ones are run of, was dropped")
    for number in range(size.events):
        if not runs[f"ear-{number % LISTENERS}", str(number)]:
            verdict.lost.append(f"event {number}")
    verdict.doubled += [
        f"{agent} for {what}: {count} runs" for (agent, what), count in runs.items() if count > 1
    ]
    verdict.problems += [
        f"{agent} for {what} was never asked for" for agent, what in runs if not _was_due(agent, what, size)
    ]
    return verdict


def _was_due(agent: str, what: str, size: Size) -> bool:
    if agent.startswith("ear-"):
        return int(what) < size.events
    return what in {rfc3339(at) for at in expected_times()}
