"""Writing, reading, pinning: whole folders, nothing lost, nothing of others, nothing outside the root."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.db import Database
from omniforge.skills import folders
from omniforge.skills.errors import SkillChanged, SkillDamaged, SkillInvalid, SkillNotFound
from omniforge.skills.resolver import RootKind
from omniforge.skills.service import SkillService
from omniforge.skills.store import SkillBlobRow


def text(name: str = "weekly", description: str = "Does a thing", body: str = "Do it.\n") -> bytes:
    return f"---\nname: {name}\ndescription: {description}\n---\n\n{body}".encode()


def files(description: str = "Does a thing", **more: bytes) -> dict[str, bytes]:
    return {
        "SKILL.md": text(description=description),
        **{path.replace("__", "/"): data for path, data in more.items()},
    }


def put(root: Path, name: str, data: bytes) -> Path:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "SKILL.md").write_bytes(data)
    return root / name


def agent_folder(library: Path, agent_id: str = "a1", tenant: str = "default") -> Path:
    return library / "tenants" / tenant / "agents" / agent_id / "skills"


async def test_what_is_written_is_on_disk_in_the_rows_and_reads_back(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    given = files(scripts__main=b"print()", docs__raw=b"\xff\x00")
    stored = await skills.write(actor, name="weekly", files=given, agent_id="a1")
    assert stored.path == agent_folder(library) / "weekly" / "SKILL.md"
    assert (stored.version, stored.origin, stored.root) == (1, "custom", RootKind.AGENT)
    assert (stored.path.parent / "scripts" / "main").read_bytes() == b"print()"
    read = await skills.get(actor, "weekly", "a1")
    assert (read.files, read.hash, read.version) == (given, stored.hash, 1)
    assert await skills.snapshot(actor.tenant_id, stored.hash) == given
    assert await skills.pin(actor, "weekly", "a1") == stored.hash


async def test_a_new_version_replaces_the_folder_wholly_and_the_old_bytes_stay(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    first = await skills.write(actor, name="weekly", files=files(old=b"1"), agent_id=None)
    second = await skills.write(actor, name="weekly", files=files("Other", new=b"2"), agent_id=None)
    folder = library / "tenants/default/skills"
    assert sorted(path.name for path in (folder / "weekly").iterdir()) == ["SKILL.md", "new"]
    assert [path.name for path in folder.iterdir()] == ["weekly"], "no temporary names are left"
    assert second.version == 2
    assert await skills.snapshot(actor.tenant_id, first.hash) == files(old=b"1")
    again = await skills.write(actor, name="weekly", files=files("Other", new=b"2"), agent_id=None)
    assert again.version == 2, "the same content is no new version"
    assert [row.version for row in await skills.versions(actor, "weekly")] == [2, 1]


async def test_an_expected_hash_that_is_not_there_changes_nothing(skills: SkillService, actor: Actor) -> None:
    first = await skills.write(actor, name="weekly", files=files(), agent_id="a1", must_be_new=True)
    with pytest.raises(Conflict) as caught:
        await skills.write(actor, name="weekly", files=files("New"), agent_id="a1", must_be_new=True)
    assert caught.value.code == "already_exists"
    second = await skills.write(
        actor, name="weekly", files=files("New"), agent_id="a1", expected_hash=first.hash
    )
    with pytest.raises(SkillChanged):
        await skills.write(actor, name="weekly", files=files("Late"), agent_id="a1", expected_hash=first.hash)
    with pytest.raises(SkillChanged):
        await skills.delete(actor, "weekly", "a1", expected_hash=first.hash)
    assert (await skills.get(actor, "weekly", "a1")).hash == second.hash


async def test_of_many_writers_with_one_expectation_one_wins(skills: SkillService, actor: Actor) -> None:
    first = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    results = await asyncio.gather(
        *(
            skills.write(
                actor, name="weekly", files=files(f"No {n}"), agent_id="a1", expected_hash=first.hash
            )
            for n in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, SkillChanged) for result in results) == 7
    assert (await skills.get(actor, "weekly", "a1")).version == 2


async def test_a_file_edited_by_hand_wins_and_becomes_a_version(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    first = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    by_hand = text(description="By hand, and longer")
    first.path.write_bytes(by_hand)
    listed, _ = await skills.list(actor, "a1")
    assert [(skill.description, skill.origin, skill.version) for skill in listed] == [
        ("By hand, and longer", "file", None)
    ]
    read = await skills.get(actor, "weekly", "a1")
    assert (read.description, read.origin, read.version) == ("By hand, and longer", "file", 2)
    assert (await skills.get(actor, "weekly", "a1")).version == 2


async def test_hand_edits_are_kept_when_they_are_overwritten_or_deleted_unseen(
    skills: SkillService, actor: Actor
) -> None:
    first = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    first.path.write_bytes(text(description="By hand one"))
    with pytest.raises(SkillChanged):
        await skills.write(actor, name="weekly", files=files("Mine"), agent_id="a1", expected_hash=first.hash)
    await skills.write(actor, name="weekly", files=files("Mine"), agent_id="a1")
    first.path.write_bytes(text(description="By hand two"))
    await skills.delete(actor, "weekly", "a1")
    history = await skills.versions(actor, "weekly", "a1")
    kept = [await skills.snapshot(actor.tenant_id, row.content_hash) for row in history]
    assert [version["SKILL.md"].split(b"\n")[2] for version in kept] == [
        b"description: By hand two",
        b"description: Mine",
        b"description: By hand one",
        b"description: Does a thing",
    ]


async def test_a_flat_file_becomes_a_folder_with_the_first_write(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    folder = agent_folder(library)
    folder.mkdir(parents=True)
    (folder / "weekly.md").write_bytes(text(description="Flat"))
    flat = await skills.get(actor, "weekly", "a1")
    assert (flat.description, flat.version, flat.files) == ("Flat", 1, {"SKILL.md": text(description="Flat")})
    await skills.write(actor, name="weekly", files=files("Folder"), agent_id="a1")
    assert [path.name for path in folder.iterdir()] == ["weekly"]
    assert await skills.snapshot(actor.tenant_id, flat.hash) == flat.files


async def test_a_deleted_skill_is_gone_and_its_pinned_files_are_not(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    stored = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    await skills.delete(actor, "weekly", "a1")
    assert list(agent_folder(library).iterdir()) == []
    for call in (
        skills.get(actor, "weekly", "a1"),
        skills.delete(actor, "weekly", "a1"),
        skills.pin(actor, "weekly", "a1"),
    ):
        with pytest.raises(SkillNotFound):
            await call
    assert await skills.snapshot(actor.tenant_id, stored.hash) == files()
    again = await skills.write(actor, name="weekly", files=files("New"), agent_id="a1")
    assert again.version == 2, "the count goes on"


async def test_bundled_skills_resolve_and_pin_without_a_row(
    skills: SkillService, actor: Actor, bundled: Path
) -> None:
    put(bundled, "helper-skill", text("helper-skill"))
    found = await skills.get(actor, "helper-skill", "a1")
    assert (found.root, found.origin, found.version) == (RootKind.GLOBAL, "bundled", None)
    digest = await skills.pin(actor, "helper-skill", "a1", "custom")
    put(bundled, "helper-skill", text("helper-skill", "Changed since"))
    assert (await skills.snapshot(actor.tenant_id, digest))["SKILL.md"] == text("helper-skill")
    assert await skills.pin(actor, "helper-skill") != digest
    with pytest.raises(SkillNotFound):
        await skills.pin(actor, "helper-skill", "a1", "public")
    with pytest.raises(SkillNotFound):
        await skills.get(actor, "helper-skill", "a1", own=True)


async def test_an_agents_skill_covers_the_tenants(skills: SkillService, actor: Actor) -> None:
    await skills.write(actor, name="weekly", files=files("Tenant"), agent_id=None)
    await skills.write(actor, name="weekly", files=files("Agent"), agent_id="a1")
    assert (await skills.get(actor, "weekly", "a1")).description == "Agent"
    assert (await skills.get(actor, "weekly", "a2")).description == "Tenant"
    assert (await skills.resolve(actor, "weekly")).description == "Tenant"
    assert [s.description for s in (await skills.list(actor, "a1"))[0]] == ["Agent"]
    assert [s.description for s in (await skills.list(actor, "a1", RootKind.TENANT))[0]] == ["Tenant"]


async def test_a_foreign_tenant_sees_nothing(
    skills: SkillService, actor: Actor, foreign_actor: Actor
) -> None:
    stored = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    await skills.write(actor, name="shared", files={"SKILL.md": text("shared")}, agent_id=None)
    assert await skills.list(foreign_actor, "a1") == ([], 0)
    for call in (
        skills.get(foreign_actor, "weekly", "a1"),
        skills.get(foreign_actor, "shared", own=True),
        skills.delete(foreign_actor, "weekly", "a1"),
        skills.resolve(foreign_actor, "shared"),
        skills.pin(foreign_actor, "weekly", "a1"),
        skills.versions(foreign_actor, "weekly", "a1"),
        skills.snapshot(foreign_actor.tenant_id, stored.hash),
    ):
        with pytest.raises(NotFound):
            await call
    assert (await skills.get(actor, "weekly", "a1")).hash == stored.hash


@pytest.mark.parametrize("agent_id", ["", "..", "a/b", ".a", "a\0", "a" * 65, "../../other", "a b", "é"])
async def test_agent_ids_that_are_no_ids_are_unknown(
    skills: SkillService, actor: Actor, library: Path, agent_id: str
) -> None:
    with pytest.raises(NotFound):
        await skills.write(actor, name="weekly", files=files(), agent_id=agent_id)
    with pytest.raises(NotFound):
        await skills.get(actor, "weekly", agent_id)
    assert not library.exists()


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", ".x", "Weekly", "skill", "a\nb", "12", "a" * 65, "a: b", "\ud800"]
)
async def test_bad_names_are_refused(skills: SkillService, actor: Actor, library: Path, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        await skills.write(actor, name=name, files=files(), agent_id="a1")
    assert caught.value.details["fields"][0]["field"] == "name"
    assert not library.exists()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "../x",
            "/etc/x",
            "a/../../x",
            ".hidden",
            "a/.b",
            "a//b",
            "",
            "a\\b",
            "a\0b",
            "c:x",
            "a\nb",
            "\ud800",
        ),
        *("SKILL.md/x", "skill.MD", "x" * 201, "a/b/c/d/e/f/g"),
    ],
)
async def test_bad_paths_are_refused(skills: SkillService, actor: Actor, library: Path, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        await skills.write(actor, name="weekly", files={**files(), path: b"x"}, agent_id="a1")
    assert caught.value.details["fields"]
    assert not library.exists()


async def test_too_many_or_too_large_files_are_refused(skills: SkillService, actor: Actor) -> None:
    for more in ({f"f{n}": b"" for n in range(200)}, {"big": b"x" * 1_048_577}):
        with pytest.raises(Invalid):
            await skills.write(actor, name="weekly", files={**files(), **more}, agent_id="a1")
    with pytest.raises(Invalid):
        await skills.write(actor, name="weekly", files={"other.md": b"x"}, agent_id="a1")


async def test_an_invalid_document_is_refused_with_every_problem(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    bad = b"---\nname: weekly\nschedule: daily\nextra: 1\n---\n\n[x](../y)\n"
    with pytest.raises(SkillInvalid) as caught:
        await skills.write(actor, name="weekly", files={"SKILL.md": bad}, agent_id="a1")
    fields = [item["field"] for item in caught.value.details["diagnostics"]]
    assert fields == ["description", "schedule", "extra", "body"]
    assert not library.exists()


async def test_imported_files_need_only_be_loadable(skills: SkillService, actor: Actor) -> None:
    foreign = b"---\ntitle: x\ndescription: It does: this\n---\nDo it.\n"
    stored = await skills.write(
        actor, name="weekly", files={"SKILL.md": foreign}, agent_id=None, origin="imported"
    )
    assert stored.files["SKILL.md"] == foreign
    assert stored.diagnostics
    with pytest.raises(SkillInvalid):
        await skills.write(
            actor, name="weekly", files={"SKILL.md": b"\xff"}, agent_id=None, origin="imported"
        )


async def test_links_are_never_written_through(
    skills: SkillService, actor: Actor, library: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (library / "tenants/default/agents").mkdir(parents=True)
    (library / "tenants/default/agents/a1").symlink_to(outside)
    with pytest.raises(Conflict) as caught:
        await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    assert caught.value.code == "unsafe_path"
    agent_folder(library, "a2").mkdir(parents=True)
    (agent_folder(library, "a2") / "weekly").symlink_to(outside)
    with pytest.raises(Exception, match="could not be written"):
        await skills.write(actor, name="weekly", files=files(), agent_id="a2")
    assert list(outside.iterdir()) == []
    assert [path.name for path in agent_folder(library, "a2").iterdir()] == ["weekly"]


async def test_a_folder_or_link_that_only_looks_like_the_flat_form_is_left_alone(
    skills: SkillService, actor: Actor, library: Path, tmp_path: Path
) -> None:
    (agent_folder(library) / "weekly.md").mkdir(parents=True)
    (agent_folder(library) / "other.md").symlink_to(tmp_path)
    for name in ("weekly", "other"):
        await skills.write(actor, name=name, files={"SKILL.md": text(name)}, agent_id="a1")
        await skills.delete(actor, name, "a1")
    assert sorted(path.name for path in agent_folder(library).iterdir()) == ["other.md", "weekly.md"]


@pytest.mark.parametrize("kept", [".env", ".git/config", "docs/.hidden"])
async def test_files_that_are_no_part_of_a_skill_are_never_removed_with_it(
    skills: SkillService, actor: Actor, library: Path, kept: str
) -> None:
    stored = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    file = stored.path.parent / kept
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"precious")
    for change in (
        skills.write(actor, name="weekly", files=files("New"), agent_id="a1"),
        skills.delete(actor, "weekly", "a1"),
    ):
        with pytest.raises(Conflict) as caught:
            await change
        assert caught.value.code == "other_files"
    assert file.read_bytes() == b"precious"
    shutil.rmtree(stored.path.parent / kept.split("/", maxsplit=1)[0]) if "/" in kept else file.unlink()
    assert (await skills.write(actor, name="weekly", files=files("New"), agent_id="a1")).version == 2


async def test_a_folder_that_is_no_skill_is_not_replaced(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    folder = agent_folder(library) / "weekly"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_bytes(b"precious")
    with pytest.raises(Conflict):
        await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    assert (folder / "notes.txt").read_bytes() == b"precious"


async def test_links_and_hidden_files_inside_a_skill_are_not_read(
    skills: SkillService, actor: Actor, library: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = put(agent_folder(library), "weekly", text())
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "dir").symlink_to(tmp_path)
    (folder / ".hidden").write_bytes(b"x")
    assert (await skills.get(actor, "weekly", "a1")).files == {"SKILL.md": text()}


async def test_what_a_crash_left_never_resolves_and_is_cleared(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    folder = agent_folder(library)
    await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    put(folder, ".weekly.0123456789abcdef", text(description="Half written"))
    put(folder, ".other.0123456789abcdef", text(description="Of another skill"))
    assert [s.description for s in (await skills.list(actor, "a1"))[0]] == ["Does a thing"]
    await skills.write(actor, name="weekly", files=files("New"), agent_id="a1")
    assert sorted(path.name for path in folder.iterdir()) == [".other.0123456789abcdef", "weekly"]


async def test_a_crash_between_disk_and_row_loses_nothing(
    skills: SkillService, actor: Actor, library: Path
) -> None:
    first = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    with folders.open_folder(library, *agent_folder(library).relative_to(library).parts) as parent:
        folders.switch_tree(parent, "weekly", files("On disk only"))
    found = await skills.get(actor, "weekly", "a1")
    assert (found.description, found.version) == ("On disk only", 2)
    assert await skills.snapshot(actor.tenant_id, first.hash) == files()


async def test_readers_see_the_old_or_the_new_folder_never_a_mix(skills: SkillService, actor: Actor) -> None:
    versions = [
        {"SKILL.md": text(description=f"Version {n}"), **{f"f{i}": str(n).encode() for i in range(12)}}
        for n in range(2)
    ]
    hashes = {folders.content_hash(version) for version in versions}
    stored = await skills.write(actor, name="weekly", files=versions[0], agent_id="a1")
    stop = False

    def switch_on() -> None:
        with folders.open_folder(stored.path.parent.parent) as parent:
            turn = 0
            while not stop:
                turn += 1
                folders.switch_tree(parent, "weekly", versions[turn % 2])

    def read() -> set[str]:
        with folders.open_folder(stored.path.parent.parent) as parent:
            trees = [folders.read_tree(parent, "weekly") for _ in range(60)]
        return {"missing" if tree is None else folders.content_hash(tree) for tree in trees}

    writing = asyncio.create_task(asyncio.to_thread(switch_on))
    try:
        seen = await asyncio.to_thread(read)
    finally:
        stop = True
        await writing
    assert seen <= hashes


async def test_damaged_bytes_are_never_used(skills: SkillService, actor: Actor, database: Database) -> None:
    stored = await skills.write(actor, name="weekly", files=files(), agent_id="a1")
    async with database.transaction() as session:
        await session.execute(update(SkillBlobRow).values(data=b"changed"))
    with pytest.raises(SkillDamaged):
        await skills.snapshot(actor.tenant_id, stored.hash)


async def test_one_bad_folder_hides_no_other(skills: SkillService, actor: Actor, library: Path) -> None:
    root = library / "tenants/default/skills"
    put(root, "good", text("good", "Good one"))
    put(root, "bad", b"\xff\xfe")
    (put(root, "huge", text("huge")) / "big").write_bytes(b"x" * 1_048_577)
    everything, total = await skills.list(actor, root=RootKind.TENANT)
    assert total == 3
    assert {skill.name: bool(skill.diagnostics) for skill in everything} == {
        "bad": True,
        "good": False,
        "huge": True,
    }
    assert [skill.name for skill in (await skills.list(actor, search="GOO"))[0]] == ["good"]
    page, total = await skills.list(actor, root=RootKind.TENANT, limit=1, offset=1)
    assert ([skill.name for skill in page], total) == (["good"], 3)


def test_the_content_hash_depends_on_paths_and_bytes_not_on_order() -> None:
    assert folders.content_hash({"a": b"1", "b": b"2"}) == folders.content_hash({"b": b"2", "a": b"1"})
    different = [{"a": b"12"}, {"a1": b"2"}, {"a": b"1", "b": b"2"}, {"a": b"2", "b": b"1"}, {"ab": b"12"}]
    assert len({folders.content_hash(each) for each in different}) == len(different)
