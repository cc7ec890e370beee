"""Text as the rules read it: normalised, cut into words, whole words only."""

# ruff: noqa: RUF001 - tables of words are best compared in one piece

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

LONGEST_MESSAGE = 4_000
LONGEST_DRAWN = 16

_QUOTES = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "…": "..."})
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|👍|👎|✅|❌", re.UNICODE)
_CONTRACTIONS = {
    "dont": "don't",
    "doesnt": "doesn't",
    "cant": "can't",
    "wont": "won't",
    "lets": "let's",
    "im": "i'm",
    "id": "i'd",
    "ill": "i'll",
    "thats": "that's",
    "isnt": "isn't",
    "whats": "what's",
    "cannot": "can't",
}
_SMALL_NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
NUMBER_WORDS = {word: n for n, word in enumerate(_SMALL_NUMBERS)} | {
    "thirty": 30,
    "forty-five": 45,
    "a": 1,
    "an": 1,
}


def normalise(text: str) -> str:
    """NFKC, plain quotes and dashes, no control or direction characters, single spaces; case is kept."""
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    kept = "".join(
        " " if c.isspace() else c for c in plain if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    return re.sub(r"[ ]+", " ", kept).strip()


def words(text: str) -> list[str]:
    """Lower-case words; letters drawn out ("yesss") are shortened, apostrophes put back ("dont")."""
    found = [_undrawn(word) for word in _WORD.findall(text.casefold())]
    return [_CONTRACTIONS.get(word, word) for word in found]


def _undrawn(word: str) -> str:
    shorter = re.sub(r"([^\W\d])\1{2,}", r"\1", word) if len(word) <= LONGEST_DRAWN else word
    return shorter if len(shorter) > 1 else word


def singular(word: str) -> str:
    """A rough singular, good enough to compare "updates" with "update"."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=4096)
def stems(text: str) -> tuple[str, ...]:
    """The words of a name in singular, without possessive endings."""
    return tuple(singular(re.sub(r"'s?$", "", word)) for word in words(text))


@cache
def phrase_pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the phrases as whole words, longest first; spaces match any run of spaces or hyphens."""
    ordered = sorted(phrases, key=len, reverse=True)
    inner = "|".join(re.escape(p).replace(r"\ ", r"[\s-]+") for p in ordered)
    return re.compile(rf"(?<![\w]){'(?:' + inner + ')'}(?![\w])", re.IGNORECASE)


def has_phrase(text: str, phrases: Iterable[str]) -> bool:
    return phrase_pattern(tuple(phrases)).search(text) is not None


def blank(text: str, start: int, end: int) -> str:
    """The text with a span understood already replaced by a separator of equal length."""
    return text[:start] + "," + " " * (end - start - 1) + text[end:]


def find_words(haystack: tuple[str, ...], needle: tuple[str, ...]) -> int:
    """Position of a run of words in another, or -1."""
    size = len(needle)
    if not size:
        return -1
    return next((i for i in range(len(haystack) - size + 1) if haystack[i : i + size] == needle), -1)


def listed(items: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    all_items = list(items)
    if len(all_items) < 2:
        return "".join(all_items)
    return f"{', '.join(all_items[:-1])} {last} {all_items[-1]}"
