"""What the local server does with branches and trees: new branches, new pull requests, files by folder."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from omniforge.integrations.catalog.github.standin import discussions, shapes
from omniforge.integrations.catalog.github.standin.account import Item, Pull, Repository, blob_sha, sha_of
from omniforge.integrations.catalog.github.standin.answers import (
    Call,
    Unprocessable,
    not_found,
    repository_of,
)
from omniforge.integrations.catalog.github.standin.changes import FIRST_ID
from omniforge.integrations.standin import Json

HEADS = "refs/heads/"


def branch_named(one: Repository, ref: str) -> str | None:
    """The branch that a name, `HEAD` or the commit at its end means."""
    if ref == "HEAD":
        return one.default_branch
    ends = {one.head(name): name for name in reversed(one.branches)}
    return ref if ref in one.branches else ends.get(ref)


async def create_ref(call: Call) -> Response:
    one, ref, sha = repository_of(call), call.body.get("ref"), call.body.get("sha")
    if not isinstance(ref, str) or not ref.startswith(HEADS) or len(ref) == len(HEADS):
        raise Unprocessable(message="Reference name must start with 'refs/heads/'")
    if ref.removeprefix(HEADS) in one.branches:
        raise Unprocessable(message="Reference already exists")
    if not isinstance(sha, str) or sha not in {commit.sha for commit in one.commits}:
        raise Unprocessable(message="Object does not exist")
    one.branches.append(ref.removeprefix(HEADS))
    url = f"{shapes.API}/repos/{one.full_name}/git"
    pointed = {"sha": sha, "type": "commit", "url": f"{url}/commits/{sha}"}
    return JSONResponse({"ref": ref, "url": f"{url}/{ref}", "object": pointed}, 201)


async def tree(call: Call) -> Json:
    one = repository_of(call)
    branch = branch_named(one, call.segment("sha"))
    if branch is None:
        raise not_found()
    paths = sorted({path for home, path in one.files if home in (branch, one.default_branch)})
    folders = {path.rpartition("/")[0] for path in paths if "/" in path}
    entries = [_blob(one, branch, path) for path in paths] + [_folder(one, path) for path in folders]
    if "recursive" not in call.request.query_params:
        entries = [entry for entry in entries if "/" not in entry["path"]]
    sha = sha_of("tree", one.full_name, branch)
    entries.sort(key=lambda entry: entry["path"])
    return {"sha": sha, "url": _address(one, "trees", sha), "tree": entries, "truncated": False}


def _blob(one: Repository, branch: str, path: str) -> Json:
    content = one.file(branch, path) or b""
    sha = blob_sha(content)
    about = {"path": path, "mode": "100644", "type": "blob", "sha": sha, "size": len(content)}
    return about | {"url": _address(one, "blobs", sha)}


def _folder(one: Repository, path: str) -> Json:
    sha = sha_of("tree", one.full_name, path)
    about = {"path": path, "mode": "040000", "type": "tree", "sha": sha}
    return about | {"url": _address(one, "trees", sha)}


def _address(one: Repository, kind: str, sha: str) -> str:
    return f"{shapes.API}/repos/{one.full_name}/git/{kind}/{sha}"


async def create_pull(call: Call) -> Response:
    one, body, account = repository_of(call), call.body, call.state.account
    for name in ("head", "base"):
        if str(body.get(name, "")).removeprefix(f"{one.owner}:") not in one.branches:
            raise Unprocessable({"resource": "PullRequest", "field": name, "code": "invalid"})
    head, base = str(body["head"]).removeprefix(f"{one.owner}:"), str(body["base"])
    if any(
        item.pull and item.closed is None and item.pull.branch == head and item.pull.base == base
        for item in one.items.values()
    ):
        said = f"A pull request already exists for {one.owner}:{head}."
        raise Unprocessable({"resource": "PullRequest", "code": "custom", "message": said})
    now, number = call.state.now().replace(microsecond=0), one.next_number()
    person = call.grant.person or account.people[0].login
    made = Pull(head, base, draft=body.get("draft") is True)
    title, text = str(body.get("title") or head), body.get("body")
    one.items[number] = Item(
        FIRST_ID + call.state.new_number(), number, title, text, person, now, now, pull=made
    )
    call.happened("pull_request.opened", repository=one.full_name, number=number)
    return JSONResponse(discussions.pull_json(account, one, one.items[number], full=True), 201)
