"""The git command, in the one place that runs it: a fixed environment, and nothing that a tree may decide.

Needs git 2.38 or newer.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from omniforge.core.errors import OmniForgeError, Unavailable

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LOCAL_SECONDS = 300.0
REMOTE_SECONDS = 600.0
SHOWN = 2_000
NOTHING = "/dev/null"

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": NOTHING,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_PROTOCOL_FROM_USER": "0",
}
"""Nothing of the host's environment reaches git."""

SETTINGS = {
    "core.hooksPath": NOTHING,
    "core.fsmonitor": "false",
    "core.attributesFile": NOTHING,
    "core.excludesFile": NOTHING,
    "core.autocrlf": "false",
    "core.symlinks": "true",
    "core.fileMode": "true",
    "core.quotePath": "false",
    "core.fsync": "committed,reference",
    "core.fsyncMethod": "batch",
    "credential.helper": "",
    "http.followRedirects": "false",
    "merge.directoryRenames": "false",
    "merge.renormalize": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "gc.autoDetach": "false",
}

NO_ATTRIBUTES = (
    "* !text !crlf !eol !ident !filter !working-tree-encoding !encoding !merge !diff !whitespace"
    " !conflict-marker-size !export-ignore !export-subst !delta\n"
)
"""Stands in a repository's own `info/attributes`, which outweighs every `.gitattributes` of a tree."""


class GitFailed(OmniForgeError):
    """The git command said no; `details`: command, exit_code, said."""

    code = "repository_error"


@dataclass(frozen=True, slots=True)
class Output:
    exit_code: int
    stdout: bytes

    def text(self) -> str:
        """Without the line end; names that are no UTF-8 survive."""
        return self.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def fields(self) -> list[str]:
        """What stands between zero bytes."""
        return self.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@dataclass(frozen=True, slots=True)
class Author:
    name: str = "OmniForge"
    email: str = "omniforge@localhost"

    def environment(self, at: datetime) -> dict[str, str]:
        """Author and committer alike, so that equal content, parents and time are an equal commit."""
        moment = f"{int(at.timestamp())} +0000"
        return {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", self.name), ("EMAIL", self.email), ("DATE", moment))
        }


@dataclass(frozen=True, slots=True)
class Git:
    """The commands over one bare repository."""

    folder: Path

    async def run(
        self,
        *args: str,
        stdin: bytes = b"",
        accept: Sequence[int] = (0,),
        settings: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = LOCAL_SECONDS,
    ) -> Output:
        """Run `git ARGS`; an exit code that is not accepted raises `GitFailed`.

        settings: more configuration, given through the environment, where no list of processes shows it.
        """
        given = {**SETTINGS, **(settings or {})}
        process = await self._start(args, _with_settings(given) | dict(env or {}), cwd)
        try:
            async with asyncio.timeout(timeout):
                stdout, stderr = await process.communicate(stdin)
        except TimeoutError:
            raise GitFailed(f"git {args[0]} took longer than {timeout:g} seconds.", command=args[0]) from None
        finally:
            await _end(process)
        code = process.returncode or 0
        if code not in accept:
            said = stderr.decode("utf-8", "replace")[-SHOWN:].strip()
            raise GitFailed(f"git {args[0]} failed: {said}", command=args[0], exit_code=code, said=said)
        return Output(code, stdout)

    async def _start(
        self, args: Sequence[str], env: Mapping[str, str], cwd: Path | None
    ) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                "git",
                *args,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env={**ENVIRONMENT, "GIT_DIR": str(self.folder), **env},
                cwd=cwd or self.folder.parent,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Unavailable("The program git is not installed on this host.", program="git") from error

    async def text(self, *args: str) -> str:
        return (await self.run(*args)).text()


def _with_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Configuration as git reads it from its environment."""
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for place, (name, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{place}": name, f"GIT_CONFIG_VALUE_{place}": value}
    return env


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing running, also when the caller was cancelled."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def bearer(token: str) -> str:
    """The header by which GitHub takes a token for git."""
    return "Authorization: Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
