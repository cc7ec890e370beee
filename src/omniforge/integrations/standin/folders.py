"""Which folders of the catalogue bring a local server, found by themselves."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, cast

from starlette.applications import Starlette

from omniforge.integrations.manifest import CATALOG
from omniforge.integrations.standin.state import StandinState


class Standin(Protocol):
    """What `catalog/<name>/standin` offers: the client it knows, its state, and the server over one."""

    CLIENT_ID: str
    CLIENT_SECRET: str

    def StandinState(self, **settings: Any) -> StandinState: ...  # noqa: N802 - a class there

    def create_app(self, state: Any = None) -> Starlette: ...


def find_standins() -> Mapping[str, Standin]:
    """Local servers by the integration's id, in the order of names."""
    return dict(_found())


def _found() -> Iterator[tuple[str, Standin]]:
    for folder in sorted(path.parent.parent for path in CATALOG.glob("*/standin/__init__.py")):
        module = importlib.import_module(f"omniforge.integrations.catalog.{folder.name}.standin")
        yield folder.name, cast("Standin", module)
