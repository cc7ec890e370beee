"""Limit and offset of every list."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

LARGEST = 2**31 - 1
"""No list and no log is longer; what is larger does not fit every database."""


class Paging(BaseModel):
    """Query parameters of a list; outside the range is 422."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200)
    offset: int = Field(default=0, ge=0, le=LARGEST)
