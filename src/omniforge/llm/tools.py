"""The tools of one question, as the loop calls them: arguments checked, refusals told, repeats stopped."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pydantic_ai import RunContext, Tool
from pydantic_ai.exceptions import ToolFailed

from omniforge.llm.calling import Tell
from omniforge.llm.mending import fitted
from omniforge.llm.protocol import AskEvent, AskEventKind, Json, ToolOffer, ToolRefused

MOST_FAILURES = 3
LONGEST_TOLD = 2000
"""Characters of a result that events repeat; the model gets all of it."""
ANOTHER_WAY = (
    "This call has failed {times} times with these very arguments. Do not repeat it: change the arguments, "
    "use another tool, or answer with what you have and say what is missing."
)


class OfferedTools:
    """What failed how often is remembered for one question."""

    def __init__(self, offers: tuple[ToolOffer, ...], tell: Tell | None, most_retries: int) -> None:
        self._offers, self._tell, self._most_retries = offers, tell, most_retries
        self._failures: Counter[str] = Counter()

    def tools(self) -> list[Tool[object]]:
        return [self._tool(offer) for offer in self._offers]

    def _tool(self, offer: ToolOffer) -> Tool[object]:
        async def call(context: RunContext[object], **args: Any) -> Any:
            return await self.called(offer, context.tool_call_id or "", args)

        tool = Tool[object].from_schema(call, offer.name, offer.description, offer.parameters, takes_ctx=True)
        tool.max_retries = self._most_retries
        return tool

    async def called(self, offer: ToolOffer, call_id: str, args: Json) -> Any:
        """One call; raises ToolFailed with what the model is told, or whatever ends the question."""
        about = {"tool": offer.name, "call": call_id}
        await self._say(AskEventKind.TOOL_USED, "", {**about, "args": args})
        try:
            result = await self._done(offer, args)
        except ToolFailed as refusal:
            await self._say(AskEventKind.TOOL_RESULT, refusal.message, {**about, "ok": False})
            raise
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
        await self._say(AskEventKind.TOOL_RESULT, text[:LONGEST_TOLD], {**about, "ok": True})
        return result

    async def _done(self, offer: ToolOffer, args: Json) -> Any:
        same = f"{offer.name} {json.dumps(args, sort_keys=True, default=str)}"
        if self._failures[same] >= MOST_FAILURES:
            raise ToolFailed(ANOTHER_WAY.format(times=self._failures[same]))
        fitting, problems = fitted(args, offer.parameters)
        if problems:
            raise self._failed(same, "The arguments are not as declared: " + "; ".join(problems))
        try:
            return await offer.call(fitting)
        except ToolRefused as refusal:
            raise self._failed(same, refusal.message) from None

    def _failed(self, same: str, why: str) -> ToolFailed:
        self._failures[same] += 1
        times = self._failures[same]
        return ToolFailed(f"{why}\n{ANOTHER_WAY.format(times=times)}" if times >= MOST_FAILURES else why)

    async def _say(self, kind: AskEventKind, text: str, data: Json) -> None:
        if self._tell is not None:
            await self._tell(AskEvent(kind, text, data))
