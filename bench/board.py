"""`python -m bench.board`: how a board of 100,000 tickets answers; one JSON line."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, text

from omniforge.api.app import create_app
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import Priority, TicketStatus
from omniforge.bootstrap import Installation
from omniforge.core.config import Settings

SHARES = {
    TicketStatus.BACKLOG: 0.5,
    TicketStatus.ANALYZING: 0.02,
    TicketStatus.BUILDING: 0.04,
    TicketStatus.BUILDING_DONE: 0.02,
    TicketStatus.TESTING: 0.02,
}
"""Of all tickets; the rest is done."""
AT_ONCE = 2_000
COUNT = "SELECT count(*) FROM tickets WHERE project_id = :project AND archived = 0 AND status = 'backlog'"
"""What the others are measured against: one walk along the index over half of the tickets."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.board")
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(Path(folder), asked.tickets, asked.rounds))
    sys.stdout.write(json.dumps(result) + "\n")


async def measure(home: Path, tickets: int, rounds: int) -> dict[str, Any]:
    """Milliseconds at the 95th percentile, and how many times the plain count that is."""
    async with Installation.open(Settings(home=home)) as house:
        transport = httpx.ASGITransport(create_app(house))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8700/api/v1") as http:
            project = await asked(http.post("/projects", json={"name": "Large", "autonomous": False}))
            ids = await fill(house, project["id"], tickets)
            for status in ("analyzing", "building", "testing"):
                body = {"project_id": project["id"], "wip_limit": None}
                await asked(http.patch(f"/board/columns/{status}", json=body))
            moved = iter(ids)

            async def count() -> None:
                async with house.db.read() as session:
                    await session.scalar(text(COUNT), {"project": project["id"]})

            async def view() -> None:
                await asked(http.get("/board/view", params={"project_id": project["id"]}))

            async def move() -> None:
                body = {"ticket_id": next(moved), "target_column_id": "analyzing"}
                await asked(http.post("/board/move", json=body))

            figures = await in_turns({"count": count, "view": view, "move": move}, rounds)
    plain = figures["count"]
    return {
        "benchmark": "board",
        "tickets": tickets,
        "rounds": rounds,
        **{f"{name}_p95_ms": round(value * 1000, 2) for name, value in figures.items()},
        "view_to_count": round(figures["view"] / plain, 2),
        "move_to_count": round(figures["move"] / plain, 2),
    }


async def in_turns(acts: dict[str, Callable[[], Awaitable[None]]], rounds: int) -> dict[str, float]:
    """Each act once per round, so that all meet the same machine; seconds at the 95th percentile."""
    took: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(rounds + 2):
        for name, act in acts.items():
            begun = time.perf_counter()
            await act()
            if number >= 2:  # the first ones warm caches
                took[name].append(time.perf_counter() - begun)
    return {name: sorted(times)[int(len(times) * 0.95)] for name, times in took.items()}


async def asked(answer: Awaitable[httpx.Response]) -> dict[str, Any]:
    found = await answer
    if found.is_error:
        raise RuntimeError(f"{found.status_code}: {found.text}")
    return found.json()


async def fill(house: Installation, project_id: str, tickets: int) -> list[str]:
    """Write tickets straight into their table; the ids of some in the backlog."""
    now = datetime.now(UTC)
    statuses = [status for status, share in SHARES.items() for _ in range(int(tickets * share))]
    statuses += [TicketStatus.DONE] * (tickets - len(statuses))
    rows = [_row(project_id, number, status, now) for number, status in enumerate(statuses)]
    for start in range(0, tickets, AT_ONCE):
        async with house.db.transaction() as session:
            await session.execute(insert(TicketRow), rows[start : start + AT_ONCE])
    async with house.db.transaction() as session:
        await session.execute(text("ANALYZE"))
    return [row["id"] for row in rows[: tickets // 4]]


def _row(project_id: str, number: int, status: TicketStatus, now: datetime) -> dict[str, Any]:
    priorities = list(Priority)
    return {
        "id": f"ticket_{number:012d}",
        "tenant_id": "default",
        "project_id": project_id,
        "ref": f"TKT-{number + 1:06d}",
        "title": f"Part {number} of something large",
        "description": "What it is about, in a few words. " * 4,
        "status": status.value,
        "status_since": now,
        "phase_entry": 1,
        "rank": 1024.0 * (number + 1),
        "priority": priorities[number % len(priorities)].value,
        "ticket_type": "component",
        "tags": ["large"],
        "is_blocked": False,
        "blockers": [],
        "approval_status": "approved",
        "open_dependencies": 0,
        "evidence_since": now,
        "remediations": 0,
        "context": {},
        "archived": False,
        "version": 1,
        "created_by": "user:local",
        "created_at": now,
        "updated_at": now,
    }


if __name__ == "__main__":
    main()
