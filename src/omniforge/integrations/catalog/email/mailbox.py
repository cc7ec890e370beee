"""Reading by IMAP. Blocking: called in a thread."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast

from imap_tools import AND, BaseMailBox
from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError

from omniforge.core.errors import OmniForgeError
from omniforge.integrations.catalog.email.account import SECONDS, TITLE, Account, certificates
from omniforge.integrations.catalog.email.messages import Stored
from omniforge.integrations.errors import (
    ConnectionExpired,
    PermissionDeniedThere,
    RateLimitedThere,
    ResourceNotFound,
    ServiceDown,
)

LARGEST = 4 * 1024 * 1024
CUT_AT = 256 * 1024
"""Bytes read of a message larger than that."""
MOST_LOOKED_AT = 5_000
SENT_NAMES = ("sent", "sent items", "sent mail", "[gmail]/sent mail", "inbox.sent")
META = re.compile(rb"UID (\d+)|INTERNALDATE \"([^\"]+)\"|RFC822\.SIZE (\d+)|FLAGS \(([^)]*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which messages: received in a window, with words in them, from somebody, unread, by Message-ID."""

    after: datetime | None = None
    before: datetime | None = None
    words: str | None = None
    sender: str | None = None
    unread: bool = False
    message_id: str | None = None


class Mailbox(Protocol):
    def folders(self) -> list[tuple[str, int]]:
        """Names and numbers of messages."""
        ...

    def sent_folder(self) -> str | None: ...

    def messages(self, folder: str, question: Question, limit: int) -> tuple[list[Stored], bool]:
        """The newest first, and whether there are more."""
        ...


@dataclass(frozen=True, slots=True)
class ImapMailbox:
    """One session per call. `address` is the checked one of the account's server."""

    account: Account
    address: str
    may_be_open: bool

    def folders(self) -> list[tuple[str, int]]:
        with self._session() as box:
            names = [folder.name for folder in box.folder.list() if r"\Noselect" not in folder.flags]
            return [(name, int(box.folder.status(name, ["MESSAGES"])["MESSAGES"])) for name in names[:200]]

    def sent_folder(self) -> str | None:
        with self._session() as box:
            folders = box.folder.list()
            marked = [folder.name for folder in folders if r"\Sent" in folder.flags]
            named = [folder.name for folder in folders if folder.name.lower() in SENT_NAMES]
            return next(iter([*marked, *named]), None)

    def messages(self, folder: str, question: Question, limit: int) -> tuple[list[Stored], bool]:
        with self._session() as box:
            cast("Any", box.folder).set(folder, readonly=True)
            uids = box.uids(criteria(question), charset=None if _is_ascii(question) else "UTF-8")
            about = [one for one in self._about(box, uids[-MOST_LOOKED_AT:]) if _within(one[1], question)]
            about.sort(key=lambda one: (one[1], int(one[0])), reverse=True)
            found = [self._stored(box, *one) for one in about[:limit]]
            more = len(about) > limit or len(uids) > MOST_LOOKED_AT
            return [one for one in found if one is not None], more

    def _about(self, box: BaseMailBox, uids: Sequence[str]) -> list[tuple[str, datetime, int, bool]]:
        """Uid, time of arrival at the server (not what the sender claims), size, whether it was read."""
        found: list[tuple[str, datetime, int, bool]] = []
        for start in range(0, len(uids), 500):
            asked = ",".join(uids[start : start + 500])
            _, lines = box.client.uid("FETCH", asked, "(UID INTERNALDATE RFC822.SIZE FLAGS)")
            for line in lines:
                raw = line if isinstance(line, bytes) else b"".join(cast("Sequence[bytes]", line or ()))
                parts = [match.groups() for match in META.finditer(raw)]
                uid = next((part[0] for part in parts if part[0]), None)
                when = next((part[1] for part in parts if part[1]), None)
                if uid is None or when is None:
                    continue
                size = next((int(part[2]) for part in parts if part[2]), 0)
                seen = any(b"\\Seen" in part[3] for part in parts if part[3])
                found.append((uid.decode(), _arrival(when), size, seen))
        return found

    def _stored(self, box: BaseMailBox, uid: str, at: datetime, size: int, seen: bool) -> Stored | None:
        part = "(BODY.PEEK[])" if size <= LARGEST else f"(BODY.PEEK[]<0.{CUT_AT}>)"
        _, lines = box.client.uid("FETCH", uid, part)
        for line in lines:
            if isinstance(line, tuple):
                content = cast("tuple[bytes, bytes]", line)[1]
                return Stored(uid, content, at, seen, size > LARGEST)
        return None  # gone since

    @contextmanager
    def _session(self) -> Generator[BaseMailBox]:
        account = self.account
        try:
            box = _Box(account.imap_host, account.imap_port, self.address, self.may_be_open)
            try:
                box.login(account.user, account.password, initial_folder=None)
                yield box
            finally:
                box.client.shutdown()
        except (ImapToolsError, imaplib.IMAP4.error, OSError) as error:
            raise translated(error) from error


class _Box(BaseMailBox):
    """Connects to the address that was checked; TLS is for the name. Port 993 is TLS from the start."""

    def __init__(self, host: str, port: int, address: str, may_be_open: bool) -> None:
        self._place = (host, port, address, may_be_open)
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        host, port, address, may_be_open = self._place
        if port == 993:
            return _TlsAt(host, port, address)
        client = _At(host, port, address)
        if "STARTTLS" in client.capabilities or not may_be_open:
            client.starttls(certificates())
        return client


class _At(imaplib.IMAP4):
    def __init__(self, host: str, port: int, address: str) -> None:
        self._address = address
        super().__init__(host, port, SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection((self._address, self.port), timeout)


class _TlsAt(_At):
    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        return certificates().wrap_socket(super()._create_socket(timeout), server_hostname=self.host)


def criteria(question: Question) -> str:
    """The question in the words of IMAP; days there are of the server's zone, so one more is asked for."""
    asked: dict[str, Any] = {}
    if question.after is not None:
        asked["date_gte"] = (question.after - timedelta(days=1)).date()
    if question.before is not None:
        asked["date_lt"] = (question.before + timedelta(days=2)).date()
    if question.words:
        asked["text"] = question.words
    if question.sender:
        asked["from_"] = question.sender
    if question.unread:
        asked["seen"] = False
    if question.message_id:
        return f'HEADER Message-ID "{question.message_id}"'
    return str(AND(**asked)) if asked else "ALL"


def _is_ascii(question: Question) -> bool:
    return criteria(question).isascii()


def _within(at: datetime, question: Question) -> bool:
    return (question.after is None or at >= question.after) and (
        question.before is None or at < question.before
    )


def _arrival(when: bytes) -> datetime:
    try:
        return datetime.strptime(when.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
    except ValueError as error:
        raise imaplib.IMAP4.error("a time of arrival that cannot be read") from error


def translated(error: Exception) -> OmniForgeError:
    said = str(error)[:300]
    match error:
        case MailboxLoginError():
            return ConnectionExpired(f"{TITLE} does not accept this user name and password.")
        case MailboxFolderSelectError():
            return ResourceNotFound(f"{TITLE}: there is no such folder.", said=said)
        case _ if "AUTHENTICATIONFAILED" in said:
            return ConnectionExpired(f"{TITLE} does not accept this user name and password.")
        case _ if "NONEXISTENT" in said:
            return ResourceNotFound(f"{TITLE}: there is no such folder.", said=said)
        case _ if "NOPERM" in said:
            return PermissionDeniedThere(f"{TITLE}: this account may not read that.", said=said)
        case _ if "LIMIT" in said or "THROTTLED" in said:
            return RateLimitedThere(
                f"{TITLE} asks us to slow down. I'll go on later.",
                retryable=True,
                retry_after=60.0,
                said=said,
            )
        case _:
            return ServiceDown(f"{TITLE}: the mailbox server isn't answering.", retryable=True, said=said)
