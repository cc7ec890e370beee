"""Outside text on its way to a model: cleaned, bounded, marked with its origin, never a template (pure).

Marking helps a model to tell data from instructions, and nothing relies on it: what a step may do was fixed
before it read anything. What looks like an attack is a word in the log, and blocks nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from omniforge.llm import prompts

MAX_TEXT = 100_000
"""Characters of one value that a model is ever given at once."""
MAX_LOOKED_AT = 100_000
CUT = "[cut: {left} more characters]"
_HIDDEN = {
    **dict.fromkeys((*range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)), None),
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200B, 0x2060, 0xFEFF), None),
    **dict.fromkeys(range(0xE0000, 0xE0080), None),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}
"""Controls, direction overrides, text in invisible letters; half surrogate pairs, which no wire carries."""


class Source(StrEnum):
    """Who wrote a text."""

    USER = "user"
    SYSTEM = "system"
    MODEL = "model"
    TOOL = "tool"
    WEB = "web"
    FILE = "file"
    SKILL = "skill"
    STEP = "step"
    """What an earlier step gave."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A form that attacks have: for the log only."""

    name: str
    pattern: re.Pattern[str]


def _sign(name: str, *patterns: str) -> Sign:
    """Repetitions are bounded, so that looking takes time in proportion to the text."""
    return Sign(name, re.compile("|".join(patterns), re.IGNORECASE))


_BETWEEN = r"[^.!?\n]{0,60}"
SIGNS = (
    _sign(
        "override",
        rf"\b(?:ignore|disregard|forget|override)\b{_BETWEEN}\b(?:instructions?|prompts?|rules?|guidelines?)\b",
        rf"\b(?:ignorier\w{{0,4}}|vergiss|missachte)\b{_BETWEEN}\b(?:anweisung|vorgabe|regel)\w{{0,4}}",
        rf"\b(?:ignor[ea][rz]?|oublie[rz]?|olvida)\b{_BETWEEN}\b(?:instruc(?:tions?|ciones)|consignes?)\b",
        rf"игнорируй{_BETWEEN}инструкц|забудь{_BETWEEN}инструкц",
        r"(?:忽略|无视|忘记)[^。\n]{0,30}(?:指令|指示|说明|规则)|(?:無視)[^。\n]{0,10}(?:指示|命令)",
    ),
    _sign(
        "role_marker",
        r"^\s{0,8}(?:\*\*|#{1,4}\s{0,2})?(?:system|assistant|developer)(?:\*\*)?\s{0,2}(?:message|prompt)?:",
        r"<\|(?:im_start|im_end|system|assistant|endoftext)\|>|\[/?INST\]|<<SYS>>",
        r"</?(?:system|assistant|instructions?|developer)>",
    ),
    _sign("closing_mark", r"</?data\b"),
    _sign(
        "new_role",
        r"\byou are (?:now|no longer)\b",
        r"\bfrom now on,? you\b",
        r"\bact as (?:the )?(?:admin|root|system)",
    ),
    _sign(
        "secrecy",
        rf"\b(?:do not|don't|never)\b{_BETWEEN}\b(?:tell|mention|inform|reveal)\b{_BETWEEN}"
        r"\b(?:user|owner|anyone|anybody)\b",
    ),
    _sign(
        "credentials",
        rf"\b(?:send|post|reveal|print|give|forward)\b{_BETWEEN}"
        r"\b(?:passwords?|api[ _-]?keys?|tokens?|credentials?|secrets?)\b",
    ),
)
_MULTILINE = {
    sign.name: re.compile(sign.pattern.pattern, sign.pattern.flags | re.MULTILINE) for sign in SIGNS
}


def clean(text: str) -> str:
    """The text without what people cannot see; line ends as `\\n`."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_HIDDEN)


def signs_of(text: str) -> tuple[str, ...]:
    """Names of the forms of attack that a text has. A signal for the log, and no more."""
    looked_at = text[:MAX_LOOKED_AT]
    found = [name for name, pattern in _MULTILINE.items() if pattern.search(looked_at)]
    if looked_at.replace("\r", "").translate(_HIDDEN) != looked_at.replace("\r", ""):
        found.append("hidden_characters")
    return tuple(found)


def shorten(text: str, limit: int) -> tuple[str, str]:
    """At most `limit` characters, cut between words where there are any, and the rest."""
    if len(text) <= limit:
        return text, ""
    end = max(text.rfind(" ", limit // 2, limit + 1), text.rfind("\n", limit // 2, limit + 1))
    end = limit if end < 0 else end
    return text[:end].rstrip(), text[end:].lstrip()


def bounded(text: str, limit: int = MAX_TEXT) -> str:
    """At most `limit` characters, saying how many are missing."""
    return text if len(text) <= limit else text[:limit] + "\n" + CUT.format(left=len(text) - limit)


def spotlight(text: str, source: Source, name: str = "", *, limit: int = MAX_TEXT) -> str:
    """The text, cleaned and bounded, between marks that name its origin and that it cannot contain."""
    return prompts.spotlight(bounded(clean(text), limit), f"{source.value} {name}".rstrip())
