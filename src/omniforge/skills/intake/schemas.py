"""Wire shapes of what is imported."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from omniforge.core.errors import Invalid
from omniforge.core.paging import Paging
from omniforge.skills.document import SKILL_FILE
from omniforge.skills.findings import Weight
from omniforge.skills.intake.store import ImportRow, ImportStatus
from omniforge.skills.provenance import ProvenanceRow
from omniforge.skills.schemas import DiagnosticView, Scope, SkillFile

_AgentId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Owner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scope: Scope = Scope.TENANT
    agent_id: _AgentId | None = None

    @model_validator(mode="after")
    def check_owner(self) -> Self:
        if (self.scope is Scope.AGENT) != (self.agent_id is not None):
            raise ValueError("scope agent needs an agent_id, scope tenant has none")
        return self


class ImportRequest(_Owner):
    """One of: `content` (a SKILL.md, with `files`), or `archive` (a zip or tar in base64)."""

    content: Annotated[str | None, StringConstraints(max_length=1_048_576)] = None
    files: Annotated[list[SkillFile], Field(max_length=2_000)] = Field(default_factory=list[SkillFile])
    archive: Annotated[str | None, StringConstraints(max_length=28_000_000)] = None
    label: str = Field(default="", max_length=300)

    @model_validator(mode="after")
    def check_one(self) -> Self:
        if (self.content is None) == (self.archive is None):
            raise ValueError("give either content or archive")
        return self

    def source(self) -> bytes | dict[str, bytes]:
        if self.archive is not None:
            try:
                return base64.b64decode(self.archive, validate=True)
            except (binascii.Error, ValueError):
                field = {"field": "archive", "value": None, "rule": "base64"}
                raise Invalid("The archive is not base64.", fields=[field]) from None
        content = (self.content or "").encode()
        if not self.files:
            return content
        return {**{file.path: file.data() for file in self.files}, SKILL_FILE: content}


class ImportedSkill(BaseModel):
    """`foreign`: what the file says of itself (author, licence, schedule …): shown, never obeyed."""

    name: str
    agent_id: str | None
    status: ImportStatus
    description: str
    hash: str
    label: str
    diagnostics: list[DiagnosticView]
    findings: list[dict[str, Any]]
    foreign: dict[str, Any]
    needs_care: bool
    created_at: datetime

    @classmethod
    def of(cls, row: ImportRow) -> Self:
        return cls(
            name=row.name,
            agent_id=row.agent_id or None,
            status=ImportStatus(row.status),
            description=row.description,
            hash=row.content_hash,
            label=row.label,
            diagnostics=[DiagnosticView.model_validate(item) for item in row.diagnostics],
            findings=row.findings,
            foreign=row.foreign,
            needs_care=any(item.get("weight") == Weight.HIGH.value for item in row.findings),
            created_at=row.created_at,
        )


class ImportedList(BaseModel):
    skills: list[ImportedSkill]
    total: int
    limit: int
    offset: int


class Imported(BaseModel):
    """`diagnostics` are those of all skills together."""

    skills: list[ImportedSkill]
    diagnostics: list[DiagnosticView]


class ImportedDetail(ImportedSkill):
    files: list[SkillFile]


class ReleaseRequest(_Owner):
    """`hash`: what was looked at. `replace`: also where there is a skill of that name."""

    hash: _Hash | None = None
    replace: bool = False


class OwnerQuery(_Owner):
    pass


class ImportQuery(Paging):
    status: ImportStatus = ImportStatus.QUARANTINED


class OriginView(BaseModel):
    """`changed`: whether it was changed here since it came."""

    kind: Literal["own", "imported", "derived"]
    facts: dict[str, Any]
    changed: bool
    noted_at: datetime | None

    @classmethod
    def of(cls, row: ProvenanceRow | None, current_hash: str) -> Self:
        if row is None:
            return cls(kind="own", facts={}, changed=False, noted_at=None)
        facts = {key: value for key, value in row.facts.items() if key != "kind"}
        kind = "derived" if row.facts.get("kind") == "derived" else "imported"
        changed = row.content_hash != current_hash
        return cls(kind=kind, facts=facts, changed=changed, noted_at=row.noted_at)
