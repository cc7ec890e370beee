"""A local model server for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_server import RunningModels


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
