"""Clients of services that are not one address with a token: what they are opened with, live and on samples.

An integration's tools get a `RestClient` at the address of its `provider.yaml`, unless its `tools.py` offers
`open_client`: then they get what that opens. Such a client takes everything it needs from `Surroundings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx

from omniforge.core.clock import Clock
from omniforge.core.outward import Guard
from omniforge.integrations.rest import Patience

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a client is opened with.

    http: reaches public addresses only. guard: the same rule for other protocols. folder: the tenant's own,
    which may not exist yet. fields: what was typed in to connect, by name; empty without a sign-in. kept:
    what the integration wants to find again at its next call in this process, for all tenants alike. offered:
    ids of resources to show when nothing was asked for: sample data have some (`offers` of the transport).
    """

    clock: Clock
    http: httpx.AsyncClient
    guard: Guard = field(default_factory=Guard)
    folder: Path = Path("/nonexistent")
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    offered: Sequence[str] = ()
    kept: dict[str, Any] = field(default_factory=dict[str, Any])
    patience: Patience = field(default_factory=Patience)


class OpenClient(Protocol):
    """`open_client` of a folder's `tools.py`."""

    def __call__(self, surroundings: Surroundings, /) -> AbstractAsyncContextManager[Any]: ...


class Strike(Protocol):
    """Does one step towards the service over sample data, or ends it with the fault that is asked for.

    `fault` makes the error of the client's own library from the fault's entry in `fixtures/faults.json`.
    """

    def __call__(
        self, do: Callable[[], Done], fault: Callable[[str, Mapping[str, Any]], Exception], /
    ) -> Done: ...


class OpenSample(Protocol):
    """`open_sample` of a folder whose client does not speak HTTP: the client over what `samples` made.

    Every step towards the service goes through `strike`, so that a dry run can see each of them fail.
    """

    def __call__(
        self, world: Any, surroundings: Surroundings, strike: Strike, /
    ) -> AbstractAsyncContextManager[Any]: ...
