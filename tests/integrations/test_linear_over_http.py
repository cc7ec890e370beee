"""Linear over real HTTP: connect, look around, read, write, and what becomes of bad answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from omniforge.core.actor import Actor
from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.errors import Invalid
from omniforge.integrations import Connection, IntegrationService
from omniforge.integrations.catalog.linear.client import id_from
from omniforge.integrations.catalog.linear.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.errors import (
    AnswerTooLarge,
    ConflictThere,
    PermissionDeniedThere,
    RateLimitedThere,
    ServiceDown,
)
from omniforge.integrations.manifest import Occurrence
from omniforge.integrations.standin import Fault, FaultKind, Grant
from standin_server import HandClock, RunningServer, answer_consent

Json = dict[str, Any]
Call = Callable[..., Awaitable[Json]]


@dataclass
class LocalLinear:
    """The running stand-in: its address and all it remembers."""

    url: str
    state: StandinState

    def sent(self) -> list[str]:
        return [str((entry.body or {}).get("operationName")) for entry in self.state.requests]

    def team(self, key: str) -> Json:
        return next(team for team in self.state.world.rows("Team") if team["key"] == key)

    def issues(self, key: str) -> list[Json]:
        return self.state.world.related("Team", self.team(key), "issues")

    def issue(self, identifier: str) -> Json:
        return self.state.world.need("Issue", identifier)


@pytest.fixture(scope="module")
def linear_server() -> Iterator[RunningServer]:
    running = RunningServer.start(create_app())
    yield running
    running.stop()


@pytest.fixture
def linear(linear_server: RunningServer, clock: HandClock) -> LocalLinear:
    state = StandinState(now=clock.now)
    linear_server.use(state)
    return LocalLinear(linear_server.url, state)


@pytest.fixture
def settings(tmp_path: Path, linear: LocalLinear) -> Settings:
    registration = ServiceSettings(
        client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET), base_url=linear.url
    )
    return Settings(home=tmp_path, services={"linear": registration})


@pytest.fixture
async def service(
    make_service: Callable[[Settings], IntegrationService], settings: Settings
) -> AsyncIterator[IntegrationService]:
    made = make_service(settings)
    yield made
    await made.close()


async def connect(service: IntegrationService, actor: Actor, **chosen: str) -> Connection:
    sign_in = await service.start_sign_in(actor, "linear")
    answer = await answer_consent(sign_in.auth_url, **chosen)
    return await service.finish_sign_in(actor, "linear", answer["code"], answer["state"])


@pytest.fixture
async def connection(service: IntegrationService, actor: Actor) -> Connection:
    return await connect(service, actor)


@pytest.fixture
def call(service: IntegrationService, actor: Actor, connection: Connection) -> Call:
    async def called(tool: str, **args: Any) -> Json:
        return await service.call_tool(actor.tenant_id, actor.user_id, connection.id, f"linear.{tool}", args)

    return called


def browser() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=False))


# --- signing in


async def test_a_person_connects_and_finds_teams_and_projects_with_their_issues(
    service: IntegrationService, actor: Actor, connection: Connection, linear: LocalLinear
) -> None:
    assert connection.workspace_name == "Acme Operations"
    assert set(connection.scopes) == {"read", "write"}
    teams = {one.name: one.items for one in await service.list_resources(actor, connection.id, "team")}
    assert teams == {"Engineering": 132, "Design": 24, "Operations": 12}
    projects = {one.name: one.items for one in await service.list_resources(actor, connection.id, "project")}
    world = linear.state.world
    assert projects == {
        project["name"]: len(world.related("Project", project, "issues")) for project in world.rows("Project")
    }
    assert sum(projects.values()) > 20


async def test_the_link_asks_for_scopes_by_commas_and_with_pkce(
    service: IntegrationService, actor: Actor
) -> None:
    asked = parse_qs(urlsplit((await service.start_sign_in(actor, "linear")).auth_url).query)
    assert asked["scope"] == ["read,write"]
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43


async def test_a_code_is_worth_nothing_without_its_verifier(
    service: IntegrationService, actor: Actor, linear: LocalLinear
) -> None:
    sign_in = await service.start_sign_in(actor, "linear")
    answer = await answer_consent(sign_in.auth_url)
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": parse_qs(urlsplit(sign_in.auth_url).query)["redirect_uri"][0],
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    async with browser() as thief:
        for verifier in ({}, {"code_verifier": "x" * 43}):
            refused = await thief.post(f"{linear.url}/oauth/token", data={**form, **verifier})
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await service.finish_sign_in(actor, "linear", answer["code"], answer["state"])).workspace_id


async def test_tokens_last_a_day_and_a_lost_renewal_can_be_asked_for_again(
    call: Call, connection: Connection, linear: LocalLinear, clock: HandClock
) -> None:
    assert connection.expires_at is not None
    assert timedelta(hours=23) < connection.expires_at - clock.now() <= timedelta(hours=24)
    clock.forward(hours=24)
    linear.state.faults.append(Fault(FaultKind.LOST, path="/oauth/token"))
    with pytest.raises(ServiceDown):
        await call("who_am_i")
    clock.forward(minutes=5)
    assert (await call("who_am_i"))["user"]["name"] == "Maya Lindholm"
    assert linear.state.refreshes == 2


async def test_another_workspace_is_another_connection(
    service: IntegrationService, actor: Actor, connection: Connection, linear: LocalLinear
) -> None:
    second = await connect(service, actor, account=linear.state.second.organization["id"])
    assert second.workspace_name == "Acme Labs"
    assert second.workspace_id != connection.workspace_id
    assert {one.items for one in await service.list_resources(actor, second.id)} == {0}


async def test_an_access_key_goes_alone_and_a_token_as_bearer(linear: LocalLinear) -> None:
    key = linear.state.new_key()
    token = "lin_oauth_of_the_test"
    linear.state.access[token] = Grant(person=linear.state.access[key].person)
    question = {"query": "{ viewer { name } }"}

    async def asked(authorization: str) -> tuple[int, str]:
        async with browser() as http:
            headers = {"Authorization": authorization}
            answer = await http.post(f"{linear.url}/graphql", json=question, headers=headers)
        return answer.status_code, answer.text

    assert (await asked(key))[0] == 200
    assert (await asked(f"Bearer {token}"))[0] == 200
    status, said = await asked(f"Bearer {key}")
    assert (status, "Remove the Bearer prefix" in said) == (400, True)
    assert (await asked(token))[0] == 401
    assert (await asked("lin_api_wrong"))[0] == 401


# --- writing


async def test_an_issue_is_made_with_everything_by_name_and_read_back(
    call: Call, linear: LocalLinear
) -> None:
    team = linear.team("ENG")["id"]
    made = await call(
        "create_issue",
        team_id=team,
        title="Made here",
        description="Some *text*",
        state="in progress",
        assignee="Sandra Pires",
        labels=["bug", "tech debt"],
        priority="urgent",
        project="Billing 2.0",
        due="2026-12-24",
        estimate=5,
        mark="run_1:step:1",
    )
    assert made["identifier"] == "ENG-133"
    assert made["id"] == id_from("issue", "run_1:step:1")
    found = await call("read_issue", issue_id=made["id"])
    expected = {
        "title": "Made here", "text": "Some *text*", "state": "In Progress", "assignee": "Sandra Pires",
        "labels": ["Bug", "tech debt"], "priority": "Urgent", "project": "Billing 2.0", "due": "2026-12-24",
        "estimate": 5, "team_id": team, "creator": "Maya Lindholm",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert found["started_at"]


async def test_a_second_try_with_the_same_mark_makes_no_second_issue(call: Call, linear: LocalLinear) -> None:
    args = {"team_id": "OPS", "title": "Once", "mark": "run_1:step:2"}
    assert (await call("find_issue", mark="run_1:step:2"))["issue"] is None
    first = await call("create_issue", **args)
    again = await call("create_issue", **args)
    assert again == first
    assert (await call("find_issue", mark="run_1:step:2"))["issue"] == first
    assert len(linear.issues("OPS")) == 13


async def test_a_comment_whose_answer_is_lost_is_found_and_not_said_twice(
    call: Call, linear: LocalLinear
) -> None:
    args = {"issue_id": "ENG-5", "text": "Looks good", "mark": "run_1:step:3"}
    linear.state.faults.append(Fault(FaultKind.LOST, body="commentCreate"))
    with pytest.raises(ServiceDown) as refusal:
        await call("add_comment", **args)
    assert refusal.value.details["outcome_unknown"] is True
    found = await call("find_comment", mark="run_1:step:3")
    assert found["comment"]["id"] == id_from("comment", "run_1:step:3")
    assert (await call("add_comment", **args))["id"] == found["comment"]["id"]
    said = [
        c["body"] for c in linear.state.world.rows("Comment") if c["issueId"] == linear.issue("ENG-5")["id"]
    ]
    assert said.count("Looks good") == 1


async def test_an_update_changes_what_is_named_and_nothing_else(call: Call, linear: LocalLinear) -> None:
    before = await call("read_issue", issue_id="ENG-3")
    change = {"issue_id": "ENG-3", "state": "Done", "add_labels": ["Feature"], "priority": "low"}
    assert (await call("find_change", **change))["issue"] is None
    await call("update_issue", **change)
    assert (await call("find_change", **change))["issue"]["identifier"] == "ENG-3"
    after = await call("read_issue", issue_id="ENG-3")
    assert (after["state"], after["priority"]) == ("Done", "Low")
    assert after["completed_at"]
    assert set(after["labels"]) == {*before["labels"], "Feature"}
    same = ("title", "assignee", "project", "due", "estimate", "text", "created_at")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


async def test_without_the_scope_nothing_is_written(call: Call, linear: LocalLinear) -> None:
    for grant in linear.state.access.values():
        grant.scopes = ("read", "comments:create")
    assert await call("add_comment", issue_id="ENG-1", text="allowed")
    with pytest.raises(PermissionDeniedThere, match="reconnect Linear"):
        await call("update_issue", issue_id="ENG-1", state="Done")
    assert linear.issue("ENG-1")["completedAt"] is None


# --- bad answers


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.SERVER_ERROR, ServiceDown),
        (FaultKind.UNAVAILABLE, ServiceDown),
        (FaultKind.GARBAGE, ServiceDown),
        (FaultKind.HALF_JSON, ServiceDown),
        (FaultKind.WRONG_SHAPE, ServiceDown),
        (FaultKind.HUGE, AnswerTooLarge),
        (FaultKind.FORBIDDEN, PermissionDeniedThere),
        (FaultKind.CONFLICT, ConflictThere),
    ],
)
async def test_a_bad_answer_becomes_one_of_our_errors(
    call: Call, linear: LocalLinear, kind: FaultKind, error: type[Exception]
) -> None:
    linear.state.faults.append(Fault(kind, times=9, body='"operationName":"Issues"'))
    with pytest.raises(error):
        await call("read_issues", team_id="ENG")


async def test_reading_goes_on_after_a_moment_of_trouble(call: Call, linear: LocalLinear) -> None:
    linear.state.faults.append(Fault(FaultKind.SERVER_ERROR, times=2))
    assert (await call("who_am_i"))["workspace"]["name"] == "Acme Operations"


async def test_an_hours_requests_used_up_tell_when_to_go_on(
    call: Call, linear: LocalLinear, clock: HandClock
) -> None:
    linear.state.requests_an_hour = 3
    linear.state.buckets.clear()
    for _ in range(3):
        await call("who_am_i")
    with pytest.raises(RateLimitedThere) as refusal:
        await call("create_issue", team_id="ENG", title="Later")
    assert 600 < (refusal.value.retry_after or 0) <= 3602  # whole seconds, of two clocks
    clock.forward(hours=1)
    assert (await call("who_am_i"))["user"]["name"] == "Maya Lindholm"


# --- what happens


@pytest.fixture
def poll(service: IntegrationService, connection: Connection, actor: Actor) -> Callable[..., Any]:
    async def polled(event: str, team: str | None, since: datetime) -> list[Occurrence]:
        who = (actor.tenant_id, actor.user_id, connection.id)
        return await service.poll(*who, event, team, since)

    return polled


async def delivered(linear: LocalLinear, service: IntegrationService, about: Json) -> list[Occurrence]:
    """What our reader makes of the webhook that the local server sends for it."""
    asked = {"url": f"{linear.url}/_control", "secret": "s3cret", **about}
    async with browser() as http:
        told = (await http.post(f"{linear.url}/_control/deliver", json=asked)).json()
    headers = {name.lower(): value for name, value in told["headers"].items()}
    assert headers["linear-event"] in ("Issue", "Comment")
    return service.catalog["linear"].read_delivery(headers, told["payload"])


async def test_a_poll_and_a_webhook_tell_of_a_new_issue_alike(
    call: Call, poll: Any, service: IntegrationService, linear: LocalLinear, clock: HandClock
) -> None:
    since = clock.now()
    team = linear.team("ENG")["id"]
    made = await call("create_issue", team_id=team, title="Fresh", assignee="me", labels=["Bug"])
    await call("create_issue", team_id="DES", title="Elsewhere")
    [found] = await poll("issue.created", team, since)
    assert [found] == await delivered(linear, service, {"event": "issue.created", "id": made["id"]})
    assert (found.id, found.resource, found.item["title"]) == (made["id"], team, "Fresh")
    assert found.author == (await call("who_am_i"))["user"]["id"]
    assert found.item == (await call("read_issues", team_id=team, search="Fresh"))["issues"][0]
    assert {one.item["title"] for one in await poll("issue.created", None, since)} == {"Fresh", "Elsewhere"}


async def test_an_update_is_told_with_what_changed_and_by_whom(
    call: Call, poll: Any, service: IntegrationService, linear: LocalLinear, clock: HandClock
) -> None:
    clock.forward(minutes=1)
    since, team = clock.now(), linear.team("ENG")["id"]
    await call("create_issue", team_id=team, title="Only made")
    clock.forward(minutes=1)
    await call("update_issue", issue_id="ENG-7", priority="high", add_labels=["customer"], title="New name")
    [found] = await poll("issue.updated", team, since)
    assert found.item["changed"] == ["labels", "priority", "title"]
    assert found.author == (await call("who_am_i"))["user"]["id"]
    before = {"updatedAt": "x", "priority": 2, "labelIds": [], "title": "Old"}
    about = {"event": "issue.updated", "id": found.id, "actor": found.author, "before": before}
    assert await delivered(linear, service, about) == [found]
    assert await poll("issue.updated", team, clock.now() + timedelta(seconds=1)) == []


async def test_a_new_comment_is_told_with_its_issue(
    call: Call, poll: Any, service: IntegrationService, linear: LocalLinear, clock: HandClock
) -> None:
    clock.forward(minutes=1)
    since, team = clock.now(), linear.team("OPS")["id"]
    made = await call("add_comment", issue_id="OPS-2", text="Please look")
    await call("add_comment", issue_id="ENG-2", text="Not here")
    [found] = await poll("comment.created", team, since)
    assert (found.id, found.resource, found.item["text"]) == (made["id"], team, "Please look")
    assert found.item["issue"]["identifier"] == "OPS-2"
    assert [found] == await delivered(linear, service, {"event": "comment.created", "id": made["id"]})
    assert len(await poll("comment.created", None, since)) == 2


async def test_a_poll_finds_everything_over_pages(poll: Any, linear: LocalLinear) -> None:
    found = await poll("issue.created", linear.team("ENG")["id"], datetime(2020, 1, 1, tzinfo=UTC))
    assert len(found) == 132
    with pytest.raises(Invalid):
        await poll("issue.created", "ENG", datetime(2020, 1, 1, tzinfo=UTC))
