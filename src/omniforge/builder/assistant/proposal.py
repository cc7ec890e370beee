"""What a model makes of a message: a typed proposal, its mistakes, and how it meets the rules. Pure.

The rules and the model both read a message. Where they agree, or only one of them has something to say that
confirms nothing, it is taken; where they disagree the person is asked. A model's yes is never a yes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omniforge.agents.schedule import check_cron, zone_of
from omniforge.builder.outline import Operation
from omniforge.builder.understanding.composition import Clause, Composition
from omniforge.builder.understanding.cron_words import read_back
from omniforge.builder.understanding.plan import Event, Schedule, Unclear
from omniforge.builder.understanding.stance import Reading, Stance
from omniforge.engine.templates import check_parses

MOST_CLAUSES = 20
MOST_DETAILS = 12
OPERATIONS = tuple(operation.value for operation in Operation if operation is not Operation.KEEP)


class _Proposed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProposedSchedule(_Proposed):
    """`cron` has five fields when it is scheduled; `unclear` is what words there were that five fields cannot
    say."""

    event: Event = "scheduled"
    cron: str = Field(default="", max_length=100)
    timezone: str | None = Field(default=None, max_length=64)
    unclear: str = Field(default="", max_length=200)


class Proposal(_Proposed):
    """All that one message says, as a model reads it. `english` is set when it was in another language."""

    stance: Stance = Stance.NONE
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}$")
    english: str = Field(default="", max_length=4000)
    schedule: ProposedSchedule | None = None
    clauses: tuple[Clause, ...] = Field(default=(), max_length=MOST_CLAUSES)
    details: tuple[str, ...] = Field(default=(), max_length=MOST_DETAILS)

    def heard(self, message: str) -> str:
        """What the rules shall read: the message, or its English when it was in another language."""
        return message if self.language == "en" else self.english

    @property
    def composition(self) -> Composition:
        return Composition(clauses=self.clauses)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a message is read against. `known` are label and value of what was understood so far."""

    phase: str
    question: str
    services: tuple[str, ...]
    fields: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    known: tuple[tuple[str, str], ...] = ()
    timezone: str = "UTC"
    now: str = ""


# --- what is wrong with a proposal ----------------------------------------------------------------


def problems(value: object, situation: Situation) -> list[str]:
    """Every mistake of a proposal in words a model can act on; empty when it can be used."""
    try:
        proposal = Proposal.model_validate(value)
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)]
    found = [*_schedule_problems(proposal.schedule), *_language_problems(proposal)]
    for number, clause in enumerate(proposal.clauses):
        found += [f"clauses.{number}.{problem}" for problem in _clause_problems(number, clause, situation)]
    found += [
        f"details.{n}: one short sentence" for n, d in enumerate(proposal.details) if not 2 < len(d) < 200
    ]
    return found


def _schedule_problems(schedule: ProposedSchedule | None) -> list[str]:
    if schedule is None or schedule.unclear:
        return []
    if schedule.event != "scheduled":
        return ["schedule.cron: empty unless `event` is scheduled"] if schedule.cron else []
    try:
        check_cron(schedule.cron)
        if schedule.timezone is not None:
            zone_of(schedule.timezone)
    except ValueError as error:
        return [f"schedule: {error}"]
    return []


def _language_problems(proposal: Proposal) -> list[str]:
    if proposal.language != "en" and not proposal.english.strip():
        return ["english: the message in plain English, because its language is not en"]
    return []


def _clause_problems(number: int, clause: Clause, situation: Situation) -> list[str]:
    found: list[str] = []
    if clause.operation not in OPERATIONS:
        found.append(f"operation: one of {', '.join(OPERATIONS)}")
    if clause.service is not None and clause.service not in situation.services:
        found.append(f"service: one of {', '.join(situation.services)}, or null")
    if any(not 0 <= need < number for need in clause.needs):
        found.append("needs: positions of earlier entries only")
    if clause.condition:
        try:
            check_parses(clause.condition)
        except ValueError as error:
            found.append(f"condition: {error}")
    return found


# --- where it meets the rules ---------------------------------------------------------------------

_HARMLESS = frozenset(
    {Stance.AMEND, Stance.REPLACE, Stance.QUESTION, Stance.NO, Stance.UNSURE, Stance.CHOOSE}
)
"""Stances that a model may add: they confirm nothing, end nothing and take no default."""
_NEAR = ({Stance.AMEND, Stance.REPLACE}, {Stance.NONE, Stance.AMEND})


def agreed_stance(rules: Reading, proposal: Proposal | None) -> Reading:
    """The stance to act on. A yes, an end or a default needs the rules; against the model they become a
    question."""
    if proposal is None or proposal.stance is rules.stance or {proposal.stance, rules.stance} in _NEAR:
        return rules
    if proposal.stance is Stance.NONE:
        return rules
    if rules.stance is Stance.NONE:
        return Reading(proposal.stance if proposal.stance in _HARMLESS - {Stance.CHOOSE} else Stance.UNSURE)
    return Reading(Stance.UNSURE)


def agreed_schedule(
    rules: Schedule | Unclear | None, proposal: Proposal | None, zone: str
) -> Schedule | Unclear | None:
    """The plan to show, or the question. What only the model read is shown as derived, to be confirmed."""
    proposed = proposal.schedule if proposal else None
    if proposed is None or proposed.unclear:
        return rules
    theirs = Schedule(
        cron=proposed.cron, timezone=proposed.timezone, event=proposed.event, origin="derived", time_said=True
    )
    match rules:
        case None:
            return theirs
        case Unclear():
            return (
                rules
                if rules.offer or theirs.event != "scheduled"
                else Unclear(question=rules.question, offer=theirs)
            )
        case Schedule():
            if rules.event == theirs.event and _same_times(rules.cron, theirs.cron):
                return rules
            return Unclear(question=_which(rules, theirs, zone), offer=rules)


def _same_times(one: str, other: str) -> bool:
    """Equal as people read them: 1 and MON, 0 and 7 are the same days."""
    days = dict(zip("0123456", ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), strict=True)) | {"7": "SUN"}

    def plain(cron: str) -> list[str]:
        fields = cron.upper().split()
        if len(fields) == 5:
            fields[4] = re.sub(r"\d", lambda match: days.get(match[0], match[0]), fields[4])
        return fields

    return plain(one) == plain(other)


def _which(rules: Schedule, theirs: Schedule, zone: str) -> str:
    def said(plan: Schedule) -> str:
        match plan.event:
            case "scheduled":
                return read_back(plan.cron, plan.timezone or zone)
            case "on_demand":
                return "only when you ask"
            case _:
                return "as soon as it happens"

    return f"I'm not sure about the time: {said(rules)}, or {said(theirs)}? With a yes I take the first."


def agreed_composition(rules: Composition, proposal: Proposal | None) -> Composition:
    """The parts to show: the rules' when they could use every word, else the model's where it has some."""
    if proposal is None or not proposal.clauses:
        return rules
    return proposal.composition if rules.unsure or not rules.clauses else rules


# --- another language -----------------------------------------------------------------------------

_KEPT = re.compile(r"https?://\S+?(?=[\s)\]]|$)|\*\*.+?\*\*|\d+(?:[.:,/-]\d+)*")


def translation_problems(original: str, translated: str, also: Sequence[str] = ()) -> list[str]:
    """What a translation lost or added: numbers, times, addresses and names stand in it as they stood."""
    before, after = _KEPT.findall(original), _KEPT.findall(translated)
    names = [name for name in also if len(name) > 2 and name in original]
    lost = [part for part in dict.fromkeys([*before, *names]) if part not in translated]
    added = [part for part in dict.fromkeys(after) if part not in before and not part.startswith("**")]
    found = [f"this has to stand in it exactly: {part}" for part in lost]
    found += [f"this does not stand in the reply: {part}" for part in added]
    if len(translated) > 4 * len(original) + 200:
        found.append("it is much longer than the reply")
    return found
