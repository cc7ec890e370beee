"""The agent that is wanted: what holds for all of it, its parts, and where each value came from. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from omniforge.builder.outline import (
    Brief,
    Create,
    Doing,
    Extract,
    Fill,
    Outline,
    Part,
    Place,
    Post,
    Report,
    Update,
)
from omniforge.builder.understanding.schedule import Origin, Schedule
from omniforge.builder.understanding.slots import Slots


class Used(BaseModel):
    """A public skill that does a part instead of one written for it."""

    model_config = ConfigDict(frozen=True)

    skill: str
    title: str
    author: str = ""
    version: str = "latest"


WIDE = ("goal", "subject", "name", "schedule", "destination")
"""Slots of the whole agent; all others belong to a part."""


class Design(BaseModel):
    """`schedule` tells how it starts: by a plan, by an event (then the outline says which), or when asked.
    `origins`: `slot` or `part.slot` → where its value came from."""

    model_config = ConfigDict(frozen=True)

    goal: str | None = None
    subject: str | None = None
    name: str | None = None
    schedule: Schedule | None = None
    destination: str | None = None
    outline: Outline = Outline()
    uses: dict[str, Used] = {}
    origins: dict[str, Origin] = {}

    def having(self, origin: Origin, **values: Any) -> Design:
        """With these values for the whole agent."""
        origins = {**self.origins, **dict.fromkeys(values, origin)}
        return self.model_copy(update={**values, "origins": origins})

    def said(self, slot: str) -> bool:
        return self.origins.get(slot) in ("said", "derived", "found")

    def with_part(self, part: Part) -> Design:
        return self.model_copy(update={"outline": self.outline.having(part)})

    def doing(self, key: str, origin: Origin, **values: Any) -> Design:
        """With these values for what one part does."""
        part = self.outline.part(key)
        if part is None:
            return self
        does = part.does.model_copy(update=values)
        origins = {**self.origins, **{f"{key}.{slot}": origin for slot in values}}
        changed = self.with_part(part.model_copy(update={"does": does}))
        return changed.model_copy(update={"origins": origins})

    def without(self, key: str) -> Design:
        origins = {slot: o for slot, o in self.origins.items() if not slot.startswith(f"{key}.")}
        uses = {name: used for name, used in self.uses.items() if name != key}
        changes = {"outline": self.outline.without(key), "origins": origins, "uses": uses}
        return self.model_copy(update=changes)

    def renamed(self, key: str, other: str) -> Design:
        origins = {
            f"{other}.{slot.removeprefix(f'{key}.')}" if slot.startswith(f"{key}.") else slot: origin
            for slot, origin in self.origins.items()
        }
        uses = {other if name == key else name: used for name, used in self.uses.items()}
        changes = {"outline": self.outline.renamed(key, other), "origins": origins, "uses": uses}
        return self.model_copy(update=changes)

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.outline.parts

    @property
    def reads_by_events(self) -> bool:
        return self.schedule is not None and self.schedule.event == "event_driven"

    # --- one part as the reader of messages sees it

    def slots(self, key: str | None) -> Slots:
        """The whole agent and one of its parts in one."""
        wide: dict[str, Any] = {slot: getattr(self, slot) for slot in WIDE}
        origins: dict[str, Origin] = {slot: origin for slot, origin in self.origins.items() if slot in WIDE}
        part = self.outline.part(key) if key else None
        if part is None:
            return Slots(**wide, origins=origins)
        own: dict[str, Any] = {
            slot: getattr(part.does, there) for slot, there in _slots_of(part.does).items()
        }
        mine: dict[str, Origin] = {
            slot: self.origins[f"{part.key}.{there}"]
            for slot, there in _slots_of(part.does).items()
            if f"{part.key}.{there}" in self.origins
        }
        if isinstance(part.does, (Post, Create, Update)):
            own["sources"] = (part.does.place,) if part.does.place else ()
        if isinstance(part.does, Brief) and self.outline.starts and self.outline.starts.place:
            own["sources"] = (self.outline.starts.place,)
        return Slots(**wide, **own, service=part.service, origins={**origins, **mine})

    def taking(self, key: str | None, slots: Slots) -> Design:
        """With what the reader made of them."""
        wide = {slot: getattr(slots, slot) for slot in WIDE}
        told = {slot: origin for slot, origin in slots.origins.items() if slot in WIDE}
        design = self.model_copy(update={**wide, "origins": {**self.origins, **told}})
        part = design.outline.part(key) if key else None
        if part is None:
            return design
        names = _slots_of(part.does)
        does = part.does.model_copy(update={there: getattr(slots, slot) for slot, there in names.items()})
        mine = {f"{part.key}.{names[s]}": origin for s, origin in slots.origins.items() if s in names}
        changed = design.with_part(part.model_copy(update={"does": does}))
        return changed.model_copy(update={"origins": {**changed.origins, **mine}})


def _slots_of(does: Doing) -> dict[str, str]:
    """Slots of a message → where the part keeps them."""
    match does:
        case Report():
            return {"sources": "places"} | {
                slot: slot for slot in ("fields", "window", "group", "order", "only", "format", "things")
            }
        case Brief():
            return {"fields": "include"}
        case Extract() | Fill():
            return {}
        case _:
            return {}


def place_of(part: Part) -> tuple[Place, ...]:
    """Where a part works, as far as it is known."""
    match part.does:
        case Report(places=places):
            return places
        case Post(place=place) | Create(place=place) | Update(place=place):
            return (place,) if place else ()
        case _:
            return ()
