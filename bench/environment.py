"""The peers' own environment, made once below `.bench/` from pinned versions; never a part of ours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"
HOME = ROOT / ".bench"
UV = ROOT / ".tools" / "bin" / "uv"


class PeersUnavailable(Exception):
    """The peers could not be installed."""


def peer_python() -> Path:
    """The interpreter that has the peers; installs them when this list of versions was not installed yet."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    place = HOME / f"peers-{digest}"
    python = place / "bin" / "python"
    ready = place / "ready"
    if ready.exists():
        return python
    shutil.rmtree(place, ignore_errors=True)
    HOME.mkdir(exist_ok=True)
    _uv("venv", "--python", sys.executable, str(place))
    _uv("pip", "install", "--python", str(python), "-r", str(REQUIREMENTS))
    ready.touch()
    return python


def _uv(*command: str) -> None:
    if not UV.exists():
        raise PeersUnavailable(f"{UV} is missing; `make setup` installs it.")
    done = subprocess.run([str(UV), *command, "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeersUnavailable(f"uv {command[0]} failed: {done.stderr.strip()[-500:]}")


def peer_versions() -> dict[str, str]:
    """Versions of the peers that are named in the results."""
    named = ("langgraph", "langgraph-checkpoint-sqlite", "dbos", "procrastinate", "apscheduler", "psycopg")
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    return {name: pins[name] for name in named if name in pins}
