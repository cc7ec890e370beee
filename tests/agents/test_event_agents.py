"""What may start an agent: which configurations are refused, which happenings match, and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.tracker import KINDS, MANIFEST, OURS, no_samples, read_delivery

from omniforge.agents.content import EventConfig
from omniforge.agents.events import Match, check_filter, event_of, happening_key, match
from omniforge.agents.rules import examine
from omniforge.integrations.manifest import EventKind, Integration, Occurrence

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
BOARD = "1f0c7e3a-0000-4000-8000-00000000beef"
HAPPENED = Occurrence(
    type="ticket.created",
    id="t-1",
    version="1",
    at=AT,
    resource=BOARD,
    item={"title": "Fix it", "size": 3, "tags": ["red", "big"]},
    author="user-ann",
)
PUSHED, POLLED = KINDS["ticket.closed"], KINDS["ticket.created"]


@pytest.fixture
def catalog(tmp_path: Any) -> Mapping[str, Any]:
    return {
        "tracker": Integration(MANIFEST, {}, no_samples, tmp_path, KINDS, read_delivery),
        "notion": None,
    }


def config(**given_: Any) -> EventConfig:
    return EventConfig.model_validate({"integration": "tracker", "event": "ticket.created", **given_})


def mistakes(catalog: Mapping[str, Any], event_config: Any, **fields: Any) -> dict[str, str]:
    agent = {
        "name": "A",
        "skills": [{"name": "read", "order": 1}],
        "trigger_type": "event_driven",
        "integrations": ["tracker"],
        "event_config": event_config,
        **fields,
    }
    return {item["field"]: item["rule"] for item in examine(agent, catalog)[1]}


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"integration": "notion"}, "event_config.integration"),
        ({"integration": "fax"}, "event_config.integration"),
        ({"event": "ticket.eaten"}, "event_config.event"),
        ({"event": "ticket.closed", "mode": "poll"}, "event_config.mode"),
        ({"event": "ticket.updated", "mode": "push"}, "event_config.mode"),
        ({"interval_minutes": 4}, "event_config.interval_minutes"),
        ({"interval_minutes": 1441}, "event_config.interval_minutes"),
        ({"filter": "event.item.size >"}, "event_config.filter"),
        ({"filter": "steps.read.output.x == 1"}, "event_config.filter"),
        ({"filter": "row.size == 1"}, "event_config.filter"),
        ({"filter": "true) || (true"}, "event_config.filter"),
        ({"colour": "red"}, "event_config.colour"),
    ],
)
def test_what_cannot_start_an_agent_is_named(
    catalog: Mapping[str, Any], given_: dict[str, Any], named: str
) -> None:
    found = mistakes(catalog, {"integration": "tracker", "event": "ticket.created", **given_})
    assert list(found) == [named]


def test_the_trigger_and_what_it_listens_to_come_together(catalog: Mapping[str, Any]) -> None:
    good = {"integration": "tracker", "event": "ticket.created", "resource": BOARD}
    assert mistakes(catalog, good) == {}
    assert "event_config" in mistakes(catalog, None)
    assert "event_config" in mistakes(catalog, good, trigger_type="on_demand")
    assert "schedule" in mistakes(catalog, good, schedule="0 9 * * MON")
    assert "event_config.integration" in mistakes(catalog, good, integrations=[])


@pytest.mark.parametrize(
    ("given_", "author", "found"),
    [
        ({}, None, Match.YES),
        ({"event": "ticket.closed"}, None, Match.OTHER),
        ({"resource": BOARD}, None, Match.YES),
        ({"resource": BOARD.replace("-", "").upper()}, None, Match.YES),
        ({"resource": "another"}, None, Match.OTHER),
        ({}, "user-ann", Match.OWN),
        ({}, OURS, Match.YES),
        ({}, "", Match.YES),
        ({"include_own": True}, "user-ann", Match.YES),
        ({"filter": "event.item.size > 2 && 'red' in event.item.tags"}, None, Match.YES),
        ({"filter": "event.item.size > 3"}, None, Match.FILTERED),
        ({"filter": "event.item.tags.exists(t, t == 'big') // a remark"}, None, Match.YES),
        ({"filter": "event.item.nothing == 1"}, None, Match.BROKEN_FILTER),
        ({"filter": "event.item.title"}, None, Match.BROKEN_FILTER),
    ],
)
def test_happenings_match_by_event_place_author_and_filter(
    given_: dict[str, Any], author: str | None, found: Match
) -> None:
    assert match(config(**given_), HAPPENED, author) is found


def test_repositories_whose_names_differ_in_a_dash_are_two() -> None:
    happened = replace(HAPPENED, resource="acme/web-site")
    assert match(config(resource="Acme/Web-Site"), happened, None) is Match.YES
    assert match(config(resource="acme/website"), happened, None) is Match.OTHER


@given(condition=st.text(min_size=1, max_size=60))
def test_any_text_is_a_filter_or_is_refused_with_the_reason(condition: str) -> None:
    try:
        check_filter(condition)
    except ValueError:
        return
    assert match(config(filter=condition), HAPPENED, None) in set(Match)


def test_a_happening_keeps_its_key_and_another_one_has_another() -> None:
    key = happening_key(HAPPENED, POLLED)
    assert key.startswith("row:")
    assert happening_key(replace(HAPPENED, item={"title": "shown otherwise"}), POLLED) == key
    others = [replace(HAPPENED, **{field: "other"}) for field in ("type", "id", "version", "resource")] + [
        replace(HAPPENED, id="t-11", version=""),
        replace(HAPPENED, id="t-1\x001", version=""),
    ]
    assert len({happening_key(one, POLLED) for one in [HAPPENED, *others]}) == len(others) + 1
    assert not happening_key(HAPPENED, PUSHED).startswith("row:")


def test_the_run_finds_what_happened_under_event() -> None:
    assert event_of(HAPPENED) == {
        "id": "t-1",
        "type": "ticket.created",
        "at": "2026-11-21T10:00:00.000Z",
        "resource": BOARD,
        "item": HAPPENED.item,
    }


def test_any_name_is_an_event_where_the_sender_names_them(catalog: Mapping[str, Any], tmp_path: Any) -> None:
    kinds = {"*": EventKind(name="*", title="anything", push=True)}
    open_ = {"tracker": Integration(MANIFEST, {}, no_samples, tmp_path, kinds, read_delivery)}
    assert mistakes(open_, {"integration": "tracker", "event": "invoice.paid"}) == {}
