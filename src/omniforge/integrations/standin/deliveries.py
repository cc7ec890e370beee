"""Webhooks a local server sends: signed as the `webhook` block of provider.yaml says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from omniforge.integrations.manifest import Encoding, WebhookData
from omniforge.integrations.standin.state import Json


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as it goes over the wire."""

    headers: Mapping[str, str]
    body: bytes


def signed_delivery(
    webhook: WebhookData, secret: str, payload: Json, now: datetime, headers: Mapping[str, str] | None = None
) -> Delivery:
    """The delivery of a payload at a moment. `headers` are the service's unsigned ones."""
    sent = {"content-type": "application/json", "webhook-id": f"msg_{uuid.uuid4().hex}"}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    stamp, payload = "", dict(payload)
    if webhook.timestamp is not None:
        factor = 1 if webhook.timestamp.unit == "seconds" else 1000
        number = int(now.timestamp() * factor)
        stamp = str(number)
        if webhook.timestamp.field:
            payload[webhook.timestamp.field] = number
        else:
            sent[webhook.timestamp.header.lower()] = stamp
    body = json.dumps(payload, separators=(",", ":")).encode()
    sent[webhook.signature.header.lower()] = signature_of(webhook, secret, body, stamp, sent["webhook-id"])
    return Delivery(sent, body)


def signature_of(webhook: WebhookData, secret: str, body: bytes, stamp: str, message_id: str) -> str:
    """HMAC-SHA256 over what the block names. A `whsec_` secret is base64, as Standard Webhooks has it."""
    rules = webhook.signature
    known = {"{timestamp}": stamp.encode(), "{id}": message_id.encode()}
    signed = rules.signed.encode()
    for name, value in known.items():
        signed = signed.replace(name.encode(), value)
    signed = signed.replace(b"{body}", body)
    standard = secret.startswith("whsec_")
    key = base64.b64decode(secret.removeprefix("whsec_")) if standard else secret.encode()
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    shown = digest.hex() if rules.encoding is Encoding.HEX else base64.b64encode(digest).decode()
    return f"{rules.prefix}{shown}"


async def send(delivery: Delivery, url: str) -> tuple[int, str]:
    """Deliver it; the answer's status and the beginning of its body, 0 when nobody answers."""
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            answer = await http.post(url, content=delivery.body, headers=dict(delivery.headers))
    except httpx.HTTPError as error:
        return 0, type(error).__name__
    return answer.status_code, answer.text[:2000]
