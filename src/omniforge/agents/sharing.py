"""Sharing an agent with colleagues: one agent for all of them, or a copy for each; and taking it back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import access, store, views
from omniforge.agents.access import EVERYBODY
from omniforge.agents.activation import Activation
from omniforge.agents.audience import SUBJECT, asked_by
from omniforge.agents.content import AgentStatus, SharingLevel
from omniforge.agents.copies import Copies
from omniforge.agents.places import still_to_choose
from omniforge.agents.store import AgentRow
from omniforge.agents.version_schemas import Copy, Distribution, Holder
from omniforge.agents.versions import Allowed
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import Clock
from omniforge.core.errors import Conflict, Invalid
from omniforge.db import Database
from omniforge.engine.state import UNFINISHED
from omniforge.runs.service import RunService
from omniforge.tenants.roles import permissions_of
from omniforge.tenants.service import LOCAL_USER, TenantService
from omniforge.tenants.store import User

Mode = Literal["team", "template"]


class Sharing:
    """Every method is limited to agents that the actor may share."""

    def __init__(  # noqa: PLR0917 - one collaborator per room
        self,
        db: Database,
        tenants: TenantService,
        runs: RunService,
        activation: Activation,
        clock: Clock,
        allowed: Allowed,
    ) -> None:
        self.db, self.tenants, self.runs = db, tenants, runs
        self.activation, self.clock, self._allowed = activation, clock, allowed
        self.copies = Copies(db, activation.launch, activation.events, clock)

    async def people(self, actor: Actor) -> list[User]:
        """Everybody the actor can share with, by name."""
        actor.require("agent:view")
        return [user for user in await self._users(actor) if user.id != actor.user_id]

    async def share(self, actor: Actor, agent_id: str, mode: Mode, named: Sequence[str]) -> list[Copy]:
        """Share with these people: ids, e-mail addresses or names, or `tenant` for all of them.

        team: they see the agent and run it. template: each gets a draft of their own; returns these.
        Errors: Invalid for people who are not there; Conflict `cannot_receive` for one who may not have any.
        """
        row = await self._shareable(actor, agent_id)
        people = await self._named(actor, row, named)
        if mode == "team":
            await self._as_team(actor, row, people, everybody=EVERYBODY in named)
            return []
        able = [user for user in people if "agent:create" in permissions_of(user.role)]
        if not able or (EVERYBODY not in named and len(able) < len(people)):
            who = next((user for user in people if user not in able), None)
            raise Conflict(
                f"{who.name if who else 'Nobody here'} may not make agents, so a copy would be of no use. "
                "Share it as a team agent, or ask an admin for another role.",
                code="cannot_receive",
            )
        made = await self.copies.make(actor, row, able)
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, row.tenant_id, row.id)
            for copy in made:
                self._tell_copy(session, await self._name(actor), copy)
            payload = {"mode": mode, "with": [user.id for user in able], "copies": [one.id for one in made]}
            await self.activation.note(session, actor.by, kept, "agent.shared", **payload)
        return [_copy(one) for one in made]

    async def unshare(self, actor: Actor, agent_id: str, named: Sequence[str] = ()) -> list[str]:
        """Take the sharing back from these people, or from everybody; their runs end at once.

        Returns the runs that were ended. Copies stay whose they are.
        """
        row = await self._allowed(actor, agent_id, "agent:share")
        gone = set(row.shared_with)
        if named and EVERYBODY not in named:
            if EVERYBODY in row.shared_with:
                raise Conflict(
                    "It is shared with everybody. Take that back, then share it with those who keep it.",
                    code="shared_with_all",
                )
            gone = {user.id for user in await self._named(actor, row, named)}
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, row.tenant_id, row.id)
            left = [who for who in kept.shared_with if who not in gone]
            kept.shared_with = left
            kept.sharing_level = (SharingLevel.TEAM if left else SharingLevel.PRIVATE).value
            for user in await self._users(actor):
                if access.is_member(user.id, row) and not access.is_member(user.id, kept):
                    self._tell(session, kept, user, "is no longer shared with you", "What it gave you stays.")
            await self.activation.note(session, actor.by, kept, "agent.unshared", people=sorted(gone))
        await self.activation.launch.starts.settled()
        return await self._stop(actor, kept)

    async def distribution(self, actor: Actor, agent_id: str) -> Distribution:
        """Who uses it in which version: its owner, its team, and those who have a copy."""
        row = await self._allowed(actor, agent_id, "agent:view")
        async with self.db.read() as session:
            copies = await store.copies_of(session, row.tenant_id, row.id)
        users = {user.id: user for user in await self._users(actor)}
        holders = [_holder(row, row.created_by, users, "owner", row.version)]
        holders += [
            _holder(row, user.id, users, "team", row.version)
            for user in users.values()
            if user.id != row.created_by and access.is_member(user.id, row)
        ]
        holders += [
            _holder(copy, copy.created_by, users, "copy", int((copy.origin or {})["version"]))
            for copy in copies
        ]
        counts: dict[str, int] = {}
        for holder in holders:
            counts[str(holder.version)] = counts.get(str(holder.version), 0) + 1
        return Distribution(agent_id=row.id, current=row.version, holders=holders, counts=counts)

    async def others(self, actor: Actor, agent_id: str) -> list[Holder]:
        """Everybody else who uses it or has a copy of it, each once."""
        found = (await self.distribution(actor, agent_id)).holders
        return list({one.user_id: one for one in reversed(found) if one.user_id != actor.user_id}.values())

    async def tell_others(self, actor: Actor, agent_id: str) -> list[str]:
        """Put a note on its newest version into the inbox of everybody else who has it; their names."""
        row = await self._allowed(actor, agent_id, "agent:edit")
        users = {user.id: user for user in await self._users(actor)}
        others = [one for one in await self.others(actor, agent_id) if one.user_id in users]
        changer = await self._name(actor)
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, row.tenant_id, row.id)
            newest = await store.get_version(session, row.tenant_id, row.id, kept.version)
            for one in others:
                whose = "Your own copy stays as it is." if one.how == "copy" else "This is what runs now."
                text = f"{changer} changed it: {newest.summary.rstrip('.')}. {whose}"
                self._tell(session, kept, users[one.user_id], f"is version {kept.version} now", text)
        return sorted(one.name for one in others)

    # --- team agents ---------------------------------------------------------------------------------------

    async def _as_team(self, actor: Actor, row: AgentRow, people: Iterable[User], *, everybody: bool) -> None:
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, row.tenant_id, row.id)
            fresh = [user for user in people if not access.is_member(user.id, kept)]
            added = [EVERYBODY] if everybody else [user.id for user in fresh]
            kept.shared_with = [*kept.shared_with, *(who for who in added if who not in kept.shared_with)]
            kept.sharing_level = SharingLevel.TEAM.value
            sharer = await self._name(actor)
            for user in fresh:
                text = (
                    f"{sharer} shared it with you. You can look at it and run it; it is changed by its owner."
                )
                self._tell(session, kept, user, "is shared with you", text)
            await self.activation.note(
                session, actor.by, kept, "agent.shared", mode="team", **{"with": added}
            )

    async def _stop(self, actor: Actor, row: AgentRow) -> list[str]:
        """End what is under way for people who do not see the agent any more."""
        roles = {user.id: user.role for user in await self._users(actor)}
        ending = replace(actor, permissions=actor.permissions | {"agent:execute"})
        stopped: list[str] = []
        unfinished = [status.value for status in UNFINISHED]
        views_, _ = await self.runs.list_runs(
            actor, subject=f"{SUBJECT}{row.id}", status=unfinished, limit=1_000
        )
        for view in views_:
            who = asked_by(view.run)
            role = roles.get(who, Role.VIEWER)
            seer = Actor(row.tenant_id, who, role, f"user:{who}")
            if who and not access.sees(seer, row):
                await self.runs.cancel_run(ending, view.run.id)
                stopped.append(view.run.id)
        return stopped

    # --- small parts ---------------------------------------------------------------------------------------

    async def _shareable(self, actor: Actor, agent_id: str) -> AgentRow:
        row = await self._allowed(actor, agent_id, "agent:share")
        if row.status == AgentStatus.ARCHIVED.value:
            raise Conflict("This agent was deleted.", code="archived", agent_id=agent_id)
        return row

    async def _users(self, actor: Actor) -> list[User]:
        return [user for user in await self.tenants.people(actor.tenant_id) if user.disabled_at is None]

    async def _name(self, actor: Actor) -> str:
        if actor.user_id == LOCAL_USER:  # called "You", which nobody else is to read
            return "The owner of this installation"
        return (await self.tenants.names(actor.tenant_id)).get(actor.user_id, actor.user_id)

    async def _named(self, actor: Actor, row: AgentRow, named: Sequence[str]) -> list[User]:
        """These people, without the owner; Invalid lists every name that means nobody, or several."""
        users = [user for user in await self._users(actor) if user.id != row.created_by]
        if EVERYBODY in named:
            found = [user for user in users if user.id != actor.user_id]
        else:
            found, mistakes = list[User](), list[dict[str, object]]()
            for name in named:
                meant = matching(users, name)
                if len(meant) == 1:
                    found += [user for user in meant if user not in found]
                    continue
                rule = "one of several of that name: say the e-mail address" if meant else "a person here"
                mistakes.append({"field": "with", "value": name, "rule": rule})
            if mistakes:
                raise Invalid(f"I can't tell who {mistakes[0]['value']!r} is.", fields=mistakes)
        if not found:
            rule = "ids, e-mail addresses or names of people here, or tenant"
            given = [{"field": "with", "value": list(named), "rule": rule}]
            raise Invalid("There is nobody here to share it with.", fields=given)
        return found

    def _tell(self, session: AsyncSession, row: AgentRow, user: User, title: str, text: str) -> None:
        title = f"{row.name} {title}"
        self.activation.inbox.deliver(session, row, kind="notice", title=title, text=text, to=user.id)

    def _tell_copy(self, session: AsyncSession, sharer: str, copy: AgentRow) -> None:
        content = views.content_of(copy)
        titles = [self.activation.launch.title(name) for name in content.integrations]
        steps = [f"connect your own {title}" for title in titles]
        steps += sorted({f"choose your own {entry['what']}" for entry in copy.to_choose})
        todo = f"Before it can run, {', '.join(steps)}, and test it. " if steps else "Test it first. "
        text = (
            f"It is a draft of your own, and nothing of {sharer}'s accounts or data came with it. {todo}"
            f"Say 'finish {copy.name}' in the chat, and I walk you through it."
        )
        title = f"{sharer} gave you a copy of {copy.name}"
        self.activation.inbox.deliver(session, copy, kind="notice", title=title, text=text)


def matching(users: Sequence[User], said: str) -> list[User]:
    """Whom an id, an e-mail address or a name means; a first name counts when nobody has it as a whole."""
    wanted = said.strip().casefold()
    exact = [user for user in users if wanted in (user.id.casefold(), (user.email or "").casefold())]
    whole = exact or [user for user in users if wanted == user.name.casefold()]
    return whole or [user for user in users if wanted and wanted in user.name.casefold().split()]


def _copy(row: AgentRow) -> Copy:
    return Copy(
        agent_id=row.id,
        user_id=row.created_by,
        name=row.name,
        version=int((row.origin or {})["version"]),
        status=row.status,
        to_choose=still_to_choose(views.content_of(row), row.to_choose),
    )


def _holder(
    row: AgentRow, user_id: str, users: dict[str, User], how: Literal["owner", "team", "copy"], version: int
) -> Holder:
    name = users[user_id].name if user_id in users else user_id
    return Holder(user_id=user_id, name=name, how=how, agent_id=row.id, version=version, status=row.status)
