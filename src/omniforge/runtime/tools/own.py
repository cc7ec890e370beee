"""What only a step itself has: its memory, its owner's inbox, a question to a person."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.integrations.manifest import Access
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool

Deliver = Callable[[str, str, str], Awaitable[None]]
"""Put something in the inbox of the agent's owner: key (the same is delivered once), title, text."""


class QuestionAsked(OmniForgeError):
    """A step needs to know something from a person; it waits, and goes on with the answer."""

    status = 409
    code = "question_asked"


class StateArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["get", "set", "delete"]
    key: str = Field(min_length=1, max_length=200)
    value: Any = None


class InboxArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=300)
    text: str = Field(min_length=1, max_length=50_000)


class AskArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=1_000)
    choices: list[str] = Field(default_factory=list[str], max_length=10)
    default: str | None = Field(default=None, max_length=500)
    """What counts as the answer where nobody can be asked."""


@dataclass(frozen=True, slots=True)
class OwnTools:
    """remember: does State. deliver: None where there is no inbox. answers: by question, of this step.

    rehearsed: a test, in which nobody is asked and nothing is delivered.
    """

    remember: Callable[[Mapping[str, Any]], Awaitable[Any]]
    deliver: Deliver | None
    answers: Mapping[str, str] = field(default_factory=dict[str, str])
    rehearsed: bool = False

    async def state(self, args: StateArguments, _scope: CallScope) -> Json:
        return {"key": args.key, "value": await self.remember(args.model_dump())}

    async def inbox(self, args: InboxArguments, _scope: CallScope) -> Json:
        if self.rehearsed:
            return {"delivered": False, "held": True}
        if self.deliver is None:
            raise Invalid("This run is not of an agent, so there is no inbox to use.", code="no_inbox")
        key = hashlib.sha256(f"{args.title}\x1f{args.text}".encode()).hexdigest()
        await self.deliver(key, args.title, args.text)
        return {"delivered": True}

    async def ask(self, args: AskArguments, _scope: CallScope) -> Json:
        known = self.answers.get(args.question)
        if known is not None:
            return {"answer": known}
        if self.rehearsed:
            default = args.default or next(iter(args.choices), "")
            return {"answer": default, "note": "This is a test: nobody was asked."}
        raise QuestionAsked(args.question, choices=args.choices, default=args.default)

    def tools(self) -> tuple[LocalTool, ...]:
        return (
            LocalTool(
                name="State",
                description="Remember small values between runs of this agent: get, set or delete one key.",
                arguments=StateArguments,
                access=Access.READ,  # the agent's own memory; a test has a scratch copy
                run=self.state,
                subject_field="key",
            ),
            LocalTool(
                name="Inbox",
                description="Put a note in the inbox of the person this agent belongs to.",
                arguments=InboxArguments,
                access=Access.READ,  # reaches nobody but the owner, who gets every result as well
                run=self.inbox,
                subject_field="title",
            ),
            LocalTool(
                name="Ask",
                description="Ask a person what you cannot go on without; the work waits for the answer.",
                arguments=AskArguments,
                access=Access.READ,
                run=self.ask,
                subject_field="question",
            ),
        )
