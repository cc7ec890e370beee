"""One phase of one run as it stands: what it rests on, what it is told, and what it is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omniforge.board.applying import DESIGN, HEAD
from omniforge.board.exporting import Holding, is_gone
from omniforge.board.generation.asking import Code, Material
from omniforge.board.generation.evaluators import Facts
from omniforge.board.generation.outputs import ASKED, OWN, refs_in, said_in
from omniforge.board.generation.phases import ATTEMPTS, PHASES, Phase, before
from omniforge.board.importing import documents as d
from omniforge.board.importing.writing import as_json
from omniforge.board.spec_life import Part, is_approved
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import PhaseRunRow, SpecRow
from omniforge.board.vocabulary import SpecPhase
from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal
from omniforge.llm.protocol import Usage

Json = dict[str, Any]


@dataclass(slots=True)
class Work:
    """One phase of one run, as it stands now."""

    actor: Actor
    phase: Phase
    run_id: str
    said: Mapping[str, Any]
    """Input of the run."""
    spec: SpecRow
    project: ProjectRow
    row: PhaseRunRow
    rows: list[PhaseRunRow]
    """Its attempts, oldest first; the last is `row`."""
    earlier: dict[SpecPhase, Json]
    holding: Holding
    made: set[str]
    """Refs of what was generated before."""
    tokens: int = 0
    money: float = 0.0

    @property
    def asked(self) -> list[Json]:
        """What people were asked, and what they answered or said beforehand."""
        found = self.asked_first
        return list(self.said.get("answers", ())) if found is None else found

    @property
    def asked_first(self) -> list[Json] | None:
        """The questions of this run, with their answers; None before there are any."""
        found = [dict(row.output)[ASKED] for row in self.rows if row.output and ASKED in row.output]
        return found[-1] if found else None

    @property
    def own(self) -> dict[str, d.Item]:
        """What people put into the spec: it stays as it is."""
        return {name: item for name, item in self.holding.items.items() if name not in self.made}

    @property
    def may_prune(self) -> bool:
        """Nothing but what was generated was ever imported; so an import may take away what is not in it."""
        return self.holding.refs.keys() <= self.made | {HEAD, DESIGN}

    @property
    def gone(self) -> frozenset[str]:
        return frozenset(name for name, row in self.holding.rows.items() if is_gone(row))

    @property
    def tests(self) -> str | None:
        commands: dict[str, Json | None] = self.project.settings.get("commands") or {}
        return (commands.get("test") or {}).get("command")


def why_not(
    spec: SpecRow, project: ProjectRow, phase: Phase, there: Mapping[SpecPhase, PhaseRunRow]
) -> str | None:
    """Why a phase cannot go on at all."""
    if spec.archived:
        return "The spec is archived."
    if missing := [name for name in before(phase.name) if name not in there]:
        return f"The phase {missing[0]} has no result to go on from."
    if project.settings.get("require_spec_approval", False):
        for name in before(phase.name):
            part = PHASES[name].part
            if part is not None and not is_approved(spec, part):
                return f"The {part} of the spec are not approved."
    return None


def material_of(work: Work, code: Code) -> Material:
    last = work.rows[-2] if len(work.rows) > 1 else None
    return Material(
        title=work.spec.title,
        description=str(work.said.get("description") or work.spec.description or ""),
        code=code,
        earlier=work.earlier,
        asked=work.asked if work.phase.name is SpecPhase.UNDERSTAND else (),
        last=said_in(last.output) if last is not None else None,
        reasons=last.reasons if last is not None else (),
        tests=work.tests,
        gone=work.gone,
        own=[d.plain(item) for item in work.own.values()],
    )


def facts_of(work: Work, code: Code) -> Facts:
    return Facts(
        paths=code.paths,
        earlier={name: said_in(output) for name, output in work.earlier.items()},
        known={name: known for name, known in work.holding.known().items() if name in work.own},
        gone=work.gone,
        has_tests=work.tests is not None,
        asked=work.asked,
    )


def count(work: Work, row: PhaseRunRow, usage: Usage) -> None:
    """Add what an answer took."""
    row.turns += usage.requests
    if usage.cost_usd is not None:
        row.cost_usd = (row.cost_usd or 0.0) + usage.cost_usd
        work.money += usage.cost_usd
    work.tokens += usage.tokens_in + usage.tokens_out


def as_it_is(output: Json, part: Part, holding: Holding) -> Json:
    """The checkpoint as people approved it. Which stories a requirement serves is kept."""
    content = as_json(holding.document)
    if part is Part.DESIGN:
        design: Json = content.get("design") or {}
        return {"components": [], "errors": [], **design}
    given = refs_in(output)
    stories = {each["ref"]: each["stories"] for each in output.get("requirements", []) if "stories" in each}
    return {
        "requirements": [
            each | ({"stories": stories[each["ref"]]} if each["ref"] in stories else {})
            for each in content["requirements"]
        ],
        OWN: [each["ref"] for each in content["requirements"] if each["ref"] not in given],
    }


def given_up(work: Work) -> Fatal:
    reasons = work.row.reasons
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    message = f"The phase {work.phase.name} did not pass in {ATTEMPTS} attempts: {reasons[0]}{more}."
    return Fatal(message, code="spec_phase_failed", spec_id=work.spec.id, reasons=reasons[:50])
