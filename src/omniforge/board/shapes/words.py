"""The fields that many requests share: their lengths, spellings and ranges."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from omniforge.board.vocabulary import PhaseId, Priority
from omniforge.core.paging import LARGEST

Json = dict[str, Any]


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


class Given(BaseModel):
    """A request. Fields that nobody knows are mistakes."""

    model_config = ConfigDict(extra="forbid")

    def changes(self) -> Json:
        """What was sent, `null` for what is to be cleared; `expected_version` is no change."""
        return self.model_dump(exclude_unset=True, exclude={"expected_version", "project_id"})


Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)]
Description = Annotated[str, StringConstraints(max_length=50_000)]
Reason = Annotated[str, StringConstraints(max_length=5_000)]
Feedback = Annotated[str, StringConstraints(min_length=1, max_length=5_000, strip_whitespace=True)]
Search = Annotated[str, StringConstraints(max_length=200)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]
Version = Annotated[int, Field(ge=1, le=LARGEST)]
AnyPriority = Annotated[Priority, BeforeValidator(_upper)]
"""In any case; kept as the canonical spelling."""
AnyPhase = Annotated[PhaseId, BeforeValidator(_upper)]


class Listing(BaseModel):
    """The window of a list; the items stand beside it under their plural."""

    total: int
    limit: int
    offset: int
