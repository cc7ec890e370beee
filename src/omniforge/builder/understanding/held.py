"""Quoted words, addresses and alternatives, kept aside while a message is cut into sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from omniforge.builder.understanding.spelling import corrected
from omniforge.builder.understanding.text import LONGEST_MESSAGE, normalise


@dataclass
class Held:
    """Quoted words, addresses and lists of alternatives, out of the way while sentences are cut."""

    kept: list[str] = field(default_factory=list[str])

    def hold(self, kind: str, text: str) -> str:
        self.kept.append(text)
        return f"zz{kind}{len(self.kept) - 1}zz"

    def restore(self, text: str) -> str:
        def back(match: re.Match[str]) -> str:
            at = int(match[1])
            return self.kept[at] if at < len(self.kept) else match.group()

        return re.sub(r"zz[quea](\d{1,4})zz", back, text)

    def said(self, text: str) -> str:
        """The text with quoted words in quotes again."""
        return self.restore(re.sub(r"zzq(\d{1,4})zz", lambda m: f'"{m.group()}"', text))

    def of_kind(self, kind: str, text: str) -> list[str]:
        return [
            self.kept[int(n)] for n in re.findall(rf"zz{kind}(\d{{1,4}})zz", text) if int(n) < len(self.kept)
        ]


_URL = re.compile(r"https?://[^\s,;]+[^\s,;.:!?)]", re.IGNORECASE)


_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


_QUOTED = re.compile(r"\"[^\"]{1,200}\"|(?<![\w'])'[^']{1,200}'(?![\w'])")


_NAME = (
    r"(?:the )?[A-Z][\w&'-]*(?:\.\w+)*(?: (?!or\b|and\b)[A-Z][\w&'-]*(?:\.\w+)*){0,3}(?: (?:form|"
    r"template|one|sheet))?"
)


_ALTERNATIVES = re.compile(
    rf"(?<!\. ){_NAME}(?:, {_NAME})*,? or {_NAME}(?![\w])(?!(?: \w+){{0,3}} (?:if|when)\b)"
)


_ITEM = re.compile(r"(?:^|(?<=[\s:.;,]))(?:step )?(?P<n>\d{1,2})[.):](?=\s+[A-Za-z\"'#])", re.IGNORECASE)


_BULLET = re.compile(r"(?m)^\s*[-*•·]\s+")


MARK = "¶"


LONGEST_WISH = LONGEST_MESSAGE


def hold_back(message: str) -> tuple[str, Held]:
    """The text in one line with list marks, and what was taken out of it."""
    held = Held()
    raw = _BULLET.sub(f" {MARK} ", message[:LONGEST_WISH])
    text = normalise(re.sub(r"\r?\n+", f" {MARK} ", raw))
    text = _URL.sub(lambda m: held.hold("u", m.group()), text)
    text = _EMAIL.sub(lambda m: held.hold("e", m.group()), text)
    text = re.sub(r"\s*\(([^()]{3,300})\)", r", \1,", text)
    text = _QUOTED.sub(lambda m: held.hold("q", m.group()[1:-1]), text)
    text = _ALTERNATIVES.sub(lambda m: held.hold("a", m.group()), text)
    return _numbered(corrected(text)), held


def _numbered(text: str) -> str:
    """Items 1., 2., 3. become marks; a lone number stays."""
    items = list(_ITEM.finditer(text))
    if [int(m["n"]) for m in items[:2]] != [1, 2]:
        return text
    return _ITEM.sub(f" {MARK}{MARK} ", text)
