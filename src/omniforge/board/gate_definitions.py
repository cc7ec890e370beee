"""What has to be shown before a ticket leaves a status: checks as data, and the default ones. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from omniforge.board.vocabulary import (
    ApproverRole,
    ArtifactType,
    CheckKind,
    PhaseId,
    RuleName,
    TicketStatus,
)

Json = dict[str, Any]
TIERS = {CheckKind.COMMAND: 1, CheckKind.RULE: 2, CheckKind.APPROVAL: 3}
COMMAND_DEFAULTS: Mapping[str, Any] = {"cwd": ".", "timeout_seconds": 600, "expect_exit": 0}
APPROVAL_PROMPT = "May this ticket go on?"
DEFAULT_SEVERITY = "high"


class Applies(StrEnum):
    """To which tickets a check applies."""

    ALWAYS = "always"
    WITH_SPEC = "with_spec"
    """The ticket belongs to a spec that has requirements."""
    WITHOUT_SPEC = "without_spec"
    WITH_LOCK_FILE = "with_lock_file"
    """The merged tree holds a lock file."""
    WITHOUT_PROOF = "without_proof"
    """Nothing else of the gate is a command or a question to people, so that nothing would be proved."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition. `fields` are those of its kind: command, cwd, timeout_seconds, expect_exit, coverage |
    rule, params | role, prompt, minimum. `criterion_id`, `text`: it comes from a criterion of the ticket."""

    key: str
    kind: CheckKind
    fields: Json
    required: bool = True
    waivable: bool = False
    applies: Applies = Applies.ALWAYS
    criterion_id: str | None = None
    text: str | None = None

    @property
    def tier(self) -> int:
        return TIERS[self.kind]

    @property
    def rule(self) -> RuleName | None:
        return RuleName(self.fields["rule"]) if self.kind is CheckKind.RULE else None

    @property
    def params(self) -> Json:
        return self.fields.get("params") or {}

    def shown(self) -> Json:
        """As it stands on the wire, and in a project's own gate."""
        head = {"key": self.key, "kind": self.kind.value, "tier": self.tier}
        said = {"required": self.required, "waivable": self.waivable}
        more: Json = {} if self.applies is Applies.ALWAYS else {"applies": self.applies.value}
        if self.criterion_id is not None:
            more |= {"criterion_id": self.criterion_id, "text": self.text}
        return head | said | self.fields | more


def check_from(key: str, kind: CheckKind, given: Mapping[str, Any], **said: Any) -> Check:
    """A check from a definition that was read already; what it does not say has its default."""
    fields: Json = {
        name: value for name, value in given.items() if name not in ("key", "kind", "tier", *_SAID)
    }
    match kind:
        case CheckKind.COMMAND:
            fields = {**COMMAND_DEFAULTS, **fields}
        case CheckKind.RULE:
            fields = {"params": {}, **fields}
        case _:
            fields = {"prompt": APPROVAL_PROMPT, "minimum": 1, **fields}
    return Check(
        key,
        kind,
        fields,
        required=given.get("required", True),
        waivable=given.get("waivable", kind is CheckKind.RULE),
        applies=Applies(given.get("applies", Applies.ALWAYS)),
        **said,
    )


_SAID = ("required", "waivable", "applies")


def _rule(rule: RuleName, applies: Applies = Applies.ALWAYS, **params: Any) -> Check:
    given = {"rule": rule.value, "params": params, "applies": applies}
    return check_from(rule.value, CheckKind.RULE, given)


_TASKS = RuleName.TASKS_COMPLETED.value


def _tasks(*phases: PhaseId, minimum: int, **other: int) -> Check:
    params = {"phases": [one.value for one in phases], "minimum": minimum, **other}
    return check_from(_TASKS, CheckKind.RULE, {"rule": _TASKS, "params": params})


_DOCUMENT = ArtifactType.REQUIREMENTS_DOCUMENT.value
_P = PhaseId
ANALYZING = (
    _tasks(_P.REQUIREMENTS, _P.DESIGN, minimum=1, minimum_with_approved_spec=0),
    _rule(RuleName.SPEC_APPROVED, Applies.WITH_SPEC),
    _rule(RuleName.ARTIFACT_PRESENT, Applies.WITHOUT_SPEC, artifact_type=_DOCUMENT),
    _rule(RuleName.CONTENT_LENGTH, Applies.WITHOUT_SPEC, artifact_type=_DOCUMENT, minimum=500),
    _rule(
        RuleName.SECTIONS_PRESENT,
        Applies.WITHOUT_SPEC,
        artifact_type=_DOCUMENT,
        sections=["scope", "acceptance_criteria"],
    ),
)
BUILDING_DONE = (
    _tasks(_P.DEPLOYMENT, minimum=0),
    _rule(RuleName.ARTIFACT_PRESENT, artifact_type=ArtifactType.HANDOFF_DOCUMENTATION.value),
)
MAINTAINER = check_from(
    ApproverRole.MAINTAINER.value,
    CheckKind.APPROVAL,
    {"role": ApproverRole.MAINTAINER.value, "applies": Applies.WITHOUT_PROOF},
)
"""Somebody has to look where nothing else shows that the work is done."""


def default_checks(status: TicketStatus, settings: Mapping[str, Any]) -> list[Check]:
    """The checks of a project that has none of its own for leaving this status."""
    match status:
        case TicketStatus.ANALYZING:
            return list(ANALYZING)
        case TicketStatus.BUILDING:
            return [
                _tasks(_P.IMPLEMENTATION, minimum=1),
                *_commands(settings, ("build", "lint", "test"), with_coverage=True),
                _rule(RuleName.DEPENDENCY_AUDIT, Applies.WITH_LOCK_FILE, severity=DEFAULT_SEVERITY),
                *(_rule(rule) for rule, name in LISTS.items() if settings.get(name)),
            ]
        case TicketStatus.BUILDING_DONE:
            return list(BUILDING_DONE)
        case TicketStatus.TESTING:
            return [
                _tasks(_P.TESTING, minimum=1, minimum_with_command=0),
                *_commands(settings, ("test",), with_coverage=False),
                MAINTAINER,
            ]
        case _:
            return []


LISTS = {
    RuleName.BLOCKED_DEPENDENCY: "blocked_dependencies",
    RuleName.FORBIDDEN_PATTERN: "forbidden_patterns",
    RuleName.PROTECTED_PATH: "protected_paths",
}
"""Rules whose list is a setting of the project; with an empty one there is nothing to check."""
LIST_PARAMS = {
    RuleName.BLOCKED_DEPENDENCY: "names",
    RuleName.FORBIDDEN_PATTERN: "patterns",
    RuleName.PROTECTED_PATH: "globs",
}


def _commands(settings: Mapping[str, Any], names: Sequence[str], *, with_coverage: bool) -> list[Check]:
    commands: Mapping[str, Any] = settings.get("commands") or {}
    found: list[Check] = []
    for name in names:
        command: Mapping[str, Any] | None = commands.get(name)
        if not command:
            continue
        given: Json = {"command": command["command"], "timeout_seconds": command.get("timeout_seconds", 600)}
        report = command.get("coverage_report")
        if with_coverage and name == "test" and report:
            minimum = settings.get("coverage_minimum", 80)
            given["coverage"] = {"report": report, "format": report_format(report), "minimum": minimum}
        found.append(check_from(name, CheckKind.COMMAND, given))
    return found


def report_format(path: str) -> str:
    """The format of a coverage report by the name of its file."""
    match PurePosixPath(path).suffix.lower():
        case ".json":
            return "coverage-json"
        case ".xml":
            return "cobertura"
        case _:
            return "lcov"


@dataclass(frozen=True, slots=True)
class Gate:
    """The checks of a project for leaving a status. `is_default`: nobody changed them."""

    checks: list[Check] = field(default_factory=list[Check])
    is_default: bool = True


def gate_of(
    status: TicketStatus, settings: Mapping[str, Any], own: Sequence[Mapping[str, Any]] | None
) -> Gate:
    """`own` None: the project has no gate of its own. Whoever may say when a ticket is done may not say that
    nothing has to be shown for it: behind testing stands at least a person."""
    if own is None:
        return Gate(default_checks(status, settings))
    checks = [check_from(one["key"], CheckKind(one["kind"]), one) for one in own]
    asks_nobody = not any(check.key == MAINTAINER.key for check in checks)
    if status is TicketStatus.TESTING and asks_nobody and not any(map(is_proof, checks)):
        checks.append(MAINTAINER)
    return Gate(checks, is_default=False)


def is_proof(check: Check) -> bool:
    """Whether a person or a program says something by it."""
    return (
        check.required
        and check.kind in (CheckKind.COMMAND, CheckKind.APPROVAL)
        and check.applies is Applies.ALWAYS
    )


def applicable(checks: Sequence[Check], *, has_spec: bool) -> list[Check]:
    """The checks of a gate that apply to a ticket. Whether there is a lock file is seen from its files."""
    proved = any(map(is_proof, checks))
    wanted = {
        Applies.ALWAYS: True,
        Applies.WITH_SPEC: has_spec,
        Applies.WITHOUT_SPEC: not has_spec,
        Applies.WITH_LOCK_FILE: True,
        Applies.WITHOUT_PROOF: not proved,
    }
    return [check for check in checks if wanted[check.applies]]
