"""The account of the local server: the fixture's, and so many issues and commits that they fill pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from omniforge.integrations.catalog.github.standin.account import (
    Account,
    Activity,
    Commit,
    Item,
    Repository,
    sha_of,
    stable_number,
)
from omniforge.integrations.catalog.github.standin.fixture import sample_account

SUBJECTS = (
    "Parcel label is cut off", "Returns are booked twice", "Shelf code is missing", "Count drifts over night",
    "Import stops at an umlaut", "Pick list is out of order", "Scanner signs out", "Report opens slowly",
)  # fmt: skip
OLD_ISSUES = 240
OLD_COMMITS = 130


def acme_account(now: Callable[[], datetime]) -> Account:
    """Acme Operations with `warehouse-api` as its busy repository: 242 issues, 132 commits."""
    account = sample_account(now)
    busy = next(one for one in account.repositories if one.name == "warehouse-api")
    _add_issues(account, busy, now())
    _add_commits(account, busy, now())
    return account


def _add_issues(account: Account, busy: Repository, now: datetime) -> None:
    """Older than the fixture's, one every nine hours, three of four closed."""
    first = now - timedelta(days=31)
    for place in range(OLD_ISSUES):
        created = (first - timedelta(hours=9 * place)).replace(microsecond=0)
        closed = created + timedelta(hours=5 + place % 40) if place % 4 else None
        number = busy.next_number()
        busy.items[number] = Item(
            stable_number("item", busy.name, number),
            number,
            f"{SUBJECTS[place % len(SUBJECTS)]} ({place + 1})",
            f"Reported by the night shift.\n\nPlace {place % 17}.",
            account.people[place % len(account.people)].login,
            created,
            closed or created,
            labels=["bug"] if place % 3 else ["performance"],
            assignees=[account.people[place % 3].login] if place % 2 else [],
            closed=closed,
            reason="completed" if closed else None,
        )


def _add_commits(account: Account, busy: Repository, now: datetime) -> None:
    first = now - timedelta(days=31)
    for place in range(OLD_COMMITS):
        at = (first - timedelta(hours=11 * place)).replace(microsecond=0)
        login = account.people[place % len(account.people)].login
        sha = sha_of(busy.full_name, "old", place)
        busy.commits.append(
            Commit(sha, login, f"Step {place + 1}", at, (f"src/part_{place % 9}.py",), "main")
        )
        before = sha_of(busy.full_name, "old", place + 1)
        busy.activities.append(Activity(stable_number("push", sha), "push", "main", before, sha, at, login))
