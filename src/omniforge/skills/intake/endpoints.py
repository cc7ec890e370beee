"""HTTP of importing skills: what comes in waits until somebody lets it in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from omniforge.skills.intake.schemas import (
    Imported,
    ImportedDetail,
    ImportedList,
    ImportedSkill,
    ImportQuery,
    ImportRequest,
    OriginView,
    OwnerQuery,
    ReleaseRequest,
)
from omniforge.skills.intake.service import Intake
from omniforge.skills.schemas import Deleted, SkillDetail, SkillFile
from omniforge.tenants import CurrentActor


def intake_of(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


Door = Annotated[Intake, Depends(intake_of)]
Name = Annotated[str, Path(max_length=64)]
Owner = Annotated[OwnerQuery, Query()]

router = APIRouter(prefix="/api/v1", tags=["skills"])


@router.post("/skills/import", status_code=201)
async def import_skills(body: ImportRequest, actor: CurrentActor, intake: Door) -> Imported:
    """Put skills into quarantine. They have no effect until `POST /skills/{name}/release`."""
    actor.require("skill:create")
    rows = await intake.take(actor, body.source(), label=body.label, agent_id=body.agent_id)
    skills = [ImportedSkill.of(row) for row in rows]
    return Imported(skills=skills, diagnostics=[item for skill in skills for item in skill.diagnostics])


@router.get("/quarantine")
async def list_quarantine(
    actor: CurrentActor, intake: Door, query: Annotated[ImportQuery, Query()]
) -> ImportedList:
    actor.require("skill:view")
    rows, total = await intake.list(actor, query, query.status)
    skills = [ImportedSkill.of(row) for row in rows]
    return ImportedList(skills=skills, total=total, limit=query.limit, offset=query.offset)


@router.get("/quarantine/{name}")
async def get_quarantined(name: Name, actor: CurrentActor, intake: Door, owner: Owner) -> ImportedDetail:
    """One that waits, with its files, to look at before it is let in."""
    actor.require("skill:view")
    row, files = await intake.get(actor, name, owner.agent_id)
    shown = ImportedSkill.of(row).model_dump()
    made = [SkillFile.of(path, files[path]) for path in sorted(files)]
    return ImportedDetail.model_validate({**shown, "files": made})


@router.delete("/quarantine/{name}")
async def discard_quarantined(name: Name, actor: CurrentActor, intake: Door, owner: Owner) -> Deleted:
    actor.require("skill:create")
    await intake.discard(actor, name, owner.agent_id)
    return Deleted()


@router.post("/skills/{name}/release")
async def release_skill(name: Name, body: ReleaseRequest, actor: CurrentActor, intake: Door) -> SkillDetail:
    """Let an imported skill in, exactly as it came."""
    actor.require("skill:create")
    released = await intake.release(actor, name, body.agent_id, content_hash=body.hash, replace=body.replace)
    return SkillDetail.of(released)


@router.get("/skills/{name}/origin")
async def get_origin(name: Name, actor: CurrentActor, intake: Door, owner: Owner) -> OriginView:
    """Where a skill came from, and whose work it is."""
    actor.require("skill:view")
    skill = await intake.skills.get(actor, name, owner.agent_id, own=True)
    return OriginView.of(await intake.origin(actor, name, owner.agent_id), skill.hash)
