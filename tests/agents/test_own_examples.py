"""What skills bring to be tried with."""

from __future__ import annotations

import json

import pytest
from tests.agents.conftest import ShelfOfSkills

from omniforge.agents.examples import LONGEST, OWN, input_of_skills
from omniforge.core.actor import Actor, Role
from omniforge.tenants.roles import permissions_of

MAYA = Actor("default", "maya", Role.OWNER, "user:maya", permissions_of(Role.OWNER))


async def stored(shelf: ShelfOfSkills, name: str, example: bytes | None) -> str:
    files = {"SKILL.md": name.encode()} | ({} if example is None else {OWN: example})
    return (await shelf.write(MAYA, name=name, files=files, agent_id=None)).hash


async def test_examples_of_skills_come_together_and_the_first_one_counts() -> None:
    shelf = ShelfOfSkills()
    given: list[dict[str, object]] = [{"invoice": "A", "x": 1}, {"order": "B", "x": 2}]
    hashes = [await stored(shelf, f"skill-{n}", json.dumps(one).encode()) for n, one in enumerate(given)]
    assert await input_of_skills(shelf, "default", hashes) == {"invoice": "A", "order": "B", "x": 1}


@pytest.mark.parametrize(
    "example", [None, b"", b"{", b"[1]", b"null", b"\xff", b'{"a": "' + b"x" * LONGEST + b'"}']
)
async def test_an_example_that_is_none_is_left_out(example: bytes | None) -> None:
    shelf = ShelfOfSkills()
    assert await input_of_skills(shelf, "default", [await stored(shelf, "skill", example)]) == {}
