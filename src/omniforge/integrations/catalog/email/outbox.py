"""Sending by SMTP: all recipients or none, and what the server says in our errors."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import aiosmtplib

from omniforge.core.errors import OmniForgeError
from omniforge.integrations.catalog.email.account import SECONDS, TITLE, Account, Reach, certificates
from omniforge.integrations.errors import (
    ConnectionExpired,
    PermissionDeniedThere,
    RateLimitedThere,
    RefusedThere,
    ResourceNotFound,
    ServiceDown,
)

ENHANCED = re.compile(r"\b([245])\.([0-9]{1,3})\.[0-9]{1,3}\b")


class Outbox(Protocol):
    async def check(self) -> None:
        """Sign in and out again."""
        ...

    async def send(self, content: bytes, sender: str, recipients: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class SmtpOutbox:
    """Port 465 is TLS from the start; on every other one the server has to take STARTTLS."""

    account: Account
    reach: Reach

    async def check(self) -> None:
        async with self._session():
            pass

    async def send(self, content: bytes, sender: str, recipients: Sequence[str]) -> None:
        async with self._session() as session:
            try:
                await session.mail(sender)
                for recipient in recipients:
                    await session.rcpt(recipient)
            except (aiosmtplib.SMTPException, OSError) as error:
                raise translated(error) from error
            try:
                await session.data(content)
            except (aiosmtplib.SMTPException, OSError) as error:  # it may have been taken all the same
                raise translated(error, sent=True) from error

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[aiosmtplib.SMTP]:
        account, tls = self.account, self.account.port == 465
        sock = await self.reach.connected(account.host, account.port)
        session = aiosmtplib.SMTP(
            hostname=account.host,
            sock=sock,
            use_tls=tls,
            start_tls=None if tls or self.reach.may_be_open else True,
            tls_context=certificates(),
            timeout=SECONDS,
            local_hostname=account.sender.rpartition("@")[2],
        )
        try:
            try:
                await session.connect()
                await session.login(account.user, account.password)
            except (aiosmtplib.SMTPException, OSError) as error:
                raise translated(error) from error
            yield session
            with suppress(aiosmtplib.SMTPException, OSError):
                await session.quit()
        finally:
            session.close()


def translated(error: Exception, *, sent: bool = False) -> OmniForgeError:
    """`sent`: the message was on its way, so without a clear answer nobody knows."""
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return ConnectionExpired(f"{TITLE} does not accept this user name and password.")
        case aiosmtplib.SMTPResponseException(code=int() as code):
            return _refusal(code, str(error.message))
        case _:
            return ServiceDown(
                f"{TITLE}: the server isn't answering. "
                + ("I'll look there before anything is sent again." if sent else "Nothing was sent."),
                retryable=True,
                reason="timeout" if isinstance(error, TimeoutError) else "no_connection",
                outcome_unknown=sent,
            )


def _refusal(code: int, said: str) -> OmniForgeError:
    """By the reply code and the finer one in its text (4.7.0, 5.1.1 …)."""
    found = ENHANCED.search(said)
    subject = found[2] if found else ""
    words = said[:300]
    if 400 <= code < 500:
        if subject == "7" or code == 450 or "rate" in said.lower() or "too many" in said.lower():
            return RateLimitedThere(
                f"{TITLE} asks us to slow down. I'll go on later.",
                retryable=True,
                retry_after=60.0,
                said=words,
            )
        return ServiceDown(f"{TITLE}: the server cannot take it now.", retryable=True, said=words)
    match subject:
        case "1":
            return ResourceNotFound(f"{TITLE}: the server does not know one of these addresses.", said=words)
        case "7":
            return PermissionDeniedThere(f"{TITLE}: this account may not send that.", said=words)
        case _:
            return RefusedThere(f"{TITLE} did not accept the message.", said=words, status=code)
