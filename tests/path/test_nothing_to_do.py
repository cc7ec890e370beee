"""Tests without anything to do: switched on all the same when every step was seen at work, not otherwise."""

from __future__ import annotations

from typing import Any

from tests.path.rehearsing import CONFIG, LOGBOOK, SKILLS

from living_server import Server
from omniforge.cli.demo import allow

Json = dict[str, Any]

RARELY = "steps['read-projects'].output.count > 1000"
MARK_LATE = """
from sandbox_kit.skill import call, run

def main(request):
    rows = call("notion.query_database", database_id=request.config["database_id"])["rows"]
    for row in rows:
        if (row["fields"] or {}).get("Status") == "Nobody ever says this":
            call("notion.update_page", page_id=row["id"], fields={"Status": "At Risk"})
    return {"output": {}, "message": "Nothing was late.", "status": "empty"}

run(main)
"""


async def connect(server: Server) -> None:
    begun = await server.ask("POST", "/oauth/init", json={"integration": "notion"})
    await allow(begun["auth_url"])


async def refusal(server: Server, path: str, given: Json) -> Json:
    answer = await server.client.post(f"/api/v1{path}/activate", json=given)
    assert answer.status_code == 422, answer.text
    return answer.json()


async def report_of(server: Server, given: Json, scripts: dict[str, str]) -> tuple[str, Json]:
    """The path of a new agent, and the report of its dry run."""
    files = {
        name: {
            "SKILL.md": SKILLS["mark-all"]["SKILL.md"].decode().replace("mark-all", name),
            "scripts/main.py": text,
        }
        for name, text in scripts.items()
    }
    agent = await server.ask("POST", "/agents", json={**given, "skill_files": files})
    path = f"/agents/{agent['id']}"
    report = await server.ask("POST", f"{path}/test", json={"mode": "dry"}, headers={"Prefer": "wait=60"})
    return path, report


async def test_what_was_not_due_in_its_test_is_switched_on_when_somebody_accepts_that(server: Server) -> None:
    await connect(server)
    reads, writes = LOGBOOK["skills"]
    given = {**LOGBOOK, "skills": [reads, {**writes, "when": RARELY}]}
    scripts = {name: SKILLS[name]["scripts/main.py"].decode() for name in ("read-projects", "write-log")}
    path, report = await report_of(server, given, scripts)
    assert (report["verdict"], report["may_activate"], report["untried"]) == ("no_effect", True, [])
    assert [entry["tool"] for entry in report["manifest"]] == ["notion.create_page"]
    approved = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"]}

    refused = await refusal(server, path, approved)
    assert (refused["error"], refused["details"]["may_activate"]) == ("not_tested", True)
    assert "accept_no_effect" in refused["message"]

    active = await server.ask("POST", f"{path}/activate", json={**approved, "accept_no_effect": True})
    assert active["status"] == "active"
    assert [entry["tool"] for entry in active["manifest"]] == ["notion.create_page"]


async def test_a_step_that_nobody_saw_change_anything_keeps_it_off_whatever_is_accepted(
    server: Server,
) -> None:
    await connect(server)
    given = {
        "name": "Marking",
        "integrations": ["notion"],
        "skills": [{"name": "mark-late", "order": 1, "config": CONFIG}],
    }
    path, report = await report_of(server, given, {"mark-late": MARK_LATE})
    assert (report["verdict"], report["may_activate"]) == ("no_effect", False)
    assert [one["step"] for one in report["untried"]] == ["mark-late"]
    approved = {
        "test_id": report["test_id"],
        "manifest_hash": report["manifest_hash"],
        "accept_no_effect": True,
    }
    refused = await refusal(server, path, approved)
    assert refused["error"] == "not_tested"
    assert "may_activate" not in refused["details"]


async def test_a_test_that_passed_says_that_it_will_do(server: Server) -> None:
    scripts = {name: SKILLS[name]["scripts/main.py"].decode() for name in ("read-projects", "write-log")}
    _, report = await report_of(server, LOGBOOK, scripts)
    assert (report["verdict"], report["may_activate"], report["untried"]) == ("passed", True, [])
