"""OmniForge: describe recurring work in plain words, get an agent that does it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniforge.client import OmniForgeClient
    from omniforge.sdk import Agent, Local, SkillRef

__all__ = ["Agent", "Local", "OmniForgeClient", "SkillRef"]

_PLACES = {
    "Agent": "omniforge.sdk",
    "Local": "omniforge.sdk",
    "SkillRef": "omniforge.sdk",
    "OmniForgeClient": "omniforge.client",
}
"""Loaded when they are asked for: importing the package costs nothing."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
