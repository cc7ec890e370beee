"""Step kind `spec_phase`: one phase of a generated spec, done again from wherever it was interrupted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.errors import InvalidSpec
from omniforge.board.exporting import read_holding
from omniforge.board.generation.asking import Asking, Code
from omniforge.board.generation.checkpoints import (
    EVALUATOR,
    FAILED,
    PASSED,
    REFUSED,
    Checkpoints,
    checkpoints_of,
    has_passed,
    rows_of,
)
from omniforge.board.generation.evaluators import evaluate, evaluate_questions
from omniforge.board.generation.outputs import ASKED, document_of, refs_in, said_in
from omniforge.board.generation.phases import ATTEMPTS, KIND, PHASES, before
from omniforge.board.generation.work import Work, as_it_is, count, facts_of, given_up, material_of, why_not
from omniforge.board.importing.sources import read_json
from omniforge.board.moves import system_actor
from omniforge.board.repository import Repositories
from omniforge.board.shapes.specs import ImportOptions
from omniforge.board.spec_life import ROLES, Part, is_approved
from omniforge.board.specs import Specs
from omniforge.board.store.approvals import latest_of
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import PhaseRunRow, RequirementRow, SpecRow, get_spec
from omniforge.board.vocabulary import SpecPhase
from omniforge.board.worker_models import usage_in
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Fatal, NotFound, OmniForgeError
from omniforge.engine.active import Handler, StepCall
from omniforge.engine.state import StepResult, Waiting
from omniforge.llm.protocol import Answer, ModelClient

Json = dict[str, Any]
WAITS_FOR_ANSWERS, WAITS_FOR_APPROVAL = "spec_answers", "spec_approval"
LOOK_AGAIN = timedelta(minutes=5)
"""Somebody tells when there is something; should that be lost, it is seen after this."""


class PhaseStep:
    """Output: `{"phase", "checkpoint_id", "attempts"}`. What a crash leaves half done is taken up: an output
    that was kept is judged, and not asked for again."""

    def __init__(self, specs: Specs, models: ModelClient, repositories: Repositories) -> None:
        self.specs, self.repositories = specs, repositories
        self.db, self.life = specs.db, specs.life
        self.book, self.asking = Checkpoints(specs.life), Asking(models)

    def handlers(self) -> dict[str, Handler]:
        return {KIND: self}

    async def __call__(self, call: StepCall) -> StepResult | Waiting:
        tokens, money = 0, 0.0
        while True:
            work = await self._look(call)
            if work.row.status == PASSED:
                waiting = await self._approved(work)
                if waiting is not None:
                    return waiting
                if work.row.status == PASSED:
                    break
            elif work.row.status == FAILED:
                if work.row.attempt >= ATTEMPTS:
                    raise given_up(work)
                await self._next_attempt(work)
            elif (waiting := await self._attempt(work)) is not None:
                return waiting
            tokens, money = tokens + work.tokens, money + work.money
        output = {"phase": work.phase.name, "checkpoint_id": work.row.id, "attempts": work.row.attempt}
        return StepResult(output, usage={"tokens": tokens, "money": money})

    # --- where it stands -----------------------------------------------------------------------------------

    async def _look(self, call: StepCall) -> Work:
        """The phase as it stands, its first attempt begun. `Fatal` for what cannot go on."""
        phase, said = PHASES[SpecPhase(call.step.args["phase"])], call.run.input
        actor = system_actor(call.run.tenant_id, "evaluator")
        async with self.db.transaction() as session:
            spec = await get_spec(session, actor, str(said["spec_id"]), lock=True)
            rows = await rows_of(session, spec.id, run_id=call.run.id, phases=[phase.name])
            if not rows:
                rows = [await self.book.begin(session, spec, phase.name, 1, call.run.id)]
            project = await session.get_one(ProjectRow, spec.project_id)
            there = await checkpoints_of(session, spec.id)
            holding = await read_holding(session, spec)
            made = [refs_in(row.output) for row in await rows_of(session, spec.id) if has_passed(row)]
            if rows[-1].status not in (PASSED, FAILED):
                await self.book.discard_later(session, rows[-1])
            problem = why_not(spec, project, phase, there)
            if problem is not None and rows[-1].status not in (PASSED, FAILED):
                await self.book.failed(session, spec, rows[-1], [problem], final=True)
        if problem is not None:
            raise Fatal(problem, code="spec_phase_stopped", spec_id=spec.id)
        return Work(
            actor=_author(call, actor),
            phase=phase,
            run_id=call.run.id,
            said=said,
            spec=spec,
            project=project,
            row=rows[-1],
            rows=rows,
            earlier={name: dict(there[name].output or {}) for name in before(phase.name)},
            holding=holding,
            made=set(holding.refs).intersection(set[str]().union(*made)),
        )

    async def _next_attempt(self, work: Work) -> None:
        async with self.db.transaction() as session:
            spec = await get_spec(session, work.actor, work.spec.id, lock=True)
            await self.book.begin(session, spec, work.phase.name, work.row.attempt + 1, work.run_id)

    async def _change(
        self, work: Work, change: Callable[[AsyncSession, SpecRow, PhaseRunRow], Awaitable[None]]
    ) -> None:
        """Change the attempt in a transaction that holds the spec."""
        async with self.db.transaction() as session:
            spec = await get_spec(session, work.actor, work.spec.id, lock=True)
            row = await session.get_one(PhaseRunRow, work.row.id, populate_existing=True)
            await change(session, spec, row)
            work.row = row

    # --- one attempt ---------------------------------------------------------------------------------------

    async def _attempt(self, work: Work) -> Waiting | None:
        """Ask, judge, keep. What the model could not do counts as an attempt that failed, with its reason."""
        try:
            code = await Code.open(self.repositories, work.project.id)
            if work.phase.name is SpecPhase.UNDERSTAND and work.said.get("interactive"):
                waiting = await self._ask_people(work, code)
                if waiting is not None or work.row.status == FAILED:
                    return waiting
            output = said_in(work.row.output)
            if not output:
                answer = await self.asking.output(
                    work.actor.tenant_id, work.said.get("model"), work.phase, material_of(work, code)
                )
                output = answer.value or {}
                await self._keep(work, answer, output)
        except OmniForgeError as error:
            await self._spoiled(work, error)
            return None
        reasons = evaluate(work.phase.name, output, facts_of(work, code))
        if not reasons:
            reasons = await self._put_in(work, output)
        await self._judged(work, reasons)
        return None

    async def _ask_people(self, work: Work, code: Code) -> Waiting | None:
        """Questions first: asked by the model, answered by people, whenever they do."""
        asked = work.asked_first
        if asked is None:
            answer = await self.asking.questions(
                work.actor.tenant_id, work.said.get("model"), work.phase, material_of(work, code)
            )
            questions = [str(each) for each in (answer.value or {}).get("questions", [])]
            await self._keep(work, answer, {}, [{"question": each} for each in questions])
            if reasons := evaluate_questions(questions):
                await self._drop_questions(work)
                await self._judged(work, reasons)
                return None
            asked = work.asked
        if any("answer" in each for each in asked):
            return None
        about = {"spec_id": work.spec.id, "questions": asked}
        return Waiting(WAITS_FOR_ANSWERS, about, self.life.clock.now() + LOOK_AGAIN)

    async def _drop_questions(self, work: Work) -> None:
        async def change(_session: AsyncSession, _spec: SpecRow, row: PhaseRunRow) -> None:
            row.output = None

        await self._change(work, change)

    async def _keep(self, work: Work, answer: Answer, output: Json, asked: list[Json] | None = None) -> None:
        """The output before it is judged: what was paid for is not asked for twice."""
        asked = work.asked if asked is None else asked

        async def change(_session: AsyncSession, _spec: SpecRow, row: PhaseRunRow) -> None:
            row.output = output | ({ASKED: asked} if asked else {})
            count(work, row, answer.usage)

        await self._change(work, change)
        work.rows[-1] = work.row

    async def _spoiled(self, work: Work, error: OmniForgeError) -> None:
        """No answer: told as the reason. Without a model there is no further attempt."""
        usage = usage_in(error)
        final = True if error.code == "model_not_configured" else None

        async def change(session: AsyncSession, spec: SpecRow, row: PhaseRunRow) -> None:
            count(work, row, usage)
            await self.book.failed(session, spec, row, [error.message], final=final)

        await self._change(work, change)
        if final:
            raise Fatal(error.message, code=error.code, spec_id=work.spec.id) from error

    async def _judged(self, work: Work, reasons: list[str]) -> None:
        async def change(session: AsyncSession, spec: SpecRow, row: PhaseRunRow) -> None:
            if reasons:
                await self.book.failed(session, spec, row, reasons)
                return
            await self.book.passed(session, spec, row)
            if work.phase.part is not None:
                project = await session.get_one(ProjectRow, spec.project_id)
                await self.life.approve_ready(session, EVALUATOR, spec, project)
            if work.phase.name is SpecPhase.TASKS:
                await self.book.move(session, spec, SpecPhase.COMPLETE)

        await self._change(work, change)

    async def _put_in(self, work: Work, output: Json) -> list[str]:
        """Requirements and design go into the spec when they pass, so that people see what they approve; with
        the tasks, everything does as one document. Reasons where the import refuses it."""
        is_last = work.phase.name is SpecPhase.TASKS
        if not is_last and work.phase.part is None:
            return []
        content = document_of({**work.earlier, work.phase.name: output})
        options = ImportOptions(prune=is_last and work.may_prune, approve=is_last)
        importing = self.specs.importing
        try:
            await importing.import_spec(work.actor, work.spec.id, read_json(content), options)
        except InvalidSpec as refused:
            problems: list[Json] = refused.details["problems"]
            return [f"{each['ref']}: {each['message']}" for each in problems]
        except Conflict as refused:
            return [refused.message]
        if work.phase.part is Part.REQUIREMENTS:
            await self._take_out(work, refs_in(output))
        return []

    async def _take_out(self, work: Work, kept: set[str]) -> None:
        """Requirements that were generated before and are not any more, unless work has begun on them."""
        for name, row in work.holding.rows.items():
            if isinstance(row, RequirementRow) and name in work.made and name not in kept:
                with suppress(Conflict, NotFound):
                    await self.specs.requirements.delete(work.actor, work.spec.id, row.id)

    # --- afterwards ----------------------------------------------------------------------------------------

    async def _approved(self, work: Work) -> Waiting | None:
        """Waits where people have to approve; what they changed meanwhile is what later phases rest on. A no
        is a reason to try again."""
        part = work.phase.part
        if part is None or not work.project.settings.get("require_spec_approval", False):
            return None
        async with self.db.transaction() as session:
            spec = await get_spec(session, work.actor, work.spec.id, lock=True)
            row = await session.get_one(PhaseRunRow, work.row.id, populate_existing=True)
            work.row = row
            if is_approved(spec, part):
                row.output = as_it_is(row.output or {}, part, await read_holding(session, spec))
                return None
            last = await latest_of(session, spec.tenant_id, "spec", spec.id, ROLES[part])
            if last is not None and last.status == "rejected" and last.created_at >= row.started_at:
                await self.book.failed(session, spec, row, [f"{REFUSED}{last.rationale}"])
                return None
            await self.life.approve_ready(session, EVALUATOR, spec, work.project)
        about = {"spec_id": work.spec.id, "part": part.value, "role": ROLES[part].value}
        return Waiting(WAITS_FOR_APPROVAL, about, self.life.clock.now() + LOOK_AGAIN)


def _author(call: StepCall, system: Actor) -> Actor:
    """Whoever asked for the spec is the author of what is put into it."""
    by = call.run.triggered_by
    return Actor(
        system.tenant_id, str(call.run.facts.get("user_id", "system")), system.role, by, system.permissions
    )
