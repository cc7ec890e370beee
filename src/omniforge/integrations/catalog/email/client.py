"""One e-mail account: its outbox, and its mailbox where one was given."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from omniforge.core.clock import Clock
from omniforge.integrations.catalog.email import messages
from omniforge.integrations.catalog.email.account import SECONDS, TITLE, Account, Reach, no_mailbox
from omniforge.integrations.catalog.email.mailbox import ImapMailbox, Mailbox, Question
from omniforge.integrations.catalog.email.messages import Draft, Json
from omniforge.integrations.catalog.email.outbox import Outbox
from omniforge.integrations.errors import ServiceDown

MAILBOX_SECONDS = SECONDS * 4

Done = TypeVar("Done")


class OpenMailbox(Protocol):
    async def __call__(self) -> Mailbox: ...


@dataclass(frozen=True, slots=True)
class Mail:
    account: Account
    outbox: Outbox
    open_mailbox: OpenMailbox
    clock: Clock

    async def in_mailbox(self, look: Callable[[Mailbox], Done]) -> Done:
        """Something done in the mailbox, beside the loop."""
        if not self.account.imap_host:
            raise no_mailbox()
        box = await self.open_mailbox()
        try:
            async with asyncio.timeout(MAILBOX_SECONDS):
                return await asyncio.to_thread(look, box)
        except TimeoutError as error:
            raise ServiceDown(
                f"{TITLE}: the mailbox server isn't answering.", retryable=True, reason="timeout"
            ) from error

    async def messages(self, folder: str, question: Question, limit: int) -> tuple[list[Json], bool]:
        def look(box: Mailbox) -> tuple[list[Json], bool]:
            found, more = box.messages(folder, question, limit)
            return [messages.read(one) for one in found], more

        return await self.in_mailbox(look)

    async def find_sent(self, message_id: str) -> Json | None:
        """The message in the folder of sent ones. Where it is not there, nothing was sent only if the service
        keeps what it sends; elsewhere ServiceDown says that it cannot be told.
        """

        def look(box: Mailbox) -> Json | None:
            folder = box.sent_folder()
            if folder is None:
                return None
            found, _ = box.messages(folder, Question(message_id=message_id), 1)
            return messages.read(found[0]) if found else None

        found = await self.in_mailbox(look) if self.account.imap_host else None
        if found is None and not self.account.keeps_sent:
            raise ServiceDown(
                f"{TITLE}: this server does not keep what is sent, so I cannot tell whether it was. "
                "Ask one of the recipients before it is sent again.",
                retryable=False,
                reason="cannot_tell",
            )
        return found

    def message_id(self, mark: str | None, content: str) -> str:
        """By the mark; without one by what is said, to whom and when."""
        return messages.message_id_of(
            mark or f"{self.clock.now().isoformat()} {content}", self.account.sender
        )

    async def send(self, draft: Draft, recipients: list[str]) -> None:
        await self.outbox.send(messages.written(draft), self.account.sender, recipients)


def real_mailbox(account: Account, reach: Reach) -> OpenMailbox:
    async def opened() -> Mailbox:
        address = await reach.address(account.imap_host, account.imap_port)
        return ImapMailbox(account, address, reach.may_be_open)

    return opened


def digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def is_ours(message_id: str, sender: str) -> bool:
    """Whether we wrote a message, by its id."""
    return message_id.startswith(f"<{messages.OURS}") and message_id.endswith(
        f"@{sender.rpartition('@')[2]}>"
    )


def received_at(shown: Json) -> datetime:
    return datetime.fromisoformat(shown["received_at"])
