"""The work of an instruction-only skill: a model follows its text, with tools, and gives a typed result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.agents.inbox import Inbox
from omniforge.core.errors import Fatal, OmniForgeError
from omniforge.core.redaction import redact
from omniforge.db import Database
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import EventLog
from omniforge.engine.recovery.history import Context
from omniforge.engine.state import Signal, StepResult, Waiting
from omniforge.llm.prompts import load_prompt
from omniforge.llm.protocol import ModelClient, ModelNotConfigured
from omniforge.runs.service import ANSWERED, Mode
from omniforge.runtime import effects
from omniforge.runtime.bridge import use_state
from omniforge.runtime.context import Budgets, Material, Piece, prepare
from omniforge.runtime.frame import Frame, given_input, keep_artifact, told_id, waiting_for
from omniforge.runtime.guards import Source, signs_of, spotlight
from omniforge.runtime.injection import RAN
from omniforge.runtime.loop import ITERATIONS, Loop, Result, Task
from omniforge.runtime.nesting import LOADED, Nesting
from omniforge.runtime.offers import Active, Desk, Offers
from omniforge.runtime.procedures import SETTINGS, Procedures
from omniforge.runtime.recordings import NotSimulated, Recordings, replay
from omniforge.runtime.telling import Telling
from omniforge.runtime.tools.own import OwnTools
from omniforge.runtime.tools.policy import DEFAULT_GRANT
from omniforge.runtime.tools.protocol import Json
from omniforge.runtime.tools.workspace import load_bytes, place_of
from omniforge.sandboxes import SandboxProvider
from omniforge.skills.document import SKILL_FILE
from omniforge.skills.service import SkillService

REPLAYED = "model.replayed"
FOLLOWED = (ANSWERED, LOADED, RAN, *effects.TYPES)
"""Events of earlier attempts, and of other steps of the run, that an attempt goes on from."""
TASK_NAMES = ("task", "request", "question")
"""Inputs that say what is to be done, when one of them is there."""


@dataclass(slots=True)
class InstructionRun:
    """One attempt of one step."""

    frame: Frame
    models: ModelClient | None
    skills: SkillService
    sandbox: SandboxProvider
    artifacts: ArtifactStore
    events: EventLog
    db: Database
    inbox: Inbox | None

    async def run(self) -> StepResult | Waiting:
        call = self.frame.call
        given = given_input(call)
        kept = Recordings.of(self.db, call.run.tenant_id, self.frame.hash, [given, self.frame.config])
        if call.run.mode == Mode.DRY.value and not call.run.facts.get("use_model"):
            return await self._replayed(kept)
        models = self._configured()
        telling = Telling(call.emit)
        desk = Desk(self.frame.bridge, telling)
        loop = Loop(call, models, telling)
        try:
            result = await self._worked(loop, desk, given)
        except OmniForgeError as error:
            waiting = waiting_for(error)
            if waiting is None:
                raise
            return waiting
        if self.frame.is_test and desk.is_recordable and call.run.mode != Mode.DRY.value:
            now = self.frame.bridge.scope.logical_time
            await kept.keep(desk.transcript, _answer_of(result), result.model, now)
        return await self._step_result(result, loop)

    @property
    def _model(self) -> str | None:
        """The step's own model, else the skill's, else the agent's; None is the installation's default."""
        named = self.frame.document.fields.get("model")
        of_skill = named if isinstance(named, str) and named != "inherit" else None
        return self.frame.config.get("model") or of_skill or self.frame.args.get("model")

    def _configured(self) -> ModelClient:
        """The client, or a refusal that names the skill before anything of it has run."""
        tenant_id, model = self.frame.call.run.tenant_id, self._model
        if self.models is None or not self.models.is_configured(tenant_id, model):
            which = f"the language model {model}" if model else "a language model"
            raise Fatal(
                f"The skill {self.frame.skill} gives instructions to {which}, and none is set up here.",
                code=ModelNotConfigured.code,
                skill=self.frame.skill,
                model=model,
            )
        return self.models

    async def _replayed(self, kept: Recordings) -> StepResult:
        """What a model did in an earlier test of the same files and input, on sample data."""
        found = await kept.find()
        if found is None:
            raise NotSimulated.of(self.frame.skill)
        transcript, at = found
        told = {
            "model": transcript.get("model"),
            "recorded_at": at.isoformat(),
            "calls": len(transcript["calls"]),
        }
        await self.frame.call.emit(REPLAYED, told)
        answer = await replay(self.frame.bridge, transcript)
        label = f"(As a language model did it in a test on {at:%d %B %Y}; none was asked now.)"
        return StepResult(
            output=answer["output"],
            message=f"{answer['message']} {label}",
            signal=Signal(answer["signal"]),
            effects=self.frame.bridge.gate.done,
        )

    async def _worked(self, loop: Loop, desk: Desk, given: Json) -> Result:
        frame, call = self.frame, self.frame.call
        past = await self._past()
        desk.own = {tool.name: tool for tool in self._own(past).tools()}
        procedures = self._procedures(past)
        body = await procedures.prepare(
            frame.document, frame.hash, frame.folder, "/skill", given, frame.config
        )
        iterations = _number(
            frame.config.get("max_iterations") or frame.args.get("max_iterations"), ITERATIONS
        )
        nesting = Nesting(
            frame=frame,
            loop=loop,
            desk=desk,
            skills=self.skills,
            procedures=procedures,
            sandbox=self.sandbox,
            iterations=iterations,
            model=self._model,
            grant=(*DEFAULT_GRANT, *frame.args.get("tool_grant", ())),
            pinned=past.loaded,
        )
        offers = Offers(desk, [Active(frame.skill, frame.bridge.policy)])
        offers.more = await nesting.tools_for(offers, 0)
        level = call.hints.get("context")
        budgets = Budgets.of(Context(level) if level in list(Context) else Context.FULL)
        material = self._material(given, past)
        prepared = prepare(material, desk.handles, budgets)
        await call.emit("context.loaded", prepared.told())
        await self._flag(material)
        schema = frame.config.get("output_schema")
        task = Task(
            instructions=load_prompt("omniforge.runtime", "instructions").filled(procedure=body),
            prompt=prepared.prompt,
            offers=offers,
            iterations=iterations,
            model=self._model,
            output=cast("Json", schema) if isinstance(schema, dict) else None,
        )
        return await loop.run(task)

    def _own(self, past: Past) -> OwnTools:
        call, inbox = self.frame.call, self.inbox
        agent_id = call.run.facts.get("agent_id")

        async def deliver(key: str, title: str, text: str) -> None:
            assert inbox is not None  # noqa: S101 - for the type checker
            place = f"{call.step.key}/{key}"
            await inbox.leave_note(
                call.run.tenant_id, str(agent_id), run_id=call.run.id, key=place, title=title, text=text
            )

        async def remember(request: Mapping[str, Any]) -> Any:
            return await use_state(self.frame.bridge.memory, request)

        delivers = deliver if inbox is not None and agent_id else None
        return OwnTools(remember, delivers, past.answers, rehearsed=self.frame.is_test)

    def _procedures(self, past: Past) -> Procedures:
        frame, run = self.frame, self.frame.call.run
        user: Json = run.facts.get("user") or {}
        values = {
            "SESSION_ID": told_id(frame.call),
            "WORKSPACE": "/workspace",
            "USER": str(user.get("name") or user.get("id") or ""),
            "DATE": frame.now().date().isoformat(),
        }
        allowed = bool(frame.args.get("allow_injection"))
        return Procedures(
            frame.call, self.skills, self.sandbox, self.artifacts, values, allowed, past.commands
        )

    def _material(self, given: Json, past: Past) -> Material:
        """Everything the step may be told; for a skill in a context of its own, only its explicit inputs."""
        frame, call = self.frame, self.frame.call
        safe: Json = redact(given)
        task = next((str(safe[name]) for name in TASK_NAMES if isinstance(safe.get(name), str)), "")
        settings = {name: value for name, value in frame.config.items() if name not in SETTINGS}
        source = Source.USER if call.inputs or not call.step.needs else Source.STEP
        pieces = [Piece("settings", settings, Source.SYSTEM)] if settings else []
        acceptance = frame.config.get("acceptance")
        pieces += [Piece("what makes it done", acceptance, Source.SYSTEM)] if acceptance else []
        pieces += [Piece(f"input {name}", value, source) for name, value in safe.items()]
        if frame.document.fields.get("context") != "fork" and call.inputs:
            outputs = {
                key: view["output"] for key, view in call.outputs.items() if view.get("output") is not None
            }
            pieces += [
                Piece(f"output of {key}", redact(value), Source.STEP) for key, value in outputs.items()
            ]
        now = frame.now()
        user: Json = call.run.facts.get("user") or {}
        return Material(
            task=task or frame.document.description,
            pieces=pieces,
            earlier=past.told(),
            files=[path for path in sorted(frame.files) if path != SKILL_FILE],
            environment={
                "date and time": f"{now:%A, %d %B %Y, %H:%M} ({call.run.facts.get('timezone') or 'UTC'})",
                "working folder": "/workspace",
                "for": str(user.get("name") or ""),
                "connected services": ", ".join(sorted(frame.bridge.scope.connections)),
            },
        )

    async def _flag(self, material: Material) -> None:
        """Signs of an attack in what a step is given: for the log."""
        for piece in material.pieces:
            signs = signs_of(json.dumps(piece.value, ensure_ascii=False, default=str))
            if signs and piece.source is not Source.SYSTEM:
                told = {"source": piece.source.value, "name": piece.name[:100], "signs": list(signs)}
                await self.frame.call.emit("guard.flagged", told)

    async def _past(self) -> Past:
        rows = await self.events.read(
            self.frame.call.run.tenant_id, run_id=self.frame.call.run.id, types=FOLLOWED, limit=100_000
        )
        past = Past()
        for row in rows:
            past.read(row.type, json.loads(row.payload), self.frame.call.step.key)
        return past

    async def _step_result(self, result: Result, loop: Loop) -> StepResult:
        kept: list[Json] = []
        for artifact in result.artifacts[:50]:
            path = str(artifact.get("path", ""))
            data = load_bytes(place_of(self.frame.bridge.scope, path), path)
            title = str(artifact.get("title") or path.rsplit("/", 1)[-1])[:200]
            kept.append(await keep_artifact(self.artifacts, self.frame.call.run.tenant_id, path, title, data))
        note = " (A scripted model answered, not a real one.)" if loop.spent.simulated else ""
        return StepResult(
            output=result.output,
            message=f"{result.message}{note}",
            signal=result.signal,
            artifacts=tuple(kept),
            effects=self.frame.bridge.gate.done,
            usage=loop.spent.as_usage(),
        )


@dataclass(slots=True)
class Past:
    """What happened before this attempt: answers of people, effects, skills and commands of the run."""

    answers: dict[str, str] = field(default_factory=dict[str, str])
    loaded: dict[str, str] = field(default_factory=dict[str, str])
    commands: dict[str, str] = field(default_factory=dict[str, str])
    done: list[str] = field(default_factory=list[str])

    def read(self, type_: str, payload: Json, step: str) -> None:
        if type_ == LOADED:
            self.loaded.setdefault(str(payload["skill"]), str(payload["hash"]))
        elif type_ == RAN:
            self.commands[str(payload["key"])] = str(payload["output"])
        elif payload.get("step") == step:
            if type_ == ANSWERED:
                self.answers[str(payload["question"])] = str(payload["answer"])
            elif type_ == effects.RECORDED:
                result: Json = payload.get("result") or {}
                shown = json.dumps(redact(result.get("value")), ensure_ascii=False, default=str)[:1_000]
                self.done.append(f"{payload['summary']}: {shown}")

    def told(self) -> list[str]:
        """For the model: what it must not do or ask again."""
        said: list[str] = []
        if self.done:
            text = "\n".join(f"- {line}" for line in self.done)
            marked = spotlight(text, Source.TOOL, "done before", limit=8_000)
            said.append(
                f"An earlier attempt at this was interrupted. Done already, not to be done again:\n{marked}"
            )
        if self.answers:
            text = "\n".join(f"- {question} → {answer}" for question, answer in self.answers.items())
            said.append(f"Asked and answered before:\n{spotlight(text, Source.USER, 'answers', limit=8_000)}")
        return said


def _answer_of(result: Result) -> Json:
    return {"output": result.output, "message": result.message, "signal": result.signal.value}


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
