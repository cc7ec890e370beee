"""What people call doing something: verbs by what they do, in every form they are said in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from omniforge.builder.understanding.text import words


class Deed(StrEnum):
    """What a verb does on its own; its object may say more ("write a reply", "write a row")."""

    READ = "read"
    WATCH = "watch"
    FETCH = "fetch"
    BRIEF = "brief"
    POST = "post"
    CREATE = "create"
    UPDATE = "update"
    COPY = "copy"
    SUMMARISE = "summarise"
    TRANSFORM = "transform"
    COMPARE = "compare"
    EXTRACT = "extract"
    FILL = "fill"
    MATCH = "match"
    CHECK = "check"
    DECIDE = "decide"
    FOLLOW = "follow"
    STOP = "stop"
    FLAG = "flag"
    WRITE = "write"
    PLACE = "place"
    """Puts something somewhere: what it is depends on where (a message in a chat, an entry elsewhere)."""
    LIGHT = "light"
    """Means little without its object: do, have, give, use."""


_TABLE: dict[Deed, str] = {
    Deed.READ: "read collect list get gather pull look go scan find search query count show compile "
    "retrieve grab "
    "load take see report recap analyse analyze inspect identify export examine gather browse fish hunt "
    "source obtain survey study skim pick",
    Deed.WATCH: "monitor watch track follow observe keep",
    Deed.FETCH: "fetch download crawl scrape call poll visit hit",
    Deed.BRIEF: "brief",
    Deed.POST: "post send share tell ask page notify message ping alert announce inform email e-mail mail "
    "forward warn remind "
    "publish drop broadcast dm text deliver let submit nudge buzz msg circulate distribute dispatch relay "
    "advise prompt invite chase nag shoot sling fling zip thank welcome greet acknowledge congratulate "
    "cross-post crosspost repost",
    Deed.CREATE: "create add open file log raise save store insert append register record book schedule "
    "enter "
    "provision document generate lodge note",
    Deed.UPDATE: "update change set mark move close reopen assign tag label edit resolve complete tick "
    "archive rename "
    "unassign relabel reassign link amend comment modify adjust flip switch bump refresh cancel",
    Deed.COPY: "copy transfer sync synchronise synchronize import push mirror migrate",
    Deed.SUMMARISE: "summarise summarize condense combine merge consolidate bundle boil unite distil "
    "distill compress shorten trim",
    Deed.TRANSFORM: "convert calculate compute transform reformat clean round dedupe deduplicate "
    "normalise normalize "
    "sort filter total turn map group rank work figure tally average reorder rearrange anonymise anonymize "
    "redact "
    "select choose sum aggregate format strip split enrich multiply subtract divide",
    Deed.COMPARE: "compare reconcile contrast diff cross-check crosscheck cross-reference",
    Deed.EXTRACT: "extract parse capture ocr transcribe digitise digitize lift pluck",
    Deed.FILL: "fill populate prefill pre-fill autofill",
    Deed.MATCH: "match pair",
    Deed.CHECK: "check verify validate ensure double-check doublecheck review audit vet test confirm",
    Deed.DECIDE: "approve reject accept decline deny refuse escalate okay greenlight",
    Deed.FOLLOW: "judge translate rewrite classify answer reply respond rate assess evaluate suggest propose "
    "paraphrase proofread categorise categorize explain interpret brainstorm draft phrase recommend "
    "apologise "
    "apologize polish prioritise prioritize grade score critique triage diagnose personalise personalize "
    "tailor qualify forecast predict simplify",
    Deed.STOP: "stop end abort quit",
    Deed.FLAG: "flag highlight",
    Deed.WRITE: "write prepare make put build produce compose",
    Deed.PLACE: "chuck stick pop dump throw toss bung plonk slap shove lob place feed pipe route pass hand "
    "direct funnel paste slot leave jot scribble",
    Deed.LIGHT: "ignore skip decide do have give use run start perform carry want need try apply",
}
_IRREGULAR = {
    "canceled": "cancel", "canceling": "cancel", "labeled": "label",
    "sent": "send", "told": "tell", "written": "write", "wrote": "write", "found": "find",
    "got": "get", "taken": "take", "took": "take", "made": "make", "put": "put", "set": "set",
    "let": "let", "built": "build", "done": "do", "did": "do", "has": "have", "had": "have",
    "given": "give", "gave": "give", "kept": "keep", "shown": "show", "seen": "see", "saw": "see",
    "ran": "run", "fed": "feed", "stuck": "stick", "thrown": "throw", "threw": "throw", "split": "split",
    "gone": "go", "drawn": "draw", "chosen": "choose", "does": "do", "goes": "go",
}  # fmt: skip
_DOUBLING = frozenset(
    words(
        "get put set log drop tag scan map grab let sum run flag stop pop slap lob skim strip split submit "
        "transfer trim ship plan pin cancel label"
    )
)
NOUNS_TOO = frozenset(
    words("""
    report list check review update comment email e-mail message file log form match share note label
    plan record mark open close issue alert ping text change set move search query brief pull start
    watch track round total answer reply rate post document complete schedule book draft flag count
    look show map sort drop copy import export tag mail sum end stop need want use run filter order
    name group rank work figure ask page link text
    call visit hit poll stick pop feed route pass hand place note test score
    format split bump switch study survey pick source lift grade dump cancel welcome prompt average
    store bundle judge contrast pair process batch bill capture
    stock trade purchase refund transfer download crawl raise record register insert close shoot
    """)
)
"""Verbs that are just as often names of things or kinds ("open issues")."""


class Form(StrEnum):
    BASE = "base"
    THIRD = "third"
    ING = "ing"
    PAST = "past"


@dataclass(frozen=True, slots=True)
class Verb:
    lemma: str
    deed: Deed
    form: Form


def _forms(lemma: str) -> dict[str, Form]:
    stem = lemma[:-1] if lemma.endswith("e") else lemma
    if lemma in _DOUBLING:
        stem = lemma + lemma[-1]
    third = lemma + ("es" if lemma.endswith(("s", "x", "ch", "sh", "o")) else "s")
    past = stem + "ed"
    if lemma.endswith("y") and lemma[-2] not in "aeiou":
        third, past = lemma[:-1] + "ies", lemma[:-1] + "ied"
    return {lemma: Form.BASE, third: Form.THIRD, stem + "ing": Form.ING, past: Form.PAST}


def _all_forms() -> dict[str, Verb]:
    verbs: dict[str, Verb] = {}
    deeds = {lemma: deed for deed, row in _TABLE.items() for lemma in row.split()}
    for lemma, deed in deeds.items():
        for form, kind in _forms(lemma).items():
            verbs.setdefault(form, Verb(lemma, deed, kind))
    for form, lemma in _IRREGULAR.items():
        if lemma in deeds and form not in deeds:
            verbs[form] = Verb(lemma, deeds[lemma], Form.THIRD if form.endswith("s") else Form.PAST)
    return verbs


VERBS = _all_forms()
_STARTS_OBJECT = re.compile(
    r"(?:the|a|an|it|its|them|this|that|these|those|all|any|every|each|my|our|your|their|his|her|me|us|"
    r"him|to|in|"
    r"into|on|for|from|with|whether|if|new|one|both|somebody|someone|everyone|everybody|another|some|what|"
    r"who|"
    r"which|only|how|through|at|out|up|overdue|pending|late|urgent|latest|incomplete|unknown|missing|"
    r"where|when|"
    r"results?|people|against|between|of it|of them|everything|anything|customers?|clients?|users?|"
    r"similar|duplicate|old|stale|important|interesting|relevant|key|main|critical|negative|positive|"
    r"failed|best|top|worst|next|yesterday's|today's|last|recent|again|by|as|otherwise|#[\w-]+|@[\w-]+|"
    r"\d[\w%.,]*|[$€£]\d.*|zz\w+)$",
    re.IGNORECASE,
)


_HAPPENING = re.compile(
    r"(?:is|was|has|does|this|(?:com|arriv|appear|get|land|show|go|sign|mov|chang|fail|start|end)e?s)$", re.I
)


def is_a_thing(said: list[str]) -> bool:
    """Words that open with a name although it could be a verb ("open issues labelled bug")."""
    verb = VERBS[said[0].lower().strip("'\"")]
    if verb.form is Form.THIRD and verb.lemma in (
        "report",
        "update",
        "issue",
        "mail",
        "list",
        "post",
        "note",
    ):
        return True
    if verb.lemma not in ("open", "close", "complete") or verb.form not in (Form.BASE, Form.PAST):
        return False
    return (
        len(said) > 1 and re.match(r"[a-z]+s,?$", said[1]) is not None and not _STARTS_OBJECT.match(said[1])
    )


_AUXILIARY = re.compile(
    r"(?:is|are|was|were|has|have|had|goes|gets|comes|does|will|should|must|can|could|would)$", re.IGNORECASE
)


def verb_at(said: list[str], at: int, *, sure: bool, services: frozenset[str] = frozenset()) -> Verb | None:
    """The verb that starts a clause at this word. `sure`: a word before it ("then", "it") demands a verb;
    else words that may be names need an object behind them."""
    word = said[at].lower().strip("'\"")
    verb = VERBS.get(word)
    if verb is None or (verb.form is Form.PAST and not sure):
        return None
    following = said[at + 1] if at + 1 < len(said) else ""
    if verb.form is Form.THIRD and not sure:
        return None
    if verb.lemma in ("open", "close", "complete", "total", "end") and verb.form is Form.BASE and not sure:
        return (
            verb
            if following.lower() in ("a", "an", "the", "it", "them", "one", "this", "that", "all")
            else None
        )
    if _AUXILIARY.match(following) and not sure:
        return None
    if not following:
        bare = verb.deed in (
            Deed.DECIDE,
            Deed.SUMMARISE,
            Deed.COMPARE,
            Deed.STOP,
            Deed.TRANSFORM,
        ) or verb.lemma in (
            "review",
            "answer",
            "reply",
        )
        return verb if bare or (sure and at == 0) else None
    if verb.lemma not in NOUNS_TOO or sure:
        return verb
    named = following.lower() in services or (following[:1].isupper() and at == 0)
    third = said[at + 2].lower() if at + 2 < len(said) else ""
    many = (
        following.endswith("s")
        and not _HAPPENING.match(following)
        and third in ("to", "in", "into", "on", "for", "from", "with", "by")
    )
    return verb if named or many or _STARTS_OBJECT.match(following) else None
