"""What GitHub delivers by itself: verified per project, handled once, and linked to tickets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import github_reading as read
from omniforge.board import pulls
from omniforge.board.commits import Commits, LinkMethod, Seen
from omniforge.board.store import deliveries as store
from omniforge.board.store.deliveries import DeliveryRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.vocabulary import ProjectStatus
from omniforge.core.clock import new_id
from omniforge.core.crypto import SealBroken
from omniforge.integrations.manifest import WebhookData
from omniforge.integrations.webhooks import Refused, read_payload, verify
from omniforge.tenants import SecretBox

BY = "system:webhook"
MOST_COMMITS = 2_000
MOST_FILES = 1_000
LONGEST_MESSAGE = 20_000
HEADS = "refs/heads/"


class Deliveries:
    """`webhook`: how GitHub signs; None: nothing is taken."""

    def __init__(self, commits: Commits, secrets: SecretBox, webhook: WebhookData | None) -> None:
        self.db, self.events, self.clock = commits.db, commits.events, commits.clock
        self.commits, self.secrets, self.webhook = commits, secrets, webhook

    async def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """How many projects it was new to. `Refused`, and nothing is stored, unless a project of that
        repository has the secret it is signed with."""
        payload = read_payload(body)
        found = [] if payload is None else await self._signed(payload, headers, body)
        if payload is None or not found:
            raise Refused
        given = {name.lower(): value for name, value in headers.items()}
        event = given.get("x-github-event", "")[:64]
        digest = hashlib.sha256(body).hexdigest()
        delivery_id = given.get("x-github-delivery", "")[:100] or digest
        handled = 0
        for project in found:
            async with self.db.transaction() as session:
                if await store.is_known(session, project, delivery_id, digest):
                    continue
                await self._note(session, project, delivery_id, digest, event)
                await self._handle(session, project, event, payload)
                handled += 1
        return handled

    async def _signed(self, payload: read.Json, headers: Mapping[str, str], body: bytes) -> list[ProjectRow]:
        """Projects of this repository whose own secret signed it."""
        owner = read.text(payload, "repository", "owner", "login")
        name = read.text(payload, "repository", "name")
        query = select(ProjectRow).where(
            ProjectRow.github_connected.is_(True),
            ProjectRow.status != ProjectStatus.ARCHIVED,
            func.lower(ProjectRow.github_owner) == owner.lower(),
            func.lower(ProjectRow.github_repo) == name.lower(),
        )
        signed: list[ProjectRow] = []
        if self.webhook is None:
            return signed
        async with self.db.read() as session:
            for project in await session.scalars(query.order_by(ProjectRow.id)):
                secrets = await self._secrets_of(session, project)
                try:
                    verify(self.webhook, secrets, headers, body, self.clock.now())
                except Refused:
                    continue
                signed.append(project)
        return signed

    async def _secrets_of(self, session: AsyncSession, project: ProjectRow) -> Sequence[bytes]:
        if project.webhook_secret is None:
            return ()
        place = (project.tenant_id, ProjectRow.__tablename__, project.id, "webhook_secret")
        try:
            return [(await self.secrets.open(session, *place, project.webhook_secret)).encode()]
        except SealBroken:
            return ()

    async def _note(
        self, session: AsyncSession, project: ProjectRow, delivery_id: str, digest: str, event: str
    ) -> None:
        session.add(
            DeliveryRow(
                id=new_id("delivery"),
                tenant_id=project.tenant_id,
                project_id=project.id,
                delivery_id=delivery_id,
                body_hash=digest,
                event=event,
                created_at=self.clock.now(),
            )
        )
        await session.flush()

    async def _handle(
        self, session: AsyncSession, project: ProjectRow, event: str, payload: read.Json
    ) -> None:
        match event:
            case "push":
                link, seen = self.commits.link_named, pushed(payload)
                told = await link(session, project, seen, LinkMethod.PUSH, BY)
                await self.events.append(session, project.tenant_id, *told)
            case "pull_request" if payload.get("action") in ("opened", "reopened", "closed"):
                pull, now = read.within(payload, "pull_request"), self.clock.now()
                await pulls.record_pull(session, self.events, project, pull, BY, now)
            case _:
                pass


def pushed(payload: read.Json) -> list[Seen]:
    """The commits of a push. One that goes to a tag has no branch."""
    ref = read.text(payload, "ref")
    branch = ref.removeprefix(HEADS) if ref.startswith(HEADS) else None
    return [
        Seen(
            sha=read.text(one, "id").lower()[:64],
            message=read.text(one, "message")[:LONGEST_MESSAGE],
            branch=branch,
            authored_at=read.moment(one, "timestamp"),
            files=_files(one),
        )
        for one in read.objects(payload.get("commits"))[:MOST_COMMITS]
        if read.text(one, "id")
    ]


def _files(one: read.Json) -> list[str]:
    named = ("added", "modified", "removed")
    return [path for name in named for path in read.texts(one.get(name))][:MOST_FILES]
