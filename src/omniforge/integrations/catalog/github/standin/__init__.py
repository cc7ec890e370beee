"""A local server that speaks GitHub's protocol, for development, tests and sample data.

It holds the repositories of Acme Operations. Point OmniForge at it with OMNIFORGE_GITHUB_BASE_URL and the
client `CLIENT_ID` / `CLIENT_SECRET`; it stands in for github.com and api.github.com alike. Its control side
is described in `integrations/standin`.
"""

from __future__ import annotations

from omniforge.integrations.catalog.github.standin.app import create_app
from omniforge.integrations.catalog.github.standin.state import CLIENT_ID, CLIENT_SECRET, StandinState

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "StandinState", "create_app"]
