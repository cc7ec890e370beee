"""Something at a service that can be named: a database, a channel, a repository, an address."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Place(BaseModel):
    """`id` is empty until it was found there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = ""
    name: str
    kind: str = ""
