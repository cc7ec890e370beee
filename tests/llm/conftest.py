"""A local model server for the tests of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from claude_stage import Stage, Staged, programs
from model_server import RunningModels
from omniforge.llm.claude.guest import Enclosure


@pytest.fixture(scope="session")
def _model_server() -> Iterator[RunningModels]:
    server = RunningModels.start()
    yield server
    server.stop()


@pytest.fixture
def models(_model_server: RunningModels) -> RunningModels:
    """The server with an empty script; a test says what it answers."""
    _model_server.say()
    return _model_server


@pytest.fixture
async def staged(models: RunningModels) -> AsyncIterator[Staged]:
    """Stages for agents of the Claude Agent SDK, which leave no program behind."""
    made: list[Stage] = []

    def make(enclosure: Enclosure, **changes: Any) -> Stage:
        made.append(Stage(models, enclosure, changes))
        return made[-1]

    yield make
    for stage in made:
        await stage.client.close()
    assert programs() == []
