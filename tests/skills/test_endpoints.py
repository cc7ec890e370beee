"""Skills over HTTP."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from omniforge.core.actor import Actor, Role
from omniforge.core.errors import OmniForgeError
from omniforge.skills.endpoints import router
from omniforge.skills.service import SkillService
from omniforge.tenants.endpoints import current_actor
from omniforge.tenants.roles import permissions_of

AGENT = {"scope": "agent", "agent_id": "a1"}


def text(description: str = "Does a thing", name: str = "weekly") -> str:
    return f"---\nname: {name}\ndescription: {description}\n---\n\nDo it.\n"


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OmniForgeError)
    return JSONResponse(
        {"error": error.code, "message": error.message, "details": error.details}, error.status
    )


@pytest.fixture
def callers(actor: Actor) -> list[Actor]:
    """Who calls: the last one."""
    return [actor]


@pytest.fixture
async def client(skills: SkillService, callers: list[Actor]) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(router)
    app.state.skills = skills
    app.dependency_overrides[current_actor] = lambda: callers[-1]
    app.add_exception_handler(OmniForgeError, refuse)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as made:
        yield made


async def test_create_read_change_export_delete(client: httpx.AsyncClient) -> None:
    files = [
        {"path": "scripts/main.py", "content": "print()"},
        {"path": "docs/a.bin", "content": base64.b64encode(b"\xff\x00").decode(), "encoding": "base64"},
    ]
    made = await client.post("/skills", json={**AGENT, "content": text(), "files": files})
    assert made.status_code == 201
    skill = made.json()
    assert (skill["name"], skill["root"], skill["version"], skill["diagnostics"]) == (
        "weekly",
        "agent",
        1,
        [],
    )

    read = (await client.get("/skills/weekly", params={"agent_id": "a1"})).json()
    assert (read["content"], read["hash"]) == (text(), skill["hash"])
    assert sorted(read["files"], key=lambda file: file["path"]) == sorted(
        [{**file, "encoding": file.get("encoding", "utf-8")} for file in files], key=lambda file: file["path"]
    )

    change = {**AGENT, "content": text("Other"), "expected_hash": skill["hash"]}
    changed = await client.put("/skills/weekly", json=change)
    assert (changed.status_code, changed.json()["version"], len(changed.json()["files"])) == (200, 2, 2)
    late = await client.put("/skills/weekly", json=change)
    assert (late.status_code, late.json()["error"]) == (409, "version_conflict")

    listed = (await client.get("/skills", params={"agent_id": "a1", "search": "oth"})).json()
    assert (listed["total"], listed["limit"], [item["name"] for item in listed["skills"]]) == (
        1,
        50,
        ["weekly"],
    )

    where = {**AGENT, "profile": "portable"}
    exported = await client.get("/skills/weekly/export", params=where)
    digest = base64.b64encode(hashlib.sha256(exported.content).digest()).decode()
    assert exported.headers["content-digest"] == f"sha-256=:{digest}:"
    assert b"description: Other" in exported.content
    zipped = await client.get("/skills/weekly/export", params={**where, "format": "zip"})
    names = zipfile.ZipFile(io.BytesIO(zipped.content)).namelist()
    assert names == ["weekly/SKILL.md", "weekly/docs/a.bin", "weekly/scripts/main.py"]

    assert (await client.delete("/skills/weekly", params=AGENT)).json() == {"success": True}
    assert (await client.get("/skills/weekly", params=AGENT)).status_code == 404


async def test_creating_what_is_there_is_a_conflict(client: httpx.AsyncClient) -> None:
    body = {"scope": "tenant", "content": text()}
    assert (await client.post("/skills", json=body)).status_code == 201
    again = await client.post("/skills", json=body)
    assert (again.status_code, again.json()["error"]) == (409, "already_exists")


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "agent", "content": text()},
        {"scope": "tenant", "agent_id": "a1", "content": text()},
        {"scope": "tenant", "content": "no name"},
        {"scope": "tenant", "content": text("x" * 81)},
        {"scope": "tenant", "content": "---\nname: ../x\ndescription: a\n---\n\nX\n"},
        {"scope": "tenant", "content": text(), "files": [{"path": "../x", "content": ""}]},
        {"scope": "tenant", "content": text(), "files": [{"path": "SKILL.md", "content": ""}]},
        {
            "scope": "tenant",
            "content": text(),
            "files": [{"path": "a", "content": "%", "encoding": "base64"}],
        },
    ],
)
async def test_bad_bodies_are_422_and_write_nothing(
    client: httpx.AsyncClient, library: Path, body: dict[str, object]
) -> None:
    answer = await client.post("/skills", json=body)
    assert answer.status_code == 422
    assert not library.exists()


async def test_validation_tells_all_problems(client: httpx.AsyncClient) -> None:
    good = (await client.post("/skills/validate", json={"content": text()})).json()
    assert good == {"valid": True, "loadable": True, "reason": None, "diagnostics": []}
    bad = (await client.post("/skills/validate", json={"content": "---\nname: [a\n---\n"})).json()
    assert (bad["valid"], bad["loadable"], bad["reason"]) == (False, False, "bad_yaml")
    found = await client.post(
        "/skills/validate", json={"content": text() + "[x](a.md)", "files": [], "folder": "b"}
    )
    assert [item["code"] for item in found.json()["diagnostics"]] == ["name_differs", "reference_missing"]


async def test_a_foreign_tenant_gets_404(
    client: httpx.AsyncClient, callers: list[Actor], foreign_actor: Actor
) -> None:
    await client.post("/skills", json={**AGENT, "content": text()})
    callers.append(foreign_actor)
    for method, path, rest in (
        ("GET", "/skills/weekly", {"params": AGENT}),
        ("GET", "/skills/weekly/export", {"params": AGENT}),
        ("PUT", "/skills/weekly", {"json": {**AGENT, "content": text()}}),
        ("DELETE", "/skills/weekly", {"params": AGENT}),
    ):
        answer = await client.request(method, path, **rest)  # pyright: ignore[reportArgumentType]
        unknown = await client.request(method, path.replace("weekly", "nothing"), **rest)  # pyright: ignore[reportArgumentType]
        assert (answer.status_code, unknown.status_code) == (404, 404)
        assert answer.json()["error"] == unknown.json()["error"] == "skill_not_found"
    assert (await client.get("/skills", params={"agent_id": "a1"})).json()["skills"] == []


async def test_a_viewer_may_look_only(client: httpx.AsyncClient, callers: list[Actor]) -> None:
    await client.post("/skills", json={**AGENT, "content": text()})
    callers.append(Actor("default", "v", Role.VIEWER, "user:v", permissions_of(Role.VIEWER)))
    assert (await client.get("/skills/weekly", params=AGENT)).status_code == 200
    assert (await client.post("/skills", json={**AGENT, "content": text()})).status_code == 403
    assert (await client.put("/skills/weekly", json={**AGENT, "content": text()})).status_code == 403
    assert (await client.delete("/skills/weekly", params=AGENT)).status_code == 403
