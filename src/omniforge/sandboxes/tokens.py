"""Tokens of sandboxes: what a worker shows to be heard. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.errors import Unauthenticated
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow

PREFIX = "ofs_"
LIFETIME = timedelta(hours=24)


class Lapsed(StrEnum):
    """Why a token that was good is good no more."""

    EXPIRED = "token_expired"
    REVOKED = "token_revoked"


@dataclass(frozen=True, slots=True)
class WorkerCall:
    """Who calls: the worker of one attempt of one task. `lapsed`: its token holds no more; only what takes
    in results hears it then, to say that it is too late."""

    sandbox: SandboxRow
    tenant_id: str
    task_id: str
    attempt: int
    lapsed: Lapsed | None = None

    @property
    def by(self) -> str:
        return f"sandbox:{self.sandbox.id}"


def new_token() -> str:
    """256 random bits behind a prefix that says what it is."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def find_call(session: AsyncSession, token: str, now: datetime) -> WorkerCall:
    """Whose token this is, also if it has lapsed; Unauthenticated when it is nobody's."""
    given = hash_of(token)
    row = await session.scalar(select(SandboxRow).where(SandboxRow.token_hash == given))
    if row is None or row.task_id is None or row.attempt is None:
        raise Unauthenticated("This is no token of a sandbox.")
    if not hmac.compare_digest(row.token_hash or "", given):
        raise Unauthenticated("This is no token of a sandbox.")
    return WorkerCall(row, row.tenant_id, row.task_id, row.attempt, lapse_of(row, now))


def lapse_of(row: SandboxRow, now: datetime) -> Lapsed | None:
    """Whether the token of this sandbox holds no more, and why."""
    if row.token_revoked_at is not None or row.state not in LIVE_STATES:
        return Lapsed.REVOKED
    if row.token_expires_at is None or row.token_expires_at <= now:
        return Lapsed.EXPIRED
    return None


def refuse(lapsed: Lapsed) -> Unauthenticated:
    """What a worker is told whose token holds no more."""
    match lapsed:
        case Lapsed.EXPIRED:
            message = "The token of this sandbox has expired."
        case Lapsed.REVOKED:
            message = "This attempt counts no more: stop working on it."
    return Unauthenticated(message, code=lapsed.value)
