"""What every sandbox provider promises, whatever it is made of."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from omniforge.core.errors import Conflict, Invalid
from omniforge.sandboxes import (
    PROVIDERS,
    InterpreterMissing,
    KilledBy,
    Limits,
    SandboxProvider,
    SandboxRequest,
    open_provider,
)

ALIVE = "alive"


@pytest.fixture(scope="module", params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest) -> SandboxProvider:
    return open_provider(request.param)


def python(code: str, **given: Any) -> SandboxRequest:
    return SandboxRequest(argv=["python3", "-c", code], **given)


async def test_the_walls_hold_here(provider: SandboxProvider) -> None:
    await provider.check()


async def test_a_program_gets_its_arguments_and_stdin_and_answers(provider: SandboxProvider) -> None:
    result = await provider.run(
        SandboxRequest(argv=["sh", "-c", 'cat; echo "$1" >&2; exit 3', "sh", "ä b"], stdin=b"in")
    )
    assert (result.stdout, result.stderr.decode(), result.exit_code) == (b"in", "ä b\n", 3)
    assert (result.killed_by, result.truncated, dict(result.files)) == (None, False, {})


async def test_a_large_stdin_arrives_whole(provider: SandboxProvider) -> None:
    result = await provider.run(
        python("import sys; print(len(sys.stdin.buffer.read()))", stdin=b"x" * 3_000_000)
    )
    assert result.stdout == b"3000000\n"


async def test_a_signal_is_told_as_128_plus_its_number(provider: SandboxProvider) -> None:
    result = await provider.run(SandboxRequest(argv=["sh", "-c", "kill -TERM $$"]))
    assert (result.exit_code, result.killed_by) == (143, None)


async def test_a_folder_nobody_else_may_enter_is_readable_inside_and_read_only(
    provider: SandboxProvider, tmp_path: Path
) -> None:
    folder = tmp_path / "private" / "skill"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "main.py").write_text(
        "import os\n"
        "try: open('/skill/new', 'w')\n"
        "except OSError as error: print(error.strerror, sorted(os.listdir('/skill')))\n"
    )
    (folder / "link").symlink_to("/etc/hostname")
    for path in (folder / "scripts" / "main.py", folder / "scripts", folder, folder.parent):
        path.chmod(0o700)
    result = await provider.run(
        SandboxRequest(argv=["python3", "/skill/scripts/main.py"], folders={"/skill": folder})
    )
    assert result.stdout.decode() == "Read-only file system ['link', 'scripts']\n", result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["link", "scripts"]


async def test_a_link_in_a_folder_never_brings_a_file_of_the_host_inside(
    provider: SandboxProvider, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    folder = tmp_path / "skill"
    folder.mkdir()
    (folder / "file").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    result = await provider.run(
        SandboxRequest(
            argv=["sh", "-c", f"echo {ALIVE}; cat /skill/file; ls /skill/folder/"], folders={"/skill": folder}
        )
    )
    assert result.stdout.decode().split() == [ALIVE]


async def test_given_files_wait_in_the_workspace_and_can_be_changed(provider: SandboxProvider) -> None:
    result = await provider.run(
        SandboxRequest(
            argv=["sh", "-c", "cat in/deep/a.txt; echo more >> in/deep/a.txt; rm b.txt"],
            workspace_files={"in/deep/a.txt": b"a\n", "b.txt": b"b"},
        )
    )
    assert (result.stdout, dict(result.files)) == (b"a\n", {"in/deep/a.txt": b"a\nmore\n"}), result.stderr


async def test_files_left_in_the_workspace_come_back(provider: SandboxProvider) -> None:
    result = await provider.run(
        python(
            "import os\n"
            "os.makedirs('out/deep'); open('out/deep/ä.md', 'w').write('report')\n"
            "open('empty', 'w'); open('blob', 'wb').write(bytes(range(256)) * 5000)\n"
            "open('/tmp/not-this', 'w').write('x')\n"
        )
    )
    assert dict(result.files) == {
        "out/deep/ä.md": b"report",
        "empty": b"",
        "blob": bytes(range(256)) * 5000,
    }
    assert dict(result.left_out) == {}


async def test_a_workspace_starts_empty_every_time(provider: SandboxProvider) -> None:
    await provider.run(SandboxRequest(argv=["sh", "-c", "echo x > /workspace/left; echo x > /tmp/left"]))
    result = await provider.run(SandboxRequest(argv=["sh", "-c", "ls -A /workspace /tmp"]))
    assert result.stdout.decode().split() == ["/tmp:", "/workspace:"]


async def test_what_cannot_come_back_is_named(
    provider: SandboxProvider,
) -> None:
    result = await provider.run(
        python(
            "import os, socket\n"
            "os.symlink('/etc/passwd', 'link'); os.mkfifo('pipe'); os.symlink('/', 'root')\n"
            "socket.socket(socket.AF_UNIX).bind('socket')\n"
            "open(b'\\xff', 'w'); open('new\\nline', 'w'); os.makedirs('d' * 200 + '/' + 'e' * 200)\n"
            "open('d' * 200 + '/' + 'e' * 200 + '/f', 'w')\n"
            "open('a', 'w').write('good'); open('big', 'wb').write(bytes(3000))\n"
            "for n in range(9): open(f'n{n}', 'w')\n",
            limits=Limits(artifact_bytes=2000, artifact_files=5),
        )
    )
    assert result.exit_code == 0, result.stderr
    assert result.files["a"] == b"good"
    assert set(result.files) <= {"a", *(f"n{n}" for n in range(9))}
    assert len(result.files) <= 5
    for name in ("link", "pipe", "root", "socket"):
        assert result.left_out[name] == "not a regular file"
    assert result.left_out["big"] == "more than 2000 bytes of files"
    assert result.left_out["n8"] == "more than 5 files"
    assert not {path for path in result.files if not path.isprintable()}


async def test_stdout_and_stderr_are_cut_at_their_limit(provider: SandboxProvider) -> None:
    result = await provider.run(
        python(
            "import sys\n"
            "try:\n"
            "    while True: sys.stdout.write('x' * 65536)\n"
            "except BrokenPipeError:\n"
            "    import os; os.write(2, b'felt it'); os._exit(9)\n",
            limits=Limits(output_bytes=100_000),
        )
    )
    assert (result.stdout, result.stderr) == (b"x" * 100_000, b"felt it")
    assert (result.truncated, result.exit_code, result.killed_by) == (True, 9, None)


async def test_a_program_that_is_too_slow_is_killed_and_what_it_said_is_kept(
    provider: SandboxProvider,
) -> None:
    result = await provider.run(
        SandboxRequest(argv=["sh", "-c", f"echo {ALIVE}; sleep 60"], limits=Limits(wall_seconds=0.4))
    )
    assert (result.killed_by, result.stdout.decode().strip()) == (KilledBy.WALL, ALIVE)
    assert result.exit_code != 0


async def test_cpu_time_is_counted_over_all_processes(provider: SandboxProvider) -> None:
    result = await provider.run(
        SandboxRequest(
            argv=["sh", "-c", "for n in 1 2 3; do (while :; do :; done) & done; wait"],
            limits=Limits(cpu_seconds=0.5, wall_seconds=20),
        )
    )
    assert result.killed_by == KilledBy.CPU


async def test_a_program_that_takes_too_much_memory_is_killed(provider: SandboxProvider) -> None:
    result = await provider.run(
        python("x = []\nwhile True: x.append(bytearray(1 << 20))", limits=Limits(memory_bytes=96 << 20))
    )
    assert result.killed_by == KilledBy.MEMORY


async def test_a_full_disk_is_told(provider: SandboxProvider) -> None:
    result = await provider.run(
        SandboxRequest(
            argv=["sh", "-c", f"echo {ALIVE}; head -c 6000000 /dev/zero > full"],
            limits=Limits(workspace_bytes=4 << 20),
        )
    )
    assert (result.killed_by, result.stdout.decode().strip()) == (KilledBy.DISK, ALIVE)


async def test_one_file_may_not_grow_without_end(provider: SandboxProvider) -> None:
    result = await provider.run(
        SandboxRequest(
            argv=["sh", "-c", "head -c 3000000 /dev/zero > big"], limits=Limits(file_bytes=1 << 20)
        )
    )
    assert result.exit_code != 0
    assert len(result.files.get("big", b"")) <= 1 << 20


async def test_a_program_that_does_not_exist_is_named(provider: SandboxProvider) -> None:
    with pytest.raises(InterpreterMissing, match="no-such-program") as raised:
        await provider.run(SandboxRequest(argv=["no-such-program"]))
    assert raised.value.code == "interpreter_missing"


@pytest.mark.parametrize(
    "given",
    [
        {"argv": []},
        {"argv": ["true", "a\0b"]},
        {"argv": ["true"], "folders": {"/usr": Path("/tmp")}},
        {"argv": ["true"], "folders": {"/a/b": Path("/tmp")}},
        {"argv": ["true"], "folders": {"/..": Path("/tmp")}},
        {"argv": ["true"], "folders": {"/skill": Path("/no/such/folder")}},
        {"argv": ["true"], "workspace_files": {"../up": b""}},
        {"argv": ["true"], "workspace_files": {"/absolute": b""}},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(
    provider: SandboxProvider, given: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await provider.run(SandboxRequest(**given))


async def test_the_standard_library_and_the_kit_are_there_and_nothing_else(provider: SandboxProvider) -> None:
    result = await provider.run(
        python("import csv, sqlite3, sandbox_kit.skill\ntry: import yaml\nexcept ImportError: print('none')")
    )
    assert result.stdout == b"none\n", result.stderr


# ---- bridge

CLIENT = """
import json, os, socket
bridge = socket.socket(fileno=int(os.environ["OMNIFORGE_BRIDGE_FD"]))
lines = bridge.makefile("rb")
def send(raw): bridge.sendall(raw + b"\\n")
def receive(): return json.loads(lines.readline())
"""


async def test_requests_are_answered_over_the_bridge(provider: SandboxProvider) -> None:
    async def bridge(request: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "result": request["args"]}

    result = await provider.run(
        python(
            "from sandbox_kit.skill import call\nprint(call('notion.search', query='ä', deep={'a': [1]}))"
        ),
        bridge,
    )
    assert result.stdout.decode() == "{'query': 'ä', 'deep': {'a': [1]}}\n", result.stderr


async def test_requests_overlap_and_answers_find_their_caller(provider: SandboxProvider) -> None:
    arrived: list[int] = []
    everybody = asyncio.Event()

    async def bridge(request: dict[str, Any]) -> dict[str, Any]:
        arrived.append(request["args"]["n"])
        if len(arrived) == 20:
            everybody.set()
        await everybody.wait()  # nobody is answered before all have asked
        return {"ok": True, "result": request["args"]["n"] * 10}

    result = await provider.run(
        python(
            "from concurrent.futures import ThreadPoolExecutor\n"
            "from sandbox_kit.skill import call\n"
            "with ThreadPoolExecutor(20) as pool: print(list(pool.map(lambda n: call('t', n=n), range(20))))"
        ),
        bridge,
    )
    assert json.loads(result.stdout) == [n * 10 for n in range(20)], result.stderr


async def test_errors_of_the_host_arrive_as_tool_errors(provider: SandboxProvider) -> None:
    async def bridge(request: dict[str, Any]) -> dict[str, Any]:
        if request["tool"] == "refused":
            raise Conflict("Not now.", code="busy")
        if request["tool"] == "unanswerable":
            return {"ok": True, "result": object()}
        raise RuntimeError("a secret detail of the host")

    result = await provider.run(
        python(
            "from sandbox_kit.skill import ToolError, call\n"
            "for tool in ('refused', 'broken', 'unanswerable'):\n"
            "    try: call(tool)\n"
            "    except ToolError as error: print(error.code, error.message, error.retryable)\n"
        ),
        bridge,
    )
    internal = "internal The host could not answer this request. False"
    assert result.stdout.decode().splitlines() == ["busy Not now. False", internal, internal], result.stderr


async def test_garbage_on_the_bridge_is_answered_and_work_goes_on(
    provider: SandboxProvider,
) -> None:
    seen: list[dict[str, Any]] = []

    async def bridge(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"ok": True, "result": {}}

    garbage = [
        "b'not json'", "b'[1]'", "b'\\xff\\xfe'", "b'[' * 100000", "b'{\"id\": NaN}'",
        "b'{\"a\": \"\\\\ud800\"}'",
        "b'x' * 3000000", "b'{\"id\": [1]}'", "b'1' * 5000",
    ]  # fmt: skip
    result = await provider.run(
        python(
            CLIENT
            + f"for garbage in ({', '.join(garbage)}):\n"
            + "    send(garbage); a = receive(); print(a['id'], a['ok'], a['error']['code'])\n"
            + 'send(b\'{"id": "last"}\'); print(receive())'
        ),
        bridge,
    )
    *refusals, last = result.stdout.decode().splitlines()
    assert refusals == ["None False bad_request"] * len(garbage), result.stderr
    assert last == "{'ok': True, 'result': {}, 'id': 'last'}"
    assert seen == [{"id": "last"}]


async def test_an_answer_of_some_megabytes_arrives_whole(provider: SandboxProvider) -> None:
    async def bridge(_: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "result": "x" * 5_000_000}

    script = "from sandbox_kit.skill import call; print(len(call('anything')))"
    result = await provider.run(python(script), bridge)
    assert result.stdout == b"5000000\n", result.stderr


async def test_an_answer_that_is_too_long_becomes_an_error(provider: SandboxProvider) -> None:
    async def bridge(_: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "result": "x" * 17_000_000}

    result = await provider.run(
        python(CLIENT + "send(b'{\"id\": 1}'); print(receive()['error']['code'])"), bridge
    )
    assert result.stdout == b"result_too_large\n"


async def test_the_bridge_ends_with_the_program(provider: SandboxProvider) -> None:
    state: list[str] = []

    async def bridge(_: dict[str, Any]) -> dict[str, Any]:
        state.append("called")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            state.append("stopped")
            raise
        return {}

    result = await provider.run(
        python(CLIENT + "import time\nsend(b'{\"id\": 1}'); time.sleep(0.3); print('over')"), bridge
    )
    assert (result.stdout, state) == (b"over\n", ["called", "stopped"])


async def test_without_a_bridge_there_is_none(provider: SandboxProvider) -> None:
    result = await provider.run(
        python(
            "import os\nfrom sandbox_kit.skill import ToolError, call\n"
            "try: call('x')\nexcept ToolError as error: print(error.code)\n"
            "print([fd for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)])"
        )
    )
    assert result.stdout.decode().splitlines() == ["no_bridge", "['0', '1', '2']"]


# ---- many, and cancelled


async def test_many_run_at_once_and_see_only_their_own(provider: SandboxProvider) -> None:
    results = await asyncio.gather(
        *(
            provider.run(SandboxRequest(argv=["sh", "-c", "cat > mine; ls"], stdin=str(n).encode()))
            for n in range(8)
        )
    )
    assert [dict(result.files) for result in results] == [{"mine": str(n).encode()} for n in range(8)]


async def test_cancelling_kills_everything_the_program_has_started(
    provider: SandboxProvider, tmp_path: Path
) -> None:
    mark = f"mark-{tmp_path.name}-{tmp_path.parent.name}"
    started = asyncio.Event()

    async def bridge(_: dict[str, Any]) -> dict[str, Any]:
        started.set()
        return {"ok": True}

    code = (
        "import subprocess\n"
        "for _ in range(3):\n"
        f"    subprocess.Popen(['sh', '-c', 'sleep 300; true', {mark!r}], start_new_session=True)\n"
        + CLIENT
        + "send(b'{}'); import time; time.sleep(300)"
    )
    running = asyncio.create_task(provider.run(python(code), bridge))
    await asyncio.wait_for(started.wait(), 10)
    assert len(processes_with(mark)) >= 4
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert processes_with(mark) == []


async def test_cancelling_at_any_moment_leaves_nothing(provider: SandboxProvider, tmp_path: Path) -> None:
    await provider.check()
    mark = f"mark-{tmp_path.name}-{tmp_path.parent.name}-moment"
    for moment in range(24):
        running = asyncio.create_task(
            provider.run(SandboxRequest(argv=["sh", "-c", "sleep 300; true", mark]))
        )
        await asyncio.sleep(moment * 0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert processes_with(mark) == []


def processes_with(mark: str) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in command:
                found.append(f"{entry.name}: {command.decode()}")
    return found
