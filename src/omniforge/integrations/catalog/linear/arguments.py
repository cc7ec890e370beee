"""What the tools of Linear take."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.integrations.catalog.linear.client import MOST
from omniforge.integrations.manifest import Mark

Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Priority = Literal["urgent", "high", "medium", "low", "none"]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(_Arguments):
    """No arguments."""


class Search(_Arguments):
    search: str | None = Field(default=None, max_length=200, description="Part of the name.")


class OneTeam(_Arguments):
    team_id: Name = Field(description="Id, key (ENG) or name.")


class OneProject(_Arguments):
    project_id: Name = Field(description="Id or name.")


class ReadIssues(_Arguments):
    team_id: Name | None = Field(default=None, description="Id, key (ENG) or name.")
    project_id: Name | None = Field(default=None, description="Id or name.")
    states: list[Name] = Field(
        default_factory=list[str],
        max_length=20,
        description="Any of these: names, open, closed, backlog, unstarted, started, completed, canceled.",
    )
    assignee: Name | None = Field(default=None, description="Name, e-mail address, id, me, or nobody.")
    labels: list[Name] = Field(default_factory=list[str], max_length=20, description="Any of these.")
    priorities: list[Priority] = Field(default_factory=list[Priority], max_length=5)
    search: str | None = Field(default=None, max_length=200, description="Part of the title.")
    updated_after: AwareDatetime | None = Field(default=None, description="Included.")
    updated_before: AwareDatetime | None = Field(default=None, description="Excluded.")
    created_after: AwareDatetime | None = Field(default=None, description="Included.")
    created_before: AwareDatetime | None = Field(default=None, description="Excluded.")
    completed_after: AwareDatetime | None = Field(default=None, description="Included.")
    completed_before: AwareDatetime | None = Field(default=None, description="Excluded.")
    order: Literal["updated", "created"] = Field(default="updated", description="The latest first.")
    limit: int = Field(default=MOST, ge=1, le=MOST)


class OneIssue(_Arguments):
    issue_id: Id = Field(description="Id, or identifier such as ENG-42.")


class IssueFields(_Arguments):
    description: str | None = Field(default=None, max_length=200_000, description="Markdown.")
    state: Name | None = Field(default=None, description="Name of a state of the team.")
    assignee: Name | None = Field(default=None, description="Name, e-mail address, id, or me.")
    priority: Priority | None = None
    project: Name | None = Field(default=None, description="Id or name.")
    due: date | None = None
    estimate: int | None = Field(default=None, ge=0, le=1000)


class CreateIssue(IssueFields):
    team_id: Id
    title: str = Field(min_length=1, max_length=500)
    labels: list[Name] = Field(default_factory=list[str], max_length=20)
    mark: Mark | None = Field(default=None, description="Idempotency mark to find the issue by.")


class UpdateIssue(IssueFields):
    """Null takes a value away; what is left out stays."""

    issue_id: Id = Field(description="Id, or identifier such as ENG-42.")
    title: str | None = Field(default=None, min_length=1, max_length=500)
    add_labels: list[Name] = Field(default_factory=list[str], max_length=20)
    remove_labels: list[Name] = Field(default_factory=list[str], max_length=20)


class AddComment(_Arguments):
    issue_id: Id = Field(description="Id, or identifier such as ENG-42.")
    text: str = Field(min_length=1, max_length=100_000, description="Markdown.")
    mark: Mark | None = Field(default=None, description="Idempotency mark to find the comment by.")


class ByMark(_Arguments):
    mark: Mark
