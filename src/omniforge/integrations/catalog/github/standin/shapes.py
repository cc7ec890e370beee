"""People, repositories and what repositories are sorted by, as GitHub's API writes them.

Every field is there that the published description needs.
"""

from __future__ import annotations

import base64
from datetime import datetime

from omniforge.integrations.catalog.github.standin.account import (
    Account,
    Milestone,
    Repository,
    User,
    stable_number,
)
from omniforge.integrations.standin import Json

API = "https://api.github.com"
SITE = "https://github.com"

USER_PARTS = {
    "followers_url": "followers",
    "following_url": "following{/other_user}",
    "gists_url": "gists{/gist_id}",
    "starred_url": "starred{/owner}{/repo}",
    "subscriptions_url": "subscriptions",
    "organizations_url": "orgs",
    "repos_url": "repos",
    "events_url": "events{/privacy}",
    "received_events_url": "received_events",
}
REPOSITORY_PARTS = {
    "forks_url": "forks",
    "keys_url": "keys{/key_id}",
    "collaborators_url": "collaborators{/collaborator}",
    "teams_url": "teams",
    "hooks_url": "hooks",
    "issue_events_url": "issues/events{/number}",
    "events_url": "events",
    "assignees_url": "assignees{/user}",
    "branches_url": "branches{/branch}",
    "tags_url": "tags",
    "blobs_url": "git/blobs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "trees_url": "git/trees{/sha}",
    "statuses_url": "statuses/{sha}",
    "languages_url": "languages",
    "stargazers_url": "stargazers",
    "contributors_url": "contributors",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "commits_url": "commits{/sha}",
    "git_commits_url": "git/commits{/sha}",
    "comments_url": "comments{/number}",
    "issue_comment_url": "issues/comments{/number}",
    "contents_url": "contents/{+path}",
    "compare_url": "compare/{base}...{head}",
    "merges_url": "merges",
    "archive_url": "{archive_format}{/ref}",
    "downloads_url": "downloads",
    "issues_url": "issues{/number}",
    "pulls_url": "pulls{/number}",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "labels_url": "labels{/name}",
    "releases_url": "releases{/id}",
    "deployments_url": "deployments",
}


def stamp(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def node(kind: str, number: object) -> str:
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def user_json(user: User) -> Json:
    url = f"{API}/users/{user.login}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node(user.kind, user.id),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{user.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{SITE}/{user.login}",
        **{name: f"{url}/{part}" for name, part in USER_PARTS.items()},
        "type": user.kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def public_user_json(user: User, account: Account) -> Json:
    """The answer about the person themselves, for a token that may not see what is private."""
    created = account.repositories[0].created if account.repositories else account.now()
    return {
        **user_json(user),
        "name": user.name,
        "company": account.organization.name,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": 1,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": stamp(created),
        "updated_at": stamp(created),
    }


def installation_json(account: Account) -> Json:
    owner = account.organization
    number = stable_number("installation")
    return {
        "id": number,
        "client_id": "Iv23liLocalDevelopment",
        "account": user_json(owner),
        "repository_selection": "selected",
        "access_tokens_url": f"{API}/app/installations/{number}/access_tokens",
        "repositories_url": f"{API}/installation/repositories",
        "html_url": f"{SITE}/organizations/{owner.login}/settings/installations/{number}",
        "app_id": 1,
        "app_slug": "omniforge",
        "target_id": owner.id,
        "target_type": "Organization",
        "permissions": {"contents": "write", "issues": "write", "pull_requests": "read", "metadata": "read"},
        "events": ["issues", "pull_request", "push", "release"],
        "created_at": stamp(account.repositories[0].created),
        "updated_at": stamp(account.repositories[0].created),
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": None,
    }


def app_json(account: Account) -> Json:
    created = stamp(account.repositories[0].created)
    return {
        "id": 1,
        "slug": "omniforge",
        "node_id": node("App", 1),
        "client_id": "Iv23liLocalDevelopment",
        "owner": user_json(account.organization),
        "name": "OmniForge",
        "description": None,
        "external_url": "https://omniforge.example",
        "html_url": f"{SITE}/apps/omniforge",
        "created_at": created,
        "updated_at": created,
        "permissions": {"issues": "write", "metadata": "read"},
        "events": ["issues"],
    }


def repository_json(account: Account, one: Repository, *, full: bool = False) -> Json:
    url, page = f"{API}/repos/{one.full_name}", f"{SITE}/{one.full_name}"
    shown: Json = {
        "id": one.id,
        "node_id": node("Repository", one.id),
        "name": one.name,
        "full_name": one.full_name,
        "private": one.private,
        "owner": user_json(account.user(one.owner)),
        "html_url": page,
        "description": one.description,
        "fork": False,
        "url": url,
        **{name: f"{url}/{part}" for name, part in REPOSITORY_PARTS.items()},
        "git_url": f"git://github.com/{one.full_name}.git",
        "ssh_url": f"git@github.com:{one.full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "size": 108,
        "language": one.language,
        "license": None,
        "topics": [],
        "custom_properties": {},
        "visibility": "private" if one.private else "public",
        "default_branch": one.default_branch,
        "archived": False,
        "disabled": False,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        **dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki"), True),
        **dict.fromkeys(("has_pages", "has_discussions"), False),
        **dict.fromkeys(("forks", "forks_count", "stargazers_count", "watchers", "watchers_count"), 0),
        **dict.fromkeys(("open_issues", "open_issues_count"), one.open_items),
        "pushed_at": stamp(one.pushed),
        "created_at": stamp(one.created),
        "updated_at": stamp(one.pushed),
        "permissions": {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True},
    }
    return {**shown, "network_count": 0, "subscribers_count": 3} if full else shown


def label_json(one: Repository, name: str) -> Json:
    label = one.label(name)
    number = stable_number("label", one.full_name, label.name)
    return {
        "id": number,
        "node_id": node("Label", number),
        "url": f"{API}/repos/{one.full_name}/labels/{label.name}",
        "name": label.name,
        "description": label.description,
        "color": label.color,
        "default": label.name == "bug",
    }


def milestone_json(account: Account, one: Repository, milestone: Milestone) -> Json:
    number = stable_number("milestone", one.full_name, milestone.number)
    url = f"{API}/repos/{one.full_name}/milestones/{milestone.number}"
    inside = [item for item in one.items.values() if item.milestone == milestone.number]
    return {
        "url": url,
        "html_url": f"{SITE}/{one.full_name}/milestone/{milestone.number}",
        "labels_url": f"{url}/labels",
        "id": number,
        "node_id": node("Milestone", number),
        "number": milestone.number,
        "title": milestone.title,
        "description": None,
        "creator": user_json(account.people[0]),
        "open_issues": sum(item.closed is None for item in inside),
        "closed_issues": sum(item.closed is not None for item in inside),
        "state": milestone.state,
        "created_at": stamp(milestone.created),
        "updated_at": stamp(milestone.created),
        "due_on": stamp(milestone.due),
        "closed_at": stamp(milestone.due) if milestone.state == "closed" else None,
    }


def branch_json(one: Repository, name: str) -> Json:
    sha = one.head(name)
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{API}/repos/{one.full_name}/commits/{sha}"},
        "protected": name == one.default_branch,
    }
