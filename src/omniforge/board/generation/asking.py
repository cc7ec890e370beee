"""What a phase asks the model: its instructions, what is known, and a look into the repository."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from omniforge.board.generation.outputs import QUESTIONS, said_in
from omniforge.board.generation.phases import Phase
from omniforge.board.repository import Repositories
from omniforge.board.vocabulary import SpecPhase
from omniforge.llm.prompts import load_prompt, spotlight
from omniforge.llm.protocol import Answer, Ask, AskLimits, ModelClient, ToolOffer, ToolRefused

Json = dict[str, Any]
PACKAGE = "omniforge.board"
MOST_TOKENS = 600_000
"""Of one attempt, question and answers."""
MOST_PATHS = 400
MOST_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Code:
    """The repository of a project at its main branch; `commit` None: it is empty."""

    repositories: Repositories
    project_id: str
    commit: str | None
    paths: frozenset[str] = frozenset()

    @classmethod
    async def open(cls, repositories: Repositories, project_id: str) -> Code:
        commit = await repositories.default_head(project_id)
        paths = await repositories.files(project_id, commit) if commit else []
        return cls(repositories, project_id, commit, frozenset(paths))

    def tools(self) -> list[ToolOffer]:
        """A look at what is there; nothing is changed."""
        if self.commit is None:
            return []
        pattern = _text_field("pattern", "such as src/*.py; * means every file")
        path = _text_field("path", "a file of the repository")
        return [
            ToolOffer("list_files", "Paths of the repository that fit a pattern.", pattern, self._list),
            ToolOffer("read_file", "The text of one file of the repository.", path, self._read),
        ]

    async def _list(self, given: Json) -> str:
        found = sorted(path for path in self.paths if fnmatchcase(path, str(given["pattern"])))
        return spotlight(_listed(found), "paths")

    async def _read(self, given: Json) -> str:
        assert self.commit is not None  # noqa: S101 - it is offered only then
        content = await self.repositories.file(self.project_id, self.commit, str(given["path"]))
        if content is None:
            raise ToolRefused(f"There is no file {given['path']}.")
        return spotlight(content.decode("utf-8", "replace")[:MOST_CHARACTERS], str(given["path"]))


def _text_field(name: str, description: str) -> Json:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": description}},
        "required": [name],
    }


def _listed(paths: Sequence[str]) -> str:
    more = f"\n… and {len(paths) - MOST_PATHS} more" if len(paths) > MOST_PATHS else ""
    return ("\n".join(paths[:MOST_PATHS]) or "none") + more


@dataclass(frozen=True, slots=True)
class Material:
    """What an attempt has to go by. `last` and `reasons`: the attempt before, and why it did not pass;
    `has_tests`: the command that runs the project's tests."""

    title: str
    description: str
    code: Code
    earlier: Mapping[SpecPhase, Json] = field(default_factory=dict[SpecPhase, Json])
    asked: Sequence[Json] = ()
    last: Json | None = None
    reasons: Sequence[str] = ()
    tests: str | None = None
    gone: frozenset[str] = frozenset()
    own: Sequence[Json] = ()
    """What people put into the spec."""


class Asking:
    """Raises what `ModelClient.ask` raises."""

    def __init__(self, models: ModelClient) -> None:
        self.models = models

    async def output(self, tenant_id: str, model: str | None, phase: Phase, material: Material) -> Answer:
        return await self._ask(tenant_id, model, phase, phase.prompt, phase.schema, material)

    async def questions(self, tenant_id: str, model: str | None, phase: Phase, material: Material) -> Answer:
        """What people are asked before anything else."""
        return await self._ask(tenant_id, model, phase, "spec_questions", QUESTIONS, material)

    async def _ask(  # noqa: PLR0917 - who, what and from what
        self,
        tenant_id: str,
        model: str | None,
        phase: Phase,
        prompt: str,
        schema: Json,
        material: Material,
    ) -> Answer:
        task = load_prompt(PACKAGE, prompt).text
        limits = AskLimits(
            iterations=phase.turns, tool_calls=2 * phase.turns, tokens=MOST_TOKENS, seconds=phase.seconds
        )
        ask = Ask(
            instructions=load_prompt(PACKAGE, "spec_rules").filled(task=task),
            prompt=written(material),
            tenant_id=tenant_id,
            model=model,
            schema=schema,
            tools=material.code.tools() if phase.reads else (),
            limits=limits,
        )
        return await self.models.ask(ask)


def written(material: Material) -> str:
    """Everything an attempt has to go by, as marked data."""
    wish = f"{material.title}\n\n{material.description}".strip()
    parts = [f"# The wish\n\n{spotlight(wish, 'person')}"]
    if material.asked:
        parts.append(f"# What people were asked\n\n{spotlight(_json(list(material.asked)), 'answers')}")
    for phase, output in material.earlier.items():
        parts.append(f"# Passed: {phase}\n\n{spotlight(_json(said_in(output)), phase.value)}")
    files = _listed(sorted(material.code.paths))
    parts.append(f"# Files of the repository\n\n{spotlight(files, 'repository')}")
    if material.tests:
        parts.append(f"# The command that runs the tests\n\n{spotlight(material.tests, 'project')}")
    if material.own:
        parts.append(
            f"# What the spec holds already, and keeps\n\n{spotlight(_json(list(material.own)), 'spec')}"
        )
    if material.gone:
        parts.append("# Refs that are used up\n\n" + ", ".join(sorted(material.gone)))
    if material.last:
        parts.append(f"# Your answer before\n\n{spotlight(_json(said_in(material.last)), 'answer')}")
    if material.reasons:
        told = spotlight("\n".join(f"- {reason}" for reason in material.reasons), "reasons")
        parts.append(f"# Why it did not pass\n\n{told}")
    return "\n\n".join(parts)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
