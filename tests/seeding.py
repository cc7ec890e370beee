"""One of everything, made over HTTP, for those who walk through all addresses: path parameter → id."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from tests.standin_server import answer_consent

Json = dict[str, Any]

SKILL = "---\nname: hello\ndescription: Says hello.\n---\n\n# Hello\n\n1. Say hello.\n"
SCRIPT = 'from sandbox_kit.skill import run\nrun(lambda request: {"output": {"report": "hello"}})\n'
AGENT: Json = {
    "name": "Hello",
    "skills": [{"name": "hello", "order": 1}],
    "skill_files": {"hello": {"SKILL.md": SKILL, "scripts/main.py": SCRIPT}},
}
REQUIREMENT = {
    "ref": "REQ-SHOP-API-001",
    "title": "Search",
    "condition": "WHEN a word is given",
    "action": "THE SYSTEM SHALL find it",
}
PATIENCE = 30.0
"""Seconds for a command that passes to be run in a sandbox."""


async def seeded(http: httpx.AsyncClient) -> dict[str, str]:
    """One of everything that is there at once; an id that nobody has where it takes longer."""
    agent = await made(http, "agents", AGENT)
    path = f"agents/{agent['id']}"
    report = await made(http, f"{path}/test", {"mode": "dry"}, {"Prefer": "wait=60"})
    approved = {"test_id": report["test_id"], "manifest_hash": report["manifest_hash"]}
    await made(http, f"{path}/activate", approved)
    run = await made(http, f"{path}/run", {"input_data": {}})
    session = await made(http, "conversation/start", {})
    key = await made(http, "keys", {"name": "k", "permissions": ["agent:view"]})
    project = await made(http, "projects", {"name": "Shop"})
    ticket = await made(http, "tickets", {"project_id": project["id"], "title": "Search"})
    wanted = {"ticket_id": ticket["id"], "report_type": "test", "summary": "Found", "markdown": "# Found"}
    words = await made(http, "results", wanted)
    task = await made(http, "tasks", {"ticket_id": ticket["id"], "title": "Write it"})
    spec = await made(http, "specs", {"project_id": project["id"], "title": "Search"})
    path = f"specs/{spec['id']}/requirements"
    requirement = await made(http, path, REQUIREMENT)
    criterion = await made(http, f"{path}/{requirement['id']}/criteria", {"text": "Found"})
    return {
        "project_id": project["id"],
        "ticket_id": ticket["id"],
        "result_id": words["id"],
        "receipt_id": "rcp_unknown",
        "task_id": task["id"],
        "depends_on_id": task["id"],
        "spec_id": spec["id"],
        "requirement_id": requirement["id"],
        "criterion_id": criterion["id"],
        "phase_id": "PHASE_TESTING",
        "status": "testing",
        "agent_id": agent["id"],
        "test_id": report["test_id"],
        "execution_id": run["execution_id"],
        "run_id": run["execution_id"],
        "key": "hello",
        "session_id": session["session_id"],
        "key_id": key["id"],
        "item_id": "inbox_unknown",
        "connection_id": "connection_unknown",
        "sandbox_id": "sbx_unknown",
        "approval_id": "apr_unknown",
        "decision_id": "gate_unknown",
        "from_status": "testing",
        "resource_id": "resource_unknown",
        "sha256": "0" * 64,
        "name": "hello",
        "breaker": "integration:notion",
        "integration": "notion",
        "version": "1",
        "other": "1",
        "user_id": "local",
        "owner": "acme",
        "repo": "shop",
        "path": "README.md",
    }


async def judged(http: httpx.AsyncClient) -> dict[str, str]:
    """After `seeded`: what takes a moment to be there — a receipt, a decision, a question, a result told."""
    given = {"autonomous": False, "settings": {"commands": {"test": {"command": "true"}}}}
    project = await made(http, "projects", {"name": "Proved"} | given)
    wanted = {"project_id": project["id"], "title": "Proved", "phase_id": "PHASE_IMPLEMENTATION"}
    ticket = await made(http, "tickets", wanted)
    path = f"tickets/{ticket['id']}"
    rule = {"key": "work", "kind": "rule", "rule": "tasks_completed"}
    params = {"phases": ["PHASE_DEPLOYMENT"], "minimum": 0}
    gate = {"project_id": project["id"], "checks": [rule | {"params": params}]}
    answer = await http.put("/api/v1/phases/gates/building-done", json=gate)
    assert answer.is_success, answer.text
    for status, more in (("building-done", {"force": True, "reason": "staged"}), ("testing", {})):
        await made(http, f"{path}/transition", {"to_status": status} | more)
    for task in (await http.get(f"/api/v1/{path}")).json()["tasks"]:  # commands wait for open ones
        await made(http, f"tasks/{task['id']}/cancel", {"reason": "staged"})
    await made(http, f"{path}/validate-gate", {})
    receipt = await first(http, "results/receipts", "receipts", ticket_id=ticket["id"])
    decision = await first(http, "phases/decisions", "decisions", ticket_id=ticket["id"])
    watched = {"name": "Watched", "settings": {"ticket_human_review": "all"}}
    project = await made(http, "projects", watched)
    await made(http, "tickets", {"project_id": project["id"], "title": "Ask first"})
    asked = await first(http, "approvals", "approvals", project_id=project["id"])
    told = await first(http, "inbox", "items")
    ids = {"receipt_id": receipt["id"], "decision_id": decision["id"]}
    return ids | {"approval_id": asked["id"], "item_id": told["id"]}


async def worker(http: httpx.AsyncClient) -> dict[str, str]:
    """Somebody from outside who works on a task: the ids, and a `token`."""
    project = await made(http, "projects", {"name": f"Outside {time.time_ns()}", "autonomous": False})
    wanted = {"project_id": project["id"], "title": "Outside", "phase_id": "PHASE_IMPLEMENTATION"}
    ticket = await made(http, "tickets", wanted)
    task = await made(http, "tasks", {"ticket_id": ticket["id"], "title": "Work outside"})
    sandbox = await made(http, "sandboxes", {"task_id": task["id"], "worker": "external"})
    for _ in range(100):  # a busy machine takes its time: then the worker is there before its sandbox
        if (await http.get(f"/api/v1/sandboxes/{sandbox['id']}")).json()["state"] != "pending":
            break
        await asyncio.sleep(0.05)
    return {"task_id": task["id"], "sandbox_id": sandbox["id"], "token": sandbox["token"]}


async def connected(http: httpx.AsyncClient, integration: str) -> dict[str, str]:
    """A connection with a local server in place of that service, and something that can be picked there."""
    asked = await made(http, "oauth/init", {"integration": integration})
    answer = await answer_consent(asked["auth_url"])
    given = {"integration": integration, "code": answer["code"], "state": answer["state"]}
    connection_id = (await made(http, "oauth/callback", given))["credential_id"]
    resource = await first(http, f"connections/{connection_id}/resources", "resources")
    return {"connection_id": connection_id, "resource_id": resource["id"], "integration": integration}


async def made(http: httpx.AsyncClient, path: str, body: Json, headers: dict[str, str] | None = None) -> Json:
    answer = await http.post(f"/api/v1/{path}", json=body, headers=headers)
    assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:500]}"
    return answer.json()


async def first(http: httpx.AsyncClient, path: str, plural: str, **wanted: str) -> Json:
    """The first of a list, as soon as there is one."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await http.get(f"/api/v1/{path}", params=wanted)
            if found := answer.raise_for_status().json()[plural]:
                return found[0]
            await asyncio.sleep(0.05)
