"""Events on the wire: the envelope, the list, and what readers ask for."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from omniforge.core.paging import LARGEST
from omniforge.engine.envelopes import IDS, EventFilter


def _split(value: Any) -> Any:
    """`a,b`, or a list of such; what is neither is left to be refused."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return value
    texts = cast("list[Any]", value)
    if not all(isinstance(text, str) for text in texts):
        return texts
    return [part for text in texts for part in map(str.strip, text.split(",")) if part]


TypeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,30}\.(?:\*|[a-z][a-z_]{0,30})$")]
Noun = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,30}$")]
EntityId = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
After = Annotated[int, Field(ge=0, le=LARGEST, description="Only events with a larger seq.")]


class Wanted(BaseModel):
    """Which events; lists may be written with commas. A type may be all of a noun: `ticket.*`."""

    model_config = ConfigDict(extra="forbid")

    project_id: Id | None = None
    event_types: Annotated[list[TypeName], BeforeValidator(_split), Field(max_length=100)] = []
    entity_types: Annotated[list[Noun], BeforeValidator(_split), Field(max_length=100)] = []
    entity_ids: Annotated[list[EntityId], BeforeValidator(_split), Field(max_length=100)] = []
    ticket_id: Id | None = None
    task_id: Id | None = None
    sandbox_id: Id | None = None

    def filter(self) -> EventFilter:
        given = {name: getattr(self, name) for name in IDS}
        return EventFilter(
            types=frozenset(self.event_types),
            entity_types=frozenset(self.entity_types),
            entity_ids=frozenset(self.entity_ids),
            ids={name: value for name, value in given.items() if value is not None},
        )


class EventQuery(Wanted):
    """`limit`, `offset` and `order` are of lists; a stream goes on after `after`, oldest first."""

    after: After = 0
    limit: int = Field(default=50, ge=1, le=200)
    offset: int = Field(default=0, ge=0, le=LARGEST)
    order: Literal["asc", "desc"] = "asc"


class SocketQuery(Wanted):
    after: After = 0


class Subscription(Wanted):
    """Replaces what is wanted. With `after` it goes on from there, otherwise from where it is."""

    type: Literal["subscribe"]
    after: After | None = None


class Event(BaseModel):
    """Something that happened. `seq` has no gaps within a tenant, but a reader is not told of everything."""

    seq: int
    id: str
    type: str
    at: str
    tenant_id: str
    project_id: str | None
    ticket_id: str | None
    task_id: str | None
    sandbox_id: str | None
    entity_type: str
    entity_id: str
    entity: str
    run_id: str | None
    actor: str
    payload: dict[str, Any]


class EventList(BaseModel):
    """`next_after`: the largest seq here, or the `after` that was asked for; a stream goes on from it."""

    events: list[Event]
    total: int
    limit: int
    offset: int
    next_after: int
