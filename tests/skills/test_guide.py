"""The guide's own example is a valid skill, and does what the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omniforge.core.errors import Fatal
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import parse_result, render_request
from omniforge.skills.document import Profile, load, validate

GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/skills.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("profile", [Profile.OMNIFORGE, Profile.CLAUDE_CODE])
def test_the_documents_front_matter_and_body_are_valid(profile: Profile) -> None:
    found = validate(load(block("markdown").encode(), folder="hello"), profile, folder="hello")
    assert [item.message for item in found if item.severity == "error"] == []


async def test_the_script_greets_and_refuses_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/main.py").write_text(block("python"))

    async def greet(given: dict[str, str]) -> dict[str, str]:
        stdin = render_request(
            run_id="r",
            step="s",
            skill_name="hello",
            skill_version=None,
            input=given,
            config={},
            context={},
            tools=[],
        )
        argv = ["python3", "/skill/scripts/main.py"]
        done = await open_provider("local").run(
            SandboxRequest(argv=argv, stdin=stdin, folders={"/skill": tmp_path})
        )
        return parse_result(done.stdout, done.exit_code, done.stderr).output

    assert await greet({"name": "Maya"}) == {"report": "Hello, Maya!"}
    with pytest.raises(Fatal, match="Say whom to greet"):
        await greet({})
