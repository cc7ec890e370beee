"""Docker's own part: what a container is asked to be, its way out, and what is said when something fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from tests.sandboxes.fake_docker import FakeDocker
from tests.sandboxes.fake_http import Asked, FakeHttp, Reply
from tests.sandboxes.workspace_stage import new_place, open_docker, public_folder

from omniforge.sandboxes.docker_engine import demultiplex
from omniforge.sandboxes.protocol import MIB
from omniforge.sandboxes.providers.docker_workspaces import DockerWorkspaces
from omniforge.sandboxes.trees import Entry, pack_tree
from omniforge.sandboxes.workspaces import ProviderUnavailable, WorkspaceFailed, WorkspaceOrder

ASK = (
    "import urllib.request as u\n"
    "r = u.Request('http://omniforge/api', bytes(300_000), {'Authorization': 'Bearer ofs_x'})\n"
    "print(u.urlopen(r, timeout=10).read().decode())\n"
)


@pytest.fixture
async def api() -> AsyncGenerator[str]:
    async def handle(asked: Asked) -> Reply:
        return Reply(content=f"{asked.path} {len(asked.body)}".encode() + bytes(200_000))

    server = FakeHttp(handle)
    yield await server.start()
    await server.close()


@pytest.fixture
async def docker(api: str) -> AsyncGenerator[tuple[DockerWorkspaces, FakeDocker]]:
    async with public_folder() as folder, open_docker(folder, api_url=api) as opened:
        yield opened


async def test_a_container_has_limits_and_nothing_it_could_break_out_with(
    docker: tuple[DockerWorkspaces, FakeDocker],
) -> None:
    provider, fake = docker
    order = WorkspaceOrder(sandbox_id="sbx-1", memory_bytes=512 * MIB, cpus=1.5, processes=99)
    placed = await provider.create(order)
    config = fake.containers[placed.ref].config
    host = config["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (
        512 * MIB,
        512 * MIB,
        1_500_000_000,
        99,
    )
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Privileged"] is False
    assert host["NetworkMode"] == "none"
    assert not {"Binds", "Mounts", "Devices", "VolumesFrom", "PidMode", "UsernsMode"} & set(host)
    assert config["User"] == "1000:1000"
    assert config["Labels"] == {
        "omniforge.installation": "this-installation",
        "omniforge.sandbox": "sbx-1",
        "omniforge.network": "none",
    }
    assert placed.image.startswith("python:3.12-slim@sha256:")


async def test_containers_of_other_installations_are_not_listed(
    docker: tuple[DockerWorkspaces, FakeDocker],
) -> None:
    provider, fake = docker
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
    other = await provider.create(WorkspaceOrder(sandbox_id="sbx-2"))
    fake.containers[other.ref].config["Labels"]["omniforge.installation"] = "another"
    assert await provider.list() == [placed.ref]


async def test_omniforge_is_reached_through_the_daemon_and_nothing_else_is(
    docker: tuple[DockerWorkspaces, FakeDocker], api: str
) -> None:
    provider, _ = docker
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
    many = [provider.exec(placed.ref, ["python3", "-c", ASK], timeout=20) for _ in range(3)]
    for done in await asyncio.gather(*many):
        assert done.output.startswith(b"/api 300000")
        assert len(done.output) > 200_000
    port = api.rpartition(":")[2]
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
    assert (await provider.exec(placed.ref, ["python3", "-c", code], timeout=20)).exit_code == 1
    refused = ASK.replace("http://omniforge/api", "http://example.com/")
    done = await provider.exec(placed.ref, ["python3", "-c", refused], timeout=20)
    assert b"HTTP Error 403" in done.output


async def test_another_process_of_ours_takes_over_the_way_out(
    docker: tuple[DockerWorkspaces, FakeDocker], api: str
) -> None:
    provider, fake = docker
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
    worker = "import time; time.sleep(60)"
    await provider.write_tree(placed.ref, pack_tree([Entry("worker.py", worker.encode())]))
    await provider.start_worker(placed.ref, {})
    other = DockerWorkspaces(new_place(Path("/nowhere"), api_url=api, docker_host=fake.host))
    assert await other.worker_alive(placed.ref)
    await provider.close()
    async with asyncio.timeout(20):
        while True:
            assert await other.worker_alive(placed.ref)
            done = await other.exec(placed.ref, ["python3", "-c", ASK], timeout=20)
            if done.output.startswith(b"/api 300000"):
                break
    await other.stop_worker(placed.ref)
    assert not await other.worker_alive(placed.ref)
    await other.close()
    assert len(fake.containers) == 1


async def test_an_image_that_is_missing_is_fetched(docker: tuple[DockerWorkspaces, FakeDocker]) -> None:
    provider, fake = docker
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1", image="node:22"))
    assert placed.image.startswith("node:22@sha256:")
    with pytest.raises(WorkspaceFailed, match="pull access denied for nobody/none:latest") as raised:
        await provider.create(WorkspaceOrder(sandbox_id="sbx-2", image="nobody/none"))
    assert raised.value.code == "provider_error"
    assert len(fake.containers) == 1


async def test_a_daemon_that_is_away_is_one_plain_sentence() -> None:
    async with public_folder() as folder, open_docker(folder) as (provider, fake):
        await fake.http.close()
        (folder / "docker.sock").unlink(missing_ok=True)
        with pytest.raises(ProviderUnavailable, match="Docker does not answer at unix:///") as raised:
            await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        assert raised.value.status == 503
        health = await provider.health()
        assert (health.healthy, health.message) == (False, raised.value.message)


async def test_an_error_of_the_daemon_never_shows_a_secret() -> None:
    async def handle(asked: Asked) -> Reply:
        if asked.path == "/_ping":
            return Reply(content=b"OK", headers={"Api-Version": "1.47"})
        if asked.path.endswith("/json"):
            told: dict[str, Any] = {"State": {"Running": True}, "ExecIDs": None, "Config": {"Labels": {}}}
            return Reply(body=told)
        env = json.loads(asked.body)["Env"]
        return Reply(500, {"message": f"invalid environment: {env}"})

    server = FakeHttp(handle)
    async with public_folder() as folder:
        failing = DockerWorkspaces(new_place(folder, docker_host=await server.start()))
        with pytest.raises(WorkspaceFailed) as raised:
            await failing.exec("a" * 64, ["true"], env={"TOKEN": "ofs_very_secret"}, timeout=5)
        assert "ofs_very_secret" not in str(raised.value)
        assert raised.value.retryable
        await failing.close()
    await server.close()


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
async def test_frames_are_read_however_they_are_cut(size: int) -> None:
    frames = b"".join(
        bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text
        for stream, text in ((1, b"out"), (2, b""), (2, b"error"), (1, bytes(50)))
    )

    async def chunks() -> AsyncGenerator[bytes]:
        for start in range(0, len(frames), size):
            yield frames[start : start + size]

    assert b"".join([piece async for piece in demultiplex(chunks())]) == b"outerror" + bytes(50)
