"""What the local server holds beside sign-in and faults: the workspaces it serves, and its rate limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from omniforge.integrations import standin
from omniforge.integrations.catalog.linear.standin.data import acme_world, empty_world
from omniforge.integrations.catalog.linear.standin.world import World

CLIENT_ID = "3b1c7d6e94f04c2a8d5e7f6a1b2c3d4e"
CLIENT_SECRET = "local_linear_for_development_only_0"  # noqa: S105 - opens nothing but the local server
"""The client of the local server. Development uses them as LINEAR_CLIENT_ID and LINEAR_CLIENT_SECRET."""

Fill = Callable[[Callable[[], datetime], Callable[[], str]], World]


@dataclass(slots=True)
class Bucket:
    """A leaky bucket: `level` of `limit` is used, and `limit` an hour runs out of it."""

    limit: float
    level: float = 0.0
    at: datetime | None = None

    def leak(self, now: datetime) -> None:
        hours = (now - self.at).total_seconds() / 3600 if self.at else 0.0
        self.level, self.at = max(self.level - hours * self.limit, 0.0), now


@dataclass(slots=True, kw_only=True)
class StandinState(standin.StandinState):
    """All of one local Linear."""

    rate_per_second: float | None = None
    """Linear counts by the hour: see the limits below."""
    requests_an_hour: int = 5_000
    complexity_an_hour: int = 2_000_000
    most_complex: int = 10_000
    """What a single query may cost."""
    fill: Fill = acme_world
    """Makes the workspace that is served."""
    world: World = field(init=False)
    second: World = field(init=False)
    """Another workspace of the same person, without issues: "Acme Labs"."""
    buckets: dict[str, tuple[Bucket, Bucket]] = field(default_factory=dict[str, tuple[Bucket, Bucket]])

    def __post_init__(self) -> None:
        self.world = self.fill(self.now, self.new_id)
        self.second = empty_world(self.now, self.new_id, "Acme Labs")

    def world_of(self, account: str) -> World:
        return self.second if account == self.second.organization["id"] else self.world

    def buckets_of(self, family: str) -> tuple[Bucket, Bucket]:
        """Requests and complexity that were used with one authorization, as of now."""
        if family not in self.buckets:
            self.buckets[family] = Bucket(self.requests_an_hour), Bucket(self.complexity_an_hour)
        for bucket in self.buckets[family]:
            bucket.leak(self.now())
        return self.buckets[family]

    def new_key(self) -> str:
        """An access key, as a person would copy it from Linear's settings; it may do all that they may."""
        person = self.world.rows("User")[0]["id"]
        grant = standin.Grant(person=person, account=self.world.organization["id"], scopes=("read", "write"))
        return self.give_key(f"lin_api_{self.new_id().replace('-', '')}", grant)
