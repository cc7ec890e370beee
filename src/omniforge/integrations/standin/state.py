"""What a local server remembers: codes, tokens, faults, pace, and what it got. Services add their data."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

MOST_RECORDED = 5000
NAMESPACE = uuid.UUID("6f0a4c1e-2f5d-5b7e-9c39-0d1f4e7a9b10")


def stable_id(*parts: object) -> str:
    """The same id (a UUID) for the same thing in every start, so that samples and the server agree."""
    return str(uuid.uuid5(NAMESPACE, "/".join(str(part) for part in parts)))


class FaultKind(StrEnum):
    """What can be wrong with the next answers."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    GARBAGE = "garbage"
    HALF_JSON = "half_json"
    WRONG_SHAPE = "wrong_shape"
    HUGE = "huge"
    SLOW = "slow"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    LOST = "lost"
    """The request is carried out, but its answer is a server error."""


@dataclass(slots=True)
class Fault:
    """The next `times` requests whose path starts with `path` go wrong this way.

    Sign-in addresses go wrong only by a fault that names their whole path.
    """

    kind: FaultKind
    times: int = 1
    path: str = ""
    method: str = ""
    """Only this method, when one is named."""
    seconds: float = 1.0
    """Retry-After of rate limits, delay of slow answers."""
    body: str = ""
    """Only requests whose body contains this; tells apart what goes to one address (GraphQL)."""


@dataclass(slots=True, kw_only=True)
class Grant:
    """One authorization: what a code, an access token or a refresh token stands for."""

    person: str = ""
    """Who gave it: a user id of the service."""
    account: str = ""
    """Workspace, team or organization it is for; empty where the service holds one only."""
    scopes: tuple[str, ...] = ()
    redirect_uri: str = ""
    family: str = field(default_factory=lambda: secrets.token_hex(8))
    """Shared by every token that came from one consent."""
    challenge: str | None = None
    expires_at: datetime | None = None
    used_at: datetime | None = None
    following: tuple[str, str] | None = None
    """The pair this refresh token was changed into."""


@dataclass(slots=True)
class Recorded:
    """One request that arrived. Sign-in requests are left out: they hold secrets."""

    method: str
    path: str
    body: Json | None
    status: int = 0


@dataclass(slots=True)
class Hook:
    """An address that is told what happens, and the secret its deliveries are signed with."""

    url: str
    secret: str


@dataclass(slots=True, kw_only=True)
class StandinState:
    """All of one local server. A service's own state is a dataclass on top, with its data as fields."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    redirect_uris: frozenset[str] | None = None
    """Allowed redirect addresses; None: any address on this computer."""
    token_seconds: int | None = None
    """Makes access tokens expire after so long, and the token address say so; None: as the rules have it."""
    rate_per_second: float | None = 3.0
    burst: int = 12
    steady: bool = False
    """Ids in order instead of by chance, so that dry runs repeat themselves."""
    open_to: Grant | None = None
    """Every token is good and stands for this; sample data need no credential."""
    codes: dict[str, Grant] = field(default_factory=dict[str, Grant])
    access: dict[str, Grant] = field(default_factory=dict[str, Grant])
    refresh: dict[str, Grant] = field(default_factory=dict[str, Grant])
    faults: list[Fault] = field(default_factory=list[Fault])
    requests: list[Recorded] = field(default_factory=list[Recorded])
    hooks: list[Hook] = field(default_factory=list[Hook])
    refreshes: int = 0
    made: int = 0
    _level: dict[str, tuple[float, datetime]] = field(default_factory=dict[str, tuple[float, datetime]])

    def new_id(self) -> str:
        """A UUID for something made just now."""
        return stable_id("made in a dry run", self.new_number()) if self.steady else str(uuid.uuid4())

    def new_number(self) -> int:
        """1, 2, 3 …, for services that count what they make."""
        self.made += 1
        return self.made

    def grant_of(self, access: str) -> Grant | None:
        """What an access token stands for; None for one that does not hold."""
        if self.open_to is not None:
            return self.open_to
        grant = self.access.get(access)
        if grant is None or (grant.expires_at is not None and grant.expires_at <= self.now()):
            return None
        return grant

    def give_key(self, key: str, grant: Grant) -> str:
        """Let an access key in, as a developer would copy it from the service's settings."""
        self.access[key] = grant
        return key

    def end_family(self, family: str) -> None:
        """Revoke every token of one authorization."""
        self.access = {token: grant for token, grant in self.access.items() if grant.family != family}
        self.refresh = {token: grant for token, grant in self.refresh.items() if grant.family != family}

    def expire_access(self) -> None:
        """Access tokens stop working; refresh tokens go on."""
        self.access.clear()

    def revoke_all(self) -> None:
        self.access.clear()
        self.refresh.clear()

    def fault_for(self, method: str, path: str, body: str = "", *, exact: bool = False) -> Fault | None:
        """The fault due for a request, counted down; `exact` wants one that names the whole path."""
        for fault in self.faults:
            meant = fault.path == path if exact else path.startswith(fault.path)
            if meant and fault.method in ("", method) and fault.body in body and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def is_too_fast(self, key: str) -> bool:
        """Token bucket: bursts pass, the average is held. `key` is what the service counts by."""
        if self.rate_per_second is None:
            return False
        level, last = self._level.get(key, (0.0, self.now()))
        level = max(level - (self.now() - last).total_seconds() * self.rate_per_second, 0.0)
        refused = level + 1 > self.burst
        self._level[key] = (level if refused else level + 1, self.now())
        return refused

    def record(self, entry: Recorded) -> None:
        self.requests.append(entry)
        del self.requests[:-MOST_RECORDED]

    def ends_at(self, seconds: float | None) -> datetime | None:
        return self.now() + timedelta(seconds=seconds) if seconds else None
