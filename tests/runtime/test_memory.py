"""What a skill remembers: within bounds, its own agent's only, and nothing in a test."""

from __future__ import annotations

import pytest

from omniforge.core.errors import Invalid
from omniforge.db import Database
from omniforge.runtime import memory
from omniforge.runtime.memory import MemoryRow, SkillMemory


async def fill(database: Database, subject: str, count: int) -> None:
    async with database.transaction() as session:
        session.add_all(
            MemoryRow(tenant_id="default", subject=subject, key=f"k{n}", value="1") for n in range(count)
        )


@pytest.mark.parametrize("scratch", [False, True])
async def test_a_script_cannot_fill_the_disk_or_the_memory(database: Database, scratch: bool) -> None:
    kept = SkillMemory(database, "default", "agent:a", scratch=scratch)
    if scratch:
        for n in range(memory.MAX_KEYS):
            await kept.set(f"k{n}", 1)
    else:
        await fill(database, "agent:a", memory.MAX_KEYS)
    with pytest.raises(Invalid) as refused:
        await kept.set("one more", 1)
    assert refused.value.code == "memory_full"
    assert await kept.get("one more") is None
    await kept.set("k1", 2)  # what is there may still change, and make room
    assert await kept.get("k1") == 2
    await SkillMemory(database, "default", "agent:b", scratch=scratch).set("one more", 1)


async def test_forgetting_makes_room(database: Database) -> None:
    await fill(database, "agent:a", memory.MAX_KEYS)
    kept = SkillMemory(database, "default", "agent:a", scratch=False)
    await kept.delete("k0")
    await kept.set("one more", 1)
    assert (await kept.get("k0"), await kept.get("one more")) == (None, 1)
