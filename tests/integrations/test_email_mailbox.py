"""Reading a mailbox over real IMAP on loopback, from a small server that speaks as RFC 3501 says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from omniforge.core.errors import OmniForgeError
from omniforge.core.outward import Guard
from omniforge.integrations.catalog.email.account import Account, Reach
from omniforge.integrations.catalog.email.client import Mail, real_mailbox
from omniforge.integrations.catalog.email.events import received
from omniforge.integrations.catalog.email.outbox import SmtpOutbox
from omniforge.integrations.catalog.email.tools import FindSent, ReadMessages, find_sent, read_messages


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 11, 23, 8, 30, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


class Server:
    """INBOX and a folder marked as the sent one; remembers what it was asked."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.inbox: list[tuple[str, bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        try:
            while line := await reader.readline():
                tag, _, command = line.decode().strip().partition(" ")
                self.commands.append(command)
                lines, end = self.answer(command)
                writer.write(b"".join(lines) + f"{tag} {end}\r\n".encode())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def answer(self, command: str) -> tuple[list[bytes], str]:
        match command.split(" ", maxsplit=1)[0].upper():
            case "LOGIN":
                good = command.endswith('"right"')
                return [], "OK done" if good else "NO [AUTHENTICATIONFAILED] Invalid credentials"
            case "CAPABILITY":
                return [b"* CAPABILITY IMAP4rev1\r\n"], "OK done"
            case "LIST":
                shown = [
                    rb'* LIST (\HasNoChildren) "/" "INBOX"',
                    rb'* LIST (\HasNoChildren \Sent) "/" "Outgoing"',
                ]
                return [line + b"\r\n" for line in shown], "OK done"
            case "STATUS":
                name = command.split('"', 2)[1]
                return [f'* STATUS "{name}" (MESSAGES {len(self.inbox)})\r\n'.encode()], "OK done"
            case "EXAMINE":
                known = '"INBOX"' in command or '"Outgoing"' in command
                return [
                    b"* 1 EXISTS\r\n"
                ], "OK [READ-ONLY] done" if known else "NO [NONEXISTENT] no such folder"
            case "UID":
                return self.uid(command), "OK done"
            case _:
                return [b"* BYE\r\n"] if command.upper() == "LOGOUT" else [], "OK done"

    def uid(self, command: str) -> list[bytes]:
        if command.upper().startswith("UID SEARCH"):
            wanted = re.search(r'HEADER Message-ID "([^"]+)"', command)
            uids = [
                str(number)
                for number, (_, content) in enumerate(self.inbox, 1)
                if wanted is None or wanted[1].encode() in content
            ]
            return [f"* SEARCH {' '.join(uids)}\r\n".encode()]
        asked = [int(number) for number in command.split(" ")[2].split(",")]
        lines: list[bytes] = []
        for number in asked:
            when, content = self.inbox[number - 1]
            if "BODY.PEEK" in command:
                head = f"* {number} FETCH (UID {number} BODY[] {{{len(content)}}}\r\n".encode()
                lines += [head, content, b")\r\n"]
            else:
                about = f'UID {number} INTERNALDATE "{when}" RFC822.SIZE {len(content)} FLAGS (\\Seen)'
                lines.append(f"* {number} FETCH ({about})\r\n".encode())
        return lines


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, int]]:
    made = Server()
    running = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    yield made, running.sockets[0].getsockname()[1]
    running.close()
    await running.wait_closed()


def mail(port: int, password: str = "right", host: str = "smtp.example.com") -> Mail:
    account = Account(host, 587, "ops", password, "ops@acme.example", "127.0.0.1", port)
    reach = Reach(Guard(permitted=["127.0.0.0/8"]))
    return Mail(account, SmtpOutbox(account, reach), real_mailbox(account, reach), Clock())


def letter(number: int, more: str = "") -> bytes:
    head = f"Message-ID: <{number}@a.example>\r\nFrom: Maya <Maya@a.example>\r\nSubject: Letter {number}\r\n"
    return f"{head}{more}\r\nHello {number}".encode()


async def test_messages_of_a_window_are_read_newest_first_and_stay_unread(server):
    site, port = server
    site.inbox = [
        (" 1-Nov-2026 09:00:00 +0000", letter(1)),
        ("22-Nov-2026 23:30:00 -0500", letter(2)),
        ("23-Nov-2026 08:00:00 +0200", letter(3)),
    ]
    asked = ReadMessages.model_validate({"after": "2026-11-23T00:00:00Z"})
    found = await read_messages(mail(port), asked)
    assert [(one["id"], one["received_at"][:16]) for one in found["messages"]] == [
        ("<3@a.example>", "2026-11-23T06:00"),
        ("<2@a.example>", "2026-11-23T04:30"),
    ]
    assert (found["messages"][0]["from"], found["messages"][0]["text"]) == ("maya@a.example", "Hello 3")
    assert not [command for command in site.commands if "SELECT" in command or "BODY[" in command]
    assert any("SINCE 22-Nov-2026" in command for command in site.commands)


async def test_what_arrives_is_told_by_the_servers_clock_and_our_own_is_known(server):
    site, port = server
    site.inbox = [
        ("23-Nov-2026 08:00:00 +0000", letter(1, "Date: Mon, 1 Jan 2001 00:00:00 +0000\r\n")),
        ("23-Nov-2026 08:10:00 +0000", b"Message-ID: <of.abc@acme.example>\r\n\r\nours"),
    ]
    found = await received(mail(port), None, datetime(2026, 11, 23, 8, tzinfo=UTC))
    assert [(one.id, one.author, one.resource) for one in found] == [
        ("<of.abc@acme.example>", "ops@acme.example", "INBOX"),
        ("<1@a.example>", "maya@a.example", "INBOX"),
    ]


async def test_a_sent_message_is_found_by_its_mark_and_its_absence_told_only_where_sent_ones_are_kept(server):
    site, port = server
    account = mail(port)
    mark = FindSent(mark="run-7.1")
    with pytest.raises(OmniForgeError, match="cannot tell"):
        await find_sent(account, mark)
    assert await find_sent(mail(port, host="smtp.gmail.com"), mark) == {"message": None}
    sent = f"Message-ID: {account.message_id('run-7.1', '')}\r\nSubject: Report\r\n\r\nx"
    site.inbox = [("23-Nov-2026 08:00:00 +0000", sent.encode())]
    assert (await find_sent(account, mark))["message"]["subject"] == "Report"
    assert any('EXAMINE "Outgoing"' in command for command in site.commands)


async def test_a_wrong_password_and_an_unknown_folder_are_told_apart(server):
    _, port = server
    for account, folder, code in (
        (mail(port, "wrong"), "INBOX", "connection_expired"),
        (mail(port), "Nowhere", "resource_not_found"),
    ):
        with pytest.raises(OmniForgeError) as refusal:
            await read_messages(account, ReadMessages(folder=folder))
        assert refusal.value.code == code


async def test_a_server_that_wants_no_encryption_is_refused_outside():
    reach = Reach(Guard())
    assert not reach.may_be_open
    with pytest.raises(OmniForgeError) as refused:
        await reach.address("127.0.0.1", 993)
    assert refused.value.code == "address_refused"
