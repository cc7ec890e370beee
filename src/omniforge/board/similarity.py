"""How alike two texts are, by the groups of letters in them. Pure: a text has one vector, everywhere."""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from math import log, sqrt
from operator import mul
from typing import Protocol
from unicodedata import normalize

Vector = Sequence[float]
_SIGNS = re.compile(r"[\W_]+")


class Embedder(Protocol):
    """Turns texts into vectors. Vectors of different names are never compared."""

    @property
    def name(self) -> str: ...

    def embed(self, text: str) -> Vector:
        """Of length 1, or zeros where nothing is said. May raise anything: then nothing is compared."""
        ...


class LetterGroups:
    """Groups of three to five letters, spaces between words among them. Each falls into one of `size` places
    with a sign, so that groups which meet there cancel out as often as they add up."""

    def __init__(self, size: int = 1024, lengths: Sequence[int] = (3, 4, 5)) -> None:
        self.size, self.lengths = size, lengths

    @property
    def name(self) -> str:
        return f"letters-{self.lengths[0]}-{self.lengths[-1]}/{self.size}"

    def embed(self, text: str) -> Vector:
        plain = f" {plain_text(text)} "
        counts = Counter(
            plain[begin : begin + length]
            for length in self.lengths
            for begin in range(max(len(plain) - length + 1, 1))
        )
        places = [0.0] * self.size
        for group, count in counts.items():
            mark = zlib.crc32(group.encode("utf-8", "surrogatepass"))
            weight = 1.0 + log(count)
            places[(mark >> 1) % self.size] += weight if mark & 1 else -weight
        length = sqrt(sum(map(mul, places, places)))
        return packed([one / length for one in places]) if length else places


def plain_text(text: str) -> str:
    """Without case, signs and spellings of the same letter; a text of signs only stays as it is."""
    folded = normalize("NFKC", text).casefold()
    return _SIGNS.sub(" ", folded).strip() or text


def similarity(one: Vector, other: Vector) -> float:
    """Cosine of two vectors of length 1, from 0 to 1, to six places; 1 for equal ones, 0 for others that
    cannot be compared."""
    if len(one) != len(other):
        return 0.0
    if list(one) == list(other):
        return 1.0
    return round(min(max(sum(map(mul, one, other)), 0.0), 1.0), 6)


def packed(vector: Vector) -> Vector:
    """As it will be read again."""
    return from_bytes(to_bytes(vector)) or []


def to_bytes(vector: Vector) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


def from_bytes(kept: bytes) -> Vector | None:
    """None for bytes that are no vector."""
    return struct.unpack(f"<{len(kept) // 4}f", kept) if kept and len(kept) % 4 == 0 else None
