"""`python -m bench.understanding`: how many labelled sentences are read right, without any model."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from omniforge.builder.understanding.composition import Clause, read_composition
from omniforge.builder.understanding.intents import read_intent
from omniforge.builder.understanding.schedule import Schedule, Unclear, read_schedule
from omniforge.builder.understanding.stance import Stance, read_stance

CORPUS = Path(__file__).parents[1] / "tests" / "builder" / "corpus"
SERVICES = ("notion", "slack", "linear", "github", "email", "files", "http", "rss", "webhook")
KINDS = ("intents", "schedules", "compositions", "stances")
BAR = 0.95


@dataclass(frozen=True, slots=True)
class Line:
    """One labelled sentence. `expected` and `found` are what is compared, written alike."""

    kind: str
    says: str
    held_out: bool
    expected: str
    found: str
    milliseconds: float
    confirmed: bool = False
    """A yes was read where none was given."""

    @property
    def right(self) -> bool:
        return self.expected == self.found

    @property
    def asked(self) -> bool:
        """It ends in a question instead of a reading."""
        return self.found.endswith("unsure") or self.found in ("ask", "unsure")


def evaluate(corpus: Path = CORPUS) -> list[Line]:
    """Every line of the corpus, read by the rules."""
    return [_line(kind, entry) for kind in KINDS for entry in _entries(corpus, kind)]


def _entries(corpus: Path, kind: str) -> Iterable[dict[str, Any]]:
    return yaml.safe_load((corpus / f"{kind}.yaml").read_text("utf-8"))


def _line(kind: str, entry: dict[str, Any]) -> Line:
    says = str(entry["says"])
    started = time.perf_counter()
    expected, found = _READERS[kind](says, entry)
    took = (time.perf_counter() - started) * 1000
    confirmed = kind == "stances" and found.startswith("yes") and not expected.startswith("yes")
    return Line(kind, says, bool(entry.get("held_out")), expected, found, took, confirmed)


def _intent(says: str, entry: dict[str, Any]) -> tuple[str, str]:
    reading = read_intent(says)
    found = reading.intent.value if reading.intent else "none"
    if "command" in entry:
        return f"{entry['intent']} {entry['command']}", f"{found} {reading.command or ''}".strip()
    return entry["intent"], found


def _stance(says: str, entry: dict[str, Any]) -> tuple[str, str]:
    reading = read_stance(says)
    if entry.get("never_yes"):
        return "no confirmation", "yes" if reading.stance is Stance.YES else "no confirmation"
    choice = f" {reading.choice}" if "choice" in entry else ""
    return f"{entry['stance']} {entry.get('choice', '')}".strip(), f"{reading.stance.value}{choice}"


def _schedule(says: str, entry: dict[str, Any]) -> tuple[str, str]:
    found = read_schedule(says)
    match found:
        case Schedule(event="scheduled"):
            told = f"{found.cron} {found.timezone or ''}".strip()
        case Schedule(event="event_driven"):
            told = "event"
        case Schedule():
            told = "on_demand"
        case Unclear():
            told = "ask"
        case None:
            told = "none"
    return f"{entry['plan']} {entry.get('zone', '')}".strip(), told


def _composition(says: str, entry: dict[str, Any]) -> tuple[str, str]:
    found = read_composition(says, SERVICES)
    told = "; ".join(_clause(clause) for clause in found.clauses)
    return (
        f"{'; '.join(entry['clauses'])}{' + unsure' if entry.get('unsure') else ''}".strip(),
        f"{told}{' + unsure' if found.unsure else ''}".strip(),
    )


def _clause(clause: Clause) -> str:
    parts = [clause.operation, clause.service or ""]
    if clause.needs:
        parts.append("<" + ",".join(str(at + 1) for at in clause.needs))
    if clause.condition:
        parts.append(f"?{clause.condition}")
    return re.sub(r"\s+", " ", " ".join(parts)).strip()


_READERS: dict[str, Callable[[str, dict[str, Any]], tuple[str, str]]] = {
    "intents": _intent,
    "schedules": _schedule,
    "compositions": _composition,
    "stances": _stance,
}


def accuracy(lines: Iterable[Line], kind: str) -> float:
    """Between 0 and 1; 1 when there are no lines of the kind."""
    marks = [line.right for line in lines if line.kind == kind]
    return round(sum(marks) / len(marks), 4) if marks else 1.0


def known(lines: Iterable[Line]) -> list[Line]:
    """The lines that the rules were written to. The others tell how they fare with strangers: they are
    measured and shown, without a bar, because a bar would have somebody tune the rules to them."""
    return [line for line in lines if not line.held_out]


def summary(lines: list[Line]) -> dict[str, Any]:
    """Shares of 0 to 1: of the labelled sentences, and under `held_out` of those that nobody tuned to.
    `asked`: of the held-out wishes read otherwise, the share that ends in a question."""
    held_out = [line for line in lines if line.held_out]
    missed = [line for line in held_out if line.kind == "compositions" and not line.right]
    return {
        **{kind: accuracy(known(lines), kind) for kind in KINDS},
        "lines": len(known(lines)),
        "held_out": {
            **{kind: accuracy(held_out, kind) for kind in KINDS},
            "asked": round(sum(line.asked for line in missed) / len(missed), 4) if missed else 1.0,
            "lines": len(held_out),
        },
        "false_confirmations": sum(line.confirmed for line in lines),
        "milliseconds_p95": round(quantiles([line.milliseconds for line in lines], n=20)[-1], 2),
    }


def main() -> int:
    lines = evaluate()
    table = Table(title="Sentences read wrongly", show_lines=True)
    for column in ("kind", "sentence", "expected", "read as"):
        table.add_column(column, overflow="fold")
    for line in (line for line in lines if not line.right):
        table.add_row(
            f"{line.kind}{' (held out)' if line.held_out else ''}", line.says, line.expected, line.found
        )
    figures = summary(lines)
    screen = Console(stderr=True, width=None if sys.stderr.isatty() else 150)
    screen.print(table if table.row_count else "Every sentence was read right.")
    sys.stdout.write(json.dumps(figures) + "\n")
    low = [kind for kind in KINDS if figures[kind] < BAR]
    return 1 if low or figures["false_confirmations"] else 0


if __name__ == "__main__":
    sys.exit(main())
