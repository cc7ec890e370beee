"""A foreign tenant, a lower role, no credential: over every operation of the API."""

from __future__ import annotations

from typing import Any

from tests.seeding import REQUIREMENT, SKILL, seeded

from omniforge.core.actor import Role

OPEN = {("GET", "/health"), ("POST", "/api/v1/auth/refresh"), ("POST", "/api/v1/auth/logout")}
"""Operations that need no credential."""

ASKING = ("validate", "/plan", "check-circular", "check-duplicates")
"""Parts of addresses that are asked by POST and change nothing."""

SIGNED = ("/oauth", "/webhooks", "/api/v1/github/webhooks")
"""Addresses that tell whose a request is by what it carries, not by a credential."""

ELSEWHERE = "/api/v1/github/repos/"
"""Below this stands what GitHub has: who may see it there is told by each person's own connection."""

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/sandboxes/{sandbox_id}/messages"): {"content": "hello"},
    ("PUT", "/api/v1/agents/{agent_id}"): {"name": "Mine now"},
    ("PATCH", "/api/v1/agents/{agent_id}"): {"name": "Mine now"},
    ("POST", "/api/v1/agents/{agent_id}/activate"): {"test_id": "x", "manifest_hash": "y"},
    ("POST", "/api/v1/agents/{agent_id}/test"): {"mode": "dry"},
    ("POST", "/api/v1/conversation/{session_id}/message"): {"message": "hello"},
    ("POST", "/api/v1/conversation/{session_id}/oauth-complete"): {
        "integration": "notion",
        "code": "c",
        "state": "s",
    },
    ("PUT", "/api/v1/agents/{agent_id}/cases/{name}"): {"expected": {}},
    ("POST", "/api/v1/agents/{agent_id}/rollback"): {"version": 1},
    ("POST", "/api/v1/agents/{agent_id}/share"): {"with": "tenant"},
    ("PUT", "/api/v1/skills/{name}"): {"scope": "tenant", "content": SKILL},
    ("POST", "/api/v1/library/skills/{name}/rate"): {"rating": 5},
    ("POST", "/api/v1/tickets/{ticket_id}/transition"): {"to_status": "analyzing"},
    ("POST", "/api/v1/tickets/{ticket_id}/regress"): {"feedback": "no"},
    ("POST", "/api/v1/tickets/{ticket_id}/block"): {"blocker_type": "environment"},
    ("PUT", "/api/v1/tickets/{ticket_id}/dependencies"): {"depends_on": []},
    ("POST", "/api/v1/tickets/{ticket_id}/comments"): {"text": "Good"},
    ("POST", "/api/v1/tickets/{ticket_id}/commits"): {"sha": "0123456"},
    ("POST", "/api/v1/tickets/{ticket_id}/update-context"): {"phase_id": "PHASE_TESTING"},
    ("POST", "/api/v1/tickets/{ticket_id}/artifacts"): {
        "phase_id": "PHASE_TESTING",
        "artifact_type": "other",
    },
    ("POST", "/api/v1/tickets/{ticket_id}/waive"): {"check_key": "x", "rationale": "y", "conditions": ["z"]},
    ("POST", "/api/v1/approvals/{approval_id}/decide"): {"decision": "approve"},
    ("PUT", "/api/v1/phases/gates/{from_status}"): {"project_id": "project_unknown", "checks": []},
    ("POST", "/api/v1/results/{result_id}/verify"): {"verification_status": "verified"},
    ("POST", "/api/v1/specs/{spec_id}/requirements"): REQUIREMENT,
    ("POST", "/api/v1/specs/{spec_id}/requirements/{requirement_id}/criteria"): {"text": "Found"},
    ("PUT", "/api/v1/specs/{spec_id}/design"): {"architecture": "One", "data_model": "None", "api_spec": []},
    ("POST", "/api/v1/specs/{spec_id}/tasks"): {"title": "Write it"},
    ("POST", "/api/v1/specs/{spec_id}/import"): {"format": "omniforge.spec/1"},
    ("POST", "/api/v1/tasks/{task_id}/dependencies"): {"depends_on": []},
    ("PUT", "/api/v1/tasks/{task_id}/dependencies"): {"depends_on": []},
    ("POST", "/api/v1/tasks/{task_id}/check-circular"): {"depends_on": []},
    ("POST", "/api/v1/tasks/{task_id}/set-timeout"): {"timeout_seconds": 60},
    ("POST", "/api/v1/tasks/{task_id}/register-conversation"): {"conversation_id": "c"},
    ("PATCH", "/api/v1/board/columns/{status}"): {"project_id": "project_unknown"},
}
OF_WORKERS = {
    ("POST", "/api/v1/sandboxes/{sandbox_id}/events"),
    ("PATCH", "/api/v1/sandbox/task/{task_id}/status"),
    ("POST", "/api/v1/sandbox/task/{task_id}/progress"),
    ("POST", "/api/v1/sandbox/task/{task_id}/results"),
    ("POST", "/api/v1/sandbox/task/{task_id}/review"),
}
"""Operations that are forbidden to every person, whatever stands in the address."""

OWN_SCOPE = {
    "/api/v1/integrations/{name}",
    "/api/v1/skills/{name}",
    "/api/v1/skills/{name}/export",
    "/api/v1/board/column/{phase_id}",
    "/api/v1/phases/{phase_id}",
    "/api/v1/phases/gates/{from_status}",
}
"""Addresses by name: each tenant has its own thing, or none, under it."""


def operations(schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, item in schema["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    ]


async def test_a_foreign_tenant_gets_404_wherever_an_id_is_in_the_address(application: Any) -> None:
    ids = await seeded(application.local)
    stranger = await application.member(Role.OWNER, "other", "stranger")
    schema = (await application.local.get("/openapi.json")).json()
    walked = 0
    for method, path in operations(schema):
        if (method, path) in OF_WORKERS:
            continue
        if "{" not in path or path in OWN_SCOPE or path.startswith((*SIGNED, ELSEWHERE)):
            continue
        address = path.format(**ids)
        answer = await stranger.request(method, address, json=BODIES.get((method, path), {}))
        assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        unknown = path.format(**{name: f"{value[:4]}nothing" for name, value in ids.items()})
        other = await stranger.request(method, unknown, json=BODIES.get((method, path), {}))
        assert other.status_code == 404
        assert other.json()["error"] == answer.json()["error"], f"{method} {path} tells foreign from unknown"
        walked += 1
    assert walked >= 20
    assert (await stranger.get("/api/v1/agents")).json()["agents"] == []
    assert (await stranger.get("/api/v1/executions")).json()["executions"] == []
    assert (await stranger.get("/api/v1/runs")).json()["runs"] == []
    assert (await stranger.get("/api/v1/conversation")).json()["sessions"] == []
    for path in ("/api/v1/skills/hello", "/api/v1/skills/hello/export"):
        assert (await stranger.get(path)).status_code == 404
    kept = (await application.local.get(f"/api/v1/agents/{ids['agent_id']}")).json()
    assert (kept["name"], kept["status"]) == ("Hello", "active")


async def test_a_wrong_credential_is_401_everywhere_and_never_the_local_owner(application: Any) -> None:
    ids = await seeded(application.local)
    schema = (await application.local.get("/openapi.json")).json()
    nobody = application.client({"Authorization": "Bearer of_sk_wrong"})
    for method, path in operations(schema):
        if (method, path) in OPEN or path.startswith("/oauth"):
            continue
        answer = await nobody.request(method, path.format(**ids), json=BODIES.get((method, path), {}))
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code} {answer.text[:200]}"


async def test_a_viewer_changes_nothing(application: Any) -> None:
    ids = await seeded(application.local)
    viewer = await application.member(Role.VIEWER)
    schema = (await application.local.get("/openapi.json")).json()
    for method, path in operations(schema):
        if method == "GET" or (method, path) in OPEN or any(part in path for part in ASKING):
            continue
        if path.startswith(SIGNED):
            continue
        answer = await viewer.request(method, path.format(**ids), json=BODIES.get((method, path), {}))
        assert answer.status_code in (403, 404, 422), (
            f"{method} {path}: {answer.status_code} {answer.text[:200]}"
        )
    kept = (await application.local.get(f"/api/v1/agents/{ids['agent_id']}")).json()
    assert (kept["name"], kept["status"]) == ("Hello", "active")


async def test_a_missing_permission_is_named(application: Any) -> None:
    ids = await seeded(application.local)
    viewer = await application.member(Role.VIEWER)
    shared = await application.local.post(f"/api/v1/agents/{ids['agent_id']}/share", json={"with": "tenant"})
    assert shared.is_success
    answer = await viewer.post(f"/api/v1/agents/{ids['agent_id']}/run", json={})
    assert answer.status_code == 403
    assert answer.json()["details"]["permission"] == "agent:execute"
