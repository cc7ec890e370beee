"""What a local model server remembers: its script, the faults to come, and what arrived."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from omniforge.llm.scripts import Script, Turn

Json = dict[str, Any]

MOST_RECORDED = 5000


@dataclass(slots=True)
class Recorded:
    """One request that arrived. Headers by name only: their values hold keys."""

    path: str
    body: Json
    headers: tuple[str, ...]
    status: int = 0


@dataclass(slots=True)
class ModelServer:
    """All of one local server. A test puts a fresh one at `app.state.standin`.

    `keys`: credentials that are let in; None lets in everybody. `faults` are answered before the script goes
    on: turns that hold a fault. `delay`: seconds before every answer. `left`: clients that went away.
    """

    script: Script = field(default_factory=Script)
    keys: frozenset[str] | None = None
    faults: list[Turn] = field(default_factory=list[Turn])
    requests: list[Recorded] = field(default_factory=list[Recorded])
    delay: float = 0.0
    left: int = 0
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):012d}"

    def record(self, entry: Recorded) -> None:
        self.requests.append(entry)
        del self.requests[:-MOST_RECORDED]
