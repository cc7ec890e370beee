"""Sample data for dry runs: the account of `fixtures/`, answered by GitHub's protocol inside this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from omniforge.integrations import fitting
from omniforge.integrations.catalog.github.shapes import objects, repository_name, texts, words
from omniforge.integrations.catalog.github.standin import StandinState, create_app
from omniforge.integrations.catalog.github.standin.account import (
    Account,
    Item,
    Label,
    Milestone,
    Repository,
)
from omniforge.integrations.catalog.github.standin.fixture import sample_account
from omniforge.integrations.fitting import FITTING, fitting_values
from omniforge.integrations.standin import Grant, sample_transport


def transport(
    now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """Answers every request of a dry run; the same for the same arguments, and gone with the transport."""
    state = StandinState(
        now=lambda: now,
        rate_per_second=None,
        steady=True,
        open_to=Grant(account="sample"),
        fill=lambda _: _account(now, resources, empty=empty),
    )
    return sample_transport(create_app(state))


def _account(now: datetime, resources: Sequence[Mapping[str, Any]], *, empty: bool) -> Account:
    """The fixture's repositories, then one for each that is known from a connection."""
    account = sample_account(lambda: now, empty=empty)
    account.answers_for_unknown = True
    for resource in resources:
        try:
            name = repository_name(str(resource.get("id")))
        except ValueError:
            continue
        found = account.repository(name)
        if found is not None:
            _take_shape(found, resource, now)
    return account


def _take_shape(made: Repository, resource: Mapping[str, Any], now: datetime) -> None:
    """Labels and milestones are those the real one has; what bore another takes one of them."""
    options = {words(field, "name"): field for field in objects(dict(resource), "fields")}
    names, titles = texts(options, "labels", "options"), texts(options, "milestone", "options")
    if "labels" in options:
        made.labels = [Label(name) for name in names]
    if "milestone" in options:
        made.milestones = [Milestone(n, title, "open", None, now) for n, title in enumerate(titles, 1)]
    wanted = fitting_values(resource, now)
    for place, item in enumerate(made.items.values()):
        if "labels" in options:
            item.labels = [names[place % len(names)]] if names and item.labels else []
        if "milestone" in options:
            item.milestone = 1 + place % len(titles) if titles and item.milestone else None
        if place < FITTING or (item.pull is not None and place < 2 * FITTING):
            _fit(made, item, wanted, now)


def _fit(made: Repository, item: Item, wanted: Mapping[str, str | None], now: datetime) -> None:
    """An issue or pull request changed so that it passes; what a sample cannot be stays as it is."""
    for name, value in wanted.items():
        match name:
            case "labels":
                item.labels = [] if value is None else [value]
                if value and value not in [label.name for label in made.labels]:
                    made.labels.append(Label(value))
            case "assignees":
                item.assignees = [] if value is None else [value]
            case "author" if value:
                item.login = value
            case "state" if value:
                item.closed = now if value.casefold() == "closed" else None
            case "title" | fitting.ANYWHERE if value:
                item.title = value
            case _:
                pass
