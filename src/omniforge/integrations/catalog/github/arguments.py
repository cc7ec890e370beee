"""What the tools are told: the arguments of each, checked before anything is sent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from omniforge.integrations.catalog.github.shapes import repository_name
from omniforge.integrations.manifest import Mark

MOST = 10_000
"""Most things one question reads."""


def _path(given: str) -> str:
    parts = given.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\x00" in given or parts[0].casefold() == ".git":
        raise ValueError("a path inside the repository, such as docs/notes.md")
    return given


Repository = Annotated[
    str,
    StringConstraints(max_length=400),
    AfterValidator(repository_name),
    Field(description="owner/name, or the repository's address."),
]
Number = Annotated[int, Field(ge=1, le=2**31, description="Number of the issue or pull request.")]
Path = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_path)]
Branch = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=r"^[^\s~^:?*\[\\]+$")]
Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Text = Annotated[str, StringConstraints(max_length=65_000)]
SetMark = Annotated[Mark | None, Field(description="Idempotency mark to find it by.")]
After = Annotated[AwareDatetime | None, Field(description="Included.")]
Before = Annotated[AwareDatetime | None, Field(description="Excluded.")]
Limit = Annotated[int, Field(ge=1, le=MOST)]
Direction = Literal["ascending", "descending"]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(_Arguments):
    """No arguments."""


class ListRepositories(_Arguments):
    search: str | None = Field(default=None, max_length=200, description="Part of the name.")


class OneRepository(_Arguments):
    repository: Repository


class _Window(OneRepository):
    created_after: After = None
    created_before: Before = None
    updated_after: After = None
    updated_before: Before = None
    closed_after: After = None
    closed_before: Before = None
    labels: list[Name] = Field(default_factory=list[str], max_length=20, description="All of these.")
    author: Login | None = None
    assignee: Login | None = None
    sort: Literal["updated", "created"] = "updated"
    direction: Direction = "descending"
    limit: Limit = MOST


class ListIssues(_Window):
    state: Literal["open", "closed", "all"] = "all"
    milestone: Name | None = Field(default=None, description="Title of the milestone.")


class ListPullRequests(_Window):
    state: Literal["open", "closed", "merged", "all"] = "all"
    merged_after: After = None
    merged_before: Before = None
    base: Branch | None = Field(default=None, description="Branch it is to go into.")


class ListCommits(OneRepository):
    branch: Branch | None = Field(default=None, description="The default branch when none is named.")
    path: Path | None = None
    author: Name | None = Field(default=None, description="Login or e-mail address.")
    after: After = None
    before: Before = None
    limit: Limit = MOST


class ListReleases(OneRepository):
    published_after: After = None
    published_before: Before = None
    drafts: bool = Field(default=False, description="Whether drafts are listed too.")
    prereleases: bool = True
    limit: Limit = MOST


class OneNumber(OneRepository):
    number: Number


class OneFile(OneRepository):
    path: Path
    branch: Branch | None = None


class CreateIssue(OneRepository):
    title: Title
    text: Text | None = Field(default=None, description="Markdown.")
    labels: list[Name] = Field(default_factory=list[str], max_length=50)
    assignees: list[Login] = Field(default_factory=list[str], max_length=10)
    milestone: Name | None = Field(default=None, description="Title of an open milestone.")
    mark: SetMark = None


class AddComment(OneNumber):
    text: Annotated[Text, StringConstraints(min_length=1)] = Field(description="Markdown.")
    mark: SetMark = None


class UpdateIssue(OneNumber):
    title: Title | None = None
    text: Text | None = Field(default=None, description="Markdown; replaces the whole text.")
    labels: list[Name] | None = Field(default=None, max_length=50, description="Replaces all labels.")
    assignees: list[Login] | None = Field(default=None, max_length=10, description="Replaces all of them.")
    state: Literal["open", "closed"] | None = None
    state_reason: Literal["completed", "not_planned", "reopened"] | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> UpdateIssue:
        if not self.changes:
            raise ValueError("say what to change: title, text, labels, assignees or state")
        return self

    @property
    def changes(self) -> dict[str, object]:
        return self.model_dump(exclude={"repository", "number"}, exclude_none=True)


class WriteFile(OneRepository):
    path: Path
    content: str = Field(max_length=1_000_000)
    message: str = Field(min_length=1, max_length=5000, description="Commit message.")
    branch: Branch | None = Field(default=None, description="The default branch when none is named.")
    expected_sha: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{40}$", description="As read; refused when the file changed since."
    )
    mark: SetMark = None


class DraftRelease(OneRepository):
    tag: Branch
    name: Title | None = None
    text: Text | None = Field(default=None, description="Markdown.")
    target: Branch | None = Field(default=None, description="Branch or commit; the default branch when none.")
    prerelease: bool = False
    mark: SetMark = None


class FindMarked(OneRepository):
    mark: Mark


class FindComment(OneNumber):
    mark: Mark


class FindWrittenFile(OneFile):
    mark: Mark
