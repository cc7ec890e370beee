"""Values as people write them: amounts with units, dates, names of fields, and when two of them are equal."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any


def named(words: str) -> tuple[str, ...]:
    """Words written in one text, as tables of them are best read."""
    return tuple(words.split())


CURRENCIES = {"$": "USD", "us$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "euro": "EUR"}
CODES = named(
    "usd eur gbp jpy chf cad aud nzd cny inr sek nok dkk pln czk huf brl mxn zar sgd hkd krw try ils aed"
)
MONTHS = named("january february march april may june july august september october november december")
MOST_DIGITS = 30

_SPLIT = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_NUMBER = r"\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?|\.\d+"
_MONEY = r"us\$|[$€£¥₹]"
_AMOUNT = re.compile(
    rf"(?P<open>\()?(?P<sign>[-+\u2212])?\s*(?P<before>{_MONEY}|[a-z]{{3}})?\s*(?P<later>[-+\u2212])?"
    rf"\s*(?P<number>{_NUMBER})\s*(?P<after>%|{_MONEY}|[^\W\d_]{{1,12}})?(?P<close>\))?",
    re.IGNORECASE,
)
_PER = re.compile(r"\s*(?:/\s*[^\W\d_]+|\b(?:each|per\s+[^\W\d_]+|a\s+piece|p\.?a\.?))\s*$", re.IGNORECASE)
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d{1,2}:\d{2}.*)?")
_PARTS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_DAY_MONTH = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th)?[\s.-]+(?:of\s+)?([a-z]{3,9})\.?,?[\s-]+(\d{4})", re.IGNORECASE
)
_MONTH_DAY = re.compile(r"([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})", re.IGNORECASE)
_WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Amount:
    """A number and its unit: a currency code, `%`, any other word, or nothing."""

    number: Decimal
    unit: str = ""


def words_of(name: str) -> list[str]:
    """Words of a name in small letters without accents, `patientName` and `patient_name` alike."""
    plain = unicodedata.normalize("NFKD", _SPLIT.sub(" ", name)).casefold()
    return _WORD.findall("".join(sign for sign in plain if not unicodedata.combining(sign)))


def key_of(name: str) -> str:
    """A name as a key of an object: `Date of birth` becomes date_of_birth."""
    key = "_".join(words_of(name))
    return key if key and not key[0].isdigit() else f"field_{key}".rstrip("_")


def amount_of(value: Any) -> Amount | None:
    """A number, or a text that is nothing but one: `$1,234.50`, `1.234,50 EUR`, `(85.00)`, `5.9 %`, `3 pcs`.

    A single comma before three digits parts thousands; a single dot is a decimal point.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return Amount(Decimal(str(value))) if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    found = _AMOUNT.fullmatch(_PER.sub("", value.strip()))
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    before, after = (found["before"] or "").casefold(), (found["after"] or "").casefold()
    if before and before not in CURRENCIES and before not in CODES:
        return None
    number = _decimal(found["number"])
    if number is None:
        return None
    is_negative = found["open"] or "-" in _sign(found) or "\u2212" in _sign(found)
    return Amount(-number if is_negative else number, _unit(before or after))


def _sign(found: re.Match[str]) -> str:
    return f"{found['sign'] or ''}{found['later'] or ''}"


def _unit(word: str) -> str:
    if word in CODES:
        return word.upper()
    return {"percent": "%", "pct": "%"}.get(word, CURRENCIES.get(word, word))


def _decimal(text: str) -> Decimal | None:
    digits = re.sub(r"[ '\u00a0\u202f]", "", text)
    if len(digits) > MOST_DIGITS:
        return None
    commas, dots = digits.count(","), digits.count(".")
    if commas and dots:
        thousands = "," if digits.rindex(".") > digits.rindex(",") else "."
        digits = digits.replace(thousands, "").replace(",", ".")
    elif commas > 1 or (commas == 1 and re.fullmatch(r"\d{1,3},\d{3}", digits)):
        digits = digits.replace(",", "")
    elif dots > 1:
        digits = digits.replace(".", "")
    else:
        digits = digits.replace(",", ".")
    return Decimal(digits) if re.fullmatch(r"\d*\.?\d+", digits) else None


def plain_number(number: Decimal) -> int | float:
    """As JSON has it: whole where it is whole."""
    return int(number) if number == number.to_integral_value() else float(number)


def date_of(value: Any) -> date | None:
    """A date that can be read in one way only: `2026-11-21`, `21 Nov 2026`; never `03/04/2026`."""
    if not isinstance(value, str) or len(value) > 60:
        return None
    text = _WEEKDAY.sub("", value.strip())
    if found := _ISO.fullmatch(text):
        return _date(found[1], found[2], found[3])
    if found := _PARTS.fullmatch(text):
        first, second = int(found[1]), int(found[3])
        if found[2] == "." or first > 12 or first == second:
            return _date(found[4], second, first)
        return _date(found[4], first, second) if second > 12 else None
    if found := _DAY_MONTH.fullmatch(text):
        return _date(found[3], _month(found[2]), found[1])
    if found := _MONTH_DAY.fullmatch(text):
        return _date(found[3], _month(found[1]), found[2])
    return None


def _month(word: str) -> int:
    """0 for what is no month."""
    known = word.casefold()
    return next(
        (n for n, name in enumerate(MONTHS, 1) if name.startswith(known) or known == f"{name[:3]}t"), 0
    )


def _date(year: Any, month: Any, day: Any) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def normal(value: Any) -> str:
    """What equal values have in common: case, spaces, marks and the way a date is written do not count."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).casefold()
    if isinstance(value, (int, float)):
        return normal(str(plain_number(Decimal(str(value))))) if math.isfinite(value) else ""
    if isinstance(value, (list, tuple)):
        return " ".join(normal(one) for one in value)  # pyright: ignore[reportUnknownVariableType]
    moment, text = date_of(value), str(value)
    return moment.isoformat() if moment else "".join(words_of(text)) or " ".join(text.split())


def is_same(left: Any, right: Any) -> bool:
    """Whether two values mean the same. A number and a text are, when the text is that number."""
    if normal(left) == normal(right):
        return True
    numbers = [isinstance(one, (int, float)) and not isinstance(one, bool) for one in (left, right)]
    if not any(numbers):
        return False
    first, second = amount_of(left), amount_of(right)
    return first is not None and second is not None and first.number == second.number


def shown(value: Any, unit: str = "") -> str:
    """A value as people read it; numbers with at most two decimals."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(one) for one in value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, (int, float)):
        is_money = unit.casefold() in CODES
        text = f"{value:,.2f}" if is_money or not float(value).is_integer() else f"{value:,.0f}"
        return f"{text} {unit}".strip()
    return str(value)
