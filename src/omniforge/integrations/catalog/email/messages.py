"""Messages: written so that nothing can be slipped into their headers, read as plain data (pure)."""

from __future__ import annotations

import base64
import binascii
import email
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import format_datetime, getaddresses, parsedate_to_datetime
from typing import Any

from pydantic import BaseModel

from omniforge.core.clock import rfc3339
from omniforge.core.errors import Invalid
from omniforge.core.plaintext import charset_of, text_of_html

LONGEST_TEXT = 100_000
LONGEST_LINE = 1_000
LARGEST_ATTACHMENTS = 10 * 1024 * 1024
OURS = "of."
"""How the ids of our own messages begin."""
ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@"
    r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}"
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a mailbox holds it. `content` may be its beginning only (`cut`)."""

    uid: str
    content: bytes
    received_at: datetime
    seen: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message to be sent. Addresses were checked; `attachments` are name, kind and bytes."""

    sender: str
    to: Sequence[str]
    cc: Sequence[str]
    subject: str
    text: str
    html: str | None
    reply_to: str | None
    in_reply_to: str | None
    attachments: Sequence[tuple[str, str, bytes]]
    message_id: str
    at: datetime


def message_id_of(mark: str, sender: str) -> str:
    """The same for the same mark: by it a message is found again, and a second copy is told as one."""
    return f"<{OURS}{hashlib.sha256(mark.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"


def written(draft: Draft) -> bytes:
    """The message as it is sent. The library refuses line breaks in headers; arguments have none before."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = draft.sender, ", ".join(draft.to)
    if draft.cc:
        message["Cc"] = ", ".join(draft.cc)
    message["Subject"], message["Date"] = draft.subject, format_datetime(draft.at)
    message["Message-ID"], message["Auto-Submitted"] = draft.message_id, "auto-generated"
    if draft.reply_to:
        message["Reply-To"] = draft.reply_to
    if draft.in_reply_to:
        message["In-Reply-To"] = message["References"] = draft.in_reply_to
    message.set_content(draft.text)
    if draft.html is not None:
        message.add_alternative(draft.html, subtype="html")
    for name, kind, content in draft.attachments:
        main, _, sub = kind.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub or "octet-stream", filename=name)
    whole = message.as_bytes()
    # parts are told apart by a line of their own: made of the content, the same message is the same bytes
    for number, boundary in enumerate(dict.fromkeys(re.findall(rb'boundary="([^"]+)"', whole))):
        seed = hashlib.sha256(draft.message_id.encode() + bytes([number % 256])).hexdigest()[:32]
        whole = whole.replace(boundary, f"=_{seed}".encode())
    return whole


def attached(given: Sequence[BaseModel]) -> list[tuple[str, str, bytes]]:
    """Attachments of the arguments as bytes; Invalid when one cannot be read or all are too large."""
    found: list[tuple[str, str, bytes]] = []
    for number, one in enumerate(given):
        item = one.model_dump()
        try:
            content = (
                item["text"].encode()
                if item["text"] is not None
                else base64.b64decode(item["content"] or "", validate=True)
            )
        except (binascii.Error, UnicodeEncodeError, ValueError):
            entry = {"field": f"attachments[{number}].content", "value": "…", "rule": "base64"}
            raise Invalid("An attachment cannot be read.", fields=[entry]) from None
        found.append((item["name"], item["kind"], content))
    if sum(len(content) for _, _, content in found) > LARGEST_ATTACHMENTS:
        entry = {
            "field": "attachments",
            "value": "…",
            "rule": f"{LARGEST_ATTACHMENTS // 1_048_576} MB in all",
        }
        raise Invalid("These attachments are too large.", fields=[entry])
    return found


def read(stored: Stored) -> Json:
    """A message as plain data. Whatever is wrong with it, something is shown."""
    message = email.message_from_bytes(stored.content)
    sender = _addresses(message, "From")
    text, cut, attachments = _body(message)
    return {
        "id": message_id(message) or f"uid:{stored.uid}",
        "from": sender[0]["address"] if sender else "",
        "from_name": sender[0]["name"] if sender else "",
        "to": [one["address"] for one in _addresses(message, "To")],
        "cc": [one["address"] for one in _addresses(message, "Cc")],
        "subject": header(message, "Subject"),
        "sent_at": _sent_at(message),
        "received_at": rfc3339(stored.received_at),
        "in_reply_to": header(message, "In-Reply-To"),
        "seen": stored.seen,
        "text": text,
        "truncated": cut or stored.cut,
        "attachments": attachments,
    }


def message_id(message: Message) -> str:
    return header(message, "Message-ID").strip()


def header(message: Message, name: str) -> str:
    value: Any = message.get(name)
    if value is None:
        return ""
    try:
        shown = str(make_header(decode_header(value)))
    except (LookupError, UnicodeError, ValueError, HeaderParseError):
        shown = str(value)
    return _clean(" ".join(shown.split()))[:LONGEST_LINE]


def _addresses(message: Message, name: str) -> list[dict[str, str]]:
    found = getaddresses([header(message, name)])
    return [{"name": name, "address": address.lower()} for name, address in found[:100] if address]


def _sent_at(message: Message) -> str | None:
    try:
        found = parsedate_to_datetime(header(message, "Date"))
        return rfc3339(found) if found.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None


def _body(message: Message) -> tuple[str, bool, list[Json]]:
    """The words (plain ones first, else those of the HTML), whether they were cut, and what is attached."""
    plain, html, attachments = "", "", list[Json]()
    for part in message.walk():
        if part.is_multipart():
            continue
        payload: Any = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        kind, name = part.get_content_type(), _file_name(part)
        if name or part.get_content_disposition() == "attachment" or not kind.startswith("text/"):
            attachments.append({"name": name, "kind": kind, "size": len(content)})
            continue
        declared: Any = part.get_content_charset()
        words = content.decode(charset_of(declared if isinstance(declared, str) else None), errors="replace")
        if kind == "text/html":
            html = html or text_of_html(words)
        else:
            plain = plain or words.replace("\r\n", "\n")
    text = _clean((plain.strip() or html).strip())
    return text[:LONGEST_TEXT], len(text) > LONGEST_TEXT, attachments[:100]


def _file_name(part: Message) -> str:
    try:
        return _clean(str(part.get_filename() or ""))[:LONGEST_LINE]
    except (LookupError, UnicodeError, ValueError, TypeError):
        return ""


def _clean(text: str) -> str:
    """Without what no database holds: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
