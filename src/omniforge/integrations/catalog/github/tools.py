"""What can be done at GitHub: the tools, where their writes go, and how a lost write is found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import httpx

from omniforge.integrations.catalog.github import arguments as ask
from omniforge.integrations.catalog.github import reading, writing
from omniforge.integrations.catalog.github.shapes import Json, repository_name
from omniforge.integrations.catalog.github.trouble import read_trouble
from omniforge.integrations.manifest import Access, Arguments, Destination, IntegrationTool, Lookup

__all__ = ["TOOLS", "read_trouble", "samples"]


def samples(
    now: datetime, *, resources: Sequence[Arguments] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """The sample account of `fixtures/`, behind GitHub's own protocol and without a network."""
    from omniforge.integrations.catalog.github import sample  # noqa: PLC0415 - only dry runs need it

    return sample.transport(now, resources=resources, empty=empty)


def _where(args: Arguments) -> str:
    try:
        return repository_name(str(args.get("repository", "")))
    except ValueError:
        return "a repository"


def _destination(args: Arguments) -> Destination | None:
    try:
        name = repository_name(str(args.get("repository", "")))
    except ValueError:
        return None
    return Destination(name, name)


def _window(args: Arguments) -> str:
    parts = [
        f"{name.replace('_after', ' since').replace('_before', ' before')} {args[name]}"
        for name in sorted(args)
        if name.endswith(("after", "before")) and args[name]
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _by_mark(tool: str, found: str, *names: str) -> Callable[[Arguments], Lookup | None]:
    """Look the write up by its mark, in the place the named arguments say."""

    def lookup(args: Arguments) -> Lookup | None:
        if not args.get("mark"):
            return None
        kept: Json = {name: args[name] for name in (*names, "mark") if args.get(name) is not None}
        return Lookup(tool, kept, found)

    return lookup


def _as_changed(args: Arguments) -> Lookup:
    """An update bears no mark; whether the issue is as it was to become tells."""
    return Lookup("github.find_changed_issue", dict(args), "issue")


READS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="github.who_am_i",
        description="Says which person the connection belongs to, and which account or organization.",
        arguments=ask.Nothing,
        access=Access.READ,
        summary=lambda _: "looks up whose GitHub this is",
        run=reading.who_am_i,
    ),
    IntegrationTool(
        name="github.list_repositories",
        description="Lists the repositories shared with us, each with its number of open issues and pull "
        "requests.",
        arguments=ask.ListRepositories,
        access=Access.READ,
        summary=lambda _: "lists GitHub repositories",
        run=reading.list_repositories,
    ),
    IntegrationTool(
        name="github.describe_repository",
        description="Tells of one repository: labels, milestones, branches, and the fields of its issues.",
        arguments=ask.OneRepository,
        access=Access.READ,
        summary=lambda args: f"reads what {_where(args)} has: labels, milestones, branches",
        run=reading.describe_repository,
    ),
    IntegrationTool(
        name="github.list_issues",
        description="Lists issues of a repository by state, labels, people, milestone and time.",
        arguments=ask.ListIssues,
        access=Access.READ,
        summary=lambda args: f"reads issues of {_where(args)}{_window(args)}",
        run=reading.list_issues,
    ),
    IntegrationTool(
        name="github.list_pull_requests",
        description="Lists pull requests of a repository by state, base branch, labels, people and time.",
        arguments=ask.ListPullRequests,
        access=Access.READ,
        summary=lambda args: f"reads pull requests of {_where(args)}{_window(args)}",
        run=reading.list_pull_requests,
    ),
    IntegrationTool(
        name="github.list_commits",
        description="Lists commits of a branch or a file, by author and time, the latest first.",
        arguments=ask.ListCommits,
        access=Access.READ,
        summary=lambda args: f"reads commits of {_where(args)}{_window(args)}",
        run=reading.list_commits,
    ),
    IntegrationTool(
        name="github.list_releases",
        description="Lists releases of a repository by time of publication, the latest first.",
        arguments=ask.ListReleases,
        access=Access.READ,
        summary=lambda args: f"reads releases of {_where(args)}{_window(args)}",
        run=reading.list_releases,
    ),
    IntegrationTool(
        name="github.read_issue",
        description="Reads one issue with its comments.",
        arguments=ask.OneNumber,
        access=Access.READ,
        summary=lambda args: f"reads {_where(args)}#{args.get('number')}",
        run=reading.read_issue,
    ),
    IntegrationTool(
        name="github.read_pull_request",
        description="Reads one pull request with its comments, review notes and changed files.",
        arguments=ask.OneNumber,
        access=Access.READ,
        summary=lambda args: f"reads pull request {_where(args)}#{args.get('number')}",
        run=reading.read_pull_request,
    ),
    IntegrationTool(
        name="github.read_file",
        description="Reads a file of a repository, or lists a folder.",
        arguments=ask.OneFile,
        access=Access.READ,
        summary=lambda args: f"reads {args.get('path')} of {_where(args)}",
        run=reading.read_file,
    ),
)

WRITES: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="github.create_issue",
        description="Opens an issue in a repository.",
        arguments=ask.CreateIssue,
        access=Access.WRITE,
        summary=lambda args: f"opens an issue in {_where(args)}",
        run=writing.create_issue,
        destination=_destination,
        lookup=_by_mark("github.find_issue", "issue", "repository"),
    ),
    IntegrationTool(
        name="github.update_issue",
        description="Changes title, text, labels, assignees or state of an issue or pull request.",
        arguments=ask.UpdateIssue,
        access=Access.WRITE,
        summary=lambda args: f"changes {_named(args)} of {_where(args)}#{args.get('number')}",
        run=writing.update_issue,
        destination=_destination,
        lookup=_as_changed,
    ),
    IntegrationTool(
        name="github.add_comment",
        description="Comments on an issue or pull request; everybody who follows it is told.",
        arguments=ask.AddComment,
        access=Access.SEND,
        summary=lambda args: f"comments on {_where(args)}#{args.get('number')}",
        run=writing.add_comment,
        destination=_destination,
        lookup=_by_mark("github.find_comment", "comment", "repository", "number"),
    ),
    IntegrationTool(
        name="github.write_file",
        description="Creates a file in a repository or replaces its content, as one commit.",
        arguments=ask.WriteFile,
        access=Access.WRITE,
        summary=lambda args: f"writes {args.get('path')} in {_where(args)}",
        run=writing.write_file,
        destination=_destination,
        lookup=_by_mark("github.find_written_file", "commit", "repository", "path", "branch"),
    ),
    IntegrationTool(
        name="github.draft_release",
        description="Prepares a release as a draft; a person publishes it.",
        arguments=ask.DraftRelease,
        access=Access.WRITE,
        summary=lambda args: f"drafts release {args.get('tag')} of {_where(args)}",
        run=writing.draft_release,
        destination=_destination,
        lookup=_by_mark("github.find_release", "release", "repository"),
    ),
)

LOOKUPS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="github.find_issue",
        description="Finds the issue that was opened with a given idempotency mark.",
        arguments=ask.FindMarked,
        access=Access.READ,
        summary=lambda args: f"checks whether the issue was opened in {_where(args)} already",
        run=writing.find_issue,
    ),
    IntegrationTool(
        name="github.find_changed_issue",
        description="Finds an issue if it is as a change wants it.",
        arguments=ask.UpdateIssue,
        access=Access.READ,
        summary=lambda args: f"checks whether {_where(args)}#{args.get('number')} was changed already",
        run=writing.find_changed_issue,
    ),
    IntegrationTool(
        name="github.find_comment",
        description="Finds the comment that was made with a given idempotency mark.",
        arguments=ask.FindComment,
        access=Access.READ,
        summary=lambda args: f"checks whether {_where(args)}#{args.get('number')} was commented on already",
        run=writing.find_comment,
    ),
    IntegrationTool(
        name="github.find_written_file",
        description="Finds the commit that wrote a file with a given idempotency mark.",
        arguments=ask.FindWrittenFile,
        access=Access.READ,
        summary=lambda args: f"checks whether {args.get('path')} was written in {_where(args)} already",
        run=writing.find_written_file,
    ),
    IntegrationTool(
        name="github.find_release",
        description="Finds the release that was drafted with a given idempotency mark.",
        arguments=ask.FindMarked,
        access=Access.READ,
        summary=lambda args: f"checks whether the release was drafted in {_where(args)} already",
        run=writing.find_release,
    ),
)


def _named(args: Arguments) -> str:
    names = (name.replace("_", " ") for name in args if name not in ("repository", "number"))
    return ", ".join(names) or "nothing"


TOOLS: tuple[IntegrationTool, ...] = (*READS, *WRITES, *LOOKUPS)
