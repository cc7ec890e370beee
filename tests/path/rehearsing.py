"""An installation in this process with agents that read and write, for dry runs; no server, no network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from omniforge.agents.content import Suite, TestMode
from omniforge.agents.schemas import Agent, TestReport
from omniforge.bootstrap import Installation
from omniforge.core.actor import Actor, Role
from omniforge.core.config import Settings
from omniforge.tenants.roles import permissions_of

PROJECTS = "b77123b9-b06f-580e-b0ff-e636214178ed"
LOG = "29732676-c7ad-596b-8079-0d9ade4dc6cc"

MAYA = Actor("default", "local", Role.OWNER, "user:local", permissions_of(Role.OWNER))

READER = """
from sandbox_kit.skill import call, run

def main(request):
    rows = call("notion.query_database", database_id=request.config["database_id"])["rows"]
    late = [row["id"] for row in rows if (row["fields"] or {}).get("Status") == "At Risk"]
    return {"output": {"rows": [row["id"] for row in rows], "late": late, "count": len(rows)},
            "message": f"Looked at 1 database: {len(rows)} entries.", "status": "ok" if rows else "empty"}

run(main)
"""
WRITER = """
from sandbox_kit.skill import call, run

def main(request):
    made = call("notion.create_page", database_id=request.config["log_id"],
                fields={"Project": f"{request.input.get('count', 0)} entries"}, text="Looked today.")
    return {"output": {"page": made["id"]}, "message": "Wrote one line into the log."}

run(main)
"""
MARKER = """
from sandbox_kit.skill import call, run

def main(request):
    rows = call("notion.query_database", database_id=request.config["database_id"])["rows"]
    for row in rows:
        call("notion.update_page", page_id=row["id"], fields={"Status": "At Risk"})
    return {"output": {"marked": len(rows)}, "message": f"Marked {len(rows)} entries."}

run(main)
"""


def skill(name: str, script: str) -> dict[str, bytes]:
    front = f"---\nname: {name}\ndescription: {name}, in a test of dry runs.\n---\n# {name}\n"
    return {"SKILL.md": front.encode(), "scripts/main.py": script.encode()}


CONFIG = {"database_id": PROJECTS, "log_id": LOG}

LOGBOOK: dict[str, Any] = {
    "name": "Logbook",
    "integrations": ["notion"],
    "skills": [
        {"name": "read-projects", "order": 1, "config": CONFIG},
        {
            "name": "write-log",
            "order": 2,
            "config": CONFIG,
            "when": "steps['read-projects'].output.count > 0",
        },
    ],
}
"""Reads a database and writes a line into another one, if there was anything to read."""
MARKING: dict[str, Any] = {
    "name": "Marking",
    "integrations": ["notion"],
    "skills": [{"name": "mark-all", "order": 1, "config": CONFIG}],
}
"""Changes every row that it finds: where it writes follows from what it read."""
SURFER: dict[str, Any] = {
    "name": "Surfer",
    "integrations": [],
    "skills": [{"name": "surf", "order": 1}],
    "settings": {"tool_grant": ["Http"]},
}
"""Wants to read from the network."""
SURF = """
from sandbox_kit.skill import call, run

def main(request):
    page = call("Http", url="http://weather.example.com/today")
    return {"output": {"page": page}, "message": "Read a page."}

run(main)
"""
SKILLS: dict[str, dict[str, bytes]] = {
    "read-projects": skill("read-projects", READER),
    "write-log": skill("write-log", WRITER),
    "mark-all": skill("mark-all", MARKER),
    "surf": skill("surf", SURF),
}


@asynccontextmanager
async def installation(home: Path, **settings: Any) -> AsyncIterator[Installation]:
    async with Installation.open(Settings(home=home, **settings)) as house:
        yield house


async def make(
    house: Installation, given: Mapping[str, Any] = LOGBOOK, scripts: Mapping[str, str] | None = None
) -> Agent:
    """An agent with its own skills; `scripts` replaces those of some."""
    names = [str(reference["name"]) for reference in given["skills"]]
    files = {name: SKILLS[name] for name in names if name in SKILLS}
    files |= {name: skill(name, text) for name, text in (scripts or {}).items()}
    return await house.agents.create(MAYA, given, files)


async def dry_run(house: Installation, agent_id: str, suite: Suite = Suite.QUICK, **how: Any) -> TestReport:
    test_id = await house.agents.start_test(MAYA, agent_id, TestMode.DRY, suite=suite, **how)
    return await house.agents.await_test(MAYA, test_id, 60)


def without_id(report: TestReport) -> str:
    """What two reports of one content have in common: everything but id and time."""
    return json.dumps(report.model_dump(mode="json", exclude={"test_id", "created_at"}))
