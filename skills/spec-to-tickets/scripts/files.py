"""Reads the files of a spec, and says what was found in them."""

import sys
from pathlib import Path

ENDINGS = (".md", ".json")
MOST_FILES = 500
MOST_BYTES = 5_000_000


class Unreadable(Exception):
    """A file that cannot be read; the message says which and why."""


def say(line):
    sys.stdout.write(f"{line}\n")


def complain(line):
    sys.stderr.write(f"{line}\n")


def read_all(names):
    """`[(path, text)]` of all files, and of all texts in the folders among them."""
    paths = [path for name in names for path in _files(Path(name))]
    if not paths:
        raise Unreadable(f"There is no text ({' or '.join(ENDINGS)}) in {', '.join(map(str, names))}.")
    if len(paths) > MOST_FILES:
        raise Unreadable(f"These are {len(paths)} files; at most {MOST_FILES} are read at once.")
    found, size = [], 0
    for path in paths:
        try:
            data = path.read_bytes()
            size += len(data)
            found.append((path.as_posix(), data.decode("utf-8-sig")))
        except UnicodeDecodeError:
            raise Unreadable(f"{path} is not UTF-8.") from None
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from None
        if size > MOST_BYTES:
            raise Unreadable(f"These are more than {MOST_BYTES} bytes; import them in parts.")
    return found


def _files(path):
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.suffix.lower() in ENDINGS and each.is_file())
    return [path]


def say_problems(problems, warnings):
    """One line each: `file:line: error code ref: message`."""
    for kind, each in [("error", one) for one in problems] + [("warning", one) for one in warnings]:
        place = ":".join(str(each[name]) for name in ("path", "line") if each.get(name) is not None)
        about = " ".join(part for part in (each["ref"], each.get("field")) if part)
        head = f"{place}: " if place else ""
        line = f"{head}{kind} {each['code']}{' ' + about if about else ''}: {each['message']}"
        say(line)
