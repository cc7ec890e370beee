"""What a conversation about an agent that exists remembers between two turns. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from omniforge.builder.state import ConversationState, ListItem, Pending

Json = dict[str, Any]


class Deed(StrEnum):
    """What is to be done with an agent."""

    RUN = "run"
    STATUS = "status"
    DETAILS = "details"
    SHARE = "share"
    UNSHARE = "unshare"
    UNDO = "undo"
    VERSIONS = "versions"
    SPREAD = "spread"
    PAUSE = "pause"
    RESUME = "resume"
    ARCHIVE = "archive"
    RENAME = "rename"
    FINISH = "finish"
    BRING_BACK = "bring_back"
    TELL = "tell"


class Asking(StrEnum):
    """What is being asked. An answer counts only for exactly this."""

    WHICH = "which"
    HOW = "how"
    WHOM = "whom"
    NAME = "name"
    SURE = "sure"
    DRAFT = "draft"
    CONNECT = "connect"
    SIGN_IN = "sign_in"
    PLACE = "place"
    TEXT = "text"
    TEST = "test"
    ACCEPT = "accept"
    SWITCH_ON = "switch_on"


class Person(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    email: str = ""


class Choice(BaseModel):
    """A place of the sharer that a copy left out. `shape`: places, place, ids or text."""

    model_config = ConfigDict(frozen=True)

    skill: str
    path: tuple[str, ...]
    what: str
    shape: str = "text"


class Matter(BaseModel):
    """One matter: what is to be done with which agent, what is known of it, and the words of the question.

    `under` is the question that was open before, which is asked again afterwards; `said` the message that
    began it; `version` the one to go back to, or the one that was looked at.
    """

    model_config = ConfigDict(frozen=True)

    deed: Deed
    asking: Asking = Asking.SURE
    under: Pending = Pending.NONE
    said: str = ""
    agent_id: str = ""
    name: str = ""
    status: str = ""
    version: int = 0
    expected: int | None = None
    mode: str = ""
    offered: tuple[Person, ...] = ()
    people: tuple[Person, ...] = ()
    everybody: bool = False
    new_name: str = ""
    items: tuple[ListItem, ...] = ()
    integration: str = ""
    integrations: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    connected: bool = False
    test_id: str = ""
    watched: int = 0
    effects: tuple[str, ...] = ()
    paragraphs: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    cards: tuple[Json, ...] = ()
    url: str | None = None

    def but(self, **changes: object) -> Matter:
        return self.model_copy(update=changes)


def matter_of(state: ConversationState) -> Matter | None:
    """The matter that is open, if one is."""
    return Matter.model_validate(state.upkeep["open"]) if state.upkeep.get("open") else None


def last_agent(state: ConversationState) -> str | None:
    """The agent that was talked about last: what "it" means."""
    return state.upkeep.get("last") or state.draft_agent_id


def opened(state: ConversationState, matter: Matter) -> ConversationState:
    """With this matter's question open on top of the one that was."""
    kept = {"open": matter.model_dump(mode="json"), "last": matter.agent_id or last_agent(state)}
    return state.but(pending=Pending.UPKEEP, upkeep=kept)


def going_on(state: ConversationState, matter: Matter) -> ConversationState:
    """With this matter under way: something is done for it, and nothing is asked."""
    return opened(state, matter).but(pending=matter.under)


def closed(state: ConversationState, matter: Matter) -> ConversationState:
    """Without the matter; the question that was open before is open again."""
    return state.but(pending=matter.under, upkeep={"last": matter.agent_id or last_agent(state)})
