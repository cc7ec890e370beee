"""The local provider's own promises: its walls, its way out, and that nothing outlives its process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.sandboxes.fake_http import Asked, FakeHttp, Reply
from tests.sandboxes.workspace_stage import new_place, open_provider, public_folder

from omniforge.core.config import Settings
from omniforge.sandboxes.folders import remove_tree, started_at
from omniforge.sandboxes.protocol import MIB
from omniforge.sandboxes.providers.bare_workspaces import BareWorkspaces
from omniforge.sandboxes.providers.local_workspaces import LocalWorkspaces
from omniforge.sandboxes.trees import Entry, pack_tree, unpack_tree
from omniforge.sandboxes.workspaces import ProviderUnavailable, WorkspaceOrder, open_workspaces

ROOT = {
    "bin",
    "dev",
    "etc",
    "kit",
    "lib",
    "lib64",
    "proc",
    "relay",
    "sbin",
    "skills",
    "tmp",
    "usr",
    "workspace",
}

ASK = """
import json, os, sys, urllib.request
url, token = sys.argv[1:]
headers = {"Authorization": "Bearer " + token} if token else {}
request = urllib.request.Request(url, b'{"a": 1}', headers)
try:
    answer = urllib.request.urlopen(request, timeout=10)
    print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""


@pytest.fixture
async def api() -> AsyncGenerator[tuple[str, FakeHttp]]:
    """What stands for OmniForge: tells what it was asked."""

    async def handle(asked: Asked) -> Reply:
        return Reply(body={"path": asked.path, "body": asked.body.decode(), "host": asked.headers["host"]})

    server = FakeHttp(handle)
    yield await server.start(), server
    await server.close()


async def say(provider: LocalWorkspaces, ref: str, script: str, *, timeout: float = 20) -> str:
    done = await provider.exec(ref, ["sh", "-c", script], timeout=timeout)
    return done.output.decode("utf-8", "replace")


async def test_nothing_of_this_computer_is_seen() -> None:
    async with open_provider("local") as provider:
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        assert isinstance(provider, LocalWorkspaces)
        inside = set((await say(provider, placed.ref, "ls /")).split())
        assert inside <= ROOT
        assert (await say(provider, placed.ref, "cat /etc/passwd")).startswith("worker:")
        assert "root:" not in await say(provider, placed.ref, "cat /etc/passwd /etc/shadow")
        pids = (await say(provider, placed.ref, "ls -d /proc/[0-9]*")).split()
        assert len(pids) < 10
        for place in ("/", "/usr", "/etc", "/kit", "/kit/sandbox_kit", "/skills", "/relay"):
            assert "refused" in await say(
                provider, placed.ref, f"touch {place}/x 2>/dev/null || echo refused"
            )


async def test_there_is_no_network_but_the_relay_and_that_leads_to_omniforge_only(
    api: tuple[str, FakeHttp],
) -> None:
    url, server = api
    port = url.rpartition(":")[2]
    async with open_provider("local", api_url=url) as provider:
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        direct = await provider.exec(placed.ref, ["python3", "-c", connect], timeout=20)
        assert direct.exit_code == 1
        assert b"refused" in direct.output

        async def ask(address: str, token: str = "ofs_x") -> str:
            done = await provider.exec(placed.ref, ["python3", "-c", ASK, address, token], timeout=20)
            return done.output.decode().strip()

        host = url.removeprefix("http://")
        for address in ("http://omniforge/api/v1/sandbox/task", f"{url}/api/v1/sandbox/task"):
            # Programs do not send what is local to a proxy unless it has a name of its own.
            answer = await ask(address)
            if address.startswith("http://omniforge"):
                assert answer.startswith("200 ")
                assert f'"host": "{host}"' in answer
                assert '"path": "/api/v1/sandbox/task"' in answer
        assert (await ask("http://omniforge/api/v1/agents", "")).startswith("401 ")
        assert (await ask("http://omniforge/api/v1/agents", "of_sk_x")).startswith("401 ")
        assert (await ask("http://example.com/")).startswith("403 ")
        assert len(server.requests) == 1


async def test_with_a_full_network_private_addresses_are_still_refused() -> None:
    async with open_provider("local") as provider:
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1", network="full"))
        for host in ("10.0.0.1", "169.254.169.254", "127.0.0.2", "[::1]", "printer.local"):
            done = await provider.exec(
                placed.ref, ["python3", "-c", ASK, f"http://{host}:80/", ""], timeout=20
            )
            assert done.output.startswith(b"403 "), host


async def test_programs_inside_talk_to_each_other() -> None:
    async with open_provider("local") as provider:
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        code = (
            "import http.server, threading, urllib.request\n"
            "server = http.server.HTTPServer(('localhost', 8000), http.server.SimpleHTTPRequestHandler)\n"
            "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
            "print(urllib.request.urlopen('http://localhost:8000/', timeout=5).status)\n"
        )
        done = await provider.exec(placed.ref, ["python3", "-c", code], timeout=20)
        assert done.output.splitlines()[-1] == b"200"


async def test_a_token_is_in_no_list_of_processes_and_in_no_other_process_inside() -> None:
    async with open_provider("local") as provider:
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        worker = (
            "import os, subprocess\ndel os.environ['OMNIFORGE_TOKEN']\n"
            "found = subprocess.run(['sh', '-c', 'cat /proc/[0-9]*/cmdline; for p in /proc/[0-9]*; do "
            "[ $p = /proc/$PPID ] || cat $p/environ; done'], capture_output=True).stdout\n"
            "open('/workspace/found', 'wb').write(found + b'|'); import time; time.sleep(60)\n"
        )
        await provider.write_tree(placed.ref, pack_tree([Entry("worker.py", worker.encode())]))
        await provider.start_worker(placed.ref, {"OMNIFORGE_TOKEN": "ofs_very_secret"})
        outside = b"".join(
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
        )
        assert b"ofs_very_secret" not in outside
        async with asyncio.timeout(20):
            while not (
                found := await provider.exec(placed.ref, ["cat", "found"], timeout=20)
            ).output.endswith(b"|"):
                await asyncio.sleep(0.02)
        assert b"ofs_very_secret" not in found.output
        assert b"bwrap" in found.output


async def test_too_much_memory_ends_a_command_and_it_is_told_why() -> None:
    async with open_provider("local") as provider:
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1", memory_bytes=96 * MIB))
        bomb = "import time; x = bytearray(150 << 20); time.sleep(20)"
        done = await provider.exec(placed.ref, ["python3", "-c", bomb], timeout=20)
        assert (done.exit_code, done.timed_out) == (137, False)
        assert b"used more than 96 MB of memory" in done.output


async def test_processes_are_limited() -> None:
    async with open_provider("local") as provider:
        placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1", processes=20))
        done = await provider.exec(
            placed.ref, ["sh", "-c", "for i in $(seq 40); do sleep 5 & done; echo all"], timeout=20
        )
        assert b"all" not in done.output or b"fork" in done.output.lower()


HOST = """
import asyncio, sys
from pathlib import Path
from omniforge.sandboxes.providers.local_workspaces import LocalWorkspaces
from omniforge.sandboxes.trees import Entry, pack_tree
from omniforge.sandboxes.workspaces import WorkspaceOrder
from tests.sandboxes.workspace_stage import new_place

async def main():
    provider = LocalWorkspaces(new_place(Path(sys.argv[1])))
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-orphan"))
    program = "import subprocess, time; subprocess.Popen(['setsid', 'sleep', '4712']); time.sleep(4712)"
    await provider.write_tree(placed.ref, pack_tree([Entry("worker.py", program.encode())]))
    await provider.start_worker(placed.ref, {})
    while (await provider.exec(placed.ref, ["true"], timeout=20)).exit_code:
        pass
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_killed_host_leaves_a_folder_that_the_next_one_finds_and_nothing_that_runs() -> None:
    async with public_folder() as home:
        root = Path(__file__).resolve().parents[2]
        host = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOST, str(home), cwd=root, stdout=subprocess.PIPE
        )
        assert host.stdout is not None
        assert await host.stdout.readline() == b"up\n"
        other = LocalWorkspaces(new_place(home))
        assert await other.list() == ["sbx-orphan"]
        assert await other.worker_alive("sbx-orphan")
        (trace,) = [
            path for path in home.glob("workspaces/sbx-orphan/boxes/*") if "worker" in path.read_text()
        ]
        pid = int(trace.name)
        host.send_signal(signal.SIGKILL)
        await host.wait()
        async with asyncio.timeout(20):
            while started_at(pid) is not None:
                await asyncio.sleep(0.01)
        assert not await other.worker_alive("sbx-orphan")
        assert {path.name for path in unpacked(await other.read_tree("sbx-orphan"))} == {"worker.py"}
        await other.destroy("sbx-orphan")
        assert await other.list() == []
        assert [path.name for path in (home / "workspaces").iterdir()] == [".etc"]
        await other.close()


def unpacked(tree: bytes) -> list[Path]:
    return [Path(entry.path) for entry in unpack_tree(tree)]


async def test_another_process_of_ours_stops_a_worker() -> None:
    async with public_folder() as home:
        one, other = LocalWorkspaces(new_place(home)), LocalWorkspaces(new_place(home))
        placed = await one.create(WorkspaceOrder(sandbox_id="sbx-1"))
        await one.write_tree(placed.ref, pack_tree([Entry("worker.py", b"import time; time.sleep(60)")]))
        await one.start_worker(placed.ref, {})
        assert await other.worker_alive(placed.ref)
        await other.stop_worker(placed.ref)
        assert not await one.worker_alive(placed.ref)
        await one.start_worker(placed.ref, {})
        assert await one.worker_alive(placed.ref)
        await one.close()
        assert not await other.worker_alive(placed.ref)
        await other.destroy(placed.ref)


async def test_without_bubblewrap_nothing_is_made_and_the_message_says_what_to_install() -> None:
    async with open_provider("local", bubblewrap=Path("/nowhere/bwrap")) as provider:
        with pytest.raises(ProviderUnavailable) as raised:
            await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
        assert (raised.value.status, raised.value.code) == (503, "provider_unavailable")
        assert "apt-get install bubblewrap" in raised.value.message
        health = await provider.health()
        assert (health.healthy, health.isolated, health.message) == (False, True, raised.value.message)


async def test_a_bubblewrap_that_lets_something_through_is_not_used() -> None:
    async with public_folder() as folder:
        bwrap = folder / "bwrap"
        bwrap.write_text(
            "#!/usr/bin/python3\nimport os, sys\na = sys.argv[1:]\na.insert(a.index('--'), '--share-net')\n"
            "os.execv('/usr/bin/bwrap', ['/usr/bin/bwrap', *a])\n"
        )
        bwrap.chmod(0o755)
        async with open_provider("local", bubblewrap=bwrap) as provider:
            with pytest.raises(ProviderUnavailable, match="network"):
                await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
            assert await provider.list() == []


async def test_without_walls_only_when_the_settings_say_so_and_health_shows_it(tmp_path: Path) -> None:
    walled = open_workspaces(Settings(home=tmp_path))
    assert isinstance(walled["local"], LocalWorkspaces)
    bare = open_workspaces(Settings(home=tmp_path, sandbox_unisolated=True))
    provider = bare["local"]
    assert isinstance(provider, BareWorkspaces)
    assert provider.name == "local"
    health = await provider.health()
    assert (health.healthy, health.isolated) == (True, False)
    await walled.close()
    await bare.close()


def test_all_providers_can_be_asked_and_those_that_are_set_up_are_gone_through(tmp_path: Path) -> None:
    little = open_workspaces(Settings(home=tmp_path, docker_host="unix:///nowhere", daytona_api_key=None))
    assert list(little) == ["local"]
    assert "docker" in little
    assert "podman" not in little
    key = SecretStr("dtn_x")
    everything = open_workspaces(
        Settings(home=tmp_path, docker_host="tcp://10.0.0.1:2375", daytona_api_key=key)
    )
    assert list(everything) == ["local", "docker", "daytona"]


async def test_without_walls_a_command_still_ends_with_all_that_it_started(tmp_path: Path) -> None:
    provider = BareWorkspaces(new_place(tmp_path, worker=("sleep", "4713")))
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
    await provider.write_tree(placed.ref, pack_tree([Entry("a/b", b"text")]))
    done = await provider.exec(placed.ref, ["cat", "b"], cwd="a", timeout=20)
    assert (done.exit_code, done.output) == (0, b"text")
    done = await provider.exec(placed.ref, ["sh", "-c", "setsid sleep 4714 & sleep 30"], timeout=0.3)
    assert done.timed_out
    commands = {path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()}
    assert b"sleep\x004714\x00" not in commands
    await provider.start_worker(placed.ref, {})
    assert await provider.worker_alive(placed.ref)
    await provider.stop_worker(placed.ref)
    assert not await provider.worker_alive(placed.ref)
    await provider.destroy(placed.ref)
    assert await provider.list() == []


async def test_a_home_that_others_cannot_enter_is_no_hindrance(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs sandboxes as somebody else")
    tmp_path.chmod(0o700)
    provider = LocalWorkspaces(new_place(tmp_path))
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
    assert (await provider.exec(placed.ref, ["true"], timeout=20)).exit_code == 0
    await provider.destroy(placed.ref)
    await provider.close()


async def test_nothing_but_workspaces_is_ever_touched_when_they_are_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "folder").chmod(0o751)
    remove_tree(outside / "missing")
    tree = tmp_path / "tree"
    (tree / "locked" / "deep").mkdir(parents=True)
    (tree / "locked").chmod(0)
    (tree / "link").symlink_to(outside / "folder")
    (tmp_path / "way").symlink_to(outside)
    remove_tree(tmp_path / "way")
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "folder").stat().st_mode & 0o777 == 0o751


async def test_asking_and_closing_leave_no_folder_behind(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    before = Path(tempfile.gettempdir()).stat().st_mode
    provider = LocalWorkspaces(new_place(tmp_path))
    assert await provider.list() == []
    await provider.close()
    placed = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
    await provider.destroy(placed.ref)
    root = provider._folders.root  # pyright: ignore[reportPrivateUsage]
    await provider.close()
    assert root.exists() == (root.parent == tmp_path)
    assert Path(tempfile.gettempdir()).stat().st_mode == before
