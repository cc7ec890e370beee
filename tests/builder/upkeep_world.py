"""What happens when the conversation asks for something about agents that exist, without any service."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from omniforge.builder.exchange import AgentSeen, UpkeepOutcome, UpkeepRequest
from omniforge.builder.upkeep import exchange as upkeep
from omniforge.builder.upkeep.matter import Choice, Person

ANA, DEREK = Person(id="u1", name="Ana Lopez", email="ana@example.com"), Person(id="u2", name="Derek")
MONDAY = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
WEEKLY = AgentSeen("weekly", "Weekly Project Report", "Reports what changed.", "active")
SALES = AgentSeen("sales", "Sales Digest", "Sums up deals.", "active")
PAUSED = AgentSeen("paused", "Monthly Budget Report", "", "paused")
DRAFT = AgentSeen("draft", "Hiring Summary", "", "draft")


class Upkept:
    """Agents, and how each request ends. `asked` keeps what was asked for."""

    def __init__(self, *agents: AgentSeen, people: tuple[Person, ...] = (ANA, DEREK)) -> None:
        self.agents = list(agents)
        self.people = people
        self.asked: list[UpkeepRequest] = []
        self.fail: dict[type[object], upkeep.NotDone] = {}
        self.version = 3
        self.shared: tuple[str, ...] = ()
        self.missing: tuple[str, ...] = ()
        self.choices: tuple[Choice, ...] = ()
        self.arrived = False
        self.deleted: tuple[tuple[str, str, int], ...] = ()

    def name(self, agent_id: str) -> str:
        return next((agent.name for agent in self.agents if agent.id == agent_id), "Old Report")

    def become(self, agent_id: str, **changes: str) -> None:
        self.agents = [replace(a, **changes) if a.id == agent_id else a for a in self.agents]

    def did(self, kind: type[object]) -> int:
        return sum(isinstance(one, kind) for one in self.asked)

    def do(self, request: UpkeepRequest) -> UpkeepOutcome:  # noqa: C901, PLR0912 - one line for each request
        self.asked.append(request)
        if failed := self.fail.pop(type(request), None):
            return failed
        match request:
            case upkeep.LookAt(agent_id):
                return self._looked(agent_id)
            case upkeep.StartRun(agent_id):
                return upkeep.RunGoing("run_1", self.name(agent_id), (("read", "pending"),))
            case upkeep.WatchRun(seen=(("read", "pending"),)):
                return upkeep.RunGoing("run_1", request.name, (("read", "running"),))
            case upkeep.WatchRun():
                return upkeep.RunOver(
                    "run_1", request.name, "completed", "# The report", (("read", "succeeded"),)
                )
            case upkeep.ListVersions(agent_id):
                seen = [
                    upkeep.VersionSeen(n, MONDAY, "Ana Lopez", f"Change {n}", n == self.version)
                    for n in range(self.version, 0, -1)
                ]
                return upkeep.VersionsListed(self.name(agent_id), tuple(seen))
            case upkeep.CompareWith(agent_id, version):
                target = version or self.version - 1
                if target < 1:
                    return upkeep.Compared(self.name(agent_id), self.version, None)
                rows = (("When", "every Friday at 9:00", "every Monday at 8:30"),)
                name = self.name(agent_id)
                return upkeep.Compared(name, self.version, target, f"Change {target}", "active", rows)
            case upkeep.GoBack(agent_id, version):
                self.version += 1
                self.deleted = ()
                return upkeep.WentBack(
                    self.name(agent_id), self.version, version, "active", MONDAY, "Europe/Berlin"
                )
            case upkeep.ShareIt(agent_id, mode, people):
                named = tuple(p.name for p in self.people if p.id in people or "tenant" in people)
                copies = tuple((name, f"copy-{n}", ("databases",)) for n, name in enumerate(named))
                return upkeep.SharedIt(self.name(agent_id), mode, named, copies if mode == "template" else ())
            case upkeep.TakeBack(agent_id):
                return upkeep.TakenBack(self.name(agent_id), 1)
            case upkeep.Distribute(agent_id):
                holders = (("You", "owner", 3, "active"), ("Ana Lopez", "copy", 2, "draft"))
                return upkeep.Distributed(self.name(agent_id), 3, holders)
            case upkeep.PauseIt(agent_id):
                self.become(agent_id, status="paused")
                return upkeep.Done("paused", agent_id, self.name(agent_id))
            case upkeep.DeleteIt(agent_id):
                name = self.name(agent_id)
                self.agents = [agent for agent in self.agents if agent.id != agent_id]
                return upkeep.Done("deleted", agent_id, name)
            case upkeep.RenameIt(agent_id, name):
                self.become(agent_id, name=name)
                return upkeep.Done("renamed", agent_id, name)
            case upkeep.SwitchOn(agent_id):
                self.become(agent_id, status="active")
                return upkeep.SwitchedOn(agent_id, self.name(agent_id), 1, MONDAY, "Europe/Berlin")
            case upkeep.LookForDeleted():
                return upkeep.DeletedFound(self.deleted)
            case upkeep.OpenSignIn(integration):
                return upkeep.SignInOpened(integration, "Notion", "https://notion.example/a", ("It asks.",))
            case upkeep.LookForConnection(integration):
                self.missing = () if self.arrived else self.missing
                return upkeep.ConnectionSeen(integration, "Notion", "Derek HQ" if self.arrived else None)
            case upkeep.ListPlaces():
                return upkeep.PlacesListed((("d1", "Client Projects", 42), ("d2", "Hiring", 8)))
            case upkeep.Choose(choice=choice):
                self.choices = tuple(one for one in self.choices if one != choice)
                return upkeep.Chosen(self.choices)
            case upkeep.TryIt(mode=mode):
                return upkeep.Tried(
                    "t1", "passed", "# A report", mode == "dry", words=("puts it in the inbox",)
                )
            case _:
                raise AssertionError(request)

    def _looked(self, agent_id: str) -> upkeep.Looked:
        agent = next(one for one in self.agents if one.id == agent_id)
        return upkeep.Looked(
            agent_id=agent.id,
            name=agent.name,
            description=agent.description,
            status=agent.status,
            version=self.version,
            owner="you",
            may_edit=True,
            may_share=True,
            when="every Monday at 8:30",
            next_run=MONDAY,
            timezone="Europe/Berlin",
            steps=(("read", "Reads what changed"),),
            places=("Client Projects",),
            connections=("Notion (Acme HQ)",),
            effects=("puts the result in your inbox",),
            runs=("2026-11-16 at 08:30 UTC: completed",),
            shared_with=self.shared,
            people=self.people,
            missing=self.missing,
            integrations=("notion",),
            titles={"notion": "Notion"},
            choices=self.choices,
        )
