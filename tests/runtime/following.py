"""Skills that a model follows, on a real engine: a model that really calls what it is scripted to call."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from any_engine import make_engine
from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.engine.plan import NO_BUDGET, Plan, Step
from omniforge.integrations.manifest import Access, Lookup
from omniforge.llm.protocol import (
    Answer,
    AnswerInvalid,
    Ask,
    AskEvent,
    AskEventKind,
    BudgetExceeded,
    Usage,
)
from omniforge.runs.service import Mode, RunService, StartRequest
from omniforge.runs.shown import RunView, run_json
from omniforge.runtime.steps.skill import SkillStep
from omniforge.runtime.tools import workspace
from omniforge.runtime.tools.documents import DOCUMENT
from omniforge.runtime.tools.protocol import CallScope, Target, Tool
from omniforge.runtime.tools.shell import Shell
from omniforge.sandboxes import open_provider
from omniforge.skills.service import SkillService

Json = dict[str, Any]
DONE: Json = {"output": {"done": True}, "message": "Did it."}


@dataclass
class Turn:
    """One ask as the scripted model sees it. Every call of a tool is a turn of the model."""

    ask: Ask
    calls: int = 0

    @property
    def names(self) -> list[str]:
        return [offer.name for offer in self.ask.tools]

    def description(self, name: str) -> str:
        return next(offer.description for offer in self.ask.tools if offer.name == name)

    async def call(self, name: str, /, **args: Any) -> str:
        self.calls += 1
        if self.calls >= self.ask.limits.iterations:
            used = {"requests": self.calls, "tokens_in": 10, "tokens_out": 1}
            raise BudgetExceeded(
                "The limit of turns is used up.", limit="iterations", usage=used, text="so far"
            )
        offer = next(offer for offer in self.ask.tools if offer.name == name)
        return str(await offer.call(args))

    async def say(self, text: str, kind: AskEventKind = AskEventKind.MESSAGE) -> None:
        if self.ask.on_event is not None:
            await self.ask.on_event(AskEvent(kind, text))


Script = Callable[[Turn], Awaitable[Json]]


@dataclass
class ScriptedModel:
    """Plays one script after the other, one for each ask; the last one again and again."""

    scripts: list[Script]
    asks: list[Ask] = field(default_factory=list)
    price: float | None = 0.002
    configured: bool = True
    tokens: tuple[int, int] = (100, 20)
    simulated: bool = False

    def is_configured(self, tenant_id: str = "default", model: str | None = None) -> bool:
        return self.configured

    async def ask(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        turn = Turn(ask)
        value = await script(turn)
        assert ask.schema is not None
        jsonschema.validate(value, ask.schema)
        if ask.check is not None and (wrong := ask.check(value)):
            raise AnswerInvalid("; ".join(wrong))
        usage = Usage(turn.calls + 1, turn.calls, *self.tokens, 5, self.price)
        return Answer(value, "", usage, ask.model or "scripted:one", self.simulated)


async def finish(_turn: Turn) -> Json:
    return DONE


def shown(result: str) -> Any:
    """The JSON-like text inside the marks of a tool's result."""
    found = re.search(r"<data [^>]*>\n(.*)\n</data [0-9a-f]+>", result, re.DOTALL)
    assert found, result
    text = found[1]
    return json.loads(text) if text.startswith("{") else text


@dataclass
class Notes:
    """`notes.read`: a container with rows. `notes.post`: sends; both outward."""

    rows: list[Json] = field(default_factory=list)
    posted: list[Json] = field(default_factory=list)
    held: list[Json] = field(default_factory=list)
    failing: list[Exception] = field(default_factory=list)


@dataclass
class NoteTool:
    notes: Notes
    name: str
    access: Access
    description: str = "About notes."
    outward: bool = True

    @property
    def input_schema(self) -> Json:
        return {"type": "object", "properties": {"where": {"type": "string"}, "text": {"type": "string"}}}

    def check(self, args: Json) -> Json:
        return args

    def subject(self, args: Json) -> str:
        return str(args.get("where", ""))

    def target(self, args: Json, scope: CallScope) -> Target | None:
        if self.access is Access.READ:
            return None
        return Target("notes", None, str(args.get("where")), str(args.get("where")))

    def container(self, args: Json) -> str | None:
        return None

    def lookup(self, args: Json) -> Lookup | None:
        return None

    def summary(self, args: Json) -> str:
        return f"{'reads' if self.access is Access.READ else 'posts to'} {args.get('where')}"

    async def call(self, args: Json, scope: CallScope) -> Json:
        if self.notes.failing:
            raise self.notes.failing.pop(0)
        if self.access is Access.READ:
            return {"rows": self.notes.rows}
        self.notes.posted.append(args)
        return {"id": len(self.notes.posted)}

    async def hold(self, args: Json, scope: CallScope) -> Json:
        self.notes.held.append(args)
        return {"id": 0}


def skill_text(name: str, body: str, **front: Any) -> bytes:
    lines = [f"{key.replace('_', '-')}: {json.dumps(value)}" for key, value in front.items()]
    head = "\n".join([f"name: {name}", f"description: {name}, in a test.", *lines])
    return f"---\n{head}\n---\n# {name}\n\n{body}\n".encode()


@dataclass
class House:
    """An engine with the skill step, skills that were really written, tools, a model."""

    runs: RunService
    engine: Any
    skills: SkillService
    actor: Actor
    model: ScriptedModel
    notes: Notes
    database: Database
    handlers: dict[str, Any]

    async def write(
        self, name: str, body: str, files: Mapping[str, bytes] | None = None, **front: Any
    ) -> str:
        content = {"SKILL.md": skill_text(name, body, **front), **(files or {})}
        return (await self.skills.write(self.actor, name=name, files=content, agent_id=None)).hash

    async def step(self, name: str, content_hash: str, **more: Any) -> Step:
        args = {"skill": name, "hash": content_hash, "config": more.pop("config", {})}
        args |= {"tool_grant": more.pop("grant", ["notes.*"]), "manifest": more.pop("manifest", [POST_TEAM])}
        args |= more.pop("args", {})
        return Step(key=more.pop("key", "follow"), kind="skill", args=args, **more)

    async def start(self, *steps: Step, mode: Mode = Mode.LIVE, **more: Any) -> str:
        plan = Plan(steps, budget=more.pop("budget", NO_BUDGET))
        given = more.pop("input", {})
        request = StartRequest(plan=plan, subject="agent:x", input=given, mode=mode, **more)
        return await self.runs.start_run(self.actor, request)

    async def run(self, *steps: Step, **more: Any) -> Json:
        run_id = await self.start(*steps, **more)
        return await self.ended(run_id)

    async def ended(self, run_id: str) -> Json:
        async with asyncio.timeout(30):
            view: RunView = await self.runs.wait_for(self.actor, run_id)
        return run_json(view)

    async def follow(self, name: str, body: str, *scripts: Script, **more: Any) -> Json:
        """Write a skill, script the model, and run it as the only step."""
        front = more.pop("front", {})
        content_hash = await self.write(name, body, more.pop("files", None), **front)
        if scripts:
            self.model.scripts = list(scripts)
        running = {key: more.pop(key) for key in list(more) if key in RUNNING}
        return await self.run(await self.step(name, content_hash, **more), **running)

    async def told(self, run_id: str, *types: str) -> list[Json]:
        rows = await self.engine.events.read(self.actor.tenant_id, run_id=run_id, types=types, limit=10_000)
        return [{"type": row.type, **json.loads(row.payload)} for row in rows]


RUNNING = ("mode", "input", "budget", "trigger_type", "facts", "logical_time")
POST_TEAM = {"tool": "notes.post", "destination": {"integration": "notes", "resource": "#team"}, "cap": 3}


@asynccontextmanager
async def open_house(database: Database, home: Path, actor: Actor) -> AsyncIterator[House]:
    handlers: dict[str, Any] = {}
    engine = make_engine(database, handlers, home, slots=8)
    sandbox = open_provider("local", bwrap=Path("/usr/bin/bwrap"))
    skills = SkillService(database, home / "skills", bundled=home / "bundled")
    notes, model = Notes(), ScriptedModel([finish])
    tools: list[Tool] = [
        *workspace.TOOLS,
        DOCUMENT,
        *Shell(sandbox).tools(),
        NoteTool(notes, "notes.read", Access.READ),
        NoteTool(notes, "notes.post", Access.SEND),
    ]
    box = {tool.name: tool for tool in tools}
    handlers["skill"] = SkillStep(
        database, skills, sandbox, box, engine.artifacts, engine.events, models=model
    )
    await engine.open()
    yield House(RunService(engine, 1000), engine, skills, actor, model, notes, database, handlers)
    await engine.close()
