"""The kit as every box of this process sees it: one compiled copy, so that no box compiles it anew."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path

COMPILE = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
"""Unchecked: the times of the copies say nothing, and nobody changes them."""
COMPILING_TAKES = 60.0
"""Seconds at most."""


class Kit:
    """`sandbox_kit`, which is no secret and the same for everybody; the copy goes with this object."""

    def __init__(self, python: Path, parent: Path | None) -> None:
        """python: what runs it in the boxes. parent: where the copy is put."""
        self._python, self._parent = python, parent
        self._made: Path | None = None
        self._turn = threading.Lock()

    def ready(self, source: Path) -> Path:
        """The folder to bind. Blocking. A copy that somebody swept away is made again."""
        with self._turn:
            if self._made is None or not (self._made / "__init__.py").is_file():
                self._made = self._make(source)
            return self._made

    def _make(self, source: Path) -> Path:
        place = Path(tempfile.mkdtemp(prefix="omniforge-kit-", dir=self._parent))
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        made = place / "sandbox_kit"
        shutil.copytree(source, made, ignore=shutil.ignore_patterns("__pycache__"))
        # What does not compile is compiled, and complained about, where it is used.
        subprocess.run(
            [self._python, *COMPILE, made], check=False, capture_output=True, timeout=COMPILING_TAKES
        )
        for path in (place, made, *made.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return made
