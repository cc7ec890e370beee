"""Content-addressed files: what is too large for a row, kept once under its SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from omniforge.core.errors import NotFound

_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """Files below `root`, each tenant's in a folder of its own."""

    root: Path

    async def put(self, tenant_id: str, data: bytes) -> str:
        """Store bytes durably; returns their SHA-256. The same bytes are stored once."""
        digest = hashlib.sha256(data).hexdigest()
        await asyncio.to_thread(self._write, self._path(tenant_id, digest), data)
        return digest

    async def get(self, tenant_id: str, sha256: str) -> bytes:
        """The bytes, checked against their name."""
        path = self._path(tenant_id, sha256)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise NotFound("There is no such file.", sha256=sha256) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise NotFound("This file is damaged.", code="artifact_damaged", sha256=sha256)
        return data

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
