"""Our side of F8: `omniforge up` from nothing to its first answer, then what it costs while nobody asks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.timing import options, report

LONGEST = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(home: Path) -> tuple[subprocess.Popen[bytes], str, float]:
    """The server's process, its address, and the seconds from its start to its first answer."""
    port = free_port()
    settings = {"OMNIFORGE_HOME": str(home), "OMNIFORGE_PORT": str(port)}
    log = (home.parent / "up.log").open("ab")
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "omniforge.cli.main", "up"],
        env=os.environ | settings,
        cwd=home.parent,
        stdout=log,
        stderr=log,
    )
    log.close()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(trust_env=False) as client:
        while time.perf_counter() - begun < LONGEST:
            try:
                client.get(f"{url}/health").raise_for_status()
            except httpx.HTTPError:
                if process.poll() is not None:
                    break
                time.sleep(0.005)
            else:
                return process, url, time.perf_counter() - begun
    process.kill()
    raise RuntimeError((home.parent / "up.log").read_text()[-2000:].strip())


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def cpu_seconds(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(time_.user + time_.system for time_ in times)


def measure(asked: dict[str, Any]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        process, _, first = start(home)
        stop(process)
        process, _, again = start(home)
        time.sleep(2)
        processes = family(process)
        before, begun = cpu_seconds(processes), time.perf_counter()
        time.sleep(asked["seconds"])
        busy = (cpu_seconds(processes) - before) / (time.perf_counter() - begun)
        memory = sum(each.memory_info().rss for each in processes) / 2**20
        stop(process)
    return {"first": first, "again": again, "cpu_percent": busy * 100, "memory_mb": memory}


if __name__ == "__main__":
    report(measure(options()))
