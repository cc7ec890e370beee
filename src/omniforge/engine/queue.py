"""The job queue: procrastinate's worker of this process, and its watch over the jobs of workers that died."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from psycopg import AsyncConnection
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from omniforge.core.errors import OmniForgeError
from omniforge.engine.places import DRIVE, QUEUE, WAKE

log = logging.getLogger(__name__)

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""When a job that lost its worker is due: long ago by any clock."""
LOOK_EVERY = 1.0
"""Seconds between two looks for jobs whose announcement was missed, or whose time has come."""
CANCEL_AGAIN = 5.0
"""Seconds that what is cancelled may take to leave before it is told again."""
RESTART_DELAY = 1.0
FOREIGN_JOB_DELAY = 2.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Seconds between two signs of life of a worker; silence after which its runs are taken over.

    leaving: how long a worker that is told to stop lets its runs go on before it leaves them to the others.
    """

    every: float = 5.0
    stalled_after: float = 20.0
    leaving: float = 5.0


class _Again(procrastinate.BaseRetryStrategy):
    """A job ends when its run is over or parked, and by nothing else."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision:
        return procrastinate.RetryDecision(retry_at=AT_ONCE)


async def _without_transactions(connection: AsyncConnection[Any]) -> None:
    """Everything the queue does is one statement."""
    await connection.set_autocommit(True)


class Queue:
    """Works on the jobs of the queue. `drive` drives a run, `wake` lines one up whose time has come."""

    def __init__(
        self,
        url: URL,
        drive: Callable[[str, str], Awaitable[bool]],
        wake: Callable[[str, str, str], Awaitable[None]],
        repair: Callable[[], Awaitable[None]],
        *,
        concurrency: int,
        heartbeat: Heartbeat,
    ) -> None:
        self.concurrency = concurrency
        self.heartbeat = heartbeat
        self._drive = drive
        self._wake = wake
        self._repair = repair
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=conninfo,
                min_size=1,
                max_size=4,
                configure=_without_transactions,
                kwargs={"application_name": "omniforge worker"},
            )
        )
        self.app.task(name=DRIVE, queue=QUEUE, pass_context=True, retry=_Again())(self._drive_run)
        self.app.task(name=WAKE, queue=QUEUE, retry=_Again())(self._wake_run)

    async def open(self) -> None:
        await self.app.open_async()
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._watch())]

    async def close(self) -> None:
        """Stop fetching; runs that do not end soon are left to other workers, as after a crash."""
        self._closing, left = True, set(self._tasks)
        while left:  # what is cancelled inside a query may lose its cancellation there
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=self.heartbeat.leaving + CANCEL_AGAIN)
        self._tasks.clear()
        await self.app.close_async()

    async def _work(self) -> None:
        while not self._closing:
            try:
                await self.app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=self.concurrency,
                    install_signal_handlers=False,
                    delete_jobs="always",
                    fetch_job_polling_interval=min(LOOK_EVERY, self.heartbeat.every),
                    update_heartbeat_interval=self.heartbeat.every,
                    stalled_worker_timeout=self.heartbeat.stalled_after,
                    shutdown_graceful_timeout=self.heartbeat.leaving,
                )
            except ConnectorException as error:
                log.warning("the worker lost the database; starting again: %s", error)
            except Exception:
                # The path ends here: a fault of the queue must not end the worker.
                log.exception("the worker stopped unexpectedly; starting again")
            await asyncio.sleep(RESTART_DELAY)

    async def _watch(self) -> None:
        """Take over the jobs of workers that gave no sign of life. Every worker does this."""
        while not self._closing:
            try:
                await self.take_over()
                await self._repair()
            except (ConnectorException, SQLAlchemyError, OmniForgeError) as error:
                log.warning("could not look after other workers' runs: %s", error)
            await asyncio.sleep(self.heartbeat.every * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret

    async def take_over(self) -> int:
        """Put jobs of dead workers back into the queue; how many those were."""
        manager = self.app.job_manager
        jobs = await manager.get_stalled_jobs(
            queue=QUEUE, seconds_since_heartbeat=self.heartbeat.stalled_after
        )
        taken = 0
        for job in jobs:
            with suppress(ConnectorException):  # another worker was faster
                await manager.retry_job(job, retry_at=AT_ONCE)
                taken += 1
        if taken:
            log.warning("%d runs of workers that gave no sign of life go on with others", taken)
        return taken

    async def _drive_run(self, context: procrastinate.JobContext, run_id: str, tenant_id: str) -> None:
        if not await self._drive(run_id, tenant_id):
            await self._outlive(context.job)

    async def _outlive(self, job: Job) -> None:
        """Wait until a job that another worker took over is gone: ending it here would end it there."""
        ours = (job.status, job.worker_id, job.attempts)
        while True:
            found = list(await self.app.job_manager.list_jobs_async(id=job.id))
            if not found or (found[0].status, found[0].worker_id, found[0].attempts) == ours:
                return
            await asyncio.sleep(FOREIGN_JOB_DELAY)

    async def _wake_run(self, run_id: str, tenant_id: str, wake_at: str) -> None:
        await self._wake(run_id, tenant_id, wake_at)
