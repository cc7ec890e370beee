"""What the local server delivers when something happens, as GitHub words it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime

from omniforge.integrations.catalog.github.standin import discussions, history, shapes
from omniforge.integrations.catalog.github.standin.account import NOTHING, Commit, Item, Repository, sha_of
from omniforge.integrations.catalog.github.standin.state import StandinState
from omniforge.integrations.standin import Json

KINDS = {
    "issue.opened": ("issues", "opened"),
    "pull_request.opened": ("pull_request", "opened"),
    "pull_request.merged": ("pull_request", "closed"),
    "push": ("push", ""),
    "release.published": ("release", "published"),
    "ping": ("ping", ""),
}


def delivery(state: StandinState, about: Json) -> tuple[Json, Mapping[str, str]]:
    """Body and unsigned headers of one of KINDS; KeyError for what is not there.

    `about` is `{event, repository?}` with `number` (issues, pull requests), `sha` (pushes) or `id`
    (releases); the latest one when it names none.
    """
    account = state.account
    kind, action = KINDS[about["event"]]
    one = account.repository(about.get("repository") or account.repositories[0].full_name)
    if one is None:
        raise KeyError(about["repository"])
    body: Json = {"action": action} if action else {}
    match kind:
        case "issues":
            body |= {"issue": discussions.issue_json(account, one, _item(one, about, pull=False))}
        case "pull_request":
            item = _item(one, about, pull=True, merged=action == "closed")
            pull = discussions.pull_json(account, one, item, full=True)
            body |= {"number": item.number, "pull_request": pull}
        case "push":
            body |= _push(state, one, str(about.get("sha") or one.head(one.default_branch)))
        case "release":
            latest = one.releases[0].id if one.releases else 0
            wanted = int(about.get("id") or latest)
            release = next((kept for kept in one.releases if kept.id == wanted), None)
            if release is None:
                raise KeyError(wanted)
            body |= {"release": history.release_json(account, one, release)}
        case _:
            body |= _ping(one)
    repository = shapes.repository_json(account, one)
    if kind == "push":  # pushes alone tell these times as seconds
        repository |= {name: int(value.timestamp()) for name, value in _seconds(one).items()}
    body |= {"repository": repository, "sender": shapes.user_json(account.people[0])}
    body["organization"] = _organization(state)
    headers = {
        "X-GitHub-Event": kind,
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-GitHub-Hook-ID": "292430182",
        "User-Agent": "GitHub-Hookshot/044aadd",
    }
    return body, headers


def _seconds(one: Repository) -> dict[str, datetime]:
    return {"created_at": one.created, "pushed_at": one.pushed}


def _item(one: Repository, about: Json, *, pull: bool, merged: bool = False) -> Item:
    fitting = [
        item
        for item in one.items.values()
        if (item.pull is not None) == pull and (not merged or (item.pull and item.pull.merged))
    ]
    wanted = about.get("number")
    found = [item for item in fitting if wanted in (None, item.number)]
    if not found:
        raise KeyError(wanted)
    return max(found, key=lambda item: item.created)


def _push(state: StandinState, one: Repository, sha: str) -> Json:
    activity = next((kept for kept in one.activities if kept.after == sha), None)
    commit = next((kept for kept in one.commits if kept.sha == sha), None)
    if activity is None or commit is None:
        raise KeyError(sha)
    person = state.account.user(activity.login)
    shown = _pushed(state, one, commit)
    return {
        "ref": f"refs/heads/{activity.branch}",
        "before": activity.before,
        "after": sha,
        "base_ref": None,
        "compare": f"{shapes.SITE}/{one.full_name}/compare/{activity.before[:12]}...{sha[:12]}",
        "created": activity.before == NOTHING,
        "deleted": False,
        "forced": activity.kind == "force_push",
        "commits": [shown],
        "head_commit": shown,
        "pusher": {"name": person.login, "email": f"{person.login}@users.noreply.github.com"},
    }


def _pushed(state: StandinState, one: Repository, commit: Commit) -> Json:
    person = state.account.user(commit.login)
    email = f"{person.login}@users.noreply.github.com"
    who = {"name": person.name, "email": email, "username": person.login}
    return {
        "id": commit.sha,
        "tree_id": sha_of("tree", commit.sha),
        "distinct": True,
        "message": commit.message,
        "timestamp": shapes.stamp(commit.at),
        "url": f"{shapes.SITE}/{one.full_name}/commit/{commit.sha}",
        "author": who,
        "committer": who,
        "added": [],
        "removed": [],
        "modified": list(commit.paths),
    }


def _ping(one: Repository) -> Json:
    url = f"{shapes.API}/repos/{one.full_name}/hooks/292430182"
    created = shapes.stamp(one.created)
    return {
        "zen": "Speak like a human.",
        "hook_id": 292430182,
        "hook": {
            "type": "Repository",
            "id": 292430182,
            "name": "web",
            "active": True,
            "events": ["issues", "pull_request", "push", "release"],
            "config": {
                "content_type": "json",
                "insecure_ssl": "0",
                "url": "https://omniforge.example/webhooks",
            },
            "updated_at": created,
            "created_at": created,
            "url": url,
            "test_url": f"{url}/test",
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
            "last_response": {"code": None, "status": "unused", "message": None},
        },
    }


def _organization(state: StandinState) -> Json:
    owner = state.account.organization
    url = f"{shapes.API}/orgs/{owner.login}"
    parts = {"members_url": "members{/member}", "public_members_url": "public_members{/member}"}
    return {
        "login": owner.login,
        "id": owner.id,
        "node_id": shapes.node("Organization", owner.id),
        "url": url,
        **{f"{name}_url": f"{url}/{name}" for name in ("repos", "events", "hooks", "issues")},
        **{name: f"{url}/{part}" for name, part in parts.items()},
        "avatar_url": f"https://avatars.githubusercontent.com/u/{owner.id}?v=4",
        "description": None,
    }
