"""Rules over artifacts: there, long enough, complete."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from sqlalchemy import select

from omniforge.board.rules.base import Json, Situation, Verdict
from omniforge.board.store.evidence import ArtifactRow
from omniforge.board.vocabulary import ArtifactType

MADE_BY_HOST = (
    ArtifactType.CODE_CHANGES,
    ArtifactType.TEST_RESULTS,
    ArtifactType.TEST_EVIDENCE,
    ArtifactType.TEST_COVERAGE,
)
"""Of these only what OmniForge itself made counts: a worker's word for them is a claim."""
LASTING = (ArtifactType.REQUIREMENTS_DOCUMENT,)
"""These count also after a ticket was sent back."""
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_UNDERLINED = re.compile(r"^(\S.*)\n\s{0,3}(?:=+|-{2,})[ \t]*$", re.MULTILINE)


async def artifact_present(about: Situation, params: Json) -> Verdict:
    """params: artifact_type."""
    kind = ArtifactType(params["artifact_type"])
    found = await newest(about, kind)
    if found is None:
        return Verdict(passed=False, detail=f"There is no {_name(kind)}.")
    return Verdict(passed=True, detail=f"There is a {_name(kind)}.", evidence=found.id)


async def content_length(about: Situation, params: Json) -> Verdict:
    """params: artifact_type, minimum (characters)."""
    kind = ArtifactType(params["artifact_type"])
    found = await newest(about, kind)
    length, minimum = len(text_of(found).strip()) if found else 0, int(params["minimum"])
    detail = f"The {_name(kind)} has {length} of at least {minimum} characters."
    return Verdict(length >= minimum, detail, found.id if found else None)


async def sections_present(about: Situation, params: Json) -> Verdict:
    """params: artifact_type, sections[]. Case, `-`, `_` and spaces make no difference."""
    kind = ArtifactType(params["artifact_type"])
    found = await newest(about, kind)
    headings = headings_of(found) if found else set[str]()
    missing = [name for name in params["sections"] if plain(name) not in headings]
    said = f"lacks the sections {', '.join(missing)}" if missing else "has every section"
    return Verdict(not missing, f"The {_name(kind)} {said}.", found.id if found else None)


async def newest(about: Situation, kind: ArtifactType) -> ArtifactRow | None:
    """The artifact of this type that counts for the status the ticket wants to leave."""
    ticket, phases = about.ticket, {about.stage.phase, *about.stage.admits}
    query = select(ArtifactRow).where(
        ArtifactRow.tenant_id == ticket.tenant_id,
        ArtifactRow.ticket_id == ticket.id,
        ArtifactRow.artifact_type == kind,
        ArtifactRow.phase_id.in_([phase.value for phase in phases]),
    )
    if kind not in LASTING:
        query = query.where(ArtifactRow.created_at >= ticket.evidence_since)
    if kind in MADE_BY_HOST:
        query = query.where(ArtifactRow.collected_by.startswith("system:"))
    order = (ArtifactRow.created_at.desc(), ArtifactRow.id.desc())
    return await about.session.scalar(query.order_by(*order).limit(1))


def text_of(artifact: ArtifactRow) -> str:
    """What it says; of an object, all of it."""
    content = artifact.content or {}
    said = content.get("text")
    if isinstance(said, str):
        return said
    return json.dumps(content, ensure_ascii=False) if content else ""


def headings_of(artifact: ArtifactRow) -> set[str]:
    """Of a text its headings; of an object its names, at every depth."""
    content = artifact.content or {}
    said = content.get("text")
    if isinstance(said, str):
        return {plain(found) for form in (_HEADING, _UNDERLINED) for found in form.findall(said)}
    return {plain(name) for name in _names(content)}


def _names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for one in cast("list[Any]", value) for name in _names(one)]
    if not isinstance(value, dict):
        return []
    inside = cast("Json", value)
    return [*inside, *(name for one in inside.values() for name in _names(one))]


def plain(name: str) -> str:
    return re.sub(r"[-_\s]+", "", name).casefold()


def _name(kind: ArtifactType) -> str:
    return kind.value.replace("_", " ")
