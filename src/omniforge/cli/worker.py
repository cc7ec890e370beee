"""`omniforge worker`: a process that drives runs of an installation on PostgreSQL."""

from __future__ import annotations

import asyncio
import signal

from rich.console import Console

from omniforge.core.collector import calm_collector
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid
from omniforge.core.logs import set_up_logs


async def work(settings: Settings, console: Console) -> None:
    """Drive runs until SIGINT or SIGTERM; what is under way then goes on with other workers."""
    from omniforge.bootstrap import Installation, Part  # noqa: PLC0415 - only servers and workers need it

    if settings.database.startswith("sqlite"):
        raise Invalid(
            "Workers need PostgreSQL; on SQLite `omniforge up` drives all runs itself. "
            "`omniforge db move --to postgresql://…` copies an installation.",
            code="needs_postgresql",
        )
    set_up_logs(settings.log_format, settings.log_level)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with Installation.open(settings, part=Part.WORKER):
        calm_collector()
        console.print(f"Driving up to {settings.worker_concurrency} runs at a time. Stop with Ctrl+C")
        await stopped.wait()
