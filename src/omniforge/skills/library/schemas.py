"""Wire shapes of the public library."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from omniforge.core.paging import Paging
from omniforge.skills.findings import Finding, Weight
from omniforge.skills.library import semver
from omniforge.skills.library.store import LibraryStatus, PublicSkillRow, PublicVersionRow
from omniforge.skills.schemas import SkillFile

VersionText = Annotated[str, StringConstraints(max_length=24)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
SkillName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
OwnerId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FindingView(BaseModel):
    code: str
    path: str
    line: int
    message: str
    weight: Weight

    @classmethod
    def of(cls, finding: Finding) -> Self:
        return cls.model_validate(finding.as_json())


class PublicSkill(BaseModel):
    """`needs`: what has to be there before it works, in its author's words."""

    id: str
    name: str
    description: str
    author_id: str
    author_name: str
    license: str
    tags: list[str]
    integrations: list[str]
    needs: list[str]
    category: str
    usage_count: int
    rating_avg: float
    rating_count: int
    status: LibraryStatus
    reason: str
    latest_version: str
    created_at: datetime

    @classmethod
    def of(cls, row: PublicSkillRow) -> Self:
        return cls.model_validate(row, from_attributes=True)


class PublicVersion(BaseModel):
    version: str
    hash: str
    changelog: str
    breaking: bool
    breaking_reasons: list[str]
    status: LibraryStatus
    reason: str
    published_at: datetime

    @classmethod
    def of(cls, row: PublicVersionRow) -> Self:
        return cls(
            version=row.version,
            hash=row.content_hash,
            changelog=row.changelog,
            breaking=row.breaking,
            breaking_reasons=row.breaking_reasons,
            status=LibraryStatus(row.status),
            reason=row.reason,
            published_at=row.published_at,
        )


class PublicSkillDetail(PublicSkill):
    versions: list[PublicVersion]


class PublicSkillList(BaseModel):
    skills: list[PublicSkill]
    total: int
    limit: int
    offset: int


class PublicVersionList(BaseModel):
    versions: list[PublicVersion]
    total: int
    limit: int
    offset: int


class LibraryQuery(Paging):
    """`tags`: separated by commas, all of them. `status`: others than approved are one's own tenant's."""

    q: str = Field(default="", max_length=200)
    tags: str = Field(default="", max_length=400)
    integration: str = Field(default="", max_length=32)
    category: str = Field(default="", max_length=40)
    author: str = Field(default="", max_length=200)
    status: LibraryStatus = LibraryStatus.APPROVED


class SkillRef(_Given):
    """A skill that is there: the agent's, or without an agent the tenant's."""

    name: SkillName
    agent_id: OwnerId | None = None


class PublishRequest(_Given):
    """The SKILL.md as `content` with `files`, or a `skill` that is there. `names`: what must not be in it."""

    name: SkillName
    version: VersionText = "1.0.0"
    content: Annotated[str | None, StringConstraints(max_length=1_048_576)] = None
    files: Annotated[list[SkillFile], Field(max_length=199)] = Field(default_factory=list[SkillFile])
    skill: SkillRef | None = None
    changelog: str = Field(default="", max_length=10_000)
    category: Category | None = None
    names: Annotated[list[Label], Field(max_length=200)] = Field(default_factory=list[str])

    @model_validator(mode="after")
    def check_one(self) -> Self:
        if (self.content is None) == (self.skill is None):
            raise ValueError("give either content (with files) or skill")
        if self.skill is not None and self.files:
            raise ValueError("files belong to content; a skill that is there has its own")
        return self

    @field_validator("version")
    @classmethod
    def check_version(cls, text: str) -> str:
        return _version(text)


class Published(PublicSkill):
    """`findings` are remarks; what must not be published was refused. `anonymised`: files made blank."""

    version: PublicVersion
    findings: list[FindingView]
    anonymised: list[str]


class Decision(_Given):
    """`version`: without one, the highest that waits."""

    reason: str = Field(default="", max_length=500)
    version: VersionText | None = None


class RatingRequest(_Given):
    rating: int = Field(ge=0, le=5)


class DeriveRequest(_Given):
    """Where the copy goes, and what it is called there."""

    agent_id: OwnerId | None = None
    version: str = Field(default="latest", max_length=24)
    name: SkillName | None = None


class Derived(BaseModel):
    name: str
    agent_id: str | None
    hash: str
    derived_from: dict[str, Any]


class Download(BaseModel):
    """A version with its bytes; `hash` is over all paths and bytes."""

    name: str
    version: str
    hash: str
    author_name: str
    license: str
    files: list[SkillFile]


class Offer(BaseModel):
    """Versions above the one in use, lowest first. `breaking`: taking the newest may need changes."""

    name: str
    current: str
    newest: str
    breaking: bool
    versions: list[PublicVersion]


class Suggestion(BaseModel):
    """A public skill that may do what somebody wants, with what it takes to use it."""

    name: str
    version: str
    description: str
    author: str
    uses: int
    rating: float | None
    integrations: list[str]
    needs: list[str]


def _version(text: str) -> str:
    try:
        return str(semver.parse(text))
    except semver.Invalid as error:
        raise ValueError(error.message) from None
