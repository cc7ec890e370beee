"""The model's service as a guest reaches it: one kind of request, our key, the question's budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx2
from pydantic_ai import exceptions as vendor

from omniforge.core.network import check_network
from omniforge.llm.calling import Calling, Length
from omniforge.llm.claude.guest import ANSWER
from omniforge.llm.claude.speech import Said, failure, parsed
from omniforge.llm.translation import BadAnswer

Json = dict[str, Any]
ADDRESS = "https://api.anthropic.com"
VERSION = "2023-06-01"
PATH = "/v1/messages"
STREAM = "text/event-stream"
REACHES_OUT = ("mcp_servers", "container")
"""What would have the service call others for the model."""
THINKS = ("thinking", "context_management")
"""A model that thinks takes no temperature."""


class NotOurs(vendor.ModelRequestRejectedError):
    """The guest asked for something that a question has no need of. Nothing was sent."""


@dataclass(slots=True)
class Origin:
    """Where the calls of one question go. `offered`: parameters of our tools, by the names the model sees.
    `answer`: the shape of the answer, which the program's own tool for it is given.
    """

    calling: Calling
    address: str
    key: str
    http: Callable[[], Any]
    offered: Mapping[str, Json]
    answer: Json | None = None
    temperature: float | None = None

    async def ask(self, path: str, headers: Mapping[str, str], text: str) -> Said:
        """One turn of the model. Broken arguments of our tools are mended."""
        body = self._checked(path, text)
        self.calling.account.start_iteration()
        length = Length(lambda: [text])

        async def once() -> Said:
            sent = {**body, "max_tokens": self.calling.room_for(length)}
            return await self._asked(sent, headers, length)

        said = await self.calling.tried(once)
        self.calling.told = False
        if said.stop != "max_tokens":  # half of what was meant is not a call with a mistake
            self.calling.account.repaired |= said.mend(self.offered)
        return said

    def _checked(self, path: str, text: str) -> Json:
        """The request, if it is a question to the model with our tools and no others."""
        name = str(self.calling.name)
        try:
            body: Any = json.loads(text)
        except ValueError:
            body = None
        if path.partition("?")[0] != PATH or not isinstance(body, dict):
            raise NotOurs(name, "not a question to a model")
        asked = cast("Json", body)
        tools = [dict(tool) for tool in cast("list[Json]", asked.get("tools") or [])]
        strange = {str(tool.get("name")) for tool in tools} - set(self.offered) - {ANSWER}
        if (
            not asked.get("stream")
            or strange
            or any(tool.get("type", "custom") != "custom" for tool in tools)
        ):
            raise NotOurs(name, f"tools that were not offered: {sorted(strange)}")
        tools.sort(key=lambda tool: tool["name"] == ANSWER)
        if tools and tools[-1]["name"] == ANSWER:
            tools[-1]["input_schema"] = self.answer
        dropped = (*REACHES_OUT, *(THINKS if self.temperature is not None else ()))
        kept = {field: value for field, value in asked.items() if field not in dropped}
        kept |= {"model": self.calling.name.model} | ({"tools": tools} if tools else {})
        return kept if self.temperature is None else {**kept, "temperature": self.temperature}

    async def _asked(self, body: Json, headers: Mapping[str, str], length: Length) -> Said:
        check_network()
        calling, name = self.calling, str(self.calling.name)
        calling.account.requests += 1
        said = Said()
        try:
            await self._streamed(body, headers, said)
        except vendor.ModelAPIError:
            if any(said.written):  # what was said was paid for
                calling.count(length, said.spoken, lambda: said.written, whole=False)
            raise
        calling.count(length, said.spoken, lambda: said.written, whole=True)
        if not (said.calls or said.text.strip()) and said.stop not in ("refusal", "max_tokens"):
            raise BadAnswer(name, "an answer with nothing in it")
        return said

    async def _streamed(self, body: Json, headers: Mapping[str, str], said: Said) -> None:
        """Fill `said`. The guest gets nothing before all is there, so it can be asked for again."""
        name = str(self.calling.name)
        sent = {"anthropic-version": VERSION, **headers, "x-api-key": self.key, "accept": STREAM}
        url = f"{self.address.rstrip('/')}{PATH}?beta=true"
        try:
            async with self.http().stream("POST", url, json=body, headers=sent) as response:
                if response.status_code != 200:
                    raise failure(
                        response.status_code,
                        _json(await response.aread()),
                        dict(response.headers),
                        name,
                    )
                if not response.headers.get("content-type", "").startswith(STREAM):
                    raise BadAnswer(name, "no stream")
                async for line in response.aiter_lines():
                    if (event := parsed(line, name)) is not None:
                        await self.calling.pass_on(*said.take(event))
        except httpx2.TimeoutException:
            raise vendor.ModelTimeoutError(name, "no answer in time") from None
        except httpx2.HTTPError as error:
            raise vendor.ModelConnectionError(name, type(error).__name__) from None
        if not said.is_whole or said.stop is None:
            raise BadAnswer(name, "a stream that ended before its end")


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
