"""Tools a step may call, and the policy in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from omniforge.core.config import Settings
from omniforge.engine.breakers import Breakers
from omniforge.integrations.service import IntegrationService
from omniforge.runtime.tools import workspace
from omniforge.runtime.tools.documents import DOCUMENT
from omniforge.runtime.tools.integration import connected_tools
from omniforge.runtime.tools.protocol import Tool
from omniforge.runtime.tools.shell import Shell
from omniforge.runtime.tools.web import Web
from omniforge.sandboxes import SandboxProvider


def tool_box(
    settings: Settings,
    integrations: IntegrationService,
    breakers: Breakers | None = None,
    sandbox: SandboxProvider | None = None,
) -> Mapping[str, Tool]:
    """Every tool of this installation by its name; those that run programs only with a sandbox."""
    web = Web(allowed_hosts=settings.fetch_allowed_hosts)
    tools: list[Tool] = [
        *workspace.TOOLS,
        DOCUMENT,
        web.tool(),
        web.page_tool(),
        *(() if sandbox is None else Shell(sandbox).tools()),
        *connected_tools(integrations, breakers),
    ]
    return MappingProxyType({tool.name: tool for tool in tools})
