"""A sample account of a dry run: messages of `fixtures/` relative to a moment, sent ones kept in memory."""

from __future__ import annotations

import email
import imaplib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiosmtplib

from omniforge.integrations.catalog.email import mailbox, messages, outbox
from omniforge.integrations.catalog.email.account import Account
from omniforge.integrations.catalog.email.mailbox import Question
from omniforge.integrations.catalog.email.messages import Draft, Stored
from omniforge.integrations.clients import Strike

FIXTURES = Path(__file__).parent / "fixtures"
ACCOUNT = Account("smtp.gmail.com", 587, "ops", "", "ops@acme.example", "imap.gmail.com", 993)
SENT = "Sent"

Done = TypeVar("Done")


@dataclass(slots=True)
class SampleMail:
    """Folders with their messages."""

    now: datetime
    folders: dict[str, list[Stored]] = field(default_factory=dict[str, list[Stored]])


def mail(now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False) -> SampleMail:
    raw: list[dict[str, Any]] = json.loads((FIXTURES / "messages.json").read_text(encoding="utf-8"))
    found = [] if empty else [_stored(entry, number, now) for number, entry in enumerate(raw, 1)]
    return SampleMail(now, {"INBOX": found, SENT: []})


def _stored(entry: dict[str, Any], number: int, now: datetime) -> Stored:
    at = (now - timedelta(days=entry["days_ago"])).replace(minute=number, second=0, microsecond=0)
    draft = Draft(
        sender=entry["from"],
        to=[ACCOUNT.sender],
        cc=[],
        subject=entry["subject"],
        text=entry["text"],
        html=None,
        reply_to=None,
        in_reply_to=None,
        attachments=[(name, "application/pdf", b"%PDF-1.7 sample") for name in entry["attachments"]],
        message_id=f"<sample-{number}@{entry['from'].rpartition('@')[2]}>",
        at=at,
    )
    return Stored(str(number), messages.written(draft), at, entry["seen"])


@dataclass(frozen=True, slots=True)
class SampleOutbox:
    world: SampleMail
    strike: Strike

    async def check(self) -> None:
        self._do(lambda: None)

    async def send(self, content: bytes, sender: str, recipients: Sequence[str]) -> None:
        kept = self.world.folders[SENT]
        stored = Stored(str(len(kept) + 1), content, self.world.now, seen=True)
        self._do(lambda: kept.append(stored))

    def _do(self, step: Callable[[], Any]) -> None:
        try:
            self.strike(step, _smtp_fault)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise outbox.translated(error, sent=True) from error


@dataclass(frozen=True, slots=True)
class SampleMailbox:
    world: SampleMail
    strike: Strike

    def folders(self) -> list[tuple[str, int]]:
        return self._do(lambda: [(name, len(found)) for name, found in self.world.folders.items()])

    def sent_folder(self) -> str | None:
        return SENT

    def messages(self, folder: str, question: Question, limit: int) -> tuple[list[Stored], bool]:
        def look() -> list[Stored]:
            if folder not in self.world.folders:
                raise imaplib.IMAP4.error("[NONEXISTENT] Unknown Mailbox")
            return [one for one in self.world.folders[folder] if _matches(one, question)]

        found = sorted(self._do(look), key=lambda one: one.received_at, reverse=True)
        return found[:limit], len(found) > limit

    def _do(self, step: Callable[[], Done]) -> Done:
        try:
            return self.strike(step, _imap_fault)
        except (imaplib.IMAP4.error, OSError) as error:
            raise mailbox.translated(error) from error


def _matches(stored: Stored, question: Question) -> bool:
    shown = messages.read(stored)
    words = f"{shown['subject']} {shown['text']} {shown['from']}".casefold()
    message_id = messages.message_id(email.message_from_bytes(stored.content))
    return (
        (question.after is None or stored.received_at >= question.after)
        and (question.before is None or stored.received_at < question.before)
        and (question.words is None or question.words.casefold() in words)
        and (question.sender is None or question.sender.casefold() in shown["from"])
        and (not question.unread or not stored.seen)
        and (question.message_id is None or question.message_id == message_id)
    )


def _smtp_fault(name: str, answer: Mapping[str, Any]) -> Exception:
    if "smtp" not in answer:
        return aiosmtplib.SMTPReadTimeoutError(str(answer["said"]))
    code, said = answer["smtp"]
    failure = aiosmtplib.SMTPAuthenticationError if code == 535 else aiosmtplib.SMTPResponseException
    return failure(code, said)


def _imap_fault(name: str, answer: Mapping[str, Any]) -> Exception:
    return imaplib.IMAP4.error(answer["imap"]) if "imap" in answer else TimeoutError(str(answer["said"]))
