"""What a skill remembers between runs: small JSON values per subject (agent) and key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, String, Text, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.errors import Invalid
from omniforge.db import Base, Database

MAX_VALUE = 65_536
MAX_KEYS = 1_000
"""Values of one subject, so that a script cannot fill the disk."""


class MemoryRow(Base):
    """One remembered value."""

    __tablename__ = "skill_memory"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject: Mapped[str] = mapped_column(String(160), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


_FORGOTTEN = object()


@dataclass(slots=True)
class SkillMemory:
    """Values of one subject. A test works on a scratch copy: it sees what is stored and stores nothing."""

    db: Database
    tenant_id: str
    subject: str
    scratch: bool
    _kept: dict[str, Any] = field(default_factory=dict[str, Any])

    async def get(self, key: str) -> Any:
        """The value, or None."""
        if key in self._kept:
            kept = self._kept[key]
            return None if kept is _FORGOTTEN else kept
        async with self.db.read() as session:
            row = await session.get(MemoryRow, (self.tenant_id, self.subject, key))
            return None if row is None else json.loads(row.value)

    async def set(self, key: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False)
        if len(text.encode()) > MAX_VALUE:
            raise Invalid(f"A remembered value has at most {MAX_VALUE} bytes.", code="too_large")
        if self.scratch:
            if key not in self._kept and len(self._kept) >= MAX_KEYS:
                raise _full()
            self._kept[key] = value
            return
        async with self.db.transaction() as session:
            row = MemoryRow(tenant_id=self.tenant_id, subject=self.subject, key=key, value=text)
            await session.merge(row)
            await session.flush()
            kept = await session.scalar(select(func.count()).where(*self._mine()))
            if (kept or 0) > MAX_KEYS:
                raise _full()

    async def delete(self, key: str) -> None:
        if self.scratch:
            self._kept[key] = _FORGOTTEN
            return
        async with self.db.transaction() as session:
            await session.execute(delete(MemoryRow).where(*self._mine(), MemoryRow.key == key))

    def _mine(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return MemoryRow.tenant_id == self.tenant_id, MemoryRow.subject == self.subject


def _full() -> Invalid:
    return Invalid(f"At most {MAX_KEYS} values are remembered; delete some first.", code="memory_full")
