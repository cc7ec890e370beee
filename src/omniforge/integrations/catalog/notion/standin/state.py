"""What the local server remembers: its client, codes, tokens, faults, pace, and the requests it got."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from omniforge.integrations.catalog.notion.standin.data import acme_workspace
from omniforge.integrations.catalog.notion.standin.workspace import Json, Workspace

CLIENT_ID = "1f0d872b-594c-80a4-b2f4-00370af2b13f"
CLIENT_SECRET = "secret_local_notion_for_development_only"  # noqa: S105 - opens nothing but the local server
"""The client of the local server. Development uses them as NOTION_CLIENT_ID and NOTION_CLIENT_SECRET."""

CODE_LIFETIME = timedelta(minutes=10)
MOST_RECORDED = 5000


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
    """The next `times` requests whose path starts with `path` go wrong this way."""

    kind: FaultKind
    times: int = 1
    path: str = "/v1/"
    method: str = ""
    """Only this method, when one is named."""
    seconds: float = 1.0
    """Retry-After of rate limits, delay of slow answers."""


@dataclass(slots=True)
class Grant:
    """One authorization: what a code, an access token or a refresh token stands for."""

    person_id: str
    redirect_uri: str
    family: str
    expires_at: datetime | None = None
    used: bool = False


@dataclass(slots=True)
class Recorded:
    """One request that arrived. Bodies of the token addresses are left out: they hold secrets."""

    method: str
    path: str
    body: Json | None
    status: int = 0


@dataclass(slots=True)
class StandinState:
    """All of one local server. `token_seconds` makes access tokens expire and says so with `expires_in`."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    redirect_uris: frozenset[str] | None = None
    """Allowed redirect addresses; None: any address on this computer."""
    token_seconds: int | None = None
    rate_per_second: float | None = 3.0
    burst: int = 12
    fill: Callable[[Callable[[], datetime]], Workspace] = acme_workspace
    """Makes the workspace that is served."""
    workspace: Workspace = field(init=False)
    codes: dict[str, Grant] = field(default_factory=dict[str, Grant])
    access: dict[str, Grant] = field(default_factory=dict[str, Grant])
    refresh: dict[str, Grant] = field(default_factory=dict[str, Grant])
    faults: list[Fault] = field(default_factory=list[Fault])
    requests: list[Recorded] = field(default_factory=list[Recorded])
    refreshes: int = 0
    _level: dict[str, tuple[float, datetime]] = field(default_factory=dict[str, tuple[float, datetime]])

    def __post_init__(self) -> None:
        self.workspace = self.fill(self.now)

    def new_code(self, redirect_uri: str, person_id: str) -> str:
        code = secrets.token_urlsafe(24)
        self.codes[code] = Grant(person_id, redirect_uri, secrets.token_hex(8), self.now() + CODE_LIFETIME)
        return code

    def new_pair(self, grant: Grant) -> tuple[str, str]:
        """A fresh access and refresh token for the same authorization."""
        access, refresh = f"ntn_{secrets.token_urlsafe(32)}", f"nrt_{secrets.token_urlsafe(32)}"
        expires = self.now() + timedelta(seconds=self.token_seconds) if self.token_seconds else None
        self.access[access] = Grant(grant.person_id, grant.redirect_uri, grant.family, expires)
        self.refresh[refresh] = Grant(grant.person_id, grant.redirect_uri, grant.family)
        return access, refresh

    def new_key(self) -> str:
        """An internal access key, as a developer would copy it from Notion's settings."""
        key = f"ntn_{secrets.token_urlsafe(32)}"
        self.access[key] = Grant(self.workspace.people[0].id, "", secrets.token_hex(8))
        return key

    def grant_of(self, access: str) -> Grant | None:
        grant = self.access.get(access)
        if grant is None or (grant.expires_at is not None and grant.expires_at <= self.now()):
            return None
        return grant

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

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The fault due for a request, counted down."""
        for fault in self.faults:
            meant = path.startswith(fault.path) and fault.method in ("", method)
            if meant and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def is_too_fast(self, token: str) -> bool:
        """Token bucket per credential: bursts pass, the average is `rate_per_second`."""
        if self.rate_per_second is None:
            return False
        level, last = self._level.get(token, (0.0, self.now()))
        level = max(level - (self.now() - last).total_seconds() * self.rate_per_second, 0.0)
        if level + 1 > self.burst:
            self._level[token] = (level, self.now())
            return True
        self._level[token] = (level + 1, self.now())
        return False

    def record(self, entry: Recorded) -> None:
        self.requests.append(entry)
        del self.requests[:-MOST_RECORDED]
