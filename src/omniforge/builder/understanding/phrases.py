"""Pieces of a sentence: chunks, what is left of them without small words, and small signal words."""

from __future__ import annotations

import re

from omniforge.builder.understanding.text import words

_EVERY_FIELD = re.compile(
    r"\b(?:everything|all (?:the )?(?:fields?|information|info|details|of (?:it|them|that))|all of it|"
    r"the lot|every field|all)\b",
    re.IGNORECASE,
)
_ADDS = re.compile(
    r"\b(?:add|adding|include|including|also|too(?=$|[,.;!?]| please)|"
    r"as well|plus|additionally|show|with|insert|needs?|"
    r"missing)\b",
    re.IGNORECASE,
)
_WIDENS = re.compile(r"\b(?:also|too|as well|add|plus|additionally|include|both)\b", re.IGNORECASE)
_SAYS_ONLY = re.compile(r"\b(?:only|just|nothing but)\b", re.IGNORECASE)
_CHUNK = re.compile(
    r"[,;\n+&/]|\band\b|\bplus\b|\bas well as\b|\balso\b|\bor\b|\.(?= |$)|:|\s-\s", re.IGNORECASE
)
_SMALL = frozenset(
    words("""
    the a an of for to in on at it its it's is are be was me my our us your you i i'd i'll we we'd want like
    need please with by from and or but also too as well just only some any all this that these those them
    they there here show include add put give make use list report reports have has get see should would
    could can will do does yes yeah yep ok okay sure no not right perfect great good thanks thank so then
    now information info details field fields column columns each every per more really actually instead
    first last one ones both what which how when where let's let lets what's everything anything something
    nothing work works fine nice format style simple short summary summaries weekly daily monthly if
    possible maybe kind same again out up down day week month time such think looks look love hi hello hey
    about agent item items entry entries database databases client's s t sort sorted order group grouped
    ready run delivered before after during top bottom change set new data text current always never still
    already back over into onto very much bit little quick quickly choose decide pick default defaults skip
    changed happened whatever rest you're i'm i've that's covering covers cover containing contains
""")
)


def chunks(text: str) -> list[str]:
    return [part.strip() for part in _CHUNK.split(text) if part and part.strip()]


def noun_phrase(chunk: str) -> str | None:
    """What is left of a chunk without small words, when it is short enough to be the name of something."""
    left = [
        word for word in re.findall(r"[\w'-]+", chunk) if word.lower() not in _SMALL and not word.isdecimal()
    ]
    return " ".join(left) if 1 <= len(left) <= 3 and sum(map(len, left)) > 2 else None


def wants_every_field(text: str) -> bool:
    return _EVERY_FIELD.search(text) is not None


def adds(text: str) -> bool:
    return _ADDS.search(text) is not None


def widens(text: str) -> bool:
    return _WIDENS.search(text) is not None


def says_only(text: str) -> bool:
    return _SAYS_ONLY.search(text) is not None and not re.search(
        r"\b(?:add|also|too|plus|as well)\b", text, re.IGNORECASE
    )
