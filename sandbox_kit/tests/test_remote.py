"""Programs and folders for sandboxes that have neither a stream nor an archive of their own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox_kit import remote

SCRIPT = Path(remote.__file__)


def ask(folder: Path, argv: list[str], seconds: float = 20.0, **environment: str) -> dict[str, Any]:
    request = folder / "request.json"
    given = {"PATH": "/usr/bin:/bin", **environment}
    asked = {"argv": argv, "folder": str(folder), "environment": given, "seconds": seconds}
    request.write_text(json.dumps(asked))
    subprocess.run([sys.executable, "-I", str(SCRIPT), "run", str(request)], check=True, timeout=30)
    assert not request.exists()
    return json.loads(Path(f"{request}.done").read_text())


def test_a_program_is_told_of_with_all_it_said(tmp_path: Path) -> None:
    done = ask(tmp_path, ["sh", "-c", "echo out $A; echo err >&2; exit 4"], A="given")
    assert done["exit_code"] == 4
    output = base64.b64decode(done["output"])
    assert output == b"out given\nerr\n"
    assert done["hash"] == hashlib.sha256(output).hexdigest()
    assert done["length"] == len(output)


def test_what_a_program_leaves_running_ends_with_it(tmp_path: Path) -> None:
    done = ask(tmp_path, ["sh", "-c", "setsid sleep 4715 & echo started"])
    assert done["exit_code"] == 0
    done = ask(tmp_path, ["sh", "-c", "setsid sleep 4716 & sleep 30"], seconds=0.3)
    assert done["exit_code"] == 137
    commands = {path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()}
    assert not {b"sleep\x004715\x00", b"sleep\x004716\x00"} & commands


def test_a_program_has_a_home_of_its_own_that_goes_with_it(tmp_path: Path) -> None:
    done = ask(tmp_path, ["sh", "-c", "touch ~/x; echo ~"], HOME=str(tmp_path))
    home = Path(base64.b64decode(done["output"]).decode().strip())
    assert home != tmp_path
    assert not home.exists()


def test_a_program_that_does_not_exist_is_told_as_in_a_shell(tmp_path: Path) -> None:
    done = ask(tmp_path, ["no-such-program"])
    assert done["exit_code"] == 127
    assert b"no-such-program" in base64.b64decode(done["output"])


def test_a_folder_goes_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub" / ".git").mkdir(parents=True)
    (folder / "sub" / "run").write_text("1")
    (folder / "sub" / "run").chmod(0o755)
    os.link(folder / "sub" / "run", folder / "twin")
    (folder / "link").symlink_to("sub/run")
    (folder / "sub" / ".git" / "config").write_text("x")
    remote.pack(str(folder), str(tmp_path / "tar"))
    target = tmp_path / "target"
    (target / "locked").mkdir(parents=True)
    (target / "locked").chmod(0)
    remote.unpack(str(tmp_path / "tar"), str(target))
    assert {str(path.relative_to(target)) for path in target.rglob("*")} == {"sub", "sub/run", "twin", "link"}
    assert (target / "twin").read_text() == "1"
    assert os.access(target / "sub" / "run", os.X_OK)
