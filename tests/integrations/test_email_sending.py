"""E-mail over real SMTP on loopback: what arrives, who gets it, what cannot be slipped in."""

from __future__ import annotations

import asyncio
import email
import warnings
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.policy import default

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.core.outward import AddressRefused
from omniforge.integrations import IntegrationService, SampleFault, load_catalog
from omniforge.integrations.catalog.email import messages, outbox
from omniforge.integrations.catalog.email.mailbox import Question, criteria
from omniforge.integrations.catalog.email.messages import Stored, message_id_of, read
from omniforge.integrations.catalog.email.tools import TOOLS
from omniforge.integrations.samples import SampleShape, SampleTerms, faults_of, sample_client

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
EMAIL = load_catalog()["email"]
LETTER = {"to": ["maya@acme.example"], "subject": "Weekly report", "text": "All is well."}


class Post:
    """A mail server on loopback: keeps what arrives, refuses whom it is told to."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refused: dict[str, str] = {}
        self.after_data = "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.after_data.startswith("250"):
            self.taken.append(envelope)
        return self.after_data

    def login(self, server, session, envelope, mechanism, data) -> AuthResult:
        return AuthResult(success=bytes(data.password) == b"right", handled=False)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def server(post: Post) -> AsyncIterator[int]:
    """The port of a server that wants a password before anything else."""
    made: list[SMTP] = []

    def session() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of passwords without TLS, which loopback does without
            made.append(
                SMTP(
                    post,
                    hostname="test",
                    authenticator=post.login,
                    auth_require_tls=False,
                    auth_required=True,
                )
            )
        return made[-1]

    running = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    yield running.sockets[0].getsockname()[1]
    running.close()
    for one in made:
        if one.transport is not None:
            one.transport.close()
    await running.wait_closed()
    await asyncio.sleep(0)


@pytest.fixture
async def mail(
    make_service: Callable[[Settings], IntegrationService], tmp_path
) -> AsyncIterator[IntegrationService]:
    local = ServiceSettings(base_url="smtp://127.0.0.1")
    made = make_service(Settings(home=tmp_path, services={"email": local}))
    yield made
    await made.close()


def typed(server: int, **other: str) -> dict[str, str]:
    return {
        "host": "127.0.0.1",
        "port": str(server),
        "user": "ops",
        "password": "right",
        "sender": "ops@acme.example",
        **other,
    }


async def test_an_account_is_typed_in_tried_and_never_shown_again(mail, actor, server):
    connection = await mail.add_key_connection(actor, "email", typed(server))
    assert (connection.workspace_name, connection.kind) == ("ops@acme.example", "key")
    shown = (await mail.connection(actor, connection.id)).model_dump_json()
    assert "right" not in shown
    view = await mail.integration(actor, "email")
    assert (view.connected, view.configured, view.sign_in) == (True, True, "key")
    assert [field.name for field in view.fields if field.secret] == ["password"]


async def test_a_wrong_password_is_refused_and_nothing_is_stored(mail, actor, server):
    with pytest.raises(Invalid) as refusal:
        await mail.add_key_connection(actor, "email", typed(server, password="wrong"))
    assert refusal.value.code == "key_refused"
    assert "wrong" not in str(refusal.value.details)
    assert (await mail.list_connections(actor))[1] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"port": "x"},
        {"sender": "nobody"},
        {"user": "a\r\nb"},
        {"extra": "1"},
        {"password": "\0"},
    ],
)
async def test_fields_are_checked_without_repeating_them(mail, actor, server, wrong):
    with pytest.raises(Invalid) as refusal:
        await mail.add_key_connection(actor, "email", typed(server, **wrong))
    assert [entry["field"] for entry in refusal.value.details["fields"]] == [f"fields.{next(iter(wrong))}"]


async def test_private_mail_servers_are_not_reached(make_service, actor, server, tmp_path):
    service = make_service(Settings(home=tmp_path, services={"email": ServiceSettings()}))
    with pytest.raises(AddressRefused):
        await service.add_key_connection(actor, "email", typed(server))
    await service.close()


async def test_a_message_arrives_once_per_recipient_with_an_id_from_its_mark(mail, actor, server, post):
    connection = await mail.add_key_connection(actor, "email", typed(server))
    letter = {
        **LETTER,
        "subject": "Ünïcode → report",
        "bcc": ["boss@acme.example", "maya@acme.example"],
        "html": "<p>All is <b>well</b>.</p>",
        "attachments": [
            {"name": "a.csv", "kind": "text/csv", "text": "a,b\n"},
            {"name": "b", "content": "aGk="},
        ],
        "mark": "run-7.1",
    }
    done = await mail.call_tool(actor.tenant_id, actor.user_id, connection.id, "email.send", letter)
    assert done["recipients"] == ["maya@acme.example", "boss@acme.example"]
    [envelope] = post.taken
    assert envelope.rcpt_tos == done["recipients"]
    arrived = email.message_from_bytes(envelope.content, policy=default)
    assert arrived["Message-ID"] == done["id"] == message_id_of("run-7.1", "ops@acme.example")
    assert (arrived["Subject"], arrived["From"], arrived["Bcc"]) == (
        letter["subject"],
        "ops@acme.example",
        None,
    )
    assert arrived.get_body(("plain",)).get_content().strip() == "All is well."
    assert "<b>well</b>" in arrived.get_body(("html",)).get_content()
    assert [part.get_filename() for part in arrived.iter_attachments()] == ["a.csv", "b"]


async def test_one_refused_recipient_means_that_nobody_gets_it(mail, actor, server, post):
    connection = await mail.add_key_connection(actor, "email", typed(server))
    post.refused["gone@acme.example"] = "550 5.1.1 User unknown"
    letter = {**LETTER, "cc": ["gone@acme.example"]}
    with pytest.raises(OmniForgeError) as refusal:
        await mail.call_tool(actor.tenant_id, actor.user_id, connection.id, "email.send", letter)
    assert refusal.value.code == "resource_not_found"
    assert post.taken == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("550 5.7.1 not allowed", "permission_denied_there"),
        ("554 5.6.0 bad message", "refused_there"),
        ("451 4.3.0 try later", "service_down"),
        ("450 4.2.1 too many", "rate_limited_there"),
    ],
)
async def test_refusals_are_told_apart(mail, actor, server, post, answer, code):  # noqa: PLR0917
    connection = await mail.add_key_connection(actor, "email", typed(server))
    post.after_data = answer
    with pytest.raises(OmniForgeError) as refusal:
        await mail.call_tool(actor.tenant_id, actor.user_id, connection.id, "email.send", LETTER)
    assert refusal.value.code == code
    assert not refusal.value.details.get("outcome_unknown")


def test_an_answer_lost_after_the_message_left_is_an_unknown_outcome():
    for error in (aiosmtplib.SMTPServerDisconnected("gone"), aiosmtplib.SMTPReadTimeoutError("slow")):
        assert outbox.translated(error, sent=True).details["outcome_unknown"] is True
        assert outbox.translated(error).details["outcome_unknown"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "a\r\nBcc: x@y.example"}, {"subject": "a\nb"}, {"subject": "a\u2028b"},
        {"to": ["a@b.example\r\nBcc: c@d.example"]}, {"to": ["a@b.example, c@d.example"]},
        {"to": ["<a@b.example>"]},
        {"to": ["a b@c.example"]}, {"to": ["nobody"]}, {"to": []}, {"reply_to": "a@b.example\n"},
        {"in_reply_to": "<a>\r\nX: y"}, {"attachments": [{"name": "a\r\nX: y", "text": "x"}]},
        {"attachments": [{"name": "a", "text": "x", "content": "eA=="}]},
        {"attachments": [{"name": "a", "kind": "message/rfc822", "text": "x"}]},
    ],
)  # fmt: skip
def test_nothing_can_be_slipped_into_headers(wrong):
    tool = next(tool for tool in TOOLS if tool.name == "email.send")
    with pytest.raises(Invalid):
        tool.check({**LETTER, **wrong})


def test_attachments_are_capped_and_have_to_be_readable():
    tool = next(tool for tool in TOOLS if tool.name == "email.send")
    many = [{"name": "a", "content": "QUFB" * 1_000_000}] * 4
    for given_, match in ((many, "too large"), ([{"name": "a", "content": "%%%"}], "cannot be read")):
        with pytest.raises(Invalid, match=match):
            messages.attached(tool.check({**LETTER, "attachments": given_}).attachments)


@given(st.binary(max_size=400))
def test_any_bytes_are_shown_as_a_message(content: bytes):
    shown = read(Stored("1", content, NOW))
    assert shown["received_at"].startswith("2026-11-23T08:30:00")
    assert isinstance(shown["text"], str)


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: =?no-such?B?aGk=?=\r\n\r\nx", b"From: \xff\xfe\r\nDate: never\r\n\r\nx",
        b"Content-Type: text/plain; charset=hex\r\n\r\nzz",
        b"Content-Type: text/plain; charset*=bad''%\r\n\r\nzz",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
        b"Content-Type: image/png; name*=utf-8''%ff\r\n\r\n",
        b"Date: Mon, 99 Foo 2026 99:99:99 +9999\r\n\r\n",
        b"Subject: " + b"=?utf-8?q?" + b"a" * 5000 + b"?=\r\n\r\n",
    ],
)  # fmt: skip
def test_broken_messages_are_shown_as_far_as_they_go(content: bytes):
    assert read(Stored("7", content, NOW))["id"] == "uid:7"


def test_html_mail_is_read_as_words():
    content = (
        b"Content-Type: text/html; charset=utf-8\r\n\r\n<style>x{}</style><p>Hello</p><p>World &amp; all</p>"
    )
    assert read(Stored("1", content, NOW))["text"] == "Hello\n\nWorld & all"


def test_questions_are_asked_in_the_words_of_imap():
    assert criteria(Question()) == "ALL"
    asked = criteria(Question(after=NOW, words="invoice", unread=True))
    assert "SINCE 22-Nov-2026" in asked
    assert 'TEXT "invoice"' in asked
    assert "UNSEEN" in asked


async def test_samples_are_the_same_each_time_and_what_was_sent_is_found_again():
    async with sample_client(EMAIL, NOW) as client:
        first = await EMAIL.tool("email.read_messages").call(client, {"after": "2026-11-20T00:00:00Z"})
        assert first["messages"][0]["subject"] == "Invoice 2026-118"
        assert first["messages"][0]["attachments"][0]["name"] == "invoice-2026-118.pdf"
        letter = {**LETTER, "mark": "run-7.1"}
        lookup = EMAIL.tool("email.send").lookup(letter)
        assert lookup is not None
        assert (await EMAIL.tool(lookup.tool).call(client, lookup.args))[lookup.found] is None
        done = await EMAIL.tool("email.send").call(client, letter)
        assert (await EMAIL.tool(lookup.tool).call(client, lookup.args))[lookup.found]["id"] == done["id"]


@pytest.mark.parametrize("fault", faults_of(EMAIL))
@pytest.mark.parametrize("name", ["email.send", "email.read_messages"])
async def test_every_fault_of_samples_ends_in_one_of_our_errors(name: str, fault: SampleFault):
    codes = {
        SampleFault.UNAUTHORIZED: "connection_expired", SampleFault.FORBIDDEN: "permission_denied_there",
        SampleFault.NOT_FOUND: "resource_not_found", SampleFault.RATE_LIMITED: "rate_limited_there",
    }  # fmt: skip
    async with sample_client(EMAIL, NOW, fault=fault) as client:
        with pytest.raises(OmniForgeError) as refusal:
            await EMAIL.tool(name).call(client, LETTER if name == "email.send" else {})
    assert refusal.value.code == codes.get(fault, "service_down")
    assert "E-mail" in refusal.value.message


async def test_a_lost_answer_in_a_dry_run_is_found_by_its_mark(mail, actor):
    letter = {**LETTER, "mark": "run-7.1"}
    terms = SampleTerms(
        world="w", shape=SampleShape.FULL, fault=SampleFault.TIMEOUT, carried_out=True, lasts=1
    )
    with pytest.raises(OmniForgeError) as lost:
        await mail.samples.call("email.send", letter, now=NOW, terms=terms)
    assert lost.value.details["outcome_unknown"] is True
    found = await mail.samples.call(
        "email.find_sent", {"mark": "run-7.1"}, now=NOW, terms=SampleTerms(world="w")
    )
    assert found["message"]["subject"] == "Weekly report"
