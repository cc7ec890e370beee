"""A local server that speaks Notion's protocol, for development, tests and the demo.

It holds the workspace "Acme Operations". Point OmniForge at it with OMNIFORGE_NOTION_BASE_URL and the
client `CLIENT_ID` / `CLIENT_SECRET`. POST /_control switches faults on, GET /_control/requests tells what
arrived.
"""

from __future__ import annotations

import uvicorn

from omniforge.integrations.catalog.notion.standin.app import create_app
from omniforge.integrations.catalog.notion.standin.state import (
    CLIENT_ID,
    CLIENT_SECRET,
    Fault,
    FaultKind,
    StandinState,
)

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "Fault", "FaultKind", "StandinState", "create_app", "run"]


def run(
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    rate_per_second: float | None = 3.0,
    token_seconds: int | None = None,
) -> None:
    """Serve until stopped."""
    state = StandinState(rate_per_second=rate_per_second, token_seconds=token_seconds)
    uvicorn.run(create_app(state), host=host, port=port, log_level="warning")
