"""`python -m bench.dispatchers`: two processes share a queue of tasks, each with a dispatcher and the engine.

The work takes no time and sandboxes are folders, so what is measured is everything else: claim, spawn,
result, verdict, ticket. Fails when a task is claimed twice, when a place stays free while a task waits for
it, when work for an agent is taken without a model, or when something is not completed. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.board.chain_stage import House, open_house
from tests.postgres_server import PostgresServer
from tests.sandboxes.plain_workspaces import PlainWorkspaces, Workspace

from omniforge.board.claims import Claimed
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.sandboxes.workspaces import WorkspaceOrder

TICKETS, PROCESSES = 4, 2
PLACES, DRIVES = 50, 8
"""Sandboxes of the project at once, and runs that a process drives at once."""
TITLE = "Do nothing"
DONE = {"status": "completed", "summary": "It is done."}
PATIENCE = 600.0


class SharedFolders(PlainWorkspaces):
    """Workspaces that every process over the same folder knows. A worker answers as soon as it is started."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.house: House | None = None
        self.at_work = set[asyncio.Task[None]]()

    def _place(self, ref: str) -> Workspace:
        if (self.root / ref).is_dir():
            order = WorkspaceOrder(sandbox_id=ref, kind="task", network="none", image=None)
            self.places.setdefault(ref, Workspace(order, self.root / ref))
        return super()._place(ref)

    async def list(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())

    async def destroy(self, ref: str) -> None:
        with suppress(FileNotFoundError):
            self._empty(self.root / ref)
        await super().destroy(ref)

    @staticmethod
    def _empty(folder: Path) -> None:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()

    async def start_worker(self, ref: str, env: Mapping[str, str]) -> None:
        self._place(ref).env = dict(env)
        task = asyncio.create_task(self._work(env))
        self.at_work.add(task)
        task.add_done_callback(self.at_work.discard)

    async def _work(self, env: Mapping[str, str]) -> None:
        if self.house is None:
            return
        task_id = env["OMNIFORGE_TASK_ID"]
        worker = self.house.speak(env["OMNIFORGE_SANDBOX_ID"], task_id, env["OMNIFORGE_TOKEN"])
        async with worker.http as http:
            (await http.get("/api/v1/sandbox/task")).raise_for_status()
            said = await http.post(f"/api/v1/sandbox/task/{task_id}/results", json=DONE)
            said.raise_for_status()


async def dispatch(home: Path, url: str) -> None:
    """One of the processes, until every task is completed. Begins when a line arrives."""
    provider = SharedFolders(home / "plain")
    async with open_house(home, provider=provider, url=url, drives=DRIVES, dispatches=False) as house:
        provider.house = house
        watched = _watch(house)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        house.rooms.chain.dispatch.begin()
        async with asyncio.timeout(PATIENCE):
            while await _left(house):  # noqa: ASYNC110 - what is done elsewhere tells nobody here
                await asyncio.sleep(0.2)
    sys.stdout.write(json.dumps(watched) + "\n")


def _watch(house: House) -> Counter[str]:
    """How often this process was given a task, and how often it came away with nothing although a place and a
    task were there, seen in the very transaction of the claim."""
    claims, watched = house.rooms.work.claims, Counter({"taken": 0, "missed": 0})
    if claims is None:
        raise RuntimeError("nothing is claimed here")
    claim_in = claims.claim_in

    async def watch(session: AsyncSession, *given: Any, **more: Any) -> Claimed | None:
        claimed = await claim_in(session, *given, **more)
        if claimed is not None:
            watched["taken"] += claimed.task.title == TITLE
        else:
            many = (
                select(TaskRow.status, func.count()).where(TaskRow.work.is_not(None)).group_by(TaskRow.status)
            )
            count: dict[str, int] = {row[0]: row[1] for row in await session.execute(many)}
            watched["missed"] += count.get("queued", 0) > 0 and count.get("running", 0) < PLACES
        return claimed

    claims.claim_in = watch
    return watched


async def _left(house: House) -> int:
    """Tasks that are not completed."""
    query = select(func.count()).select_from(TaskRow)
    async with house.db.read() as session:
        return await session.scalar(query.where(TaskRow.title == TITLE, TaskRow.status != "completed")) or 0


async def fill(house: House, tasks: int) -> str:
    """Tickets with so many tasks together; the project, which takes nothing by itself yet."""
    settings: dict[str, Any] = {"commands": {}, "max_concurrent_sandboxes": PLACES}
    project = await house.project(autonomous=False, settings=settings)
    tickets = [await house.ticket(project) for _ in range(TICKETS)]
    for number in range(tasks):
        await house.task(tickets[number % TICKETS], title=TITLE)
    return project


async def measure(home: Path, url: str, tasks: int) -> dict[str, Any]:
    (home / "plain").mkdir()
    async with open_house(home, url=url, dispatches=False) as house:
        project = await fill(house, tasks)
        command = (sys.executable, "-m", "bench.dispatchers", "--home", str(home), "--url", url)
        pipe = asyncio.subprocess.PIPE
        both = [
            await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe) for _ in range(PROCESSES)
        ]
        for child in both:
            if child.stdout is None or await child.stdout.readline() != b"ready\n":
                raise RuntimeError("a dispatcher could not begin")
        await house.ask("PATCH", f"/projects/{project}", json={"autonomous": True})
        begun = time.perf_counter()
        told = [
            json.loads(out) for out, _ in await asyncio.gather(*(one.communicate(b"go\n") for one in both))
        ]
        seconds = time.perf_counter() - begun
        async with house.db.read() as session:
            mine = select(AttemptRow.task_id).join(TaskRow, TaskRow.id == AttemptRow.task_id)
            claimed = Counter(await session.scalars(mine.where(TaskRow.title == TITLE)))
            others = await session.scalar(select(func.count()).select_from(TaskRow).where(_FOREIGN)) or 0
        claims = [int(one["taken"]) for one in told]
        result: dict[str, Any] = {
            "tasks": tasks,
            "completed": tasks - await _left(house),
            "attempts": claimed.total(),
            "claims": claims,
            "without_model": others,
            "missed": sum(one["missed"] for one in told),
            "seconds": round(seconds, 1),
            "per_second": round(tasks / seconds, 1),
        }
    is_right = result["completed"] == result["attempts"] == sum(claims) == tasks
    is_right = is_right and not result["missed"] and not others
    return result | {"status": "passed" if is_right else "failed"}


_FOREIGN = (TaskRow.title != TITLE) & (TaskRow.attempt > 0)
"""Work for agents, which nobody here is able to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dispatchers")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--home", type=Path, help="of the installation whose tasks this process does")
    parser.add_argument("--url", help="of its database")
    asked = parser.parse_args()
    if asked.home is not None:
        asyncio.run(dispatch(asked.home, asked.url))
        return 0
    server = PostgresServer.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = server.url(server.create_database())
            result = asyncio.run(measure(Path(folder), url, asked.tasks))
    finally:
        server.close()
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["status"] == "passed" else 1


if __name__ == "__main__":
    raise SystemExit(main())
