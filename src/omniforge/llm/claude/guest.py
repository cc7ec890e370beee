"""The SDK's program as a guest: where it is, how it is started, and what it needs of a place to run in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from omniforge.llm.protocol import Ask, Json

Bridge = Callable[[Json], Awaitable[Json]]

INSTALL = "pip install 'omniforge[claude]'"
SERVER = "own"
"""Name of the server of our tools; the model sees each as `mcp__own__<name>`."""
PREFIX = f"mcp__{SERVER}__"
ANSWER = "StructuredOutput"
"""The program's tool for an answer of a given shape: the only one of its own that is on."""
ANY_SHAPE = '{"type": "object", "properties": {}}'
"""What the program knows of the answer's shape. The model is told all of it, and we judge the answer."""
LARGEST_RESULT = 1_000_000
"""Characters of a tool's result; beyond it the program would put it into a file, which nothing can read."""
SOCKET = "/tmp/model.sock"  # noqa: S108 - of the sandbox
_INSIDE = "/claude"
_INSTRUCTIONS = "instructions.md"
_DAY_MS = "86400000"
_OFF = (
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS",
    "CLAUDE_CODE_DISABLE_BUNDLED_SKILLS",
    "CLAUDE_CODE_DISABLE_FILE_CHECKPOINTING",
    "CLAUDE_CODE_SUBPROCESS_ENV_SCRUB",
    "DISABLE_AUTOUPDATER",
    "DISABLE_COMPACT",
    "DISABLE_ERROR_REPORTING",
    "DISABLE_TELEMETRY",
)
ENVIRONMENT: Mapping[str, str] = {
    **dict.fromkeys(_OFF, "1"),
    "ANTHROPIC_UNIX_SOCKET": SOCKET,
    "ANTHROPIC_BASE_URL": "http://model",
    "ANTHROPIC_API_KEY": "none",  # the real one stays outside
    "API_TIMEOUT_MS": _DAY_MS,
    "CLAUDE_CODE_ENTRYPOINT": "sdk-py",
    "CLAUDE_CODE_MAX_RETRIES": "0",  # tries are made outside
    "CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS": "0",
    "CLAUDE_CONFIG_DIR": "/workspace/.claude",
    "ENABLE_TOOL_SEARCH": "false",
    "MAX_MCP_OUTPUT_TOKENS": str(LARGEST_RESULT),
    "MCP_TOOL_TIMEOUT": _DAY_MS,
}
FLAGS = (
    *("--output-format", "stream-json", "--input-format", "stream-json", "--verbose"),
    *("--tools", "", "--strict-mcp-config", "--setting-sources=", "--disable-slash-commands"),
    *("--permission-mode", "default", "--permission-prompt-tool", "stdio"),
    *("--no-session-persistence", "--system-prompt-file", f"/workspace/{_INSTRUCTIONS}"),
    *("--mcp-config", json.dumps({"mcpServers": {SERVER: {"type": "sdk", "name": SERVER}}})),
)
"""No tools, settings, skills or memory of its own, and nothing allowed without being asked about."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A program that talks in lines and asks a model, in a place without network.

    `socket`: where it looks for its model. `programs`: path inside → folder, read-only. `files`: what is in
    its working folder, which is its own.
    """

    argv: Sequence[str]
    socket: str
    programs: Mapping[str, Path]
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    memory_bytes: int = 1024**3


@dataclass(frozen=True, slots=True)
class Ended:
    """How a guest ended by itself. `killed_by`: the limit it passed; `said`: the end of its complaints."""

    exit_code: int
    killed_by: str | None = None
    said: str = ""


class Enclosure(Protocol):
    """Where guests run: with the files of a Guest, a scrubbed environment, and the bridge as only way out.

    The bridge answers the operations of `sandbox_kit.talking`. Cancelling ends the guest and all it has
    started before CancelledError comes out; so does the end of our own process.
    """

    async def run(self, guest: Guest, bridge: Bridge) -> Ended: ...


def bundled() -> Path | None:
    """The folder of the SDK's program; None where the extra is not installed or has none for this system."""
    spec = find_spec("claude_agent_sdk")
    folder = Path(spec.origin).parent / "_bundled" if spec is not None and spec.origin else None
    return folder if folder is not None and (folder / "claude").is_file() else None


def guest_for(ask: Ask, model: str, folder: Path, memory_mb: int) -> Guest:
    """The program of the SDK for one question. Nothing in its arguments or its environment is a secret."""
    shape = [] if ask.schema is None else ["--json-schema", ANY_SHAPE]
    return Guest(
        argv=[
            "env",
            *(f"{name}={value}" for name, value in ENVIRONMENT.items()),
            f"{_INSIDE}/claude",
            *FLAGS,
            f"--model={model}",
            *shape,
        ],
        socket=SOCKET,
        programs={_INSIDE: folder},
        files={_INSTRUCTIONS: ask.instructions.encode()},
        memory_bytes=memory_mb * 1024**2,
    )
