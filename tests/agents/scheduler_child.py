"""A process whose scheduler fires what is due when a line arrives. Arguments: database, home, moment."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from tests.agents.conftest import House, TurnableClock

from omniforge.agents.triggers import Scheduler
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.db import Database
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key


async def main(url: str, home: Path, moment: datetime) -> None:
    database, clock, settings = Database(url), TurnableClock(moment), Settings(home=home)
    box = SecretBox(MasterKeys.from_settings(settings))
    tenants = TenantService(database, settings, clock, box, load_jwt_key(settings))
    house = House(database, home, clock, tenants, settings)
    await house.engine.open()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    failed = await Scheduler(house.agents, clock).fire_due()
    await house.engine.close()
    await database.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3])))
