"""Wire shapes of skills."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from omniforge.core.errors import Invalid
from omniforge.core.paging import Paging
from omniforge.skills.admission import Origin
from omniforge.skills.document import SKILL_FILE, Diagnostic, ExportForm, Profile, Reason, Severity
from omniforge.skills.resolver import RootKind
from omniforge.skills.service import StoredSkill

_Content = Annotated[str, StringConstraints(max_length=1_048_576)]
_Path = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_AgentId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Scope(StrEnum):
    """Whose skill it is: one agent's, or the whole tenant's."""

    AGENT = "agent"
    TENANT = "tenant"


class DiagnosticView(BaseModel):
    code: str
    field: str
    line: int
    message: str
    severity: Severity

    @classmethod
    def of(cls, item: Diagnostic) -> Self:
        return cls(
            code=item.code, field=item.field, line=item.line, message=item.message, severity=item.severity
        )


class SkillFile(BaseModel):
    """A further file of the folder; bytes that are not text travel as base64."""

    model_config = ConfigDict(extra="forbid")

    path: _Path
    content: str
    encoding: Literal["utf-8", "base64"] = "utf-8"

    @classmethod
    def of(cls, path: str, data: bytes) -> Self:
        try:
            return cls(path=path, content=data.decode("utf-8"))
        except UnicodeDecodeError:
            return cls(path=path, content=base64.b64encode(data).decode(), encoding="base64")

    def data(self) -> bytes:
        if self.encoding == "utf-8":
            return self.content.encode("utf-8")
        try:
            return base64.b64decode(self.content, validate=True)
        except (binascii.Error, ValueError):
            field = {"field": f"files[{self.path}].content", "value": None, "rule": "base64"}
            raise Invalid(f"The content of {self.path} is not base64.", fields=[field]) from None


class SkillView(BaseModel):
    name: str
    description: str
    root: RootKind
    agent_id: str | None
    origin: Origin
    tags: list[str]
    hash: str
    version: int | None
    updated_at: datetime | None
    diagnostics: list[DiagnosticView]

    @classmethod
    def of(cls, skill: StoredSkill) -> Self:
        return cls.model_validate(cls.values(skill))

    @staticmethod
    def values(skill: StoredSkill) -> dict[str, object]:
        return {
            "name": skill.name,
            "description": skill.description,
            "root": skill.root,
            "agent_id": skill.agent_id,
            "origin": skill.origin,
            "tags": list(skill.tags),
            "hash": skill.hash,
            "version": skill.version,
            "updated_at": skill.updated_at,
            "diagnostics": [DiagnosticView.of(item) for item in skill.diagnostics],
        }


class SkillDetail(SkillView):
    """With SKILL.md as `content` (undecodable bytes replaced) and the other files."""

    content: str
    files: list[SkillFile]

    @classmethod
    def of(cls, skill: StoredSkill) -> Self:
        others = [SkillFile.of(path, data) for path, data in skill.files.items() if path != SKILL_FILE]
        content = skill.files[SKILL_FILE].decode("utf-8", "replace")
        return cls.model_validate({**cls.values(skill), "content": content, "files": others})


class SkillList(BaseModel):
    skills: list[SkillView]
    total: int
    limit: int
    offset: int


class SkillQuery(Paging):
    root: RootKind | None = None
    agent_id: _AgentId | None = None
    search: Annotated[str | None, Field(max_length=200)] = None


class _Owner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scope: Scope
    agent_id: _AgentId | None = None

    @model_validator(mode="after")
    def check_owner(self) -> Self:
        if (self.scope is Scope.AGENT) != (self.agent_id is not None):
            raise ValueError("scope agent needs an agent_id, scope tenant has none")
        return self


class SkillLookup(BaseModel):
    """Without a scope: whatever the name means for this agent, or for the tenant."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope | None = None
    agent_id: _AgentId | None = None

    @model_validator(mode="after")
    def check_owner(self) -> Self:
        if self.scope is not None and (self.scope is Scope.AGENT) != (self.agent_id is not None):
            raise ValueError("scope agent needs an agent_id, scope tenant has none")
        return self


class ExportQuery(SkillLookup):
    profile: ExportForm = ExportForm.ORIGINAL
    format: Literal["md", "zip"] = "md"


class DeleteQuery(_Owner):
    expected_hash: _Hash | None = None


class SkillCreate(_Owner):
    """The name stands in the content."""

    content: _Content
    files: Annotated[list[SkillFile], Field(max_length=199)] = Field(default_factory=list[SkillFile])


class SkillUpdate(_Owner):
    """Absent `files` stay as they are; a list replaces them all."""

    content: _Content
    files: Annotated[list[SkillFile] | None, Field(max_length=199)] = None
    expected_hash: _Hash | None = None


class ValidateRequest(BaseModel):
    """`files`: paths in the folder, to check references; `folder`: its name, to compare with the field."""

    model_config = ConfigDict(extra="forbid")

    content: _Content
    profile: Profile = Profile.OMNIFORGE
    folder: Annotated[str | None, Field(max_length=200)] = None
    files: Annotated[list[_Path] | None, Field(max_length=200)] = None


class Validation(BaseModel):
    valid: bool
    loadable: bool
    reason: Reason | None
    diagnostics: list[DiagnosticView]


class Deleted(BaseModel):
    success: bool = True
