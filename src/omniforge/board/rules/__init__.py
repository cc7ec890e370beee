"""The rules of gates, a module per few of them; by their names."""

from __future__ import annotations

from omniforge.board.rules import dependencies, difference, documents, work
from omniforge.board.rules.base import Rule, TreeRule
from omniforge.board.vocabulary import RuleName

RULES: dict[RuleName, Rule] = {
    RuleName.TASKS_COMPLETED: work.tasks_completed,
    RuleName.SPEC_APPROVED: work.spec_approved,
    RuleName.ARTIFACT_PRESENT: documents.artifact_present,
    RuleName.CONTENT_LENGTH: documents.content_length,
    RuleName.SECTIONS_PRESENT: documents.sections_present,
}
"""Rules over what the board has."""
TREE_RULES: dict[RuleName, TreeRule] = {
    RuleName.BLOCKED_DEPENDENCY: dependencies.blocked_dependency,
    RuleName.FORBIDDEN_PATTERN: difference.forbidden_pattern,
    RuleName.PROTECTED_PATH: difference.protected_path,
}
"""Rules over the merged tree. An audit of dependencies is a command: see `rules.audit`."""
