"""Kinds of entries where a place has several, what people call them, and which information they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omniforge.builder.understanding.fields import Field

THINGS: dict[str, dict[str, re.Pattern[str]]] = {
    "github": {
        "issues": re.compile(r"\b(?:issues?|bugs?|tickets?)\b", re.IGNORECASE),
        "pull_requests": re.compile(
            r"\b(?:pull[ -]?requests?|merge requests?|prs?)\b|\breview requests?\b", re.IGNORECASE
        ),
        "commits": re.compile(r"\bcommits?\b|\bcommitted\b", re.IGNORECASE),
        "releases": re.compile(r"\breleases?\b", re.IGNORECASE),
    }
}
"""Service → kind of entries → the words for it."""

_PEOPLE, _DATE, _TICK = "people", "date", "checkbox"
_MORE: dict[tuple[str, str], tuple[Field, ...]] = {
    ("github", "issues"): (
        Field(name="author", type=_PEOPLE),
        Field(name="closed_at", type=_DATE),
    ),
    ("github", "pull_requests"): (
        Field(name="state", type="select", options=("open", "closed", "merged")),
        Field(name="draft", type=_TICK),
        Field(name="author", type=_PEOPLE),
        Field(name="reviewers", type=_PEOPLE),
        Field(name="branch"),
        Field(name="base"),
        Field(name="merged_at", type=_DATE),
        Field(name="closed_at", type=_DATE),
    ),
    ("github", "commits"): (
        Field(name="message", type="title"),
        Field(name="author", type=_PEOPLE),
        Field(name="at", type=_DATE),
    ),
    ("github", "releases"): (
        Field(name="name", type="title"),
        Field(name="text", type="rich_text"),
        Field(name="tag"),
        Field(name="author", type=_PEOPLE),
        Field(name="draft", type=_TICK),
        Field(name="prerelease", type=_TICK),
        Field(name="published_at", type=_DATE),
    ),
    ("rss", ""): (
        Field(name="title", type="title"),
        Field(name="published_at", type=_DATE),
        Field(name="author"),
        Field(name="text", type="rich_text"),
        Field(name="tags", type="multi_select"),
    ),
    ("email", ""): (
        Field(name="subject", type="title"),
        Field(name="from_name"),
        Field(name="from"),
        Field(name="received_at", type=_DATE),
        Field(name="text", type="rich_text"),
        Field(name="seen", type=_TICK),
        Field(name="to"),
    ),
}
"""Service and kind of entries → information that their places do not describe themselves."""
_AS_ISSUES = frozenset(("issues", "pull_requests"))


def things_in(text: str, service: str | None) -> tuple[str, ...]:
    """Kinds of entries that a text names, where the service has several."""
    return tuple(thing for thing, said in THINGS.get(service or "", {}).items() if said.search(text))


def without_things(text: str, service: str | None) -> str:
    """The text without the words for kinds of entries."""
    for said in THINGS.get(service or "", {}).values():
        text = said.sub(lambda found: "," + " " * (len(found.group()) - 1), text)
    return text


def fields_there(service: str | None, things: Sequence[str], described: Sequence[Field]) -> tuple[Field, ...]:
    """The information that entries of these kinds hold; `described` is what their places tell of it."""
    kinds = list(things) or list(THINGS.get(service or "", {"": None}))[:1]
    found: dict[str, Field] = {}
    for kind in kinds:
        own = _MORE.get((service or "", kind), ())
        told = described if kind in _AS_ISSUES or (service or "") not in THINGS else ()
        for one in (*(f for f in told if f.name not in {o.name for o in own}), *own):
            found.setdefault(one.name, one)
    return tuple(found.values())
