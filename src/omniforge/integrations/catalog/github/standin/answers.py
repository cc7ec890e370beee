"""What the local server answers to questions: the parts of GitHub's REST API that are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from omniforge.integrations import standin
from omniforge.integrations.catalog.github.standin import discussions, history, shapes
from omniforge.integrations.catalog.github.standin.account import Activity, Commit, Item, Repository
from omniforge.integrations.catalog.github.standin.state import StandinState
from omniforge.integrations.standin import Json, Refusal, page_number

Call = standin.Call[StandinState]
T = TypeVar("T")

DOCS = "https://docs.github.com/rest"
ORDERS: dict[str, Callable[[Item], Any]] = {
    "created": lambda item: (item.created, item.number),
    "updated": lambda item: (item.updated, item.number),
    "comments": lambda item: (len(item.comments), item.number),
}


def not_found() -> Refusal:
    return Refusal(404, "", "Not Found")


def refuse(refusal: Refusal) -> Response:
    """GitHub's shape; of a repository under its old name, the message is where it is now."""
    if refusal.status == 301:
        body: Json = {"message": "Moved Permanently", "url": str(refusal), "documentation_url": DOCS}
        return JSONResponse(body, refusal.status, {"Location": str(refusal)})
    body = {"message": str(refusal)}
    if isinstance(refusal, Unprocessable) and refusal.errors:
        body["errors"] = refusal.errors
    body |= {"documentation_url": DOCS, "status": str(refusal.status)}
    return JSONResponse(body, refusal.status, refusal.headers)


class Unprocessable(Refusal):
    """422 with its list of what is wrong."""

    def __init__(self, *errors: Json, message: str = "Validation Failed") -> None:
        super().__init__(422, "", message)
        self.errors = list(errors)


# --- finding ---------------------------------------------------------------------------------------------


def repository_of(call: Call) -> Repository:
    """By owner and name, or by the id that links to further pages have."""
    known = call.request.path_params
    account = call.state.account
    name = f"id:{known['id']}" if "id" in known else f"{known['owner']}/{known['repo']}"
    if name.casefold() in account.renamed:
        target = f"{call.request.base_url}repositories/{account.renamed[name.casefold()]}"
        raise Refusal(301, "", target)
    found = account.repository(name)
    if found is None:
        raise not_found()
    if call.state.sso:
        url = f"{shapes.SITE}/orgs/{found.owner}/sso?authorization_request=local"
        said = "Resource protected by organization SAML enforcement. You must grant your OAuth token access."
        raise Refusal(403, "", said, {"X-GitHub-SSO": f"required; url={url}"})
    return found


def item_of(call: Call, one: Repository, *, pull: bool = False) -> Item:
    number = call.segment("number")
    found = one.items.get(int(number)) if number.isdecimal() else None
    if found is None or (pull and found.pull is None):
        raise not_found()
    return found


def moment_of(call: Call, name: str) -> datetime | None:
    given = call.request.query_params.get(name)
    try:
        parsed = datetime.fromisoformat(given) if given else None
    except ValueError:
        raise Unprocessable({"resource": "Query", "field": name, "code": "invalid"}) from None
    return parsed.replace(tzinfo=parsed.tzinfo or UTC) if parsed else None


def listed(call: Call, results: Sequence[T], show: Callable[[T], Json], where: str = "") -> Response:
    """One page of a list, with links to the others."""
    asked = call.request.query_params
    count = min(_positive(asked.get("per_page"), 30), 100)
    page = _positive(asked.get("page"), 1)
    part, last = page_number(results, page, count)
    links: dict[str, int] = {}
    if page > 1:
        links |= {"prev": min(page - 1, last), "first": 1}
    if page < last:
        links |= {"next": page + 1, "last": last}
    return JSONResponse([show(one) for one in part], headers=_link_header(call, where, links, "page"))


def _link_header(call: Call, where: str, links: Mapping[str, object], name: str) -> dict[str, str]:
    kept = [(key, value) for key, value in call.request.query_params.multi_items() if key != name]
    path = where or call.request.url.path.removeprefix("/")
    made = [
        f'<{call.request.base_url}{path}?{urlencode([*kept, (name, value)])}>; rel="{rel}"'
        for rel, value in links.items()
    ]
    return {"Link": ", ".join(made)} if made else {}


def _positive(given: str | None, default: int) -> int:
    return int(given) if given and given.isdecimal() and int(given) > 0 else default


def _inside(one: Repository, part: str) -> str:
    """Links to further pages name a repository by its id, whatever it was asked by."""
    return f"repositories/{one.id}/{part}"


# --- people and repositories -----------------------------------------------------------------------------


async def me(call: Call) -> Json:
    account = call.state.account
    login = call.grant.person or account.people[0].login
    return shapes.public_user_json(account.user(login), account)


async def installations(call: Call) -> Json:
    if not call.grant.account:
        said = "You must authenticate with an access token authorized to a GitHub App"
        raise Refusal(403, "", said)
    return {"total_count": 1, "installations": [shapes.installation_json(call.state.account)]}


async def repositories(call: Call) -> Response:
    account = call.state.account
    found = sorted(account.repositories, key=lambda one: one.full_name)
    return listed(call, found, lambda one: shapes.repository_json(account, one))


async def repository(call: Call) -> Json:
    return shapes.repository_json(call.state.account, repository_of(call), full=True)


async def labels(call: Call) -> Response:
    one = repository_of(call)
    return listed(call, one.labels, lambda label: shapes.label_json(one, label.name), _inside(one, "labels"))


async def milestones(call: Call) -> Response:
    one, state = repository_of(call), call.request.query_params.get("state", "open")
    found = [milestone for milestone in one.milestones if state in ("all", milestone.state)]
    account = call.state.account
    return listed(
        call, found, lambda kept: shapes.milestone_json(account, one, kept), _inside(one, "milestones")
    )


async def branches(call: Call) -> Response:
    one = repository_of(call)
    return listed(call, one.branches, lambda name: shapes.branch_json(one, name), _inside(one, "branches"))


# --- issues and pull requests ----------------------------------------------------------------------------


async def issues(call: Call) -> Response:
    one, asked, account = repository_of(call), call.request.query_params, call.state.account
    since = moment_of(call, "since")
    wanted = [name.casefold() for name in asked.get("labels", "").split(",") if name]

    def matches(item: Item) -> bool:
        names = {name.casefold() for name in item.labels}
        return (
            asked.get("state", "open") in ("all", item.state)
            and (since is None or item.updated >= since)
            and names.issuperset(wanted)
            and asked.get("creator", item.login).casefold() == item.login.casefold()
            and _assigned(asked.get("assignee"), item)
            and _planned(asked.get("milestone"), item)
        )

    found = _ordered(call, [item for item in one.issues() if matches(item)])
    return listed(
        call, found, lambda item: discussions.issue_json(account, one, item), _inside(one, "issues")
    )


def _assigned(asked: str | None, item: Item) -> bool:
    if asked in (None, "*", "none"):
        return asked is None or bool(item.assignees) == (asked == "*")
    return asked in item.assignees


def _planned(asked: str | None, item: Item) -> bool:
    if asked in (None, "*", "none"):
        return asked is None or (item.milestone is not None) == (asked == "*")
    return asked == str(item.milestone)


def _ordered(call: Call, found: list[Item]) -> list[Item]:
    asked = call.request.query_params
    sort = asked.get("sort", "created")
    if sort not in ORDERS:
        raise Unprocessable({"resource": "Issue", "field": "sort", "code": "invalid"})
    return sorted(found, key=ORDERS[sort], reverse=asked.get("direction", "desc") != "asc")


async def issue(call: Call) -> Json:
    one = repository_of(call)
    return discussions.issue_json(call.state.account, one, item_of(call, one))


async def comments(call: Call) -> Response:
    one, account = repository_of(call), call.state.account
    item = item_of(call, one)
    where = _inside(one, f"issues/{item.number}/comments")
    return listed(call, item.comments, lambda kept: discussions.comment_json(account, one, item, kept), where)


async def pulls(call: Call) -> Response:
    one, asked, account = repository_of(call), call.request.query_params, call.state.account
    found = [
        item
        for item in one.items.values()
        if item.pull is not None
        and asked.get("state", "open") in ("all", item.state)
        and asked.get("base", item.pull.base) == item.pull.base
        and asked.get("head", f"{one.owner}:{item.pull.branch}") == f"{one.owner}:{item.pull.branch}"
    ]
    return listed(
        call,
        _ordered(call, found),
        lambda item: discussions.pull_json(account, one, item),
        _inside(one, "pulls"),
    )


async def pull(call: Call) -> Json:
    one = repository_of(call)
    return discussions.pull_json(call.state.account, one, item_of(call, one, pull=True), full=True)


async def notes(call: Call) -> Response:
    one, account = repository_of(call), call.state.account
    item = item_of(call, one, pull=True)
    found = item.pull.notes if item.pull else []
    return listed(call, found, lambda note: discussions.note_json(account, one, item, note))


async def changed_files(call: Call) -> Response:
    one = repository_of(call)
    item = item_of(call, one, pull=True)
    places = range(len(item.pull.files) if item.pull else 0)
    return listed(call, places, lambda place: discussions.changed_file_json(one, item, place))


# --- commits, releases, files ----------------------------------------------------------------------------


async def commits(call: Call) -> Response:
    one, asked, account = repository_of(call), call.request.query_params, call.state.account
    if not one.commits:
        raise Refusal(409, "", "Git Repository is empty.")
    branch = asked.get("sha") or one.default_branch
    if branch not in one.branches:
        raise not_found()
    since, until = moment_of(call, "since"), moment_of(call, "until")

    def matches(commit: Commit) -> bool:
        author = asked.get("author", commit.login)
        return (
            (since is None or commit.at >= since)
            and (until is None or commit.at <= until)
            and author in (commit.login, f"{commit.login}@users.noreply.github.com")
            and ("path" not in asked or asked["path"] in commit.paths)
        )

    found = [commit for commit in one.history(branch) if matches(commit)]
    return listed(
        call, found, lambda commit: history.commit_json(account, one, commit), _inside(one, "commits")
    )


async def releases(call: Call) -> Response:
    one, account = repository_of(call), call.state.account
    found = sorted(one.releases, key=lambda release: (release.created, release.id), reverse=True)
    return listed(
        call, found, lambda release: history.release_json(account, one, release), _inside(one, "releases")
    )


async def contents(call: Call) -> Any:
    one, path = repository_of(call), call.request.path_params.get("path", "").strip("/")
    branch = call.request.query_params.get("ref") or one.default_branch
    if branch not in one.branches:
        raise Refusal(404, "", f"No commit found for the ref {branch}")
    content = one.file(branch, path)
    if content is not None:
        return history.content_json(one, branch, path, content)
    inside = f"{path}/" if path else ""
    below = sorted({known for _, known in one.files if known.startswith(inside)})
    if not below:
        raise not_found()
    entries = {inside + known.removeprefix(inside).partition("/")[0] for known in below}
    return JSONResponse([_entry(one, branch, entry) for entry in sorted(entries)])


def _entry(one: Repository, branch: str, path: str) -> Json:
    content = one.file(branch, path)
    if content is None:
        return history.folder_json(one, branch, path)
    return history.content_json(one, branch, path, content, bare=True)


async def activity(call: Call) -> Response:
    """Paged by cursor: `after` is the last id that was seen."""
    one, asked, account = repository_of(call), call.request.query_params, call.state.account
    found = [
        kept
        for kept in one.activities
        if asked.get("activity_type", kept.kind) == kept.kind
        and asked.get("ref", kept.branch).removeprefix("refs/heads/") == kept.branch
    ]
    falling = asked.get("direction", "desc") == "desc"
    found.sort(key=lambda kept: (kept.at, kept.id), reverse=falling)
    start = _place_after(found, asked.get("after"))
    count = min(_positive(asked.get("per_page"), 30), 100)
    part = found[start : start + count]
    more = {"next": part[-1].id} if part and start + count < len(found) else {}
    return JSONResponse(
        [history.activity_json(account, kept) for kept in part],
        headers=_link_header(call, _inside(one, "activity"), more, "after"),
    )


def _place_after(found: Sequence[Activity], after: str | None) -> int:
    return next((place + 1 for place, kept in enumerate(found) if str(kept.id) == after), 0)


async def compare(call: Call) -> Json:
    """Between commits, or the ends of branches; what a branch has not of its own is the default branch's."""
    one, ends = repository_of(call), call.segment("ends")
    base, _, head = ends.partition("...")
    known = {commit.sha: commit for commit in one.commits}
    if base in one.branches and head in one.branches:
        found = [commit for commit in one.commits if commit.branch == head != base]
        found.sort(key=lambda commit: (commit.at, commit.sha))
        return history.comparison_json(call.state.account, one, found, ends)
    if head not in known or base not in known:
        raise not_found()
    ordered = sorted(one.commits, key=lambda commit: commit.at)
    found = [commit for commit in ordered if known[base].at < commit.at <= known[head].at]
    return history.comparison_json(call.state.account, one, found, ends)
