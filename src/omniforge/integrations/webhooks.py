"""Whether a delivery is what it says it is: signature, age and replay key, by a service's own data (pure)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from omniforge.core.errors import Unauthenticated
from omniforge.core.plainjson import MAX_DEPTH
from omniforge.integrations.manifest import Encoding, Handshake, SignatureData, TimestampData, WebhookData

Json = dict[str, Any]

MOST_CANDIDATES = 10
"""Signatures looked at in one header: a sender gives one per key it signs with."""
LONGEST_SENT_AT = 20
KEY_PREFIX = b"whsec_"
"""How keys of Standard Webhooks are written: this, then base64."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_DIGITS = re.compile(r"[0-9]{1,17}(?:\.[0-9]{1,9})?")
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")


class Refused(Unauthenticated):
    """The one answer to every delivery that is not taken, whatever is wrong with it."""

    code = "unauthenticated"

    def __init__(self) -> None:
        super().__init__("This delivery could not be verified.")


class Forged(Refused):
    """Not signed with a secret we share with the sender, or not something that can be read."""


class Stale(Refused):
    """Signed well, but too long ago, or in the future."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that is what it says.

    key: the same for the same delivery. workspace: what it is about, "" when it names none.
    """

    key: str
    workspace: str
    payload: Json


def verify(
    webhook: WebhookData, secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime
) -> Delivery:
    """The delivery, when one of the secrets signed it and it is fresh; `Forged` or `Stale` otherwise.

    secrets: the present one and, while it is being exchanged, the one before; empty ones never verify.
    headers: any case. Whatever stands in headers and body, nothing else is raised.
    """
    given = {name.lower(): value for name, value in headers.items()}
    payload = read_payload(body)
    sent_at = _sent_at(webhook.timestamp, given, payload)
    name = _name(webhook, given, payload)
    signed = _filled(webhook.signature.signed, {"body": body, "timestamp": sent_at, "id": name})
    if not _is_signed(webhook.signature, secrets, given, signed):
        raise Forged
    if payload is None:
        raise Forged
    if webhook.timestamp is not None:
        _check_age(webhook.timestamp, sent_at, now)
    return Delivery(
        key=_replay_key(webhook.replay_key, name, sent_at, body),
        workspace=text_at(payload, webhook.workspace)[:200] if webhook.workspace else "",
        payload=payload,
    )


def challenge_of(webhook: WebhookData, payload: Json) -> str | None:
    """What a verified delivery asks to be sent back before there are any others; None for those others."""
    if webhook.handshake is not Handshake.SLACK_CHALLENGE or payload.get("type") != "url_verification":
        return None
    challenge = payload.get("challenge")
    return challenge[:1000] if isinstance(challenge, str) else ""


def token_of(webhook: WebhookData, body: bytes) -> str | None:
    """The secret that a service sends, unsigned, before its first delivery; None for anything else."""
    if webhook.handshake is not Handshake.NOTION_TOKEN or len(body) > 2000:
        return None
    payload = read_payload(body)
    token = (payload or {}).get("verification_token")
    usable = isinstance(token, str) and 16 <= len(token) <= 500 and token.isascii() and token.isprintable()
    return cast("str", token) if usable else None


def text_at(payload: Json, path: str) -> str:
    """The text or whole number at a dotted path; "" when there is none."""
    here: Any = payload
    for part in path.split("."):
        here = cast("Json", here).get(part) if isinstance(here, dict) else None
    if isinstance(here, str):
        return here
    return str(here) if isinstance(here, int) and not isinstance(here, bool) and abs(here) < 2**63 else ""


def read_payload(body: bytes) -> Json | None:
    """The JSON object of a body, without what could not be stored; None when it is no such thing."""
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    try:
        return cast("Json", _storable(value, MAX_DEPTH))
    except RecursionError:
        return None


def _storable(value: Any, depth: int) -> Any:
    match value:
        case str():
            return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)
        case float():
            return value if math.isfinite(value) else None
        case dict() | list() if depth == 0:
            raise RecursionError
        case dict():
            parts = cast("Json", value)
            return {_storable(name, 1): _storable(part, depth - 1) for name, part in parts.items()}
        case list():
            return [_storable(part, depth - 1) for part in cast("list[Any]", value)]
        case _:
            return value


def _is_signed(
    signature: SignatureData, secrets: Sequence[bytes], headers: Mapping[str, str], signed: bytes
) -> bool:
    """Every candidate is compared with every key, so that the time taken tells nothing."""
    header = headers.get(signature.header.lower(), "")
    candidates = [
        part.removeprefix(signature.prefix).encode("utf-8", "replace")
        for part in header.split(" ")[:MOST_CANDIDATES]
        if part.startswith(signature.prefix)
    ]
    found = False
    for secret in secrets:
        key = _key(secret, signature.encoding)
        if key:
            expected = _encoded(hmac.digest(key, signed, "sha256"), signature.encoding)
            for candidate in candidates:
                found |= hmac.compare_digest(candidate, expected)
    return found


def _key(secret: bytes, encoding: Encoding) -> bytes:
    if encoding is Encoding.BASE64 and secret.startswith(KEY_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
        except binascii.Error:
            return secret
    return secret


def _encoded(digest: bytes, encoding: Encoding) -> bytes:
    match encoding:
        case Encoding.HEX:
            return digest.hex().encode()
        case Encoding.BASE64:
            return base64.b64encode(digest)


def _filled(template: str, parts: Mapping[str, bytes | str]) -> bytes:
    filled: list[bytes] = []
    for text in re.split(r"(\{\w+\})", template):
        part = parts.get(text[1:-1], b"") if text.startswith("{") else text
        filled.append(part if isinstance(part, bytes) else part.encode("utf-8", "replace"))
    return b"".join(filled)


def _sent_at(timestamp: TimestampData | None, headers: Mapping[str, str], payload: Json | None) -> str:
    if timestamp is None:
        return ""
    if timestamp.header:
        return headers.get(timestamp.header.lower(), "")[: LONGEST_SENT_AT + 1]
    return text_at(payload or {}, timestamp.field)


def _check_age(timestamp: TimestampData, sent_at: str, now: datetime) -> None:
    if not _DIGITS.fullmatch(sent_at):
        raise Stale
    seconds = float(sent_at) / (1000 if timestamp.unit == "milliseconds" else 1)
    if abs(now.timestamp() - seconds) > timestamp.tolerance_seconds:
        raise Stale


def _name(webhook: WebhookData, headers: Mapping[str, str], payload: Json | None) -> str:
    """What the sender calls the delivery, where that is what tells a repetition."""
    kind, _, where = webhook.replay_key.partition(":")
    match kind:
        case "header":
            return headers.get(where.lower(), "")
        case "field":
            return text_at(payload or {}, where)
        case _:
            return ""


def _replay_key(kind: str, name: str, sent_at: str, body: bytes) -> str:
    """Short and printable in any case. A delivery without the name it should have is told by its body."""
    if name:
        return name if _PLAIN_KEY.fullmatch(name) else _hash(name.encode("utf-8", "replace"))
    prefix = f"{sent_at}." if kind == "timestamp_body" else ""
    return _hash(prefix.encode() + body)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
