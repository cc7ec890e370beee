"""One question to an agent of the Claude Agent SDK, from its seat to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ClaudeSDKError,
    McpSdkServerConfig,
    ResultMessage,
)
from pydantic_ai import exceptions as vendor

from omniforge.core.errors import Unavailable
from omniforge.llm.calling import Calling
from omniforge.llm.claude.guest import ANSWER, PREFIX, SERVER, Enclosure, Ended, guest_for
from omniforge.llm.claude.origin import ADDRESS, Origin
from omniforge.llm.claude.seats import Seats, Start
from omniforge.llm.claude.speech import Said
from omniforge.llm.claude.tools import OwnTools
from omniforge.llm.claude.transport import BridgeTransport
from omniforge.llm.loop import WRONG
from omniforge.llm.mending import check_schema, fitted, mended, strictly
from omniforge.llm.protocol import Answer, AnswerInvalid, Ask, Json, ModelUnavailable
from omniforge.llm.providers import Seat
from omniforge.llm.tools import OfferedTools
from omniforge.llm.translation import BadAnswer, translated

LONGEST_REQUEST = 32 * 1024**2
"""Characters of one request of the program to its model."""


@dataclass(frozen=True, slots=True)
class Household:
    """What all questions share. `folder` holds the SDK's program; `memory_mb` is what each may use."""

    enclosure: Enclosure
    folder: Path
    seats: Seats
    memory_mb: int


async def answer(ask: Ask, calling: Calling, seat: Seat, household: Household) -> Answer:
    """The answer, or what a ModelClient raises. Nothing of the question runs on when this returns."""
    if ask.schema is not None:
        check_schema(ask.schema)
    model, account = str(calling.name), calling.account
    async with household.seats.taken() as start:
        deadline = asyncio.timeout(ask.limits.seconds)
        try:
            async with deadline:
                value, text = await _Question(ask, calling, seat, household, start).answered()
        except vendor.AgentRunError as error:
            ours = translated(error, model, account.so_far)
            if ours is None:
                raise
            raise ours from None
        except TimeoutError:
            if not deadline.expired():
                raise
            raise account.out_of_time() from None
    usage, repaired, cut = account.usage, account.repaired, account.cut_short
    return Answer(value, text, usage, model, repaired=repaired, cut_short=cut)


@dataclass(slots=True)
class _Question:
    ask: Ask
    calling: Calling
    seat: Seat
    household: Household
    start: Start
    transport: BridgeTransport = field(default_factory=BridgeTransport)
    outcome: asyncio.Future[tuple[Json | None, str]] = field(init=False)
    origin: Origin = field(init=False)
    pieces: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    mistakes: Sequence[str] = ()
    """What is wrong with the last answer."""
    told: int = 0
    """How often the model was told of mistakes."""

    def __post_init__(self) -> None:
        self.outcome = asyncio.get_running_loop().create_future()
        self.origin = Origin(
            self.calling,
            self.seat.address or ADDRESS,
            self.seat.key or "",
            self.seat.http,
            {PREFIX + offer.name: offer.parameters for offer in self.ask.tools},
            self.ask.schema,
            self.ask.temperature,
        )

    async def answered(self) -> tuple[Json | None, str]:
        house = self.household
        guest = guest_for(self.ask, self.calling.name.model, house.folder, house.memory_mb)
        running = asyncio.create_task(house.enclosure.run(guest, self._bridge))
        talking = asyncio.create_task(self._talk())
        try:
            await asyncio.wait({self.outcome, running, talking}, return_when=asyncio.FIRST_COMPLETED)
            if not self.outcome.done():
                self._end(self._reason(running, talking))
        finally:
            talking.cancel()
            running.cancel()
            await asyncio.wait({running, talking})
            self._forget(running, talking)
        return self.outcome.result()

    def _reason(self, running: asyncio.Task[Ended], talking: asyncio.Task[None]) -> BaseException:
        """Why there is no answer, of two tasks of which one has ended."""
        error = running.exception() if running.done() else talking.exception()
        model, so_far = str(self.calling.name), self.calling.account.so_far
        if isinstance(error, Unavailable):
            why = f"{model} needs a sandbox to run in. {error.message}"
            return ModelUnavailable(why, retryable=False, code=error.code, model=model, **so_far)
        if error is not None and not isinstance(error, ClaudeSDKError):
            return error
        if not running.done():
            return BadAnswer(model, "the program came to an end without an answer")
        ended = running.result()
        why = f"used more {ended.killed_by} than it may" if ended.killed_by else "ended by itself"
        return ModelUnavailable(
            f"{model}: the program of the Claude Agent SDK {why}.",
            retryable=True,
            code="model_program_ended",
            exit_code=ended.exit_code,
            said=ended.said,
            **so_far,
        )

    def _forget(self, *tasks: asyncio.Task[Any]) -> None:
        """Look at what the tasks raised, so that nobody is told of it a second time."""
        for task in tasks:
            if not task.cancelled():
                task.exception()
        if self.outcome.done() and not self.outcome.cancelled():
            self.outcome.exception()

    async def _talk(self) -> None:
        """The SDK's side: our tools, our word on their calls, and the model told what is wrong."""
        offers = tuple(self.ask.tools)
        offered = OfferedTools(offers, self.ask.on_event, self.ask.limits.iterations)
        own = OwnTools(offers, offered, self._ends)
        options = ClaudeAgentOptions(
            tools=[],
            mcp_servers={SERVER: McpSdkServerConfig(type="sdk", name=SERVER, instance=own.server())},
            permission_mode="default",
            can_use_tool=own.may_use,
            setting_sources=[],
            skills=[],
            verbatim_prompts=True,
        )
        async with ClaudeSDKClient(options, self.transport) as client:
            self.start.over()
            await client.query(self.ask.prompt)
            async for message in client.receive_messages():
                if isinstance(message, ResultMessage):
                    if not self.mistakes:
                        return
                    wrong = "\n".join(f"- {mistake}" for mistake in self.mistakes)
                    await client.query(WRONG + wrong)

    async def _bridge(self, request: Json) -> Json:
        """What the program's side of the bridge asks for; see `sandbox_kit.talking`."""
        match request.get("op"):
            case "output":
                await self.transport.hear(str(request.get("text", "")))
                return _ok({})
            case "input":
                return _ok({"text": await self.transport.next_words()})
            case "ask":
                (answer,) = await asyncio.gather(self._piece(request), return_exceptions=True)
                return await self._ends(answer) if isinstance(answer, BaseException) else answer
            case _:
                return {"ok": False, "error": {"code": "unknown_operation", "message": "There is none."}}

    async def _piece(self, request: Json) -> Json:
        exchange = int(request.get("exchange", 0))
        pieces = self.pieces.setdefault(exchange, [])
        pieces.append(str(request.get("text", "")))
        if sum(map(len, pieces)) > LONGEST_REQUEST:
            raise vendor.ModelContextWindowExceededError(str(self.calling.name), "too long")
        if request.get("more"):
            return _ok({})
        text = "".join(self.pieces.pop(exchange))
        headers = {str(name): str(value) for name, value in dict(request.get("headers") or {}).items()}
        said = await self.origin.ask(str(request.get("path", "")), headers, text)
        self._judge(said)
        if self.outcome.done():
            await _for_ever()
        return _ok({"status": 200, "type": "text/event-stream", "text": said.as_stream()})

    def _judge(self, said: Said) -> None:
        """Whether this turn is the last one; its calls of tools are paid for when it is not."""
        account, schema = self.calling.account, self.ask.schema
        account.cut_short = said.stop == "max_tokens"
        account.words = said.text or account.words
        if said.stop == "refusal":
            raise vendor.ContentFilterError(str(self.calling.name))
        calls = list(said.calls.values())
        given = [call.args for call in calls if call.name == ANSWER]
        if schema is None:
            if not calls:
                self._finish(None, said.text)
        elif account.cut_short and (given or not calls):  # half of what was meant is no answer with a mistake
            raise AnswerInvalid("The answer was longer than an answer may be.", code="answer_cut_short")
        elif given or not calls:
            self._check(given[0] if given else said.text, schema, is_call=bool(given))
        if not self.outcome.done():
            account.use_tools([call.name.removeprefix(PREFIX) for call in calls if call.name != ANSWER])

    def _check(self, text: str, schema: Json, *, is_call: bool) -> None:
        """Take the answer, or keep what is wrong with it."""
        is_strict = is_call and isinstance(strictly(text), dict)
        value = mended(text, schema)
        if value is None:
            self.mistakes = ["There is no answer in it."]
        else:
            fitting, problems = fitted(value, schema)
            if not problems and self.ask.check is not None:
                problems = list(self.ask.check(fitting))
            if not problems:
                self.calling.account.repaired |= not is_strict
                self._finish(fitting, "")
                return
            self.mistakes = problems
        self.told += 1
        if self.told > self.ask.retries:
            raise AnswerInvalid(
                f"{self.calling.name} gave no answer of the wanted shape.", **self.calling.account.so_far
            )

    def _finish(self, value: Json | None, text: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result((value, text))

    def _end(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)

    async def _ends(self, error: BaseException) -> NoReturn:
        """The question is over: nothing that waits for an answer inside gets one."""
        self._end(error)
        await _for_ever()


def _ok(result: Any) -> Json:
    return {"ok": True, "result": result}


async def _for_ever() -> NoReturn:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody sets it")
