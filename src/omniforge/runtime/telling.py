"""What an agent thinks, says and does, as events of its run: bounded, and without secrets."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.redaction import redact, redacted
from omniforge.llm.protocol import AskEvent, AskEventKind
from omniforge.runtime.guards import bounded, clean

Json = dict[str, Any]

THINKING, MESSAGE = "agent.thinking", "agent.message"
TOOL_USED, TOOL_RESULT = "agent.tool_used", "agent.tool_result"
TYPES = (THINKING, MESSAGE, TOOL_USED, TOOL_RESULT)
MAX_EVENTS = 600
"""Of one attempt of one step; after that it goes on untold."""
MAX_SHOWN = 4_000
"""Characters of one text in an event, which holds 16 KB."""
AT_ONCE = 400
"""Characters that are gathered before they are told, unless something else happens first."""
_TYPE = {AskEventKind.THINKING: THINKING, AskEventKind.MESSAGE: MESSAGE}


@dataclass(slots=True)
class Telling:
    """Writes events through `emit`. Words come in small pieces and are told in larger ones."""

    emit: Callable[[str, Json], Awaitable[None]]
    told: int = 0
    _kind: AskEventKind | None = None
    _words: list[str] = field(default_factory=list[str])

    async def hear(self, event: AskEvent) -> None:
        """Something the model said. Its calls of tools are told by whoever does them."""
        if event.kind is AskEventKind.STARTED_OVER:
            self._words.clear()
            return
        if event.kind not in _TYPE:
            await self.flush()
            return
        if event.kind is not self._kind:
            await self.flush()
            self._kind = event.kind
        self._words.append(event.text)
        if sum(map(len, self._words)) >= AT_ONCE:
            await self.flush()

    async def flush(self) -> None:
        """Tell what has been gathered."""
        text, kind = "".join(self._words), self._kind
        self._words.clear()
        if text.strip() and kind is not None:
            for start in range(0, min(len(text), 4 * MAX_SHOWN), MAX_SHOWN):
                await self.tell(_TYPE[kind], {"text": text[start : start + MAX_SHOWN]})

    async def tell(self, type_: str, payload: Json) -> None:
        self.told += 1
        if self.told <= MAX_EVENTS:
            await self.emit(type_, redact(payload))


def shown(value: Any, limit: int = MAX_SHOWN) -> str:
    """A value as one bounded text that may be told."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return bounded(redacted(clean(text)), limit)
