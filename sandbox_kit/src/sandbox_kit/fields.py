"""Fields looked up in a document by their labels; what is not there, or not clear, stays open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sandbox_kit.documents import Document, Pair, is_empty, read_document
from sandbox_kit.labels import GENERIC, SYNONYMS, label_words, vocabulary
from sandbox_kit.values import Amount, amount_of, date_of, key_of, named, normal, plain_number, words_of

HOW = {"held": 1.0, "beside": 1.0, "below": 0.9, "column": 0.95}
"""How far a value is trusted by where it stands."""
LEAST = 0.5
MOST_LISTED = 20
MOST_LABELS = 100
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}")
PHONE = re.compile(r"(?<![\w.])(?:\+|00)?\(?\d[\d\s().\-/]{5,18}\d(?!\w|\.\d)")
KINDS = (
    ("email", frozenset({"email"})),
    ("phone", frozenset({"phone", "telephone", "mobile", "fax", "tel"})),
    ("date", frozenset({"date", "birthday", "dob", "deadline"})),
    (
        "amount",
        frozenset(named("amount total price cost fee balance subtotal tax vat salary premium deductible")),
    ),
    ("number", frozenset(named("quantity qty count age hours days percent percentage rate"))),
)
"""What the words of a field's name say about its values."""
WORDS_AFTER_NUMBER = frozenset({"of"})


@dataclass
class Found:
    """`values`: key → value or None. `confidence`: key → 0 to 1. `units`: key → unit of a number. `missing`:
    names of fields without a value. `unclear`: key → the different values that were found. `rows`: of the
    table that fields were found in, or else the first one."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    confidence: dict[str, float] = field(default_factory=dict[str, float])
    units: dict[str, str] = field(default_factory=dict[str, str])
    missing: list[str] = field(default_factory=list[str])
    unclear: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def find_fields(
    given: Any,
    fields: Mapping[str, str],
    *,
    about: str = "",
    known: Mapping[str, Sequence[str]] | None = None,
) -> Found:
    """Look up `fields` (key → name) in a document.

    about: what the document is, say `invoice`: there, `invoice_amount` may be called Amount. known: key →
    values that there are; one of them in other letters is given back as it stands there.
    """
    document = read_document(given, vocabulary(fields.values()))
    found = Found(rows=_rows_of(document, fields.values(), about))
    for key, name in fields.items():
        kind = kind_of(name)
        hits = _hits(document, name, kind, about) or _by_pattern(document.text, kind)
        best = max((score for score, _ in hits), default=0.0)
        values = _different([value for score, value in hits if score >= best - 0.01])
        if len(values) == 1 and best >= LEAST:
            value, unit = typed(kind, values[0])
            found.values[key] = canonical(value, (known or {}).get(key, ()))
            found.confidence[key] = round(best, 2)
            if unit:
                found.units[key] = unit
            continue
        found.values[key], found.confidence[key] = None, 0.0
        found.missing.append(name)
        if len(values) > 1:
            found.unclear[key] = [str(value)[:200] for value in values[:MOST_LISTED]]
    return found


def _different(values: Sequence[Any]) -> list[Any]:
    """Each value once, as it came first."""
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(normal(value), value)
    return list(found.values())


def labels_in(given: Any) -> dict[str, str]:
    """Every label of a document as a field, key → name: for somebody who did not say what to look for."""
    pairs = read_document(given, vocabulary(())).pairs
    labels = [pair.label for pair in pairs if pair.how != "below" and label_words(pair.label)]
    return {key_of(label): label for label in dict.fromkeys(labels[:MOST_LABELS])}


def kind_of(name: str) -> str:
    """email, phone, date, amount, number, id or text."""
    words = label_words(name)
    parts = set(words)
    if "number" in parts and not WORDS_AFTER_NUMBER & set(words_of(name)) and "phone" not in parts:
        return "id"
    for kind, telling in KINDS:
        if telling & parts:
            return kind
    if {"id", "code", "reference"} & parts:
        return "id"
    return "number" if "number" in parts else "text"


def typed(kind: str, value: Any) -> tuple[Any, str]:
    """A value as its kind has it, and its unit: numbers as numbers, dates as 2026-11-21."""
    if kind in ("amount", "number") and (amount := _amount(value)) is not None:
        return plain_number(amount.number), amount.unit
    if kind == "date" and (day := date_of(value)) is not None:
        return day.isoformat(), ""
    if kind == "email" and isinstance(value, str) and (address := EMAIL.search(value)):
        return address[0], ""
    return value, ""


def canonical(value: Any, known: Sequence[str]) -> Any:
    """The known value that this one is, whatever its letters, spaces and legal form; or the value itself."""
    if not isinstance(value, str):
        return value
    plain = _without_form(value)
    return next((one for one in known if normal(one) == normal(value) or _without_form(one) == plain), value)


_FORMS = frozenset(named("inc incorporated corp corporation co company llc ltd limited plc gmbh ag sa the"))


def _without_form(value: str) -> str:
    return "".join(word for word in words_of(value) if word not in _FORMS)


# --- looking ------------------------------------------------------------------------------------------------


def _hits(document: Document, name: str, kind: str, about: str) -> list[tuple[float, Any]]:
    """Every value under a label that fits, with how far it is trusted."""
    hits: list[tuple[float, Any]] = []
    for pair in [*document.pairs, *_columns(document)]:
        score = label_score(pair.label, name, about) * HOW[pair.how]
        if score >= LEAST and not is_empty(pair.value):
            score *= _fitness(kind, pair)
            if score >= LEAST:
                hits.append((score, pair.value))
    return hits


def _columns(document: Document) -> list[Pair]:
    return [
        Pair(name, value, "column")
        for table in document.tables
        for row in table
        if not _is_sum(row)
        for name, value in row.items()
    ]


def _is_sum(row: Mapping[str, Any]) -> bool:
    """Whether a row of a table sums up those above it."""
    first = next((value for value in row.values() if not is_empty(value)), "")
    return bool(set(words_of(str(first))[:2]) & {"total", "subtotal", "sum"})


def label_score(label: str, name: str, about: str = "") -> float:
    """How surely a label names a field: 1 the same words, less for other words that mean the same."""
    return _label_score(label[:200], name, about)


@lru_cache(maxsize=20_000)
def _label_score(label: str, name: str, about: str) -> float:
    has, wants = frozenset(label_words(label)), frozenset(label_words(name))
    if not has or not wants:
        return 0.0
    if has == wants:
        return 1.0
    subject = frozenset(label_words(about))
    shorter = [wants - subject] if wants & subject and wants - subject else []
    if has in shorter or any(has in group and wants in group for group in SYNONYMS):
        return 0.9
    if any(has in group and short in group for group in SYNONYMS for short in shorter):
        return 0.85
    if has - {"name"} == wants - {"name"}:
        return 0.85
    own = wants - GENERIC
    if own and wants < has and len(has - wants) <= 2:
        return 0.65
    return 0.6 if has < wants and len(wants - has) == 1 and has - GENERIC else 0.0


def _fitness(kind: str, pair: Pair) -> float:
    """Whether the value can be what its field is: 0 when it cannot."""
    value = pair.value
    if kind in ("amount", "number"):
        return 1.0 if _amount(value) is not None else 0.0
    if not isinstance(value, str):
        return 1.0 if not isinstance(value, (dict, list)) or kind == "text" else 0.0
    if kind == "email":
        return 1.0 if len(EMAIL.findall(value)) == 1 else 0.0
    if kind == "phone":
        return 1.0 if PHONE.search(value) else 0.0
    if kind == "date":
        if date_of(value) is not None:
            return 1.0
        return 0.7 if re.search(r"\d", value) and len(value) < 40 else 0.0
    if kind == "id":
        return 1.0 if re.search(r"\d", value) and len(value.split()) <= 3 else 0.0
    return 1.0 if pair.how != "below" or len(value) <= 200 else 0.7


def _amount(value: Any) -> Amount | None:
    """The one number that a value is, or holds: `USD 85.00 (incl. VAT)`."""
    amount = amount_of(value)
    if amount is not None or not isinstance(value, str):
        return amount
    return amount_of(
        re.sub(r"\s*\([^()]*\)\s*$|\s*,?\s*(?:incl|excl|net|gross|plus)\b.*$", "", value.strip(), flags=re.I)
    )


def _by_pattern(text: str, kind: str) -> list[tuple[float, Any]]:
    """An address or number without a label, when there is only one in the whole document."""
    if kind == "email":
        hits = {one.casefold() for one in EMAIL.findall(text)}
    elif kind == "phone":
        hits = {one.strip() for one in PHONE.findall(text) if date_of(one.strip()) is None and "+" in one}
    else:
        return []
    return [(0.6, hits.pop())] if len(hits) == 1 else []


def _rows_of(document: Document, names: Any, about: str) -> list[dict[str, Any]]:
    """Rows of the table whose headings name most of the fields."""

    def heads_named(table: list[dict[str, str]]) -> int:
        heads = list(table[0]) if table else []
        return sum(any(label_score(head, name, about) >= 0.85 for head in heads) for name in names)

    wide = [table for table in document.tables if table and len(table[0]) > 1 and heads_named(table)]
    return max(wide, key=heads_named) if wide else []
