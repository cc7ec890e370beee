"""A public skill as a copy of one's own, with the words that say whose it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from omniforge.core.actor import Actor
from omniforge.skills import provenance
from omniforge.skills.document import SKILL_FILE, Value, load, render
from omniforge.skills.library.schemas import Derived, Download
from omniforge.skills.provenance import ProvenanceRow
from omniforge.skills.service import SkillService
from omniforge.skills.store import NO_AGENT

_FOREIGN = frozenset({"license", "compatibility", "metadata"})


async def derive(
    skills: SkillService, actor: Actor, found: Download, *, agent_id: str | None, as_name: str
) -> Derived:
    """`Conflict` when there is a skill of that name already."""
    files = {file.path: file.data() for file in found.files}
    files[SKILL_FILE] = attributed(files[SKILL_FILE], found, as_name)
    written = await skills.write(actor, name=as_name, files=files, agent_id=agent_id, must_be_new=True)
    origin = {
        "name": found.name,
        "version": found.version,
        "author": found.author_name,
        "license": found.license,
        "hash": found.hash,
    }
    row = ProvenanceRow(
        tenant_id=actor.tenant_id,
        agent_id=agent_id or NO_AGENT,
        name=as_name,
        content_hash=written.hash,
        facts={"kind": "derived", "derived_from": origin},
        noted_by=actor.by,
        noted_at=skills.clock.now(),
    )
    async with skills.db.transaction() as session:
        await provenance.note(session, row)
    return Derived(name=as_name, agent_id=agent_id, hash=written.hash, derived_from=origin)


@dataclass(frozen=True, slots=True)
class OwnSkill:
    """Files of a skill of the tenant, and what is known of who wrote it; empty where that is nobody else."""

    files: Mapping[str, bytes]
    author: str
    license: str


async def own_skill(
    skills: SkillService, actor: Actor, name: str, agent_id: str | None, *, as_name: str
) -> OwnSkill:
    """A skill as it is to be published, under the name it is to have there."""
    found = await skills.get(actor, name, agent_id, own=True)
    files = dict(found.files)
    if as_name != name:
        files[SKILL_FILE] = renamed(files[SKILL_FILE], as_name)
    async with skills.db.read() as session:
        known = await provenance.find(session, actor.tenant_id, agent_id, name)
    facts = known.facts if known is not None else {}
    return OwnSkill(files, str(facts.get("author") or ""), str(facts.get("license") or ""))


def attributed(content: bytes, found: Download, name: str) -> bytes:
    """The SKILL.md under its new name, its last line saying whose work it is based on."""
    terms = f", {found.license}" if found.license else ""
    author = " ".join(found.author_name.split())
    said = f"_Based on the public skill {found.name} {found.version} by {author}{terms}._"
    body = load(content).body.rstrip()
    if body.endswith(said):
        return renamed(content, name)
    return renamed(content, name, f"{body}\n\n{said}\n".lstrip("\n"))


def renamed(content: bytes, name: str, body: str | None = None) -> bytes:
    """The SKILL.md with another name (and body), in our form."""
    document = load(content)
    fields: dict[str, Value] = {
        field: value for field, value in document.fields.items() if field not in _FOREIGN
    }
    return render({**fields, "name": name}, document.body if body is None else body)
