"""Issues and pull requests with what is said about them, as GitHub's API writes them."""

from __future__ import annotations

from omniforge.integrations.catalog.github.standin.account import (
    Account,
    Comment,
    Item,
    Repository,
    blob_sha,
    sha_of,
    stable_number,
)
from omniforge.integrations.catalog.github.standin.shapes import (
    API,
    SITE,
    app_json,
    label_json,
    milestone_json,
    node,
    repository_json,
    stamp,
    user_json,
)
from omniforge.integrations.standin import Json


def issue_json(account: Account, one: Repository, item: Item) -> Json:
    url = f"{API}/repos/{one.full_name}/issues/{item.number}"
    kind = "pull" if item.pull else "issues"
    page = f"{SITE}/{one.full_name}/{kind}/{item.number}"
    shown: Json = {
        **_about(account, one, item),
        "url": url,
        "repository_url": f"{API}/repos/{one.full_name}",
        "labels_url": f"{url}/labels{{/name}}",
        "events_url": f"{url}/events",
        "html_url": page,
        "comments": len(item.comments),
        "state_reason": item.reason,
        "closed_by": user_json(account.user(item.login)) if item.closed else None,
        "performed_via_github_app": app_json(account) if item.through_app else None,
        "timeline_url": f"{url}/timeline",
        "reactions": _reactions(url),
    }
    if item.pull:
        api = f"{API}/repos/{one.full_name}/pulls/{item.number}"
        shown |= {
            "draft": item.pull.draft,
            "pull_request": {
                "url": api,
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": stamp(item.pull.merged),
            },
        }
    return shown


def _about(account: Account, one: Repository, item: Item) -> Json:
    """What issues and pull requests have alike."""
    milestone = next((m for m in one.milestones if m.number == item.milestone), None)
    return {
        "id": item.id,
        "node_id": node("Item", item.id),
        "number": item.number,
        "title": item.title,
        "user": user_json(account.user(item.login)),
        "labels": [label_json(one, name) for name in item.labels],
        "state": item.state,
        "locked": False,
        "assignee": user_json(account.user(item.assignees[0])) if item.assignees else None,
        "assignees": [user_json(account.user(login)) for login in item.assignees],
        "milestone": milestone_json(account, one, milestone) if milestone else None,
        "comments_url": f"{API}/repos/{one.full_name}/issues/{item.number}/comments",
        "created_at": stamp(item.created),
        "updated_at": stamp(item.updated),
        "closed_at": stamp(item.closed),
        "author_association": "MEMBER",
        "active_lock_reason": None,
        "body": item.body,
    }


def _reactions(url: str) -> Json:
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes", "total_count")
    return {"url": f"{url}/reactions", **dict.fromkeys(kinds, 0)}


def pull_json(account: Account, one: Repository, item: Item, *, full: bool = False) -> Json:
    pull = item.pull
    assert pull is not None  # noqa: S101 - only pull requests come here
    url = f"{API}/repos/{one.full_name}/pulls/{item.number}"
    issue = f"{API}/repos/{one.full_name}/issues/{item.number}"
    page = f"{SITE}/{one.full_name}/pull/{item.number}"
    head, sha = sha_of(one.full_name, pull.branch, item.number), sha_of("merge", one.full_name, item.number)
    links = {
        "self": url,
        "html": page,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{API}/repos/{one.full_name}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{API}/repos/{one.full_name}/statuses/{head}",
    }
    shown: Json = {
        **_about(account, one, item),
        "url": url,
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": issue,
        "merged_at": stamp(pull.merged),
        "merge_commit_sha": sha if pull.merged else None,
        "requested_reviewers": [user_json(account.user(login)) for login in pull.reviewers],
        "requested_teams": [],
        "draft": pull.draft,
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "statuses_url": links["statuses"],
        "head": _end(account, one, pull.branch, head),
        "base": _end(account, one, pull.base, one.head(pull.base)),
        "_links": {name: {"href": link} for name, link in links.items()},
        "auto_merge": None,
    }
    return {**shown, **_sizes(account, item)} if full else shown


def _end(account: Account, one: Repository, ref: str, sha: str) -> Json:
    return {
        "label": f"{one.owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user_json(account.user(one.owner)),
        "repo": repository_json(account, one),
    }


def _sizes(account: Account, item: Item) -> Json:
    """What GitHub tells of one pull request only, not in lists."""
    pull = item.pull
    assert pull is not None  # noqa: S101 - only pull requests come here
    return {
        "merged": pull.merged is not None,
        "mergeable": None if pull.merged else True,
        "rebaseable": None if pull.merged else True,
        "mergeable_state": "unknown" if pull.merged else "clean",
        "merged_by": user_json(account.user(pull.merged_by)) if pull.merged_by else None,
        "comments": len(item.comments),
        "review_comments": len(pull.notes),
        "maintainer_can_modify": False,
        "commits": 1,
        "additions": sum(file.additions for file in pull.files),
        "deletions": sum(file.deletions for file in pull.files),
        "changed_files": len(pull.files),
    }


def comment_json(account: Account, one: Repository, item: Item, comment: Comment) -> Json:
    url = f"{API}/repos/{one.full_name}/issues/comments/{comment.id}"
    kind = "pull" if item.pull else "issues"
    return {
        "url": url,
        "html_url": f"{SITE}/{one.full_name}/{kind}/{item.number}#issuecomment-{comment.id}",
        "issue_url": f"{API}/repos/{one.full_name}/issues/{item.number}",
        "id": comment.id,
        "node_id": node("IssueComment", comment.id),
        "user": user_json(account.user(comment.login)),
        "created_at": stamp(comment.created),
        "updated_at": stamp(comment.created),
        "author_association": "MEMBER",
        "body": comment.body,
        "reactions": _reactions(url),
        "performed_via_github_app": None,
    }


def note_json(account: Account, one: Repository, item: Item, note: Comment) -> Json:
    """A review comment at a line."""
    url = f"{API}/repos/{one.full_name}/pulls/comments/{note.id}"
    pull = f"{API}/repos/{one.full_name}/pulls/{item.number}"
    page = f"{SITE}/{one.full_name}/pull/{item.number}#discussion_r{note.id}"
    sha = sha_of(one.full_name, item.number)
    return {
        "url": url,
        "pull_request_review_id": stable_number("review", note.id),
        "id": note.id,
        "node_id": node("PullRequestReviewComment", note.id),
        "diff_hunk": "@@ -1,4 +1,8 @@",
        "path": note.path,
        "commit_id": sha,
        "original_commit_id": sha,
        "user": user_json(account.user(note.login)),
        "body": note.body,
        "created_at": stamp(note.created),
        "updated_at": stamp(note.created),
        "html_url": page,
        "pull_request_url": pull,
        "author_association": "MEMBER",
        "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": pull}},
        "line": note.line,
        "side": "RIGHT",
    }


def changed_file_json(one: Repository, item: Item, place: int) -> Json:
    pull = item.pull
    assert pull is not None  # noqa: S101 - only pull requests come here
    file = pull.files[place]
    sha = blob_sha(file.patch.encode())
    return {
        "sha": sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{SITE}/{one.full_name}/blob/{sha}/{file.path}",
        "raw_url": f"{SITE}/{one.full_name}/raw/{sha}/{file.path}",
        "contents_url": f"{API}/repos/{one.full_name}/contents/{file.path}?ref={sha}",
        "patch": file.patch,
    }
