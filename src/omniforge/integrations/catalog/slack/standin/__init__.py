"""A local server that speaks Slack's protocol, for development, tests and the demo.

It holds the workspace "Acme Operations" (and an empty "Acme Labs"). Point OmniForge at it with
OMNIFORGE_SLACK_BASE_URL and the client `CLIENT_ID` / `CLIENT_SECRET`.
"""

from __future__ import annotations

from omniforge.integrations.catalog.slack.standin.app import create_app
from omniforge.integrations.catalog.slack.standin.state import (
    CLIENT_ID,
    CLIENT_SECRET,
    StandinState,
)

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "StandinState", "create_app"]
