"""Branches of tickets at GitHub, for which another folder stands here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.board.task_stage import Stage

from omniforge.board.pushing import Pushes
from omniforge.board.repository import Remote, Repositories
from omniforge.board.store.projects import ProjectRow
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.sandboxes.trees import Entry, pack_tree

BRANCH = "feature/TKT-001-sign-in"


class There:
    """A board with a project whose repository lives elsewhere, in `url`."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.stage, self.url = Stage(db), str(folder / "there.git")
        self.asked: list[str] = []
        self.here, self.other = Repositories(folder / "here"), Repositories(folder / "other")
        self.pushes = Pushes(db, self.stage.events, self.stage.clock, self.here, self.remote)

    @asynccontextmanager
    async def remote(self, project: ProjectRow) -> AsyncGenerator[Remote]:
        self.asked.append(project.id)
        yield Remote(self.url)

    async def open(self, kind: str = "github", *, connected: bool = True) -> There:
        made = await asyncio.create_subprocess_exec("git", "init", "--quiet", "--bare", self.url)
        assert await made.wait() == 0
        self.project = await self.stage.project(repository_kind=kind, github_connected=connected)
        self.ticket = await self.stage.ticket(self.project, ref="TKT-001")
        return self

    async def work(self, repositories: Repositories, text: str, branch: str = BRANCH) -> str:
        """A commit on a branch."""
        parent = await repositories.head(self.project, branch)
        tree = pack_tree([Entry("a", text.encode())])
        made = await repositories.snapshot(self.project, tree, parent, text)
        return await repositories.merge(self.project, branch, made.commit, text)


@pytest.fixture
def there(database: Database, tmp_path: Path) -> There:
    return There(database, tmp_path)


async def test_the_branch_of_a_ticket_is_pushed_and_told_once(there: There) -> None:
    await there.open()
    assert await there.pushes.push_ticket(there.ticket) is None
    sha = await there.work(there.here, "one")
    assert [await there.pushes.push_ticket(there.ticket) for _ in range(2)] == [sha, sha]
    assert await there.other.fetch(there.project, BRANCH, Remote(there.url)) == sha
    (told,) = await there.stage.payloads("branch.pushed")
    assert told == {
        "branch": BRANCH,
        "sha": sha,
        "ids": {"project_id": there.project, "ticket_id": there.ticket},
    }
    newer = await there.work(there.here, "two")
    assert await there.pushes.push_ticket(there.ticket) == newer
    assert [one["sha"] for one in await there.stage.payloads("branch.pushed")] == [sha, newer]


@pytest.mark.parametrize(("kind", "connected"), [("local", False), ("github", False)])
async def test_a_project_that_is_not_at_github_pushes_nothing(
    there: There, kind: str, connected: bool
) -> None:
    await there.open(kind, connected=connected)
    await there.work(there.here, "one")
    assert await there.pushes.push_ticket(there.ticket) is None
    async with there.stage.db.read() as session:
        project = await session.get_one(ProjectRow, there.project)
    assert await there.pushes.take_over(project) is None
    assert there.asked == []


async def test_the_main_branch_of_github_is_where_work_begins(there: There) -> None:
    await there.open()
    sha = await there.work(there.other, "from there", "main")
    await there.other.push(there.project, "main", Remote(there.url))
    async with there.stage.db.read() as session:
        project = await session.get_one(ProjectRow, there.project)
    assert await there.pushes.take_over(project) == sha
    assert await there.here.default_head(there.project) == sha
    assert await there.here.file(there.project, sha, "a") == b"from there"


async def test_an_unknown_ticket_is_not_pushed(there: There) -> None:
    with pytest.raises(NotFound):
        await there.pushes.push_ticket("nothing")
