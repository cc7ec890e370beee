"""The `Skill` and `Agent` tools: other skills taken up in the middle of one, and sub-agents beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Invalid
from omniforge.integrations.manifest import Access
from omniforge.llm.prompts import load_prompt
from omniforge.runtime.bridge import STOPPING, WAITED_FOR
from omniforge.runtime.context import Budgets, Material, Piece, prepare
from omniforge.runtime.frame import Frame, request_for, script_of, write_files
from omniforge.runtime.gate import EffectAsked
from omniforge.runtime.guards import Source
from omniforge.runtime.loop import Loop, Task
from omniforge.runtime.offers import Active, Desk, Offers, only_looks, only_reads
from omniforge.runtime.procedures import Procedures
from omniforge.runtime.scripts import read_result, start_script
from omniforge.runtime.tools.policy import ToolPolicy
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool, Tool
from omniforge.sandboxes import SandboxProvider
from omniforge.skills.disclosure import MAX_LISTING, listing
from omniforge.skills.document import SKILL_FILE, load
from omniforge.skills.resolver import Skill
from omniforge.skills.service import SkillService

MAX_DEPTH = 5
"""Skills that call skills, one inside the other."""
MAX_FORKS = 2
"""Sub-agents of sub-agents."""
LOADED = "skill.loaded"
FORKED, FORK_ENDED = "agent.forked", "agent.joined"
MAX_FOUND = 20


class AgentKind(StrEnum):
    """What a sub-agent may do: everything its skill may, only look, or anything but change things outside."""

    GENERAL = "general-purpose"
    EXPLORE = "explore"
    PLAN = "plan"


_WORDS = {
    AgentKind.GENERAL: "",
    AgentKind.EXPLORE: "Only look: you can read, and change nothing.",
    AgentKind.PLAN: "Only plan: you can read and take notes in files, and change nothing outside.",
}
_USABLE: dict[AgentKind, Callable[[Tool], bool]] = {
    AgentKind.GENERAL: lambda _: True,
    AgentKind.EXPLORE: only_looks,
    AgentKind.PLAN: only_reads,
}


class SkillArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=64)
    """Of the skill to take up."""
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    search: str | None = Field(default=None, max_length=200)
    """Words to find skills by, instead of taking one up."""
    leave: bool = False
    """Go back to the skill that this one was taken up from."""


class AgentArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: str = Field(min_length=1, max_length=20_000)
    inputs: dict[str, Any] = Field(default_factory=dict[str, Any])
    kind: Literal["general-purpose", "explore", "plan"] = "general-purpose"


@dataclass(slots=True)
class Nesting:
    """Skills and sub-agents below one step. pinned: name → hash of what this run has loaded already."""

    frame: Frame
    loop: Loop
    desk: Desk
    skills: SkillService
    procedures: Procedures
    sandbox: SandboxProvider
    iterations: int
    model: str | None
    grant: tuple[str, ...]
    pinned: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def _actor(self) -> Actor:
        """To look skills up with: only the tenant counts there."""
        run = self.frame.call.run
        return Actor(
            run.tenant_id, self.frame.bridge.scope.user_id, Role.VIEWER, "system:engine", frozenset()
        )

    @property
    def _agent_id(self) -> str | None:
        return self.frame.call.run.facts.get("agent_id")

    async def tools_for(self, offers: Offers, depth: int) -> dict[str, Tool]:
        """The two tools for one ask; depth: of the sub-agent that asks, 0 for the step itself."""
        known = await self.skills.resolvable(self._actor, self._agent_id)
        shown = listing([skill for skill in known if skill.name != self.frame.skill])

        async def use_skill(args: SkillArguments, _scope: CallScope) -> Json:
            return await self._skill(args, offers, depth, known)

        async def use_agent(args: AgentArguments, _scope: CallScope) -> Json:
            procedure = args.task
            return await self._forked(AgentKind(args.kind), procedure, args.inputs, offers.active, depth)

        head = "Take up another skill: its procedure comes back, to be followed until you leave it."
        return {
            "Skill": LocalTool(
                name="Skill",
                description=f"{head} There are:\n{shown or '(none)'}"[: MAX_LISTING + 200],
                arguments=SkillArguments,
                access=Access.READ,
                run=use_skill,
                subject_field="name",
            ),
            "Agent": LocalTool(
                name="Agent",
                description="Give one part of the work to a sub-agent, with exactly the inputs it needs.",
                arguments=AgentArguments,
                access=Access.READ,
                run=use_agent,
                subject_field="kind",
            ),
        }

    async def _skill(self, args: SkillArguments, offers: Offers, depth: int, known: Any) -> Json:
        if args.leave:
            return self._left(offers)
        if args.search is not None:
            return {"skills": _found(known, args.search)}
        if not args.name:
            raise Invalid("Say the name of a skill, or words to search by.", code="bad_arguments")
        path = [active.skill for active in offers.stack]
        if args.name in path:
            cycle = " → ".join([*path[path.index(args.name) :], args.name])
            raise Invalid(f"A skill cannot take up itself: {cycle}.", code="skill_cycle", path=cycle)
        if len(path) > MAX_DEPTH:
            raise Invalid(f"At most {MAX_DEPTH} skills deep: {' → '.join(path)}.", code="too_deep")
        return await self._taken_up(args.name, args.arguments, offers, depth)

    async def _taken_up(self, name: str, given: Json, offers: Offers, depth: int) -> Json:
        content_hash = await self._pin(name)
        files = await self.skills.snapshot(self.frame.call.run.tenant_id, content_hash)
        document = load(files[SKILL_FILE], folder=name)
        if document.is_hidden_from_model:
            raise Invalid(f"The skill {name} is not for models to take up.", code="skill_hidden")
        place, folder = self._laid_out(name, files)
        policy = ToolPolicy.of(document, self.grant, caller=offers.active.policy)
        active = Active(name, policy)
        script = script_of(files, {})
        if script is not None:
            return await self._scripted(active, script, content_hash, folder, given)
        body = await self.procedures.prepare(document, content_hash, folder, place, given, {})
        if document.fields.get("context") == "fork":
            kind = _kind_of(document.fields.get("agent"))
            return await self._forked(kind, body, given, active, depth)
        offers.stack.append(active)
        allowed = (
            "all that were offered" if document.allowed_tools is None else ", ".join(policy.listed) or "none"
        )
        names = ", ".join(f"{place}/{path}" for path in sorted(files) if path != SKILL_FILE)[:1_000]
        head = f"# Procedure of the skill {name}\n\nIts tools: {allowed}. Its files: {names or 'none'}."
        tail = "Follow it, then call Skill with leave: true to go on with the procedure before."
        return {"procedure": f"{head}\n\n{body}\n\n{tail}", "skill": name, "base_path": place}

    def _left(self, offers: Offers) -> Json:
        if len(offers.stack) == 1:
            raise Invalid(
                "There is no skill to leave: this is the one the work began with.", code="at_the_top"
            )
        left = offers.stack.pop()
        return {"left": left.skill, "back_in": offers.active.skill}

    async def _pin(self, name: str) -> str:
        """The files a name means, the same for the whole run."""
        if name not in self.pinned:
            self.pinned[name] = await self.skills.pin(self._actor, name, self._agent_id)
            await self.frame.call.emit(LOADED, {"skill": name, "hash": self.pinned[name]})
        return self.pinned[name]

    def _laid_out(self, name: str, files: Any) -> tuple[str, Path]:
        place = f"/skill-{name}"
        folder = self.frame.workspace.parent / place.removeprefix("/")
        if not folder.exists():
            write_files(folder, files)
        folders = self.frame.bridge.scope.folders
        if isinstance(folders, dict):
            folders[place] = folder
        return place, folder

    async def _scripted(
        self, active: Active, script: str, content_hash: str, folder: Path, given: Json
    ) -> Json:
        """Run the skill's program, under its own policy and over the same gate of effects."""
        self.desk.is_recordable = False
        bridge = replace(self.frame.bridge, skill=active.skill, policy=active.policy, trouble=None)
        args: Json = {"skill": active.skill, "hash": content_hash, "config": {}}
        call = replace(self.frame.call, inputs=given)
        inner = replace(self.frame, call=call, args=args, bridge=bridge)
        seconds = self.frame.call.step.timeout or 300.0
        done = await start_script(self.sandbox, script, request_for(inner), folder, bridge, seconds)
        if isinstance(bridge.trouble, STOPPING | WAITED_FOR | EffectAsked):
            raise bridge.trouble
        result = read_result(done, bridge)
        return {"skill": active.skill, "output": result.output, "message": result.message}

    async def _forked(self, kind: AgentKind, procedure: str, given: Json, active: Active, depth: int) -> Json:
        """A sub-agent with this text and these inputs, and nothing else; its summary and its output."""
        if depth >= MAX_FORKS:
            raise Invalid(f"Sub-agents are at most {MAX_FORKS} deep; do this part yourself.", code="too_deep")
        iterations = max(1, self.iterations >> (depth + 1))
        told: Json = {"skill": active.skill, "kind": kind.value, "depth": depth + 1, "iterations": iterations}
        await self.frame.call.emit(FORKED, told)
        offers = Offers(self.desk, [active], usable=_USABLE[kind])
        offers.more = await self.tools_for(offers, depth + 1)
        pieces = [Piece(name, value, Source.MODEL) for name, value in given.items()]
        prepared = prepare(Material("Do what you are asked to do.", pieces), self.desk.handles, Budgets())
        instructions = load_prompt("omniforge.runtime", "subagent").filled(
            kind=_WORDS[kind], procedure=procedure
        )
        task = Task(instructions, prepared.prompt, offers, iterations, self.model)
        result = await self.loop.run(task)
        ended = {**told, "missing": len(result.missing), "message": result.message[:1_000]}
        await self.frame.call.emit(FORK_ENDED, ended)
        return result.as_json()


def _found(known: Any, words: str) -> list[Json]:
    wanted = words.lower().split()
    skills: list[Skill] = list(known)

    def fits(skill: Skill) -> bool:
        text = f"{skill.name} {skill.description} {' '.join(skill.document.tags)}".lower()
        return not skill.document.is_hidden_from_model and any(word in text for word in wanted)

    return [{"name": skill.name, "description": skill.description} for skill in skills if fits(skill)][
        :MAX_FOUND
    ]


def _kind_of(value: Any) -> AgentKind:
    plain = value.strip().lower() if isinstance(value, str) else ""
    return AgentKind(plain) if plain in list(AgentKind) else AgentKind.GENERAL
