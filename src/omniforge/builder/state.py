"""All that a conversation remembers between two turns, as one frozen value that survives JSON unchanged."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from omniforge.builder.design import Design, place_of
from omniforge.builder.outline import Brief, Outline, Part, Post, Report
from omniforge.builder.phases import Phase, SessionStatus, Signal, next_phase
from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.schedule import Schedule, Unclear
from omniforge.builder.understanding.shaping import Only
from omniforge.builder.understanding.slots import Slots
from omniforge.builder.understanding.things import fields_there

Intent = Literal["create", "edit", "run", "status", "share", "publish", "undo", "help"]


class Pending(StrEnum):
    """The question that is open. An answer counts only for exactly this one."""

    NONE = "none"
    WISH = "wish"
    SERVICE = "service"
    UNSURE = "unsure"
    CONNECT = "connect"
    SIGN_IN = "sign_in"
    KEY = "key"
    SAMPLE = "sample"
    WORKSPACE = "workspace"
    LIBRARY = "library"
    RESOURCES = "resources"
    ADDRESS = "address"
    CONTENT = "content"
    DETAILS = "details"
    VALUES = "values"
    OFFER = "offer"
    SUMMARY = "summary"
    TEST = "test"
    ACCEPT = "accept"
    SAMPLE_TEST = "sample_test"
    ACTIVATE = "activate"
    AGENT = "agent"
    EDIT_WHICH = "edit_which"
    EDIT_WHAT = "edit_what"
    PARK = "park"
    PARKED = "parked"
    UPKEEP = "upkeep"


class Resource(BaseModel):
    """Something a connection can see: its name there, how many entries it has, its fields once they were
    read. `only`: rules that some of its sample entries pass."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    items: int | None = None
    kind: str = "database"
    fields: tuple[Field, ...] | None = None
    only: tuple[Only, ...] = ()


class Link(BaseModel):
    """How a service is reached: a connection, or its sample data. `since`: when the connection was made."""

    model_config = ConfigDict(frozen=True)

    connection_id: str | None = None
    workspace: str | None = None
    since: datetime | None = None
    sample: bool = False


class ListItem(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str


class TestSeen(BaseModel):
    """The test last shown. `passed` only when its verdict says so; `idle`: there was nothing to do in it, and
    that may be accepted; `full`: services failed in it as well."""

    __test__ = False
    model_config = ConfigDict(frozen=True)

    test_id: str
    mode: str
    passed: bool
    idle: bool = False
    sample_data: bool = False
    full: bool = False
    effects: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def will_do(self) -> bool:
        """Whether the agent may be switched on after it."""
        return self.passed or self.idle


class Suggestion(BaseModel):
    """A public skill that could do a part."""

    model_config = ConfigDict(frozen=True)

    part: str
    skill: str
    title: str
    author: str
    used: int
    version: str = "latest"


class Parked(BaseModel):
    """A build laid aside: the whole memory of it, as JSON."""

    model_config = ConfigDict(frozen=True)

    title: str
    state: dict[str, Any]


class ConversationState(BaseModel):
    """One session's memory. `built` is the design that the saved draft was made of, `running` the one that is
    switched on. `focus`: the part that the open question is about; `service`: the service it is about.
    `heard` keeps messages whose words about fields could not be used before the fields were known, `unclear`
    a time that was said early and is asked about later. `notes`
    and `cards` wait to open the next reply; `quoted` are parts of them that people or services wrote.
    `language` is the one to answer in; `told` are words that are said once only.
    """

    model_config = ConfigDict(frozen=True)

    phase: Phase = Phase.IDLE
    phase_stack: tuple[Phase, ...] = ()
    status: SessionStatus = SessionStatus.OPEN
    intent: Intent | None = None
    design: Design = Design()
    unsure: tuple[str, ...] = ()
    focus: str | None = None
    service: str | None = None
    pending: Pending = Pending.NONE
    asked_before: Pending = Pending.NONE
    asked: dict[str, int] = {}
    offer: Schedule | None = None
    unclear: Unclear | None = None
    last_list: tuple[ListItem, ...] = ()
    links: dict[str, Link] = {}
    resources: dict[str, tuple[Resource, ...]] = {}
    searched: tuple[str, ...] = ()
    suggestion: Suggestion | None = None
    heard: tuple[str, ...] = ()
    pending_oauth: str | None = None
    oauth_url: str | None = None
    draft_agent_id: str | None = None
    draft_name: str | None = None
    built: Design | None = None
    running: Design | None = None
    active: bool = False
    others: int = 0
    copies: int = 0
    example: dict[str, Any] | None = None
    test: TestSeen | None = None
    under_way: str | None = None
    parked: tuple[Parked, ...] = ()
    waiting_wish: str | None = None
    upkeep: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    cards: tuple[dict[str, Any], ...] = ()
    offered: tuple[str, ...] = ()
    language: str = "en"
    told: tuple[str, ...] = ()

    def on(self, signal: Signal, **changes: object) -> ConversationState:
        """The state after a signal, with further changes."""
        step = next_phase(self.phase, signal, self.phase_stack)
        status = SessionStatus.CANCELLED if step.cancelled else self.status
        return self.model_copy(
            update={"phase": step.phase, "phase_stack": step.stack, "status": status, **changes}
        )

    def but(self, **changes: object) -> ConversationState:
        return self.model_copy(update=changes)

    def noted(self, *notes: str) -> ConversationState:
        """The state with notes to open the next reply; empty ones are left out."""
        return self.but(notes=(*self.notes, *(note for note in notes if note)))

    def linked(self, service: str, link: Link) -> ConversationState:
        return self.but(links={**self.links, service: link})

    def seeing(self, service: str, found: tuple[Resource, ...]) -> ConversationState:
        return self.but(resources={**self.resources, service: found})

    # --- what the open question is about

    @property
    def outline(self) -> Outline:
        return self.design.outline

    @property
    def part(self) -> Part | None:
        """The part talked about: the one in focus, else the first one that reads."""
        if self.focus and (part := self.outline.part(self.focus)):
            return part
        readers = (part for part in self.outline.parts if isinstance(part.does, (Report, Brief)))
        return next(readers, None)

    @property
    def slots(self) -> Slots:
        """The whole agent and the part talked about, in one."""
        return self.design.slots(self.part.key if self.part else None)

    @property
    def sample(self) -> bool:
        """Whether some service is stood in for by its sample data."""
        return any(self.links[name].sample for name in self.outline.services if name in self.links)

    @property
    def connection_ids(self) -> dict[str, str]:
        return {
            name: link.connection_id
            for name, link in self.links.items()
            if link.connection_id and name in self.outline.services
        }

    def seen_at(self, service: str | None, kind: str | None = None) -> tuple[Resource, ...]:
        found = self.resources.get(service or "", ())
        return tuple(one for one in found if kind is None or one.kind == kind)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields of the places of the part talked about, each name once; values to choose from are joined."""
        part = self.part
        return self.fields_of(part) if part else ()

    def fields_of(self, part: Part) -> tuple[Field, ...]:
        places, service = place_of(part), part.service
        if isinstance(part.does, Brief) and self.outline.starts and self.outline.starts.place:
            places, service = (self.outline.starts.place,), self.outline.starts.service
        chosen = {place.id for place in places}
        found: dict[str, Field] = {}
        for resource in self.seen_at(service):
            for field in (resource.fields or ()) if resource.id in chosen else ():
                known = found.get(field.name)
                options = (
                    (*known.options, *(o for o in field.options if o not in known.options))
                    if known
                    else field.options
                )
                found[field.name] = field.model_copy(update={"options": options})
        things = part.does.things if isinstance(part.does, Report) else ()
        return fields_there(service, things, tuple(found.values())) if places else ()

    def posts(self) -> list[Part]:
        return [part for part in self.outline.parts if isinstance(part.does, Post)]
