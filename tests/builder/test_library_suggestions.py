"""What the conversation suggests from the library for a step, with the skills that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.builder.library import LibrarySuggestions
from omniforge.core.actor import Actor
from omniforge.core.clock import SystemClock
from omniforge.db import Database
from omniforge.engine.stores import event_log
from omniforge.skills.library.service import LibraryService
from omniforge.skills.service import SkillService


@pytest.fixture
async def suggestions(database: Database, tmp_path: Path) -> LibrarySuggestions:
    skills = SkillService(database, tmp_path / "skills")
    library = LibraryService(database, skills, event_log(database), SystemClock())
    await library.open()
    await library.note_use("default", "a1", "slack-poster", "1.0.0")
    return LibrarySuggestions(library)


@pytest.mark.parametrize(
    ("words", "integrations", "best"),
    [
        ("post slack post a summary in #team", ("slack",), "slack-poster"),
        ("extract  take the fields out of each invoice", (), "document-extractor"),
        ("extract email the total of the invoice", ("email",), "document-extractor"),
        ("match  find the purchase order of the invoice", (), "record-matcher"),
        ("post notion add a page", ("notion",), None),
        ("post  somewhere", ("linear",), None),
        ("", (), None),
    ],
)
async def test_what_fits_a_step_and_nothing_else(
    suggestions: LibrarySuggestions, actor: Actor, words: str, integrations: tuple[str, ...], best: str | None
) -> None:
    found = await suggestions.search_skills(actor, words, integrations)
    assert (found[0].name if found else None) == best


async def test_it_says_who_made_it_and_how_often_it_is_used(
    suggestions: LibrarySuggestions, actor: Actor
) -> None:
    (found,) = await suggestions.search_skills(actor, "post slack it", ("slack",))
    assert (found.title, found.author, found.used, found.version) == ("Slack Poster", "OmniForge", 1, "1.0.0")
