"""What happened in a simulation, line by line, and what was wrong with it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field


@dataclass(slots=True)
class Trace:
    """`lines` are (virtual seconds, text); `problems` are broken invariants in plain words."""

    lines: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    problems: list[str] = field(default_factory=list[str])

    def tell(self, text: str) -> None:
        self.lines.append((asyncio.get_running_loop().time(), text))

    def blame(self, text: str) -> None:
        """An invariant is broken."""
        if len(self.problems) < 20 and text not in self.problems:
            self.problems.append(text)
            self.lines.append((self.lines[-1][0] if self.lines else 0.0, f"!! {text}"))

    def digest(self) -> str:
        """Equal for equal histories."""
        text = "\n".join(f"{at:.6f} {line}" for at, line in self.lines)
        return hashlib.sha256(text.encode()).hexdigest()

    def shown(self, last: int = 120) -> str:
        """The end of the history, readable."""
        left_out = max(0, len(self.lines) - last)
        head = [f"  … {left_out} lines before"] if left_out else []
        return "\n".join(head + [f"  {at:12.3f} s  {line}" for at, line in self.lines[-last:]])
