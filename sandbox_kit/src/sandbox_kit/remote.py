"""What a sandbox without a stream or an archive of its own is asked for: programs, and folders as archives.

python3 -I remote.py run REQUEST
    REQUEST holds {"argv", "folder", "environment", "seconds"}. It is removed, and REQUEST.done tells how the
    program ended. Without "seconds" the program takes this one's place.
python3 -I remote.py pack FOLDER FILE
    All of FOLDER as tar.
python3 -I remote.py unpack FILE FOLDER
    In place of what FOLDER holds.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import threading
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from sandbox_kit import execute

KEPT = 1 << 20
PR_SET_DUMPABLE = 4


def run(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        request: dict[str, Any] = json.load(file)
    os.unlink(path)
    if request.get("seconds") is None:
        os.chdir(request["folder"])
        os.execvpe(request["argv"][0], request["argv"], request["environment"])  # noqa: S606 - what it is for
    # What it says goes into our answer and nowhere else: no other process may write to our pipes.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    answer = json.dumps(run_to_its_end(request))
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(answer)
    os.rename(f"{path}.part", f"{path}.done")


def run_to_its_end(request: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    said: dict[str, Any] = {}
    listener = threading.Thread(target=listen, args=(reading, said))
    listener.start()
    home = tempfile.mkdtemp(prefix="home-")
    started = time.monotonic()
    try:
        execute.adopt_orphans()
        environment = {**request["environment"], "HOME": home}
        code = execute.run(request["argv"], request["seconds"], request["folder"], environment, writing)
    finally:
        seconds = time.monotonic() - started
        os.close(writing)
        shutil.rmtree(home, ignore_errors=True)
    listener.join()
    return {"exit_code": code, "seconds": seconds, **said}


def listen(reading: int, said: dict[str, Any]) -> None:
    kept, length, digest = b"", 0, hashlib.sha256()
    while chunk := os.read(reading, 65536):
        digest.update(chunk)
        length += len(chunk)
        kept += chunk[: KEPT - len(kept)]
    os.close(reading)
    said.update(output=base64.b64encode(kept).decode(), hash=digest.hexdigest(), length=length)


def pack(folder: str, path: str) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for place, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name != ".git"]
            links = [name for name in folders if os.path.islink(os.path.join(place, name))]
            for name in [*files, *links]:
                inside = os.path.join(place, name)
                try:
                    archive.add(inside, os.path.relpath(inside, folder), recursive=False, filter=no_names)
                except OSError:
                    continue  # gone meanwhile, or nobody may read it


def no_names(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Two names of one file are two files."""
    if member.islnk():
        member.type, member.linkname = tarfile.REGTYPE, ""
    return member


def unpack(path: str, folder: str) -> None:
    """Only archives of the host come here."""
    os.makedirs(folder, exist_ok=True)
    for place, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(os.path.join(place, name)):
                os.chmod(os.path.join(place, name), 0o700)
    for entry in os.scandir(folder):
        shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
    with tarfile.open(path) as archive:
        archive.extractall(folder)  # noqa: S202
    os.unlink(path)


if __name__ == "__main__":
    {"run": run, "pack": pack, "unpack": unpack}[sys.argv[1]](*sys.argv[2:])
