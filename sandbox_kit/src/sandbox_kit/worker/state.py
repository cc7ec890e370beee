"""What the worker remembers on disk, outside the workspace: a restarted one goes on from there."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


class State:
    """One JSON file per name, replaced whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder

    def load(self, name: str, default: Any = None) -> Any:
        """What was kept under `name`; `default` when there is nothing that can be read."""
        try:
            return json.loads((self.folder / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return default

    def keep(self, name: str, value: Any) -> None:
        """Where there is no room left it is not kept: the work goes on, and only a restart would miss it."""
        place = self.folder / f"{name}.json"
        half = place.with_suffix(".half")
        with contextlib.suppress(OSError):
            half.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8", errors="replace")
            os.replace(half, place)
