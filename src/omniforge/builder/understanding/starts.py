"""Where in a sentence something new is asked for."""

from __future__ import annotations

import re

from omniforge.builder.understanding.conditions import read_condition
from omniforge.builder.understanding.joining import (
    ANYWAY,
    COMPARATOR,
    EXACT,
    JOIN,
    MEASURED,
    OTHERWISE,
    SAME_TIME,
    SEVERAL,
    SOURCED,
    SUBJECT,
    THEN,
    WHEN,
)
from omniforge.builder.understanding.verbs import VERBS, Deed, Form, verb_at


def starts(part: str, joint: str, open_prefix: bool, services: frozenset[str]) -> bool:
    """Whether a piece asks for something of its own."""
    text = part.strip(" ,:")
    if not text:
        return False
    if text.startswith("zza"):
        return False
    if joint.strip() == ":" or "then" in joint.lower() or re.search(r"->|→|=>|>", joint):
        return True
    if _joins_on(text, open_prefix, services):
        return True
    bare = SUBJECT.sub("", text, count=3) if SUBJECT.match(text) else text
    sure = bare != text and re.match(r"(?:and|also|please|then)\b", text, re.I) is None
    if verb_at(bare.split(), 0, sure=sure, services=services) or ing_at(bare):
        return True
    if (
        re.match(r"[a-z-]+(?:ed|nt|t)\s+(?:to|in|on|by|with|into|via|as)\b", bare, re.I)
        and _form(bare) is Form.PAST
    ):
        return True
    if _UNKNOWN.match(bare) and not open_prefix:
        return True
    if _sends(bare, joint):
        return True
    if _ONE_MORE.match(text):
        return True
    if open_prefix:
        return _nominal(text) or comparing(text) is None
    return (
        passive(text) is not None
        or _GETS.match(text) is not None
        or _elliptic(text)
        or (active(text) != text)
    )


def _joins_on(text: str, open_prefix: bool, services: frozenset[str]) -> bool:
    """A word of order, a condition, a case, or a place where things are."""
    if any(rule.match(text + " ") for rule in (THEN, SAME_TIME, OTHERWISE, JOIN, SEVERAL, ANYWAY)):
        return True
    if not open_prefix and re.match(r"for\b", text, re.I) and MEASURED.match(text):
        return True
    if SOURCED.match(text) and re.search(r"\b(?:in|on|inside) (?:the )?(?:[A-Z]\w+|#)", text):
        return True
    if (
        re.match(r"[a-z]+(?:ed|nt|t) (?:to|in|into|on|via) (?:the )?(?:#|zze)", text, re.I)
        and not open_prefix
    ):
        return True
    if (when := WHEN.match(text)) and not (open_prefix and re.match(r"or if", when["lead"], re.I)):
        return True
    return split_branch(text, services) is not None


def names_a_deed(text: str) -> bool:
    """Whether the words open with a verb, in any form but that of a name."""
    said = re.sub(r"^(?:please|also|then|we|you|i|it)\s+", "", text.strip(" ,"), flags=re.IGNORECASE).split()
    verb = VERBS.get(said[0].lower()) if said else None
    return verb is not None and len(said) > 1


_ONE_MORE = re.compile(
    r"(?:an?|one|another)\s+(?:[\w-]+ ){0,2}?(?:note|copy|message|alert|e-?mail|mail|notification|reminder|"
    r"heads-?up)\s+(?:to|in|for)\b|"
    r"(?:one|an?)\s+(?:[\w-]+ ){0,2}?(?:summary|overview|digest|report|recap|round-?up|list)\s+(?:of "
    r"(?:both|all|it|them|everything)|to|in|into|for)\b|"
    r"(?:the|an?)\s+(?:[\w-]+ ){1,4}?(?:if|when|for)\s+(?:it|the|they|that)\b|"
    r"(?:an?|one|the)\s+(?:final |last )?(?:quality|completeness|validity|plausibility) (?:check|control|"
    r"review)\b|"
    r"(?:depending|based|dependent|according)\s+(?:on|to)\b|"
    r"an?\s+(?:[\w-]+\s){1,3}?(?:in|on)\s+(?:the )?(?:#[\w-]+|[A-Z]\w+)|"
    r"an?\s+(?:Notion|Linear|GitHub|Slack|Jira|Trello|Asana)\s+\w+",
)


_UNKNOWN = re.compile(
    r"(?!(?:with|from|for|by|in|on|of|at|to|as|including|about|per|who|which|that|than|into|over|under|"
    r"when|what|like|all|"
    r"both|is|are|was|were|if|where|how|why|whose|not|without|within|during|before|after|between|also|"
    r"only|just|because|"
    r"since|until|till|so|or|nor|yet|whether|while|via|around|near|plus|minus|even|has|have|does|up|out|off|"
    r"through|against|towards|using|takes?|based|depending|according)\b)[a-z]{4,}\s+(?:the|a|an|our|my|it|"
    r"them|your|#[\w-]+)(?!\w)"
)


_TO_A_PLACE = re.compile(
    r"^[a-z-]+ (?!(?:of|for|from|to|in|on|at|by|with|and|or|is|are)\b)[\w'-]+.{0,80}? (?:to|in|into|on|via|"
    r"by) (?:the |our )?"
    r"(?:#[\w-]+|zze\d+zz|(?-i:Slack|Notion|Linear|GitHub)\b|e-?mail\b)",
    re.IGNORECASE,
)
_MOVING = frozenset({Deed.POST, Deed.FLAG, Deed.PLACE, Deed.CREATE, Deed.COPY})


def _sends(text: str, joint: str) -> bool:
    """A word that may be a name, but has an object and a place to go to ("and flag changes in #x")."""
    if not re.search(r"\band\b|,|;|\bthen\b", joint):
        return False
    verb = VERBS.get(text.split(maxsplit=1)[0].lower())
    if re.match(r"(?:open|close) [a-z]+s\b", text, re.IGNORECASE):
        return False
    return (
        verb is not None
        and verb.form is Form.BASE
        and verb.deed in _MOVING
        and _TO_A_PLACE.match(text) is not None
    )


def _form(text: str) -> Form | None:
    verb = VERBS.get(text.split(maxsplit=1)[0].lower())
    return verb.form if verb else None


def ing_at(text: str) -> bool:
    """ "Posting them to Slack" as something to do."""
    said = text.split()
    verb = VERBS.get(said[0].lower()) if len(said) > 1 else None
    return bool(
        verb
        and verb.form is Form.ING
        and re.match(r"(?:the|a|an|it|them|this|that|all|my|our|new|every|each)$", said[1], re.I)
    )


_NOMINAL = re.compile(
    r"^(?:an?|one|the|another|send|some|two)?\s*(?:\w+ ){0,3}?(?:summary|summaries|report|digest|overview|"
    r"briefing|note|message|"
    r"alert|notification|reminder|e-?mail|issue|ticket|task|check|comparison|list|round-?up|recap|entry|"
    r"heads-?up|"
    r"page|card)\b",
    re.IGNORECASE,
)


def _nominal(text: str) -> bool:
    return _NOMINAL.match(text) is not None


def _elliptic(text: str) -> bool:
    """ "To #team", "the open tickets from Linear": the verb was said before."""
    return (
        re.match(r"(?:to|in|into)\s+#[\w-]+\s*(?:if|when|unless|otherwise|for|at|below|above|$)", text, re.I)
        is not None
    )


_PASSIVE = re.compile(
    r"^(?P<what>(?:an?|the|one|all|its?|each|every|my|our|new|their|this|that|both|any|both of|these|those|"
    r"open|some|(?-i:[A-Z])\w+(?: and (?-i:[A-Z])\w+)*)\b(?:(?!\b(?:as soon as|when|whenever|if|once|until|"
    r"unless)\b)[^,;]){1,80}?|it|they|#[\w-]+|"
    r"everything|everyone|everybody)\s+"
    r"(?:should |must |shall |will |would |has to |have to |needs? to |is to |are to |can |could |may |"
    r"ought to )?(?:then |also |"
    r"always |first )?"
    r"(?:is|are|be|gets?|get|being|were)\s+(?:then |also |automatically |immediately |first |all |both |to "
    r"be "
    r")?(?P<verb>[a-z-]+(?:ed|nt|wn|t|de|ld|en))\b"
    r"(?P<rest>.*)$",
    re.IGNORECASE,
)


_BARE_PASSIVE = re.compile(
    r"^(?:should |must |shall |will |can |could |may |needs? to |has to |have to )?(?:then |also |just "
    r")?be (?:then |also |just )?"
    r"(?P<verb>[a-z-]+(?:ed|nt|wn|t|de|ld|en))\b(?P<rest>.*)$",
    re.IGNORECASE,
)
_GETS = re.compile(
    r"^(?P<who>(?:the|our|each|every|an?|my|all) [\w' -]{2,40}?|#[\w-]+|anyone[\w' -]{0,40}?|everyone|"
    r"everybody|they|it) (?:(?:should |must |will |shall |has to |have to |needs? to )?(?:gets?|receives?|"
    r"be sent)|is sent|are sent) "
    r"(?P<what>(?:an?|the|one) "
    r"(?:[\w-]+ ){0,3}?(?:e-?mail|message|note|notification|mail|reminder|alert|text)\b.*)$",
    re.IGNORECASE,
)
_DONE_TO = re.compile(
    r"^(?P<what>(?:the|an?|my|our|all|its|these|those)\s[\w' ,-]{2,80}?)\s(?P<verb>[a-z]+(?:ed|nt|d))\b"
    r"(?P<rest>(?:\s+(?:in|out|up))?(?:\s*[,:]?\s*zza\d+zz.*|\s+(?:to|in|into|on) #.*|\s+(?:for (?:me|us)|"
    r"by e-?mail|to (?:me|us)|first|automatically))?)$",
    re.IGNORECASE,
)
_DONE_DEEDS = frozenset(
    {
        Deed.EXTRACT,
        Deed.FILL,
        Deed.SUMMARISE,
        Deed.COMPARE,
        Deed.CHECK,
        Deed.POST,
        Deed.TRANSFORM,
        Deed.READ,
        Deed.WRITE,
        Deed.FOLLOW,
        Deed.MATCH,
    }
)


_CURT_PASSIVE = re.compile(
    r"^(?P<what>(?!(?:if|when|it|they|that|this|which|who|there|what)\b)(?:[a-z'-]+ ){0,2}[a-z'-]+) "
    r"(?:gets?|is|are) (?:then |also |first )?(?P<verb>[a-z-]+(?:ed|nt|wn|t|en))"
    r"(?P<rest>(?: (?:up|out|in))?(?: (?:to|in|into|with|against|from|on) [^,;]{1,60})?)$",
    re.IGNORECASE,
)


def passive(text: str) -> re.Match[str] | None:
    match = _PASSIVE.match(text)
    verb = VERBS.get(match["verb"].lower()) if match else None
    return match if verb and verb.form is Form.PAST else None


_BY_DOING = re.compile(r"^[a-z]+ (?:[\w'-]+ ){0,4}?by (?P<verb>[a-z-]+ing) (?P<rest>.+)$", re.IGNORECASE)
_WHO_GET = re.compile(
    r"^(?P<who>(?:the |all |our )?[a-z]+s (?:who|that|with|without|whose) [^,;]{3,80}?) (?:should |must |"
    r"will |shall )?(?:get|receive|be sent) (?P<what>(?:an?|the|one) "
    r"(?:[\w-]+ ){0,3}?(?:e-?mail|message|note|notification|mail|reminder|alert|text|invitation)\b.*)$",
    re.IGNORECASE,
)


def active(text: str) -> str:
    """ "A Linear issue is created in Bugs" as "create a Linear issue in Bugs"."""
    if by := _BY_DOING.match(text):
        verb = VERBS.get(by["verb"].lower())
        if verb and verb.form is Form.ING and verb.deed is Deed.POST:
            return f"{verb.lemma} {by['rest']}"
    if match := _GETS.match(text):
        return f"send {match['who']} {match['what']}"
    if match := _WHO_GET.match(text):
        return f"send {match['who']} {match['what']}"
    if match := _DONE_TO.match(text):
        verb = VERBS.get(match["verb"].lower())
        if verb and verb.form is Form.PAST and verb.deed in _DONE_DEEDS:
            return f"{verb.lemma} {match['what']}{match['rest']}"
    if bare := _BARE_PASSIVE.match(text):
        verb = VERBS.get(bare["verb"].lower())
        if verb and verb.form is Form.PAST:
            return f"{verb.lemma} it{bare['rest']}"
    if curt := _CURT_PASSIVE.match(text):
        verb = VERBS.get(curt["verb"].lower())
        if verb and verb.form is Form.PAST and verb.deed in _DONE_DEEDS:
            rest = curt["rest"]
            particle = re.match(r" (?:up|out|in)\b", rest)
            off, rest = (particle.group(), rest[particle.end() :]) if particle else ("", rest)
            return f"{verb.lemma}{off} {curt['what']}{rest}"
    match = passive(text)
    if not match:
        return text
    return f"{VERBS[match['verb'].lower()].lemma} {match['what']}{match['rest']}"


def comparing(text: str) -> re.Match[str] | None:
    return COMPARATOR.match(text)


def split_branch(text: str, services: frozenset[str]) -> tuple[str, str] | None:
    """ "0 % approve", "2 % or more reject it": a number, then what to do."""
    if not (comparing(text) or EXACT.match(text)):
        return None
    said = text.split()
    for at in range(1, len(said)):
        if verb_at(said, at, sure=False, services=services):
            words = " ".join(said[:at])
            return (words, " ".join(said[at:])) if read_condition(words, subject="value") else None
    return None
