"""First program of a sandbox: sets limits, runs the real program, hands out what that left in the workspace.

    python3 -I -S launch.py RESULTS_FD BRIDGE_FD|- INPUTS|- FILES BYTES LIMIT=N… -- PROGRAM ARGUMENT…

Written to RESULTS_FD: the line `{"ready": true}`, one of JSON saying how the program ended, a ustar archive.
The program runs as the same user and may forge all of it, so the host believes none of it.
Few imports: every sandbox pays for them.
"""

from __future__ import annotations

import os
import resource
import sys

WORKSPACE = "/workspace"
TEMPORARY = "/tmp"  # noqa: S108 - the sandbox's own
BRIDGE_FD = 3
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
BLOCK = 512
MAX_TOLD = 100
MAX_PATH = 300


def main(arguments: list[str]) -> None:
    split = arguments.index("--")
    results, bridge, inputs, max_files, max_bytes, *limits = arguments[:split]
    results_fd = int(results)
    os.write(results_fd, b'{"ready": true}\n')
    if inputs != "-":
        copy_tree(inputs, WORKSPACE)
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and os.path.exists(f"/proc/self/fd/{entry}"):
            os.set_inheritable(int(entry), False)
    set_limits(limits)
    try:
        exit_code = run_program(arguments[split + 1 :], None if bridge == "-" else int(bridge))
    except OSError as error:
        write_all(
            results_fd, b'{"not_started": ' + to_json(f"{arguments[split + 1]}: {error.strerror}") + b"}\n"
        )
        return
    is_disk_full = any(os.statvfs(place).f_bavail == 0 for place in (WORKSPACE, TEMPORARY))
    chosen, left_out = choose_files(WORKSPACE, int(max_files), int(max_bytes))
    ending = f'{{"exit_code": {exit_code}, "disk_full": {"true" if is_disk_full else "false"}, "left_out": '
    write_all(results_fd, ending.encode() + to_json(left_out) + b"}\n")
    write_archive(results_fd, WORKSPACE, chosen)


def set_limits(limits: list[str]) -> None:
    """Entries such as `NPROC=64`. Inside the user namespace, so that processes are counted per sandbox."""
    for entry in limits:
        name, _, value = entry.partition("=")
        number = int(value)
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (number, number))


def run_program(argv: list[str], bridge: int | None) -> int:
    """Its exit code, 128 + n after signal n. Whatever else it has started is dead afterwards."""
    actions = [] if bridge is None else [(os.POSIX_SPAWN_DUP2, bridge, BRIDGE_FD)]
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsigdef=[SIGPIPE, SIGXFSZ])
    _, status = os.waitpid(pid, 0)
    if bridge is not None:
        os.close(bridge)
    try:  # noqa: SIM105 - contextlib is too much to import here
        os.kill(-1, SIGKILL)  # everyone but ourselves and the namespace's first process
    except ProcessLookupError:
        pass
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def copy_tree(source: str, target: str) -> None:
    for name in os.listdir(source):
        here, there = f"{source}/{name}", f"{target}/{name}"
        if os.path.isdir(here):
            os.mkdir(there)
            copy_tree(here, there)
            continue
        with open(here, "rb") as reading, open(there, "wb") as writing:
            while chunk := reading.read(1 << 20):
                writing.write(chunk)


def choose_files(root: str, max_files: int, max_bytes: int) -> tuple[list[tuple[str, int]], dict[str, str]]:
    """Path and size of what is handed out, in order of paths, and path → reason of what is not."""
    chosen: list[tuple[str, int]] = []
    left_out: dict[str, str] = {}
    total = 0
    for entry in sorted(find_entries(root), key=lambda entry: entry.path):
        path = entry.path[len(root) + 1 :]
        size = entry.stat(follow_symlinks=False).st_size
        reason = objection(entry, path)
        if reason is None and len(chosen) >= max_files:
            reason = f"more than {max_files} files"
        if reason is None and total + size > max_bytes:
            reason = f"more than {max_bytes} bytes of files"
        if reason is None:
            chosen.append((path, size))
            total += size
        elif len(left_out) < MAX_TOLD:
            left_out[path.encode("utf-8", "backslashreplace").decode()[:255]] = reason
    return chosen, left_out


def find_entries(root: str) -> list[os.DirEntry[str]]:
    """Everything below `root` but folders; one whose path is too long stands for its content."""
    found: list[os.DirEntry[str]] = []
    waiting = [root]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False) and len(entry.path) < MAX_PATH
                    (waiting.append(entry.path) if is_folder else found.append(entry))
        except OSError:
            continue  # the program itself has made it unreadable
    return found


def objection(entry: os.DirEntry[str], path: str) -> str | None:
    if entry.is_dir(follow_symlinks=False) or ustar_name(path) is None:
        return "its path is too long or not UTF-8"
    if not entry.is_file(follow_symlinks=False):
        return "not a regular file"
    return None if os.access(entry.path, os.R_OK) else "not readable"


def ustar_name(path: str) -> tuple[bytes, bytes] | None:
    """Prefix and name as the two fields of a ustar header, None when it fits neither."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return None
    if len(raw) <= 100:
        return b"", raw
    cut = raw.find(b"/", len(raw) - 101)
    return (raw[:cut], raw[cut + 1 :]) if 0 < cut <= 155 and cut + 1 < len(raw) else None


def write_archive(results_fd: int, root: str, chosen: list[tuple[str, int]]) -> None:
    for path, size in chosen:
        names = ustar_name(path)
        if names is None:
            continue
        write_all(results_fd, header(names[0], names[1], size))
        left = size
        with open(f"{root}/{path}", "rb") as file:
            while left and (chunk := file.read(min(left, 1 << 20))):
                write_all(results_fd, chunk)
                left -= len(chunk)
        write_all(results_fd, bytes(-size % BLOCK))
    write_all(results_fd, bytes(2 * BLOCK))


def header(prefix: bytes, name: bytes, size: int) -> bytes:
    """One ustar header of a regular file."""
    before = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    after = (
        b"0"
        + bytes(100)
        + b"ustar\x0000"
        + bytes(64)
        + b"0000000\0" * 2
        + prefix.ljust(155, b"\0")
        + bytes(12)
    )
    return before + b"%06o\0 " % (sum(before) + sum(after) + 8 * ord(" ")) + after


def to_json(value: object) -> bytes:
    if value == {}:
        return b"{}"
    import json  # noqa: PLC0415 - rarely needed and a third of the launcher's start

    return json.dumps(value).encode()


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


if __name__ == "__main__":
    main(sys.argv[1:])
