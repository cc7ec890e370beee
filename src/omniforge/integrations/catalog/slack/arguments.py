"""What Slack's tools are given."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from omniforge.integrations.catalog.slack.client import channel_given, person_given
from omniforge.integrations.catalog.slack.mrkdwn import LONGEST_TEXT
from omniforge.integrations.catalog.slack.shapes import STAMP
from omniforge.integrations.manifest import Mark

MOST_MESSAGES = 10_000
MOST_BLOCKS = 50
"""Blocks Slack takes in one message."""

Given = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Channel = Annotated[Given, AfterValidator(channel_given), Field(description="#name, id or address.")]
Person = Annotated[Given, AfterValidator(person_given), Field(description="@name, e-mail address or id.")]


def _is_stamp(given: str) -> str:
    if not STAMP.fullmatch(given):
        raise ValueError("the id of a message, such as 1732192800.000100")
    return given


Stamp = Annotated[str, AfterValidator(_is_stamp), Field(description="Id of a message.")]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(_Arguments):
    """No arguments."""


class ListChannels(_Arguments):
    search: str | None = Field(default=None, max_length=200, description="Part of the name.")
    archived: bool = Field(default=False, description="Also those that were archived.")


class OneChannel(_Arguments):
    channel: Channel


class ReadMessages(_Arguments):
    channel: Channel
    after: AwareDatetime | None = Field(default=None, description="Included.")
    before: AwareDatetime | None = Field(default=None, description="Excluded.")
    replies: bool = Field(default=False, description="Also the replies in threads begun in this time.")
    limit: int = Field(default=1000, ge=1, le=MOST_MESSAGES, description="The latest ones are kept.")


class SearchPeople(_Arguments):
    search: str = Field(min_length=1, max_length=200, description="Part of a name, e-mail address or title.")
    limit: int = Field(default=50, ge=1, le=1000)


class _Content(_Arguments):
    text: str | None = Field(
        default=None, max_length=LONGEST_TEXT, description="Markdown. With blocks: what notifications show."
    )
    blocks: list[dict[str, Any]] | None = Field(
        default=None, min_length=1, max_length=MOST_BLOCKS, description="Block Kit, sent as it is."
    )
    mark: Mark | None = Field(default=None, description="Idempotency mark to find the message by.")

    @model_validator(mode="after")
    def something_to_say(self) -> _Content:
        if not self.blocks and not (self.text or "").strip():
            raise ValueError("give the message a text or blocks")
        return self


class PostMessage(_Content):
    channel: Channel


class ReplyInThread(_Content):
    channel: Channel
    thread: Stamp
    also_in_channel: bool = False


class UpdateMessage(_Content):
    channel: Channel
    message: Stamp


class SendDirectMessage(_Content):
    person: Person


class FindMessage(_Arguments):
    """By its mark: in a channel, among the replies of one thread, of one message, or in a direct message."""

    channel: Channel | None = None
    person: Person | None = None
    thread: Stamp | None = None
    message: Stamp | None = None
    mark: Mark

    @model_validator(mode="after")
    def one_place(self) -> FindMessage:
        if (self.channel is None) == (self.person is None):
            raise ValueError("give a channel or a person")
        return self
