"""Documents made into what a spec holds, in one transaction; the same documents again change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes, criteria
from omniforge.board.creation import Creation
from omniforge.board.criteria import Owner, criteria_given
from omniforge.board.errors import InvalidSpec, PreconditionFailed
from omniforge.board.exporting import read_holding
from omniforge.board.import_run import Action, ImportRun
from omniforge.board.import_work import WorkItems
from omniforge.board.importing import documents as d
from omniforge.board.importing.checking import Judged, judge
from omniforge.board.importing.documents import Json, Known, Source
from omniforge.board.importing.sources import Document, read_documents
from omniforge.board.requirements import delete_requirement, insert_requirement, requirement_event, why_kept
from omniforge.board.shapes.specs import Imported, ImportOptions, RequirementGiven
from omniforge.board.spec_life import ChangeType, Part, SpecLife, spec_event
from omniforge.board.store import projects as project_rows
from omniforge.board.store import specs as store
from omniforge.board.store.specs import RequirementRow, SpecRow
from omniforge.board.tasks import Tasks
from omniforge.core.actor import Actor
from omniforge.db import Database

IMPORTER = "system:import"
HEAD, DESIGN = "SPEC", "DESIGN"
"""Names under which the head and the design of a document are remembered."""
Question = tuple[dict[str, Known], bool]
"""What a spec holds, and whether it has a design: a document is judged by these."""


class _Rehearsed(Exception):
    """No error: the way out of a transaction that is not to be kept."""

    def __init__(self, answer: Imported) -> None:
        self.answer = answer


class Importing:
    """`life` keeps versions and approvals, `creation` and `tasks` make the work."""

    def __init__(self, db: Database, life: SpecLife, creation: Creation, tasks: Tasks) -> None:
        self.db, self.life = db, life
        self.work = WorkItems(creation, tasks)

    async def import_text(
        self, actor: Actor, spec_id: str, documents: Sequence[Document], options: ImportOptions
    ) -> Imported:
        """Markdown, JSON, or a folder of another format."""
        actor.require("board:edit")
        source = await asyncio.to_thread(read_documents, documents)
        return await self.import_spec(actor, spec_id, source, options)

    async def import_spec(
        self, actor: Actor, spec_id: str, source: Source, options: ImportOptions
    ) -> Imported:
        """Everything of a source in one transaction, or nothing: `InvalidSpec` with all problems. A rehearsal
        does the same and keeps none of it; what it would make has no id."""
        actor.require("board:edit")
        async with self.db.read() as session:
            spec = await store.get_spec(session, actor, spec_id)
            known = (await read_holding(session, spec)).known()
            asked: Question = (known, d.has_architecture(spec.design))
        judged = await _judged(source, asked)
        try:
            async with self.db.transaction() as session:
                answer = await self._import_in(session, actor, spec_id, source, options, (asked, judged))
                if options.dry_run:
                    raise _Rehearsed(answer)  # noqa: TRY301 - it has to pass the end of the transaction
        except _Rehearsed as rehearsed:
            return _without_ids(rehearsed.answer)
        return answer

    async def _import_in(  # noqa: PLR0917 - what is imported, how, and what was thought of it before
        self,
        session: AsyncSession,
        actor: Actor,
        spec_id: str,
        source: Source,
        options: ImportOptions,
        earlier: tuple[Question, Judged],
    ) -> Imported:
        found = await store.get_spec(session, actor, spec_id)
        project = await project_rows.get_project(session, actor, found.project_id, lock=True)
        spec = await store.get_spec(session, actor, spec_id, lock=True)
        if spec.archived:
            raise PreconditionFailed("This spec is archived; nothing is imported into it.", status="archived")
        holding = await read_holding(session, spec)
        asked: Question = (holding.known(), d.has_architecture(spec.design))
        judged = earlier[1] if asked == earlier[0] else await _judged(source, asked)
        if judged.problems:
            raise _refusal(judged)
        now = self.life.clock.now()
        run = ImportRun(session, actor, now, project, holding, judged.spec, options, warnings=judged.warnings)
        await self._apply(run)
        await self._finish(run, spec)
        warnings = [problem.shown() for problem in run.warnings]
        return Imported(
            spec_id=spec.id, dry_run=options.dry_run, map=run.map, counts=run.counts, warnings=warnings
        )

    async def _apply(self, run: ImportRun) -> None:
        self._apply_head(run)
        self._apply_design(run)
        for item in run.document.requirements:
            action = run.decide(item)
            if action is Action.CREATED:
                await self._make_requirement(run, item)
            elif action is Action.UPDATED:
                await self._change_requirement(run, item, cast("RequirementRow", run.rows[item.ref]))
            run.changes_requirements |= action is not Action.UNCHANGED
            run.record(item, action)
        await self.work.apply(run)
        if run.options.prune:
            await self._prune(run)

    async def _finish(self, run: ImportRun, spec: SpecRow) -> None:
        """Tell what was done, if anything was, and approve what is ready."""
        by = run.actor.by
        if run.changed:
            part = (
                Part.REQUIREMENTS if run.changes_requirements else Part.DESIGN if run.changes_design else None
            )
            kind = ChangeType.IMPORTED
            await self.life.changed(run.session, by, spec, run.changed, kind, part, "import")
            counts = run.counts.model_dump(exclude={"pruned"})
            await self.life.append(
                run.session, spec, spec_event("spec.imported", spec, run.now, by, **counts)
            )
        if run.options.approve:
            await self.life.approve_ready(run.session, IMPORTER, spec, run.project)

    # --- the spec itself -----------------------------------------------------------------------------------

    @staticmethod
    def _is_news(run: ImportRun, name: str, content: Any) -> bool:
        ref = run.holding.refs.get(name)
        return ref is None or ref.content_hash != d.content_hash(content)

    def _apply_head(self, run: ImportRun) -> None:
        given = {"title": run.document.title, "description": run.document.description}
        head = {name: value for name, value in given.items() if value is not None}
        if not head or not self._is_news(run, HEAD, head):
            return
        changed = changes.apply(run.holding.spec, head)
        if changed:
            run.changed |= changed
            run.keep_ref(HEAD, "spec", run.holding.spec.id, head)

    def _apply_design(self, run: ImportRun) -> None:
        design = run.document.design
        if design is None or not self._is_news(run, DESIGN, design):
            return
        if changed := changes.apply(run.holding.spec, {"design": design}):
            run.changed |= changed
            run.changes_design = True
            run.keep_ref(DESIGN, "design", run.holding.spec.id, design)

    # --- requirements --------------------------------------------------------------------------------------

    async def _make_requirement(self, run: ImportRun, item: d.Requirement) -> None:
        given = RequirementGiven.model_validate({**_fields(item), "criteria": d.plain(item)["criteria"]})
        spec = run.holding.spec
        row, events = await insert_requirement(run.session, run.actor, spec, given, item.ref, run.now)
        run.came(item, row)
        await self.life.append(run.session, spec, *events)

    async def _change_requirement(self, run: ImportRun, item: d.Requirement, row: RequirementRow) -> None:
        changed = changes.apply(row, _fields(item))
        row.updated_at = run.now
        spec = run.holding.spec
        owner = Owner("requirement", row.id, spec.project_id)
        had, wanted = run.holding.criteria.get(row.id, []), criteria_given(item.criteria)
        change = await criteria.replace(run.session, run.actor, owner, had, wanted, run.now)
        told = {"changes": changes.short(changed)}
        event = requirement_event("requirement.updated", spec, row, run.now, run.actor.by, **told)
        await self.life.append(run.session, spec, event, *change.events)

    # --- what is gone from the document --------------------------------------------------------------------

    async def _prune(self, run: ImportRun) -> None:
        """Only what was imported; what people made by hand no document can take away."""
        here = {item.ref for item in run.document.items()}
        gone = [name for name in run.holding.refs if name in run.rows and name not in here]
        order = {"task": 0, "ticket": 1, "requirement": 2}
        for name in sorted(gone, key=lambda name: (order[run.holding.refs[name].kind], name)):
            row = run.rows[name]
            if isinstance(row, RequirementRow):
                pruned = await self._prune_requirement(run, name, row)
            else:
                pruned = await self.work.prune(run, name)
            if pruned:
                run.counts.pruned += 1
                run.changed[name] = [{"title": row.title}, None]

    async def _prune_requirement(self, run: ImportRun, name: str, row: RequirementRow) -> bool:
        spec = run.holding.spec
        if why := await why_kept(run.session, row):
            run.warn(name, f"this is gone from the document, but {why}")
            return False
        await self.life.append(
            run.session, spec, *await delete_requirement(run.session, run.actor, spec, row, run.now)
        )
        run.changes_requirements = True
        return True


async def _judged(source: Source, asked: Question) -> Judged:
    """In a thread: large documents take seconds, in which others are served."""
    return await asyncio.to_thread(judge, source, asked[0], has_design=asked[1])


def _refusal(judged: Judged) -> InvalidSpec:
    problems: list[Json] = [problem.shown() for problem in judged.problems]
    first, more = problems[0], len(problems) - 1
    where = first["ref"] or first.get("field") or "the spec"
    also = f", and {more} more" if more else ""
    message = f"Nothing was imported: {where}: {first['message']}{also}."
    return InvalidSpec(message, problems=problems, warnings=[each.shown() for each in judged.warnings])


def _without_ids(answer: Imported) -> Imported:
    """What a rehearsal made is there no more."""
    made = {
        name: each.model_copy(update={"id": None, "ref": None}) if each.action == Action.CREATED else each
        for name, each in answer.map.items()
    }
    return answer.model_copy(update={"map": made})


def _fields(item: d.Requirement) -> Json:
    return {
        "title": item.title,
        "condition": item.condition,
        "action": item.action,
        "category": item.category,
        "priority": item.priority,
        "linked_design": item.linked_design,
    }
