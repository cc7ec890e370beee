"""GitHub over real HTTP: connect, look around, read, write, and what becomes of bad answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from omniforge.core.actor import Actor
from omniforge.core.clock import rfc3339
from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.integrations import Connection, ConnectionStatus, IntegrationService, StateInvalid
from omniforge.integrations.catalog.github.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.catalog.github.standin.account import Item, Repository
from omniforge.integrations.catalog.github.standin.fixture import noon
from omniforge.integrations.errors import (
    AnswerTooLarge,
    ConflictThere,
    ConnectionExpired,
    IntegrationNotConfigured,
    PermissionDeniedThere,
    RateLimitedThere,
    RefusedThere,
    ResourceNotFound,
    ServiceDown,
)
from omniforge.integrations.rest import RestClient
from omniforge.integrations.standin import Fault, FaultKind
from standin_server import HandClock, RunningServer, answer_consent

Json = dict[str, Any]
Call = Callable[..., Awaitable[Json]]

STORE = "acme-operations/storefront"
BUSY = "acme-operations/warehouse-api"
MARK = "run_1.step.0"


@dataclass
class LocalGitHub:
    """The running stand-in: its address and all it remembers."""

    url: str
    state: StandinState

    def paths(self) -> list[str]:
        return [f"{entry.method} {entry.path}" for entry in self.state.requests]

    def repository(self, name: str) -> Repository:
        found = self.state.account.repository(name)
        assert found is not None
        return found

    def item(self, number: int) -> Item:
        return self.repository(STORE).items[number]


@pytest.fixture(scope="module")
def github_server() -> Iterator[RunningServer]:
    running = RunningServer.start(create_app())
    yield running
    running.stop()


@pytest.fixture
def github(github_server: RunningServer, clock: HandClock) -> LocalGitHub:
    state = StandinState(rate_per_second=None, now=clock.now)
    github_server.use(state)
    return LocalGitHub(github_server.url, state)


@pytest.fixture
def settings(tmp_path: Path, github: LocalGitHub) -> Settings:
    registration = ServiceSettings(
        client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET), base_url=github.url
    )
    return Settings(home=tmp_path, services={"github": registration})


@pytest.fixture
async def service(
    make_service: Callable[[Settings], IntegrationService], settings: Settings
) -> AsyncIterator[IntegrationService]:
    made = make_service(settings)
    yield made
    await made.close()


@pytest.fixture
async def connection(service: IntegrationService, actor: Actor) -> Connection:
    answer = await answer_consent((await service.start_sign_in(actor, "github")).auth_url)
    return await service.finish_sign_in(actor, "github", answer["code"], answer["state"])


@pytest.fixture
def call(service: IntegrationService, actor: Actor, connection: Connection) -> Call:
    async def called(tool: str, **args: Any) -> Json:
        return await service.call_tool(actor.tenant_id, actor.user_id, connection.id, f"github.{tool}", args)

    return called


# --- signing in ------------------------------------------------------------------------------------------


async def test_a_person_connects_and_the_repositories_are_there_with_their_counts(
    service: IntegrationService, actor: Actor, connection: Connection
):
    assert connection.workspace_name == "acme-operations"
    assert connection.status is ConnectionStatus.HEALTHY
    assert connection.expires_at is not None
    resources = await service.list_resources(actor, connection.id)
    assert {resource.name: resource.items for resource in resources} == {
        "acme-operations/handbook": 1,
        STORE: 5,
        BUSY: 61,
    }
    described = await service.describe_resource(actor, connection.id, STORE)
    fields = {field["name"]: field for field in described.fields or []}
    assert "blocked" in fields["labels"]["options"]
    assert fields["milestone"]["options"] == ["Spring release"]


async def test_the_link_asks_with_a_challenge_and_the_verifier_is_checked(
    service: IntegrationService, actor: Actor, github: LocalGitHub
):
    sign_in = await service.start_sign_in(actor, "github")
    parts = urlsplit(sign_in.auth_url)
    asked = parse_qs(parts.query)
    assert parts.path == "/login/oauth/authorize"
    assert asked["code_challenge_method"] == ["S256"]
    assert "scope" not in asked
    answer = await answer_consent(sign_in.auth_url)
    next(iter(github.state.codes.values())).challenge = "of another verifier"
    with pytest.raises(OmniForgeError):
        await service.finish_sign_in(actor, "github", answer["code"], answer["state"])
    assert github.state.access == {}


async def test_the_token_address_answers_in_githubs_own_way(github: LocalGitHub):
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": "wrong"}
    async with httpx.AsyncClient(
        base_url=github.url, transport=httpx.AsyncHTTPTransport(verify=False)
    ) as http:
        plain = await http.post("/login/oauth/access_token", data=form)
        asked = await http.post(
            "/login/oauth/access_token", data=form, headers={"Accept": "application/json"}
        )
        stranger = await http.post(
            "/login/oauth/access_token",
            data={**form, "client_secret": "no"},
            headers={"Accept": "application/json"},
        )
    assert (plain.status_code, asked.status_code, stranger.status_code) == (200, 200, 200)
    assert dict(parse_qsl(plain.text))["error"] == "bad_verification_code"
    assert asked.json()["error"] == "bad_verification_code"
    assert stranger.json()["error"] == "incorrect_client_credentials"


async def test_a_refused_code_uses_the_link_up(service: IntegrationService, actor: Actor):
    answer = await answer_consent((await service.start_sign_in(actor, "github")).auth_url)
    for code in ("wrong", answer["code"]):
        with pytest.raises(StateInvalid):
            await service.finish_sign_in(actor, "github", code, answer["state"])


async def test_a_wrong_secret_is_the_administrators_to_correct(
    service: IntegrationService, actor: Actor, settings: Settings
):
    answer = await answer_consent((await service.start_sign_in(actor, "github")).auth_url)
    settings.services["github"].client_secret = SecretStr("wrong")
    with pytest.raises(IntegrationNotConfigured):
        await service.finish_sign_in(actor, "github", answer["code"], answer["state"])


async def test_many_callers_after_eight_hours_make_one_refresh(
    call: Call, github: LocalGitHub, clock: HandClock
):
    clock.forward(hours=8)
    await asyncio.gather(*(call("who_am_i") for _ in range(20)))
    assert github.state.refreshes == 1
    clock.forward(hours=8)
    await call("who_am_i")
    assert github.state.refreshes == 2


async def test_a_dead_pair_breaks_the_connection(
    call: Call, service: IntegrationService, actor: Actor, github: LocalGitHub, clock: HandClock
):
    github.state.revoke_all()
    clock.forward(hours=8)
    with pytest.raises(ConnectionExpired):
        await call("who_am_i")
    connections, _ = await service.list_connections(actor)
    assert connections[0].status is ConnectionStatus.BROKEN


async def test_an_access_key_works_and_stands_for_the_person(
    service: IntegrationService, actor: Actor, github: LocalGitHub
):
    connection = await service.add_key_connection(actor, "github", github.state.new_key())
    assert connection.workspace_name == "maya-lindholm"


async def test_disconnecting_ends_the_token_there(
    service: IntegrationService, actor: Actor, connection: Connection, github: LocalGitHub
):
    assert github.state.access
    await service.disconnect(actor, connection.id)
    assert github.state.access == {}


# --- reading ---------------------------------------------------------------------------------------------


async def test_lists_are_read_through_all_pages_by_their_links(call: Call, github: LocalGitHub):
    found = await call("list_issues", repository=BUSY)
    assert (len(found["issues"]), found["truncated"]) == (242, False)
    assert len({issue["number"] for issue in found["issues"]}) == 242
    busy = github.repository(BUSY).id
    assert github.paths()[-3:] == [
        f"GET /repos/{BUSY}/issues",
        f"GET /repositories/{busy}/issues",
        f"GET /repositories/{busy}/issues",
    ]
    assert len((await call("list_commits", repository=BUSY))["commits"]) == 132
    limited = await call("list_issues", repository=BUSY, limit=120)
    assert (len(limited["issues"]), limited["truncated"]) == (120, True)
    exact = await call("list_issues", repository=BUSY, limit=242)
    assert (len(exact["issues"]), exact["truncated"]) == (242, False)


async def test_issues_are_chosen_by_state_label_people_milestone_and_time(call: Call, clock: HandClock):
    opened = await call("list_issues", repository=STORE, state="open")
    assert [issue["number"] for issue in opened["issues"]] == [9, 7, 6, 1]
    assert all("pull" not in issue["url"] for issue in opened["issues"])
    blocked = await call("list_issues", repository=STORE, labels=["Blocked", "bug"])
    assert [issue["title"] for issue in blocked["issues"]] == ["Payment provider withdraws the old interface"]
    derek = await call("list_issues", repository=STORE, assignee="derek-osei", milestone="spring release")
    assert {issue["number"] for issue in derek["issues"]} == {9, 6}
    week = rfc3339(clock.now() - timedelta(days=7, hours=14))
    closed = await call("list_issues", repository=STORE, closed_after=week)
    assert {issue["state_reason"] for issue in closed["issues"]} == {"completed", "not_planned"}
    made = await call(
        "list_issues", repository=STORE, created_after=week, sort="created", direction="ascending"
    )
    times = [issue["created_at"] for issue in made["issues"]]
    assert len(times) == 3
    assert times == sorted(times)
    assert (await call("list_issues", repository=STORE, created_before="2001-01-01T00:00:00Z"))[
        "issues"
    ] == []


async def test_pull_requests_are_open_closed_or_merged(call: Call, clock: HandClock):
    every = await call("list_pull_requests", repository=STORE)
    assert {pull["number"]: pull["state"] for pull in every["pull_requests"]} == {
        8: "open",
        5: "merged",
        4: "closed",
    }
    week = rfc3339(clock.now() - timedelta(days=7))
    merged = await call("list_pull_requests", repository=STORE, state="merged", merged_after=week)
    assert [pull["title"] for pull in merged["pull_requests"]] == ["Sharper pictures on narrow screens"]
    assert (await call("list_pull_requests", repository=STORE, base="develop"))["pull_requests"] == []


async def test_one_pull_request_comes_with_comments_notes_and_files(call: Call):
    found = await call("read_pull_request", repository=STORE, number=8)
    assert [comment["author"] for comment in found["said"]] == ["maya-lindholm"]
    assert found["review"][0]["line"] == 6
    assert found["files"][0]["path"] == "src/checkout.ts"
    assert found["changed_files"] == 1
    issue = await call("read_issue", repository=f"https://github.com/{STORE}/issues/6", number=6)
    assert [comment["author"] for comment in issue["said"]] == ["jonas-weber", "maya-lindholm"]


async def test_two_files_of_the_same_content_are_two(call: Call, github: LocalGitHub):
    pull = github.item(8).pull
    assert pull is not None
    pull.files += [replace(pull.files[0], path=f"copy/{number}.ts") for number in range(150)]
    found = await call("read_pull_request", repository=STORE, number=8)
    assert len({file["path"] for file in found["files"]}) == 151
    assert found["truncated"] is False


async def test_commits_and_releases_of_a_time(call: Call, clock: HandClock, github: LocalGitHub):
    week = rfc3339(clock.now() - timedelta(days=7))
    found = await call("list_commits", repository=STORE, after=week)
    assert len(found["commits"]) == 2
    releases = await call("list_releases", repository=STORE, published_after=week)
    assert [release["tag"] for release in releases["releases"]] == ["v2.4.0"]
    firm = await call("list_releases", repository=STORE, prereleases=False)
    assert [release["tag"] for release in firm["releases"]] == ["v2.4.0", "v2.3.0"]
    github.repository(STORE).commits.clear()
    assert (await call("list_commits", repository=STORE))["commits"] == []


async def test_files_and_folders_are_read(call: Call, github: LocalGitHub):
    assert (await call("read_file", repository=STORE, path="README.md"))["text"].startswith("# Storefront")
    folder = await call("read_file", repository=STORE, path="src")
    assert folder["entries"] == [{"path": "src/app.ts", "kind": "file"}]
    github.repository(STORE).files["main", "logo.png"] = b"\x89PNG\xff"
    picture = await call("read_file", repository=STORE, path="logo.png")
    assert (picture["text"], picture["truncated"]) == (None, False)
    github.repository(STORE).files["main", "large.txt"] = b"x" * 1_000_001
    assert (await call("read_file", repository=STORE, path="large.txt"))["truncated"] is True


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("list_issues", {"repository": "storefront"}),
        ("list_issues", {"repository": "acme/.."}),
        ("list_issues", {"repository": "https://example.com/acme/app"}),
        ("list_issues", {"repository": STORE, "created_after": "2026-01-01T00:00:00"}),
        ("list_issues", {"repository": STORE, "colour": "red"}),
        ("read_issue", {"repository": STORE, "number": 0}),
        ("read_file", {"repository": STORE, "path": "../secrets"}),
        ("read_file", {"repository": STORE, "path": "docs//x"}),
        ("update_issue", {"repository": STORE, "number": 1}),
        ("create_issue", {"repository": STORE, "title": "x" * 257}),
        ("create_issue", {"repository": STORE, "title": "x", "mark": "no spaces"}),
    ],
)
async def test_a_question_that_does_not_fit_names_the_mistake(
    call: Call, github: LocalGitHub, tool: str, args: Json
):
    before = len(github.state.requests)
    with pytest.raises(Invalid) as refusal:
        await call(tool, **args)
    assert refusal.value.details["fields"][0]["rule"]
    assert len(github.state.requests) == before


# --- writing ---------------------------------------------------------------------------------------------


async def test_an_issue_is_opened_read_back_and_found_by_its_mark(call: Call, github: LocalGitHub):
    made = await call(
        "create_issue",
        repository=STORE,
        title="Made here",
        text="Some **words**",
        labels=["bug", "brand new"],
        assignees=["derek-osei"],
        milestone="Spring release",
        mark=MARK,
    )
    assert made["ignored"] == []
    read = await call("read_issue", repository=STORE, number=made["number"])
    assert read["text"] == "Some **words**"
    assert (read["labels"], read["milestone"]) == (["bug", "brand new"], "Spring release")
    assert MARK in (github.item(made["number"]).body or "")
    assert (await call("find_issue", repository=STORE, mark=MARK))["issue"] == made
    assert (await call("find_issue", repository=STORE, mark="run_1.step.1"))["issue"] is None


async def test_the_mark_of_another_person_is_not_ours(call: Call, github: LocalGitHub):
    made = await call("create_issue", repository=STORE, title="x", mark=MARK)
    await call("add_comment", repository=STORE, number=6, text="x", mark=MARK)
    github.item(made["number"]).login = "derek-osei"
    github.item(6).comments[-1].login = "derek-osei"
    assert (await call("find_issue", repository=STORE, mark=MARK))["issue"] is None
    assert (await call("find_comment", repository=STORE, number=6, mark=MARK))["comment"] is None


async def test_a_change_is_made_and_seen_to_be_made(call: Call, github: LocalGitHub):
    made = await call("update_issue", repository=STORE, number=1, labels=["bug"], state="closed")
    assert made["ignored"] == []
    assert github.item(1).state == "closed"
    assert (await call("find_changed_issue", repository=STORE, number=1, labels=["bug"]))["issue"]
    assert not (await call("find_changed_issue", repository=STORE, number=1, labels=[]))["issue"]
    assert not (await call("find_changed_issue", repository=STORE, number=1, title="Another"))["issue"]


async def test_a_comment_is_made_and_found(call: Call):
    made = await call("add_comment", repository=STORE, number=6, text="On it", mark=MARK)
    read = await call("read_issue", repository=STORE, number=6)
    assert read["said"][-1]["text"] == "On it"
    assert (await call("find_comment", repository=STORE, number=6, mark=MARK))["comment"] == made


async def test_a_file_is_made_changed_and_left_alone_when_it_is_so_already(call: Call, github: LocalGitHub):
    args = {"repository": STORE, "path": "reports/week.md", "message": "Report"}
    made = await call("write_file", **args, content="one\n", mark=MARK)
    assert made["commit"]
    found = (await call("find_written_file", repository=STORE, path="reports/week.md", mark=MARK))["commit"]
    assert (found["id"], found["message"]) == (made["commit"], "Report")
    changed = await call("write_file", **args, content="two\n")
    assert changed["sha"] != made["sha"]
    same = await call("write_file", **args, content="two\n")
    assert (same["commit"], same["sha"]) == (None, changed["sha"])
    with pytest.raises(ConflictThere):
        await call("write_file", **args, content="three\n", expected_sha=made["sha"])
    assert github.repository(STORE).file("main", "reports/week.md") == b"two\n"
    assert github.paths().count(f"PUT /repos/{STORE}/contents/reports/week.md") == 2


async def test_a_conflict_at_the_branch_is_looked_at_and_tried_once_more(call: Call, github: LocalGitHub):
    conflict = Fault(FaultKind.CONFLICT, times=1, path=f"/repos/{STORE}/contents", method="PUT")
    github.state.faults.append(conflict)
    args = {"repository": STORE, "path": "README.md", "message": "Change"}
    assert (await call("write_file", **args, content="x"))["commit"]
    conflict.times = 2
    with pytest.raises(ConflictThere):
        await call("write_file", **args, content="y")


async def test_a_release_is_prepared_and_stays_a_draft(call: Call):
    made = await call("draft_release", repository=STORE, tag="v3.0.0", text="New", mark=MARK)
    assert (await call("find_release", repository=STORE, mark=MARK))["release"] == made
    assert "v3.0.0" not in [r["tag"] for r in (await call("list_releases", repository=STORE))["releases"]]
    drafts = await call("list_releases", repository=STORE, drafts=True)
    assert {r["tag"]: r["draft"] for r in drafts["releases"]}["v3.0.0"] is True


@pytest.mark.parametrize(
    ("tool", "args", "method", "path"),
    [
        ("create_issue", {"title": "Once"}, "POST", f"/repos/{STORE}/issues"),
        ("update_issue", {"number": 6, "state": "closed"}, "PATCH", f"/repos/{STORE}/issues/6"),
        ("add_comment", {"number": 6, "text": "Once"}, "POST", f"/repos/{STORE}/issues/6/comments"),
        (
            "write_file",
            {"path": "a.md", "content": "x", "message": "x"},
            "PUT",
            f"/repos/{STORE}/contents/a.md",
        ),
        ("draft_release", {"tag": "v9"}, "POST", f"/repos/{STORE}/releases"),
    ],
)
async def test_a_lost_write_is_not_repeated_and_its_lookup_finds_it(  # noqa: PLR0917 - the table's columns
    call: Call,
    service: IntegrationService,
    github: LocalGitHub,
    tool: str,
    args: Json,
    method: str,
    path: str,
):
    given = {"repository": STORE, **args, **({} if tool == "update_issue" else {"mark": MARK})}
    lookup = service.catalog["github"].tool(f"github.{tool}").lookup(given)
    assert lookup is not None
    look = lookup.tool.removeprefix("github.")
    assert (await call(look, **lookup.args))[lookup.found] is None
    github.state.faults.append(Fault(FaultKind.LOST, path=path, method=method))
    with pytest.raises(ServiceDown) as refusal:
        await call(tool, **given)
    assert refusal.value.details["outcome_unknown"] is True
    assert github.paths().count(f"{method} {path}") == 1
    assert (await call(look, **lookup.args))[lookup.found] is not None


async def test_a_refusal_says_what_is_wrong_in_plain_words(call: Call, github: LocalGitHub):
    with pytest.raises(RefusedThere) as refusal:
        await call("create_issue", repository=STORE, title="x", assignees=["nobody-here"])
    assert refusal.value.message == "GitHub did not accept this: assignees is not in the form GitHub takes."
    with pytest.raises(ResourceNotFound) as missing:
        await call("create_issue", repository=STORE, title="x", milestone="Autumn")
    assert "Spring release" in missing.value.message
    assert f"POST /repos/{STORE}/issues" in github.paths()


# --- trouble ---------------------------------------------------------------------------------------------


async def test_the_hourly_allowance_is_told_with_the_time_it_comes_back(call: Call, github: LocalGitHub):
    github.state.allowance = 0
    with pytest.raises(RateLimitedThere) as refusal:
        await call("who_am_i")
    assert refusal.value.retry_after is not None
    assert 3500 < refusal.value.retry_after <= 3602


async def test_a_secondary_limit_is_waited_out(call: Call, github: LocalGitHub, clock: HandClock):
    github.state.faults.append(Fault(FaultKind.RATE_LIMITED, times=2, path="/user", seconds=3))
    assert (await call("who_am_i"))["user"]["login"] == "maya-lindholm"
    assert clock.waits[-2:] == [3.0, 3.0]


async def test_single_sign_on_is_asked_for_with_its_address(call: Call, github: LocalGitHub):
    github.state.sso = True
    with pytest.raises(PermissionDeniedThere) as refusal:
        await call("list_issues", repository=STORE)
    assert "https://github.com/orgs/acme-operations/sso" in refusal.value.message


async def test_private_and_renamed_repositories_say_so(call: Call, github: LocalGitHub):
    with pytest.raises(ResourceNotFound) as hidden:
        await call("list_issues", repository="acme-operations/secret")
    assert "private" in hidden.value.message
    github.state.rename(STORE, "shop")
    with pytest.raises(ResourceNotFound) as renamed:
        await call("list_issues", repository=STORE)
    assert "renamed" in renamed.value.message


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.SERVER_ERROR, ServiceDown),
        (FaultKind.UNAVAILABLE, ServiceDown),
        (FaultKind.GARBAGE, ServiceDown),
        (FaultKind.HALF_JSON, ServiceDown),
        (FaultKind.WRONG_SHAPE, ServiceDown),
        (FaultKind.RATE_LIMITED, RateLimitedThere),
        (FaultKind.FORBIDDEN, PermissionDeniedThere),
        (FaultKind.HUGE, AnswerTooLarge),
    ],
)
async def test_lasting_faults_end_in_one_clear_error(
    call: Call, github: LocalGitHub, kind: FaultKind, error: type[OmniForgeError]
):
    github.state.faults.append(Fault(kind, times=50, path="/repos/", seconds=0.01))
    with pytest.raises(error) as refusal:
        await call("list_issues", repository=STORE)
    assert "GitHub" in refusal.value.message
    assert "html" not in refusal.value.message.lower()


async def test_what_has_not_changed_costs_nothing(github: LocalGitHub):
    key = github.state.new_key()
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "test"}
    async with httpx.AsyncClient(
        base_url=github.url, transport=httpx.AsyncHTTPTransport(verify=False)
    ) as http:
        first = await http.get("/user", headers=headers)
        again = await http.get("/user", headers={**headers, "If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    assert first.headers["x-ratelimit-remaining"] == again.headers["x-ratelimit-remaining"] == "4999"


# --- happenings ------------------------------------------------------------------------------------------


@pytest.fixture
async def client(
    service: IntegrationService, github: LocalGitHub, clock: HandClock
) -> AsyncIterator[RestClient]:
    async def token(rejected: str | None = None) -> str:
        return key

    key = github.state.new_key()
    integration = service.catalog["github"]
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=False)) as http:
        yield RestClient(
            http,
            title="GitHub",
            base_url=github.url,
            token=token,
            clock=clock,
            headers=integration.manifest.headers,
            read_trouble=integration.read_trouble,
        )


@pytest.mark.parametrize(
    ("event", "count"),
    [
        ("issue.opened", 3),
        ("pull_request.opened", 2),
        ("pull_request.merged", 1),
        ("push", 2),
        ("release.published", 1),
    ],
)
async def test_asking_from_time_to_time_finds_everything_since(  # noqa: PLR0917 - fixtures
    service: IntegrationService,
    client: RestClient,
    github: LocalGitHub,
    clock: HandClock,
    event: str,
    count: int,
):
    poll = service.catalog["github"].events[event].poll
    assert poll is not None
    found = await poll(client, STORE, noon(clock.now(), 7) + timedelta(minutes=1))
    assert len(found) == count
    assert {one.type for one in found} == {event}
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert {one.author for one in found} == {None}
    assert await poll(client, STORE, found[-1].at) == found[-1:]
    assert await poll(client, STORE, found[-1].at + timedelta(seconds=1)) == []
    everything = await poll(client, BUSY, clock.now() - timedelta(days=400))
    many = {"issue.opened": 242, "push": 132, "pull_request.opened": 1, "pull_request.merged": 1}
    assert len(everything) == many.get(event, 1)


async def test_our_own_writes_are_known_by_their_maker(
    service: IntegrationService, call: Call, client: RestClient, github: LocalGitHub, clock: HandClock
):
    since = clock.now()
    await call("create_issue", repository=STORE, title="Ours", mark=MARK)
    await call("write_file", repository=STORE, path="a.md", content="x", message="Ours", mark=MARK)
    us = (await call("who_am_i"))["user"]["id"]
    for event in ("issue.opened", "push"):
        poll = service.catalog["github"].events[event].poll
        assert poll is not None
        assert [one.author for one in await poll(client, STORE, since)] == [us]
