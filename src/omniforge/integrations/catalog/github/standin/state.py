"""What the local server remembers: the account, and how much of the hourly allowance is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from omniforge.integrations import standin
from omniforge.integrations.catalog.github.standin.account import Account
from omniforge.integrations.catalog.github.standin.data import acme_account
from omniforge.integrations.standin import Grant

CLIENT_ID = "Iv23liLocalDevelopment"
CLIENT_SECRET = "secret_local_github_for_development_only"  # noqa: S105 - opens nothing but the local server
"""The client of the local server. Development uses them as GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET."""

HOUR = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class StandinState(standin.StandinState):
    """`sso` makes the organization ask for its single sign-on; `rename` moves a repository."""

    rate_per_second: float | None = 15.0
    """GitHub's secondary limit is 900 points in a minute."""
    burst: int = 100
    fill: Callable[[Callable[[], datetime]], Account] = acme_account
    account: Account = field(init=False)
    allowance: int = 5000
    """Requests in an hour."""
    used: int = 0
    resets: datetime = field(init=False)
    sso: bool = False

    def __post_init__(self) -> None:
        self.account = self.fill(self.now)
        self.resets = self.now() + HOUR

    def new_key(self) -> str:
        """A personal access token, as a developer would copy it from GitHub's settings."""
        key = f"github_pat_{len(self.access):022d}{'x' * 37}"
        return self.give_key(key, Grant(person=self.account.people[0].login))

    def rename(self, old: str, name: str) -> None:
        """Give a repository another name; the old one leads to it for readers who follow."""
        found = self.account.repository(old)
        if found is not None:
            self.account.renamed[old.casefold()] = found.id
            found.name = name

    def allowance_left(self) -> int:
        """Of this hour."""
        if self.now() >= self.resets:
            self.used, self.resets = 0, self.now() + HOUR
        return max(self.allowance - self.used, 0)
