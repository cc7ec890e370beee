"""Outlines for every pair of operation and service, and the dry run of a draft in a whole installation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.path.rehearsing import MAYA, PROJECTS

from omniforge.agents.content import TestMode
from omniforge.agents.schemas import TestReport
from omniforge.bootstrap import Installation
from omniforge.builder.generation import AgentDraft
from omniforge.builder.outline import (
    Brief,
    Content,
    Create,
    Doing,
    Fetch,
    Happening,
    Outline,
    Part,
    Place,
    Post,
    Report,
    Update,
)
from omniforge.builder.understanding.mentions import Format

PLACES: dict[str, Place] = {
    "notion": Place(id=PROJECTS, name="Client Projects", kind="database"),
    "linear": Place(id="ENG", name="Engineering", kind="team"),
    "github": Place(id="acme-operations/storefront", name="acme-operations/storefront", kind="repository"),
    "slack": Place(name="#team-updates", kind="channel"),
    "rss": Place(id="https://news.example.com/rss.xml", name="Acme engineering news", kind="feed"),
    "email": Place(id="INBOX", name="INBOX", kind="folder"),
    "files": Place(id="clients.csv", name="clients.csv", kind="file"),
    "http": Place(id="https://things.example.com/items", name="Items"),
}
EVENTS = {
    "notion": ("row.created",),
    "linear": ("issue.created", "issue.updated", "comment.created"),
    "github": ("issue.opened", "pull_request.opened", "pull_request.merged", "push", "release.published"),
    "slack": ("message.posted",),
    "email": ("message.received",),
    "rss": ("entry.published",),
}
"""Happenings that the sample data have."""
CHANGES = {
    "notion": {"Status": "At Risk"},
    "linear": {"priority": "High", "add labels": "bug"},
    "github": {"labels": "bug, blocked"},
}
VALUES = {
    "notion": {"Status": "On Track", "Client": "{title}"},
    "linear": {"priority": "high", "Found in": "{title}"},
    "github": {"labels": "bug", "Entries": "{items}"},
    "files": {"Client": "{title}", "Seats": "{items}"},
    "http": {"name": "{title}", "amount": "{items}"},
}


def report_part(service: str, **more: Any) -> Part:
    return Part(key=f"{service}-report", service=service, does=Report(places=(PLACES[service],), **more))


def part(key: str, service: str | None, does: Doing, *needs: str, **more: Any) -> Part:
    return Part(key=key, service=service, does=does, needs=needs, **more)


def reports() -> Iterable[Part]:
    for service in PLACES:
        if service != "github":
            yield report_part(service, window="last_30_days" if service != "files" else None)
    project = Place(id="Patient portal", name="Patient portal", kind="project")
    yield part(
        "linear-project",
        "linear",
        Report(places=(project,), fields=("state", "assignee"), format=Format.TABLE),
    )
    for thing in ("issues", "pull_requests", "commits", "releases"):
        does = Report(places=(PLACES["github"],), things=(thing,), window="last_90_days")
        yield part(f"github-{thing.replace('_', '-')}", "github", does)


def senders() -> Iterable[Part]:
    """Everything that is sent, made and changed, after a report that finds something."""
    address = Place(name="maya@acme.example, derek@acme.example")
    web = Place(id="https://hooks.example.com/in", name="Intake")
    for content in Content:
        text = "Found {items} in {title}." if content is Content.TEXT else ""
        does = Post(place=PLACES["slack"], content=content, text=text)
        yield part(f"slack-{str(content).replace('_', '-')}", "slack", does, "notion-report")
    person = Post(place=Place(name="@maya", kind="person"), urgent=True)
    yield part("slack-person", "slack", person, "notion-report")
    yield part("email-send", "email", Post(place=address), "notion-report")
    yield part("http-send", "http", Post(place=web), "notion-report")
    yield part("linear-comment", "linear", Post(text="Seen: {title}", content=Content.TEXT), "linear-report")
    yield part("github-comment", "github", Post(), "github-issues")
    for service, values in VALUES.items():
        title = "" if service in ("files", "http") else "Follow up: {title}"
        place = web if service == "http" else PLACES[service]
        does = Create(place=place, title=title, values=values)
        yield part(f"{service}-create", service, does, "notion-report")
    for service, values in CHANGES.items():
        needs = "github-issues" if service == "github" else f"{service}-report"
        yield part(f"{service}-update", service, Update(values=values), needs)
    for service in ("notion", "linear", "github"):
        needs = "github-issues" if service == "github" else f"{service}-report"
        yield part(f"{service}-brief", service, Brief(), needs)
    yield part("files-rows", "files", Create(place=Place(id="seen.csv", name="seen.csv")), "rss-report")


def fetches() -> Iterable[Part]:
    yield part("http-fetch", "http", Fetch(url="https://things.example.com/items"))
    yield part("http-fetch-one", None, Fetch(url="https://things.example.com/items/item-101"))
    yield part("rss-fetch", "rss", Fetch(url="https://news.example.com/atom.xml"))


def groups() -> dict[str, tuple[Part, ...]]:
    """All pairs as a few agents: what reads, and what acts together with what it needs."""
    read = {one.key: one for one in reports()}
    acting = list(senders())
    found = {"reading": (*read.values(), *fetches())}
    for name, chosen in (
        ("sending", [one for one in acting if isinstance(one.does, Post)]),
        ("writing", [one for one in acting if not isinstance(one.does, Post)]),
    ):
        needed = dict.fromkeys(need for one in chosen for need in one.needs)
        found[name] = (*(read[key] for key in needed), *chosen)
    return found


def happening(service: str, event: str) -> Outline:
    """A briefing about what happened, and a message about it."""
    place = PLACES.get(service) if service != "email" else None
    starts = Happening(service=service, event=event, place=place)
    brief = part(f"{service}-briefing", service, Brief())
    post = part("slack-post", "slack", Post(place=PLACES["slack"]), brief.key)
    return Outline(parts=(brief, post), starts=starts)


async def dry(house: Installation, draft: AgentDraft, **how: Any) -> TestReport:
    """The report of a dry run of an agent that is made of a draft."""
    agent = await house.agents.create(MAYA, fields_of(draft), draft.skill_files)
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.DRY, **how)
    return await house.agents.await_test(MAYA, test_id, 240)


def fields_of(draft: AgentDraft) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": draft.name,
        "description": draft.description,
        "trigger_type": draft.trigger_type,
        "schedule": draft.schedule,
        "timezone": draft.timezone,
        "integrations": list(draft.integrations),
        "skills": [dict(skill) for skill in draft.skills],
    }
    return fields | ({"event_config": draft.event_config} if draft.event_config else {})
