"""What the words of a part tell of its entries and its place, used once what is there is known. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from omniforge.builder.design import Design
from omniforge.builder.draft import title_of
from omniforge.builder.exchange import Facts
from omniforge.builder.outline import Part, Report
from omniforge.builder.problems import problem_words
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.filters import merged, take_filters
from omniforge.builder.understanding.roles import OVER
from omniforge.builder.understanding.shaping import How, Only, take_group, take_order
from omniforge.builder.understanding.slots import Problem
from omniforge.builder.understanding.text import blank, words

HEARD = "filters"
"""Marks in `asked` that the words of a part were used up for its entries."""
NAMED = "named"
"""Marks in `asked` that a part's place was named and is not there: none is proposed instead."""
STANDING = frozenset(("notion", "linear", "github", "files"))
"""Services whose entries stay as they are until somebody changes them; elsewhere they happen once."""
_ONCE = frozenset(("commits", "releases"))
_OVER = OVER | {"resolved"}
_OF_ENTRIES = re.compile(r"items > 0|[a-z_]\w* == true")
_LOOKS = re.compile(r"(?:check|look|watch|monitor|scan|keep an eye|inspect|go through)\b", re.IGNORECASE)
_STATE = re.compile(
    r"(?:something|anything|any [\w ]{2,30}?|one(?: of (?:them|these))?|some) (?:is|are|was|were) "
    r"(?!new\b|there\b|found\b|left\b)(?P<how>[\w ]{2,40})$",
    re.IGNORECASE,
)
_REPOSITORY = re.compile(r"(?<![\w/.@-])[\w.-]+/[\w.-]+(?![\w/])")
_CHANNEL = re.compile(r"(?<![\w&])#[\w-]+")
_FILE = re.compile(r"(?<![\w/])[\w-]+\.(?:csv|tsv|xlsx?|json)\b", re.IGNORECASE)
_NOUN = r"(?:database|board|repository|repo|team|channel|folder|file|project|table)"
_QUOTED = re.compile(
    rf"\b{_NOUN}s?\s+(?:called |named )?[\"'](?P<q>[^\"']{{2,60}})[\"']"
    rf"|[\"'](?P<r>[^\"']{{2,60}})[\"']\s+{_NOUN}\b",
    re.IGNORECASE,
)
_KIND = {
    "notion": re.compile(
        r"\b(?:the|our|my|from|in) (?P<name>[A-Z][\w&'-]*(?: [A-Z][\w&'-]*){0,3}) (?:database|board|table)\b|"
        r"\b(?:entry|entries|rows?|items?|records?) (?:(?:is|are) (?:added|created) )?(?:in|into|to) "
        r"(?:the |our |my )?"
        r"(?P<entries>(?!Notion\b)[A-Z][\w&'-]*(?: [A-Z][\w&'-]*){0,3})"
    ),
    "linear": re.compile(
        r"\b(?:the|our|team) (?P<name>[A-Z][\w&'-]*(?: [A-Z][\w&'-]*){0,2})(?: team\b|(?<=\w)$)"
    ),
}


def named_places(text: str, service: str | None) -> list[str]:
    """Places of a service that a text names in the way they are written there."""
    found = [match["q"] or match["r"] for match in _QUOTED.finditer(text)]
    match service:
        case "github":
            found += [hit.group() for hit in _REPOSITORY.finditer(text)]
        case "slack":
            found += [hit.group() for hit in _CHANNEL.finditer(text)]
        case "files":
            found += [hit.group() for hit in _FILE.finditer(text)]
        case _:
            pattern = _KIND.get(service or "")
            hits = [hit.groupdict() for hit in pattern.finditer(text)] if pattern else []
            found += [next(name for name in hit.values() if name) for hit in hits]
    return list(dict.fromkeys(found))


def filtered(state: ConversationState, facts: Facts) -> ConversationState:
    """The state with the choices of entries that the words of its reports tell, each report once."""
    for part in state.design.parts:
        mark = f"{part.key}.{HEARD}"
        built = state.built is not None and state.built.outline.part(part.key) is not None
        if not isinstance(part.does, Report) or mark in state.asked or built:
            continue
        fields = state.fields_of(part)
        if fields:
            state = _conditioned(_heard(state, part, fields, facts), part, fields, facts)
            state = state.but(asked={**state.asked, mark: 1})
    return state


def _conditioned(
    state: ConversationState, report: Part, fields: tuple[Field, ...], facts: Facts
) -> ConversationState:
    """ "If one is urgent", "if a project is overdue": what is told of entries, as rules about fields. What no
    field can tell is said."""
    design = state.design
    places = [resource.name for resource in state.seen_at(report.service)]
    for part in design.parts:
        said = part.condition
        if said is None or report.key not in part.needs or _is_about(report, part):
            continue
        if said.otherwise or said.only or not _OF_ENTRIES.fullmatch(said.expression):
            continue
        taken = take_filters(_without(said.words, places), fields, places=places, loose=True)
        left = list(taken.left)
        if not taken.rules and not left and (state_said := _STATE.match(said.words)):
            left = [(state_said["how"], ())]
        for phrase, near in left:
            note = problem_words(
                Problem("filter", phrase, tuple(near)), state, title_of(state, facts, report.service)
            )
            state = state.noted(note).but(quoted=(*state.quoted, phrase, *near))
        if taken.rules:
            told = said.model_copy(update={"expression": "", "only": tuple(merged(taken.rules))})
            design = design.with_part(part.model_copy(update={"condition": told}))
    return state.but(design=design)


def _is_about(report: Part, part: Part) -> bool:
    """Whether the report was asked for by the condition itself: "if any task is overdue, post it", "check
    Linear; if any task is overdue, post it"."""
    looks = (
        part.condition is not None and part.condition.expression == "items > 0" and _LOOKS.match(report.words)
    )
    return report.words == part.words or bool(looks)


def _heard(
    state: ConversationState, part: Part, fields: tuple[Field, ...], facts: Facts
) -> ConversationState:
    does = part.does
    if not isinstance(does, Report):
        return state
    services = [name for i in facts.integrations for name in (i.name, i.title)]
    places = [resource.name for resource in state.seen_at(part.service)]
    rules: list[Only] = []
    left: list[tuple[str, tuple[str, ...]]] = []
    for text, loose in _texts(state, part):
        rest = _without(text, [*services, *places, *named_places(text, part.service)])
        rest = take_order(rest, fields)[0]
        rest = take_group(rest, fields)[0]
        taken = take_filters(rest, fields, places=places, loose=loose)
        rules += taken.rules
        left += taken.left
    rules = [
        rule for rule in merged(rules) if (rule.field, rule.how) not in {(r.field, r.how) for r in does.only}
    ]
    title = title_of(state, facts, part.service)
    for phrase, near in dict.fromkeys((phrase, tuple(near)) for phrase, near in left):
        state = state.noted(problem_words(Problem("filter", phrase, near), state, title))
        state = state.but(quoted=(*state.quoted, phrase, *near))
    if not rules:
        return state
    design = state.design.doing(part.key, "said", only=(*does.only, *rules))
    return state.but(design=_timeless(design, part, rules))


def _texts(state: ConversationState, part: Part) -> list[tuple[str, bool]]:
    """The part's own words, and what was said besides where it is the only report."""
    reports = [one for one in state.design.parts if isinstance(one.does, Report)]
    heard = [text for text in state.heard if part.words not in text] if part.words else list(state.heard[1:])
    own = part.words or next(iter(state.heard), "")
    # "if any task is overdue, post it": the report is about those, and there being any is the condition
    asked = [
        one.condition
        for one in state.design.parts
        if one.condition and part.key in one.needs and _is_about(part, one)
    ]
    own = " , ".join([own, *(one.words for one in asked if one.expression == "items > 0")])
    if len(reports) != 1:
        return [(own, True)]
    first = next((text for text in state.heard if part.words and part.words in text), "")
    for one in state.design.parts:
        for told in (one.words, one.condition.words if one.condition else ""):
            first = first.replace(told, " , ") if told else first
    return [(own, True), (first, True), *((text, False) for text in heard)]


def _without(text: str, names: Iterable[str]) -> str:
    """The text without names of places, whole or their last piece."""
    told = {name for whole in names for name in (whole, whole.rpartition("/")[2], whole.lstrip("#"))}
    for name in sorted(filter(None, told), key=len, reverse=True):
        for match in list(re.finditer(rf"(?<![\w]){re.escape(name)}(?![\w])", text, re.IGNORECASE)):
            text = blank(text, match.start(), match.end())
    return text


def _timeless(design: Design, part: Part, rules: list[Only]) -> Design:
    """A date that is tested tells the time already: the same words are no time covered besides."""
    found = design.outline.part(part.key)
    spans = {value for rule in rules if rule.how is How.WITHIN for value in rule.values}
    if found is not None and isinstance(found.does, Report) and found.does.window in spans:
        return design.doing(part.key, "default", window="all")
    return design


def is_standing(part: Part) -> bool:
    """Whether a report tells how things stand (open issues, overdue tasks), not what happened in a time."""
    if not isinstance(part.does, Report) or part.service not in STANDING or _ONCE & set(part.does.things):
        return False
    return bool(part.does.only) and not any(_is_past(rule) for rule in part.does.only)


def _is_past(rule: Only) -> bool:
    """A choice of what is over, or new, speaks of a time."""
    if rule.how is How.WITHIN:
        return "report" in rule.values
    over = any(_OVER & set(words(value)) for value in rule.values)
    return rule.how is How.IS and rule.keep and over
