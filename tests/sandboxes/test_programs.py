"""Programs that come from outside: bound where they are when that is possible, and always readable."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniforge.core.errors import Invalid
from omniforge.llm.claude.guest import Ended, Guest, Json
from omniforge.sandboxes import SandboxRequest
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.providers.local import LocalSandbox


@pytest.fixture
def program() -> Iterator[Path]:
    """A folder with a program in it, which every user may enter, as pytest's own may not be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "hello").write_text("#!/bin/sh\necho hello\n")
        (Path(folder) / "hello").chmod(0o755)
        yield Path(folder)


async def test_a_program_everybody_can_read_is_not_copied(program: Path) -> None:
    request = SandboxRequest(argv=["stat", "-c", "%i", "/tool/hello"], programs={"/tool": program})
    result = await LocalSandbox().run(request)
    assert int(result.stdout) == (program / "hello").stat().st_ino


async def test_a_program_in_a_closed_folder_runs_as_well(program: Path) -> None:
    program.chmod(0o700)
    result = await LocalSandbox().run(SandboxRequest(argv=["/tool/hello"], programs={"/tool": program}))
    assert result.stdout == b"hello\n"


async def test_nothing_can_be_written_there(program: Path) -> None:
    request = SandboxRequest(argv=["sh", "-c", "echo x > /tool/hello"], programs={"/tool": program})
    result = await LocalSandbox().run(request)
    assert result.exit_code != 0
    assert "echo hello" in (program / "hello").read_text()


async def test_a_program_goes_to_a_folder_of_its_own(program: Path) -> None:
    with pytest.raises(Invalid, match="/usr"):
        await LocalSandbox().run(SandboxRequest(argv=["true"], programs={"/usr": program}))


async def test_a_guest_talks_over_the_bridge_and_has_no_other_way_out(program: Path) -> None:
    heard: list[str] = []
    waiting = ["one\n", None]

    async def bridge(request: Json) -> Json:
        if request["op"] == "output":
            heard.append(request["text"])
        return {"ok": True, "result": {"text": waiting.pop(0)} if request["op"] == "input" else {}}

    script = "read line; echo got $line; cat note; wc -l < /proc/net/route; exit 3"
    guest = Guest(["sh", "-c", script], "/tmp/model.sock", {"/tool": program}, {"note": b"noted\n"})
    ended = await SandboxEnclosure(LocalSandbox()).run(guest, bridge)
    assert "".join(heard) == "got one\nnoted\n1\n"
    assert ended == Ended(3, None, "")
