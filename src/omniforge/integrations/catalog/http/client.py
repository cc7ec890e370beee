"""Requests to a web address that data name: one host at a time, without credentials, capped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from omniforge.core.errors import Invalid
from omniforge.core.outward import AddressRefused
from omniforge.core.plaintext import charset_of
from omniforge.integrations.clients import Surroundings
from omniforge.integrations.rest import Answer, RestClient, Said, Trouble

TITLE = "Web address"
LARGEST = 2 * 1024 * 1024
KEPT_HEADERS = ("content-type", "last-modified", "etag", "date", "location", "link", "x-total-count")
NOT_GIVEN = frozenset(
    (
        *("authorization", "proxy-authorization", "cookie", "host", "connection", "content-length", "te"),
        *("transfer-encoding", "upgrade", "trailer", "keep-alive", "expect", "forwarded", "x-forwarded-for"),
        "x-forwarded-host",
    )
)
"""Headers that are not for arguments: credentials, and what the connection itself says."""


@dataclass(frozen=True, slots=True)
class WebAddresses:
    """Any host that may be reached; those that are written to have to stand on the list."""

    surroundings: Surroundings

    async def ask(
        self,
        method: str,
        url: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        changes: bool = False,
    ) -> Answer:
        """One request. Reading follows redirects, each hop checked; writing never leaves the host."""
        host = checked_host(url)
        guard = self.surroundings.guard
        guard.check(url)
        if changes and not guard.allowed_hosts:
            raise AddressRefused(
                f"Nothing is written to {host}: it is not on the list of allowed hosts. "
                "Your administrator can add it to the setting OMNIFORGE_FETCH_ALLOWED_HOSTS.",
                host=host,
            )
        check_headers(headers or {})
        client = RestClient(
            self.surroundings.http,
            title=f"{TITLE} {host}",
            base_url=str(httpx.URL(url).copy_with(raw_path=b"/")),
            clock=self.surroundings.clock,
            patience=replace(self.surroundings.patience, largest_answer=LARGEST),
            read_trouble=read_trouble,
        )
        return await client.fetch(
            method, url, params=params, headers=headers, body=body, changes=changes, follow=not changes
        )


def read_trouble(answer: Answer) -> Said | None:
    """A host that wants a credential gets none: that is not the end of a connection."""
    if answer.status == 401:
        text = f"{TITLE}: this host wants a sign-in, and nobody signs in from here."
        return Said(Trouble.FORBIDDEN, text)
    if answer.status == 404:
        return Said(Trouble.NOT_FOUND, f"{TITLE}: there is nothing at this address.")
    return None


def checked_host(url: str) -> str:
    """The host in an address, lower case; Invalid when it is none."""
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        host = ""
    if not host:
        entry = {
            "field": "url",
            "value": url[:200],
            "rule": "a whole address, such as https://api.example.com/items",
        }
        raise Invalid("That is not a web address.", fields=[entry])
    return host.lower()


def check_headers(headers: Mapping[str, str]) -> None:
    """Invalid for credentials in arguments, and for text that no header can hold."""
    for name, value in headers.items():
        if name.strip().lower() in NOT_GIVEN:
            rule = "no credentials and nothing the connection says itself"
        elif not name.isascii() or not name.replace("-", "").isalnum() or not value.isascii():
            rule = "letters, digits and dashes; a value of plain characters"
        elif not value.isprintable() or len(value) > 4000:
            rule = "one line of at most 4000 characters"
        else:
            continue
        entry = {"field": f"headers.{name[:80]}", "value": "…", "rule": rule}
        raise Invalid(f"The header {name[:80]!r} cannot be given.", fields=[entry])


def shown(answer: Answer) -> dict[str, Any]:
    """An answer as plain data: JSON when it is JSON, else its text."""
    kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    found: dict[str, Any] = {"status": answer.status, "headers": kept}
    parsed = answer.json
    if parsed is not None:
        return {**found, "json": parsed}
    declared = httpx.Response(200, headers=answer.headers).charset_encoding
    return {**found, "text": answer.body.decode(charset_of(declared), errors="replace")}
