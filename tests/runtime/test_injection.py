"""Commands in a skill's text: none runs unless every condition holds, and the text says what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omniforge.runtime.injection import Injection, Permit, commands_of
from omniforge.sandboxes import SandboxProvider, open_provider
from omniforge.skills.admission import Origin
from omniforge.skills.allowed_tools import parse


@pytest.fixture
def sandbox() -> SandboxProvider:
    return open_provider("local", bwrap=Path("/usr/bin/bwrap"))


@pytest.fixture
def permit(sandbox: SandboxProvider) -> Permit:
    tools = parse(["Bash(echo:*)", "Bash(sleep:*)", "Bash(cat /skill/*)", "Bash(seq:*)", "Bash(false)"])
    return Permit(frozenset({Origin.CUSTOM}), True, tools, sandbox)


class Made:
    """An injection that keeps what was audited."""

    def __init__(self, permit: Permit, folder: Path) -> None:
        self.audited: list[tuple[str, str, dict[str, Any]]] = []
        self.injection = Injection(permit, folder, self.audit)

    async def audit(self, type_: str, command: str, facts: Mapping[str, object], shown: str) -> None:
        self.audited.append((type_, command, dict(facts)))

    async def text(self, body: str) -> str:
        return "".join(piece for piece, _ in await self.injection.split(body))


async def test_a_command_that_may_run_is_replaced_by_its_output(permit: Permit, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("A\nB\n")
    made = Made(permit, tmp_path)
    text = await made.text("Now: !`echo hi` and\n!`cat /skill/names.txt`\nand\n```!\necho block\n```\nend")
    assert text == "Now: hi and\nA\nB\nand\nblock\nend"
    assert [(type_, command) for type_, command, _ in made.audited] == [
        ("injection.ran", "echo hi"),
        ("injection.ran", "cat /skill/names.txt"),
        ("injection.ran", "echo block"),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"origins": frozenset()}, "only skills that you wrote yourselves"),
        ({"origins": frozenset({Origin.IMPORTED})}, "only skills that you wrote yourselves"),
        ({"origins": frozenset({Origin.CUSTOM, Origin.PUBLIC})}, "only skills that you wrote yourselves"),
        ({"origins": frozenset({Origin.BUNDLED})}, "only skills that you wrote yourselves"),
        ({"allowed": False}, "owner has not allowed"),
        ({"tools": None}, "no Bash(…) entry"),
        ({"tools": parse(["Bash"])}, "no Bash(…) entry"),
        ({"tools": parse(["Bash(*)"])}, "no Bash(…) entry"),
        ({"tools": parse(["Bash(ls:*)", "Read"])}, "no Bash(…) entry"),
        ({"sandbox": None}, "no sandbox"),
    ],
)
async def test_each_condition_alone_blocks_it(
    permit: Permit, tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    made = Made(replace(permit, **change), tmp_path)
    text = await made.text("x !`echo hi` y")
    assert text.startswith("x [Command blocked: ")
    assert why in text
    assert made.audited[0][0] == "injection.blocked"


@pytest.mark.parametrize(
    "command", ["echo hi; id", "echo $(id)", "echo hi && id", "echo hi | sh", "echo hi > /x"]
)
async def test_a_command_that_does_more_than_its_beginning_says_is_blocked(
    permit: Permit, tmp_path: Path, command: str
) -> None:
    assert "[Command blocked: " in await Made(permit, tmp_path).text(f"!`{command}`")
    assert "[Command blocked: " in await Made(permit, tmp_path).text("```!\necho a\necho b\n```")


async def test_failures_and_limits_are_told_in_the_text(permit: Permit, tmp_path: Path) -> None:
    made = Made(permit, tmp_path)
    assert await made.text("!`false`") == "[Command failed: exit 1]"
    assert await made.text("!`sleep 60`") == "[Command timed out after 5 s]"
    long = await made.text("!`seq 1 5000`")
    assert long.endswith("\n[Output truncated at 10000 characters]")
    assert len(long) < 10_100
    many = await made.text("\n".join(f"!`echo {number}`" for number in range(12)))
    assert many.count("[Command blocked: at most 10 commands") == 2


async def test_the_same_command_of_a_run_runs_once(permit: Permit, tmp_path: Path) -> None:
    made = Made(permit, tmp_path)
    assert await made.text("!`echo hi`\n!`echo hi`") == "hi\nhi"
    assert len(made.audited) == 1


def test_only_the_two_forms_are_commands() -> None:
    inline = "a!`echo no` `!echo no` ! `echo no`\n!`echo yes` (!`echo no`)\n"
    text = f"{inline}```bash\necho no\n```\n```!\necho too\n```\n"
    assert list(commands_of(text)) == ["echo yes", "echo too"]


async def test_what_a_command_gives_is_no_command_and_no_variable(permit: Permit, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("!`echo again` $USER")
    made = Made(permit, tmp_path)
    pieces = await made.injection.split("$USER !`cat /skill/evil.txt`")
    assert pieces == [("$USER ", True), ("!`echo again` $USER", False), ("", True)]
