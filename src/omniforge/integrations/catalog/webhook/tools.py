"""Nothing can be done there: this integration only listens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import httpx

from omniforge.integrations.manifest import Arguments, IntegrationTool

TOOLS: tuple[IntegrationTool, ...] = ()


def samples(
    now: datetime, *, resources: Sequence[Arguments] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """Nobody is asked anything, so there is nothing to answer."""
    return httpx.MockTransport(lambda _: httpx.Response(404))
