"""A local server that speaks Notion's protocol, for development, tests and the demo.

It holds the workspace "Acme Operations". Point OmniForge at it with OMNIFORGE_NOTION_BASE_URL and the
client `CLIENT_ID` / `CLIENT_SECRET`. POST /_control switches faults on, GET /_control/requests tells what
arrived.
"""

from __future__ import annotations

from omniforge.integrations.catalog.notion.standin.app import create_app
from omniforge.integrations.catalog.notion.standin.state import CLIENT_ID, CLIENT_SECRET, StandinState
from omniforge.integrations.standin import Fault, FaultKind

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "Fault", "FaultKind", "StandinState", "create_app"]
