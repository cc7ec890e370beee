"""The public library: publishing, deciding, finding, using, rating, withdrawing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import make_actor
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import SystemClock
from omniforge.core.errors import Conflict, Forbidden, Invalid
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.stores import event_log
from omniforge.skills.errors import SkillInvalid, SkillNotFound
from omniforge.skills.library.errors import NotPublishable, SkillWithdrawn, VersionTaken
from omniforge.skills.library.publishing import Submission
from omniforge.skills.library.schemas import LibraryQuery
from omniforge.skills.library.service import Happened, LibraryService, News
from omniforge.skills.library.using import refreshed
from omniforge.skills.service import SkillService
from omniforge.tenants.roles import permissions_of
from omniforge.tenants.store import Tenant, User

SECRET = "xoxb-" + "1234567890-abcdefghij"


def text(
    name: str = "daily-digest",
    description: str = "Summarises what happened",
    tools: Sequence[str] = ("notion.query_database",),
    body: str = "Do it.",
    more: str = "",
) -> bytes:
    listed = "".join(f"  - {tool}\n" for tool in tools)
    head = f"name: {name}\ndescription: {description}\nallowed-tools:\n{listed}tags:\n  - report\n{more}"
    return f"---\n{head}---\n\n# It\n\n{body}\n".encode()


def submission(version: str = "1.0.0", name: str = "daily-digest", **given: object) -> Submission:
    files = {"SKILL.md": text(name, **given)}  # pyright: ignore[reportArgumentType]
    return Submission(name=name, version=version, files=files, changelog=f"What {version} brought.")


@pytest.fixture
async def library_of_public_skills(database: Database, skills: SkillService) -> LibraryService:
    made = LibraryService(database, skills, event_log(database), SystemClock())
    async with database.transaction() as session:
        now = made.clock.now()
        for tenant in ("default", "other"):
            session.add(Tenant(id=tenant, parent_id=None, name=tenant.title(), created_at=now))
        await session.flush()
        session.add(Tenant(id="acme", parent_id="default", name="Acme Widgets", created_at=now))
        for user, tenant, name in (
            ("local", "default", "You"),
            ("maya", "default", "Maya Castellanos"),
            ("stranger", "other", "Strange One"),
        ):
            session.add(
                User(id=user, tenant_id=tenant, name=name, role=Role.OWNER, created_at=now, disabled_at=None)
            )
    await made.open()
    return made


@pytest.fixture
def shelf(library_of_public_skills: LibraryService) -> LibraryService:
    return library_of_public_skills


@pytest.fixture
def curator() -> Actor:
    return make_actor(user_id="maya")


async def released(shelf: LibraryService, actor: Actor, curator: Actor, *given: Submission) -> None:
    for each in given:
        await shelf.publish(actor, each)
        await shelf.approve(curator, each.name)


async def names(shelf: LibraryService, actor: Actor, **query: object) -> list[str]:
    found, total = await shelf.search(actor, LibraryQuery.model_validate(query))
    assert total >= len(found)
    return [skill.name for skill in found]


# --- publishing --------------------------------------------------------------------------------------------


async def test_what_is_published_waits_and_is_found_by_nobody_until_approved(
    shelf: LibraryService, actor: Actor, curator: Actor, foreign_actor: Actor
) -> None:
    accepted = await shelf.publish(actor, submission())
    assert (accepted.skill.status, accepted.version.status) == ("pending", "pending")
    assert await names(shelf, foreign_actor) == []
    with pytest.raises(SkillNotFound):
        await shelf.get(foreign_actor, "daily-digest")
    with pytest.raises(SkillNotFound):
        await shelf.pin(foreign_actor, "daily-digest", "latest")
    assert (await shelf.get(actor, "daily-digest")).versions[0].version == "1.0.0"
    assert await names(shelf, actor, status="pending") == ["daily-digest"]
    with pytest.raises(Forbidden):
        await shelf.approve(actor, "daily-digest")
    shown = await shelf.approve(curator, "daily-digest")
    assert (shown.status, shown.latest_version, shown.author_name) == ("approved", "1.0.0", "You")
    assert await names(shelf, foreign_actor) == ["daily-digest"]
    assert (await shelf.pin(foreign_actor, "daily-digest", "latest")).version == "1.0.0"


async def test_who_is_alone_in_a_tenant_approves_their_own(
    shelf: LibraryService, foreign_actor: Actor
) -> None:
    await shelf.publish(foreign_actor, submission())
    assert (await shelf.approve(foreign_actor, "daily-digest")).status == "approved"


async def test_permissions_are_asked_for(shelf: LibraryService, actor: Actor) -> None:
    viewer = Actor("default", "v", Role.VIEWER, "user:v", permissions_of(Role.VIEWER))
    developer = Actor("default", "d", Role.DEVELOPER, "user:d", permissions_of(Role.DEVELOPER))
    with pytest.raises(Forbidden, match="skill:share"):
        await shelf.publish(viewer, submission())
    await shelf.publish(developer, submission())
    for decide in (shelf.approve, shelf.reject, shelf.archive):
        with pytest.raises(Forbidden, match="skill:curate"):
            await decide(developer, "daily-digest")


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        (f"Use `{SECRET}`.", "secret", 12),
        ("Ask\n\nmaya@castellanos.org about it.", "address", 14),
        ("Written for ACME WIDGETS only.", "name", 12),
        ("Ask Maya Castellanos.", "name", 12),
        ("Built for Initech.", "name", 12),
        ("Read 1f2e3d4c-1f2e-3d4c-1f2e-3d4c5b6a7988.", "id", 12),
        ("Post to C0123ABCDEF.", "id", 12),
        ("Through conn_0123456789ab0123456789abcdef.", "id", 12),
        ("In the workspace of Globex Corp.", "id", 12),
    ],
)
async def test_what_others_must_not_see_is_refused_with_its_line(
    shelf: LibraryService, actor: Actor, body: str, code: str, line: int
) -> None:
    async def known(_actor: Actor) -> Sequence[tuple[str, str]]:
        return [("Globex Corp", "name of a workspace")]

    shelf.publishing.known_ids = known
    given = Submission("daily-digest", "1.0.0", {"SKILL.md": text(body=body)}, names=["Initech"])
    with pytest.raises(NotPublishable) as refused:
        await shelf.publish(actor, given)
    found = refused.value.details["findings"]
    assert (code, line) in {(each["code"], each["line"]) for each in found}
    assert SECRET not in json.dumps(refused.value.details) + refused.value.message
    assert await names(shelf, actor, status="pending") == []


async def test_secrets_in_scripts_and_binaries_are_refused(shelf: LibraryService, actor: Actor) -> None:
    for path, data in (("scripts/main.py", f"KEY = '{SECRET}'".encode()), ("docs/a.bin", b"\0\1\2")):
        files = {"SKILL.md": text(), path: data}
        with pytest.raises(NotPublishable) as refused:
            await shelf.publish(actor, Submission("daily-digest", "1.0.0", files))
        assert refused.value.details["findings"][0]["path"] == path


async def test_settings_are_made_blank(shelf: LibraryService, foreign_actor: Actor) -> None:
    config = {"channel": "#acme-internal", "limit": 20, "deep": {"to": ["a@b.co"]}, "on": True}
    files = {"SKILL.md": text(), "examples/config.json": json.dumps(config).encode()}
    accepted = await shelf.publish(foreign_actor, Submission("daily-digest", "1.0.0", files))
    assert accepted.anonymised == ["examples/config.json"]
    got = await shelf.download(foreign_actor, "daily-digest", "1.0.0")
    blank = next(file.data() for file in got.files if file.path == "examples/config.json")
    assert json.loads(blank) == {"channel": "", "limit": 0, "deep": {"to": []}, "on": False}


async def test_both_sets_of_rules_are_applied(shelf: LibraryService, actor: Actor) -> None:
    for wrong in (
        text("other-name"),
        text(description="x" * 81),
        text(more="schedule: daily\n"),
        text(body="[x](docs/missing.md)"),
    ):
        with pytest.raises(Invalid) as refused:
            await shelf.publish(actor, Submission("daily-digest", "1.0.0", {"SKILL.md": wrong}))
        assert refused.value.code == "skill_invalid"
    with pytest.raises(SkillInvalid):
        await shelf.publish(actor, Submission("double--dash", "1.0.0", {"SKILL.md": text("double--dash")}))
    with pytest.raises(Invalid, match="three numbers"):
        await shelf.publish(actor, submission("1.0"))


async def test_author_and_licence_are_kept(shelf: LibraryService, actor: Actor) -> None:
    given = Submission(
        "daily-digest",
        "1.0.0",
        {"SKILL.md": text(more="license: MIT\nmetadata:\n  author: Ada Lovelace\n")},
    )
    accepted = await shelf.publish(actor, given)
    assert (accepted.skill.license, accepted.skill.author_name) == ("MIT", "Ada Lovelace")
    assert accepted.skill.author_id == "local"


async def test_versions_only_rise_and_never_change(
    shelf: LibraryService, actor: Actor, curator: Actor
) -> None:
    await released(shelf, actor, curator, submission("1.2.0"))
    for version in ("1.2.0", "1.1.9", "0.9.0"):
        with pytest.raises(VersionTaken) as refused:
            await shelf.publish(actor, submission(version, body="Other."))
        assert refused.value.details["highest"] == "1.2.0"
    await shelf.publish(actor, submission("1.10.0", body="Better."))
    await shelf.reject(curator, "daily-digest", reason="Not yet")
    with pytest.raises(VersionTaken):
        await shelf.publish(actor, submission("1.10.0", body="Best."))
    found, _ = await shelf.versions(actor, "daily-digest", Paging())
    assert [(each.version, each.status) for each in found] == [("1.10.0", "rejected"), ("1.2.0", "approved")]


async def test_a_name_belongs_to_who_published_it_first(
    shelf: LibraryService, actor: Actor, curator: Actor, foreign_actor: Actor
) -> None:
    await released(shelf, actor, curator, submission())
    with pytest.raises(Conflict) as refused:
        await shelf.publish(foreign_actor, submission("2.0.0"))
    assert refused.value.code == "name_taken"
    for decide in (shelf.reject, shelf.archive, shelf.approve):
        with pytest.raises(Forbidden):
            await decide(foreign_actor, "daily-digest", reason="Mine now")


async def test_what_may_break_an_agent_is_marked(shelf: LibraryService, actor: Actor, curator: Actor) -> None:
    settings = "## Configuration\n\n- `channel` (required): where.\n- `title`: above it.\n"
    fewer = "## Configuration\n\n- `channel` (required): where.\n"
    wider = ("notion.query_database", "notion.update_row")
    steps = [
        (submission("1.0.0", body=settings), []),
        (submission("1.0.1", body=settings + "\nBetter."), []),
        (submission("1.1.0", body=settings, tools=wider), ["notion.update_row"]),
        (submission("1.2.0", body=fewer, tools=wider), ["title"]),
        (submission("1.2.1", body=fewer, tools=("notion.*",)), ["notion.*"]),
        (submission("1.2.2", body=fewer, tools=wider), []),
        (submission("2.0.0", body=fewer, tools=wider), ["major"]),
    ]
    for given, words in steps:
        accepted = await shelf.publish(actor, given)
        await shelf.approve(curator, "daily-digest")
        assert accepted.version.breaking == bool(words), given.version
        assert all(word in " ".join(accepted.version.breaking_reasons) for word in words)


async def test_a_decision_needs_something_that_waits_and_a_no_needs_a_reason(
    shelf: LibraryService, actor: Actor, curator: Actor
) -> None:
    await shelf.publish(actor, submission())
    with pytest.raises(Invalid, match="Say why"):
        await shelf.reject(curator, "daily-digest", reason=" ")
    assert (await shelf.reject(curator, "daily-digest", reason="Too vague")).status == "rejected"
    with pytest.raises(Conflict) as refused:
        await shelf.approve(curator, "daily-digest")
    assert refused.value.code == "not_pending"
    await shelf.publish(actor, submission("1.0.1"))
    assert (await shelf.approve(curator, "daily-digest")).status == "approved"


# --- finding -----------------------------------------------------------------------------------------------


async def test_search_goes_by_text_then_use_then_rating(
    shelf: LibraryService, actor: Actor, curator: Actor
) -> None:
    await released(
        shelf,
        actor,
        curator,
        submission(name="slack-poster", description="Posts a Report", tools=("slack.post_message",)),
        submission(name="report-maker", description="Makes tables"),
        submission(name="weekly-notes", description="A report about meetings"),
        submission(name="weekly-plans", description="A REPORT about plans"),
    )
    assert (await names(shelf, actor, q="report"))[0] == "report-maker"
    assert await names(shelf, actor, q="REP week") == ["weekly-notes", "weekly-plans"]
    assert await names(shelf, actor, q="eport") == []
    assert await names(shelf, actor, q="%") == []
    assert await names(shelf, actor, q="nothing like it") == []
    for agent in ("a1", "a2"):
        await shelf.note_use("default", agent, "weekly-plans", "1.0.0")
    assert await names(shelf, actor, q="weekly") == ["weekly-plans", "weekly-notes"]
    assert await names(shelf, actor, integration="slack") == ["slack-poster"]
    assert await names(shelf, actor, integration="lack") == []
    assert await names(shelf, actor, author="you", tags="Report", limit=2, offset=1) != []
    assert await names(shelf, actor, tags="report,absent") == []
    assert await names(shelf, actor, category="none") == []


async def test_suggestions_say_who_made_it_how_often_it_is_used_and_what_it_needs(
    shelf: LibraryService, actor: Actor, curator: Actor
) -> None:
    body = "## Prerequisites\n\n- A connection to Slack, whose app\n  is in the channel.\n"
    await released(
        shelf,
        actor,
        curator,
        submission(name="slack-poster", description="Posts text", tools=("slack.post_message",), body=body),
        submission(name="notion-reader", description="Reads rows"),
    )
    await shelf.note_use("default", "a1", "slack-poster", "1.0.0")
    found = await shelf.suggest(actor, "Also post a summary to Slack, please", ["slack"])
    assert [(each.name, each.author, each.uses) for each in found] == [("slack-poster", "You", 1)]
    assert found[0].needs == ["A connection to Slack, whose app is in the channel."]
    assert found[0].integrations == ["slack"]
    assert [each.name for each in await shelf.suggest(actor, "post it somewhere")] == ["slack-poster"]
    assert await shelf.suggest(actor, "make me a new one") == []
    assert await shelf.suggest(actor, "") == []


# --- using -------------------------------------------------------------------------------------------------


async def test_latest_stays_within_what_was_tested(
    shelf: LibraryService, actor: Actor, curator: Actor, database: Database
) -> None:
    await released(shelf, actor, curator, submission("1.0.0"), submission("1.1.0", body="Better."))
    first = await shelf.pin(actor, "daily-digest", "latest", "a1")
    assert first.version == "1.1.0"
    await shelf.note_use("default", "a1", "daily-digest", first.version)
    await released(shelf, actor, curator, submission("1.1.1", body="Best."), submission("2.0.0", body="New."))
    assert (await shelf.pin(actor, "daily-digest", "latest", "a1")).version == "1.1.1"
    assert (await shelf.pin(actor, "daily-digest", "latest", "a2")).version == "2.0.0"
    assert (await shelf.pin(actor, "daily-digest", "1.0.0", "a1")).version == "1.0.0"
    async with database.read() as session:
        taken = await refreshed(session, "daily-digest", "1.0.0")
        assert taken is not None
        assert taken.version == "1.1.1"
        assert await refreshed(session, "daily-digest", "2.0.0") is None
    with pytest.raises(SkillNotFound, match="no version"):
        await shelf.pin(actor, "daily-digest", "1.3.0", "a1")


async def test_latest_stops_before_a_version_that_may_break(
    shelf: LibraryService, actor: Actor, curator: Actor, database: Database
) -> None:
    wider = ("notion.query_database", "slack.post_message")
    await released(
        shelf,
        actor,
        curator,
        submission("1.0.0"),
        submission("1.0.1", body="Fixed."),
        submission("1.1.0", tools=wider),
        submission("1.1.1", tools=wider, body="Fixed."),
    )
    async with database.read() as session:
        taken = await refreshed(session, "daily-digest", "1.0.0")
        assert taken is not None
        assert taken.version == "1.0.1"
    offer = await shelf.offer(actor, "daily-digest", "1.0.1")
    assert offer is not None
    assert (offer.newest, offer.breaking) == ("1.1.1", True)
    assert [each.changelog for each in offer.versions] == ["What 1.1.0 brought.", "What 1.1.1 brought."]
    assert await shelf.offer(actor, "daily-digest", "1.1.1") is None


async def test_a_use_is_counted_once_per_agent(shelf: LibraryService, actor: Actor, curator: Actor) -> None:
    await released(shelf, actor, curator, submission())
    for tenant, agent in (("default", "a1"), ("default", "a1"), ("default", "a2"), ("other", "a1")):
        await shelf.note_use(tenant, agent, "daily-digest", "1.0.0")
    assert (await shelf.get(actor, "daily-digest")).usage_count == 3


async def test_withdrawn_skills_go_on_where_they_are_used_and_start_nowhere_new(
    shelf: LibraryService, skills: SkillService, actor: Actor, curator: Actor, foreign_actor: Actor
) -> None:
    heard: list[News] = []

    async def hear(news: News) -> None:
        heard.append(news)

    shelf.on_news.append(hear)
    await released(shelf, actor, curator, submission())
    pinned = await shelf.pin(foreign_actor, "daily-digest", "latest", "a1")
    await shelf.note_use("other", "a1", "daily-digest", pinned.version)
    await shelf.archive(curator, "daily-digest", reason="It was wrong")
    assert [(news.happened, news.users) for news in heard] == [
        (Happened.WITHDRAWN, [("other", "a1", "1.0.0")])
    ]
    assert await names(shelf, foreign_actor) == []
    assert await shelf.pin(foreign_actor, "daily-digest", "latest", "a1") == pinned
    assert await skills.snapshot("other", pinned.hash) == {"SKILL.md": text()}
    for actor_, agent in ((foreign_actor, "a2"), (actor, "a1"), (actor, None)):
        with pytest.raises(SkillWithdrawn, match="It was wrong"):
            await shelf.pin(actor_, "daily-digest", "1.0.0", agent)
    with pytest.raises(Conflict):
        await shelf.archive(curator, "daily-digest", reason="Again")


async def test_who_uses_a_skill_hears_of_a_new_version(
    shelf: LibraryService, actor: Actor, curator: Actor
) -> None:
    heard: list[News] = []

    async def hear(news: News) -> None:
        heard.append(news)

    shelf.on_news.append(hear)
    await released(shelf, actor, curator, submission())
    assert heard == []
    await shelf.note_use("default", "a1", "daily-digest", "1.0.0")
    await released(shelf, actor, curator, submission("2.0.0", body="New."))
    assert [(news.version, news.breaking, news.text) for news in heard] == [
        ("2.0.0", True, "What 2.0.0 brought.")
    ]


async def test_one_rating_per_person_after_a_completed_run(
    shelf: LibraryService, actor: Actor, curator: Actor
) -> None:
    await released(shelf, actor, curator, submission())
    with pytest.raises(Forbidden, match="completed"):
        await shelf.rate(actor, "daily-digest", 5)
    await shelf.note_use("default", "a1", "daily-digest", "1.0.0")
    with pytest.raises(Forbidden):
        await shelf.rate(actor, "daily-digest", 5)

    async def completed(tenant_id: str, agent_ids: Sequence[str]) -> bool:
        return tenant_id == "default" and list(agent_ids) == ["a1"]

    shelf.using.has_completed = completed
    await shelf.rate(actor, "daily-digest", 1)
    await shelf.rate(actor, "daily-digest", 4)
    row = await shelf.rate(curator, "daily-digest", 5)
    assert (row.rating_count, row.rating_avg) == (2, 4.5)


async def test_a_copy_to_change_says_whose_it_was(
    shelf: LibraryService, skills: SkillService, actor: Actor, curator: Actor, foreign_actor: Actor
) -> None:
    await released(shelf, actor, curator, submission())
    made = await shelf.derive(foreign_actor, "daily-digest", agent_id="a1", as_name="my-digest")
    assert made.derived_from["author"] == "You"
    assert made.derived_from["version"] == "1.0.0"
    copy = await skills.get(foreign_actor, "my-digest", "a1", own=True)
    assert copy.origin == "custom"
    assert copy.files["SKILL.md"].endswith(b"_Based on the public skill daily-digest 1.0.0 by You._\n")
    assert not [item for item in copy.diagnostics if item.severity == "error"]
    with pytest.raises(Conflict):
        await shelf.derive(foreign_actor, "daily-digest", agent_id="a1", as_name="my-digest")


async def test_approved_skills_resolve_for_everybody_and_withdrawn_ones_do_not(
    shelf: LibraryService, skills: SkillService, actor: Actor, curator: Actor, foreign_actor: Actor
) -> None:
    await released(shelf, actor, curator, submission("1.0.0"), submission("1.1.0", body="Better."))
    found = await skills.get(foreign_actor, "daily-digest")
    assert (found.root, found.files["SKILL.md"]) == ("public", text(body="Better."))
    (skills.root / "public-skills/daily-digest/SKILL.md").write_bytes(text(body="Tampered."))
    await shelf.open()
    assert (await skills.get(foreign_actor, "daily-digest")).files["SKILL.md"] == text(body="Better.")
    kept = skills.root / "public-skills/.versions/1.0.0/daily-digest/SKILL.md"
    assert kept.read_bytes() == text()
    await shelf.archive(curator, "daily-digest", reason="No")
    with pytest.raises(SkillNotFound):
        await skills.get(foreign_actor, "daily-digest")


# --- what is shipped ---------------------------------------------------------------------------------------


async def test_what_is_shipped_is_always_there_and_its_versions_never_change(
    shelf: LibraryService, bundled: Path, foreign_actor: Actor
) -> None:
    folder = bundled / "slack-poster"
    folder.mkdir()
    (bundled / "library.json").write_text('{"slack-poster": {"version": "1.2.0", "category": "messages"}}')
    (folder / "SKILL.md").write_bytes(text("slack-poster", tools=("slack.post_message",)))
    await shelf.open()
    await shelf.open()
    found = await shelf.get(foreign_actor, "slack-poster")
    assert (found.author_name, found.status, found.category) == ("OmniForge", "approved", "messages")
    assert [each.version for each in found.versions] == ["1.2.0"]
    first = await shelf.pin(foreign_actor, "slack-poster", "1.2.0")
    (folder / "SKILL.md").write_bytes(text("slack-poster", "Better", tools=("slack.post_message",)))
    await shelf.open()
    found = await shelf.get(foreign_actor, "slack-poster")
    assert ([each.version for each in found.versions], found.description) == (["1.2.1", "1.2.0"], "Better")
    assert await shelf.pin(foreign_actor, "slack-poster", "1.2.0") == first
    with pytest.raises(Forbidden):
        await shelf.archive(foreign_actor, "slack-poster", reason="Mine")
    (folder / "SKILL.md").unlink()
    folder.rmdir()
    await shelf.open()
    assert await names(shelf, foreign_actor) == []


async def test_an_own_name_is_not_taken_over_by_what_is_shipped_later(
    shelf: LibraryService, bundled: Path, actor: Actor, curator: Actor
) -> None:
    await released(shelf, actor, curator, submission())
    (bundled / "daily-digest").mkdir()
    (bundled / "daily-digest/SKILL.md").write_bytes(text(body="Shipped."))
    await shelf.open()
    assert (await shelf.get(actor, "daily-digest")).author_name == "You"
