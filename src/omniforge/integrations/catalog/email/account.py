"""An e-mail account as it was typed in, and how its servers are reached."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from omniforge.core.errors import Invalid
from omniforge.core.outward import Guard
from omniforge.integrations.errors import ServiceDown

TITLE = "E-mail"
SECONDS = 30.0
KEEP_SENT = ("gmail.com", "googlemail.com", "office365.com", "outlook.com", "fastmail.com")
"""Services that put what is sent into the account's own folder by themselves."""


@dataclass(frozen=True, slots=True)
class Account:
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sender: str
    imap_host: str
    imap_port: int

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Account:
        return cls(
            fields["host"],
            int(fields["port"]),
            fields["user"],
            fields["password"],
            fields["sender"],
            fields.get("imap_host", ""),
            int(fields.get("imap_port") or 993),
        )

    @property
    def keeps_sent(self) -> bool:
        """Whether a message that is not in the sent folder was not sent, for sure."""
        return self.host.lower().endswith(KEEP_SENT)


@dataclass(frozen=True, slots=True)
class Reach:
    """Mail servers: public ones, and a local one that was set to stand in for them, which needs no TLS."""

    guard: Guard

    async def address(self, host: str, port: int) -> str:
        """The checked address to connect to. The list of hosts is about web addresses, not about these."""
        mail = Guard(permitted=self.guard.permitted)
        mail.check_host(host)
        try:
            return (await mail.resolve(host, port))[0]
        except (OSError, UnicodeError) as error:
            raise ServiceDown(f"{TITLE}: there is no server called {host}.", retryable=True) from error

    async def connected(self, host: str, port: int) -> socket.socket:
        address = await self.address(host, port)
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except (OSError, TimeoutError) as error:
            sock.close()
            raise ServiceDown(f"{TITLE}: {host} isn't answering.", retryable=True) from error
        return sock

    @property
    def may_be_open(self) -> bool:
        """Without encryption only to the local server; elsewhere a password would be readable on the way."""
        return bool(self.guard.permitted)


@cache
def certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


def no_mailbox() -> Invalid:
    return Invalid(
        f"{TITLE}: this account was connected for sending only. Connect it again with its mailbox server.",
        code="not_supported",
    )
