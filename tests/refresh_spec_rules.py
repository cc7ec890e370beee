"""The rules that the skill spec-to-tickets carries: copies of our own modules. Run me to renew them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "src"
THEIRS = ROOT / "skills" / "spec-to-tickets" / "scripts"
BOARD = Path("omniforge") / "board"


def copied() -> list[Path]:
    """Every module that is carried, below `src`."""
    importing = sorted(path.relative_to(OURS) for path in (OURS / BOARD / "importing").rglob("*.py"))
    words = [BOARD / f"{name}.py" for name in ("__init__", "vocabulary", "workflow", "graphs")]
    return [Path("omniforge") / "__init__.py", *words, *importing]


def refresh() -> None:
    for path in (THEIRS / "omniforge").rglob("*.py"):
        path.unlink()
    for path in copied():
        (THEIRS / path).parent.mkdir(parents=True, exist_ok=True)
        (THEIRS / path).write_bytes((OURS / path).read_bytes())


if __name__ == "__main__":
    refresh()
