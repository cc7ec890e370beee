"""A skill's text made ready to be followed: commands run where that is allowed, variables filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omniforge.core.redaction import redact
from omniforge.engine.active import StepCall
from omniforge.engine.artifacts import ArtifactStore
from omniforge.runtime.guards import Source, clean, spotlight
from omniforge.runtime.injection import RAN, Injection, Permit, commands_of
from omniforge.runtime.substitution import Arguments, substitute
from omniforge.runtime.tools.protocol import Json
from omniforge.sandboxes import SandboxProvider
from omniforge.skills.document import Document, Profile, is_valid, validate
from omniforge.skills.service import SkillService

MAX_BODY = 60_000
"""Characters of one skill's text."""


@dataclass(frozen=True, slots=True)
class Procedures:
    """Of one attempt of one step. values: what the variables mean.

    ran: commands that this run has run already, as `command_key` → SHA-256 of the artifact with their output.
    """

    call: StepCall
    skills: SkillService
    sandbox: SandboxProvider | None
    artifacts: ArtifactStore
    values: Mapping[str, str]
    allow_injection: bool
    ran: MutableMapping[str, str]

    async def prepare(  # noqa: PLR0917 - a skill's text, where it lies, what it is given
        self, document: Document, content_hash: str, folder: Path, place: str, given: Json, config: Json
    ) -> str:
        """The text of a skill with everything in it filled in. place: its folder as its reader knows it."""
        body = document.body[:MAX_BODY]
        pieces = [(body, True)]
        if commands := commands_of(body):
            injection = await self._injection(document, content_hash, folder, commands)
            pieces = await injection.split(body)
        arguments = _arguments(document, given, config)
        filled = substitute(pieces, {**self.values, "SKILL_DIR": place}, arguments)
        for warning in filled.warnings:
            told = {"level": "warning", "text": f"{document.name}: {warning}"[:2_000]}
            await self.call.emit("log.written", told)
        return clean(filled.text).strip()

    async def _injection(
        self, document: Document, content_hash: str, folder: Path, commands: Sequence[str]
    ) -> Injection:
        tenant_id = self.call.run.tenant_id
        origins = await self.skills.origins(tenant_id, content_hash)
        permit = Permit(origins, self.allow_injection, document.allowed_tools, self.sandbox)
        known: dict[str, str] = {}
        for command in commands:
            kept = self.ran.get(command_key(content_hash, command))
            if kept is not None:
                known[command] = (await self.artifacts.get(tenant_id, kept)).decode()

        async def audit(type_: str, command: str, facts: Mapping[str, object], shown: str) -> None:
            told = {"skill": document.name, "hash": content_hash[:12], "command": command[:500], **facts}
            if type_ == RAN:
                key = command_key(content_hash, command)
                self.ran[key] = await self.artifacts.put(tenant_id, shown.encode())
                told |= {"key": key, "output": self.ran[key]}
            await self.call.emit(type_, told)

        return Injection(permit, folder, audit, known)


def command_key(content_hash: str, command: str) -> str:
    """Names a command of a skill's text for a run."""
    return hashlib.sha256(f"{content_hash}\x1f{command}".encode()).hexdigest()


def _arguments(document: Document, given: Json, config: Json) -> Arguments:
    """What a skill is started with. Its text stays data inside the skill's: marked, with its origin."""
    settings = {name: value for name, value in config.items() if name not in SETTINGS}
    positional = _is_for_claude_code(document)
    names = document.fields.get("arguments")
    listed = names.split() if isinstance(names, str) else names if isinstance(names, list) else []
    plain = Arguments.of(redact(given), settings, positional=positional, names=[str(name) for name in listed])
    if plain.is_empty:
        return plain
    marked = spotlight(plain.plain(), Source.USER, "arguments", limit=20_000)
    return Arguments(plain.value, plain.positional, plain.names, marked)


SETTINGS = frozenset({"mode", "model", "max_iterations", "output_schema", "acceptance"})
"""Names in a skill's configuration that say how it is run, and are no arguments."""


def _is_for_claude_code(document: Document) -> bool:
    """Whether a file only makes sense as one written for Claude Code."""

    def fits(profile: Profile) -> bool:
        return is_valid(validate(document, profile, folder=document.folder, files=None))

    return fits(Profile.CLAUDE_CODE) and not fits(Profile.OMNIFORGE) and not fits(Profile.PORTABLE)
