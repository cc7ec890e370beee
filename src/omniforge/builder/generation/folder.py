"""What the writer of a part hands over: the files of its skill and what the reference to it has to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SkillFiles:
    """`files`: path in the skill's folder → bytes. `tools`: exactly what the script calls, as `allowed-tools`
    has it. `config` and `inputs` go into the agent's reference to the skill; no `inputs` means that the skill
    gets the merged results of what it needs."""

    files: dict[str, bytes]
    tools: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Mapping[str, Any] | None = None
