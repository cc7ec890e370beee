"""What is put into a container or a remote sandbox before anything runs there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from omniforge.sandboxes.ground import find_kit
from omniforge.sandboxes.protocol import SandboxUnavailable
from omniforge.sandboxes.trees import Entry, read_folder
from omniforge.sandboxes.workspaces import KIT, ProviderUnavailable

EXECUTE = ("python3", "-I", f"{KIT}/sandbox_kit/execute.py")
FORWARD = ("python3", "-I", f"{KIT}/sandbox_kit/forward.py", "-")
KIT_INSIDE = {"PYTHONPATH": KIT}


def kit_folder() -> Path:
    """Where `sandbox_kit` lies on this computer."""
    try:
        return find_kit("Until then no sandbox is made.")
    except SandboxUnavailable as error:
        raise ProviderUnavailable(error.message) from error


@cache
def kit_entries() -> tuple[Entry, ...]:
    """`sandbox_kit` without what Python has compiled."""
    return tuple(entry for entry in read_folder(kit_folder()) if "__pycache__" not in entry.path)
