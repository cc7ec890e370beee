"""What GitHub's answers and deliveries mean, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.integrations import load_catalog
from omniforge.integrations.catalog.github import shapes
from omniforge.integrations.catalog.github.client import next_link
from omniforge.integrations.catalog.github.events import read_delivery
from omniforge.integrations.catalog.github.standin import StandinState
from omniforge.integrations.catalog.github.standin.account import Release
from omniforge.integrations.catalog.github.standin.webhooks import delivery
from omniforge.integrations.catalog.github.trouble import read_trouble
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.rest import Answer, RestClient, Trouble
from omniforge.integrations.samples import LogicalClock, sample_client
from omniforge.integrations.standin import signed_delivery
from omniforge.integrations.webhooks import Forged, verify

Json = dict[str, Any]
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
GITHUB = load_catalog()["github"]
STORE = "acme-operations/storefront"
WEEK_AGO = (NOW - timedelta(days=7)).isoformat()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, httpx.Headers(named), json.dumps(body).encode())


# --- trouble ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (answer(403, {"message": "You have exceeded a secondary rate limit."}, retry_after="17"), 17),
        (answer(429, {"message": "Too many"}, retry_after="5"), 5),
        (answer(403, {"message": "You have exceeded a secondary rate limit."}), 60),
        (answer(403, {"message": "You have triggered an abuse detection mechanism."}), 60),
        (answer(422, {"message": "Validation Failed: was submitted too quickly"}), 60),
        (answer(429, None), 60),
        (
            answer(
                403,
                {"message": "API rate limit exceeded"},
                x_ratelimit_remaining="0",
                x_ratelimit_reset=str(int(NOW.timestamp()) + 600),
                date=NOW.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            ),
            601,
        ),
        (answer(403, {}, x_ratelimit_remaining="0", x_ratelimit_reset="1"), 60),
        (answer(403, {}, x_ratelimit_remaining="0", x_ratelimit_reset="soon", date="never"), 60),
    ],
)
def test_rate_limits_say_how_long_to_wait(given: Answer, seconds: float):
    said = read_trouble(given)
    assert said is not None
    assert said.trouble is Trouble.SLOW_DOWN
    assert said.retry_after == seconds


@pytest.mark.parametrize(
    ("given", "trouble", "words"),
    [
        (answer(403, {"message": "Must have admin rights."}), Trouble.FORBIDDEN, "“Must have admin rights”"),
        (answer(403, {"message": "Resource not accessible by integration"}), Trouble.FORBIDDEN, "permission"),
        (
            answer(403, {}, x_github_sso="required; url=https://github.com/orgs/acme/sso?x=1"),
            Trouble.FORBIDDEN,
            "https://github.com/orgs/acme/sso?x=1",
        ),
        (answer(404, {"message": "Not Found"}), Trouble.NOT_FOUND, "private"),
        (answer(301, {"message": "Moved Permanently"}), Trouble.NOT_FOUND, "renamed"),
        (answer(410, {"message": "Issues are disabled."}), Trouble.NOT_FOUND, "Issues are disabled"),
        (answer(451, {}), Trouble.FORBIDDEN, "legal"),
        (
            answer(422, {"message": "Validation Failed", "errors": [
                {"resource": "Issue", "field": "title", "code": "missing_field"},
                {"resource": "Release", "field": "tag_name", "code": "already_exists"},
                {"resource": "Issue", "code": "custom", "field": "body", "message": "body is too long"},
                "a bare sentence",
            ]}),
            Trouble.REFUSED,
            "a bare sentence; title is needed; tag name is taken already; body is too long",
        ),
        (answer(422, {"message": "sha wasn't supplied"}), Trouble.REFUSED, "sha wasn't supplied"),
    ],
)  # fmt: skip
def test_refusals_are_put_into_plain_words(given: Answer, trouble: Trouble, words: str):
    said = read_trouble(given)
    assert said is not None
    assert said.trouble is trouble
    assert words in said.text


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 409, 500, 503])
def test_what_the_status_tells_is_left_to_it(status: int):
    assert read_trouble(answer(status, {"message": "x"})) is None


def test_single_sign_on_elsewhere_is_not_passed_on():
    said = read_trouble(answer(403, {"message": "No"}, x_github_sso="required; url=https://evil.example/sso"))
    assert said is not None
    assert "evil" not in said.text


@given(
    st.sampled_from([301, 403, 404, 410, 422, 429, 451]),
    JSON,
    st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-remaining", "x-github-sso", "date"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
def test_no_answer_is_too_strange(status: int, body: Any, header: str, value: str):
    said = read_trouble(Answer(status, httpx.Headers({header: value}), json.dumps(body).encode()))
    assert said is not None
    assert said.retry_after is None or said.retry_after >= 0


# --- names, marks, links ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    ["acme/app", " acme/app ", "https://github.com/acme/app", "github.com/acme/app.git", "http://www.github.com/acme/app/issues/3?x#y"],
)  # fmt: skip
def test_a_repository_is_known_by_name_or_address(given: str):
    assert shapes.repository_name(given) == "acme/app"


@pytest.mark.parametrize(
    "given",
    ["", "app", "acme/", "/app", "acme/..", "a b/c", "acme/app/x", "https://gitlab.com/acme/app", "-x/y"],
)
def test_what_is_no_repository_is_refused(given: str):
    with pytest.raises(ValueError, match="owner/name"):
        shapes.repository_name(given)


@given(st.from_regex(r"[A-Za-z0-9_.:-]{4,120}", fullmatch=True), st.text(max_size=200))
def test_a_mark_is_found_again_and_never_shown(mark: str, text: str):
    marked = shapes.with_mark(text, mark)
    assert shapes.has_mark(marked, mark)
    assert not shapes.has_mark(marked, f"{mark}x")
    assert mark not in shapes.without_mark(marked).removeprefix(text.strip()) or mark in text
    assert shapes.has_mark(shapes.commit_message("Change", mark), mark)
    assert shapes.with_mark(text, None) == text


def test_a_link_that_cannot_be_read_is_an_error_of_ours():
    link = answer(200, [], link='<https://api.github.com/x?page=2>; rel="next", <https://x/>; rel="last"')
    assert str(next_link(link)) == "https://api.github.com/x?page=2"
    assert next_link(answer(200, [], link='<https://x/>; rel="last"')) is None
    assert next_link(answer(200, [])) is None
    with pytest.raises(ServiceDown):
        next_link(answer(200, [], link='<http://[::1>; rel="next"'))


async def test_results_held_back_by_single_sign_on_are_told():
    headers = {"X-GitHub-SSO": "partial-results; organizations=21955855,20582480"}
    found = await asked("list_repositories", {}, lambda _: httpx.Response(200, headers=headers, json=[]))
    assert found == {"repositories": [], "truncated": True}


@pytest.mark.parametrize(
    "link",
    [
        '<https://api.github.com/user/repos?page=1>; rel="next"',
        '<https://evil.example/user/repos?page=2>; rel="next"',
        '<http://api.github.com/user/repos?page=2>; rel="next"',
    ],
)
async def test_links_that_lead_round_or_away_are_not_followed(link: str):
    hosts: list[str] = []

    def answers(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(200, headers={"Link": link}, json=[{"id": len(hosts)}])

    with pytest.raises(ServiceDown):
        await asked("list_repositories", {}, answers)
    assert set(hosts) == {"api.github.com"}
    assert len(hosts) <= 2


async def asked(tool: str, args: Json, answers: Callable[[httpx.Request], httpx.Response]) -> Json:
    async def token(rejected: str | None = None) -> str:
        return "any"

    async with httpx.AsyncClient(transport=httpx.MockTransport(answers)) as http:
        client = RestClient(
            http,
            title="GitHub",
            base_url="https://api.github.com",
            token=token,
            clock=LogicalClock(NOW),
            read_trouble=read_trouble,
        )
        return await GITHUB.tool(f"github.{tool}").call(client, args)


# --- deliveries ------------------------------------------------------------------------------------------


@given(st.sampled_from(["issues", "pull_request", "push", "release", "ping", "star", ""]), st.data())
def test_no_delivery_is_too_strange(event: str, data: st.DataObject):
    parts = [
        "issue",
        "pull_request",
        "release",
        "repository",
        "sender",
        "commits",
        "head_commit",
        "ref",
        "after",
    ]
    payload = data.draw(st.dictionaries(st.sampled_from(parts), JSON, max_size=5))
    payload["action"] = data.draw(st.sampled_from(["opened", "closed", "published", None, 7]))
    for one in read_delivery({"X-GitHub-Event": event}, payload):
        assert one.at.tzinfo is not None


def test_only_merged_pull_requests_branches_and_published_releases_count():
    state = StandinState(now=lambda: NOW)
    body, headers = delivery(state, {"event": "pull_request.merged", "repository": STORE})
    body["pull_request"] |= {"merged": False, "merged_at": None}
    assert read_delivery(headers, body) == []
    body, headers = delivery(state, {"event": "push", "repository": STORE})
    assert read_delivery(headers, {**body, "ref": "refs/tags/v1"}) == []
    assert read_delivery(headers, {**body, "after": "0" * 40, "deleted": True}) == []
    body, headers = delivery(state, {"event": "release.published", "repository": STORE})
    assert read_delivery(headers, {**body, "action": "created"}) == []


async def test_a_delivery_and_a_question_tell_of_the_same_happening_alike():
    state = StandinState(now=lambda: NOW)
    body, headers = delivery(state, {"event": "issue.opened", "repository": STORE})
    [told] = read_delivery(headers, body)
    async with sample_client(GITHUB, NOW) as client:
        poll = GITHUB.events["issue.opened"].poll
        assert poll is not None
        found = await poll(client, STORE, told.at)
    assert found == [told]


def test_what_was_made_through_us_names_its_maker():
    state = StandinState(now=lambda: NOW)
    person = state.account.people[0]
    store = state.account.repository(STORE)
    assert store is not None
    marked = shapes.with_mark("x", "mark-1")
    store.releases.append(Release(7, "v9", None, marked, person.login, NOW, NOW))
    body, headers = delivery(state, {"event": "release.published", "repository": STORE, "id": 7})
    assert read_delivery(headers, body)[0].author == str(person.id)
    body, headers = delivery(state, {"event": "release.published", "repository": STORE})
    assert read_delivery(headers, body)[0].author is None


def test_deliveries_are_signed_over_their_bytes_as_github_documents_it():
    """The secret, text and signature of GitHub's own guide to validating deliveries."""
    webhook = GITHUB.manifest.webhook
    assert webhook is not None
    from omniforge.integrations.standin.deliveries import signature_of  # noqa: PLC0415

    signature = signature_of(webhook, "It's a Secret to Everybody", b"Hello, World!", "", "")
    assert signature == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    sent = signed_delivery(webhook, "secret", {"zen": "x"}, NOW)
    assert sent.headers["x-hub-signature-256"].startswith("sha256=")


# --- sample data -----------------------------------------------------------------------------------------


async def sample(tool: str, args: Json, **how: Any) -> Json:
    async with sample_client(GITHUB, NOW, **how) as client:
        return await GITHUB.tool(f"github.{tool}").call(client, args)


async def test_samples_stand_in_for_a_repository_nobody_knows():
    found = await sample("list_issues", {"repository": "globex/rockets", "state": "open"})
    assert len(found["issues"]) == 4
    assert all("globex/rockets" in issue["url"] for issue in found["issues"])


async def test_samples_take_labels_and_milestones_of_a_known_repository():
    fields = [
        {"name": "labels", "type": "multi_select", "options": ["kind/bug", "kind/idea"]},
        {"name": "milestone", "type": "select", "options": ["2027"]},
    ]
    resource = {"id": "globex/rockets", "name": "globex/rockets", "fields": fields}
    described = await sample("describe_repository", {"repository": "globex/rockets"}, resources=[resource])
    assert [label["name"] for label in described["labels"]] == ["kind/bug", "kind/idea"]
    found = await sample("list_issues", {"repository": "globex/rockets"}, resources=[resource])
    assert {name for issue in found["issues"] for name in issue["labels"]} <= {"kind/bug", "kind/idea"}
    assert {issue["milestone"] for issue in found["issues"]} <= {"2027", None}


async def test_empty_samples_have_repositories_without_anything_in_them():
    found = await sample("list_repositories", {}, empty=True)
    assert [one["items"] for one in found["repositories"]] == [0, 0, 0]
    assert (await sample("list_issues", {"repository": STORE}, empty=True))["issues"] == []
    assert (await sample("list_commits", {"repository": STORE}, empty=True))["commits"] == []


async def test_events_need_a_repository():
    async with sample_client(GITHUB, NOW) as client:
        for kind in GITHUB.events.values():
            assert kind.poll is not None
            for resource in (None, "no repository"):
                with pytest.raises(Invalid) as refusal:
                    await kind.poll(client, resource, NOW)
                assert refusal.value.details["fields"][0]["field"] == "resource"
                assert isinstance(refusal.value, OmniForgeError)


def test_a_delivery_of_the_local_server_passes_our_check_and_names_its_workspace():
    state = StandinState(now=lambda: NOW)
    webhook = GITHUB.manifest.webhook
    assert webhook is not None
    body, headers = delivery(state, {"event": "push", "repository": STORE})
    sent = signed_delivery(webhook, "secret", body, NOW, headers)
    got = verify(webhook, [b"secret"], sent.headers, sent.body, NOW)
    assert got.workspace == str(state.account.organization.id)
    assert [one.type for one in read_delivery(sent.headers, got.payload)] == ["push"]
    with pytest.raises(Forged):
        verify(webhook, [b"secret"], sent.headers, sent.body + b" ", NOW)
