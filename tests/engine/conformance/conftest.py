"""One suite, two stores: the journal each database has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.engine.journal import Journal, SqliteJournal
from omniforge.engine.postgres import PostgresJournal
from omniforge.engine.stores import event_log


def make_journal(database: Database, events: EventLog) -> Journal:
    if database.is_sqlite:
        return SqliteJournal(database, events)
    return PostgresJournal(database, events, places=50)


@pytest.fixture
def events(database: Database) -> EventLog:
    return event_log(database)


@pytest.fixture
async def journal(database: Database, events: EventLog) -> AsyncIterator[Journal]:
    made = make_journal(database, events)
    await made.open()
    yield made
    await made.close()
