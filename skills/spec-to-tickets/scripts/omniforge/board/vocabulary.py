"""The board's words: every state and kind, as people and the wire spell them. Pure."""

from __future__ import annotations

from enum import StrEnum


class TicketStatus(StrEnum):
    BACKLOG = "backlog"
    ANALYZING = "analyzing"
    BUILDING = "building"
    BUILDING_DONE = "building-done"
    TESTING = "testing"
    DONE = "done"


class PhaseId(StrEnum):
    """DESIGN and DEPLOYMENT are phases of tasks only."""

    BACKLOG = "PHASE_BACKLOG"
    REQUIREMENTS = "PHASE_REQUIREMENTS"
    DESIGN = "PHASE_DESIGN"
    IMPLEMENTATION = "PHASE_IMPLEMENTATION"
    DEPLOYMENT = "PHASE_DEPLOYMENT"
    TESTING = "PHASE_TESTING"
    DONE = "PHASE_DONE"


class MoveCause(StrEnum):
    CREATE = "create"
    TRANSITION = "transition"
    MOVE = "move"
    PROGRESS = "progress"
    AUTO = "auto"
    PULL = "pull"
    REGRESS = "regress"
    RESULTS = "results"
    IMPORT = "import"


class ApprovalStatus(StrEnum):
    """Of a ticket that people look at before anything is spent on it."""

    APPROVED = "approved"
    PENDING_REVIEW = "pending_review"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"


class BlockerType(StrEnum):
    DEPENDENCY = "dependency"
    WAITING_ON_CLARIFICATION = "waiting_on_clarification"
    FAILING_CHECKS = "failing_checks"
    ENVIRONMENT = "environment"


class Priority(StrEnum):
    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


class TicketType(StrEnum):
    COMPONENT = "component"
    FEATURE = "feature"
    BUG = "bug"
    OPTIMIZATION = "optimization"


class Estimate(StrEnum):
    """XL for tickets only."""

    S = "S"
    M = "M"
    L = "L"
    XL = "XL"


class TaskStatus(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    NEEDS_REVIEW = "needs_review"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        return self in OPEN_TASKS

    @property
    def is_finished(self) -> bool:
        return self in (TaskStatus.COMPLETED, TaskStatus.CANCELLED)


OPEN_TASKS = (TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.NEEDS_REVIEW)


class TaskType(StrEnum):
    ANALYZE_REQUIREMENTS = "analyze_requirements"
    CREATE_DESIGN = "create_design"
    IMPLEMENT_FEATURE = "implement_feature"
    WRITE_TESTS = "write_tests"
    REFACTOR = "refactor"
    DOCUMENT = "document"
    RESEARCH = "research"
    FIX_BUG = "fix_bug"
    RUN_TESTS = "run_tests"
    DEPLOY = "deploy"
    REMEDIATION = "remediation"


class AttemptOutcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    IDLE = "idle"
    EVIDENCE_FAILED = "evidence_failed"
    REVIEW = "review"
    CANCELLED = "cancelled"


class SpecStatus(StrEnum):
    DRAFT = "draft"
    REQUIREMENTS = "requirements"
    DESIGN = "design"
    EXECUTING = "executing"
    COMPLETED = "completed"


class SpecPhase(StrEnum):
    """How far a generated spec has come."""

    UNDERSTAND = "understand"
    RESEARCH = "research"
    REQUIREMENTS = "requirements"
    DESIGN = "design"
    TICKETS = "tickets"
    TASKS = "tasks"
    COMPLETE = "complete"


class RequirementStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class RequirementCategory(StrEnum):
    FUNCTIONAL = "functional"
    NON_FUNCTIONAL = "non-functional"
    CONSTRAINT = "constraint"


class ProjectStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    COMPLETED = "completed"


class CheckKind(StrEnum):
    """TEXT is for criteria only: a sentence that nothing checks by itself."""

    COMMAND = "command"
    RULE = "rule"
    APPROVAL = "approval"
    TEXT = "text"


class RuleName(StrEnum):
    TASKS_COMPLETED = "tasks_completed"
    ARTIFACT_PRESENT = "artifact_present"
    CONTENT_LENGTH = "content_length"
    SECTIONS_PRESENT = "sections_present"
    DEPENDENCY_AUDIT = "dependency_audit"
    BLOCKED_DEPENDENCY = "blocked_dependency"
    FORBIDDEN_PATTERN = "forbidden_pattern"
    PROTECTED_PATH = "protected_path"
    SPEC_APPROVED = "spec_approved"


class CriterionResult(StrEnum):
    PASS = "pass"  # noqa: S105 - a result, no secret
    FAIL = "fail"
    WAIVED = "waived"


class GateVerdict(StrEnum):
    GO = "go"
    NO_GO = "no-go"
    CONDITIONAL_GO = "conditional-go"


class GateReadiness(StrEnum):
    READY = "ready"
    WAITING_TASKS = "waiting_tasks"
    WAITING_CHECKS = "waiting_checks"
    WAITING_APPROVAL = "waiting_approval"
    BLOCKED = "blocked"
    NOT_CONFIGURED = "not_configured"


class ApproverRole(StrEnum):
    ARCHITECTURE = "architecture"
    SECURITY = "security"
    UX = "ux"
    PRODUCT = "product"
    MAINTAINER = "maintainer"


class WorkKind(StrEnum):
    """Who does a task: a list of commands, a skill, or an agent with a model."""

    COMMANDS = "commands"
    SKILL = "skill"
    AGENT = "agent"


class ReportType(StrEnum):
    IMPLEMENTATION = "implementation"
    ANALYSIS = "analysis"
    FIX = "fix"
    DESIGN = "design"
    TEST = "test"
    DOCUMENTATION = "documentation"


class ReportStatus(StrEnum):
    """What another person says of a report."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    DISPUTED = "disputed"


class ArtifactType(StrEnum):
    REQUIREMENTS_DOCUMENT = "requirements_document"
    DESIGN_DOCUMENT = "design_document"
    CODE_CHANGES = "code_changes"
    TEST_RESULTS = "test_results"
    TEST_EVIDENCE = "test_evidence"
    TEST_COVERAGE = "test_coverage"
    HANDOFF_DOCUMENTATION = "handoff_documentation"
    PACKAGING_BUNDLE = "packaging_bundle"
    PULL_REQUEST = "pull_request"
    TRANSCRIPT = "transcript"
    OTHER = "other"


class HoldReason(StrEnum):
    """Why nothing moves by itself."""

    TASKS_OPEN = "tasks_open"
    TASKS_FAILED = "tasks_failed"
    GATE_PENDING = "gate_pending"
    GATE_NO_GO = "gate_no_go"
    WIP_LIMIT = "wip_limit"
    BLOCKED = "blocked"
    NOT_APPROVED = "not_approved"
    DEPENDENCIES_OPEN = "dependencies_open"
    TERMINAL = "terminal"
    NOT_AUTONOMOUS = "not_autonomous"
