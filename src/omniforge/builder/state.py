"""All that a conversation remembers between two turns, as one frozen value that survives JSON unchanged."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from omniforge.builder.phases import Phase, SessionStatus, Signal, next_phase
from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.schedule import Schedule
from omniforge.builder.understanding.slots import Slots

Intent = Literal["create", "edit", "run", "status", "share", "publish", "undo", "help"]


class Pending(StrEnum):
    """The question that is open. An answer counts only for exactly this one."""

    NONE = "none"
    WISH = "wish"
    SERVICE = "service"
    CONNECT = "connect"
    SIGN_IN = "sign_in"
    SAMPLE = "sample"
    WORKSPACE = "workspace"
    RESOURCES = "resources"
    DETAILS = "details"
    OFFER = "offer"
    SUMMARY = "summary"
    TEST = "test"
    ACCEPT = "accept"
    SAMPLE_TEST = "sample_test"
    ACTIVATE = "activate"
    AGENT = "agent"


class Resource(BaseModel):
    """Something a connection can see: its name there, how many entries it has, its fields once they were
    read."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    items: int | None = None
    kind: str = "database"
    fields: tuple[Field, ...] | None = None


class ListItem(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str


class TestSeen(BaseModel):
    """The test last shown. `passed` only when its verdict says so."""

    __test__ = False
    model_config = ConfigDict(frozen=True)

    test_id: str
    mode: str
    passed: bool
    sample_data: bool = False
    effects: tuple[str, ...] = ()


class ConversationState(BaseModel):
    """One session's memory. `built` are the slots the saved draft was made of. `heard` keeps messages whose
    words about fields could not be used before the fields were known. `notes` and `cards` wait to open the
    next reply; `quoted` are parts of them that people or services wrote."""

    model_config = ConfigDict(frozen=True)

    phase: Phase = Phase.IDLE
    phase_stack: tuple[Phase, ...] = ()
    status: SessionStatus = SessionStatus.OPEN
    intent: Intent | None = None
    slots: Slots = Slots()
    pending: Pending = Pending.NONE
    asked: dict[str, int] = {}
    offer: Schedule | None = None
    last_list: tuple[ListItem, ...] = ()
    resources: tuple[Resource, ...] = ()
    heard: tuple[str, ...] = ()
    pending_oauth: str | None = None
    oauth_url: str | None = None
    connection_id: str | None = None
    workspace: str | None = None
    sample: bool = False
    draft_agent_id: str | None = None
    draft_name: str | None = None
    draft_skill: str | None = None
    built: Slots | None = None
    active: bool = False
    test: TestSeen | None = None
    notes: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    cards: tuple[dict[str, Any], ...] = ()

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

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields of the chosen resources, each name once; values to choose from are joined."""
        chosen = {source.id for source in self.slots.sources}
        found: dict[str, Field] = {}
        for resource in self.resources:
            for field in (resource.fields or ()) if resource.id in chosen else ():
                known = found.get(field.name)
                options = (
                    (*known.options, *(o for o in field.options if o not in known.options))
                    if known
                    else field.options
                )
                found[field.name] = field.model_copy(update={"options": options})
        return tuple(found.values())
