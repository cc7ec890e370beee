"""An outline written down: the skills of an agent and the agent itself. Equal outlines give equal bytes."""

from omniforge.builder.generation.draft import AgentDraft, build_draft
from omniforge.builder.generation.folder import SkillFiles
from omniforge.builder.generation.services import QUERY_TOOLS, SUPPORTED, TITLES, can

__all__ = ["QUERY_TOOLS", "SUPPORTED", "TITLES", "AgentDraft", "SkillFiles", "build_draft", "can"]
