"""A service of ours for event-driven agents: tickets that can be delivered, signed, and asked for."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.agents.conftest import House

from omniforge.core.actor import Actor
from omniforge.integrations.manifest import EventKind, Integration, Manifest, Occurrence
from omniforge.integrations.schemas import Connection

Json = dict[str, Any]
OURS = "user-ours"
WORKSPACE = "w-tracker-1"

MANIFEST = Manifest.model_validate(
    {
        "id": "tracker",
        "title": "Tracker",
        "description": "Tickets.",
        "words": ["tracker"],
        "rate_per_second": 10,
        "identity_tool": "tracker.who_am_i",
        "sign_in": {"kind": "oauth", "asks": ["It asks for tickets."]},
        "webhook": {
            "signature": {"header": "X-Tracker-Signature", "prefix": "sha256="},
            "replay_key": "body",
            "workspace": "workspace",
        },
    }
)


def no_samples(now: datetime, *, resources: Sequence[Any] = (), empty: bool = False) -> None:
    return None


async def _poll(client: Any, resource: str | None, since: datetime) -> list[Occurrence]:
    return []  # the tests ask `Tracker.poll`, as agents ask the integrations room


KINDS = {
    kind.name: kind
    for kind in (
        EventKind(name="ticket.created", title="a ticket", resource_kind="board", push=True, poll=_poll),
        EventKind(name="ticket.updated", title="a change", resource_kind="board", poll=_poll),
        EventKind(name="ticket.closed", title="a closed ticket", push=True),
        EventKind(name="ticket.named", title="a named ticket", push=True, read_tool="tracker.read"),
    )
}


def occurrence_of(ticket: Json) -> Occurrence:
    return Occurrence(
        type=ticket.get("type", "ticket.created"),
        id=str(ticket["id"]),
        version=str(ticket.get("version", "1")),
        at=datetime.fromisoformat(ticket["at"]),
        resource=ticket.get("board", "board-1"),
        item={key: value for key, value in ticket.items() if key not in {"type", "board", "author"}},
        author=ticket.get("author"),
    )


def read_delivery(headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    return [occurrence_of(ticket) for ticket in payload.get("tickets", [])]


@dataclass
class Tracker:
    """What the service knows, and how it behaves. `asked` keeps what it was asked for."""

    house: House
    tickets: list[Json] = field(default_factory=list[Json])
    trouble: Exception | None = None
    identity_trouble: Exception | None = None
    asked: list[tuple[str, str | None, datetime]] = field(
        default_factory=list[tuple[str, str | None, datetime]]
    )
    read: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.integration = Integration(
            MANIFEST,
            {},
            no_samples,
            Path("tracker"),
            KINDS,
            read_delivery,
        )
        self.house.desk.catalog["tracker"] = self.integration
        self.house.agents.ears.sources = self

    def add(self, name: str, at: datetime | None = None, **more: Any) -> Json:
        """A ticket; times there are whole minutes, as those of services often are."""
        moment = (at or self.house.clock.now()).replace(second=0, microsecond=0)
        ticket = {"id": name, "at": moment.isoformat(), "author": "user-ann", **more}
        self.tickets.append(ticket)
        return ticket

    # --- what agents need of the integrations room

    @property
    def catalog(self) -> Mapping[str, Any]:
        return self.house.desk.catalog

    async def list_connections(
        self, actor: Actor, integration: str | None = None
    ) -> tuple[list[Connection], int]:
        return await self.house.desk.list_connections(actor, integration)

    async def call_tool(
        self, tenant_id: str, user_id: str, connection_id: str, tool_name: str, args: Mapping[str, Any]
    ) -> Json:
        if self.identity_trouble is not None:
            raise self.identity_trouble
        if tool_name == "tracker.who_am_i":
            return {"user": {"id": OURS}, "workspace": {"id": WORKSPACE, "name": "Acme"}}
        if self.trouble is not None:
            raise self.trouble
        self.read.append(str(args["id"]))
        return next(ticket for ticket in self.tickets if ticket["id"] == args["id"])

    async def poll(  # noqa: PLR0917 - as the integrations room has it
        self,
        tenant_id: str,
        user_id: str,
        connection_id: str,
        event: str,
        resource: str | None,
        since: datetime,
    ) -> list[Occurrence]:
        self.asked.append((event, resource, since))
        if self.trouble is not None:
            raise self.trouble
        found = [replace(occurrence_of(ticket), type=event) for ticket in self.tickets]
        return [one for one in found if one.at >= since and resource in (None, one.resource)]


def signed(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-tracker-signature": f"sha256={digest}"}


def telling(*tickets: Json, workspace: str = WORKSPACE) -> bytes:
    """The body of a delivery."""
    return json.dumps({"workspace": workspace, "tickets": tickets}).encode()


async def event_agent(house: House, actor: Actor, name: str = "Triage", **config: Any) -> str:
    """An active agent that tickets start; returns its id."""
    if not any(found.integration_id == "tracker" for _, _, found in house.desk.connections):
        house.desk.connect(actor, "tracker", "c-tracker", workspace_id=WORKSPACE)
    given = {"integration": "tracker", "event": "ticket.created", "resource": "board-1", **config}
    agent = await house.active(
        actor, name=name, trigger_type="event_driven", event_config=given, integrations=["tracker"]
    )
    return agent.id


async def events_of_runs(house: House, actor: Actor, agent_id: str) -> list[Json]:
    """What each run of the agent was given, the oldest first, once they are over."""
    found, _ = await house.runs.list_runs(actor, subject=f"agent:{agent_id}", mode="live", limit=1000)
    for view in found:
        await house.runs.wait_for(actor, view.run.id)
    return [json.loads(view.run.input)["event"] for view in sorted(found, key=lambda v: v.run.created_at)]


def in_minutes(house: House, minutes: float) -> datetime:
    return house.clock.now() + timedelta(minutes=minutes)
