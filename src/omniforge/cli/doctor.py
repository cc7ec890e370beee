"""`omniforge doctor`: what this computer has, what is missing, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

from rich.console import Console

from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.db.migrate import upgrade
from omniforge.sandboxes import open_provider

Check = Callable[[Settings], Awaitable[str]]


async def python(_settings: Settings) -> str:
    return sys.version.split()[0]


async def sandbox(settings: Settings) -> str:
    await open_provider(settings.sandbox_provider, bwrap=settings.bubblewrap).check()
    return "programs of skills run isolated here"


async def data(settings: Settings) -> str:
    db = Database(settings.database)
    try:
        await upgrade(db.url)
    finally:
        await db.close()
    return str(settings.database_url or settings.sqlite_path)


async def master_key(settings: Settings) -> str:
    MasterKeys.from_settings(settings)
    return "credentials are stored encrypted"


async def notion(settings: Settings) -> str:
    if settings.service("notion").client_id is None:
        return "not set up; the README says which three settings it needs"
    return f"set up for {settings.service('notion').base_url or 'api.notion.com'}"


CHECKS: dict[str, Check] = {
    "Python": python,
    "Sandbox": sandbox,
    "Data": data,
    "Master key": master_key,
    "Notion": notion,
}


async def examine(settings: Settings, console: Console) -> int:
    """Run every check; returns the exit code."""
    failed = 0
    for name, check in CHECKS.items():
        try:
            console.print(f"[green]✓[/green] {name}: {await check(settings)}", highlight=False)
        except OmniForgeError as error:
            failed += 1
            console.print(f"[red]✗[/red] {name}: {error.message}", highlight=False)
    return 1 if failed else 0
