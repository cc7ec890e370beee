"""Clauses of a sentence made into parts of an outline: keys, and what each does. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omniforge.builder.outline import (
    Brief,
    Check,
    Compare,
    Condition,
    Content,
    Create,
    Decide,
    Doing,
    Extract,
    Fetch,
    Fill,
    Follow,
    Match,
    Operation,
    Part,
    Place,
    Post,
    Report,
    Summarise,
    Transform,
    Update,
)
from omniforge.builder.understanding.composition import Clause
from omniforge.builder.understanding.text import normalise, words
from omniforge.builder.understanding.things import things_in

_QUOTED = re.compile(r"[\"']([^\"']{1,400})[\"']")
_URL = re.compile(r"https?://[^\s<>\"']+")
_FROM = re.compile(
    r"\b(?:from|out of|of|in|on) (?:the|each|every|an?|our|this|that|its)? ?(?P<what>[\w -]{3,40})", re.I
)
_BY = re.compile(r"\b(?:by|with the same|on|using) (?:the |its |their )?(?P<what>[\w -]{2,40})", re.I)
_URGENT = re.compile(r"\burgent(?:ly)?\b|\bimportant\b|\balarm\b", re.I)
_SHORT = re.compile(r"\b(?:summar(?:y|ise|ize)|short|brief)\b", re.I)
_LINK = re.compile(r"\blink\b", re.I)
_SAYS = re.compile(
    r"says? (?P<text>.{1,200}?) (?:in|to|on|at) (?:the |our |my )?(?:[#@]|slack\b|channel\b)", re.I
)
_REMINDS = re.compile(
    r"(?:remind|prompt|nudge|ask|tell) (?:.{1,60}?) to (?P<does>[a-z].{1,300}?)[ .!]*$", re.I
)
_THEIRS = re.compile(r"\b(?:their|his|her|they|themselves)\b", re.IGNORECASE)
_YOURS = {"their": "your", "his": "your", "her": "your", "they": "you", "themselves": "yourselves"}
_COUNTS = re.compile(
    r"\w+ (?:.{0,20}?)(?:the |a )?(?:total )?(?:number|count) of (?P<what>[\w -]{2,60}?)"
    r"(?= (?:from|in|at|on|to|that|which|by|via)\b| ?[#@,.]|$)",
    re.IGNORECASE,
)
_VARIANCE = re.compile(r"\bvariance\b(?!_)")
_NONE_FOUND = re.compile(
    r"\b(?:no match|none|nothing|not found|no such|isn't there|is missing|without a match)\b"
    r"[^\"'.]{0,60}[\"'](?P<said>[^\"']+)[\"']",
    re.IGNORECASE,
)
_STOP = frozenset(
    words("""
    the a an of for to in on at it its with by from and or but each every all any this that these those our my
    your their then please fields field information info values value data following out read get extract take
    pull find such as like namely form forms document documents file
""")
)
_VERDICTS = (
    ("approve", r"\bapprov\w*|\baccept\w*|\bpay\b"),
    ("reject", r"\breject\w*|\bdeclin\w*|\brefus\w*"),
    ("review", r"\breview\w*|\bflag\w*|\bhold\b|\blook at\b|\bcheck(?:ed)? by\b"),
)
_NOUNS = {
    Operation.REPORT: "report",
    Operation.BRIEF: "briefing",
    Operation.FETCH: "fetch-page",
    Operation.POST: "post",
    Operation.CREATE: "create",
    Operation.UPDATE: "update",
    Operation.SUMMARISE: "summarise-results",
    Operation.TRANSFORM: "transform-values",
    Operation.COMPARE: "compare-values",
    Operation.EXTRACT: "extract",
    Operation.FILL: "fill",
    Operation.MATCH: "match-records",
    Operation.CHECK: "check-quality",
    Operation.DECIDE: "decide",
    Operation.FOLLOW: "follow-instructions",
}
MADE = {"linear": "issue", "github": "issue", "notion": "entry", "files": "row"}
"""What `create` makes at a service."""


def parts_of(clauses: Sequence[Clause], message: str = "", taken: Sequence[Part] = ()) -> tuple[Part, ...]:
    """One part per clause. Keys differ from each other and from those `taken`; quotes of the `message` tell
    what is meant word by word."""
    quotes = _QUOTED.findall(normalise(message))
    made: list[Part] = []
    keys = [part.key for part in taken]
    for clause in clauses:
        try:
            operation = Operation(clause.operation)
        except ValueError:
            operation = Operation.FOLLOW
        does = _with_quotes(does_of(operation, clause), clause, quotes, message)
        service = service_of(operation, clause)
        key = free_key(key_of(operation, service, clause, does), [*keys, *(part.key for part in made)])
        condition = None
        if clause.condition or clause.condition_words or clause.otherwise:
            condition = Condition(
                words=clause.condition_words,
                expression=_VARIANCE.sub("variance_percent", clause.condition),
                otherwise=clause.otherwise,
            )
        needs = tuple(made[at].key for at in clause.needs if at < len(made))
        made.append(
            Part(key=key, does=does, service=service, needs=needs, condition=condition, words=clause.words)
        )
    return tuple(made)


def _with_quotes(does: Doing, clause: Clause, quotes: Sequence[str], message: str) -> Doing:
    """What stands in quotes is said word by word: the text of a message, what is told when nothing fits."""
    if isinstance(does, Match) and not does.missing and (found := _NONE_FOUND.search(normalise(message))):
        return does.model_copy(update={"missing": found["said"]})
    about = f"{clause.words} {clause.object}"
    said = max((quote for quote in quotes if quote in about), key=len, default=None)
    if isinstance(does, Post) and said:
        return does.model_copy(update={"content": Content.TEXT, "text": said})
    if isinstance(does, Create) and said and not does.title:
        return does.model_copy(update={"title": said})
    return does


def service_of(operation: Operation, clause: Clause) -> str | None:
    if clause.service:
        return clause.service
    if operation is Operation.POST and clause.place.startswith("#"):
        return "slack"
    if operation is Operation.FETCH:
        return "http"
    return None


def does_of(  # noqa: C901, PLR0912 - one line for each operation
    operation: Operation, clause: Clause
) -> Doing:
    """What the clause wants done, as far as its words tell."""
    said = clause.words or clause.object
    named = clause.place and not _is_person(clause.place, said)
    place = Place(name=clause.place) if named else None
    match operation:
        case Operation.REPORT:
            return Report(places=(place,) if place else (), things=things_in(said, clause.service))
        case Operation.BRIEF:
            return Brief()
        case Operation.FETCH:
            url = _URL.search(f"{clause.place} {said}")
            return Fetch(url=url.group().rstrip(".,;)") if url else "")
        case Operation.POST:
            return _post(clause, said, place)
        case Operation.CREATE:
            quoted = _QUOTED.search(said)
            return Create(place=place, title=quoted[1] if quoted else "")
        case Operation.UPDATE:
            return Update(place=place, values=values_in(said))
        case Operation.SUMMARISE:
            return Summarise()
        case Operation.TRANSFORM:
            return Transform()
        case Operation.COMPARE:
            return _compare(said)
        case Operation.EXTRACT:
            return Extract(source=source_of(said, clause.place), fields=names_in(_named_part(said)))
        case Operation.FILL:
            return Fill(form=form_of(clause))
        case Operation.MATCH:
            return _match(said)
        case Operation.CHECK:
            return Check()
        case Operation.DECIDE:
            return Decide(verdict=verdict_of(said), reason=clause.condition_words)
        case _:
            return Follow(instructions=said)


def _is_person(name: str, said: str) -> bool:
    """A name that tells whose entries are wanted, not where they are."""
    return re.search(
        rf"\b(?:assigned to|owned by|by|from)\s+{re.escape(name)}\b", said, re.I
    ) is not None and not (re.search(r"[#/@]", name))


def _post(clause: Clause, said: str, place: Place | None) -> Post:
    quoted = _QUOTED.search(said)
    urgent = _URGENT.search(re.sub(r"#[\w-]+", " ", said)) is not None
    if quoted:
        return Post(place=place, content=Content.TEXT, text=quoted[1], urgent=urgent)
    if own := _own_words(said, told=bool(clause.needs)):
        return Post(place=place, content=Content.TEXT, text=own, urgent=urgent)
    if _SHORT.search(clause.object) or _SHORT.search(said):
        return Post(
            place=place,
            content=Content.SUMMARY_AND_LINK if _LINK.search(said) else Content.SUMMARY,
            urgent=urgent,
        )
    return Post(place=place, urgent=urgent)


def _own_words(said: str, *, told: bool) -> str:
    """What a message says although nothing is quoted: "say hello in #sales", "remind #team to fill in their
    hours", and of what was found (`told`) "post the number of open issues"."""
    if spoken := _SAYS.match(said):
        text = spoken["text"].strip()
        return text[:1].upper() + text[1:]
    if not told and (duty := _REMINDS.match(said)):
        does = _THEIRS.sub(lambda found: _YOURS[found.group().casefold()], duty["does"].strip())
        return f"Reminder: please {does}."
    if told and (counted := _COUNTS.match(said)):
        return f"{counted['what'].strip().capitalize()}: {{items}}"
    return ""


def _compare(said: str) -> Compare:
    match = re.search(
        r"\bcompare (?:the |its |both )?(?P<left>[\w .]+?) (?:with|to|and|against) "
        r"(?:the |its )?(?P<right>[\w .]+)",
        said,
        re.I,
    )
    if match is None:
        return Compare()
    return Compare(left=slug(match["left"]), right=slug(match["right"]))


def _match(said: str) -> Match:
    by = _BY.search(said)
    quoted = _QUOTED.search(said)
    return Match(by=names_in(by["what"]) if by else (), missing=quoted[1] if quoted else "")


def verdict_of(said: str) -> str:
    return next((name for name, pattern in _VERDICTS if re.search(pattern, said, re.I)), "review")


def form_of(clause: Clause) -> str:
    """The form's name: a quoted one, the value its condition asks for, or the words before "form"."""
    if value := re.search(r"==\s*['\"]([^'\"]+)['\"]", clause.condition):
        return value[1]
    if quoted := _QUOTED.search(clause.words):
        return quoted[1]
    named = re.search(r"(?:the |an? )?([\w ]{2,40}?) form\b", clause.object or clause.words, re.I)
    return named[1].strip() if named else (clause.object or "form")


def source_of(said: str, about: str) -> str:
    """Name of the input that a document comes in by."""
    for text in (about, said):
        if re.search(r"\bpurchase orders?\b|\bpo\b", text, re.I):
            return "purchase_order"
        if re.search(r"\binvoices?\b|\bbills?\b", text, re.I):
            return "invoice"
    return "document"


def names_in(text: str) -> tuple[str, ...]:
    """Names of values in a list of words: "policy number, patient name" → policy_number, patient_name."""
    found: list[str] = []
    for piece in re.split(r"[,;\n+&/]|\band\b|\bplus\b|\bas well as\b|\bor\b|:", normalise(text), flags=re.I):
        telling = [word for word in re.findall(r"[\w'-]+", piece) if word.casefold() not in _STOP]
        if 1 <= len(telling) <= 4:
            found.append(slug(" ".join(telling)))
    return tuple(dict.fromkeys(name for name in found if name))


def values_in(text: str) -> dict[str, str]:
    """ "Set Status to Done" → {"Status": "Done"}."""
    found = re.finditer(
        r"\b(?:set|change|mark|update)(?: the| its)? (?P<field>[\w ]{1,40}?) (?:to|as|=) "
        r"[\"']?(?P<value>[^,.;\"']{1,80})",
        normalise(text),
        re.IGNORECASE,
    )
    return {match["field"].strip(): match["value"].strip() for match in found}


def _named_part(said: str) -> str:
    """The list of names in "extract a, b and c from the form"; empty when only a document is named."""
    match = re.search(
        r"\b(?:extract|read|get|take|pull|capture|collect)s?(?: out)? (?P<names>.+?)(?: from\b| out of\b|$)",
        said,
        re.I,
    )
    if match and not re.fullmatch(
        r"(?:the |all |every |its )?(?:\w+ ){0,2}(?:fields|data|details|information|values|"
        r"invoices?|purchase orders?|po|forms?|documents?)"
        r"(?: (?:that |which )?(?:people|they|customers|we|our|you|is|are|come|comes)\b.*)?",
        match["names"].strip(),
        re.I,
    ):
        return match["names"]
    after = re.search(r"(?::|\b(?:namely|such as|like|with)\b)\s*(?P<names>.+)$", said, re.I)
    return after["names"] if after else ""


def without_quotes(text: str) -> str:
    """What a message says of its own: texts in quotes are no times, places or wishes."""
    return _QUOTED.sub(lambda found: "," + " " * (len(found.group()) - 1), text)


def slug(text: str) -> str:
    return "_".join(re.findall(r"[^\W_]+", text.casefold()))[:60]


def key_of(operation: Operation, service: str | None, clause: Clause, does: Doing) -> str:
    match does:
        case Post() if clause.place:
            about = f"post-{clause.place}"
        case Post(content=content):
            about = "post-summary" if content is not Content.FULL else "post-message"
        case Create():
            about = f"create-{MADE.get(service or '', 'entry')}"
        case Update():
            about = f"update-{MADE.get(service or '', 'entry')}"
        case Extract(source=source):
            about = f"extract-{source}"
        case Fill(form=form):
            about = f"fill-{form}"
        case Decide(verdict=verdict):
            about = f"decide-{verdict}"
        case Brief():
            about = "entry-briefing"
        case _:
            about = _NOUNS.get(operation, str(operation))
    own = service if service and service not in ("http",) else None
    return kebab("-".join(part for part in (own, about) if part))


def kebab(text: str) -> str:
    plain = "-".join(re.findall(r"[a-z0-9]+", normalise(text).casefold()))
    return plain[:60].strip("-") or "step"


def free_key(wanted: str, taken: Sequence[str]) -> str:
    if wanted not in taken:
        return wanted
    number = next(n for n in range(2, 1000) if f"{wanted}-{n}" not in taken)
    return f"{wanted}-{number}"
