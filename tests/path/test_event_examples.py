"""Agents that events start are tried before anything happens: with the latest one, sampled or real."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.path.rehearsing import MAYA, PROJECTS, dry_run, installation, make

from living_server import LocalService
from omniforge.agents.content import ExecutionStatus, FireStatus, TestMode, Verdict
from omniforge.api.app import create_app
from omniforge.bootstrap import Installation
from omniforge.core.config import ServiceSettings
from omniforge.core.errors import Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.integrations.catalog.notion import standin

TELL = """
from sandbox_kit.skill import run
run(lambda request: {"output": request.input["event"], "message": f"About {request.input['event']['id']}."})
"""
BASE = "http://127.0.0.1:8700"


def listener(**config: Any) -> dict[str, Any]:
    given = {"integration": "notion", "event": "row.created", "resource": PROJECTS, "mode": "poll"} | config
    return {
        "name": "Listener",
        "integrations": [given["integration"]],
        "skills": [{"name": "tell", "order": 1}],
        "trigger_type": "event_driven",
        "event_config": given,
    }


@pytest.fixture
async def house(tmp_path: Path, notion: LocalService) -> AsyncIterator[Installation]:
    service = ServiceSettings(
        client_id=standin.CLIENT_ID, client_secret=SecretStr(standin.CLIENT_SECRET), base_url=notion.url
    )
    async with installation(tmp_path / "home", services={"notion": service}) as made:
        await made.integrations.add_key_connection(MAYA, "notion", notion.state.new_key())
        yield made


async def test_a_dry_run_is_given_the_latest_row_of_the_sample_data(house: Installation) -> None:
    agent = await make(house, listener(), {"tell": TELL})
    report = await dry_run(house, agent.id)
    assert report.verdict is Verdict.PASSED
    assert report.output["type"] == "row.created"
    assert report.output["resource"] == PROJECTS
    assert report.output["item"]["title"]
    again = await dry_run(house, agent.id)
    assert again.output == report.output


async def test_the_filter_chooses_among_the_examples(house: Installation) -> None:
    wanted = "event.item.fields.Status == 'At Risk'"
    agent = await make(house, listener(filter=wanted), {"tell": TELL})
    report = await dry_run(house, agent.id)
    assert report.output["item"]["fields"]["Status"] == "At Risk"


async def test_a_preview_is_given_the_latest_row_that_is_really_there(
    house: Installation, notion: LocalService
) -> None:
    agent = await make(house, listener(), {"tell": TELL})
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.PREVIEW)
    report = await house.agents.await_test(MAYA, test_id, 60)
    assert report.output["item"]["id"] in notion.state.workspace.rows


async def test_what_has_no_example_asks_for_one(house: Installation) -> None:
    given = listener(integration="webhook", event="order.paid", mode="push", resource=None)
    agent = await make(house, given, {"tell": TELL})
    with pytest.raises(Invalid) as refused:
        await dry_run(house, agent.id)
    assert refused.value.code == "no_example"
    assert "input_data.event" in refused.value.message


async def test_nobody_listens_to_a_place_that_their_connection_does_not_see(house: Installation) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    agent = await make(house, listener(resource=nowhere), {"tell": TELL})
    report = await dry_run(house, agent.id)
    with pytest.raises(NotFound):
        await house.agents.activate(
            MAYA, agent.id, test_id=report.test_id, manifest_hash=report.manifest_hash
        )
    assert (await house.agents.get(MAYA, agent.id)).status == "draft"


async def test_whatever_speaks_standard_webhooks_starts_an_agent_once(house: Installation) -> None:
    agent = await make(
        house, listener(integration="webhook", event="order.paid", mode="push", resource=None), {"tell": TELL}
    )
    example: dict[str, Any] = {
        "id": "o-0",
        "type": "order.paid",
        "at": "2026-01-01T00:00:00Z",
        "resource": None,
        "item": {},
    }
    test_id = await house.agents.start_test(MAYA, agent.id, TestMode.DRY, {"event": example})
    report = await house.agents.await_test(MAYA, test_id, 60)
    await house.agents.activate(MAYA, agent.id, test_id=report.test_id, manifest_hash=report.manifest_hash)
    hook = await house.agents.deliveries.hooks.rotate(MAYA, agent.id, None)
    body = json.dumps({"type": "order.paid", "data": {"order": 7}}).encode()
    stamp = str(int(datetime.now(UTC).timestamp()))
    signed = hmac.new(_bytes_of(hook.secret), f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    transport = httpx.ASGITransport(create_app(house), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as service:
        answers = [await service.post(hook.url, content=body, headers=headers) for _ in range(2)]
        forged = await service.post(hook.url, content=body + b" ", headers=headers)
    assert [(one.status_code, one.json()["duplicate"]) for one in answers] == [(202, False), (202, True)]
    assert forged.status_code == 401
    fires = (await house.agents.fire_history.list_fires(MAYA, agent.id, Paging())).fires
    assert [fire.status for fire in fires] == [FireStatus.STARTED]
    await house.runs.wait_for(MAYA, str(fires[0].execution_id))
    execution = await house.agents.executions.get(MAYA, str(fires[0].execution_id))
    assert execution.status is ExecutionStatus.COMPLETED


def _bytes_of(secret: str) -> bytes:
    """`whsec_` and base64, as Standard Webhooks has it."""
    return base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
