"""Attacks on the host from inside a sandbox. Each first shows that it runs, then that it was stopped."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omniforge.sandboxes import KilledBy, Limits, SandboxRequest, SandboxResult
from omniforge.sandboxes.providers.local import LocalSandbox

ATTACKS: dict[str, str] = {
    f"{kind}: {name}": body
    for kind, attacks in tomllib.loads(Path(__file__).with_name("attacks.toml").read_text()).items()
    for name, body in attacks.items()
}

PRELUDE = """
import ctypes, glob, json, os, resource, signal, socket, subprocess, sys, time
HOST = json.loads(sys.stdin.read())
libc = ctypes.CDLL(None, use_errno=True)

def number(on_x86_64, on_aarch64):
    return {"x86_64": on_x86_64, "aarch64": on_aarch64}[os.uname().machine]

def syscall(number, *args):
    longs = (ctypes.c_long(value) if isinstance(value, int) else value for value in args)
    result = libc.syscall(ctypes.c_long(number), *longs)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True

def reads(path):
    with open(path, "rb") as file:
        return file.read(64)

def writes(path):
    with open(path, "ab") as file:
        file.write(b"x")
    return True

def any_of(function, arguments):
    won = []
    for argument in arguments:
        try:
            won += [argument] if function(argument) else []
        except Exception:
            pass
    return won

def attack():
"""

FINALE = """
print("alive", flush=True)
try:
    won = attack()
except BaseException as error:
    print("stopped by", type(error).__name__, error)
else:
    print(f"got through: {won}" if won else "stopped")
"""

TOKEN = f"token-of-the-host-{os.getpid()}"
OTHER = "belongs-to-another-sandbox"


@pytest.fixture(scope="module")
def sandbox() -> LocalSandbox:
    return LocalSandbox()


@pytest.fixture(scope="module")
def host() -> Iterator[dict[str, Any]]:
    """What an attacker may know: real things to be stolen or reached, open to every local user."""
    os.environ["OMNIFORGE_TEST_TOKEN"] = TOKEN
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        secret = Path(folder) / "secret"
        secret.write_text("secret")
        Path(folder).chmod(0o777)
        udp.bind(("127.0.0.1", 0))
        unix.bind(f"{folder}/socket")
        Path(f"{folder}/socket").chmod(0o777)
        abstract.bind(f"\0{folder}")
        for listening in (unix, abstract):
            listening.listen()
        device = os.stat("/").st_dev
        yield {
            "folder": folder,
            "secret": str(secret),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": f"{folder}/socket",
            "abstract": folder,
            "pid": os.getpid(),
            "disk": [os.major(device), os.minor(device)],
            "token": TOKEN,
            "other": OTHER,
        }
    del os.environ["OMNIFORGE_TEST_TOKEN"]


@pytest.fixture
def skill(tmp_path: Path) -> Path:
    (tmp_path / "SKILL.md").write_text("---\nname: a\n---\n")
    (tmp_path / "SKILL.md").chmod(0o666)
    return tmp_path


async def attack(
    sandbox: LocalSandbox, body: str, host: dict[str, Any], skill: Path | None = None, **limits: Any
) -> SandboxResult:
    indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return await sandbox.run(
        SandboxRequest(
            argv=["python3", "-c", PRELUDE + indented + FINALE],
            stdin=json.dumps(host).encode(),
            folders={"/skill": skill} if skill else {},
            limits=replace(Limits(wall_seconds=10.0), **limits),
        )
    )


async def test_the_same_program_tells_when_it_gets_through(
    sandbox: LocalSandbox, host: dict[str, Any]
) -> None:
    result = await attack(sandbox, "return any_of(writes, ['/workspace/x', '/no/such/x'])", host)
    assert result.stdout.decode().splitlines() == ["alive", "got through: ['/workspace/x']"]


@pytest.mark.parametrize("name", ATTACKS)
async def test_attack_is_stopped(sandbox: LocalSandbox, host: dict[str, Any], skill: Path, name: str) -> None:
    other = asyncio.create_task(
        sandbox.run(SandboxRequest(argv=["sh", "-c", "cat > mine; sleep 0.2"], stdin=OTHER.encode()))
        if "another" in name
        else asyncio.sleep(0)
    )
    result = await attack(sandbox, ATTACKS[name], host, skill)
    await other
    alive, *ending = result.stdout.decode().splitlines()
    assert alive == "alive", result.stderr
    assert ending, f"it ended with {result.exit_code}: {result.stderr}"
    assert ending[-1].startswith("stopped"), ending
    assert not any(bug in ending[-1] for bug in ("NameError", "TypeError", "AttributeError")), ending
    assert (skill / "SKILL.md").read_text() == "---\nname: a\n---\n"
    assert [path.name for path in skill.iterdir()] == ["SKILL.md"]


async def test_calls_of_another_processor_mode_end_the_program(
    sandbox: LocalSandbox, host: dict[str, Any]
) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("x32 exists on x86_64 only")
    result = await attack(sandbox, "return syscall(0x40000000 | 39)", host)
    assert (result.stdout, result.exit_code) == (b"alive\n", 128 + 31)


async def test_a_fork_bomb_stays_below_its_number_of_processes(
    sandbox: LocalSandbox, host: dict[str, Any]
) -> None:
    body = """
children = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(30)
        children += 1
except OSError:
    print(children, flush=True)
    time.sleep(30)
"""
    result = await attack(sandbox, body, host, wall_seconds=0.7, processes=20)
    alive, children = result.stdout.decode().split()
    assert (alive, result.killed_by) == ("alive", KilledBy.WALL)
    assert 10 <= int(children) < 20


async def test_a_fork_bomb_that_never_stops_ends_with_the_sandbox(
    sandbox: LocalSandbox, host: dict[str, Any]
) -> None:
    body = """
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
    result = await attack(sandbox, body, host, wall_seconds=0.5)
    assert result.stdout.startswith(b"alive")
    assert result.killed_by in {KilledBy.WALL, KilledBy.CPU, KilledBy.MEMORY}


async def test_memory_is_counted_over_all_processes(sandbox: LocalSandbox, host: dict[str, Any]) -> None:
    body = """
for _ in range(8):
    if os.fork() == 0:
        break
kept = bytearray(24 << 20)
for index in range(0, len(kept), 4096):
    kept[index] = 1
time.sleep(30)
"""
    result = await attack(sandbox, body, host, memory_bytes=128 << 20)
    assert (result.stdout, result.killed_by) == (b"alive\n", KilledBy.MEMORY)


async def test_every_writable_place_is_bounded(sandbox: LocalSandbox, host: dict[str, Any]) -> None:
    body = """
sizes = []
for place in ("/workspace", "/tmp", "/dev/shm"):
    written = 0
    try:
        for index in range(100):
            with open(f"{place}/{index}", "wb") as file:
                written += file.write(bytes(1 << 20))
    except OSError:
        pass
    for name in os.listdir(place):
        os.unlink(f"{place}/{name}")
    sizes.append(written >> 20)
print(*sizes)
"""
    result = await attack(sandbox, body, host, workspace_bytes=8 << 20)
    alive, sizes = result.stdout.decode().splitlines()[:2]
    assert alive == "alive"
    assert all(2 <= int(size) <= 16 for size in sizes.split()), sizes


async def test_a_flood_of_empty_files_is_ended(sandbox: LocalSandbox, host: dict[str, Any]) -> None:
    body = """
for index in range(1_000_000):
    open(f"/tmp/{index}", "w").close()
print("got through")
"""
    result = await attack(sandbox, body, host, wall_seconds=20, cpu_seconds=20)
    assert (result.stdout, result.killed_by) == (b"alive\n", KilledBy.DISK)


async def test_a_daemon_does_not_outlive_its_sandbox(sandbox: LocalSandbox, host: dict[str, Any]) -> None:
    mark = f"daemon-{os.getpid()}-{os.urandom(4).hex()}"
    body = f"""
for _ in range(3):
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 300; true", "{mark}"], start_new_session=True,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
    result = await attack(sandbox, body, host)
    assert (result.stdout, result.exit_code, result.killed_by) == (b"alive\nstopped\n", 0, None)
    assert not any(mark.encode() in command for command in command_lines())


async def test_killing_the_launcher_ends_only_this_sandbox(
    sandbox: LocalSandbox, host: dict[str, Any]
) -> None:
    result = await attack(sandbox, "os.kill(os.getppid(), 9); time.sleep(30)", host)
    assert (result.stdout[:5], result.exit_code, result.killed_by) == (b"alive", 137, None)
    assert dict(result.files) == {}
    assert (await attack(sandbox, "return False", host)).stdout == b"alive\nstopped\n"


async def test_a_program_that_writes_its_own_results_harms_nobody(
    sandbox: LocalSandbox, host: dict[str, Any]
) -> None:
    """As root the launcher's pipe is out of its reach, as an ordinary user it is not."""
    body = """
launcher = os.getppid()
os.kill(launcher, signal.SIGSTOP)
try:
    for fd in os.listdir(f"/proc/{launcher}/fd"):
        if int(fd) > 2 and os.readlink(f"/proc/{launcher}/fd/{fd}").startswith("pipe:"):
            os.write(os.open(f"/proc/{launcher}/fd/{fd}", os.O_WRONLY), b'{"exit_code": 0}\\n' + b"x" * 4096)
finally:
    print("tried", flush=True)
    os.kill(launcher, 9)
    time.sleep(10)
"""
    result = await attack(sandbox, body, host)
    assert result.stdout.split() == [b"alive", b"tried"]
    assert dict(result.files) == {}


async def test_a_descriptor_sent_over_the_bridge_changes_nothing(sandbox: LocalSandbox) -> None:
    open_here: list[int] = []

    async def bridge(request: dict[str, Any]) -> dict[str, Any]:
        open_here.append(len(os.listdir("/proc/self/fd")))
        return {"ok": True, "result": request["n"]}

    code = (
        "import socket, os\nbridge = socket.socket(fileno=3)\n"
        "for n in range(30):\n"
        "    memory = os.open('/proc/self/mem', os.O_RDONLY)\n"
        '    socket.send_fds(bridge, [b\'{"id": 1, "n": %d}\\n\' % n], [memory] * 50)\n'
        "    answer = bridge.recv(4096)\n"
        "print(answer.decode())"
    )
    result = await sandbox.run(SandboxRequest(argv=["python3", "-c", code]), bridge)
    assert json.loads(result.stdout) == {"ok": True, "result": 29, "id": 1}, result.stderr
    assert max(open_here) < min(open_here) + 50


def command_lines() -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes()
            except OSError:
                continue
