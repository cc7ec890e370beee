"""Sandboxes: where every program that is not ours runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from omniforge.core.errors import Invalid
from omniforge.sandboxes.protocol import (
    Bridge,
    InterpreterMissing,
    KilledBy,
    Limits,
    SandboxProvider,
    SandboxRequest,
    SandboxResult,
    SandboxUnavailable,
)

PROVIDERS: Mapping[str, str] = MappingProxyType({"local": "omniforge.sandboxes.providers.local:LocalSandbox"})
"""Provider name → dotted path of its class, imported when it is opened."""


def open_provider(name: str, **options: Any) -> SandboxProvider:
    """The provider called `name`; `options` are its own. It is checked at its first run."""
    path = PROVIDERS.get(name)
    if path is None:
        known = ", ".join(PROVIDERS)
        raise Invalid(
            f"There is no sandbox provider '{name}'. Known: {known}.",
            fields=[{"field": "sandbox_provider", "value": name, "rule": f"one of: {known}"}],
        )
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)(**options)


__all__ = [
    "PROVIDERS",
    "Bridge",
    "InterpreterMissing",
    "KilledBy",
    "Limits",
    "SandboxProvider",
    "SandboxRequest",
    "SandboxResult",
    "SandboxUnavailable",
    "open_provider",
]
