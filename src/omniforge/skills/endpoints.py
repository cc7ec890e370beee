"""HTTP of skills."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from omniforge.core.errors import Invalid
from omniforge.skills.document import SKILL_FILE, Exported, export, is_valid, load, portable_name, validate
from omniforge.skills.intake.archives import pack
from omniforge.skills.schemas import (
    Deleted,
    DeleteQuery,
    DiagnosticView,
    ExportQuery,
    Scope,
    SkillCreate,
    SkillDetail,
    SkillFile,
    SkillList,
    SkillLookup,
    SkillQuery,
    SkillUpdate,
    SkillView,
    ValidateRequest,
    Validation,
)
from omniforge.skills.service import SkillService, StoredSkill
from omniforge.tenants import CurrentActor


def skills_of(request: Request) -> SkillService:
    service: SkillService = request.app.state.skills
    return service


Skills = Annotated[SkillService, Depends(skills_of)]
Name = Annotated[str, Path(max_length=64)]
Lookup = Annotated[SkillLookup, Query()]

router = APIRouter(prefix="/api/v1/skills", tags=["skills"])

MAX_NOTES = 20


@router.get("")
async def list_skills(
    actor: CurrentActor, service: Skills, query: Annotated[SkillQuery, Query()]
) -> SkillList:
    actor.require("skill:view")
    found, total = await service.list(
        actor, query.agent_id, query.root, query.search, query.limit, query.offset
    )
    views = [SkillView.of(skill) for skill in found]
    return SkillList(skills=views, total=total, limit=query.limit, offset=query.offset)


@router.post("", status_code=201)
async def create_skill(body: SkillCreate, actor: CurrentActor, service: Skills) -> SkillDetail:
    actor.require("skill:create")
    content = body.content.encode()
    name = load(content).name
    if name is None:
        field = {"field": "content", "value": None, "rule": "Missing required field: name"}
        raise Invalid("Missing required field: name", code="skill_invalid", fields=[field])
    files = with_content(content, body.files)
    skill = await service.write(actor, name=name, files=files, agent_id=body.agent_id, must_be_new=True)
    return SkillDetail.of(skill)


@router.post("/validate")
async def validate_skill(body: ValidateRequest, actor: CurrentActor) -> Validation:
    actor.require("skill:view")
    document = await asyncio.to_thread(load, body.content.encode(), folder=body.folder)
    found = validate(document, body.profile, files=body.files)
    return Validation(
        valid=document.loadable and is_valid(found),
        loadable=document.loadable,
        reason=document.reason,
        diagnostics=[DiagnosticView.of(item) for item in found],
    )


@router.get("/{name}")
async def get_skill(name: Name, actor: CurrentActor, service: Skills, query: Lookup) -> SkillDetail:
    actor.require("skill:view")
    return SkillDetail.of(await _find(service, actor, name, query))


@router.put("/{name}")
async def update_skill(name: Name, body: SkillUpdate, actor: CurrentActor, service: Skills) -> SkillDetail:
    actor.require("skill:edit")
    current = await service.get(actor, name, body.agent_id, own=True)
    if body.files is None:
        files = {**current.files, SKILL_FILE: body.content.encode()}
    else:
        files = with_content(body.content.encode(), body.files)
    expected = body.expected_hash or current.hash
    skill = await service.write(actor, name=name, files=files, agent_id=body.agent_id, expected_hash=expected)
    return SkillDetail.of(skill)


@router.delete("/{name}")
async def delete_skill(
    name: Name, actor: CurrentActor, service: Skills, query: Annotated[DeleteQuery, Query()]
) -> Deleted:
    actor.require("skill:delete")
    await service.delete(actor, name, query.agent_id, expected_hash=query.expected_hash)
    return Deleted()


@router.get("/{name}/export", response_class=Response)
async def export_skill(
    name: Name, actor: CurrentActor, service: Skills, query: Annotated[ExportQuery, Query()]
) -> Response:
    """The bytes, their SHA-256 in `Content-Digest`; what was changed for the form in `X-Export-Notes`."""
    actor.require("skill:view")
    skill = await _find(service, actor, name, query)
    made = await asyncio.to_thread(export, skill.document, query.profile, skill.files)
    if query.format == "zip":
        data, kind, file = (
            await asyncio.to_thread(_zipped, made),
            "application/zip",
            f"{portable_name(made.name)}.zip",
        )
    else:
        data, kind, file = made.content, "text/markdown; charset=utf-8", SKILL_FILE
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    notes = json.dumps([note.message for note in made.notes[:MAX_NOTES]])
    headers = {
        "Content-Digest": f"sha-256=:{digest}:",
        "Content-Disposition": f'attachment; filename="{file}"',
        "X-Export-Notes": notes,
    }
    return Response(data, media_type=kind, headers=headers)


async def _find(service: SkillService, actor: CurrentActor, name: str, query: SkillLookup) -> StoredSkill:
    is_own = query.scope is not None
    agent_id = None if query.scope is Scope.TENANT else query.agent_id
    return await service.get(actor, name, agent_id, own=is_own)


def with_content(content: bytes, files: Iterable[SkillFile]) -> dict[str, bytes]:
    """The folder; the same path twice is a mistake, not a choice."""
    made = {SKILL_FILE: content}
    for file in files:
        if file.path in made:
            field = {"field": "files", "value": file.path, "rule": "each path once"}
            raise Invalid(f"The file {file.path} is there twice.", fields=[field])
        made[file.path] = file.data()
    return made


def _zipped(made: Exported) -> bytes:
    """A zip with the skill's folder in it."""
    return pack({f"{made.name}/{path}": data for path, data in made.files.items()})
