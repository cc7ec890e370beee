"""A model that says what a script says: for tests and demonstrations. Its answers are labelled simulated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from pydantic_ai import exceptions as vendor
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from omniforge.core.errors import Invalid
from omniforge.llm.providers import Seat
from omniforge.llm.scripts import Asked, FaultKind, Script, Turn, given, words

ERRORS: Mapping[FaultKind, type[vendor.ModelAPIError]] = {
    FaultKind.RATE_LIMITED: vendor.ModelRateLimitError,
    FaultKind.OVERLOADED: vendor.ModelOverloadedError,
    FaultKind.SERVER_ERROR: vendor.ModelServerError,
    FaultKind.UNAUTHORIZED: vendor.ModelAuthenticationError,
    FaultKind.NO_CREDIT: vendor.ModelQuotaExceededError,
    FaultKind.NOT_FOUND: vendor.ModelNotFoundError,
    FaultKind.BAD_REQUEST: vendor.ModelRequestRejectedError,
    FaultKind.CONTEXT_TOO_LONG: vendor.ModelContextWindowExceededError,
    FaultKind.GARBAGE: vendor.ModelAPIError,
    FaultKind.HALF_JSON: vendor.ModelAPIError,
    FaultKind.CUT: vendor.ModelConnectionError,
    FaultKind.FAILING: vendor.ModelServerError,
}
MIDWAY = (FaultKind.CUT, FaultKind.FAILING, FaultKind.HALF_JSON)
"""Faults that come after the first words of a stream."""


def open_model(seat: Seat, model: str) -> ScriptedModel:
    if seat.script is None:
        raise Invalid("The scripted model has no script. Set OMNIFORGE_MODEL_SCRIPT to a file of turns.")
    return ScriptedModel(model, seat.script)


class ScriptedModel(Model):
    """Plays a script; every question of every tenant takes from the same one."""

    def __init__(self, name: str, script: Script) -> None:
        super().__init__()
        self._name, self._script = name, script

    @property
    def model_name(self) -> str:
        return self._name

    @property
    def system(self) -> str:
        return "scripted"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        turn = await self._turn(_asked(self._name, messages, parameters, stream=False))
        if (error := self._error(turn)) is not None:
            raise error
        return self._response(turn)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        turn = await self._turn(_asked(self._name, messages, parameters, stream=True))
        error = self._error(turn)
        if error is not None and turn.fault not in MIDWAY:
            raise error
        yield ScriptedStream(parameters, said=self._response(turn), pause=turn.pause, error=error)

    async def _turn(self, asked: Asked) -> Turn:
        turn = self._script.next(asked)
        if turn is None:
            raise vendor.ModelRequestRejectedError(self._name, "The script has no turn left for this.")
        if turn.fault is FaultKind.SLOW:
            await asyncio.sleep(turn.seconds)
        return given(turn, asked)

    def _error(self, turn: Turn) -> vendor.ModelAPIError | None:
        kind = ERRORS.get(turn.fault) if turn.fault else None
        wait = turn.seconds if turn.fault is FaultKind.RATE_LIMITED else None
        return kind(self._name, f"scripted: {turn.fault}", retry_after=wait) if kind else None

    def _response(self, turn: Turn) -> ModelResponse:
        parts: list[ModelResponsePart] = []
        if turn.thinking:
            parts.append(ThinkingPart(turn.thinking))
        if turn.fault not in (FaultKind.EMPTY, FaultKind.REFUSED):
            if turn.text:
                parts.append(TextPart(turn.text))
            parts += [ToolCallPart(tool.name, cast("Any", tool.args)) for tool in turn.tools]
        usage = turn.usage
        reason = "length" if turn.is_cut_short else "tool_call" if turn.tools else "stop"
        return ModelResponse(
            parts,
            usage=RequestUsage(
                input_tokens=usage.get("in", 0),
                output_tokens=usage.get("out", 0),
                cache_read_tokens=usage.get("cached", 0),
            ),
            model_name=self._name,
            provider_name="scripted",
            finish_reason="content_filter" if turn.fault is FaultKind.REFUSED else reason,
        )


@dataclass
class ScriptedStream(StreamedResponse):
    """A scripted answer word by word; with an error, half of it."""

    said: ModelResponse = field(kw_only=True)
    pause: float = 0.0
    error: Exception | None = None
    _at: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        pieces = [piece for number, part in enumerate(self.said.parts) for piece in _pieces(number, part)]
        for number, part, text in pieces[: len(pieces) // 2] if self.error else pieces:
            match part:
                case TextPart():
                    events = self._parts_manager.handle_text_delta(vendor_part_id=number, content=text)
                case ThinkingPart():
                    events = self._parts_manager.handle_thinking_delta(vendor_part_id=number, content=text)
                case _:
                    call = cast("ToolCallPart", part)
                    events = self._parts_manager.handle_tool_call_delta_events(
                        vendor_part_id=number,
                        tool_name=call.tool_name if text == "" else None,
                        args=text,
                        tool_call_id=call.tool_call_id,
                    )
            for event in events:
                yield event
            await asyncio.sleep(self.pause)
        if self.error is not None:
            raise self.error
        self._usage = self.said.usage
        self.finish_reason = self.said.finish_reason

    async def close_stream(self) -> None:
        """There is no connection."""

    @property
    def model_name(self) -> str:
        return self.said.model_name or ""

    @property
    def provider_name(self) -> str:
        return "scripted"

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self._at


def _pieces(number: int, part: Any) -> list[tuple[int, Any, str]]:
    if isinstance(part, ToolCallPart):
        texts = ["", part.args if isinstance(part.args, str) else json.dumps(part.args)]
    else:
        texts = words(part.content)
    return [(number, part, text) for text in texts]


def _asked(
    name: str, messages: list[ModelMessage], parameters: ModelRequestParameters, *, stream: bool
) -> Asked:
    instructions = [getattr(message, "instructions", None) or "" for message in messages]
    parts = [part for message in messages for part in message.parts]
    texts = [str(getattr(part, "content", "") or "") for part in parts]
    output = [tool.name for tool in parameters.output_tools]
    return Asked(
        model=name,
        text="\n".join([*dict.fromkeys(instructions), *texts]),
        turn=sum(isinstance(message, ModelResponse) for message in messages),
        tools=(*(tool.name for tool in parameters.function_tools), *output),
        forced=output[0] if output and not parameters.allow_text_output else None,
        wants_json=parameters.output_mode in ("native", "prompted"),
        stream=stream,
    )
