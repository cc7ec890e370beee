"""Time and ids, in one place so that both can be replaced."""

from __future__ import annotations

import asyncio
import secrets
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
    """An opaque id such as `run_k3v…`: 100 random bits, sortable by nothing on purpose."""
    return f"{prefix}_{secrets.token_hex(10)}"


def rfc3339(moment: datetime) -> str:
    """`2026-11-21T10:00:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_zone() -> str:
    """IANA name of this computer's time zone; UTC when it does not tell."""
    link = Path("/etc/localtime")
    if link.is_symlink():
        _, found, name = str(link.resolve()).rpartition("/zoneinfo/")
        if found and name in available_timezones():
            return name
    return "UTC"
