"""The briefing about a row: as an agent over sample data, and as a script in the real sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omniforge.agents.schemas import TestReport
from omniforge.bootstrap import Installation
from omniforge.core.actor import Actor
from omniforge.core.config import Settings, shipped
from omniforge.core.errors import Fatal
from omniforge.integrations.catalog.notion.tools import TOOLS
from omniforge.sandboxes import SandboxRequest, open_provider
from omniforge.sandboxes.skill_protocol import SkillResult, entry_argv, parse_result, render_request

Json = dict[str, Any]
FOLDER = shipped("skills") / "notion-watch-rows"
ROW = "0a" * 16
EVENT = {
    "id": ROW,
    "type": "row.created",
    "at": "2026-11-20T17:05:00.000Z",
    "resource": "0b" * 16,
    "item": {},
}
HOSTILE = "x](javascript:alert(1)) <script> **bold**\n# Heading"


# --- as an agent -----------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with Installation.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


async def tried(house: Installation, actor: Actor, config: Json, **input_data: Any) -> TestReport:
    skills = [{"name": "notion-watch-rows", "config": config, "order": 1}]
    given = {"name": "Briefing", "skills": skills, "integrations": ["notion"]}
    agent = await house.agents.create(actor, given)
    test_id = await house.agents.start_test(actor, agent.id, input_data=input_data)
    return await house.agents.await_test(actor, test_id, 60)


async def test_an_agent_tried_out_writes_about_the_latest_row(house: Installation, actor: Actor) -> None:
    report = await tried(house, actor, {"database": "client projects", "related_by": "Client"})
    assert report.verdict == "passed", report.problems
    lines = report.text.splitlines()
    assert lines[0].startswith("# [Patient portal redesign](https://www.notion.so/")
    assert lines[2].startswith("Latest row, ")
    assert "- **Status:** On Track" in lines
    assert "## Text" in lines
    assert "## Also about Aurora Health" in lines
    assert [one["title"] for one in report.output["related"]] == ["Consent records"]


async def test_an_agent_tried_out_takes_the_row_of_an_event(house: Installation, actor: Actor) -> None:
    latest = await tried(house, actor, {"database": "Internal Initiatives"})
    event = {**EVENT, "id": latest.output["id"], "type": "row.updated"}
    report = await tried(house, actor, {"fields": ["Status"], "text": False}, event=event)
    assert report.verdict == "passed", report.problems
    assert report.output["fields"] == {"Status": "On Track"}
    assert "Changed row, 20 November 2026" in report.text


# --- as a script -----------------------------------------------------------------------------------------


@dataclass
class Host:
    """Answers the script the way the house does; arguments are checked like there."""

    row: Json | None
    others: list[Json] = field(default_factory=list[Json])
    asked: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])

    async def answer(self, request: Json) -> Json:
        name, args = request["tool"], request["args"]
        next(tool for tool in TOOLS if tool.name == name).check(args)
        self.asked.append((name, args))
        match name:
            case "notion.read_page" if self.row is None:
                return {"ok": False, "error": {"code": "resource_not_found", "message": "gone"}}
            case "notion.read_page":
                return {"ok": True, "result": self.row}
            case "notion.list_databases":
                known = [{"id": "0b" * 16, "name": "Meetings"}, {"id": "0c" * 16, "name": "Twice"}]
                twins = [*known, {"id": "0d" * 16, "name": "twice"}]
                word = (args.get("search") or "").lower()
                return {"ok": True, "result": {"databases": [d for d in twins if word in d["name"].lower()]}}
            case _:
                kept = self.others[: args["limit"]]
                return {"ok": True, "result": {"rows": kept, "truncated": len(kept) < len(self.others)}}


def row(title: str = "Board meeting", **more: Any) -> Json:
    plain: Json = {
        "id": ROW,
        "title": title,
        "url": f"https://www.notion.so/{ROW}",
        "created_at": "2026-11-20T17:05:00.000Z",
        "edited_at": "2026-11-20T17:05:00.000Z",
        "fields": {"Name": title, "Who": ["Ana", "Derek"], "Client": "Aurora", "Done": False, "Empty": None},
        "text": "Agree the budget.",
        "truncated": False,
    }
    return {**plain, **more}


async def run_script(host: Host, given: Json | None = None, **config: Any) -> SkillResult:
    request = SandboxRequest(
        argv=entry_argv("main.py"),
        stdin=render_request(
            run_id="run",
            step="step",
            skill_name=FOLDER.name,
            skill_version=None,
            input={"event": EVENT} if given is None else given,
            config=config,
            context={"now": "2026-11-21T10:00:00+01:00", "timezone": "Europe/Berlin"},
            tools=[],
        ),
        folders={"/skill": FOLDER},
    )
    done = await open_provider("local").run(request, host.answer)
    return parse_result(done.stdout, done.exit_code, done.stderr)


async def test_a_briefing_says_what_happened_when_and_what_the_row_holds() -> None:
    result = await run_script(Host(row()))
    assert result.output["report"].splitlines() == [
        f"# [Board meeting](https://www.notion.so/{ROW})",
        "",
        "New row, 20 November 2026, 18:05.",
        "",
        "- **Who:** Ana, Derek",
        "- **Client:** Aurora",
        "- **Done:** no",
        "",
        "## Text",
        "",
        "Agree the budget.",
    ]
    assert (result.output["event"], result.output["id"]) == ("row.created", ROW)
    assert [artifact.path for artifact in result.artifacts] == ["briefing.md"]


async def test_related_rows_are_others_with_the_same_value_and_more_is_said() -> None:
    others = [row(), *(row(f"Other {n}", id=f"{n:032x}") for n in range(12))]
    host = Host(row(), others)
    result = await run_script(host, related_by="Client")
    name, args = host.asked[-1]
    assert (name, args["database_id"]) == ("notion.query_database", EVENT["resource"])
    assert args["filters"] == [{"field": "Client", "op": "equals", "value": "Aurora"}]
    assert [one["title"] for one in result.output["related"]] == [f"Other {n}" for n in range(10)]
    assert "There is more than is shown here." in result.output["report"]


async def test_a_row_that_is_gone_is_nothing_to_do() -> None:
    result = await run_script(Host(None))
    assert result.status == "empty"
    assert "gone" in (result.message or "")


@pytest.mark.parametrize(
    ("given", "config", "said"),
    [
        ({}, {}, "start this with an event"),
        ({"event": {"type": "row.created"}}, {}, "has to name a row"),
        ({"event": "x"}, {}, "has to name a row"),
        ({}, {"database": "Nothing"}, "There is no database called 'Nothing'"),
        ({}, {"database": "Twice"}, "2 databases are called 'Twice'"),
        (None, {"fields": ["Budget"]}, "no field 'Budget'. It has: Name, Who"),
        (None, {"related_by": "Budget"}, "no field 'Budget'"),
    ],
)
async def test_what_cannot_be_done_is_said_with_what_there_is(
    given: Json | None, config: Json, said: str
) -> None:
    with pytest.raises(Fatal) as refusal:
        await run_script(Host(row()), given, **config)
    assert refusal.value.code == "refused"
    assert said in refusal.value.message


async def test_text_from_notion_stays_text() -> None:
    strange = row(HOSTILE, url="javascript:alert(1)", text="")
    result = await run_script(Host(strange), fields=["Name"])
    head, *_ = result.output["report"].splitlines()
    assert head == r"# x\](javascript:alert(1)) \<script\> \*\*bold\*\* \# Heading"
