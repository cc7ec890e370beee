"""Tables that only an installation on PostgreSQL fills: what processes on several machines share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base, UtcDateTime


class PlaceRow(Base):
    """A run that is to be driven. `granted`: it has a job; `again`: somebody asked while it was driven."""

    __tablename__ = "run_places"
    __table_args__ = (Index("ix_run_places_line", "tenant_id", "granted", "priority", "position"),)

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(BigInteger)
    granted: Mapped[bool] = mapped_column(Boolean)
    again: Mapped[bool] = mapped_column(Boolean)


class WriterRow(Base):
    """The last batch each writer committed, with the answers (JSON) for when the reply did not arrive."""

    __tablename__ = "journal_writers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    batch: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    answers: Mapped[str | None] = mapped_column(Text)


class ArtifactRow(Base):
    """What is too large for a run's row, once per tenant under its SHA-256, reachable from every machine."""

    __tablename__ = "artifacts"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
