"""The streams over a real server and real connections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from omniforge.cli.demo import free_port
from omniforge.cli.server import serving
from omniforge.core.config import Settings


async def test_a_stream_and_a_socket_tell_the_same(tmp_path: Path) -> None:
    client: Any = pytest.importorskip("websockets.asyncio.client")
    closed: Any = pytest.importorskip("websockets.exceptions")
    settings = Settings(home=tmp_path / "home", port=free_port())
    async with serving(settings), httpx.AsyncClient(base_url=settings.url, timeout=20) as http:
        made = (await http.post("/api/v1/projects", json={"name": "Shop"})).json()
        asked = f"/events?project_id={made['id']}&event_types=project.*"
        address = f"ws://127.0.0.1:{settings.port}/api/v1/ws"
        async with (
            client.connect(address + asked, additional_headers={}, user_agent_header="test") as live,
            http.stream("GET", f"/api/v1{asked}", headers={"Accept": "text/event-stream"}) as stream,
        ):
            lines = stream.aiter_lines()
            told: list[tuple[str, str]] = []
            for changes in ({}, {"description": "Sells"}):
                if changes:
                    await http.patch(f"/api/v1/projects/{made['id']}", json=changes)
                by_socket = json.loads(await live.recv())
                while not (line := await anext(lines)).startswith("data:"):
                    pass
                assert json.loads(line[5:]) == by_socket
                told.append((by_socket["type"], by_socket["project_id"]))
        assert told == [("project.created", made["id"]), ("project.updated", made["id"])]
        async with client.connect(f"{address}/events?token=of_sk_wrong") as refused:
            with pytest.raises(closed.ConnectionClosed) as ended:
                await refused.recv()
        assert ended.value.rcvd.code == 4401
