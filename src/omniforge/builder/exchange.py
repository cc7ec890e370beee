"""What the conversation and its surroundings tell each other: facts in, requests out, outcomes back, a reply.

`respond(state, message, facts)` answers a message. When the turn carries a request, the caller does it and
hands over the observed outcome: `resume(state, outcome, facts)`. The turn without a request has the reply.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from omniforge.builder.assistant.proposal import Proposal
from omniforge.builder.design import Design
from omniforge.builder.generation import AgentDraft
from omniforge.builder.state import ConversationState, Resource

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Integration:
    """A service of this installation. `asks` are the lines on what its sign-in screen asks and why; `sign_in`
    is `oauth`, `key` (typed in elsewhere) or `none` (always there); `kinds` of places can be picked there,
    `events` can start an agent."""

    name: str
    title: str
    configured: bool = True
    asks: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    sign_in: str = "oauth"
    kinds: tuple[str, ...] = ("database",)
    events: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Connection:
    id: str
    integration: str
    workspace_name: str
    healthy: bool = True
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """An agent that this person sees, newest change first in lists. `own`: made by them, not shared with
    them. `next_run` is aware; `last_run` a few plain words such as `completed on Monday`."""

    id: str
    name: str
    description: str = ""
    status: str = "draft"
    next_run: datetime | None = None
    timezone: str = "UTC"
    last_run: str | None = None
    integrations: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    changed: datetime | None = None
    own: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true now. `timezone` is the best known zone; `zone_known` is False when it is a last resort.
    `away` is True when the person comes back after a pause: the reply then opens with a recap. `proposal` is
    what a language model makes of this message; None without one."""

    now: datetime
    timezone: str = "UTC"
    zone_known: bool = False
    integrations: tuple[Integration, ...] = ()
    connections: tuple[Connection, ...] = ()
    agents: tuple[AgentSeen, ...] = ()
    away: bool = False
    proposal: Proposal | None = None


# --- requests: what the caller shall do -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartSignIn:
    """→ SignInStarted or Failed."""

    integration: str


@dataclass(frozen=True, slots=True)
class CheckConnection:
    """Look for a connection of this person and prove it by a call. → ConnectionChecked or Failed."""

    integration: str
    connection_id: str | None = None


@dataclass(frozen=True, slots=True)
class ListResources:
    """List what the connection sees, of every kind there is; the integration's sample data when `sample`.
    → ResourcesListed or Failed."""

    integration: str
    connection_id: str | None
    sample: bool = False
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DescribeResources:
    """Read the fields of these resources. → ResourcesDescribed or Failed."""

    integration: str
    connection_id: str | None
    ids: tuple[str, ...]
    sample: bool = False
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class SearchLibrary:
    """Public skills for a step, the best first. → LibraryFound or Failed."""

    words: str
    integrations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadAgent:
    """Read an agent of this person, with the design it was made of. → AgentLoaded or Failed."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class CreateAgent:
    """Write the skills and a draft agent, and keep its design. `connections`: service → connection id;
    `places` known from connections, for the first try on sample data. → AgentSaved or Failed."""

    draft: AgentDraft
    design: Design
    connections: dict[str, str]
    places: tuple[Resource, ...] = ()
    example: Json | None = None


@dataclass(frozen=True, slots=True)
class RewriteAgent:
    """Bring an agent's draft or pending version to this content. → AgentSaved or Failed."""

    agent_id: str
    draft: AgentDraft
    design: Design
    connections: dict[str, str]
    changes: tuple[str, ...]
    places: tuple[Resource, ...] = ()
    example: Json | None = None


@dataclass(frozen=True, slots=True)
class RunTest:
    """`preview` reads for real and holds writes back, `dry` works on sample data of the shape of `places`,
    `live` does what the last passed test showed. `full`: also with services that fail. `example` is the
    input to work on. → TestFinished or Failed."""

    agent_id: str
    mode: str = "preview"
    full: bool = False
    example: Json | None = None
    places: tuple[Resource, ...] = ()
    under_way: str | None = None
    """A test of this kind that was started before: its report is waited for."""


@dataclass(frozen=True, slots=True)
class Activate:
    """Switch on exactly the content of this test. → Activated or Failed."""

    agent_id: str
    test_id: str


@dataclass(frozen=True, slots=True)
class RunAgent:
    """Start an active agent for this person, on this input if any. → RunFinished, RunStarted or Failed."""

    agent_id: str
    example: Json | None = None


class UpkeepRequest:
    """Something to do with an agent that exists; `builder.upkeep` says what. → UpkeepOutcome."""

    __slots__ = ()


Request = (
    StartSignIn | CheckConnection | ListResources | DescribeResources | SearchLibrary | LoadAgent
    | CreateAgent | RewriteAgent | RunTest | Activate | RunAgent | UpkeepRequest
)  # fmt: skip


# --- outcomes: what was observed ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignInStarted:
    integration: str
    url: str


@dataclass(frozen=True, slots=True)
class ConnectionChecked:
    """`connection` is None when nothing has arrived."""

    integration: str
    connection: Connection | None


@dataclass(frozen=True, slots=True)
class ResourcesListed:
    integration: str
    resources: tuple[Resource, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ResourcesDescribed:
    """The same resources with `fields` filled."""

    integration: str
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class SkillSeen:
    """A public skill: who made it, and how many agents use it."""

    name: str
    title: str
    author: str
    used: int = 0
    version: str = "latest"
    description: str = ""


@dataclass(frozen=True, slots=True)
class LibraryFound:
    skills: tuple[SkillSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentLoaded:
    """`design` is what it was made of, its skills as they are when it was not made in a conversation.
    `others`: how many other people use it; `copies`: how many have one of their own."""

    agent_id: str
    name: str
    status: str
    version: int
    design: Design
    connections: dict[str, str] = field(default_factory=dict[str, str])
    others: int = 0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class AgentSaved:
    agent_id: str
    name: str
    skills: tuple[str, ...] = ()
    others: int = 0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """One write or send, in plain words ("posts one message to #team"), as it would happen."""

    summary: str
    access: str
    destination: str = ""


@dataclass(frozen=True, slots=True)
class TestFinished:
    """`verdict`: passed, failed, no_effect, not_simulated. `read` names the resources really read, `problem`
    in plain words what went wrong, `code` its error code. `faults` tell what happens when a service is down,
    `steps` are (name, status) of each skill. `may_activate`: also when there was nothing to do, because every
    step was seen at work all the same."""

    __test__ = False
    test_id: str
    mode: str
    verdict: str
    report: str
    effects: tuple[Effect, ...] = ()
    read: tuple[str, ...] = ()
    items: int | None = None
    sample_data: bool = False
    problem: str | None = None
    code: str | None = None
    faults: tuple[str, ...] = ()
    full: bool = False
    steps: tuple[tuple[str, str], ...] = ()
    may_activate: bool = False

    @property
    def idle(self) -> bool:
        """There was nothing to do in it, and that may be accepted."""
        return self.verdict == "no_effect" and self.may_activate


@dataclass(frozen=True, slots=True)
class Activated:
    """`next_run` is the stored time of the next fire; None for an agent that runs when asked. `minutes`: how
    often an event-driven one looks; None when it is told at once."""

    agent_id: str
    name: str
    version: int
    next_run: datetime | None
    timezone: str
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    execution_id: str
    name: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """`steps` are (name, status) of each skill."""

    execution_id: str
    name: str
    status: str
    text: str
    steps: tuple[tuple[str, str], ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that did not work out. `code` is one of the error codes people can be told in plain words."""

    code: str
    message: str = ""
    details: Json = field(default_factory=dict[str, Any])


class UpkeepOutcome:
    """What became of an UpkeepRequest."""

    __slots__ = ()


Outcome = (
    SignInStarted | ConnectionChecked | ResourcesListed | ResourcesDescribed | LibraryFound | AgentLoaded
    | AgentSaved | TestFinished | Activated | RunStarted | RunFinished | UpkeepOutcome | Failed
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """`quoted` are the parts written by people or services: they are exempt from the check of words."""

    text: str
    phase: str
    actions: tuple[str, ...] = ()
    oauth_url: str | None = None
    cards: tuple[Json, ...] = ()
    quoted: tuple[str, ...] = ()

    def to_json(self, draft_agent_id: str | None = None) -> Json:
        data: Json = {"cards": list(self.cards)}
        if draft_agent_id:
            data["draft_agent_id"] = draft_agent_id
        return {
            "text": self.text, "phase": self.phase, "actions": list(self.actions),
            "oauth_url": self.oauth_url, "data": data,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """Exactly one of `request` and `reply` is set. `progress` is a true line to show while the request
    runs."""

    state: ConversationState
    reply: Reply | None = None
    request: Request | None = None
    progress: str | None = None
