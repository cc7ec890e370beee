"""What every box on this computer stands on: its programs, the kit, the process table and the uids."""

from __future__ import annotations

import os
import sys
from importlib import resources
from pathlib import Path

from omniforge.sandboxes.bubblewrap import Shell
from omniforge.sandboxes.kit import Kit
from omniforge.sandboxes.processes import ProcessTable
from omniforge.sandboxes.protocol import SandboxUnavailable
from omniforge.sandboxes.seccomp import is_supported
from omniforge.sandboxes.staging import usable_uids

BWRAP, PYTHON = Path("/usr/bin/bwrap"), Path("/usr/bin/python3")


class Ground:
    """`places`: where copies for boxes are put (default: the system's temporary folder). As root, boxes run
    as uids of their own, so every user must be able to enter it."""

    def __init__(self, *, bwrap: Path = BWRAP, python: Path = PYTHON, places: Path | None = None) -> None:
        self.shell = Shell(bwrap, python)
        self.places = places
        self.kit = Kit(python, places)
        self.table = ProcessTable()
        self.uids = usable_uids(Path("/proc/self/uid_map").read_text()) if os.geteuid() == 0 else None

    def require_parts(self, otherwise: str) -> Path:
        """The folder of `sandbox_kit`, when everything a box needs is installed; `otherwise` ends the message
        of `SandboxUnavailable`."""
        if sys.platform != "linux" or not is_supported():
            raise SandboxUnavailable(
                f"The local sandbox works on Linux on x86_64 and aarch64 only. {otherwise}"
            )
        for path, package in ((self.shell.bwrap, "bubblewrap"), (self.shell.python, "python3")):
            if not os.access(path, os.X_OK):
                missing = package if path.name != "python3" else f"The operating system's {path}"
                raise SandboxUnavailable(
                    f"{missing} is not installed: apt-get install {package}. {otherwise}", missing=str(path)
                )
        return find_kit(otherwise)


def find_kit(otherwise: str) -> Path:
    try:
        return Path(str(resources.files("sandbox_kit")))
    except ModuleNotFoundError:
        raise SandboxUnavailable(
            f"The package sandbox_kit is missing: install OmniForge again. {otherwise}"
        ) from None
