"""GitHub as the board uses it, over the local server: repositories, connected projects, deliveries, syncs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.board.task_stage import OWNER

from board_stage import BASE, Stage, open_stage
from omniforge.board.github_rooms import GitHubRooms
from omniforge.board.proofs import Proofs
from omniforge.board.repository import Remote, Repositories
from omniforge.board.store.tickets import TicketRow
from omniforge.core.clock import SystemClock
from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.network import NetworkDisabled, no_network
from omniforge.db import Database
from omniforge.engine.active import Handler
from omniforge.engine.stores import open_engine
from omniforge.integrations import ConnectionExpired, IntegrationService
from omniforge.integrations.catalog.github.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.catalog.github.standin.account import Commit, Repository
from omniforge.integrations.catalog.github.standin.webhooks import delivery
from omniforge.integrations.standin import Fault, FaultKind
from omniforge.runs.service import RunService
from omniforge.sandboxes.trees import Entry, pack_tree
from omniforge.tenants import SecretBox
from standin_server import RunningServer, answer_consent

Json = dict[str, Any]
PLACE = "acme-operations/storefront"
REPO = f"/github/repos/{PLACE}"
SECRET = "a-secret-of-the-project"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    running = RunningServer.start(create_app())
    yield running
    running.stop()


class House:
    """A board with a person, and that person's GitHub."""

    def __init__(
        self, stage: Stage, integrations: IntegrationService, there: StandinState, rooms: GitHubRooms
    ) -> None:
        self.stage, self.integrations, self.there, self.rooms = stage, integrations, there, rooms
        self.http = stage.http

    @property
    def repository(self) -> Repository:
        found = self.there.account.repository(PLACE)
        assert found is not None
        return found

    async def call(self, method: str, path: str, status: int = 200, /, **given: Any) -> Json:
        return await self.stage.call(method, path, status, **given)

    async def project(self, name: str = "Shop", secret: str | None = SECRET) -> str:
        """Connected with the repository."""
        project_id = (await self.call("POST", "/projects", 201, name=name, autonomous=False))["id"]
        owner, repo = PLACE.split("/")
        given = {"project_id": project_id, "owner": owner, "repo": repo}
        await self.call("POST", "/github/connect", **given, **({"webhook_secret": secret} if secret else {}))
        return project_id

    async def deliver(
        self, body: Json | bytes, event: str, *, secret: str = SECRET, name: str = "d-1", **headers: str
    ) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        sent = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": name,
            "X-Hub-Signature-256": signed,
            "Content-Type": "application/json",
        }
        path = "/api/v1/github/webhooks/github"
        return await self.http.post(path, content=raw, headers={**sent, **headers})

    def push(self, *commits: Json, branch: str = "main") -> Json:
        owner, name = PLACE.split("/")
        about = {"name": name, "full_name": PLACE, "owner": {"login": owner}}
        return {"ref": f"refs/heads/{branch}", "commits": list(commits), "repository": about}

    async def told(self, *types: str) -> list[Json]:
        return [row.shown() for row in await self.stage.board.events.read("default", types=types)]


@pytest.fixture
async def house(database: Database, tmp_path: Path, server: RunningServer) -> AsyncIterator[House]:
    there = StandinState(rate_per_second=None)
    server.use(there)
    known = ServiceSettings(
        client_id=CLIENT_ID,
        client_secret=SecretStr(CLIENT_SECRET),
        base_url=server.url,
        git_url=str(tmp_path / "there"),
    )
    settings, clock = Settings(home=tmp_path / "home", services={"github": known}), SystemClock()
    secrets = SecretBox(MasterKeys.from_settings(settings))
    transport = httpx.AsyncHTTPTransport(verify=False)  # plain HTTP here: no certificates to load
    integrations = IntegrationService(database, secrets, settings, clock, transport=transport, rate=1000)
    handlers: dict[str, Handler] = {}
    engine = open_engine(database, handlers, clock, settings, drives=4)
    async with open_stage(database, tmp_path / "home") as stage:
        runs = RunService(engine, 100)
        kept = Repositories(tmp_path / "here", clock)
        rooms = GitHubRooms.make(integrations, stage.board.commits, secrets, runs, BASE, kept)
        handlers |= rooms.handlers
        app: Any = stage.transport.app
        app.state.github = rooms
        app.state.proofs = Proofs(database, engine.events, clock, engine.artifacts)
        await engine.open()
        yield House(stage, integrations, there, rooms)
        await engine.close()
    await integrations.close()


@pytest.fixture
async def signed_in(house: House) -> House:
    answer = await answer_consent((await house.integrations.start_sign_in(OWNER, "github")).auth_url)
    await house.integrations.finish_sign_in(OWNER, "github", answer["code"], answer["state"])
    return house


# --- repositories --------------------------------------------------------------------------------


async def test_repositories_are_read_through_the_persons_own_connection(signed_in: House) -> None:
    house = signed_in
    found = await house.call("GET", "/github/repos", limit=2)
    assert [one["full_name"] for one in found["repos"]] == [
        one["full_name"] for one in (await house.call("GET", "/github/repos"))["repos"]
    ][:2]
    assert (found["limit"], found["offset"], found["total"]) == (2, 0, len(house.there.account.repositories))
    shown = await house.call("GET", REPO)
    assert (shown["full_name"], shown["owner"], shown["default_branch"]) == (PLACE, "acme-operations", "main")
    branches = await house.call("GET", f"{REPO}/branches")
    assert [one["name"] for one in branches["branches"]] == house.repository.branches
    commits = await house.call("GET", f"{REPO}/commits", limit=1, offset=1)
    assert [one["sha"] for one in commits["commits"]] == [house.repository.history("main")[1].sha]
    pulls = await house.call("GET", f"{REPO}/pulls", state="all")
    assert {one["number"] for one in pulls["pulls"]} == {
        number for number, item in house.repository.items.items() if item.pull
    }


async def test_branches_files_and_pull_requests_are_made(signed_in: House) -> None:
    house = signed_in
    sha = house.repository.head("main")
    given = {"branch_name": "feature/TKT-001-search", "from_sha": sha}
    made = await house.call("POST", f"{REPO}/branches", 201, **given)
    assert made == {"success": True, "ref": "refs/heads/feature/TKT-001-search", "sha": sha}
    assert (await house.call("POST", f"{REPO}/branches", 409, **given))["error"] == "name_taken"
    file, branch = f"{REPO}/contents/docs/search.md", given["branch_name"]
    written = await house.call("PUT", file, content="Hällo\n", message="TKT-001: words", branch=branch)
    shown = await house.call("GET", file, ref=branch)
    assert (shown["content"], shown["sha"], shown["path"]) == (
        "Hällo\n",
        written["content_sha"],
        "docs/search.md",
    )
    for stale in ({}, {"sha": "0" * 40}):
        refusal = await house.call("PUT", file, 409, content="x", message="x", branch=branch, **stale)
        assert refusal["error"] == "version_conflict"
    again = {"content": "Hallo\n", "message": "x", "branch": branch, "sha": written["content_sha"]}
    assert (await house.call("PUT", file, **again))["success"]
    folder = await house.call("GET", f"{REPO}/directory", path="docs", ref=branch)
    assert "docs/search.md" in [one["path"] for one in folder["entries"]]
    tree = await house.call("GET", f"{REPO}/tree", tree_sha=branch, limit=200)
    assert ("docs/search.md", "blob") in [(one["path"], one["type"]) for one in tree["entries"]]
    assert (tree["truncated"], tree["total"]) == (False, len(tree["entries"]))
    top = await house.call("GET", f"{REPO}/directory", ref=branch)
    assert "docs" in [one["name"] for one in top["entries"]]
    await house.call("GET", f"{REPO}/contents/docs", 404, ref=branch)
    wanted = {"title": "Search", "head": branch, "base": "main"}
    pull = await house.call("POST", f"{REPO}/pulls", 201, **wanted)
    assert pull["state"] == "open"
    assert (await house.call("POST", f"{REPO}/pulls", 409, **wanted))["error"] == "name_taken"
    listed = await house.call("GET", f"{REPO}/pulls")
    assert listed["pulls"][0]["number"] == pull["number"]


async def test_refusals_of_github_are_told_in_our_words(signed_in: House) -> None:
    house = signed_in
    assert (await house.call("GET", "/github/repos/acme-operations/nothing", 404))["error"] == "not_found"
    await house.call("GET", f"{REPO}/contents/no/such/file", 404)
    for kind, status, code in (
        (FaultKind.FORBIDDEN, 403, "forbidden"),
        (FaultKind.CONFLICT, 502, "github_error"),
        (FaultKind.WRONG_SHAPE, 502, "github_error"),
    ):
        house.there.faults.append(Fault(kind))
        assert (await house.call("GET", REPO, status))["error"] == code, kind
        house.there.faults.clear()
    for wrong in ("/github/repos/-/x", "/github/repos/a/..%2F..", f"{REPO}/contents/a/%2E%2E/b"):
        answer = await house.http.get(f"/api/v1{wrong}")
        assert answer.status_code in (404, 422), wrong
        assert set(answer.json()) == {"error", "message", "details"}
    sent = len(house.there.requests)
    assert (await house.call("GET", f"{REPO}/directory", 422, path="../x"))["error"] == "invalid"
    assert len(house.there.requests) == sent


async def test_without_a_connection_or_a_permission_nothing_is_asked(house: House) -> None:
    assert (await house.call("GET", "/github/repos", 403))["error"] == "forbidden"
    project_id = (await house.call("POST", "/projects", 201, name="Shop"))["id"]
    given = {"project_id": project_id, "owner": "acme-operations", "repo": "storefront"}
    assert (await house.call("POST", "/github/connect", 403, **given))["error"] == "forbidden"
    assert (await house.call("GET", "/github/connected"))["repositories"] == []
    assert (await house.call("POST", "/github/sync", 409, project_id=project_id))[
        "error"
    ] == "precondition_failed"


# --- connect -------------------------------------------------------------------------------------


async def test_a_project_is_connected_once_its_repository_was_reached(signed_in: House) -> None:
    house = signed_in
    project_id = (await house.call("POST", "/projects", 201, name="Shop"))["id"]
    given = {"project_id": project_id, "owner": "acme-operations", "repo": "storefront"}
    await house.call("POST", "/github/connect", 404, **{**given, "repo": "nothing"})
    await house.call("POST", "/github/connect", 404, **{**given, "project_id": "project_x"})
    assert not (await house.call("GET", f"/projects/{project_id}"))["github_connected"]
    made = await house.call("POST", "/github/connect", **given)
    assert made["webhook_url"] == f"{BASE}/api/v1/github/webhooks/github"
    assert len(made["webhook_secret"]) >= 32
    assert (await house.call("POST", "/github/connect", **given))["webhook_secret"] is None, "told once"
    project = await house.call("GET", f"/projects/{project_id}")
    assert (project["github_connected"], project["repository_kind"]) == (True, "github")
    assert "webhook_secret" not in project
    told = (await house.told("repository.connected"))[0]
    assert {name: told["payload"][name] for name in ("owner", "repo")} == {
        "owner": "acme-operations",
        "repo": "storefront",
    }
    listed = await house.call("GET", "/github/connected")
    assert listed["repositories"] == [
        {
            "project_id": project_id,
            "owner": "acme-operations",
            "repo": "storefront",
            "connected": True,
            "webhook_configured": True,
        }
    ]
    assert listed["total"] == 1
    ping = house.push()
    assert (await house.deliver(ping, "ping", secret=made["webhook_secret"])).status_code == 200
    assert made["webhook_secret"] not in json.dumps(await house.told())


# --- deliveries ----------------------------------------------------------------------------------


async def test_only_who_knows_the_secret_of_a_project_is_heard(signed_in: House) -> None:
    house = signed_in
    project_id = await house.project()
    ticket_id = (await house.call("POST", "/tickets", 201, project_id=project_id, title="Search"))["id"]
    body = house.push({"id": "a" * 40, "message": "TKT-001: words"})
    other = house.push({"id": "a" * 40, "message": "TKT-001: words"})
    other["repository"] = {**body["repository"], "name": "another"}
    refused = [
        await house.deliver(body, "push", secret="another-secret"),
        await house.deliver(body, "push", **{"X-Hub-Signature-256": ""}),
        await house.deliver(body, "push", **{"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        await house.deliver(other, "push"),
        await house.deliver(b"[]", "push"),
        await house.deliver(b"no json", "push"),
        await house.deliver({"repository": 7}, "push"),
        await house.deliver(body, "push", secret=""),
    ]
    assert {answer.status_code for answer in refused} == {401}
    assert {answer.json()["error"] for answer in refused} == {"unauthenticated"}
    assert (await house.call("GET", f"/tickets/{ticket_id}/commits"))["total"] == 0
    assert (await house.deliver(body, "push")).json() == {"success": True, "message": "Taken."}
    assert (await house.call("GET", f"/tickets/{ticket_id}/commits"))["total"] == 1


async def test_a_push_links_commits_once_and_moves_nothing(signed_in: House) -> None:
    house = signed_in
    project_id = await house.project()
    ticket = await house.call("POST", "/tickets", 201, project_id=project_id, title="Search")
    commit = {
        "id": "b" * 40,
        "message": "words",
        "timestamp": "2026-11-21T10:00:00+01:00",
        "added": ["a.py"],
        "modified": ["b.py"],
        "removed": [],
    }
    body = house.push(commit, branch="feature/TKT-001-search")
    first = await asyncio.gather(*(house.deliver(body, "push") for _ in range(3)))
    assert sorted(answer.json()["message"] for answer in first) == ["Taken."] + ["This was taken before."] * 2
    again = await house.deliver(body, "push", name="d-2")
    assert again.json()["message"] == "This was taken before.", "the same body under another name"
    (kept,) = (await house.call("GET", f"/tickets/{ticket['id']}/commits"))["commits"]
    assert (kept["sha"], kept["method"], kept["files"]) == ("b" * 40, "push", ["a.py", "b.py"])
    assert kept["authored_at"] == "2026-11-21T09:00:00Z"
    (told,) = await house.told("commit.linked")
    assert (told["actor"], told["payload"]["method"]) == ("system:webhook", "push")
    assert (await house.call("GET", f"/tickets/{ticket['id']}"))["status"] == "backlog"


async def test_each_project_of_a_repository_has_its_own_secret(signed_in: House) -> None:
    house = signed_in
    first, second = await house.project("One"), await house.project("Two", "another-secret")
    ids = [
        (await house.call("POST", "/tickets", 201, project_id=one, title="Search"))["id"]
        for one in (first, second)
    ]
    body = house.push({"id": "c" * 40, "message": "TKT-001"})
    assert (await house.deliver(body, "push", secret="another-secret")).status_code == 200
    counts = [(await house.call("GET", f"/tickets/{one}/commits"))["total"] for one in ids]
    assert counts == [0, 1]


async def test_pull_requests_of_tickets_branches_are_recorded(signed_in: House) -> None:
    house = signed_in
    project_id = await house.project()
    ticket_id = (await house.call("POST", "/tickets", 201, project_id=project_id, title="Search"))["id"]
    number = max(number for number, item in house.repository.items.items() if item.pull)
    item = house.repository.items[number]
    assert item.pull
    item.pull.branch = "feature/TKT-001-search"

    async def deliver(event: str, name: str, **changes: Any) -> None:
        body, headers = delivery(house.there, {"event": event, "repository": PLACE, "number": number})
        body = {**body, "pull_request": {**body["pull_request"], **changes}}
        sent = await house.deliver(body, headers["X-GitHub-Event"], name=name)
        assert sent.status_code == 200, sent.text

    item.pull.merged, item.closed = None, None
    await deliver("pull_request.opened", "p-1")
    item.pull.merged = item.closed = house.there.now()
    await deliver("pull_request.merged", "p-2")
    opened, merged = await house.told("pull_request.opened", "pull_request.merged", "pull_request.closed")
    url = f"https://github.com/{PLACE}/pull/{number}"
    assert {name: opened["payload"][name] for name in ("number", "url")} == {"number": number, "url": url}
    assert merged["type"] == "pull_request.merged"
    assert (merged["payload"]["number"], len(merged["payload"]["sha"])) == (number, 40)
    kept = (await house.call("GET", f"/tickets/{ticket_id}/artifacts"))["artifacts"]
    assert {(one["artifact_type"], one["path"], one["content"]["state"]) for one in kept} == {
        ("pull_request", url, "open"),
        ("pull_request", url, "merged"),
    }
    assert (await house.call("GET", f"/tickets/{ticket_id}"))["status"] == "backlog"
    away = {"ref": "feature/TKT-001-search", "repo": {"full_name": "somebody/storefront"}}
    await deliver("pull_request.opened", "p-3", head=away, title="from a copy")
    assert len(await house.told("pull_request.opened")) == 1, "a copy has no branches of ours"


# --- sync ----------------------------------------------------------------------------------------


async def test_a_sync_brings_commits_and_pull_requests_of_tickets_branches(signed_in: House) -> None:
    house = signed_in
    project_id = await house.project()
    ticket_id = (await house.call("POST", "/tickets", 201, project_id=project_id, title="Search"))["id"]
    branch = "feature/TKT-001-search"
    async with house.stage.db.transaction() as session:
        (await session.get_one(TicketRow, ticket_id)).branch_name = branch
    house.repository.branches.append(branch)
    person, now = house.there.account.people[0].login, house.there.now()
    house.repository.commits.append(Commit("d" * 40, person, "words", now, ("a.py",), branch))
    await house.call("POST", f"{REPO}/pulls", 201, title="Search", head=branch, base="main")

    async def sync() -> Json:
        before = len(await house.told("repository.synced"))
        started = await house.call("POST", "/github/sync", 202, project_id=project_id)
        assert (started["success"], started["run_id"][:4]) == (True, "run_")
        async with asyncio.timeout(20):
            while len(told := await house.told("repository.synced")) == before:
                await asyncio.sleep(0.01)
        return told[-1]["payload"]

    first = await sync()
    assert (first["commits"], first["pulls"]) == (1, 1)
    assert (await sync())["commits"] == 0
    (kept,) = (await house.call("GET", f"/tickets/{ticket_id}/commits"))["commits"]
    assert (kept["sha"], kept["method"]) == ("d" * 40, "sync")
    assert len(await house.told("pull_request.opened")) == 1


# --- given by itself -----------------------------------------------------------------------------


async def committed(kept: Repositories, project_id: str, branch: str, text: str) -> str:
    """Work merged into a branch; where it stands then."""
    parent = await kept.head(project_id, branch) or await kept.default_head(project_id)
    made = await kept.snapshot(project_id, pack_tree([Entry("a", text.encode())]), parent, text)
    return await kept.merge(project_id, branch, made.commit, text)


async def told_of(house: House, type_: str, count: int = 1) -> list[Json]:
    async with asyncio.timeout(20):
        while len(told := await house.told(type_)) < count:
            await asyncio.sleep(0.01)
    return told


async def test_a_branch_is_given_away_as_work_comes_in_and_asks_to_be_taken(
    signed_in: House, tmp_path: Path
) -> None:
    house, other = signed_in, Repositories(tmp_path / "other")
    url = tmp_path / "there" / f"{PLACE}.git"
    url.parent.mkdir(parents=True)
    made = await asyncio.create_subprocess_exec("git", "init", "--quiet", "--bare", str(url))
    assert await made.wait() == 0
    begun = await committed(other, "p", "main", "from there")
    await other.push("p", "main", Remote(str(url)))
    house.rooms.follow()

    project_id = await house.project()
    kept = house.rooms.pushes.pushes.repositories
    async with asyncio.timeout(20):
        while await kept.default_head(project_id) != begun:
            await asyncio.sleep(0.01)
    await house.call("PATCH", f"/projects/{project_id}", settings={"auto_pull_request": True})
    given = {"project_id": project_id, "title": "Search", "phase_id": "PHASE_IMPLEMENTATION"}
    ticket_id = (await house.call("POST", "/tickets", 201, **given))["id"]
    branch = "feature/TKT-001-search"
    sha = await committed(kept, project_id, branch, "found")
    house.repository.branches.append(branch)
    for status in ("building-done", "testing"):
        forced = {"to_status": status, "force": True, "reason": "staged"}
        await house.call("POST", f"/tickets/{ticket_id}/transition", **forced)

    (pushed,) = await told_of(house, "branch.pushed")
    assert (pushed["actor"], pushed["payload"]["sha"]) == ("system:host", sha)
    assert await other.fetch("p", branch, Remote(str(url))) == sha
    (opened,) = await told_of(house, "pull_request.opened")
    number = opened["payload"]["number"]
    asked = house.repository.items[number]
    assert asked.pull is not None
    assert (asked.title, asked.pull.branch, asked.pull.base) == ("TKT-001: Search", branch, "main")
    async with asyncio.timeout(20):
        while len(await house.told("run.finished")) < 3:  # the main branch, and each of the two moves
            await asyncio.sleep(0.01)
    assert {run["payload"]["status"] for run in await house.told("run.finished")} == {"completed"}
    assert len(await house.told("pull_request.opened")) == 1
    told = json.dumps(await house.told())
    assert house.there.access
    assert not any(credential in told for credential in house.there.access)


async def test_what_was_lent_gives_nothing_any_more_when_it_was_given_back(signed_in: House) -> None:
    async with signed_in.integrations.lent(OWNER, "github") as credential:
        assert await credential() in signed_in.there.access
        with no_network(), pytest.raises(NetworkDisabled):
            await credential()
    with pytest.raises(ConnectionExpired):
        await credential()


async def test_nothing_is_given_where_git_has_nowhere_to_go(signed_in: House) -> None:
    house = signed_in
    there = house.integrations.settings.service("github")
    assert (
        replace(house.rooms.pushes.lender, settings=there.model_copy(update={"git_url": None})).root is None
    )
    own = ServiceSettings(client_id=CLIENT_ID)
    assert replace(house.rooms.pushes.lender, settings=own).root == "https://github.com"
