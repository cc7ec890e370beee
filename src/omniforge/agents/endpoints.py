"""HTTP of agents, their tests and executions, and of the inbox."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterable
from dataclasses import asdict
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent

from omniforge.agents.content import ExecutionStatus
from omniforge.agents.schemas import (
    ActivateRequest,
    Agent,
    AgentList,
    AgentQuery,
    AnyExecutionQuery,
    CaseGiven,
    CaseList,
    CaseName,
    CaseView,
    EventList,
    Execution,
    ExecutionEvent,
    ExecutionList,
    ExecutionQuery,
    InboxItem,
    InboxList,
    InboxQuery,
    PauseRequest,
    PlanView,
    RunRequest,
    ScheduleView,
    Started,
    Success,
    TestList,
    TestQuery,
    TestReport,
    TestRequest,
    TestStarted,
    Validation,
)
from omniforge.agents.service import AgentService
from omniforge.agents.trials import TestUnderWay
from omniforge.core.errors import Invalid
from omniforge.core.paging import LARGEST, Paging
from omniforge.engine.plan import waves
from omniforge.tenants import CurrentActor

MAX_WAIT = 120
"""Seconds a request may ask to be held open."""
_WAIT = re.compile(r"\bwait=([0-9]{1,4})\b")


def agents_of(request: Request) -> AgentService:
    service: AgentService = request.app.state.agents
    return service


Agents = Annotated[AgentService, Depends(agents_of)]
Body = dict[str, Any]
Page = Annotated[Paging, Query()]
Prefer = Annotated[str, Header(description="`wait=60` answers with the report.")]
After = Annotated[int, Query(ge=0, le=LARGEST, description="Only events with a larger seq.")]

router = APIRouter(prefix="/api/v1", tags=["agents"])


# --- agents ------------------------------------------------------------------------------------------------


@router.get("/agents")
async def list_agents(
    actor: CurrentActor, agents: Agents, query: Annotated[AgentQuery, Query()]
) -> AgentList:
    found, total = await agents.list_agents(
        actor, query, status=query.status, trigger_type=query.trigger_type, search=query.search
    )
    return AgentList(agents=found, total=total, limit=query.limit, offset=query.offset)


@router.post("/agents", status_code=201)
async def create_agent(body: Body, actor: CurrentActor, agents: Agents) -> Agent:
    """Fields of an agent, and `skill_files`: skill name → path → text."""
    files = _skill_files(body.pop("skill_files", {}))
    return await agents.create(actor, body, files)


@router.post("/agents/validate")
async def validate_agent(body: Body, actor: CurrentActor, agents: Agents) -> Validation:
    actor.require("agent:view")
    body.pop("skill_files", None)
    problems = agents.validate(body)
    return Validation(valid=not problems, problems=problems)


@router.get("/agents/{agent_id}")
async def get_agent(agent_id: str, actor: CurrentActor, agents: Agents) -> Agent:
    return await agents.get(actor, agent_id)


@router.put("/agents/{agent_id}")
async def replace_agent(agent_id: str, body: Body, actor: CurrentActor, agents: Agents) -> Agent:
    return await _update(agents, actor, agent_id, body, replaces=True)


@router.patch("/agents/{agent_id}")
async def change_agent(agent_id: str, body: Body, actor: CurrentActor, agents: Agents) -> Agent:
    return await _update(agents, actor, agent_id, body, replaces=False)


@router.delete("/agents/{agent_id}")
async def archive_agent(agent_id: str, actor: CurrentActor, agents: Agents) -> Success:
    await agents.archive(actor, agent_id)
    return Success(message="The agent was taken out of use. Its history is kept.")


@router.post("/agents/{agent_id}/plan")
async def plan_agent(agent_id: str, actor: CurrentActor, agents: Agents) -> PlanView:
    plan = await agents.plan(actor, agent_id)
    return PlanView(steps=[asdict(step) for step in plan.steps], waves=waves(plan), hash=plan.hash)


@router.get("/agents/{agent_id}/schedule")
async def get_schedule(
    agent_id: str, actor: CurrentActor, agents: Agents, count: Annotated[int, Query(ge=1, le=50)] = 5
) -> ScheduleView:
    return await agents.schedule(actor, agent_id, count)


# --- test, switch on, run ----------------------------------------------------------------------------------


@router.post("/agents/{agent_id}/test", status_code=202)
async def start_test(
    agent_id: str,
    actor: CurrentActor,
    agents: Agents,
    response: Response,
    *,
    body: TestRequest | None = None,
    prefer: Prefer = "",
) -> TestStarted | TestReport:
    wanted = body or TestRequest()
    test_id = await agents.start_test(
        actor,
        agent_id,
        wanted.mode,
        wanted.input_data,
        suite=wanted.suite,
        confirm_effects=wanted.confirm_effects,
        use_model=wanted.use_model,
    )
    wait = _WAIT.search(prefer)
    if wait is not None:
        try:
            report = await agents.await_test(actor, test_id, min(int(wait[1]), MAX_WAIT))
        except TestUnderWay:
            pass  # it takes longer than the caller wanted to wait
        else:
            response.status_code = 200
            return report
    test = await agents.trials.get(actor, test_id)
    return TestStarted(test_id=test_id, execution_id=str(test.run_id), status=ExecutionStatus.PENDING)


@router.get("/agents/{agent_id}/tests")
async def list_tests(
    agent_id: str, actor: CurrentActor, agents: Agents, query: Annotated[TestQuery, Query()]
) -> TestList:
    await agents.known(actor, agent_id)
    found, total = await agents.trials.list_reports(actor, agent_id, query.mode, query)
    return TestList(tests=found, total=total, limit=query.limit, offset=query.offset)


@router.get("/agents/{agent_id}/tests/{test_id}")
async def get_test(
    agent_id: str, test_id: str, actor: CurrentActor, agents: Agents, prefer: Prefer = ""
) -> TestReport:
    """409 `test_under_way` while there is no report yet."""
    await agents.known(actor, agent_id)
    wait = _WAIT.search(prefer)
    if wait is not None and (await agents.trials.get(actor, test_id, agent_id)).report is None:
        return await agents.await_test(actor, test_id, min(int(wait[1]), MAX_WAIT))
    return await agents.trials.report(actor, test_id, agent_id)


@router.get("/agents/{agent_id}/cases")
async def list_cases(agent_id: str, actor: CurrentActor, agents: Agents) -> CaseList:
    """What later tests are compared with; accepting a test stores one."""
    return CaseList(cases=list(await agents.cases.list(actor, agent_id)))


@router.put("/agents/{agent_id}/cases/{name}")
async def put_case(
    agent_id: str, name: CaseName, body: CaseGiven, actor: CurrentActor, agents: Agents
) -> CaseView:
    return await agents.cases.put(actor, agent_id, name, body)


@router.delete("/agents/{agent_id}/cases/{name}")
async def remove_case(agent_id: str, name: str, actor: CurrentActor, agents: Agents) -> Success:
    await agents.cases.remove(actor, agent_id, name)
    return Success(message="Later tests are not compared with it any more.")


@router.post("/agents/{agent_id}/activate")
async def activate_agent(
    agent_id: str, actor: CurrentActor, agents: Agents, body: ActivateRequest | None = None
) -> Agent:
    given = body or ActivateRequest()
    return await agents.activate(
        actor,
        agent_id,
        test_id=given.test_id,
        manifest_hash=given.manifest_hash,
        expected_version=given.expected_version,
        accept_no_effect=given.accept_no_effect,
        bounds=given.bounds,
    )


@router.post("/agents/{agent_id}/pause")
async def pause_agent(
    agent_id: str, actor: CurrentActor, agents: Agents, body: PauseRequest | None = None
) -> Agent:
    return await agents.pause(actor, agent_id, (body or PauseRequest()).reason)


@router.post("/agents/{agent_id}/run", status_code=202)
async def run_agent(
    agent_id: str,
    actor: CurrentActor,
    agents: Agents,
    body: RunRequest | None = None,
    idempotency_key: Annotated[
        str | None, Header(max_length=255, description="The same key of the same caller is the same run.")
    ] = None,
) -> Started:
    key = None
    if idempotency_key:
        # Under this caller and agent only, and of a length that fits whatever was sent.
        whole = "\n".join((actor.by, agent_id, idempotency_key))
        key = f"http:{hashlib.sha256(whole.encode()).hexdigest()}"
    execution_id = await agents.start_run(
        actor, agent_id, (body or RunRequest()).input_data, idempotency_key=key
    )
    return Started(execution_id=execution_id)


# --- executions --------------------------------------------------------------------------------------------


@router.get("/agents/{agent_id}/executions")
async def list_agent_executions(
    agent_id: str, actor: CurrentActor, agents: Agents, query: Annotated[ExecutionQuery, Query()]
) -> ExecutionList:
    await agents.known(actor, agent_id)
    found, total = await agents.executions.list_executions(actor, query, agent_id=agent_id, mode=query.mode)
    return ExecutionList(executions=found, total=total, limit=query.limit, offset=query.offset)


@router.get("/executions")
async def list_executions(
    actor: CurrentActor, agents: Agents, query: Annotated[AnyExecutionQuery, Query()]
) -> ExecutionList:
    found, total = await agents.executions.list_executions(
        actor, query, agent_id=query.agent_id, mode=query.mode
    )
    return ExecutionList(executions=found, total=total, limit=query.limit, offset=query.offset)


@router.get("/executions/{execution_id}")
async def get_execution(execution_id: str, actor: CurrentActor, agents: Agents) -> Execution:
    return await agents.executions.get(actor, execution_id)


@router.post("/executions/{execution_id}/cancel", status_code=202)
async def cancel_execution(execution_id: str, actor: CurrentActor, agents: Agents) -> Execution:
    return await agents.executions.cancel_execution(actor, execution_id)


@router.get("/executions/{execution_id}/artifacts/{sha256}")
async def get_artifact(execution_id: str, sha256: str, actor: CurrentActor, agents: Agents) -> Response:
    """The bytes of a file that this execution made; offered for saving, never shown as a page of ours."""
    artifact, data = await agents.executions.get_artifact(actor, execution_id, sha256)
    name = quote(str(artifact.get("path") or sha256).rsplit("/", 1)[-1])
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(
        data, media_type=str(artifact.get("media_type", "application/octet-stream")), headers=headers
    )


class StreamRoute(APIRoute):
    """A route for those who ask for an event stream; for everybody else the next one counts."""

    def matches(self, scope: Any) -> Any:
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        return super().matches(scope if b"text/event-stream" in accept else {**scope, "type": "other"})


streams = APIRouter(route_class=StreamRoute)


async def known_execution(execution_id: str, actor: CurrentActor, agents: Agents) -> str:
    """Answers 404 before a stream begins; once it has begun, the status cannot change."""
    await agents.executions.reading(actor, execution_id)
    return execution_id


KnownExecution = Annotated[str, Depends(known_execution)]


@streams.get("/executions/{execution_id}/events", response_class=EventSourceResponse, include_in_schema=False)
async def follow_execution(
    execution_id: KnownExecution,
    actor: CurrentActor,
    agents: Agents,
    after: After = 0,
    last_event_id: Annotated[str, Header()] = "",
) -> AsyncIterable[ServerSentEvent]:
    known = last_event_id.isascii() and last_event_id.isdecimal()
    start = max(after, min(int(last_event_id[:18]), LARGEST)) if known else after
    async for event in agents.executions.follow(actor, execution_id, start):
        yield sent(event)


router.include_router(streams)


@router.get("/executions/{execution_id}/events")
async def list_events(
    execution_id: KnownExecution, actor: CurrentActor, agents: Agents, after: After = 0
) -> EventList:
    """What happened so far; with `Accept: text/event-stream` also what is to come, until it has finished."""
    return EventList(events=await agents.executions.list_events(actor, execution_id, after))


def sent(event: ExecutionEvent) -> ServerSentEvent:
    return ServerSentEvent(data=event, event=event.type, id=str(event.seq))


# --- inbox -------------------------------------------------------------------------------------------------


@router.get("/inbox")
async def list_inbox(actor: CurrentActor, agents: Agents, query: Annotated[InboxQuery, Query()]) -> InboxList:
    found, total = await agents.inbox.list_items(actor, query, unread=query.unread)
    return InboxList(items=found, total=total, limit=query.limit, offset=query.offset)


@router.post("/inbox/{item_id}/read")
async def read_item(item_id: str, actor: CurrentActor, agents: Agents) -> InboxItem:
    return await agents.inbox.mark_read(actor, item_id)


# --- small parts -------------------------------------------------------------------------------------------


async def _update(
    agents: AgentService, actor: CurrentActor, agent_id: str, body: Body, *, replaces: bool
) -> Agent:
    expected = body.pop("expected_version", None)
    summary = body.pop("summary", "")
    mistakes: list[Body] = []
    if expected is not None and (not isinstance(expected, int) or isinstance(expected, bool)):
        mistakes.append({"field": "expected_version", "value": None, "rule": "a whole number"})
    if not isinstance(summary, str):
        mistakes.append({"field": "summary", "value": None, "rule": "text of one line"})
    if body.pop("id", agent_id) != agent_id:
        mistakes.append({"field": "id", "value": None, "rule": "an agent's id does not change"})
    if mistakes:
        raise Invalid(f"{mistakes[0]['field']}: {mistakes[0]['rule']}.", fields=mistakes)
    return await agents.update(
        actor, agent_id, body, expected_version=expected, summary=summary, replaces=replaces
    )


def _skill_files(given: Any) -> dict[str, dict[str, bytes]]:
    """`{skill: {path: text}}` as bytes; Invalid for anything else."""
    wrong = Invalid(
        "skill_files: an object of skills, each an object of paths with their text.",
        fields=[{"field": "skill_files", "value": None, "rule": "skill name → path → text"}],
    )
    if not isinstance(given, dict):
        raise wrong
    found: dict[str, dict[str, bytes]] = {}
    for name, files in cast("dict[str, Any]", given).items():
        if not isinstance(files, dict):
            raise wrong
        texts = cast("dict[str, Any]", files)
        if not all(isinstance(text, str) for text in texts.values()):
            raise wrong
        found[name] = {path: text.encode("utf-8", "surrogatepass") for path, text in texts.items()}
    return found
