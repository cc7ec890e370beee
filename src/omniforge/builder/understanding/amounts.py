"""Numbers with their units, and the words that compare them."""

from __future__ import annotations

import re

from omniforge.builder.understanding.text import NUMBER_WORDS

NUMBER_WORD = "|".join(
    [*sorted((w for w in NUMBER_WORDS if w not in ("a", "an")), key=len, reverse=True), "nil"]
)


AMOUNT = (
    rf"(?P<sign>-\s?)?(?:(?:usd|eur|gbp|us\$|[$€£])\s?)?(?P<n>\d{{1,3}}(?:[,' ]\d{{3}})+(?:\.\d+)?|"
    rf"\d+(?:[.,]\d+)?|"
    rf"(?:{NUMBER_WORD})\b)\s?(?P<scale>hundred\b|thousand\b|million\b|k\b|m\b)?"
    r"\s?(?P<unit>%|percent\b|per cent\b|pct\b|percentage points?\b|[$€£]|dollars?\b|usd\b|euros?\b|eur\b|"
    r"pounds?\b|"
    r"gbp\b|bucks\b|points?\b|days?\b|hours?\b|weeks?\b|months?\b|minutes?\b|degrees?(?: celsius| c| "
    r"fahrenheit)?\b|°[cf]?|kg\b|units?\b|pieces?\b)?"
)


_OPS: tuple[tuple[str, str], ...] = (
    (">=", r"at least|not (?:less|lower|smaller|fewer) than|no (?:less|fewer) than|a minimum of|"
           r"min(?:imum)?|>=|≥|"
           r"not (?:below|under)|equal to or (?:more|greater|higher) than|(?:more|greater|higher) than or "
           r"equal to"),
    ("<=", r"at most|up to|not? (?:more|greater|higher|larger) than|a maximum of|max(?:imum)?|<=|≤|within|"
           r"not (?:over|above)|(?:less|lower|smaller) than or equal to|doesn't exceed|does not exceed"),
    (">", r"over|above|(?:more|greater|higher|larger|bigger|longer|older) than|exceed(?:s|ing|ed)?|beyond|>|"
          r"in excess of|north of"),
    ("<", r"under|below|(?:less|lower|smaller|fewer|shorter|younger|cheaper) than|<|beneath|short of"),
    ("!=", r"not (?:equal to|exactly)|!=|<>|other than"),
    ("==", r"exactly|equal(?:s| to)?|==?|precisely"),
)  # fmt: skip


_TAILS: tuple[tuple[str, str], ...] = (
    (">=", r"\s?(?:or|and) (?:more|above|over|higher|greater|up(?:wards)?|larger)|\s?\+|"
           r"\s?(?:on)?wards|\s?on(?:wards)?|"
           r"\s?and beyond"),
    ("<=", r"\s?(?:or|and) (?:less|below|under|lower|fewer|smaller|down)"),
)  # fmt: skip


OP = "|".join(f"(?P<op{i}>{row})" for i, (_, row) in enumerate(_OPS))


TAIL = "|".join(f"(?P<tail{i}>{row})" for i, (_, row) in enumerate(_TAILS))


UNITLESS = (
    r"(?:%|percent|per cent|dollars?|euros?|pounds?|usd|eur|thousand|million|hundred|points?|days?|hours?)\b"
)


def read_amount(text: str) -> tuple[str, str] | None:
    """A number as CEL writes it, and its unit (`%`, `days` … or nothing)."""
    match = re.match(rf"^\s*(?:a |an |the )?{AMOUNT}", text, re.IGNORECASE)
    if not match:
        return None
    raw = match["n"].lower()
    if raw in NUMBER_WORDS or raw == "nil":
        value = float(NUMBER_WORDS.get(raw, 0))
    else:
        plain = re.sub(r"[' ]|,(?=\d{3}\b)", "", raw).replace(",", ".")
        value = float(plain)
    scale = {"hundred": 100, "thousand": 1_000, "k": 1_000, "million": 1_000_000, "m": 1_000_000}
    value *= scale.get((match["scale"] or "").lower(), 1)
    if match["sign"]:
        value = -value
    unit = (match["unit"] or "").lower()
    if unit.startswith(("%", "per", "pct")):
        unit = "%"
    elif unit.rstrip("s") in ("day", "hour", "week", "month", "minute"):
        unit = unit.rstrip("s") + "s"
    else:
        unit = ""
    return (f"{value:.1f}" if value == int(value) else repr(value)), unit


def whole_number(raw: str) -> int:
    return int(raw) if raw.isdecimal() else NUMBER_WORDS.get(raw.lower(), 0)


def op_sign(match: re.Match[str]) -> str | None:
    return next((sign for i, (sign, _) in enumerate(_OPS) if match[f"op{i}"]), None)


def tail_sign(match: re.Match[str]) -> str | None:
    return next((sign for i, (sign, _) in enumerate(_TAILS) if match[f"tail{i}"]), None)
