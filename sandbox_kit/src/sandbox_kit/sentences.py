"""The telling sentences and entries of texts, word for word: nothing is rewritten, nothing is made up."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_kit.values import named, words_of

LONGEST_ENTRY = 600
MOST_ENTRIES = 5_000
COMMON = frozenset(
    named(
        """
        a about above after again all also am an and any are as at be because been before being below
        between both but by can could did do does doing down during each few for from further had has have
        having he her here hers him his how i if in into is it its itself just me more most my no nor not
        now of off on once only or other our ours out over own per same she should so some such than that
        the their theirs them then there these they this those through to too under until up very was we
        were what when where which while who whom why will with would you your yours
        """
    )
)
ABBREVIATIONS = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|inc|ltd|co|corp|vs|etc|e\.g|i\.e|no|nr|st|approx|dept|est)|\b[A-Z])\.$",
    re.IGNORECASE,
)
TELLING = re.compile(
    r"\b(?:blocked|blocker|risk|late|overdue|delay\w*|fail\w*|urgent|critical|deadline|due|decid\w+|agreed|approved|"
    r"rejected|must|important|launch\w*|complet\w+|increase\w*|decrease\w*|total|summary|conclusion|result\w*)\b",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_RULE = re.compile(r"^[\s|:=_*-]+$")
_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=[\"'(\[]?[^\W_a-z])")


@dataclass(frozen=True)
class Entry:
    """A sentence, a bullet or a row, and the heading it stands under."""

    text: str
    section: str = ""
    is_point: bool = False


def entries_of(text: str) -> list[Entry]:
    """Bullets and rows of tables each on their own; the rest cut into sentences."""
    found: list[Entry] = []
    section, prose = "", list[str]()

    def flush() -> None:
        found.extend(Entry(sentence, section) for sentence in sentences_of(" ".join(prose)))
        prose.clear()

    lines = text.splitlines()
    for at, line in enumerate(lines):
        stripped = line.strip()
        if heading := _HEADING.match(line):
            flush()
            section = heading[2]
        elif not stripped or _RULE.fullmatch(stripped):
            flush()
        elif _BULLET.match(line):
            flush()
            found.append(Entry(_BULLET.sub("", line).strip(), section, is_point=True))
        elif stripped.startswith("|"):
            flush()
            is_head = at + 1 < len(lines) and bool(re.fullmatch(r"\s*\|[\s|:-]+", lines[at + 1]))
            if not is_head:
                cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", stripped.strip("|"))]
                found.append(Entry(" · ".join(cell for cell in cells if cell), section, is_point=True))
        else:
            prose.append(stripped)
        if len(found) > MOST_ENTRIES:
            return found[:MOST_ENTRIES]
    flush()
    return [entry for entry in found if entry.text]


def sentences_of(prose: str) -> list[str]:
    """Sentences of running text; an abbreviation does not end one."""
    found: list[str] = []
    start = ""
    for piece in _END.split(prose.strip()):
        start = f"{start} {piece}".strip()
        if ABBREVIATIONS.search(start):
            continue
        found.append(start)
        start = ""
    return [*found, start] if start else found


def telling(entries: Sequence[Entry], most: int) -> list[Entry]:
    """The `most` telling entries in the order they came: by rare words, place, names, dates and numbers."""
    unique = list({normal_text(entry.text): entry for entry in reversed(entries)}.values())[::-1]
    if len(unique) <= most:
        return unique
    words = [_weighty(entry.text) for entry in unique]
    spread = Counter(word for one in words for word in set(one))
    scores = [
        _score(entry, one, spread, place / len(unique))
        for place, (entry, one) in enumerate(zip(unique, words))  # noqa: B905 - Python 3.9
    ]
    best = sorted(range(len(unique)), key=lambda at: (-scores[at], at))[: max(0, most)]
    return [unique[at] for at in sorted(best)]


def normal_text(text: str) -> str:
    return " ".join(words_of(text)) or text


def _weighty(text: str) -> list[str]:
    return [word for word in words_of(text) if len(word) > 2 and word not in COMMON and not word.isdigit()]


def _score(entry: Entry, words: Sequence[str], spread: Counter[str], place: float) -> float:
    """What comes up again and again is what a text is about; what stands first is mostly what matters."""
    about = sum(math.log(1 + spread[word]) for word in set(words)) / math.sqrt(1 + len(words))
    numbers = min(3, len(re.findall(r"\d[\d.,:%/-]*", entry.text)))
    names = min(3, len(re.findall(r"(?<=[a-z,;] )[A-Z][a-z]+", entry.text)))
    points = 1.5 * bool(TELLING.search(entry.text)) + 0.35 * numbers + 0.2 * names
    return about + points + (0.8 if place == 0 else 0.4 * (1 - place)) - (1.0 if len(words) < 3 else 0)


def clipped(text: str, longest: int = LONGEST_ENTRY) -> str:
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0] + " …"
