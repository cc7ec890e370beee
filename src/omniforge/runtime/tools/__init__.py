"""Tools a step may call, and the policy in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from omniforge.core.config import Settings
from omniforge.engine.breakers import Breakers
from omniforge.integrations.service import IntegrationService
from omniforge.runtime.tools import workspace
from omniforge.runtime.tools.integration import connected_tools
from omniforge.runtime.tools.protocol import Tool
from omniforge.runtime.tools.web import Web


def tool_box(
    settings: Settings, integrations: IntegrationService, breakers: Breakers | None = None
) -> Mapping[str, Tool]:
    """Every tool of this installation by its name."""
    tools: list[Tool] = [
        *workspace.TOOLS,
        Web(allowed_hosts=settings.fetch_allowed_hosts).tool(),
        *connected_tools(integrations, breakers),
    ]
    return MappingProxyType({tool.name: tool for tool in tools})
