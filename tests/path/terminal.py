"""A person at the terminal: `omniforge chat` as a process, fed line by line."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import PIPE, STDOUT, Process
from types import TracebackType

from living_server import COMMAND, Server
from omniforge.cli.demo import allow
from omniforge.cli.keyboard import PROMPT

LONGEST = 120
"""Seconds that an answer may take: everything that can go wrong is tried in some."""
_SUGGESTED = re.compile(r"^ {2}(\d) {2}(.+)$", re.MULTILINE)
_ADDRESS = re.compile(r"Open this to connect:\s+(\S+)")


class Terminal:
    """`async with Terminal(server) as maya`: what `say` and `pick` return is what was printed until the next
    prompt, with every run of white space as one blank."""

    def __init__(self, server: Server, *args: str, **settings: str) -> None:
        self.server, self.args = server, args
        self.environment = server.environment | {"COLUMNS": "200"} | settings
        self.printed = ""
        self.session = ""
        self._process: Process | None = None

    async def __aenter__(self) -> Terminal:
        folder = self.server.home.parent
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND, "chat", *self.args,
            env=self.environment, cwd=folder, stdin=PIPE, stdout=PIPE, stderr=STDOUT,
        )  # fmt: skip
        await self._prompted()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running
        if kind is not None:
            process.kill()
            await process.wait()
            return
        out, _ = await process.communicate(b"exit\n")
        assert process.returncode == 0, out.decode()
        self.session = out.decode().split("--resume ")[1].split()[0]

    @property
    def _running(self) -> Process:
        assert self._process is not None
        return self._process

    @property
    def text(self) -> str:
        return " ".join(self.printed.split())

    @property
    def address(self) -> str:
        """Where to sign in."""
        return _ADDRESS.findall(self.printed)[-1]

    @property
    def suggested(self) -> dict[str, str]:
        """The number of each suggested answer."""
        return {words.strip(): number for number, words in _SUGGESTED.findall(self.printed)}

    async def say(self, *lines: str) -> str:
        for line in lines:
            assert self._running.stdin is not None
            self._running.stdin.write(f"{line}\n".encode())
            await self._prompted()
        return self.text

    async def pick(self, *words: str) -> str:
        """Type the number of each suggested answer in turn; its first words are enough."""
        for start in words:
            found = [number for words, number in self.suggested.items() if words.startswith(start)]
            assert found, f"{start!r} is not suggested: {self.printed}"
            await self.say(found[0])
        return self.text

    async def sign_in(self) -> str:
        """Press Allow at the address that was shown; the terminal tells, and Enter goes on."""
        assert "Connected to" in await allow(self.address)
        await self._prompted()
        assert "Press Enter to go on." in self.text
        return await self.say("")

    async def _prompted(self) -> None:
        assert self._running.stdout is not None
        printed = b""
        async with asyncio.timeout(LONGEST):
            while not printed.endswith(PROMPT.encode()):
                piece = await self._running.stdout.read(65536)
                assert piece, f"the terminal ended: {printed.decode()}"
                printed += piece
        self.printed = printed.decode().removesuffix(PROMPT)
