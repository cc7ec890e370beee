"""Our tools as a server inside this process, and the word on each call before it is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from claude_agent_sdk import PermissionResultAllow, PermissionResultDeny, ToolPermissionContext
from mcp.server import Server
from mcp.types import CallToolResult, ListToolsResult, TextContent, Tool
from pydantic_ai.exceptions import ToolFailed

from omniforge.llm.claude.guest import LARGEST_RESULT, PREFIX, SERVER
from omniforge.llm.protocol import Json, ToolOffer
from omniforge.llm.tools import OfferedTools

CALL_ID = "claudecode/toolUseId"
"""Where the program tells which call of the model it has come for."""
NOT_OFFERED = "This tool is not offered here. Only the tools that are listed can be called."
Ends = Callable[[BaseException], Coroutine[Any, Any, Any]]


class OwnTools:
    """What may be called is what is offered. A call that nobody was asked about is not done.

    `ends`: takes what ends the question, and does not return.
    """

    def __init__(self, offers: tuple[ToolOffer, ...], offered: OfferedTools, ends: Ends) -> None:
        self._offers = {offer.name: offer for offer in offers}
        self._offered, self._ends = offered, ends
        self._let_in: dict[str, str] = {}
        """Name of the tool by id of the call."""

    async def may_use(
        self, name: str, args: Json, context: ToolPermissionContext
    ) -> PermissionResultAllow | PermissionResultDeny:
        """Whether a call may be done: asked for every one, as nothing is allowed beforehand."""
        own = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or own not in self._offers or not context.tool_use_id:
            return PermissionResultDeny(message=NOT_OFFERED)
        self._let_in[context.tool_use_id] = own
        return PermissionResultAllow(updated_input=args)

    def server(self) -> Server[Any]:
        async def list_tools(_context: Any, _params: Any) -> ListToolsResult:
            return ListToolsResult(tools=[_described(offer) for offer in self._offers.values()])

        async def call_tool(_context: Any, params: Any) -> CallToolResult:
            meta: Any = params.meta or {}
            return await self._call(params.name, str(meta.get(CALL_ID) or ""), params.arguments or {})

        return Server(SERVER, on_list_tools=list_tools, on_call_tool=call_tool)

    async def _call(self, name: str, call_id: str, args: Json) -> CallToolResult:
        if self._let_in.pop(call_id, None) != name:
            return _result(NOT_OFFERED, is_error=True)
        calling = self._offered.called(self._offers[name], call_id, args)
        (found,) = await asyncio.gather(calling, return_exceptions=True)
        if isinstance(found, ToolFailed):
            return _result(found.message, is_error=True)
        if isinstance(found, BaseException):
            return await self._ends(found)
        return _result(
            found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
        )


def _described(offer: ToolOffer) -> Tool:
    return Tool(
        name=offer.name,
        description=offer.description,
        input_schema={"type": "object", "properties": {}, **offer.parameters},
        _meta={"anthropic/maxResultSizeChars": LARGEST_RESULT},
    )


def _result(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text or "(nothing)")], is_error=is_error)
