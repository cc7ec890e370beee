"""What "the first two", "all but Archived", "B" or a name mean, against the list just shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from omniforge.builder.understanding.text import NUMBER_WORDS, find_words, has_phrase, normalise, stems, words

_COUNT = {w: n for w, n in NUMBER_WORDS.items() if w not in ("a", "an", "zero")}
_NUMBER = r"\d{1,2}|" + "|".join(_COUNT)
_ORDINALS = {
    word: n
    for n, row in enumerate(
        (
            "first 1st",
            "second 2nd",
            "third 3rd",
            "fourth 4th",
            "fifth 5th",
            "sixth 6th",
            "seventh 7th",
            "eighth 8th",
        ),
        1,
    )
    for word in row.split()
}
_FIRST_N = re.compile(
    rf"\b(?P<end>first|top|last|bottom|final)\s+(?P<n>{_NUMBER}|couple(?: of)?|pair)\b", re.IGNORECASE
)
_ORDINAL = re.compile(
    rf"\b(?:{'|'.join(_ORDINALS)}|last|final)\b(?! (?:week|month|day|year|\d))", re.IGNORECASE
)
_EXCEPT = re.compile(
    r"\b(?:but(?: not)?|except(?: for)?|excluding|without|other than|apart from|not|no(?= \w)|minus|"
    r"leav(?:e|ing)(?: out)?|ignor(?:e|ing)|skip)\b(?P<rest>.*)$",
    re.IGNORECASE,
)
_ALL = (
    "all",
    "every",
    "everything",
    "each of them",
    "all of them",
    "the lot",
    "every one",
    "all databases",
    "any of them",
)
_LIVE = ("active", "live", "current")
_ARCHIVE = re.compile(r"\b(?:archiv\w*|old|backup|template)\b", re.IGNORECASE)
_BOTH = ("both", "both of them", "the two", "these two", "those two", "the pair")
_FILLERS = frozenset(
    words("""
    the a an one ones please and or of them those these from with use take go for just only number numbers
    option options database databases board boards table i'd like want we need to include yes ok it's its
    would let's my our all me in add also too plus page pages
""")
)


@dataclass(frozen=True, slots=True)
class Picked:
    """Positions in the list, in its order. `unknown` words named nothing in it; `close` are near names."""

    positions: tuple[int, ...]
    unknown: tuple[str, ...] = ()
    close: tuple[str, ...] = ()


def resolve(message: str, names: Sequence[str], *, expected: bool = True) -> Picked:
    """The entries of the list that a message means. Without `expected` only full names count."""
    text = normalise(message)
    by_name = _by_name(text, names, partly=expected)
    if not expected:
        return Picked(tuple(by_name))
    if match := _EXCEPT.search(text):
        gone = set(_chosen(match["rest"], names))
        head = text[: match.start()]
        base = set(_chosen(head, names)) or (
            set(range(len(names))) if _says_all(head, len(names) - len(gone)) else set[int]()
        )
        if gone and base - gone:
            return Picked(tuple(i for i in range(len(names)) if i in base - gone))
        if gone:
            return Picked(())
    chosen = _chosen(text, names) or _live(text, names)
    if chosen:
        return Picked(tuple(sorted(chosen)))
    unknown = tuple(word for word in words(text) if word not in _FILLERS)
    return Picked((), unknown, _near(unknown, names))


def _says_all(head: str, left: int) -> bool:
    """ "All" and nothing at all mean the whole list; "both" does when two are `left` of it."""
    return (
        has_phrase(head, _ALL)
        or (left == 2 and has_phrase(head, _BOTH))
        or not [w for w in words(head) if w not in _FILLERS]
    )


def is_archive(name: str) -> bool:
    """A name that tells of things laid aside."""
    return _ARCHIVE.search(name) is not None


def _live(text: str, names: Sequence[str]) -> set[int]:
    """ "The active ones": all but archives, when the list has any."""
    live = {i for i, name in enumerate(names) if not is_archive(name)}
    return live if has_phrase(text, _LIVE) and len(live) < len(names) else set()


def _chosen(text: str, names: Sequence[str]) -> set[int]:
    size = len(names)
    if match := _FIRST_N.search(text):
        raw = match["n"].lower()
        count = 2 if raw.startswith(("couple", "pair")) else int(raw) if raw.isdecimal() else _COUNT[raw]
        if count > size:
            return set()
        from_start = match["end"].lower() in ("first", "top")
        further = _by_name(text[: match.start()] + text[match.end() :], names, partly=True)
        return set(further) | set(range(count) if from_start else range(size - count, size))
    if found := set(_by_name(text, names, partly=True)):
        return found
    if has_phrase(text, _BOTH):
        return {0, 1} if size == 2 else set()
    if has_phrase(text, _ALL):
        return _live(text, names) or set(range(size))
    return _by_position(text, size)


def _by_position(text: str, size: int) -> set[int]:
    """Ordinals, numbers and letters; nothing at all when one of them is outside the list."""
    places = [-1 if w.lower() in ("last", "final") else _ORDINALS[w.lower()] for w in _ORDINAL.findall(text)]
    rest = _ORDINAL.sub(" ", text)
    if match := re.search(r"\b(\d{1,2})\s*(?:-|to|through)\s*(\d{1,2})\b", rest):
        places += range(int(match[1]), int(match[2]) + 1)
        rest = rest[: match.start()] + rest[match.end() :]
    bare = [
        w
        for w in words(rest)
        if w not in ("and", "or", "option", "options", "please", "number", "numbers", "the")
    ]
    only_places = not places and bool(bare) and all(_place(w) for w in bare)
    left = bare if only_places else [w for w in words(rest) if w not in _FILLERS]
    if left and all(_place(word) for word in left):
        places += [_place(word) for word in left]
    elif left and not places:
        return set()
    if not places or any(place > size for place in places):
        return set()
    return {size - 1 if place == -1 else place - 1 for place in places}


def _place(word: str) -> int:
    if word.isdecimal() and word.isascii() and len(word) < 3:
        return int(word)
    if len(word) == 1 and "a" <= word <= "z":
        return ord(word) - ord("a") + 1
    return _COUNT.get(word, 0)


def _by_name(text: str, names: Sequence[str], *, partly: bool) -> list[int]:
    """Entries named in full; else, when `partly`, those of which a telling word is named."""
    said = stems(text)
    full = [i for i, name in enumerate(names) if find_words(said, stems(name)) >= 0]
    if full and not partly:
        return full
    found = set(full)
    if partly:
        covered = {word for i in full for word in stems(names[i])}
        left = set(said) - covered - _FILLERS
        found |= {i for i, name in enumerate(names) if i not in found and _tells(left, name, names)}
        found |= {i for i, name in enumerate(names) if i not in found and _misspelt(left, name)}
    return sorted(found)


def _tells(said: set[str], name: str, names: Sequence[str]) -> bool:
    """A word of the name that no other name of the list has."""
    own = set(stems(name)) - _FILLERS
    others = {word for other in names if other != name for word in stems(other)}
    return bool({word for word in own - others if len(word) > 1} & said)


def _misspelt(said: set[str], name: str) -> bool:
    own = [word for word in stems(name) if len(word) > 4]
    return any(
        SequenceMatcher(None, word, other).ratio() >= 0.84 for word in own for other in said if len(other) > 4
    )


def _near(unknown: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    if not unknown:
        return ()
    phrase = " ".join(unknown)
    rated = sorted(names, key=lambda n: -SequenceMatcher(None, phrase, n.lower()).ratio())
    return tuple(n for n in rated if SequenceMatcher(None, phrase, n.lower()).ratio() >= 0.5)[:3]
