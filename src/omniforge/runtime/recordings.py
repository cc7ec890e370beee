"""What a model did in a test, kept so that a dry run of the same skill and input can show it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.errors import Fatal, OmniForgeError
from omniforge.core.redaction import redact
from omniforge.db import Base, Database
from omniforge.engine.active import Fenced, NotWritten
from omniforge.integrations.samples import SampleShape
from omniforge.runtime.bridge import SkillBridge
from omniforge.runtime.tools.protocol import Json

MAX_BYTES = 1_048_576


class RecordingRow(Base):
    """The newest recording of one skill content with one input."""

    __tablename__ = "model_recordings"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    skill_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    input_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    transcript: Mapped[str] = mapped_column(Text)
    """JSON: `{"calls": [{"tool", "args", "ok"}], "answer": {…}, "model"}`."""
    recorded_at: Mapped[datetime]


class NotSimulated(Fatal):
    """A dry run has no way to show this: no model is asked in it, and nothing that fits was recorded."""

    code = "not_simulated"

    @classmethod
    def of(cls, skill: str, why: str = "A dry run asks none") -> NotSimulated:
        return cls(
            f"The skill {skill} is followed by a language model. {why}, so this step was not tried; "
            "a preview shows what it does.",
            skill=skill,
        )


@dataclass(frozen=True, slots=True)
class Recordings:
    """Of one tenant and one skill content with one input."""

    db: Database
    tenant_id: str
    skill_hash: str
    input_hash: str

    @classmethod
    def of(cls, db: Database, tenant_id: str, skill_hash: str, given: Any) -> Recordings:
        text = json.dumps(given, sort_keys=True, ensure_ascii=True, default=str)
        return cls(db, tenant_id, skill_hash, hashlib.sha256(text.encode()).hexdigest())

    async def keep(self, calls: list[Json], answer: Json, model: str, now: datetime) -> None:
        """Too long ones are not kept."""
        text = json.dumps(redact({"calls": calls, "answer": answer, "model": model}), default=str)
        if len(text) > MAX_BYTES:
            return
        row = RecordingRow(
            tenant_id=self.tenant_id,
            skill_hash=self.skill_hash,
            input_hash=self.input_hash,
            transcript=text,
            recorded_at=now,
        )
        async with self.db.transaction() as session:
            await session.merge(row)

    async def find(self) -> tuple[Json, datetime] | None:
        async with self.db.read() as session:
            row = await session.get(RecordingRow, (self.tenant_id, self.skill_hash, self.input_hash))
        return None if row is None else (json.loads(row.transcript), row.recorded_at)


async def replay(bridge: SkillBridge, transcript: Json) -> Json:
    """Make the recorded calls again, on sample data and by the same path; gives the recorded answer.

    What the model would have made of other data nobody knows: those end the step.
    """
    rehearsal = bridge.rehearsal
    if rehearsal is not None and rehearsal.shape is not SampleShape.FULL:
        raise NotSimulated.of(bridge.skill, "What it does with other data was not recorded")
    for entry in transcript["calls"]:
        tool = bridge.tools.get(str(entry["tool"]))
        if tool is None:
            raise NotSimulated.of(bridge.skill, f"{entry['tool']} is not there any more")
        try:
            await bridge.use(tool, entry["args"], bridge.skill, bridge.policy)
        except (Fenced, NotWritten):
            raise
        except OmniForgeError as error:
            if not entry["ok"]:
                continue
            if rehearsal is not None and rehearsal.fault is not None:
                raise
            raise NotSimulated.of(
                bridge.skill, f"Its recording does not fit the sample data: {error.message}"
            ) from error
    return transcript["answer"]
