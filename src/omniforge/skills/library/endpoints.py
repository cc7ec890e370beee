"""HTTP of the public library."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from omniforge.core.paging import Paging
from omniforge.skills.endpoints import with_content
from omniforge.skills.findings import Finding, Weight
from omniforge.skills.library.copies import own_skill
from omniforge.skills.library.publishing import Submission
from omniforge.skills.library.schemas import (
    Decision,
    Derived,
    DeriveRequest,
    Download,
    FindingView,
    LibraryQuery,
    Offer,
    PublicSkill,
    PublicSkillDetail,
    PublicSkillList,
    PublicVersion,
    PublicVersionList,
    Published,
    PublishRequest,
    RatingRequest,
    VersionText,
)
from omniforge.skills.library.service import LibraryService
from omniforge.tenants import CurrentActor


def library_of(request: Request) -> LibraryService:
    service: LibraryService = request.app.state.library
    return service


Library = Annotated[LibraryService, Depends(library_of)]
Name = Annotated[str, Path(max_length=64)]
Page = Annotated[Paging, Query()]

router = APIRouter(prefix="/api/v1/library/skills", tags=["library"])


@router.get("")
async def search_library(
    _actor: CurrentActor, library: Library, query: Annotated[LibraryQuery, Query()]
) -> PublicSkillList:
    """Every word of `q` begins a word of name, description or tags; best first."""
    found, total = await library.search(_actor, query)
    return PublicSkillList(skills=found, total=total, limit=query.limit, offset=query.offset)


@router.post("", status_code=201)
async def publish_skill(body: PublishRequest, actor: CurrentActor, library: Library) -> Published:
    """It waits until somebody who curates skills approves it. 422 names every line that must not be seen."""
    actor.require("skill:share")
    given = await _submission(library, actor, body)
    accepted = await library.publish(actor, given)
    findings = [
        FindingView.of(Finding("anonymised", path, 1, "Its values were taken out.", Weight.NOTE))
        for path in accepted.anonymised
    ]
    shown = PublicSkill.of(accepted.skill).model_dump()
    more = {"version": PublicVersion.of(accepted.version), "anonymised": accepted.anonymised}
    return Published.model_validate({**shown, **more, "findings": findings})


@router.get("/{name}")
async def get_public_skill(name: Name, actor: CurrentActor, library: Library) -> PublicSkillDetail:
    return await library.get(actor, name)


@router.get("/{name}/versions")
async def list_public_versions(
    name: Name, actor: CurrentActor, library: Library, page: Page
) -> PublicVersionList:
    found, total = await library.versions(actor, name, page)
    return PublicVersionList(versions=found, total=total, limit=page.limit, offset=page.offset)


@router.get("/{name}/download")
async def download_public_skill(
    name: Name, actor: CurrentActor, library: Library, version: Annotated[VersionText, Query()] = "latest"
) -> Download:
    """The files of a version, and the hash over all of them."""
    return await library.download(actor, name, version)


@router.get("/{name}/newer")
async def newer_versions(
    name: Name, actor: CurrentActor, library: Library, version: Annotated[VersionText, Query()] = "0.0.0"
) -> Offer | None:
    """What came after this version, with every changelog; null when nothing did."""
    return await library.offer(actor, name, version)


@router.post("/{name}/approve")
async def approve_skill(name: Name, body: Decision, actor: CurrentActor, library: Library) -> PublicSkill:
    return await library.approve(actor, name, body.version, body.reason)


@router.post("/{name}/reject")
async def reject_skill(name: Name, body: Decision, actor: CurrentActor, library: Library) -> PublicSkill:
    return await library.reject(actor, name, body.version, body.reason)


@router.post("/{name}/archive")
async def archive_skill(name: Name, body: Decision, actor: CurrentActor, library: Library) -> PublicSkill:
    """Withdraw it. Agents that use it go on with the files they were switched on with, and are told."""
    return await library.archive(actor, name, body.reason)


@router.post("/{name}/rate")
async def rate_skill(name: Name, body: RatingRequest, actor: CurrentActor, library: Library) -> PublicSkill:
    """One per person; only after an agent that uses it completed a run."""
    return PublicSkill.of(await library.rate(actor, name, body.rating))


@router.post("/{name}/copy", status_code=201)
async def copy_skill(name: Name, body: DeriveRequest, actor: CurrentActor, library: Library) -> Derived:
    """A copy to change, of an agent or of the tenant; whose it was stays visible in it."""
    return await library.derive(actor, name, agent_id=body.agent_id, version=body.version, as_name=body.name)


async def _submission(library: LibraryService, actor: CurrentActor, body: PublishRequest) -> Submission:
    given = {"name": body.name, "version": body.version, "changelog": body.changelog}
    if body.skill is None:
        files = with_content((body.content or "").encode(), body.files)
        return Submission(**given, files=files, category=body.category, names=body.names)
    own = await own_skill(library.skills, actor, body.skill.name, body.skill.agent_id, as_name=body.name)
    return Submission(
        **given,
        files=own.files,
        category=body.category,
        names=body.names,
        author=own.author,
        license=own.license,
    )
