"""Whether the work at hand may reach the network. Every outward client of ours asks before each request."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from omniforge.core.errors import Forbidden

_closed: ContextVar[bool] = ContextVar("network_closed", default=False)


class NetworkDisabled(Forbidden):
    """Work that must not reach the network tried to."""

    code = "network_disabled"


@contextmanager
def no_network() -> Generator[None]:
    """Nothing reaches the network from within this block, nor from tasks made in it."""
    token = _closed.set(True)
    try:
        yield
    finally:
        _closed.reset(token)


@contextmanager
def models_only() -> Generator[None]:
    """The network is open within this block, for asking a model where a dry run was told to ask one.

    Whatever the model has done by tools closes it again for itself.
    """
    token = _closed.set(False)
    try:
        yield
    finally:
        _closed.reset(token)


def check_network() -> None:
    """Raise `NetworkDisabled` where the network is closed."""
    if _closed.get():
        raise NetworkDisabled("A dry run has no network.")


async def refuse_when_closed(_request: Any) -> None:
    """For an outward client: `httpx.AsyncClient(event_hooks={"request": [refuse_when_closed]})`."""
    check_network()
