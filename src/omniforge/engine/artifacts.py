"""Content-addressed bytes: what is too large for a row, kept once per tenant under its SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.engine.postgres_tables import ArtifactRow

_NAME = re.compile(r"[0-9a-f]{64}")


class ArtifactStore(Protocol):
    """Where the bytes are kept."""

    async def put(self, tenant_id: str, data: bytes) -> str:
        """Store bytes durably; returns their SHA-256. The same bytes are stored once."""
        ...

    async def get(self, tenant_id: str, sha256: str) -> bytes:
        """The bytes, checked against their name. `NotFound` when they are not there, or damaged."""
        ...


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """Files below `root`, each tenant's in a folder of its own."""

    root: Path

    async def put(self, tenant_id: str, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        await asyncio.to_thread(self._write, self._path(tenant_id, digest), data)
        return digest

    async def get(self, tenant_id: str, sha256: str) -> bytes:
        path = self._path(tenant_id, sha256)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise NotFound("There is no such file.", sha256=sha256) from error
        return _checked(data, sha256)

    def _path(self, tenant_id: str, sha256: str) -> Path:
        if not _NAME.fullmatch(sha256):
            raise NotFound("There is no such file.", sha256=sha256)
        folder = hashlib.sha256(tenant_id.encode()).hexdigest()[:16]
        return self.root / folder / sha256[:2] / sha256

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@dataclass(frozen=True, slots=True)
class ArtifactTable:
    """A table of the database that all machines share (PostgreSQL)."""

    db: Database

    async def put(self, tenant_id: str, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        row = insert(ArtifactRow).values(tenant_id=tenant_id, sha256=digest, data=data)
        async with self.db.engine.begin() as connection:
            await connection.execute(row.on_conflict_do_nothing())
        return digest

    async def get(self, tenant_id: str, sha256: str) -> bytes:
        query = select(ArtifactRow.data).where(
            ArtifactRow.tenant_id == tenant_id, ArtifactRow.sha256 == sha256
        )
        async with self.db.read() as session:
            data = await session.scalar(query)
        if data is None:
            raise NotFound("There is no such file.", sha256=sha256)
        return _checked(data, sha256)


def _checked(data: bytes, sha256: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NotFound("This file is damaged.", code="artifact_damaged", sha256=sha256)
    return data
