"""Requests that are to happen once: what was answered under a key of the caller, kept for a day."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, LargeBinary, String, delete
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Conflict
from omniforge.db import Base, Database
from omniforge.tenants.secrets import SecretBox

KEPT = timedelta(hours=24)


class OnceRow(Base):
    """A request by its caller, address and key. Without an answer while it is under way. The answer is
    sealed: some hold a secret that is told once."""

    __tablename__ = "idempotency_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(Integer)
    media_type: Mapped[str] = mapped_column(String(100), default="")
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    media_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request under a key. `id` is the same for the same caller, address and key."""

    tenant_id: str
    id: str
    request_hash: str

    @classmethod
    def of(cls, actor: Actor, address: str, key: str, body: bytes) -> Asked:
        named = "\n".join((actor.tenant_id, actor.by, address, key))
        content = f"{address}\n".encode() + _canonical(body)
        return cls(actor.tenant_id, _hash(named.encode()), _hash(content))


class Once:
    """The requests of one installation that are to happen once."""

    def __init__(self, db: Database, secrets: SecretBox, clock: Clock) -> None:
        self.db, self.secrets, self.clock = db, secrets, clock
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextmanager
    def turn(self, asked: Asked) -> Generator[asyncio.Lock]:
        """The lock under which requests with one key take turns in this process."""
        lock, users = self._turns.get(asked.id, (asyncio.Lock(), 0))
        self._turns[asked.id] = (lock, users + 1)
        try:
            yield lock
        finally:
            lock, users = self._turns.pop(asked.id)
            if users > 1:
                self._turns[asked.id] = (lock, users - 1)

    async def begin(self, asked: Asked) -> Answer | None:
        """What was answered before; None: it has not happened, and is under way from now on.

        Conflict for another request under the same key, and for one whose end nobody knows.
        """
        now = self.clock.now()
        async with self.db.transaction() as session:
            await session.execute(delete(OnceRow).where(OnceRow.created_at < now - KEPT))
            row = await session.get(OnceRow, asked.id)
            if row is None:
                session.add(
                    OnceRow(
                        id=asked.id,
                        tenant_id=asked.tenant_id,
                        request_hash=asked.request_hash,
                        created_at=now,
                    )
                )
                return None
            if row.request_hash != asked.request_hash:
                message = "This Idempotency-Key was used for another request; take a key of its own."
                raise Conflict(message, code="version_conflict")
            if row.status is None or row.body is None:
                message = (
                    "A request with this Idempotency-Key was not answered yet; look whether it was done."
                )
                raise Conflict(message, code="version_conflict", since=row.created_at.isoformat())
            place = (asked.tenant_id, OnceRow.__tablename__, asked.id, "body")
            return Answer(row.status, row.media_type, await self.secrets.open(session, *place, row.body))

    async def keep(self, asked: Asked, answer: Answer) -> None:
        async with self.db.transaction() as session:
            row = await session.get_one(OnceRow, asked.id)
            row.status, row.media_type = answer.status, answer.media_type
            place = (asked.tenant_id, OnceRow.__tablename__, asked.id, "body")
            row.body = await self.secrets.seal(session, *place, answer.body)

    async def forget(self, asked: Asked) -> None:
        """It was refused and changed nothing: the same key may try again."""
        async with self.db.transaction() as session:
            await session.execute(delete(OnceRow).where(OnceRow.id == asked.id))


def _canonical(body: bytes) -> bytes:
    """The same data in another spelling are the same request."""
    try:
        told: Any = json.loads(body)
    except ValueError:
        return body
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
