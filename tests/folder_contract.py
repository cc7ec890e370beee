"""What a folder of the catalogue tells its suite (`fixtures/contract.yaml`), and what plain words are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import yaml

from omniforge.integrations import Integration, IntegrationTool

Json = dict[str, Any]
Ask = Callable[[str, Json], Awaitable[Json]]
"""Calls a tool by name, on whatever side the suite is on."""

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
JARGON = re.compile(
    r"\b[1-5]\d\d\b|\w(Error|Exception)\b|\bHTTP|JSON|\bAPI\b|\bOAuth|\btoken|\bNone\b|\bnull\b|traceback|"
    r"timeout|status code|[{}<>\\]|https?:|\w_\w|\bendpoint|\bpayload|\brequest\b(?= id)|webhook",
    re.IGNORECASE,
)


def looks_plain(words: str) -> bool:
    """Whole sentences for a person: no status codes, names of exceptions, or words of developers."""
    return bool(words) and words.rstrip()[-1] in ".?!" and JARGON.search(words) is None


@dataclass(frozen=True, slots=True)
class Contract:
    """`fixtures/contract.yaml`; `answers` are what `find` found."""

    find: Json = field(default_factory=dict[str, Any])
    tools: Json = field(default_factory=dict[str, Any])
    local: list[str] = field(default_factory=list[str])
    repeatable: list[str] = field(default_factory=list[str])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    shaped: dict[str, str] | None = None
    paged: Json | None = None
    write: str | None = None
    lost: Json | None = None
    event: Json | None = None
    answers: Json = field(default_factory=dict[str, Any])

    async def looked_up(self, ask: Ask) -> Contract:
        """The same with everything of `find` found through `ask`."""
        known = self
        for name, wanted in self.find.items():
            answer = await ask(wanted["tool"], known.filled(wanted.get("args", {})))
            known = replace(known, answers={**known.answers, name: answer})
        return known

    def arguments(self, tool: IntegrationTool) -> Json:
        """Working arguments of a tool; every required one has to be in the file."""
        args = dict(self.filled(self.tools.get(tool.name, {})))
        missing = set(tool.input_schema.get("required", [])) - set(args)
        assert not missing, f"fixtures/contract.yaml lacks {sorted(missing)} of {tool.name}"
        return args

    def filled(self, value: Any) -> Any:
        """With every `${name.path}` replaced by what was found there."""
        match value:
            case str():
                whole = REFERENCE.fullmatch(value)
                if whole:
                    return self._at(whole[1])
                return REFERENCE.sub(lambda found: str(self._at(found[1])), value)
            case dict():
                return {name: self.filled(part) for name, part in cast("Json", value).items()}
            case list():
                return [self.filled(part) for part in cast("list[Any]", value)]
            case _:
                return value

    def _at(self, path: str) -> Any:
        here: Any = self.answers
        for part in path.split("."):
            here = here[int(part)] if isinstance(here, list) else here[part]
        return here


def contract_of(integration: Integration) -> Contract:
    path = integration.folder / "fixtures" / "contract.yaml"
    if not path.exists():
        return Contract()
    return Contract(**yaml.safe_load(path.read_text(encoding="utf-8")))
