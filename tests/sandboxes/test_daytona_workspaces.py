"""Daytona's own part: what a sandbox is asked to be, and what is said when something fails."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import SecretStr
from tests.sandboxes.fake_daytona import KEY
from tests.sandboxes.workspace_stage import open_daytona, public_folder

from omniforge.sandboxes.trees import Entry, pack_tree
from omniforge.sandboxes.workspaces import ProviderUnavailable, WorkspaceFailed, WorkspaceOrder

WITH_REGISTRIES = "omniforge.example,packages.example"


@pytest.mark.parametrize(
    ("api_url", "given", "expected"),
    [
        ("https://omniforge.example", {}, {"domainAllowList": "omniforge.example"}),
        ("https://omniforge.example", {"network": "allowlist"}, {"domainAllowList": WITH_REGISTRIES}),
        ("https://omniforge.example", {"network": "full"}, {}),
        ("https://8.8.8.8", {}, {"networkAllowList": "8.8.8.8/32"}),
        ("http://127.0.0.1:8700", {"kind": "check"}, {"networkBlockAll": True}),
    ],
)
async def test_daytona_is_told_what_may_be_reached(
    api_url: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    async with public_folder() as folder, open_daytona(folder, api_url=api_url) as (provider, fake):
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1", image="ours", **given))
        asked = fake.sandboxes[placed.ref].asked
        about_network = {name for name in asked if name.startswith(("network", "domain"))}
        assert {name: asked[name] for name in about_network} == expected
        assert asked["name"] == "omniforge-sbx-1"
        assert asked["labels"]["omniforge-installation"] == "this-installation"
        assert asked["autoStopInterval"] == 0
        assert asked["public"] is False
        assert placed.image == asked["snapshot"] == "ours"


async def test_an_omniforge_that_daytona_cannot_reach_is_said_before_anything_is_made() -> None:
    async with (
        public_folder() as folder,
        open_daytona(folder, api_url="http://127.0.0.1:8700") as (provider, fake),
    ):
        with pytest.raises(ProviderUnavailable, match="OMNIFORGE_PUBLIC_URL"):
            await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        assert fake.sandboxes == {}


@pytest.mark.parametrize(
    ("key", "said"), [(None, "put an API key"), (SecretStr("dtn_wrong_key"), "refuses to")]
)
async def test_a_key_that_is_missing_or_wrong_is_one_plain_sentence(key: SecretStr | None, said: str) -> None:
    async with public_folder() as folder, open_daytona(folder, daytona_key=key) as (provider, fake):
        with pytest.raises(ProviderUnavailable, match=said) as raised:
            await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        assert raised.value.status == 503
        assert "dtn_" not in raised.value.message
        health = await provider.health()
        assert not health.healthy
        assert fake.sandboxes == {}


async def test_a_sandbox_that_breaks_while_starting_is_removed_and_told() -> None:
    async with public_folder() as folder, open_daytona(folder) as (provider, fake):
        fake.breaks = True
        with pytest.raises(WorkspaceFailed, match="No available runners") as raised:
            await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        assert raised.value.code == "provider_error"
        assert fake.sandboxes == {}


async def test_no_secret_stands_in_a_command_that_daytona_keeps() -> None:
    async with public_folder() as folder, open_daytona(folder) as (provider, fake):
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        await provider.write_tree(placed.ref, pack_tree([Entry("worker.py", b"import time; time.sleep(60)")]))
        await provider.start_worker(placed.ref, {"OMNIFORGE_TOKEN": "ofs_very_secret"})
        done = await provider.exec(
            placed.ref, ["sh", "-c", "echo $A; ls /tmp"], env={"A": "hidden_value"}, timeout=20
        )
        assert done.output.startswith(b"hidden_value\n")
        assert not re.search(rb"omniforge-\w+\.json$", done.output, re.MULTILINE)
        sent = [asked for asked in fake.http.requests if "process" in asked.parts]
        assert sent
        for asked in sent:
            assert b"ofs_very_secret" not in asked.body
            assert b"hidden_value" not in asked.body
            assert KEY.encode() not in asked.body
