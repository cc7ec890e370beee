"""What a model is told at the start of a step, in four levels, each within its budget of tokens (pure).

The order is stable: first what is the same in every run of a skill, last what changes with every run, so that
a provider can keep the front of it. Everything large is a digest with a handle, opened on demand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omniforge.engine.recovery.history import Context
from omniforge.llm.prompts import load_prompt
from omniforge.runtime.guards import Source, shorten, spotlight
from omniforge.runtime.handles import Handles

Json = dict[str, Any]

MAX_TASK = 500
"""Characters of the line that says what is to be done; the rest of a long request is data beside it."""
_NONE = "Nothing."
_PER_TOKEN = 4
"""Characters of a token, roughly: budgets are about orders of magnitude."""


class Level(StrEnum):
    """task: what to do. execution: what with. project: files and skills. environment: where and when."""

    TASK = "task"
    EXECUTION = "execution"
    PROJECT = "project"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Budgets:
    """Tokens of each level."""

    task: int = 200
    execution: int = 6_000
    project: int = 1_500
    environment: int = 300

    @classmethod
    def of(cls, level: Context) -> Budgets:
        """Less after an attempt that was too much to read."""
        match level:
            case Context.FULL:
                return cls()
            case Context.MINIMAL:
                return cls(execution=1_500, project=300)
            case Context.ESSENTIAL:
                return cls(execution=600, project=0, environment=100)


@dataclass(frozen=True, slots=True)
class Piece:
    """Something a model is told of: a value with its name and who wrote it."""

    name: str
    value: Any
    source: Source


@dataclass(frozen=True, slots=True)
class Material:
    """Everything a step could be told. The most important pieces stand first.

    task: the request as it was given, of any length. earlier: what attempts before this one did.
    files: of the skill, by path. environment: plain facts by name.
    """

    task: str
    pieces: Sequence[Piece] = ()
    earlier: Sequence[str] = ()
    files: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Loaded:
    """One thing that was put into the context, or left out of it (`tokens` 0)."""

    level: Level
    name: str
    tokens: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """The prompt, and what is in it."""

    prompt: str
    loaded: tuple[Loaded, ...]

    def told(self) -> Json:
        """For the log: tokens by level, and what was loaded, how."""
        by_level = {
            level.value: sum(one.tokens for one in self.loaded if one.level is level) for level in Level
        }
        names = {"whole": list[str](), "digest": list[str](), "left_out": list[str]()}
        for one in self.loaded:
            how = "left_out" if not one.tokens else "whole" if one.whole else "digest"
            names[how].append(f"{one.level.value}:{one.name}"[:120])
        return {"tokens": by_level, **{how: listed[:60] for how, listed in names.items()}}


def tokens_of(text: str) -> int:
    """About how many tokens a text has: for budgets of parts, not for bills."""
    return (len(text) + _PER_TOKEN - 1) // _PER_TOKEN


def prepare(material: Material, handles: Handles, budgets: Budgets = Budgets()) -> Prepared:
    """The prompt of a step. Values that do not fit are kept in `handles`."""
    task, rest = shorten(" ".join(material.task.split()), MAX_TASK)
    pieces = list(material.pieces)
    if rest:
        pieces.insert(0, Piece("rest of the request", rest, Source.USER))
        task += " … (the rest of the request is below, as data)"
    execution, of_execution = _execution(pieces, material.earlier, handles, budgets.execution)
    project, of_project = _project(material.files, budgets.project)
    environment, of_environment = _environment(material.environment, budgets.environment)
    of_task = Loaded(Level.TASK, "task", tokens_of(task), whole=not rest)
    filled = load_prompt("omniforge.runtime", "task").filled(
        task=task, execution=execution, project=project, environment=environment
    )
    return Prepared(filled, (of_task, *of_execution, *of_project, *of_environment))


def _execution(
    pieces: Sequence[Piece], earlier: Sequence[str], handles: Handles, budget: int
) -> tuple[str, list[Loaded]]:
    said: list[str] = []
    loaded: list[Loaded] = []
    left = budget
    for line in earlier:
        left -= tokens_of(line)
        said.append(line)
        loaded.append(Loaded(Level.EXECUTION, "earlier", tokens_of(line), whole=True))
    for number, piece in enumerate(pieces):
        share = max(0, left) // (len(pieces) - number)
        shown, whole = handles.put(piece.name, piece.value, whole=max(share, 60) * _PER_TOKEN)
        text = f"{piece.name}:\n{spotlight(shown, piece.source, piece.name)}"
        left -= tokens_of(text)
        said.append(text)
        loaded.append(Loaded(Level.EXECUTION, piece.name, tokens_of(text), whole))
    return "\n\n".join(said) or _NONE, loaded


def _project(files: Sequence[str], budget: int) -> tuple[str, list[Loaded]]:
    """Names only: what is in a file is read when it is needed."""
    said: list[str] = []
    loaded: list[Loaded] = []
    left = budget
    for path in files:
        cost = tokens_of(path) + 2
        if cost > left:
            loaded.append(Loaded(Level.PROJECT, path, 0, whole=False))
            continue
        left -= cost
        said.append(f"- /skill/{path}")
        loaded.append(Loaded(Level.PROJECT, path, cost, whole=False))
    if not said:
        return _NONE, loaded
    head = "Files of the procedure, to be read when it names them:"
    return "\n".join([head, *said]), loaded


def _environment(facts: Mapping[str, str], budget: int) -> tuple[str, list[Loaded]]:
    lines = [f"- {name}: {' '.join(value.split())[:200]}" for name, value in facts.items() if value]
    text, _ = shorten("\n".join(lines), budget * _PER_TOKEN)
    return text or _NONE, [Loaded(Level.ENVIRONMENT, "environment", tokens_of(text), whole=True)]
