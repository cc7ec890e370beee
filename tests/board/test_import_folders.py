"""Folders that other programs wrote become specs of ours; what is done already stays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.board.importing.checking import Judged, judge
from omniforge.board.importing.sources import read_documents

HERE = Path(__file__).parent / "folders"
FOLDERS = ("kiro", "spec_kit", "task_master", "backlog")


def documents(name: str) -> list[tuple[str, str]]:
    files = sorted(path for path in (HERE / name).rglob("*") if path.is_file())
    return [(path.relative_to(HERE / name).as_posix(), path.read_text()) for path in files]


def read(name: str) -> Judged:
    judged = judge(read_documents(documents(name)))
    assert [problem.shown() for problem in judged.problems] == []
    return judged


def needs(items: Any) -> dict[str, tuple[str, ...]]:
    return {item.ref: item.depends_on for item in items}


def left(judged: Judged) -> list[str]:
    return [each.message for each in judged.warnings if each.code == "not_taken_over"]


def test_kiro() -> None:
    judged = read("kiro")
    spec = judged.spec
    assert (spec.title, spec.description) == ("Shared lists", "People keep lists together.")
    assert [(each.ref, each.title, each.condition, each.action) for each in spec.requirements] == [
        (
            "REQ-SHARED-API-101",
            "Sharing (1.1)",
            "WHEN an owner shares a list",
            "THE system SHALL show it to the named person",
        ),
        (
            "REQ-SHARED-API-102",
            "Sharing (1.2)",
            "IF the person is unknown",
            "THE system SHALL refuse and shall name the person",
        ),
        (
            "REQ-SHARED-API-201",
            "As a reader, I want to leave a list. (2.1)",
            "",
            "THE list page SHALL offer to leave",
        ),
    ]
    assert spec.design is not None
    assert spec.design["architecture"].startswith("One table of members beside the lists.\n\n### Members")
    assert spec.design["data_model"] == "Member(list, person)."
    assert "Unknown people answer 404." in spec.design["notes"]
    assert needs(spec.tickets) == {"TKT-002": (), "TKT-003": ("TKT-002",)}
    assert spec.tickets[0].requirements == ("REQ-SHARED-API-101", "REQ-SHARED-API-102")
    assert spec.tickets[1].requirements == ("REQ-SHARED-API-201",)
    assert needs(spec.tasks) == {"TSK-00202": (), "TSK-00203": ("TSK-00202",), "TSK-00300": ()}
    assert spec.tasks[0].description == "- Ask for the person"
    assert spec.tasks[1].priority == "LOW"
    assert left(judged) == ["1.3 says nothing that SHALL be", "1 is done already", "2.1 is done already"]
    assert {each.code for each in judged.warnings} >= {"few_criteria", "no_command_check"}


def test_spec_kit() -> None:
    judged = read("spec_kit")
    spec = judged.spec
    assert spec.title == "Photo albums"
    assert [(each.ref, each.action) for each in spec.requirements] == [
        ("REQ-PHOTO-API-001", "THE System SHALL keep photos in albums"),
        ("REQ-PHOTO-API-002", "THE Users SHALL sort albums by date"),
    ]
    assert spec.design is not None
    assert "A page and a small service." in spec.design["architecture"]
    assert "Album(name, photos)." in spec.design["data_model"]
    titles = {ticket.ref: ticket.title for ticket in spec.tickets}
    assert titles == {
        "TKT-001": "Make an album",
        "TKT-002": "Sort albums",
        "TKT-901": "Setup (Shared Infrastructure)",
        "TKT-902": "Foundational",
        "TKT-953": "Polish",
    }
    assert needs(spec.tickets) == {
        "TKT-001": ("TKT-902",),
        "TKT-002": ("TKT-902",),
        "TKT-901": (),
        "TKT-902": ("TKT-901",),
        "TKT-953": ("TKT-001", "TKT-002"),
    }
    assert len(spec.tickets[0].criteria) == 2
    assert spec.tickets[0].priority == "HIGH"
    assert needs(spec.tasks) == {
        "TSK-002": (),
        "TSK-003": (),
        "TSK-010": (),
        "TSK-011": (),
        "TSK-012": ("TSK-010", "TSK-011"),
        "TSK-013": ("TSK-012",),
        "TSK-020": (),
        "TSK-030": (),
    }
    assert {task.ref: task.owned_files for task in spec.tasks}["TSK-010"] == ("src/models/album.py",)
    assert left(judged) == ["FR-003 does not say yet what has to be", "T001 is done already"]


def test_task_master() -> None:
    judged = read("task_master")
    spec = judged.spec
    assert needs(spec.tickets) == {"TKT-002": (), "TKT-003": ("TKT-002",)}
    assert spec.tickets[0].description == "People sign in.\n\nWith a password."
    assert spec.tickets[0].priority == "HIGH"
    assert [criterion.text for criterion in spec.tickets[0].criteria] == ["Sign in and out again."]
    assert needs(spec.tasks) == {"TSK-00202": (), "TSK-00203": ("TSK-00202",), "TSK-00300": ()}
    assert left(judged) == [
        "the tasks of the tag experiment are another list; only master was read",
        "1 is done already",
        "2.1 is done already",
    ]


def test_backlog() -> None:
    judged = read("backlog")
    spec = judged.spec
    search, suggest = spec.tickets
    assert (search.title, search.tags, search.priority) == ("Search", ("web", "search"), "HIGH")
    assert search.description == "People find things."
    assert [criterion.text for criterion in search.criteria] == ["Words are found", "Nothing else is"]
    assert needs(spec.tickets) == {"TKT-002": (), "TKT-003": ("TKT-002",)}
    assert suggest.criteria == ()
    assert needs(spec.tasks) == {"TSK-00201": (), "TSK-00202": ("TSK-00201",), "TSK-00300": ()}
    assert [criterion.text for criterion in spec.tasks[0].criteria] == ["Every word is there"]
    assert spec.tasks[0].description == "Words and where they are.\n\n1. Read\n2. Write"
    assert left(judged) == ["task-1 is done already"]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_refs_of_what_is_left_stay_when_something_gets_done(name: str) -> None:
    changed = [(path, text.replace("- [ ] 2.2", "- [x] 2.2")) for path, text in documents(name)]
    before, after = judge(read_documents(documents(name))), judge(read_documents(changed))
    titles = {item.ref: item.title for item in before.spec.items()}
    assert all(titles[item.ref] == item.title for item in after.spec.items())


@pytest.mark.parametrize("name", FOLDERS)
@given(
    cut=st.integers(0, 60),
    lines=st.lists(st.sampled_from(["---", "- [ ] 1. x", "### Requirement 1", "[", "{}"])),
)
@settings(deadline=None, max_examples=30)
def test_a_damaged_folder_gives_documents_or_problems(name: str, cut: int, lines: list[str]) -> None:
    damaged = [
        (path, "\n".join([*text.split("\n")[: max(len(text.split("\n")) - cut, 0)], *lines]))
        for path, text in documents(name)
    ]
    judge(read_documents(damaged))
