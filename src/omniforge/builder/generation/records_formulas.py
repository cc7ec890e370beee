"""Formulas over fields as people give them: what they may hold, and which fields they read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from omniforge.core.errors import Invalid

LONGEST = 500
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|"
    r"(?P<name>[^\W\d]\w*)|(?P<open>\()|(?P<close>\))|(?P<percent>%)|(?P<sign>[-+])|(?P<mark>[*/]))"
)


def check_formulas(formulas: Mapping[str, str], part: str) -> None:
    """Invalid naming every formula that cannot be worked out."""
    wrong = [
        {
            "field": f"{part}.{name}"[:200],
            "value": text[:200],
            "rule": "numbers, fields, + - * / % and brackets",
        }
        for name, text in formulas.items()
        if not is_formula(text)
    ]
    if wrong:
        raise Invalid("A sum in this step cannot be worked out.", code="bad_formula", fields=wrong)


def is_formula(text: str) -> bool:
    """Whether values and signs alternate, and every bracket is closed."""
    kinds = _kinds(text)
    if kinds is None:
        return False
    depth, wants_value = 0, True
    for kind in kinds:
        match kind:
            case "value" if wants_value:
                wants_value = False
            case "sign" if wants_value:
                pass
            case "open" if wants_value:
                depth += 1
            case "sign" | "mark" if not wants_value:
                wants_value = True
            case "close" if not wants_value and depth:
                depth -= 1
            case "percent" if not wants_value:
                pass
            case _:
                return False
    return depth == 0 and not wants_value


def names_of(text: str) -> list[str]:
    """The fields that a formula reads."""
    found = (match["double"] or match["single"] or match["name"] for match in _TOKEN.finditer(text[:LONGEST]))
    return list(dict.fromkeys(name for name in found if name))


def _kinds(text: str) -> list[str] | None:
    """What kind each token is; None when something is no token, or there are too many."""
    kinds: list[str] = []
    at, plain = 0, text.strip()
    if not plain or len(plain) > LONGEST:
        return None
    while at < len(plain):
        match = _TOKEN.match(plain, at)
        if match is None:
            return None
        name = match.lastgroup or ""
        kinds.append("value" if name in ("number", "double", "single", "name") else name)
        at = match.end()
    return kinds if kinds.count("open") + kinds.count("sign") < 30 else None
