"""The skill spec-to-tickets: the same rules without a server, and the API of one with it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from board_stage import Stage, open_stage
from omniforge.db import Database
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import entry_argv, parse_result, render_request
from omniforge.skills.document import ExportForm, Profile, Severity, export, load, validate
from refresh_spec_rules import OURS, THEIRS, copied
from skill_standard import assert_follows_every_rule

SKILL = THEIRS.parent
TEMPLATE = SKILL / "templates" / "spec.md"
FOLDERS = Path(__file__).parent / "folders"
ISOLATED = (sys.executable, "-I", "-S")
"""Without site-packages: the standard library is all there is."""


def files() -> dict[str, bytes]:
    found = (path for path in SKILL.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(SKILL).as_posix(): path.read_bytes() for path in found}


async def script(name: str, *args: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """A script as somebody without OmniForge runs it: exit code, what it said, what it complained of."""
    path = THEIRS / f"{name}.py"
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(THEIRS)!r}); sys.argv = [{str(path)!r}, *sys.argv[1:]]"
    )
    command = [*ISOLATED, "-B", "-c", f"{start}; runpy.run_path({str(path)!r}, run_name='__main__')", *args]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin", **(env or {})},
    )
    return done.returncode, done.stdout, done.stderr


# --- the rules it carries ----------------------------------------------------------------------------------


def test_the_rules_it_carries_are_ours() -> None:
    carried = {path.relative_to(THEIRS) for path in (THEIRS / "omniforge").rglob("*.py")}
    assert carried == set(copied())
    stale = [str(path) for path in copied() if (OURS / path).read_bytes() != (THEIRS / path).read_bytes()]
    assert stale == [], "renew them: python tests/refresh_spec_rules.py"


def test_it_follows_the_rules_of_omniforge_of_the_open_standard_and_of_claude_code() -> None:
    assert_follows_every_rule("spec-to-tickets", files())
    made = export(load(files()["SKILL.md"], folder="spec-to-tickets"), ExportForm.CLAUDE_CODE, files())
    document = load(made.content, folder=made.name)
    found = validate(document, Profile.CLAUDE_CODE, folder=made.name, files=made.files.keys())
    assert [each for each in found if each.severity is Severity.ERROR] == []
    plain = validate(
        load(files()["SKILL.md"]), Profile.CLAUDE_CODE, folder="spec-to-tickets", files=files().keys()
    )
    assert [each for each in plain if each.severity is not Severity.NOTE] == []
    assert {"Bash", "Read", "Write"} <= {rule.tool for rule in document.allowed_tools or ()}


# --- without a server --------------------------------------------------------------------------------------


async def test_the_template_can_be_imported() -> None:
    code, said, _ = await script("validate", str(TEMPLATE))
    assert (code, said) == (0, "1 requirements, 1 tickets, 2 tasks; 0 warnings. This can be imported.\n")


async def test_problems_are_printed_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "spec.md"
    file.write_text(TEMPLATE.read_text().replace("Depends on: TSK-001", "Depends on: TSK-009"))
    line = TEMPLATE.read_text().split("\n").index("### TSK-002: List things") + 1
    code, said, _ = await script("validate", str(file))
    assert code == 1
    assert f"{file}:{line}: error dangling_ref TSK-002 depends_on: there is no task TSK-009\n" in said
    code, said, _ = await script("validate", "--json", str(file))
    assert (code, json.loads(said)["problems"][0]["code"]) == (1, "dangling_ref")


@pytest.mark.parametrize("name", ["kiro", "spec_kit", "task_master", "backlog"])
async def test_folders_of_other_formats_are_checked_as_well(name: str) -> None:
    code, said, _ = await script("validate", str(FOLDERS / name))
    assert code == 0, said


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("validate", (), "FILE"),
        ("validate", ("nowhere.md",), "cannot be read"),
        ("import", ("x.md",), "--project"),
        ("import", ("--project", "p", "--url", "ftp://x", str(TEMPLATE)), "is no address"),
        ("import", ("--project", "p", "--url", "http://127.0.0.1:9", str(TEMPLATE)), "There is no answer"),
        ("status", (), "--spec"),
        ("status", ("--spec", "s", "--url", "http://127.0.0.1:9"), "There is no answer"),
    ],
)
async def test_a_wrong_call_ends_with_two(name: str, args: tuple[str, ...], words: str) -> None:
    code, said, complained = await script(name, *args)
    assert (code, said) == (2, "")
    assert words in complained


# --- with a server -----------------------------------------------------------------------------------------


@dataclass
class Live:
    """A stage behind a real socket."""

    stage: Stage
    url: str


@pytest.fixture
async def live(database: Database, tmp_path: Path) -> AsyncIterator[Live]:
    async with open_stage(database, tmp_path / "home") as stage:
        config = uvicorn.Config(stage.transport.app, port=0, lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Live(stage, f"http://127.0.0.1:{port}")
        server.should_exit = True
        await task


async def bring_in(live: Live, *args: str) -> tuple[int, str, str]:
    return await script("import", *args, env={"OMNIFORGE_URL": live.url})


async def test_a_spec_is_rehearsed_imported_and_looked_at_and_the_second_time_nothing_happens(
    live: Live,
) -> None:
    project_id = await live.stage.project(name="Things")
    rehearsed, said, _ = await bring_in(live, "--project", "Things", "--dry-run", str(TEMPLATE))
    assert rehearsed == 0
    assert "The spec 'Name of the feature' would be made." in said
    listed = await live.stage.call("GET", f"/specs/project/{project_id}")
    assert listed["total"] == 0
    code, said, complained = await bring_in(live, "--project", "Things", str(TEMPLATE))
    assert code == 0, said + complained
    (spec,) = (await live.stage.call("GET", f"/specs/project/{project_id}"))["specs"]
    lines = said.splitlines()
    assert lines[0].split()[:4] == ["REQ-THING-API-001", "requirement", "created", "REQ-THING-API-001"]
    assert lines[-1] == f"spec {spec['id']}: 4 created, 0 updated, 0 unchanged, 0 skipped, 0 pruned"
    code, said, _ = await bring_in(live, "--project", project_id, str(TEMPLATE))
    assert (
        said.splitlines()[-1] == f"spec {spec['id']}: 0 created, 0 updated, 4 unchanged, 0 skipped, 0 pruned"
    )
    code, said, _ = await script("status", "--spec", spec["id"], "--url", live.url)
    assert code == 0
    assert said.splitlines()[0].startswith(f"Name of the feature ({spec['id']}): Implementation, 0.0 %")
    assert "TKT-001          backlog        Things (2 pending)" in said
    code, said, _ = await script("status", "--project", "Things", "--json", "--url", live.url)
    assert [each["id"] for each in json.loads(said)] == [spec["id"]]


async def test_what_the_server_refuses_ends_with_one_and_its_problems(live: Live, tmp_path: Path) -> None:
    await live.stage.project(name="Things")
    file = tmp_path / "spec.md"
    file.write_text(TEMPLATE.read_text().replace("Ticket", "x").replace("TKT-001: Things", "TKT-1: Things"))
    code, said, _ = await bring_in(live, "--project", "Things", str(file))
    assert code == 1
    assert "error bad_ref TKT-1 ref" in said
    assert said.endswith("Nothing was imported.\n")
    code, said, _ = await bring_in(live, "--project", "Nowhere", str(TEMPLATE))
    assert (code, said) == (1, "not_found: There is no project 'Nowhere'.\n")
    code, said, _ = await script("status", "--spec", "x", "--url", live.url)
    assert (code, said) == (1, "not_found: There is no such spec.\n")


# --- as a step of an agent ---------------------------------------------------------------------------------


async def run(given: dict[str, Any]) -> Any:
    request = SandboxRequest(
        argv=entry_argv("main.py"),
        stdin=render_request(
            run_id="run",
            step="step",
            skill_name="spec-to-tickets",
            skill_version=None,
            input=given,
            config={},
            context={"now": "2026-11-21T10:00:00+01:00", "timezone": "Europe/Berlin"},
            tools=[],
        ),
        folders={"/skill": SKILL},
    )

    async def no_tools(*_: Any) -> Any:
        raise AssertionError("it uses none")

    done = await open_provider("local").run(request, no_tools)
    return parse_result(done.stdout, done.exit_code, done.stderr)


async def test_as_a_step_it_checks_a_text_and_gives_it_back_ready_to_be_imported() -> None:
    good = await run({"document": TEMPLATE.read_text()})
    assert (good.status, good.output["valid"]) == ("ok", True)
    assert [task["ref"] for task in good.output["spec"]["tasks"]] == ["TSK-001", "TSK-002"]
    bad = await run({"documents": [{"path": "a.md", "content": "## TSK-001: alone"}]})
    assert (bad.status, bad.output["valid"]) == ("flag", False)
    assert [problem["code"] for problem in bad.output["problems"]] == ["missing_parent"]
