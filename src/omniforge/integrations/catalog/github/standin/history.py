"""Commits, pushes, releases and files, as GitHub's API writes them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from omniforge.integrations.catalog.github.standin.account import (
    Account,
    Activity,
    Commit,
    Release,
    Repository,
    blob_sha,
    sha_of,
)
from omniforge.integrations.catalog.github.standin.shapes import API, SITE, node, stamp, user_json
from omniforge.integrations.standin import Json


def commit_json(account: Account, one: Repository, commit: Commit) -> Json:
    url = f"{API}/repos/{one.full_name}/commits/{commit.sha}"
    person = account.user(commit.login)
    signed = {
        "name": person.name,
        "email": f"{person.login}@users.noreply.github.com",
        "date": stamp(commit.at),
    }
    tree = sha_of("tree", commit.sha)
    unsigned = {"verified": False, "reason": "unsigned", "signature": None, "payload": None}
    return {
        "url": url,
        "sha": commit.sha,
        "node_id": node("Commit", commit.sha),
        "html_url": f"{SITE}/{one.full_name}/commit/{commit.sha}",
        "comments_url": f"{url}/comments",
        "commit": {
            "url": f"{API}/repos/{one.full_name}/git/commits/{commit.sha}",
            "author": signed,
            "committer": signed,
            "message": commit.message,
            "comment_count": 0,
            "tree": {"sha": tree, "url": f"{API}/repos/{one.full_name}/git/trees/{tree}"},
            "verification": {**unsigned, "verified_at": None},
        },
        "author": user_json(person),
        "committer": user_json(person),
        "parents": [],
    }


def release_json(account: Account, one: Repository, release: Release) -> Json:
    url = f"{API}/repos/{one.full_name}/releases/{release.id}"
    ball = None if release.draft else release.tag
    return {
        "url": url,
        "html_url": f"{SITE}/{one.full_name}/releases/tag/{release.tag}",
        "assets_url": f"{url}/assets",
        "upload_url": f"https://uploads.github.com/repos/{one.full_name}/releases/{release.id}/assets{{?name}}",
        "tarball_url": f"{API}/repos/{one.full_name}/tarball/{ball}" if ball else None,
        "zipball_url": f"{API}/repos/{one.full_name}/zipball/{ball}" if ball else None,
        "id": release.id,
        "node_id": node("Release", release.id),
        "tag_name": release.tag,
        "target_commitish": release.target,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "prerelease": release.prerelease,
        "created_at": stamp(release.created),
        "published_at": stamp(release.published),
        "author": user_json(account.user(release.login)),
        "assets": [],
    }


def activity_json(account: Account, activity: Activity) -> Json:
    return {
        "id": activity.id,
        "node_id": node("PSH", activity.id),
        "before": activity.before,
        "after": activity.after,
        "ref": f"refs/heads/{activity.branch}",
        "timestamp": stamp(activity.at),
        "activity_type": activity.kind,
        "actor": user_json(account.user(activity.login)),
    }


def content_json(one: Repository, branch: str, path: str, content: bytes, *, bare: bool = False) -> Json:
    """A file. More than one megabyte is left out, as GitHub does; `bare` is how a folder lists it."""
    url, sha = f"{API}/repos/{one.full_name}/contents/{path}?ref={branch}", blob_sha(content)
    git = f"{API}/repos/{one.full_name}/git/blobs/{sha}"
    page = f"{SITE}/{one.full_name}/blob/{branch}/{path}"
    fits = len(content) <= 1_000_000
    shown: Json = {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "size": len(content),
        "url": url,
        "html_url": page,
        "git_url": git,
        "download_url": f"https://raw.githubusercontent.com/{one.full_name}/{branch}/{path}",
        "type": "file",
        "_links": {"self": url, "git": git, "html": page},
    }
    if bare:
        return shown
    encoded = base64.encodebytes(content).decode() if fits else ""
    return {**shown, "content": encoded, "encoding": "base64" if fits else "none"}


def folder_json(one: Repository, branch: str, path: str) -> Json:
    url = f"{API}/repos/{one.full_name}/contents/{path}?ref={branch}"
    sha = sha_of("tree", one.full_name, path)
    git, page = f"{API}/repos/{one.full_name}/git/trees/{sha}", f"{SITE}/{one.full_name}/tree/{branch}/{path}"
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "size": 0,
        "url": url,
        "html_url": page,
        "git_url": git,
        "download_url": None,
        "type": "dir",
        "_links": {"self": url, "git": git, "html": page},
    }


def written_json(one: Repository, branch: str, path: str, content: bytes, commit: Commit) -> Json:
    """The answer to a write of a file."""
    url = f"{API}/repos/{one.full_name}/git/commits/{commit.sha}"
    signed = {"name": commit.login, "email": f"{commit.login}@users.noreply.github.com"}
    signed["date"] = commit.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    tree = sha_of("tree", commit.sha)
    return {
        "content": content_json(one, branch, path, content, bare=True),
        "commit": {
            "sha": commit.sha,
            "node_id": node("Commit", commit.sha),
            "url": url,
            "html_url": f"{SITE}/{one.full_name}/commit/{commit.sha}",
            "author": signed,
            "committer": signed,
            "message": commit.message,
            "tree": {"url": f"{API}/repos/{one.full_name}/git/trees/{tree}", "sha": tree},
            "parents": [],
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
        },
    }


def comparison_json(account: Account, one: Repository, commits: Sequence[Commit], ends: str) -> Json:
    url = f"{API}/repos/{one.full_name}/compare/{ends}"
    page = f"{SITE}/{one.full_name}/compare/{ends}"
    shown = [commit_json(account, one, commit) for commit in commits]
    base = commit_json(account, one, one.commits[0])
    return {
        "url": url,
        "html_url": page,
        "permalink_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "base_commit": base,
        "merge_base_commit": base,
        "status": "ahead" if commits else "identical",
        "ahead_by": len(commits),
        "behind_by": 0,
        "total_commits": len(commits),
        "commits": shown,
        "files": [],
    }
