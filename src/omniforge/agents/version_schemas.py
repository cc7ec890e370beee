"""The wire shapes of an agent's versions, of the difference between two, and of sharing."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field

from omniforge.agents.content import Given, SharingLevel
from omniforge.agents.schemas import Agent

Json = dict[str, Any]


class VersionView(BaseModel):
    version: int
    is_current: bool
    """Whether this is the one that runs."""
    summary: str
    author: str
    author_name: str
    created_at: datetime
    hash: str
    skill_hashes: dict[str, str]
    manifest: list[Json]


class VersionDetail(VersionView):
    snapshot: Json
    """Everything that makes it up: `{content, skill_hashes}`."""


class VersionList(BaseModel):
    versions: list[VersionView]
    total: int
    limit: int
    offset: int


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class SettingChange(BaseModel):
    """One field that differs, by its dotted name; None where it is not set."""

    field: str
    before: Any
    after: Any


class FileChange(BaseModel):
    path: str
    change: Change
    lines: list[str]
    """A unified difference without its header; empty for files that hold no text."""


class SkillChange(BaseModel):
    key: str
    name: str
    change: Change
    files: list[FileChange]


class Difference(BaseModel):
    """What differs from the version `before` to `after`; None stands for an edit that is not switched on."""

    agent_id: str
    before: int
    after: int | None
    settings: list[SettingChange]
    skills: list[SkillChange]


class DiffQuery(Given):
    before: int | None = Field(default=None, alias="from", ge=1)
    """Without one, the version that runs."""
    after: int | None = Field(default=None, alias="to", ge=1)
    """Without one, the edit that waits."""


class RollbackRequest(Given):
    version: int = Field(ge=1)
    expected_version: int | None = None
    reason: str = Field(default="", max_length=200)


class ShareRequest(Given):
    """with: ids, e-mail addresses or names of people of the tenant, or `tenant` for all of them."""

    mode: Literal["team", "template"] = "team"
    level: SharingLevel | None = None
    """`private` takes the sharing back from everybody."""
    with_: list[str] | str = Field(default_factory=list[str], alias="with")

    @property
    def people(self) -> list[str]:
        return [self.with_] if isinstance(self.with_, str) else self.with_


class UnshareRequest(Given):
    with_: list[str] | str = Field(default_factory=list[str], alias="with")
    """Whom to take it from; nobody named means everybody."""

    @property
    def people(self) -> list[str]:
        return [self.with_] if isinstance(self.with_, str) else self.with_


class Copy(BaseModel):
    """A copy somebody was given."""

    agent_id: str
    user_id: str
    name: str
    version: int
    """Of the original, at the time it was copied."""
    status: str
    to_choose: list[Json]
    """What its owner chooses anew: `{skill, path, what}`."""


class Shared(BaseModel):
    agent: Agent
    copies: list[Copy]


class Unshared(BaseModel):
    agent: Agent
    stopped: list[str]
    """Ids of the executions that were ended."""


class Holder(BaseModel):
    """Who uses an agent, and which version of it."""

    user_id: str
    name: str
    how: Literal["owner", "team", "copy"]
    agent_id: str
    version: int
    status: str


class Distribution(BaseModel):
    """Which version who uses. counts: version → people."""

    agent_id: str
    current: int
    holders: list[Holder]
    counts: dict[str, int]
