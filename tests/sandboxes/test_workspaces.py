"""What every workspace provider promises, asked of all of them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator

import pytest
from tests.sandboxes.workspace_stage import PROVIDERS, open_provider

from omniforge.core.errors import Invalid
from omniforge.sandboxes.trees import Entry, pack_tree, unpack_tree
from omniforge.sandboxes.workspaces import (
    OUTPUT_KEPT,
    Placed,
    TreeRefused,
    WorkspaceFailed,
    WorkspaceGone,
    WorkspaceOrder,
    WorkspaceProvider,
)


@pytest.fixture(params=PROVIDERS)
async def provider(request: pytest.FixtureRequest) -> AsyncGenerator[WorkspaceProvider]:
    async with open_provider(request.param) as opened:
        yield opened


@pytest.fixture
async def placed(provider: WorkspaceProvider) -> AsyncGenerator[Placed]:
    made = await provider.create(WorkspaceOrder(sandbox_id="sbx-1"))
    yield made
    await provider.destroy(made.ref)


async def test_a_tree_comes_back_as_it_was_given(provider: WorkspaceProvider, placed: Placed) -> None:
    large = bytes(range(256)) * 20_480  # 5 MiB
    given = [
        Entry("README.md", b"# A\n"),
        Entry("bin/run", b"#!/bin/sh\necho ran\n", is_executable=True),
        Entry("empty"),
        Entry("large.bin", large),
        Entry("link", target="bin/run"),
        Entry("odd/ space 'and\" quotes $x", b"1"),
        Entry("odd/-dash", b"2"),
        Entry("odd/.hidden", b"3"),
        Entry("odd/a\nb", b"4"),
        Entry("odd/ünï/日本", b"5"),
        Entry("/".join(["deep" * 10] * 6), b"6"),
    ]
    given.sort(key=lambda entry: entry.path)
    await provider.write_tree(placed.ref, pack_tree(given))
    assert unpack_tree(await provider.read_tree(placed.ref)) == given
    ran = await provider.exec(placed.ref, ["./link"], timeout=20)
    assert (ran.exit_code, ran.output) == (0, b"ran\n")


async def test_writing_a_tree_replaces_all_that_was_there(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    await provider.write_tree(placed.ref, pack_tree([Entry("old/file", b"old"), Entry("kept", b"old")]))
    await provider.exec(
        placed.ref, ["sh", "-c", "mkdir locked && touch locked/x && chmod 0 locked"], timeout=20
    )
    await provider.write_tree(placed.ref, pack_tree([Entry("kept", b"new")]))
    assert unpack_tree(await provider.read_tree(placed.ref)) == [Entry("kept", b"new")]


async def test_what_must_not_leave_a_workspace_stays_there(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    script = (
        "mkdir -p .git sub/.git && touch .git/config sub/.git/config && ln -s /etc/passwd out && "
        "ln -s ../../x sub/up && ln -s .git/config repo && mkfifo pipe && ln -s kept inside && echo 1 > kept"
    )
    assert (await provider.exec(placed.ref, ["sh", "-c", script], timeout=20)).exit_code == 0
    assert unpack_tree(await provider.read_tree(placed.ref)) == [
        Entry("inside", target="kept"),
        Entry("kept", b"1\n"),
    ]


async def test_a_tree_that_is_no_archive_is_refused(provider: WorkspaceProvider, placed: Placed) -> None:
    with pytest.raises(TreeRefused) as raised:
        await provider.write_tree(placed.ref, b"no archive at all" * 100)
    assert raised.value.code == "provider_error"


async def test_a_command_tells_how_it_ended_and_what_it_said(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    done = await provider.exec(placed.ref, ["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=20)
    assert done.exit_code == 3
    assert sorted(done.output.splitlines()) == [b"err", b"out"]
    assert done.output_hash == hashlib.sha256(done.output).hexdigest()
    assert not done.truncated
    assert not done.timed_out
    killed = await provider.exec(placed.ref, ["sh", "-c", "kill -9 $$"], timeout=20)
    assert (killed.exit_code, killed.timed_out) == (137, False)
    missing = await provider.exec(placed.ref, ["no-such-program"], timeout=20)
    assert missing.exit_code == 127
    assert b"no-such-program" in missing.output


async def test_of_much_output_the_first_part_is_kept_and_all_is_hashed(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    done = await provider.exec(placed.ref, ["sh", "-c", f"head -c {3 * OUTPUT_KEPT} /dev/zero"], timeout=20)
    assert done.output == bytes(OUTPUT_KEPT)
    assert done.truncated
    assert done.output_hash == hashlib.sha256(bytes(3 * OUTPUT_KEPT)).hexdigest()


async def test_a_command_ends_at_its_time_with_all_that_it_started(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    script = "(setsid sh -c 'sleep 2; touch /workspace/late' &) ; sleep 30"
    done = await provider.exec(placed.ref, ["sh", "-c", script], timeout=0.5)
    assert done.timed_out
    assert done.exit_code == 137
    assert done.seconds < 15
    left = await provider.exec(placed.ref, ["sh", "-c", "cat /proc/*/cmdline"], timeout=20)
    assert b"late" not in left.output


async def test_a_command_runs_where_it_is_told_with_nothing_but_its_own_environment(
    provider: WorkspaceProvider, placed: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    await provider.write_tree(placed.ref, pack_tree([Entry("a b/c", b"")]))
    done = await provider.exec(
        placed.ref, ["sh", "-c", "pwd; env; ls ~"], cwd="a b", env={"GIVEN": "it's\nhere"}, timeout=20
    )
    lines = done.output.decode().splitlines()
    assert lines[0] == "/workspace/a b"
    assert "GIVEN=it's" in lines
    assert "HOME=/workspace" not in lines
    names = {line.partition("=")[0] for line in lines[1:] if "=" in line}
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
    ours = {"PATH", "HOME", "TMPDIR", "LANG", "USER", "PYTHONDONTWRITEBYTECODE", "PWD", "GIVEN"}
    assert names <= ours | proxies | {"SHLVL", "_"}


@pytest.mark.parametrize("cwd", ["/etc", "..", "a/../../b"])
async def test_a_command_cannot_be_started_outside(
    provider: WorkspaceProvider, placed: Placed, cwd: str
) -> None:
    with pytest.raises(Invalid):
        await provider.exec(placed.ref, ["true"], cwd=cwd, timeout=20)


async def test_a_variable_that_could_be_more_than_one_is_refused_without_being_shown(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    for env in ({"A": "secret\0B=1"}, {"A=B": "secret"}, {"": "secret"}):
        with pytest.raises(Invalid) as raised:
            await provider.start_worker(placed.ref, env)
        assert "secret" not in str(raised.value)


async def test_a_folder_beside_the_workspace_is_read_and_is_no_part_of_it(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    folder = pack_tree([Entry("SKILL.md", b"# S"), Entry("scripts/main.sh", b"echo skill", True)])
    await provider.put_folder(placed.ref, "my-skill", folder)
    done = await provider.exec(
        placed.ref, ["sh", "-c", "/bin/sh /skills/my-skill/scripts/main.sh; ls"], timeout=20
    )
    assert done.output == b"skill\n"
    spoilt = await provider.exec(placed.ref, ["sh", "-c", "echo x > /skills/my-skill/SKILL.md"], timeout=20)
    assert spoilt.exit_code != 0 or provider.name == "daytona"
    with pytest.raises(Invalid):
        await provider.put_folder(placed.ref, "../out", folder)


WORKER = """
import os, subprocess, sys, time
subprocess.Popen(["setsid", "sh", "-c", "while :; do date +%N > /workspace/beat; sleep 0.05; done"],
                 start_new_session=True)
told = [os.getcwd(), os.environ["OMNIFORGE_TOKEN"], os.environ["OMNIFORGE_URL"]]
open("/workspace/seen", "w").write("|".join(told))
time.sleep(60)
"""


async def start_own_worker(provider: WorkspaceProvider, ref: str, program: str = WORKER) -> None:
    """In place of the kit's, as the stage has it."""
    await provider.write_tree(ref, pack_tree([Entry("worker.py", program.encode())]))
    await provider.start_worker(ref, {"OMNIFORGE_TOKEN": "ofs_secret"})


async def until_written(provider: WorkspaceProvider, ref: str, path: str) -> bytes:
    async with asyncio.timeout(20):
        while True:
            done = await provider.exec(ref, ["cat", path], timeout=20)
            if done.exit_code == 0 and done.output:
                return done.output
            await asyncio.sleep(0.05)


async def test_a_worker_lives_until_it_is_stopped_and_then_nothing_of_it_does(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    assert not await provider.worker_alive(placed.ref)
    await start_own_worker(provider, placed.ref)
    folder, token, url = (await until_written(provider, placed.ref, "seen")).decode().split("|")
    assert (folder, token) == ("/kit", "ofs_secret")
    assert url == ("http://omniforge.example" if provider.name == "daytona" else "http://omniforge")
    await until_written(provider, placed.ref, "beat")
    assert await provider.worker_alive(placed.ref)
    with pytest.raises(WorkspaceFailed, match="in use"):
        await provider.write_tree(placed.ref, pack_tree([]))

    await provider.stop_worker(placed.ref)
    assert not await provider.worker_alive(placed.ref)
    first, second = [(await provider.exec(placed.ref, ["cat", "beat"], timeout=20)).output for _ in range(2)]
    left = await provider.exec(placed.ref, ["sh", "-c", "sleep 0.15; cat beat"], timeout=20)
    assert first == second == left.output
    await provider.stop_worker(placed.ref)


async def test_a_worker_that_has_ended_is_seen(provider: WorkspaceProvider, placed: Placed) -> None:
    await start_own_worker(provider, placed.ref, "import os; os.kill(os.getpid(), 9)")
    async with asyncio.timeout(20):
        while await provider.worker_alive(placed.ref):
            await asyncio.sleep(0.02)


async def test_workspaces_are_listed_and_destroyed_as_often_as_one_likes(provider: WorkspaceProvider) -> None:
    made = [await provider.create(WorkspaceOrder(sandbox_id=f"sbx-{number}")) for number in range(3)]
    assert sorted(await provider.list()) == sorted(placed.ref for placed in made)
    again = await provider.create(WorkspaceOrder(sandbox_id="sbx-2"))
    for placed in (*made, again):
        await provider.destroy(placed.ref)
        await provider.destroy(placed.ref)
    assert await provider.list() == []
    gone = made[0].ref
    await provider.stop_worker(gone)
    assert not await provider.worker_alive(gone)
    for attempt in (provider.read_tree(gone), provider.exec(gone, ["true"], timeout=5)):
        with pytest.raises(WorkspaceGone) as raised:
            await attempt
        assert raised.value.code == "provider_error"


async def test_a_provider_that_works_is_healthy(provider: WorkspaceProvider) -> None:
    health = await provider.health()
    assert (health.healthy, health.isolated, health.message) == (True, True, None)


async def test_a_command_that_nobody_waits_for_any_more_ends(
    provider: WorkspaceProvider, placed: Placed
) -> None:
    running = asyncio.create_task(provider.exec(placed.ref, ["sh", "-c", "touch on; sleep 60"], timeout=60))
    await until_written(provider, placed.ref, "/proc/self/stat")
    async with asyncio.timeout(20):
        while (await provider.exec(placed.ref, ["test", "-e", "on"], timeout=20)).exit_code:
            await asyncio.sleep(0.02)
    running.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await running
    left = await provider.exec(placed.ref, ["sh", "-c", "cat /proc/*/cmdline | tr '\\0' ' '"], timeout=20)
    assert b"touch on" not in left.output
    assert time.monotonic() - started < 20
