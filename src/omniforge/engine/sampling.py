"""Looking at the machine: psutil, the kernel's stall figures, and the memory limit of a container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil

from omniforge.engine.pressure import Reading

PSI = Path("/proc/pressure")
CGROUPS = Path("/sys/fs/cgroup")


def system_sampler(psi: Path = PSI, cgroups: Path = CGROUPS) -> Callable[[], Reading]:
    """A function that looks at the machine, in about 0.2 ms. CPU is the mean since the look before."""
    psutil.cpu_percent(interval=None)  # the first call only sets the start of that mean

    def sample() -> Reading:
        return Reading(
            cpu=psutil.cpu_percent(interval=None),
            memory=max(psutil.virtual_memory().percent, container_memory(cgroups) or 0.0),
            memory_stall=stalled(psi / "memory", "full"),
            cpu_stall=stalled(psi / "cpu", "some"),
        )

    return sample


def stalled(path: Path, line: str) -> float | None:
    """`avg10` of a pressure file's line (`some avg10=0.34 avg60=… …`); None where the kernel has none."""
    try:
        text = path.read_text()
    except OSError:
        return None
    for words in map(str.split, text.splitlines()):
        if words[:1] == [line]:
            figures = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            return _number(figures.get("avg10", ""))
    return None


def container_memory(cgroups: Path = CGROUPS) -> float | None:
    """Percent of the container's own memory limit (cgroup 2) in use, without file cache; None: no limit."""
    try:
        most = _number((cgroups / "memory.max").read_text())
        used = _number((cgroups / "memory.current").read_text())
        facts = dict(line.split(maxsplit=1) for line in (cgroups / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not most or used is None:
        return None
    cache = _number(facts.get("inactive_file", "")) or 0.0
    return min(100.0, 100.0 * max(0.0, used - cache) / most)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
