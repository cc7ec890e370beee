"""What can be done with e-mail: the tools, their arguments, and to whom they send."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from omniforge.integrations.catalog.email import sample
from omniforge.integrations.catalog.email.account import TITLE, Account, Reach
from omniforge.integrations.catalog.email.client import Mail, digest, real_mailbox
from omniforge.integrations.catalog.email.mailbox import Question
from omniforge.integrations.catalog.email.messages import ADDRESS, Draft, Json, attached
from omniforge.integrations.catalog.email.outbox import SmtpOutbox
from omniforge.integrations.clients import Strike, Surroundings
from omniforge.integrations.manifest import Access, Arguments, Destination, IntegrationTool, Lookup, Mark

LINE = r"^[^\x00-\x1f\x7f\u2028\u2029]*$"
"""No line break, which would begin another header."""

Address = Annotated[str, StringConstraints(max_length=254, pattern=rf"^{ADDRESS.pattern}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=LINE)]
Folder = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=LINE)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r'^[^\x00-\x1f\x7f"\\]*$')]
MessageId = Annotated[str, StringConstraints(max_length=500, pattern=r'^<[^\s<>"\\]{3,490}>$')]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(_Arguments):
    """No arguments."""


class ReadMessages(_Arguments):
    folder: Folder = "INBOX"
    after: AwareDatetime | None = Field(default=None, description="Received then or later.")
    before: AwareDatetime | None = Field(default=None, description="Received earlier.")
    search: Words | None = Field(default=None, description="Words anywhere in the message.")
    sender: Words | None = Field(default=None, description="Part of the sender's name or address.")
    unread: bool = False
    limit: int = Field(default=50, ge=1, le=200)


class Attachment(_Arguments):
    name: Annotated[str, StringConstraints(min_length=1, max_length=150, pattern=LINE)]
    kind: Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z]+/[a-z0-9.+-]+$")] = "text/plain"
    text: str | None = None
    content: str | None = Field(default=None, description="Base64.", max_length=15_000_000)

    @model_validator(mode="after")
    def check_one(self) -> Self:
        if (self.text is None) == (self.content is None):
            raise ValueError("either text or content")
        if self.kind.startswith(("message/", "multipart/")):
            raise ValueError("kind: not a message in a message")
        return self


class Send(_Arguments):
    to: list[Address] = Field(min_length=1, max_length=50)
    cc: list[Address] = Field(default_factory=list[str], max_length=50)
    bcc: list[Address] = Field(default_factory=list[str], max_length=50)
    subject: Line
    text: str = Field(min_length=1, max_length=500_000)
    html: str | None = Field(
        default=None, max_length=1_000_000, description="The same for programs that show it."
    )
    attachments: list[Attachment] = Field(default_factory=list[Attachment], max_length=10)
    reply_to: Address | None = None
    in_reply_to: MessageId | None = Field(default=None, description="Id of the message this answers.")
    mark: Mark | None = Field(default=None, description="Idempotency mark; its Message-ID comes from it.")


class FindSent(_Arguments):
    mark: Mark


async def who_am_i(mail: Mail, _: Nothing) -> Json:
    """Signs in at both servers: what was typed in is right."""
    await mail.outbox.check()
    if mail.account.imap_host:
        await mail.in_mailbox(lambda box: box.folders())
    sender = mail.account.sender
    return {"user": {"id": sender, "name": sender}, "workspace": {"id": sender, "name": sender}}


async def list_folders(mail: Mail, _: Nothing) -> Json:
    found = await mail.in_mailbox(lambda box: box.folders())
    return {"folders": [{"id": name, "name": name, "items": items} for name, items in found]}


async def read_messages(mail: Mail, args: ReadMessages) -> Json:
    question = Question(
        after=args.after, before=args.before, words=args.search, sender=args.sender, unread=args.unread
    )
    found, more = await mail.messages(args.folder, question, args.limit)
    return {"messages": found, "truncated": more or any(one["truncated"] for one in found)}


async def send(mail: Mail, args: Send) -> Json:
    recipients = list(dict.fromkeys([*args.to, *args.cc, *args.bcc]))
    message_id = mail.message_id(args.mark, digest(recipients, args.subject, args.text))
    draft = Draft(
        sender=mail.account.sender,
        to=args.to,
        cc=args.cc,
        subject=args.subject,
        text=args.text,
        html=args.html,
        reply_to=args.reply_to,
        in_reply_to=args.in_reply_to,
        attachments=attached(args.attachments),
        message_id=message_id,
        at=mail.clock.now(),
    )
    await mail.send(draft, recipients)
    return {"id": message_id, "recipients": recipients}


async def find_sent(mail: Mail, args: FindSent) -> Json:
    return {"message": await mail.find_sent(mail.message_id(args.mark, ""))}


@asynccontextmanager
async def open_client(surroundings: Surroundings) -> AsyncGenerator[Mail]:
    account, reach = Account.of(surroundings.fields), Reach(surroundings.guard)
    yield Mail(account, SmtpOutbox(account, reach), real_mailbox(account, reach), surroundings.clock)


@asynccontextmanager
async def open_sample(world: Any, surroundings: Surroundings, strike: Strike) -> AsyncGenerator[Mail]:
    async def opened() -> sample.SampleMailbox:
        return sample.SampleMailbox(world, strike)

    yield Mail(sample.ACCOUNT, sample.SampleOutbox(world, strike), opened, surroundings.clock)


samples = sample.mail


def recipients_of(args: Arguments) -> list[str]:
    """Everybody it goes to, lower case, in order of the alphabet."""
    found: list[str] = []
    for key in ("to", "cc", "bcc"):
        given = args.get(key)
        found += [str(one).lower() for one in cast("list[Any]", given)] if isinstance(given, list) else []
    return sorted(set(found))


def _recipients(args: Arguments) -> Destination | None:
    found = recipients_of(args)
    return Destination(",".join(found), ", ".join(found)) if found else None


def _sends(args: Arguments) -> str:
    found = recipients_of(args)
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"sends an e-mail to {', '.join(found[:3]) or 'nobody'}{more}"


def _look_up(args: Arguments) -> Lookup | None:
    mark = args.get("mark")
    return Lookup("email.find_sent", {"mark": mark}, "message") if mark else None


TOOLS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="email.who_am_i",
        description=f"Says which account {TITLE} is connected to, and that it works.",
        arguments=Nothing,
        access=Access.READ,
        summary=lambda _: "looks up whose e-mail this is",
        run=who_am_i,
    ),
    IntegrationTool(
        name="email.list_folders",
        description="Lists the folders of the mailbox with their numbers of messages.",
        arguments=Nothing,
        access=Access.READ,
        summary=lambda _: "lists e-mail folders",
        run=list_folders,
    ),
    IntegrationTool(
        name="email.read_messages",
        description="Reads messages of a folder, received in a time window or with words in them.",
        arguments=ReadMessages,
        access=Access.READ,
        summary=lambda args: f"reads e-mail in {args.get('folder', 'INBOX')}",
        run=read_messages,
    ),
    IntegrationTool(
        name="email.send",
        description="Sends a message to people: text, and HTML and attachments if given.",
        arguments=Send,
        access=Access.SEND,
        summary=_sends,
        destination=_recipients,
        lookup=_look_up,
        run=send,
    ),
    IntegrationTool(
        name="email.find_sent",
        description="Finds a message that was sent with a mark.",
        arguments=FindSent,
        access=Access.READ,
        summary=lambda _: "looks for a message that was sent",
        run=find_sent,
    ),
)
