"""What gates know of the merged work of a ticket. It is looked at outside of transactions, and remembered."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from omniforge.board.branches import branch_name
from omniforge.board.diffs import Change
from omniforge.board.rules import TREE_RULES
from omniforge.board.rules.audit import audit_command, has_lock_file
from omniforge.board.rules.base import Tree, Verdict
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import RuleName

KEPT = 2_000
EMPTY_TREE = hashlib.sha256().hexdigest()
"""Hash of a tree without files."""

Found = TypeVar("Found")


class Repositories(Protocol):
    """What is read of a project's repository."""

    async def head(self, project_id: str, branch: str) -> str | None: ...
    async def fork_point(self, project_id: str, one: str, other: str) -> str | None: ...
    async def tree(self, project_id: str, commit: str | None) -> bytes: ...
    async def tree_hash(self, project_id: str, commit: str) -> str: ...
    async def files(self, project_id: str, commit: str) -> list[str]: ...
    async def file(self, project_id: str, commit: str, path: str) -> bytes | None: ...
    async def changes(self, project_id: str, base: str | None, commit: str) -> list[Change]: ...
    async def added_lines(
        self, project_id: str, base: str | None, commit: str
    ) -> Iterable[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Head:
    """Where the work of a ticket stands, and the main branch beside it. `commit` None: there are no files."""

    project_id: str
    commit: str | None
    main: str | None


@dataclass(frozen=True, slots=True)
class _Work:
    """The `Tree` of a head."""

    repositories: Repositories
    head: Head

    async def files(self) -> list[str]:
        at = self.head
        return [] if at.commit is None else await self.repositories.files(at.project_id, at.commit)

    async def file(self, path: str) -> bytes | None:
        at = self.head
        return None if at.commit is None else await self.repositories.file(at.project_id, at.commit, path)

    async def changed_paths(self) -> list[str]:
        at = self.head
        if at.commit is None:
            return []
        changes = await self.repositories.changes(at.project_id, await self._base(), at.commit)
        return [change.path for change in changes]

    async def added_lines(self) -> Iterable[tuple[str, str]]:
        at = self.head
        if at.commit is None:
            return ()
        return await self.repositories.added_lines(at.project_id, await self._base(), at.commit)

    async def _base(self) -> str | None:
        """Where the work began: what others did on the main branch since then is not its doing."""
        at = self.head
        if at.main is None or at.commit is None:
            return None
        return await self.repositories.fork_point(at.project_id, at.main, at.commit)


class GateTrees:
    """`auditor`: the command that audits dependencies in this installation, in place of the usual ones."""

    def __init__(self, repositories: Repositories, auditor: str | None = None) -> None:
        self.repositories, self.auditor = repositories, auditor
        self._known: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    async def head(self, project: ProjectRow, ticket: TicketRow) -> Head:
        """Cheap, and always asked anew. Without work of its own it stands where the main branch does."""
        main = await self.repositories.head(project.id, project.default_branch)
        own = await self.repositories.head(project.id, branch_name(ticket))
        return Head(project.id, own or main, main)

    async def tree_hash(self, head: Head, *, may_read: bool) -> str | None:
        """None: nobody looked yet, and it may not be read now."""
        commit = head.commit
        if commit is None:
            return EMPTY_TREE
        key = ("hash", head.project_id, commit)
        return await self._ask(
            key, lambda: self.repositories.tree_hash(head.project_id, commit), may_read=may_read
        )

    async def verdict(
        self, head: Head, rule: RuleName, params: Mapping[str, Any], *, may_read: bool
    ) -> Verdict | None:
        """What a rule over the tree says; None as above."""
        key = (rule, json.dumps(params, sort_keys=True), head)
        ask = TREE_RULES[rule]
        return await self._ask(key, lambda: ask(self._work(head), dict(params)), may_read=may_read)

    async def has_lock_file(self, head: Head, *, may_read: bool) -> bool | None:
        key = ("locks", head.project_id, head.commit)
        return await self._ask(key, lambda: has_lock_file(self._work(head)), may_read=may_read)

    async def audit(self, head: Head, severity: str, *, may_read: bool) -> str | Verdict | None:
        """The command that audits the tree, or what is clear without one; None as above."""
        key = ("audit", severity, head.project_id, head.commit)
        ask = audit_command
        return await self._ask(key, lambda: ask(self._work(head), severity, self.auditor), may_read=may_read)

    def _work(self, head: Head) -> Tree:
        return _Work(self.repositories, head)

    async def _ask(
        self, key: tuple[Any, ...], ask: Callable[[], Awaitable[Found]], *, may_read: bool
    ) -> Found | None:
        """A commit never changes, so what was found of it holds for ever."""
        if key not in self._known:
            if not may_read:
                return None
            self._known[key] = await ask()
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return cast("Found", self._known[key])


def may_read_trees(session: AsyncSession) -> bool:
    """Not in a transaction that writes, for everybody else who writes waits for its end."""
    return not isinstance(session.bind, AsyncConnection)
