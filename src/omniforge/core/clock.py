"""Time and ids, in one place so that both can be replaced."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import available_timezones


class Clock(Protocol):
    def now(self) -> datetime:
        """The present as an aware UTC time."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def new_id(prefix: str) -> str:
    """An id such as `run_019aa…`: milliseconds of the machine's clock, then 64 random bits.

    As in a version 7 UUID (RFC 9562): what is made together lies together in every index.
    """
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"


def rfc3339(moment: datetime) -> str:
    """`2026-11-21T10:00:00.123Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def local_zone() -> str:
    """IANA name of this computer's time zone; UTC when it does not tell."""
    link = Path("/etc/localtime")
    if link.is_symlink():
        _, found, name = str(link.resolve()).rpartition("/zoneinfo/")
        if found and name in available_timezones():
            return name
    return "UTC"
