"""Which requests may come near a credential check, and which come from the person at this computer. Pure.

Rules, in this order:
1. Host must be a loopback name or address, the server's public name, or a listed one; a server that requires
   sign-in also answers to plain addresses. Anything else may be a rebound DNS name: 403.
2. Origin, when present, must be the very origin the request was sent to; a browser request that another site
   or another port of this computer caused is refused unless it only opens a page: 403.
3. A credential, when given, decides alone (401 when it does not hold).
4. Without one, and only in local single-user mode: a request from a loopback address to a loopback Host that
   bears no mark of a browser or proxy is the local owner. So curl, the command line and the SDK just work;
   browsers show the session cookie they got from the one-time login link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from omniforge.core.config import Settings
from omniforge.core.errors import Forbidden, OmniForgeError

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_BROWSER_MARKS = ("origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user")
_PROXY_MARKS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


class BindingRefused(OmniForgeError):
    """The server would be reachable from outside without anybody having to sign in."""

    code = "binding_refused"


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What identity needs to know of a request. Header names are lower-case; repeated ones are joined."""

    method: str
    headers: Mapping[str, str]
    client: str | None
    """Address of the other end of the connection."""
    cookie: str | None = None
    """Value of our session cookie."""


def is_loopback(name: str) -> bool:
    """For `localhost` and loopback addresses in the form `127.0.0.1`, `::1` or `[::1]`."""
    if name == "localhost":
        return True
    try:
        address = ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def check_binding(settings: Settings) -> None:
    """Refuse to listen beyond this computer while nobody has to sign in."""
    if settings.auth_required or is_loopback(settings.host.lower()):
        return
    raise BindingRefused(
        f"Listening on {settings.host} would let everybody who reaches it act as the owner. "
        "Set OMNIFORGE_AUTH_REQUIRED=true to serve others, or OMNIFORGE_HOST=127.0.0.1 to stay here.",
        host=settings.host,
    )


def check_source(facts: RequestFacts, settings: Settings) -> None:
    """Rules 1 and 2, for every request whether or not it needs a credential; Forbidden says what to do."""
    given = facts.headers.get("host", "")
    host = _HOST.fullmatch(given.lower())
    if host is None or not _is_known(host["name"], settings):
        raise Forbidden(
            "This server does not know itself by the name in the request. "
            "Open it by its own address, or add the name to OMNIFORGE_ALLOWED_HOSTS.",
            code="host_not_allowed",
            host=given[:260],
        )
    origin = facts.headers.get("origin")
    if origin is not None and not _is_same_origin(origin, host["name"], host["port"]):
        raise Forbidden(
            "Another web page tried to use this server from your browser.", code="origin_not_allowed"
        )
    site = facts.headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and not _opens_page(facts):
        raise Forbidden(
            "Another web page tried to use this server from your browser.", code="origin_not_allowed"
        )


def _is_known(name: str, settings: Settings) -> bool:
    if is_loopback(name):
        return True
    listed = {allowed.lower() for allowed in settings.allowed_hosts} | {settings.host.lower()}
    if settings.public_url:
        listed.add((urlsplit(settings.public_url).hostname or "").lower())
    if name in listed or name.strip("[]") in listed:
        return name.strip("[]") not in ("0.0.0.0", "::")  # noqa: S104 - refused as a name, not bound to
    return settings.auth_required and _is_plain_address(name)


def _is_plain_address(name: str) -> bool:
    """Addresses cannot be rebound: no DNS answer stands behind them."""
    try:
        return not ip_address(name.strip("[]")).is_unspecified
    except ValueError:
        return False


def _is_same_origin(origin: str, name: str, port: str | None) -> bool:
    scheme, separator, place = origin.lower().partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    theirs = _HOST.fullmatch(place)
    if not separator or default is None or theirs is None:
        return False
    return theirs["name"] == name and int(theirs["port"] or default) == int(port or default)


def _opens_page(facts: RequestFacts) -> bool:
    """Following a link here is fine: it changes nothing, and the other site cannot read the answer."""
    headers = facts.headers
    return (
        facts.method in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def is_local_owner(facts: RequestFacts, settings: Settings) -> bool:
    """Rule 4. Call it after `check_source`, for requests without any credential."""
    headers = facts.headers
    if settings.auth_required or facts.client is None or not is_loopback(facts.client):
        return False
    host = _HOST.fullmatch(headers.get("host", "").lower())
    if host is None or not is_loopback(host["name"]):
        return False
    if any(mark in headers for mark in (*_BROWSER_MARKS, *_PROXY_MARKS)):
        return False
    return not headers.get("user-agent", "").startswith("Mozilla/")
