"""Linear's tools over its protocol inside this process: what they ask, make of names, and refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.integrations import load_catalog
from omniforge.integrations.catalog.linear.standin import StandinState, create_app
from omniforge.integrations.errors import RateLimitedThere, RefusedThere, ResourceNotFound, ServiceDown
from omniforge.integrations.rest import RestClient
from omniforge.integrations.samples import sample_client
from omniforge.integrations.standin import Grant, sample_transport
from standin_server import HandClock

Json = dict[str, Any]
Call = Callable[..., Awaitable[Json]]
LINEAR = load_catalog()["linear"]


@dataclass
class LocalLinear:
    """The local server's state; every token is good."""

    state: StandinState = field(default_factory=lambda: StandinState(open_to=Grant()))

    def sent(self) -> list[str]:
        return [str((entry.body or {}).get("operationName")) for entry in self.state.requests]

    def team(self, key: str) -> Json:
        return next(team for team in self.state.world.rows("Team") if team["key"] == key)

    def issues(self, key: str) -> list[Json]:
        return self.state.world.related("Team", self.team(key), "issues")

    def issue(self, identifier: str) -> Json:
        return self.state.world.need("Issue", identifier)


@pytest.fixture
def linear() -> LocalLinear:
    return LocalLinear()


@pytest.fixture
async def call(linear: LocalLinear) -> AsyncIterator[Call]:
    async def token(rejected: str | None = None) -> str:
        return "any"

    transport = sample_transport(create_app(linear.state))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        client = RestClient(
            http,
            title="Linear",
            base_url="http://linear.invalid",
            token=token,
            clock=HandClock(),
            read_trouble=LINEAR.read_trouble,
        )

        async def called(tool: str, **args: Any) -> Json:
            return await LINEAR.tool(f"linear.{tool}").call(client, args)

        yield called


async def test_a_team_is_described_with_states_in_order_labels_and_members(call: Call) -> None:
    team = await call("describe_team", team_id="eng")
    assert (team["name"], team["items"], team["truncated"]) == ("Engineering", 132, False)
    assert [state["name"] for state in team["states"]][:4] == ["Triage", "Backlog", "Todo", "In Progress"]
    names = [label["name"] for label in team["labels"]]
    assert names == [
        "Bug",
        "customer",
        "Feature",
        "Improvement",
        "tech debt",
    ]  # no group, none of other teams
    assert [person["name"] for person in team["members"]] == [
        "Derek Osei",
        "Jonas Weber",
        "Maya Lindholm",
        "Sandra Pires",
    ]
    fields = {field["name"]: field for field in team["fields"]}
    assert fields["state"]["options"] == [state["name"] for state in team["states"]]
    issue = (await call("read_issues", team_id="ENG", limit=1))["issues"][0]
    assert set(fields) == set(issue) - {"id", "url", "team", "team_id"}


async def test_all_issues_are_read_over_pages_and_a_part_of_them_is_marked(
    call: Call, linear: LocalLinear
) -> None:
    found = await call("read_issues", team_id="Engineering")
    assert (len(found["issues"]), found["truncated"]) == (132, False)
    assert linear.sent().count("Issues") == 2
    assert len({issue["id"] for issue in found["issues"]}) == 132
    times = [issue["updated_at"] for issue in found["issues"]]
    assert times == sorted(times, reverse=True)
    some = await call("read_issues", team_id="Engineering", limit=101)
    assert (len(some["issues"]), some["truncated"]) == (101, True)
    exact = await call("read_issues", team_id="Operations", limit=12)
    assert (len(exact["issues"]), exact["truncated"]) == (12, False)


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"states": ["in progress"]}, lambda i: i["state"] == "In Progress"),
        ({"states": ["started"]}, lambda i: i["state_type"] == "started"),
        ({"states": ["open"]}, lambda i: i["state_type"] not in ("completed", "canceled", "duplicate")),
        ({"states": ["closed", "Todo"]}, lambda i: i["state_type"] in ("completed", "canceled", "unstarted")),
        ({"assignee": "derek osei"}, lambda i: i["assignee"] == "Derek Osei"),
        ({"assignee": "derek@acme.example"}, lambda i: i["assignee"] == "Derek Osei"),
        ({"assignee": "me"}, lambda i: i["assignee"] == "Maya Lindholm"),
        ({"assignee": "nobody"}, lambda i: i["assignee"] is None),
        ({"labels": ["bug", "Feature"]}, lambda i: {"Bug", "Feature"} & set(i["labels"])),
        ({"priorities": ["urgent", "none"]}, lambda i: i["priority"] in ("Urgent", "No priority")),
        ({"project_id": "patient portal"}, lambda i: i["project"] == "Patient portal"),
        ({"search": "CRASH"}, lambda i: "crash" in i["title"].lower()),
    ],
)  # fmt: skip
async def test_conditions_are_linears_to_apply(call: Call, asked: Json, fits: Callable[[Json], Any]) -> None:
    everything = (await call("read_issues", team_id="ENG"))["issues"]
    found = (await call("read_issues", team_id="ENG", **asked))["issues"]
    assert {issue["id"] for issue in found} == {issue["id"] for issue in everything if fits(issue)}
    assert 0 < len(found) < len(everything)


@pytest.mark.parametrize("kind", ["updated", "created", "completed"])
async def test_a_window_has_its_first_moment_and_not_its_last(call: Call, kind: str) -> None:
    everything = [i for i in (await call("read_issues"))["issues"] if i[f"{kind}_at"]]
    middle = sorted(issue[f"{kind}_at"] for issue in everything)[len(everything) // 2]
    after = (await call("read_issues", **{f"{kind}_after": middle}))["issues"]
    before = (await call("read_issues", **{f"{kind}_before": middle}))["issues"]
    assert {i["id"] for i in after} == {i["id"] for i in everything if i[f"{kind}_at"] >= middle}
    assert {i["id"] for i in before} == {i["id"] for i in everything if i[f"{kind}_at"] < middle}
    assert after
    assert before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"team_id": "Enginering"}, "did you mean Engineering?"),
        ({"team_id": "zzz"}, "there is Design, Engineering, Operations"),
        ({"team_id": "00000000-0000-4000-8000-000000000000"}, "must be known to Linear"),
        ({"team_id": "ENG", "states": ["Doen"]}, "did you mean Done or Todo?"),
        ({"assignee": "Derek Ossei"}, "did you mean Derek Osei?"),
        ({"labels": ["Bgu"]}, "did you mean Bug?"),
        ({"project_id": "Patent portal"}, "did you mean Patient portal?"),
    ],
)
async def test_a_name_that_linear_does_not_know_names_the_near_ones(
    call: Call, asked: Json, said: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        await call("read_issues", **asked)
    assert said in refusal.value.details["fields"][0]["rule"]
    assert said in refusal.value.message


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"colour": "red"},
        {"updated_after": "yesterday"},
        {"priorities": ["hot"]},
        {"team_id": ""},
    ],
)
async def test_arguments_that_do_not_fit_are_named(call: Call, asked: Json) -> None:
    with pytest.raises(Invalid) as refusal:
        await call("read_issues", **asked)
    assert refusal.value.details["fields"][0]["rule"]


async def test_an_issue_is_read_with_its_text_and_all_its_comments(call: Call, linear: LocalLinear) -> None:
    issue = linear.issues("ENG")[-1]
    author = linear.state.world.rows("User")[0]["id"]
    for number in range(60):
        moment = f"2026-01-01T00:{number:02}:00.000Z"
        said = {"body": f"Comment {number}", "userId": author, "issueId": issue["id"], "parentId": None}
        linear.state.world.add("Comment", {**said, "createdAt": moment})
    issue["description"] = "# What\n\nIt **breaks**."
    found = await call("read_issue", issue_id=issue["identifier"].lower())
    assert found["text"] == "# What\n\nIt **breaks**."
    added = [comment["text"] for comment in found["comments"]]
    assert added[:60] == [f"Comment {number}" for number in range(60)]
    assert found["comments"][0]["author"] == "Maya Lindholm"
    assert linear.sent().count("IssueComments") == 2


async def test_an_issue_that_is_gone_is_said_to_be(call: Call) -> None:
    with pytest.raises(ResourceNotFound, match="Could not find referenced Issue"):
        await call("read_issue", issue_id="ENG-9999")


async def test_null_takes_a_value_away(call: Call) -> None:
    given = {"issue_id": "ENG-4", "assignee": "me", "due": "2026-12-24", "project": "Billing 2.0"}
    await call("update_issue", **given, estimate=3, add_labels=["Bug"])
    taken = {"assignee": None, "due": None, "project": None, "estimate": None, "remove_labels": ["Bug"]}
    await call("update_issue", issue_id="ENG-4", **taken)
    found = await call("read_issue", issue_id="ENG-4")
    assert [found[name] for name in ("assignee", "due", "project", "estimate")] == [None] * 4
    assert "Bug" not in found["labels"]


@pytest.mark.parametrize(
    ("tool", "args", "said"),
    [
        (
            "create_issue",
            {"team_id": "DES", "title": "x", "labels": ["tech debt"]},
            "Linear has no single label",
        ),
        ("create_issue", {"team_id": "DES", "title": "x", "labels": ["Area"]}, "Linear has no single label"),
        ("create_issue", {"team_id": "DES", "title": "x", "assignee": "Nobody Known"}, "no single person"),
        ("update_issue", {"issue_id": "ENG-1"}, "Say what to change"),
        ("update_issue", {"issue_id": "ENG-1", "state": "Somewhere"}, "no single state"),
        ("update_issue", {"issue_id": "ENG-1", "title": ""}, "check title"),
        ("add_comment", {"issue_id": "ENG-1", "text": ""}, "check text"),
    ],
)
async def test_a_write_that_does_not_fit_is_not_sent(
    call: Call, linear: LocalLinear, tool: str, args: Json, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        await call(tool, **args)
    assert not {"CreateIssue", "UpdateIssue", "AddComment"} & set(linear.sent())


async def test_two_of_one_name_have_to_be_told_apart(call: Call, linear: LocalLinear) -> None:
    first = linear.state.world.rows("Project")[0]
    linear.state.world.add("Project", {**first, "id": linear.state.new_id()})
    with pytest.raises(Invalid, match="2 are called so; give the id") as refusal:
        await call("update_issue", issue_id="ENG-1", project=first["name"])
    assert first["id"] in refusal.value.message
    await call("update_issue", issue_id="ENG-1", project=first["id"])
    assert linear.issue("ENG-1")["projectId"] == first["id"]


async def test_what_linear_finds_wrong_comes_in_its_own_words(call: Call) -> None:
    with pytest.raises(RefusedThere, match="Discrepancy between issue team and project teams"):
        await call("create_issue", team_id="DES", title="x", project="Office move")


async def test_complexity_used_up_is_waited_for_by_its_own_bucket(call: Call, linear: LocalLinear) -> None:
    linear.state.complexity_an_hour = 6_000
    linear.state.buckets.clear()
    await call("read_issues", limit=100)
    with pytest.raises(RateLimitedThere):
        await call("read_issues", limit=100)
    last = linear.state.requests[-1]
    assert last.status == 400


async def test_no_question_of_ours_is_too_complex(call: Call, linear: LocalLinear) -> None:
    linear.state.most_complex = 10_000
    await call("list_projects")
    await call("read_issues")
    linear.state.most_complex = 50
    with pytest.raises(RefusedThere, match="Query too complex"):
        await call("read_issues")


# --- answers that are not whole


def answering(*answers: Json) -> RestClient:
    """A client that gets these answers, the last one for ever."""
    waiting = list(answers)

    async def token(rejected: str | None = None) -> str:
        return "any"

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=waiting.pop(0) if len(waiting) > 1 else waiting[0])

    return RestClient(
        httpx.AsyncClient(transport=httpx.MockTransport(answer), trust_env=False),
        title="Linear",
        base_url="http://linear.invalid",
        token=token,
        clock=HandClock(),
        read_trouble=LINEAR.read_trouble,
    )


def page(*ids: str, cursor: str | None = None) -> Json:
    nodes = [{"id": one, "title": one} for one in ids]
    return {"issues": {"nodes": nodes, "pageInfo": {"hasNextPage": cursor is not None, "endCursor": cursor}}}


async def test_missing_parts_mark_what_was_read_as_cut() -> None:
    hidden = {"message": "Forbidden", "path": ["issues", "nodes", 0, "project"], "extensions": {}}
    client = answering({"data": page("a", "b"), "errors": [hidden]})
    found = await LINEAR.tool("linear.read_issues").call(client, {})
    assert ([issue["id"] for issue in found["issues"]], found["truncated"]) == (["a", "b"], True)


async def test_what_moves_to_the_next_page_meanwhile_is_counted_once() -> None:
    client = answering({"data": page("a", "b", cursor="b")}, {"data": page("b", "c")})
    found = await LINEAR.tool("linear.read_issues").call(client, {})
    assert [issue["id"] for issue in found["issues"]] == ["a", "b", "c"]


async def test_a_list_that_leads_in_a_circle_is_left() -> None:
    with pytest.raises(ServiceDown, match="list without an end"):
        await LINEAR.tool("linear.read_issues").call(answering({"data": page("a", cursor="a")}), {})


@pytest.mark.parametrize("data", [None, {}, {"issues": None}, {"issues": {"nodes": "x"}}, {"issues": []}])
async def test_an_answer_of_another_shape_cannot_be_read(data: Any) -> None:
    with pytest.raises(ServiceDown):
        await LINEAR.tool("linear.read_issues").call(answering({"data": data}), {})


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"issueUpdate": {"success": False, "issue": None}}, RefusedThere),
        ({"issueUpdate": {"success": True, "issue": None}}, ServiceDown),
        ({"issueUpdate": None}, ServiceDown),
        ({}, ServiceDown),
    ],
)
async def test_a_write_that_is_not_confirmed_is_not_taken_for_done(
    payload: Json, error: type[OmniForgeError]
) -> None:
    issue = {"data": {"issue": {"id": "i", "team": {"id": "t"}}}}
    with pytest.raises(error) as refusal:
        await LINEAR.tool("linear.update_issue").call(
            answering(issue, {"data": payload}), {"issue_id": "ENG-1", "due": None}
        )
    assert (refusal.value.details.get("outcome_unknown") is True) == (error is ServiceDown)


# --- sample data


NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
OWN = "11111111-2222-4333-8444-555555555555"


async def sample(tool: str, args: Json, **how: Any) -> Json:
    async with sample_client(LINEAR, NOW, **how) as client:
        return await LINEAR.tool(f"linear.{tool}").call(client, args)


async def test_samples_hold_the_teams_and_projects_known_from_a_connection() -> None:
    resources = [
        {"id": OWN, "name": "Platform", "kind": "team"},
        {"id": OWN.replace("1", "2"), "name": "Own project", "kind": "project"},
    ]
    assert (await sample("describe_team", {"team_id": "Platform"}, resources=resources))["id"] == OWN
    in_team = await sample("read_issues", {"team_id": OWN}, resources=resources)
    in_project = await sample("read_issues", {"project_id": "own project"}, resources=resources)
    assert len(in_team["issues"]) == len(in_project["issues"]) == 8
    assert {issue["team"] for issue in in_team["issues"]} == {"Platform"}
    assert {issue["project"] for issue in in_project["issues"]} == {"Own project"}


async def test_a_team_that_samples_do_not_know_is_taken_for_the_first() -> None:
    assert (await sample("read_issues", {"team_id": OWN}))["issues"]
    made = await sample("create_issue", {"team_id": OWN, "title": "Dry"})
    assert made["identifier"].startswith("ENG-")
    assert (await sample("read_issue", {"issue_id": OWN}))["comments"] is not None
    assert (await sample("find_issue", {"mark": "never:made"}))["issue"] is None


async def test_an_empty_sample_has_teams_and_nothing_in_them() -> None:
    assert {team["items"] for team in (await sample("list_teams", {}, empty=True))["teams"]} == {0}
    assert (await sample("read_issues", {}, empty=True)) == {"issues": [], "truncated": False}
