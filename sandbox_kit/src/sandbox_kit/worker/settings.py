"""What the worker is told by its environment, and what its children are told."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TOKEN = "OMNIFORGE_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FD = "OMNIFORGE_TOKEN_FD"  # noqa: S105
PASSED_ON = frozenset({"OMNIFORGE_SANDBOX_ID", "OMNIFORGE_TASK_ID", "OMNIFORGE_WORKSPACE"})
"""Variables of ours that commands may know."""
PR_SET_DUMPABLE = 4
KIT = str(Path(__file__).resolve().parents[2])
"""Where Python finds this package. Programs of a task are not to find it by accident."""


class NotTold(Exception):
    """A variable is missing or cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    """Times are in seconds. `state`: a folder outside the workspace that survives a restart of the worker."""

    url: str
    token: str
    sandbox_id: str
    task_id: str
    workspace: Path
    skills: Path
    state: Path
    heartbeat: float = 30.0
    merge: float = 1.0
    retry: float = 0.5
    poll: float = 25.0
    flush: float = 60.0
    model: float = 330.0
    """Longest wait for one answer of the model."""
    context: int = 400_000
    """Characters of a conversation before its oldest tool outputs are left out."""


def hide_token(environ: Mapping[str, str]) -> None:
    """Start this program anew with the token in a pipe. Otherwise children could read it in /proc, where the
    environment of a process stays as it was at its start. Returns only when there is nothing to hide."""
    if TOKEN not in environ:
        return
    reading, writing = os.pipe()
    os.write(writing, environ[TOKEN].encode())
    os.close(writing)
    os.set_inheritable(reading, True)
    left = {name: value for name, value in environ.items() if name != TOKEN}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**left, TOKEN_FD: str(reading)})  # noqa: S606


def read_token(environ: Mapping[str, str]) -> str:
    """The token that `hide_token` left; it can be read once. Nobody else may look into this process then."""
    if TOKEN_FD not in environ:
        raise NotTold(f"{TOKEN} is not set.")
    with os.fdopen(int(environ[TOKEN_FD]), "rb") as pipe:
        token = pipe.read().decode().strip()
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return token


def read_settings(environ: Mapping[str, str], token: str) -> Settings:
    def told(name: str) -> str:
        value = environ.get(name, "").strip()
        if not value:
            raise NotTold(f"{name} is not set.")
        return value

    def number(name: str, default: float) -> float:
        try:
            return float(environ.get(name) or default)
        except ValueError:
            raise NotTold(f"{name} is not a number.") from None

    sandbox_id = told("OMNIFORGE_SANDBOX_ID")
    state = environ.get("OMNIFORGE_STATE") or f"{tempfile.gettempdir()}/omniforge-worker-{sandbox_id}"
    return Settings(
        url=told("OMNIFORGE_URL").rstrip("/"),
        token=token,
        sandbox_id=sandbox_id,
        task_id=told("OMNIFORGE_TASK_ID"),
        workspace=Path(told("OMNIFORGE_WORKSPACE")).resolve(),
        skills=Path(environ.get("OMNIFORGE_SKILLS") or "/skills"),
        state=Path(state),
        heartbeat=number("OMNIFORGE_HEARTBEAT_SECONDS", Settings.heartbeat),
        merge=number("OMNIFORGE_MERGE_SECONDS", Settings.merge),
        retry=number("OMNIFORGE_RETRY_SECONDS", Settings.retry),
        poll=number("OMNIFORGE_POLL_SECONDS", Settings.poll),
        flush=number("OMNIFORGE_FLUSH_SECONDS", Settings.flush),
        model=number("OMNIFORGE_MODEL_SECONDS", Settings.model),
        context=int(number("OMNIFORGE_CONTEXT_CHARACTERS", Settings.context)),
    )


def environment_of_children(environ: Mapping[str, str]) -> dict[str, str]:
    """Without everything of ours that commands need not know."""
    passed = {
        name: value
        for name, value in environ.items()
        if not name.startswith("OMNIFORGE_") or name in PASSED_ON
    }
    places = [place for place in passed.pop("PYTHONPATH", "").split(os.pathsep) if place not in ("", KIT)]
    return passed | ({"PYTHONPATH": os.pathsep.join(places)} if places else {})
