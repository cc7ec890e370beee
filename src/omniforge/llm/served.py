"""One model as a question meets it: budget before the call, some tries, figures after it, mended answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from omniforge.core.network import check_network
from omniforge.llm.calling import Calling, Length, Spoken
from omniforge.llm.mending import mended, strictly
from omniforge.llm.protocol import AskEventKind
from omniforge.llm.translation import BadAnswer


class ServedModel(WrapperModel):
    """Looks like the model it holds. What it tells of a stream goes to `tell`; the agent gets whole answers,
    so a stream that breaks off can be asked for again.
    """

    def __init__(self, wrapped: Model, calling: Calling) -> None:
        super().__init__(wrapped)
        self.calling = calling
        self.name, self.account, self.tell = calling.name, calling.account, calling.tell

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        self.account.start_iteration()
        question = Question(messages, model_request_parameters)

        async def once() -> ModelResponse:
            room = self.calling.room_for(question.length)
            return await self._asked(question, {**(model_settings or {}), "max_tokens": room})

        return self._taken(await self.calling.tried(once), question)

    async def _asked(self, question: Question, settings: ModelSettings) -> ModelResponse:
        check_network()
        self.account.requests += 1
        if self.tell is None:
            response = await self._whole(question, settings)
        else:
            response = await self._streamed(question, settings)
        texts = [_written(part) for part in response.parts]
        self.calling.count(question.length, _spoken(response.usage), lambda: texts, whole=True)
        if not _says_anything(response) and response.finish_reason not in ("content_filter", "length"):
            raise BadAnswer(str(self.name), "an answer with nothing in it")
        return response

    async def _whole(self, question: Question, settings: ModelSettings) -> ModelResponse:
        try:
            return await self.wrapped.request(question.messages, settings, question.parameters)
        except UnexpectedModelBehavior as error:
            raise BadAnswer(str(self.name), str(error)) from None

    async def _streamed(self, question: Question, settings: ModelSettings) -> ModelResponse:
        said = ""
        usage = RequestUsage()
        is_json = question.parameters.output_mode in ("native", "prompted")
        try:
            async with self.wrapped.request_stream(
                question.messages, settings, question.parameters, None
            ) as stream:
                async for event in stream:
                    usage = stream.usage
                    kind, text = _words(event)
                    said += text
                    if not (is_json and kind is AskEventKind.MESSAGE):
                        await self.calling.pass_on(kind, text)
                response = stream.get()
            if response.finish_reason is None:
                raise BadAnswer(str(self.name), "a stream that ended before its end")
        except (ModelAPIError, UnexpectedModelBehavior) as error:
            if said:  # what was said was paid for
                self.calling.count(question.length, _spoken(usage), lambda: [said], whole=False)
            if isinstance(error, ModelAPIError):
                raise
            raise BadAnswer(str(self.name), str(error)) from None
        return response

    def _taken(self, response: ModelResponse, question: Question) -> ModelResponse:
        """The answer with its JSON mended, and its tool calls paid for."""
        self.calling.told = False
        account = self.account
        account.cut_short = response.finish_reason == "length"
        if not account.cut_short:  # half of what was meant is not an answer with a mistake
            response = self._mended(response, question.parameters)
        texts = [part.content for part in response.parts if isinstance(part, TextPart)]
        account.words = "".join(texts) or account.words
        own = {tool.name for tool in question.parameters.output_tools}
        calls = [part.tool_name for part in response.parts if isinstance(part, ToolCallPart)]
        account.use_tools([name for name in calls if name not in own])
        return replace(response, model_id=str(self.name))

    def _mended(self, response: ModelResponse, parameters: ModelRequestParameters) -> ModelResponse:
        output = parameters.output_tools[0] if parameters.output_tools else None
        schemas = {tool.name: tool.parameters_json_schema for tool in parameters.tool_defs.values()}
        parts = [_mended_part(part, schemas) for part in response.parts]
        if output is not None and not any(isinstance(part, ToolCallPart) for part in parts):
            text = "".join(part.content for part in parts if isinstance(part, TextPart))
            if (value := mended(text, output.parameters_json_schema)) is not None:
                kept = [part for part in parts if not isinstance(part, TextPart)]
                parts = [*kept, ToolCallPart(output.name, value)]
        elif parameters.output_object is not None and parameters.output_mode in ("native", "prompted"):
            parts = _mended_text(parts, parameters.output_object.json_schema)
        if parts != list(response.parts):
            self.account.repaired = True
            return replace(response, parts=parts)
        return response


class Question:
    """What is sent, and how long it is."""

    def __init__(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> None:
        self.messages, self.parameters = messages, parameters
        self.length = Length(self._texts)

    def _texts(self) -> list[str]:
        parts = [part for message in self.messages for part in message.parts]
        instructions = [getattr(message, "instructions", None) or "" for message in self.messages[-1:]]
        tools = self.parameters.tool_defs.values()
        offered = [f"{one.name} {one.description} {json.dumps(one.parameters_json_schema)}" for one in tools]
        return [_written(part) for part in parts] + instructions + offered


def _spoken(usage: RequestUsage) -> Spoken:
    return Spoken(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens)


def _words(event: Any) -> tuple[AskEventKind, str]:
    """The new words of an event of a stream."""
    match event:
        case PartStartEvent(part=TextPart(content=text)):
            return AskEventKind.MESSAGE, text
        case PartStartEvent(part=ThinkingPart(content=text)):
            return AskEventKind.THINKING, text
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            return AskEventKind.MESSAGE, text
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
            return AskEventKind.THINKING, text or ""
        case _:
            return AskEventKind.MESSAGE, ""


def _says_anything(response: ModelResponse) -> bool:
    return any(
        isinstance(part, ToolCallPart) or (isinstance(part, TextPart) and part.content.strip())
        for part in response.parts
    )


def _written(part: Any) -> str:
    """A part of a message as the text it is sent as, roughly."""
    if isinstance(part, ToolCallPart):
        return f"{part.tool_name} {part.args_as_json_str()}"
    content = getattr(part, "content", "")
    return content if isinstance(content, str) else json.dumps(content, default=str, ensure_ascii=False)


def _mended_part(part: Any, schemas: dict[str, Any]) -> Any:
    """A tool call whose arguments are an object."""
    if not isinstance(part, ToolCallPart):
        return part
    call = cast("ToolCallPart[Any]", part)
    if not isinstance(call.args, str) or not call.args.strip() or isinstance(strictly(call.args), dict):
        return call
    value = mended(call.args, schemas.get(call.tool_name, {}))
    return call if value is None else replace(call, args=value)


def _mended_text(parts: list[Any], schema: dict[str, Any]) -> list[Any]:
    """The text of an answer that was to be JSON, as JSON."""
    text = "".join(part.content for part in parts if isinstance(part, TextPart))
    if not text or isinstance(strictly(text), dict):
        return parts
    value = mended(text, schema)
    if value is None:
        return parts
    kept = [part for part in parts if not isinstance(part, TextPart)]
    return [*kept, TextPart(json.dumps(cast("Any", value), ensure_ascii=False))]
