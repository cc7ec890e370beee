"""What Notion's tools can be asked: the arguments of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.integrations.manifest import Mark

MOST_ROWS = 10_000
"""Notion answers no more rows than this to one question."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(_Arguments):
    """No arguments."""


class ListDatabases(_Arguments):
    search: str | None = Field(default=None, max_length=200, description="Part of the name.")


class OneDatabase(_Arguments):
    database_id: Id


class FieldFilter(_Arguments):
    field: str = Field(description="Name of a field, or edited_at, created_at.")
    op: str = Field(description="equals, does_not_equal, contains, is_empty, before, greater_than …")
    value: str | float | bool | None = None


class Sort(_Arguments):
    field: str
    direction: Literal["ascending", "descending"] = "ascending"


class QueryDatabase(_Arguments):
    database_id: Id
    edited_after: AwareDatetime | None = Field(default=None, description="Included.")
    edited_before: AwareDatetime | None = Field(default=None, description="Excluded.")
    created_after: AwareDatetime | None = Field(default=None, description="Included.")
    filters: list[FieldFilter] = Field(default_factory=list[FieldFilter], max_length=20)
    sort: Sort | None = None
    limit: int = Field(default=MOST_ROWS, ge=1, le=MOST_ROWS)


class OnePage(_Arguments):
    page_id: Id


class CreatePage(_Arguments):
    database_id: Id
    fields: dict[str, Any] = Field(min_length=1)
    text: str | None = Field(default=None, max_length=200_000, description="Body as Markdown.")
    mark: Mark | None = Field(default=None, description="Idempotency mark to find the page by.")


class UpdatePage(_Arguments):
    page_id: Id
    fields: dict[str, Any] = Field(min_length=1)


class FindPage(_Arguments):
    database_id: Id
    mark: Mark


class FindChange(_Arguments):
    page_id: Id
    fields: dict[str, Any] = Field(min_length=1)
