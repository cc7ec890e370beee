"""What happens in a mailbox: a message is received. Told by asking; mail servers deliver nothing to us."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from omniforge.integrations.catalog.email.client import Mail, is_ours, received_at
from omniforge.integrations.catalog.email.mailbox import Question
from omniforge.integrations.catalog.email.messages import Json
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.manifest import EventKind, Occurrence

MOST = 500


async def received(mail: Mail, resource: str | None, since: datetime) -> list[Occurrence]:
    """Messages that arrived since then, by the server's clock; in the inbox when no folder is named."""
    folder = resource or "INBOX"
    found, more = await mail.messages(folder, Question(after=since), MOST)
    if more:  # a part would move the cursor past the rest
        raise ServiceDown(f"E-mail: more than {MOST} messages arrived since the last look.", retryable=True)
    return [
        Occurrence(
            type="message.received",
            id=one["id"],
            version="1",
            at=received_at(one),
            resource=folder,
            item=one,
            author=mail.account.sender if is_ours(one["id"], mail.account.sender) else one["from"],
        )
        for one in found
    ]


EVENTS: tuple[EventKind, ...] = (
    EventKind(name="message.received", title="a new message in the mailbox", poll=received),
)


def read_delivery(headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    return []
