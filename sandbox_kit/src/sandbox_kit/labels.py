"""What people call the fields of documents: words of labels, and labels that mean the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from sandbox_kit.values import named, words_of

GENERIC = frozenset(named("name number date id type amount total code full status reference"))
"""Words that do not tell one field from another."""
_LEFT_OUT = frozenset({"of", "the", "your", "our", "a", "an", "and", "is", "please"})
_SAME_WORD = {
    "no": "number",
    "nr": "number",
    "num": "number",
    "mail": "email",
    "addr": "address",
    "ref": "reference",
    "tel": "phone",
    "telephone": "phone",
    "qty": "quantity",
    "amt": "amount",
    "organisation": "organization",
}
_MEANINGS = """\
po number · purchase order number · purchase order · po · order number · purchase order id · po id
invoice number · invoice · invoice id · bill number · invoice reference
policy number · policy id · policy · insurance policy number · certificate number
member id · member number · subscriber id · subscriber number · insurance id
claim number · claim id · claim · claim reference
insurance provider · insurer · insurance company · insurance · insurance carrier · carrier · payer · payor · \
health plan
patient name · patient · patient full name
date of birth · dob · birth date · birthday · born · born on
amount · total · total amount · amount due · total due · grand total · balance due · invoice total · \
order total · invoice amount · order amount · total price · sum
unit price · price · price per unit · unit cost · price each · cost per unit
quantity · count · units · number of items · pieces
item · description · product · article · item description · product name · item name · goods
vendor · supplier · seller · vendor name · supplier name
customer · client · buyer · bill to · billed to · customer name · client name · sold to
email · e mail · email address · contact email
phone · phone number · mobile · mobile number · cell
date · dated · issue date · date issued
due date · payment due · due · pay by · due by · payment due date · payable by
start date · first day · starts on · start · joining date
date of service · service date · treatment date · visit date
diagnosis · diagnosis code · condition
company · company name · organization · employer · account name
contact · contact name · contact person
address · street address · postal address · mailing address
plan · package · subscription · tier
job title · title · position · role
"""


@lru_cache(maxsize=20_000)
def label_words(label: str) -> tuple[str, ...]:
    """The words that count of a label, in their base form: `P.O. #` becomes po, number."""
    text = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", label)
    text = re.sub(r"\b([A-Za-z])\.\s?([A-Za-z])\.(?![A-Za-z])", r"\1\2 ", text)
    text = re.sub(r"\be[- ]mail\b", "email", text.replace("#", " number "), flags=re.IGNORECASE)
    words = [_SAME_WORD.get(word, word) for word in words_of(text) if word not in _LEFT_OUT]
    return tuple(dict.fromkeys(_singular(word) for word in words))


def _singular(word: str) -> str:
    return (
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    )


def vocabulary(names: Iterable[str]) -> frozenset[str]:
    """Every word that labels of these fields, or of any known one, are made of."""
    known = (label for group in _MEANINGS.strip().splitlines() for label in group.split(" · "))
    found = {word for label in (*known, *names) for word in words_of(label)}
    return frozenset(found | _LEFT_OUT | _SAME_WORD.keys())


SYNONYMS: tuple[frozenset[frozenset[str]], ...] = tuple(
    frozenset(frozenset(label_words(label)) for label in line.split(" · "))
    for line in _MEANINGS.strip().splitlines()
)
