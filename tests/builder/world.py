"""A scripted surrounding of the conversation: answers each request the way the real one would."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

from datetime import UTC, datetime

from omniforge.builder.conversation import respond, resume
from omniforge.builder.design import Design
from omniforge.builder.exchange import (
    Activate,
    Activated,
    AgentLoaded,
    AgentSaved,
    AgentSeen,
    CheckConnection,
    Connection,
    ConnectionChecked,
    CreateAgent,
    DescribeResources,
    Facts,
    Failed,
    Integration,
    LibraryFound,
    ListResources,
    LoadAgent,
    Outcome,
    Reply,
    Request,
    ResourcesDescribed,
    ResourcesListed,
    RewriteAgent,
    RunAgent,
    RunFinished,
    RunTest,
    SearchLibrary,
    SignInStarted,
    SkillSeen,
    StartSignIn,
    TestFinished,
    UpkeepRequest,
)
from omniforge.builder.generation import AgentDraft
from omniforge.builder.outline import Report
from omniforge.builder.state import ConversationState, Resource
from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.slots import Slots
from omniforge.builder.upkeep.exchange import RunOver, StartRun
from omniforge.builder.vocabulary import forbidden_words

FIELDS = (
    Field(name="Project", type="title"),
    Field(name="Status", type="status", options=("On Track", "At Risk", "Blocked", "Done")),
    Field(name="Latest Update", type="rich_text"),
    Field(name="Blockers", type="rich_text"),
    Field(name="Client", type="select", options=("Acme", "Globex")),
    Field(name="Owner", type="people"),
    Field(name="Due Date", type="date"),
    Field(name="Start Date", type="date"),
    Field(name="Priority", type="select", options=("High", "Medium", "Low")),
)
RESOURCES = (
    Resource(id="d3", name="Archived", items=156),
    Resource(id="d1", name="Client Projects", items=42),
    Resource(id="d2", name="Internal Initiatives", items=8),
)
CHANNELS = (
    Resource(id="C1", name="#team-updates", kind="channel"),
    Resource(id="C2", name="#leads", kind="channel"),
    Resource(id="C3", name="#urgent", kind="channel"),
)
INTEGRATIONS = (
    Integration("notion", "Notion", asks=("Notion asks which pages to share; only what you pick can be seen here.",),
                events=("row.created", "row.updated")),
    Integration("slack", "Slack", kinds=("channel",), asks=("Slack asks where it may write.",), events=("message.posted",),
                tools=("slack.post_message",)),
    Integration("linear", "Linear", kinds=("team",), events=("issue.created",), tools=("linear.create_issue",)),
    Integration("email", "E-mail", sign_in="key", kinds=("folder",), tools=("email.send",)),
    Integration("rss", "News feed", sign_in="none", kinds=("feed",), words=("rss", "feed", "blog")),
    Integration("http", "Web address", sign_in="none", kinds=()),
)  # fmt: skip
URL = "https://notion.example/authorize?state=abc"
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


class World:
    """Facts, and what happens when the conversation asks for something. Every reply's words are checked."""

    def __init__(
        self, *, resources: tuple[Resource, ...] = RESOURCES, fields: tuple[Field, ...] = FIELDS
    ) -> None:
        self.fields = fields
        self.places = {
            "notion": resources,
            "slack": CHANNELS,
            "linear": (Resource(id="T1", name="Engineering", kind="team"),),
        }
        self.integrations: tuple[Integration, ...] = (INTEGRATIONS[0],)
        self.library: tuple[SkillSeen, ...] = ()
        self.designs: dict[str, Design] = {}
        self.state = ConversationState()
        self.arrived = False
        self.connections: tuple[Connection, ...] = ()
        self.agents: tuple[AgentSeen, ...] = ()
        self.requests: list[Request] = []
        self.fail: dict[type[object], Failed] = {}
        self.verdict = "passed"
        self.may_activate = True
        self.draft: AgentDraft | None = None
        self.away = False
        self.zone_known = True

    def facts(self) -> Facts:
        return Facts(
            now=NOW,
            timezone="Europe/Berlin",
            zone_known=self.zone_known,
            integrations=self.integrations,
            connections=self.connections,
            agents=self.agents,
            away=self.away,
        )

    def say(self, message: str) -> Reply:
        turn = respond(self.state, message, self.facts())
        for _ in range(10):
            if turn.request is None:
                break
            assert turn.reply is None
            self.requests.append(turn.request)
            turn = resume(turn.state, self.do(turn.request), self.facts())
        assert turn.request is None
        reply = turn.reply
        assert reply is not None
        assert reply.text.strip()
        self.state = ConversationState.model_validate_json(turn.state.model_dump_json())
        assert self.state == turn.state
        self.check(reply)
        return reply

    def check(self, reply: Reply) -> None:
        shown = [reply.text, *reply.actions, *(str(card.get("title", "")) for card in reply.cards)]
        hits = [hit for text in shown for hit in forbidden_words(text, reply.quoted)]
        assert not hits, hits
        assert len(reply.actions) <= 4
        assert reply.text.count("?") <= 8

    def do(self, request: Request) -> Outcome:  # noqa: C901, PLR0912 - one line for each request
        if failed := self.fail.pop(type(request), None):
            return failed
        match request:
            case StartSignIn():
                return SignInStarted(request.integration, URL.replace("notion", request.integration))
            case CheckConnection(service):
                known = {c.id: c for c in self.connections if c.integration == service}
                found = known.get(request.connection_id or "") or Connection(
                    f"c-{service}", service, "Acme HQ"
                )
                return ConnectionChecked(service, found if self.arrived or known else None)
            case ListResources(service):
                return ResourcesListed(service, self.places[service])
            case DescribeResources(service):
                chosen = [r for r in self.places[service] if r.id in request.ids]
                return ResourcesDescribed(
                    service, tuple(r.model_copy(update={"fields": self.fields}) for r in chosen)
                )
            case SearchLibrary():
                return LibraryFound(self.library)
            case LoadAgent(agent_id):
                seen = next(a for a in self.agents if a.id == agent_id)
                return AgentLoaded(
                    agent_id, seen.name, seen.status, 1, self.designs[agent_id], {"notion": "c1"}
                )
            case CreateAgent():
                self.draft, self.designs["a1"] = request.draft, request.design
                return AgentSaved("a1", request.draft.name, tuple(request.draft.skill_files))
            case RewriteAgent():
                self.draft, self.designs[request.agent_id] = request.draft, request.design
                return AgentSaved(request.agent_id, request.draft.name, tuple(request.draft.skill_files))
            case RunTest():
                return self._tested(request)
            case Activate():
                assert self.draft
                self.agents = (*self.agents, AgentSeen("a1", self.draft.name, status="active"))
                fire = datetime(2026, 11, 23, 7, 30, tzinfo=UTC) if self.draft.schedule else None
                return Activated("a1", self.draft.name, 1, fire, self.draft.timezone)
            case StartRun(agent_id):
                name = next(a.name for a in self.agents if a.id == agent_id)
                return RunOver(
                    "run_1", name, "completed", "# The report", (("notion-weekly-report", "succeeded"),)
                )
            case UpkeepRequest():
                raise AssertionError(request)
            case RunAgent():
                name = next(a.name for a in self.agents if a.id == request.agent_id)
                return RunFinished(
                    "run_1", name, "completed", "# The report", (("notion-weekly-report", "succeeded"),)
                )

    def _tested(self, request: RunTest) -> TestFinished:
        number = sum(isinstance(r, RunTest) for r in self.requests)
        read = tuple(place.name for place in self.report.places) or ("Client Projects",)
        return TestFinished(
            f"t{number}", request.mode, self.verdict, "# Weekly Project Report\n\n- one JSON entry", (), read, 3,
            sample_data=request.mode == "dry", full=request.full, may_activate=self.may_activate,
        )  # fmt: skip

    @property
    def slots(self) -> Slots:
        return self.state.slots

    @property
    def report(self) -> Report:
        found = (part.does for part in self.state.design.parts if isinstance(part.does, Report))
        return next(found, Report())

    def asked_for(self, kind: type[object]) -> int:
        return sum(isinstance(request, kind) for request in self.requests)
