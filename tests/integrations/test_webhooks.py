"""Five schemes of signatures: what is taken, what is refused, and that nothing else can come of garbage."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Unauthenticated
from omniforge.integrations.manifest import WebhookData
from omniforge.integrations.webhooks import (
    Forged,
    Refused,
    Stale,
    challenge_of,
    read_payload,
    text_at,
    token_of,
    verify,
)

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SECRET = b"the secret of this hook"
STANDARD_KEY = b"\x00\x01binary key of thirty-two bytes"


@dataclass(frozen=True)
class Scheme:
    """A service's data, and its signature written down once more, by the service's own description."""

    data: WebhookData
    secret: bytes = SECRET

    def deliver(
        self, payload: Mapping[str, Any], sent: datetime = NOW, secret: bytes | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body as the service sends them."""
        raise AssertionError


class GitHub(Scheme):
    def deliver(
        self, payload: Mapping[str, Any], sent: datetime = NOW, secret: bytes | None = None
    ) -> tuple[dict[str, str], bytes]:
        body = json.dumps(payload).encode()
        digest = hmac.new(secret or self.secret, body, hashlib.sha256).hexdigest()
        return {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Event": "issues"}, body


class Notion(Scheme):
    def deliver(
        self, payload: Mapping[str, Any], sent: datetime = NOW, secret: bytes | None = None
    ) -> tuple[dict[str, str], bytes]:
        body = json.dumps(payload).encode()
        digest = hmac.new(secret or self.secret, body, hashlib.sha256).hexdigest()
        return {"X-Notion-Signature": f"sha256={digest}"}, body


class Slack(Scheme):
    def deliver(
        self, payload: Mapping[str, Any], sent: datetime = NOW, secret: bytes | None = None
    ) -> tuple[dict[str, str], bytes]:
        body, stamp = json.dumps(payload).encode(), str(int(sent.timestamp()))
        signed = b"v0:" + stamp.encode() + b":" + body
        digest = hmac.new(secret or self.secret, signed, hashlib.sha256).hexdigest()
        return {"X-Slack-Signature": f"v0={digest}", "X-Slack-Request-Timestamp": stamp}, body


class Linear(Scheme):
    def deliver(
        self, payload: Mapping[str, Any], sent: datetime = NOW, secret: bytes | None = None
    ) -> tuple[dict[str, str], bytes]:
        stamp = int(sent.timestamp() * 1000)
        body = json.dumps({**payload, "webhookTimestamp": stamp}).encode()
        return {"Linear-Signature": hmac.new(secret or self.secret, body, hashlib.sha256).hexdigest()}, body


class Standard(Scheme):
    def deliver(
        self, payload: Mapping[str, Any], sent: datetime = NOW, secret: bytes | None = None
    ) -> tuple[dict[str, str], bytes]:
        body, stamp = json.dumps(payload).encode(), str(int(sent.timestamp()))
        key = base64.b64decode((secret or self.secret).removeprefix(b"whsec_"))
        digest = hmac.new(key, b"msg_1." + stamp.encode() + b"." + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}, body


def data(**block: Any) -> WebhookData:
    return WebhookData.model_validate(block)


HEX = {"prefix": "sha256=", "encoding": "hex", "signed": "{body}"}
SCHEMES: dict[str, Scheme] = {
    "github": GitHub(data(signature={"header": "X-Hub-Signature-256", **HEX}, replay_key="body")),
    "notion": Notion(
        data(
            signature={"header": "X-Notion-Signature", **HEX},
            replay_key="field:id",
            handshake="notion_token",
            workspace="workspace_id",
        )
    ),
    "slack": Slack(
        data(
            signature={"header": "X-Slack-Signature", "prefix": "v0=", "signed": "v0:{timestamp}:{body}"},
            timestamp={"header": "X-Slack-Request-Timestamp", "tolerance_seconds": 300},
            replay_key="timestamp_body",
            handshake="slack_challenge",
            workspace="team_id",
        )
    ),
    "linear": Linear(
        data(
            signature={"header": "Linear-Signature"},
            timestamp={"field": "webhookTimestamp", "unit": "milliseconds", "tolerance_seconds": 300},
            replay_key="body",
            workspace="organizationId",
        )
    ),
    "webhook": Standard(
        data(
            signature={
                "header": "webhook-signature",
                "prefix": "v1,",
                "encoding": "base64",
                "signed": "{id}.{timestamp}.{body}",
            },
            timestamp={"header": "webhook-timestamp", "tolerance_seconds": 300},
            replay_key="header:webhook-id",
        ),
        b"whsec_" + base64.b64encode(STANDARD_KEY),
    ),
}
WITH_AGE = ("slack", "linear", "webhook")
every_scheme = pytest.mark.parametrize("name", SCHEMES)
PAYLOAD = {"id": "ev-1", "workspace_id": "w-1", "team_id": "w-1", "organizationId": "w-1", "text": "grüße"}


def changed(text: str) -> str:
    """The text with another last character."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


@every_scheme
def test_a_good_delivery_is_taken_in_any_case_of_its_headers(name: str) -> None:
    scheme = SCHEMES[name]
    headers, body = scheme.deliver(PAYLOAD)
    shouted = {header.upper(): value for header, value in headers.items()}
    for given_headers in (headers, shouted):
        delivery = verify(scheme.data, [scheme.secret], given_headers, body, NOW)
        assert delivery.payload["text"] == "grüße"
        assert delivery.workspace == ("w-1" if scheme.data.workspace else "")


@every_scheme
def test_the_key_is_the_same_for_the_same_delivery_and_another_for_another(name: str) -> None:
    scheme = SCHEMES[name]
    headers, body = scheme.deliver(PAYLOAD)
    key = verify(scheme.data, [scheme.secret], headers, body, NOW).key
    later = NOW + timedelta(seconds=60)
    assert verify(scheme.data, [scheme.secret], headers, body, later).key == key
    if name != "webhook":  # there the sender's own id tells, whatever the body is
        headers, body = scheme.deliver({**PAYLOAD, "id": "ev-2"})
        assert verify(scheme.data, [scheme.secret], headers, body, NOW).key != key


def test_an_unsigned_name_of_a_delivery_does_not_make_it_another_one() -> None:
    scheme = SCHEMES["github"]
    headers, body = scheme.deliver(PAYLOAD)
    keys = {
        verify(scheme.data, [SECRET], {**headers, "X-GitHub-Delivery": str(n)}, body, NOW).key
        for n in range(3)
    }
    assert len(keys) == 1


@every_scheme
def test_another_secret_a_changed_body_or_a_changed_signature_is_forged(name: str) -> None:
    scheme = SCHEMES[name]
    headers, body = scheme.deliver(PAYLOAD)
    other = b"whsec_" + base64.b64encode(b"another key")
    with pytest.raises(Forged):
        verify(scheme.data, [other], headers, body, NOW)
    with pytest.raises(Forged):
        verify(scheme.data, [scheme.secret], headers, body.replace(b"ev-1", b"ev-9"), NOW)
    signature = next(header for header in headers if header.lower() == scheme.data.signature.header.lower())
    for wrong in (changed(headers[signature]), "", " ", headers[signature][:10], "sha256=", "v0=", "v1,"):
        with pytest.raises(Forged):
            verify(scheme.data, [scheme.secret], {**headers, signature: wrong}, body, NOW)
    del headers[signature]
    with pytest.raises(Forged):
        verify(scheme.data, [scheme.secret], headers, body, NOW)


@every_scheme
@pytest.mark.parametrize("secrets", [(), (b"",), (b"", b"whsec_")])
def test_an_unset_secret_never_verifies(name: str, secrets: tuple[bytes, ...]) -> None:
    scheme = SCHEMES[name]
    empty = type(scheme)(scheme.data, b"")
    headers, body = empty.deliver(PAYLOAD)
    with pytest.raises(Forged):
        verify(scheme.data, secrets, headers, body, NOW)


@every_scheme
def test_during_an_exchange_both_secrets_verify_and_no_third_one(name: str) -> None:
    scheme = SCHEMES[name]
    fresh, third = (b"whsec_" + base64.b64encode(word * 8) for word in (b"next", b"mine"))
    for secret in (scheme.secret, fresh):
        headers, body = scheme.deliver(PAYLOAD, secret=secret)
        assert verify(scheme.data, [fresh, scheme.secret], headers, body, NOW).payload["id"] == "ev-1"
    headers, body = scheme.deliver(PAYLOAD, secret=third)
    with pytest.raises(Forged):
        verify(scheme.data, [fresh, scheme.secret], headers, body, NOW)


@pytest.mark.parametrize("name", WITH_AGE)
@pytest.mark.parametrize(("seconds", "is_fresh"), [(-301, False), (-299, True), (299, True), (302, False)])
def test_deliveries_are_taken_for_five_minutes_either_way(name: str, seconds: int, is_fresh: bool) -> None:
    scheme = SCHEMES[name]
    headers, body = scheme.deliver(PAYLOAD, NOW + timedelta(seconds=seconds))
    if is_fresh:
        assert verify(scheme.data, [scheme.secret], headers, body, NOW).payload["id"] == "ev-1"
        return
    with pytest.raises(Stale):
        verify(scheme.data, [scheme.secret], headers, body, NOW)


@pytest.mark.parametrize("name", ["slack", "webhook"])
def test_a_later_time_cannot_be_put_on_an_old_signature(name: str) -> None:
    scheme = SCHEMES[name]
    headers, body = scheme.deliver(PAYLOAD, NOW - timedelta(hours=1))
    stamp = scheme.data.timestamp
    assert stamp is not None
    name = next(header for header in headers if header.lower() == stamp.header.lower())
    with pytest.raises(Forged):
        verify(scheme.data, [scheme.secret], {**headers, name: str(int(NOW.timestamp()))}, body, NOW)


def test_one_of_several_signatures_is_enough() -> None:
    scheme = SCHEMES["webhook"]
    headers, body = scheme.deliver(PAYLOAD)
    headers["webhook-signature"] = f"v1a,other v1,bm90aGluZw== {headers['webhook-signature']}"
    assert verify(scheme.data, [scheme.secret], headers, body, NOW).key == "msg_1"


@every_scheme
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 100_000, b"{}x"])
def test_what_is_no_json_object_is_refused_however_well_it_is_signed(name: str, body: bytes) -> None:
    scheme = SCHEMES[name]
    block = scheme.data.model_copy(update={"timestamp": None})
    signed = {"slack": b"v0::" + body, "webhook": b"m.." + body}.get(name, body)
    key = STANDARD_KEY if name == "webhook" else SECRET
    digest = hmac.new(key, signed, hashlib.sha256)
    shown = base64.b64encode(digest.digest()).decode() if name == "webhook" else digest.hexdigest()
    headers = {block.signature.header: f"{block.signature.prefix}{shown}", "webhook-id": "m"}
    with pytest.raises(Forged):
        verify(block, [scheme.secret], headers, body, NOW)


def test_what_cannot_be_stored_is_cleaned_of_an_authentic_delivery() -> None:
    body = b'{"title": "a\\u0000b", "half": "\\ud800", "size": 1e999, "n": NaN, "x\\u0000": [true, 1]}'
    replaced = "\N{REPLACEMENT CHARACTER}"
    assert read_payload(body) == {
        "title": f"a{replaced}b",
        "half": replaced,
        "size": None,
        "n": None,
        f"x{replaced}": [True, 1],
    }


garbage = st.text(st.characters(exclude_categories=()), max_size=60)
names = st.sampled_from(
    [
        *{block.data.signature.header for block in SCHEMES.values()},
        "X-Slack-Request-Timestamp",
        "webhook-timestamp",
        "webhook-id",
    ]
)
signatures = st.builds("{}{}".format, st.sampled_from(["sha256=", "v0=", "v1,", ""]), garbage)
numbers = st.one_of(st.just(str(int(NOW.timestamp()))), st.integers().map(str), garbage)
bodies = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(["id", "webhookTimestamp", "team_id", "type", "verification_token"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), garbage, st.lists(st.integers())),
    ).map(lambda found: json.dumps(found).encode()),
)


@given(
    name=st.sampled_from(sorted(SCHEMES)),
    headers=st.dictionaries(st.one_of(names, garbage), st.one_of(signatures, numbers)),
    body=bodies,
    secrets=st.lists(st.binary(max_size=40), max_size=3),
)
def test_garbage_gives_one_refusal_and_nothing_else(
    name: str, headers: dict[str, str], body: bytes, secrets: list[bytes]
) -> None:
    with pytest.raises(Refused) as refusal:
        verify(SCHEMES[name].data, secrets, headers, body, NOW)
    first, second = refusal.value, Stale()
    assert isinstance(first, Unauthenticated)
    assert (first.status, first.code, first.message, first.details) == (
        second.status,
        second.code,
        second.message,
        second.details,
    )


@given(name=st.sampled_from(sorted(SCHEMES)), payload=st.dictionaries(garbage, garbage), sent=numbers)
def test_a_well_signed_delivery_of_anything_is_taken_or_refused(
    name: str, payload: dict[str, str], sent: str
) -> None:
    scheme = SCHEMES[name]
    headers, body = scheme.deliver(payload)
    odd = {**headers, "webhook-id": sent} if name == "webhook" else headers
    try:
        delivery = verify(scheme.data, [scheme.secret], odd, body, NOW)
    except Refused:
        assert name == "webhook"  # its id is signed
    else:
        assert delivery.key.isascii()
        assert 0 < len(delivery.key) <= 100


@given(payload=st.recursive(st.none() | st.integers() | garbage, lambda deep: st.dictionaries(garbage, deep)))
def test_a_path_through_anything_gives_text(payload: Any) -> None:
    assert isinstance(text_at({"a": payload}, "a.b.c"), str)


def test_a_slack_challenge_is_told_from_other_deliveries() -> None:
    slack, github = SCHEMES["slack"].data, SCHEMES["github"].data
    asked = {"type": "url_verification", "challenge": "3eZbrw1a"}
    assert challenge_of(slack, asked) == "3eZbrw1a"
    assert challenge_of(slack, {"type": "event_callback", "challenge": "x"}) is None
    assert challenge_of(github, asked) is None


def test_a_notion_token_is_told_from_other_bodies() -> None:
    notion, slack = SCHEMES["notion"].data, SCHEMES["slack"].data
    good = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
    body = json.dumps({"verification_token": good}).encode()
    assert token_of(notion, body) == good
    assert token_of(slack, body) is None
    for wrong in (b"{}", b"[]", b"", b'{"verification_token": 1}', b'{"verification_token": "short"}'):
        assert token_of(notion, wrong) is None
    assert token_of(notion, json.dumps({"verification_token": "x" * 501}).encode()) is None
