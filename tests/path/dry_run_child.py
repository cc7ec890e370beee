"""A process of its own that dry-runs agents and tells every address that any socket of it was pointed at.

argv: home, suite. stdout: one JSON line `{"reports": {name: report without id and time}, "sockets": […],
"seen": bool}`; `seen` is whether a connection made on purpose afterwards was noticed as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from pathlib import Path
from typing import Any

from tests.path.rehearsing import LOGBOOK, MARKING, MAYA, SURFER, dry_run, installation, make, without_id

from omniforge.agents.content import Suite
from omniforge.core.errors import NotFound

WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def watch() -> list[str]:
    told: list[str] = []

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in WATCHED:
            told.append(f"{event} {args[1:] if event.startswith('socket.s') else args[-1]!r}")
        if event == "socket.connect":
            told[-1] = f"{event} {args[1]!r}"

    sys.addaudithook(hook)
    return told


async def main(home: Path, suite: Suite, told: list[str]) -> dict[str, Any]:
    reports: dict[str, Any] = {}
    async with installation(home) as house:
        for given in (LOGBOOK, MARKING, SURFER):
            name = str(given["name"]).lower()
            try:
                agent = await house.agents.get(MAYA, name)
            except NotFound:
                agent = await make(house, given)
            reports[name] = json.loads(without_id(await dry_run(house, agent.id, suite)))
    return {"reports": reports, "sockets": list(told)}


if __name__ == "__main__":
    seen_by_hook = watch()
    result = asyncio.run(main(Path(sys.argv[1]), Suite(sys.argv[2]), seen_by_hook))
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.settimeout(0.1)
        probe.connect(("127.0.0.1", 9))
    result["seen"] = any("('127.0.0.1', 9)" in line for line in seen_by_hook)
    sys.stdout.write(json.dumps(result) + "\n")
