"""First program of a workspace's box: sets limits, opens the way out, then becomes the real program.

    python3 -I -S enter.py READY_FD ENVIRONMENT_FD SOCKET|- FOLDER LIMIT=N… -- PROGRAM …

Writes `{"ready": true}` to READY_FD and closes it. A program that cannot be started ends with 127 or 126 and
a line on stderr, as in a shell.
"""

from __future__ import annotations

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from sandbox_kit import launch


def main(arguments: list[str]) -> None:
    split = arguments.index("--")
    ready, variables, way_out, folder, *limits = arguments[:split]
    os.write(int(ready), b'{"ready": true}\n')
    os.close(int(ready))
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and os.path.exists(f"/proc/self/fd/{entry}"):
            os.set_inheritable(int(entry), False)
    launch.set_limits(limits)
    if way_out != "-":
        from sandbox_kit import forward  # noqa: PLC0415 - a box without a way out does not pay for it

        forward.start_beside(way_out)
    try:
        os.chdir(folder)
    except OSError as error:
        fail(folder, error)
    become(arguments[split + 1 :], read_variables(int(variables)))


def read_variables(descriptor: int) -> dict[str, str]:
    """`NAME=value`, with NUL between them."""
    with open(descriptor, "rb") as file:
        words = os.fsdecode(file.read()).split("\0")
    pairs = (word.partition("=") for word in words if word)
    return {name: value for name, _, value in pairs}


def become(argv: list[str], environment: dict[str, str]) -> None:
    """Replace this process; what Python had changed about signals is as before."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - that is what it is for
    except OSError as error:
        fail(argv[0], error)


def fail(what: str, error: OSError) -> None:
    os.write(2, f"{what}: {error.strerror}\n".encode("utf-8", "replace"))
    os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(sys.argv[1:])
