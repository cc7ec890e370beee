"""What the conversation about agents that exist asks to be done, and what it is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from omniforge.builder.exchange import Effect, UpkeepOutcome, UpkeepRequest
from omniforge.builder.upkeep.matter import Choice, Json, Person

# --- requests -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LookAt(UpkeepRequest):
    """→ Looked."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class LookForDeleted(UpkeepRequest):
    """Agents that were deleted and can be brought back. → DeletedFound."""


@dataclass(frozen=True, slots=True)
class StartRun(UpkeepRequest):
    """Run an active agent for this person. → RunGoing."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class WatchRun(UpkeepRequest):
    """Wait until a step stands otherwise than `seen`, or, when `to_end`, until it is over. → RunGoing or
    RunOver."""

    execution_id: str
    name: str
    seen: tuple[tuple[str, str], ...]
    to_end: bool = False


@dataclass(frozen=True, slots=True)
class ListVersions(UpkeepRequest):
    """→ VersionsListed."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class CompareWith(UpkeepRequest):
    """What going back to a version would change; None means to the one before. → Compared."""

    agent_id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class GoBack(UpkeepRequest):
    """→ WentBack."""

    agent_id: str
    version: int
    expected: int | None


@dataclass(frozen=True, slots=True)
class ShareIt(UpkeepRequest):
    """mode: team or template. → SharedIt."""

    agent_id: str
    mode: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakeBack(UpkeepRequest):
    """→ TakenBack."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class Distribute(UpkeepRequest):
    """→ Distributed."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class TellOthers(UpkeepRequest):
    """Leave a note on its newest version for everybody else who has it. → OthersTold."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class PauseIt(UpkeepRequest):
    """→ Done."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class SwitchOn(UpkeepRequest):
    """Resume it, or switch on what this test showed. → SwitchedOn."""

    agent_id: str
    test_id: str = ""


@dataclass(frozen=True, slots=True)
class DeleteIt(UpkeepRequest):
    """→ Done."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class RenameIt(UpkeepRequest):
    """→ Done."""

    agent_id: str
    name: str


@dataclass(frozen=True, slots=True)
class OpenSignIn(UpkeepRequest):
    """→ SignInOpened."""

    integration: str


@dataclass(frozen=True, slots=True)
class LookForConnection(UpkeepRequest):
    """Look for a connection of this person, and prove it by a call. → ConnectionSeen."""

    integration: str


@dataclass(frozen=True, slots=True)
class ListPlaces(UpkeepRequest):
    """Places of this kind that this person's connections see. → PlacesListed."""

    integrations: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Choose(UpkeepRequest):
    """Put places, or a text, where a copy left some out. → Chosen."""

    agent_id: str
    choice: Choice
    places: tuple[Json, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class TryIt(UpkeepRequest):
    """A test without effects. → Tried."""

    agent_id: str
    mode: str


# --- outcomes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looked(UpkeepOutcome):
    """An agent as it stands. `steps` are (key, words) in order; `places` and `connections` names in use;
    `effects` what it was approved to do; `runs` the latest, as lines; `people` those it can be shared with;
    `missing` integrations that have to be connected, `titles` what services are called."""

    agent_id: str
    name: str
    description: str
    status: str
    version: int
    owner: str
    may_edit: bool
    may_share: bool
    when: str
    next_run: datetime | None
    timezone: str
    paused_reason: str = ""
    waiting_edit: bool = False
    steps: tuple[tuple[str, str], ...] = ()
    places: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    total: int = 0
    succeeded: int = 0
    shared_with: tuple[str, ...] = ()
    people: tuple[Person, ...] = ()
    missing: tuple[str, ...] = ()
    integrations: tuple[str, ...] = ()
    titles: dict[str, str] = field(default_factory=dict[str, str])
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class DeletedFound(UpkeepOutcome):
    """(id, name, version) of each."""

    agents: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class RunGoing(UpkeepOutcome):
    """`steps` are (name, status) of each skill."""

    execution_id: str
    name: str
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RunOver(UpkeepOutcome):
    """`status` is `running` when it takes longer than a reply may."""

    execution_id: str
    name: str
    status: str
    text: str
    steps: tuple[tuple[str, str], ...] = ()
    problem: str | None = None
    next_step: str | None = None


@dataclass(frozen=True, slots=True)
class VersionSeen:
    number: int
    when: datetime
    author: str
    summary: str
    current: bool


@dataclass(frozen=True, slots=True)
class VersionsListed(UpkeepOutcome):
    name: str
    versions: tuple[VersionSeen, ...]


@dataclass(frozen=True, slots=True)
class Compared(UpkeepOutcome):
    """`rows` are (label, now, then); `version` None when there is nothing to go back to."""

    name: str
    current: int
    version: int | None
    summary: str = ""
    status: str = ""
    rows: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WentBack(UpkeepOutcome):
    name: str
    version: int
    to: int
    status: str
    next_run: datetime | None
    timezone: str


@dataclass(frozen=True, slots=True)
class SharedIt(UpkeepOutcome):
    """`copies` are (person, agent id, what they have to choose)."""

    name: str
    mode: str
    people: tuple[str, ...]
    copies: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class TakenBack(UpkeepOutcome):
    name: str
    stopped: int


@dataclass(frozen=True, slots=True)
class Distributed(UpkeepOutcome):
    """`holders` are (person, how, version, status)."""

    name: str
    current: int
    holders: tuple[tuple[str, str, int, str], ...]


@dataclass(frozen=True, slots=True)
class OthersTold(UpkeepOutcome):
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done(UpkeepOutcome):
    """`did`: paused, deleted or renamed; `name` is the name it has now."""

    did: str
    agent_id: str
    name: str
    running: int = 0


@dataclass(frozen=True, slots=True)
class SwitchedOn(UpkeepOutcome):
    agent_id: str
    name: str
    version: int
    next_run: datetime | None
    timezone: str


@dataclass(frozen=True, slots=True)
class SignInOpened(UpkeepOutcome):
    integration: str
    title: str
    url: str
    asks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionSeen(UpkeepOutcome):
    """`workspace` is None when nothing has arrived."""

    integration: str
    title: str
    workspace: str | None


@dataclass(frozen=True, slots=True)
class PlacesListed(UpkeepOutcome):
    """(id, name, entries) of each, where there are any of this kind."""

    places: tuple[tuple[str, str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Chosen(UpkeepOutcome):
    left: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Tried(UpkeepOutcome):
    test_id: str
    verdict: str
    report: str
    sample_data: bool
    effects: tuple[Effect, ...] = ()
    words: tuple[str, ...] = ()
    """What switching it on would approve, in words."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class NotDone(UpkeepOutcome):
    """What did not work out. `who` can do it instead, or is to be asked."""

    code: str
    message: str = ""
    who: str = ""
    details: dict[str, Any] = field(default_factory=dict[str, Any])
