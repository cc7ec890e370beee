"""The local provider: what it refuses to run without, and that it runs for root and for anybody."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from omniforge.sandboxes import KilledBy, Limits, SandboxRequest, SandboxUnavailable
from omniforge.sandboxes.providers.local import LocalSandbox

SOURCES = Path(__file__).resolve().parents[2] / "src" / "omniforge"
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_without_bubblewrap_nothing_runs_and_the_message_says_what_to_install(tmp_path: Path) -> None:
    sandbox = LocalSandbox(bwrap=tmp_path / "bwrap")
    done = tmp_path / "done"
    for attempt in (sandbox.check(), sandbox.run(SandboxRequest(argv=["touch", str(done)]))):
        with pytest.raises(SandboxUnavailable) as raised:
            await attempt
        assert raised.value.code == "sandbox_unavailable"
        assert raised.value.status == 503
        assert "bubblewrap is not installed: apt-get install bubblewrap." in raised.value.message
        assert "steps that run code are refused" in raised.value.message
    assert not done.exists()


async def test_without_the_system_python_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="apt-get install python3"):
        await LocalSandbox(python=tmp_path / "python3").check()


async def test_a_bubblewrap_that_fails_is_quoted(public: Path) -> None:
    bwrap = write_program(
        public, "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n"
    )
    with pytest.raises(SandboxUnavailable, match="setting up uid map: Permission denied"):
        await LocalSandbox(bwrap=bwrap).check()


WEAKENINGS = {
    "no system call filter": ("i = a.index('--seccomp'); del a[i:i + 2]", "there is no network"),
    "the host's network": ("a.insert(a.index('--'), '--share-net')", "there is no network"),
    "a writable root": ("i = a.index('/', a.index('/dev/shm')); del a[i - 1:i + 1]", "read-only"),
    "no size": ("a[:] = [x for n, x in enumerate(a) if '--size' not in (x, a[n - 1])]", "small"),
    "the host's accounts": ("a[a.index('--remount-ro'):0] = ['--ro-bind', '/etc', '/etc']", "out of sight"),
    "further users": (
        "a.remove('--disable-userns'); i = a.index('--seccomp'); del a[i:i + 2]",
        "user namespace",
    ),
    "a fuller environment": (
        "i = a.index('--clearenv'); a[i + 1:i + 1] = ['--setenv', 'TOKEN', 'x']",
        "environment",
    ),
}


@pytest.mark.parametrize("name", WEAKENINGS)
async def test_the_canary_notices_a_wall_that_is_missing(public: Path, name: str) -> None:
    edit, complaint = WEAKENINGS[name]
    bwrap = write_program(
        public,
        f"#!{SYSTEM_PYTHON}\nimport os, sys\na = sys.argv[1:]\n{edit}\n"
        "os.execv('/usr/bin/bwrap', ['/usr/bin/bwrap', *a])\n",
    )
    sandbox = LocalSandbox(bwrap=bwrap)
    with pytest.raises(SandboxUnavailable, match=complaint):
        await sandbox.run(SandboxRequest(argv=["true"]))


async def test_the_canary_runs_once_per_provider(public: Path) -> None:
    bwrap = write_program(public, f'#!/bin/sh\necho started >> {public}/log\nexec /usr/bin/bwrap "$@"\n')
    (public / "log").touch()
    (public / "log").chmod(0o666)
    sandbox = LocalSandbox(bwrap=bwrap)
    for _ in range(3):
        await sandbox.run(SandboxRequest(argv=["true"]))
    assert (public / "log").read_text().count("started") == 4


async def test_a_place_the_sandbox_cannot_enter_is_a_clear_error(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs sandboxes as somebody else")
    tmp_path.chmod(0o700)
    with pytest.raises(SandboxUnavailable, match="Permission denied"):
        await LocalSandbox(places=tmp_path).check()


async def test_a_root_server_runs_every_program_as_a_uid_of_its_own(public: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs sandboxes as somebody else")
    sandbox = LocalSandbox()
    uids: list[int] = []

    async def bridge(_: dict[str, object]) -> dict[str, object]:
        uids.extend(
            path.stat().st_uid
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if b"own-uid-mark" in path.read_bytes()
        )
        return {"ok": True}

    code = "own_uid = 'own-uid-mark'; from sandbox_kit.skill import call; call('look')"
    for _ in range(2):
        await sandbox.run(SandboxRequest(argv=["python3", "-c", code]), bridge)
    assert 0 not in uids
    assert len(set(uids)) == 2


async def test_nothing_is_left_on_the_disk_whenever_it_is_cancelled(public: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    sandbox = LocalSandbox(places=public)
    await sandbox.check()
    for moment in range(15):
        running = asyncio.create_task(
            sandbox.run(SandboxRequest(argv=["sleep", "60"], folders={"/skill": tmp_path}))
        )
        await asyncio.sleep(moment * 0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await sandbox.run(SandboxRequest(argv=["true"], limits=Limits(wall_seconds=5)))
    (kit,) = public.iterdir()
    assert kit.name.startswith("omniforge-kit-")
    del sandbox, running
    gc.collect()
    assert list(public.iterdir()) == []


def test_an_ordinary_user_gets_the_same_sandbox(public: Path) -> None:
    """Its own interpreter, because another user may not enter the one that runs the tests."""
    if os.geteuid() != 0:
        pytest.skip("every other test shows it already")
    version = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"],
        capture_output=True,
        check=True,
    )
    if version.stdout != b"True\n":
        pytest.skip("the system's Python is older than OmniForge needs")
    for part in ("core", "sandboxes"):
        shutil.copytree(
            SOURCES / part, public / "omniforge" / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(SOURCES / "__init__.py", public / "omniforge")
    shutil.copytree(str(resources.files("sandbox_kit")), public / "sandbox_kit")
    skill = public / "skill"
    skill.mkdir()
    (skill / "main.py").write_text("from sandbox_kit.skill import call\nopen('left', 'w').write(call('x'))\n")
    subprocess.run(["chmod", "-R", "a+rX", public], check=True)
    ended = subprocess.run(
        [SYSTEM_PYTHON, "-B", "-c", AS_ORDINARY_USER, str(skill)],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        env={"PYTHONPATH": str(public)},
        cwd="/",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.stdout.decode().splitlines() == [
        f"{NOBODY} 0 {{'left': b'over the bridge'}}",
        f"{KilledBy.WALL} {KilledBy.MEMORY} {KilledBy.DISK}",
        "left behind: []",
    ], ended.stderr.decode()


AS_ORDINARY_USER = """
import asyncio, os, pathlib, subprocess, sys
from omniforge.sandboxes import Limits, SandboxRequest, open_provider

async def bridge(request):
    return {"ok": True, "result": "over the bridge"}

async def main():
    sandbox = open_provider("local")
    skill = {"/skill": pathlib.Path(sys.argv[1])}
    result = await sandbox.run(SandboxRequest(argv=["python3", "/skill/main.py"], folders=skill), bridge)
    print(os.getuid(), result.exit_code, dict(result.files))
    slow = await sandbox.run(SandboxRequest(argv=["sleep", "30"], limits=Limits(wall_seconds=0.2)))
    bomb = "x = []\\nwhile True: x.append(bytearray(1 << 20))"
    large = await sandbox.run(
        SandboxRequest(argv=["python3", "-c", bomb], limits=Limits(memory_bytes=96 << 20))
    )
    flood = "for n in range(1000000): open(f'/tmp/{n}', 'w').close()"
    many = await sandbox.run(SandboxRequest(argv=["python3", "-c", flood]))
    print(slow.killed_by, large.killed_by, many.killed_by)
    running = asyncio.create_task(sandbox.run(SandboxRequest(argv=["sleep", "4711"])))
    await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.wait({running})
    commands = {path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")}
    print("left behind:", [command for command in commands if command == b"sleep\\x004711\\x00"])

asyncio.run(main())
"""


def write_program(folder: Path, text: str) -> Path:
    path = folder / "bwrap"
    path.write_text(text)
    path.chmod(0o755)
    return path
