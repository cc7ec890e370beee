"""Conditions in words as CEL: "the variance is below 2 %" becomes `variance_percent < 2.0`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omniforge.builder.understanding.amounts import (
    AMOUNT,
    NUMBER_WORD,
    OP,
    TAIL,
    UNITLESS,
    op_sign,
    read_amount,
    tail_sign,
    whole_number,
)
from omniforge.builder.understanding.condition_words import (
    ADVERBS,
    ANY,
    ATTRIBUTES,
    COMPLETE,
    DIFFER,
    DIFFERENCES,
    HOLDS,
    JUDGING,
    NO_ADJECTIVES,
    NONE,
    PRONOUN,
    SAME,
    SMALL,
    WITH_AMOUNT,
)
from omniforge.builder.understanding.text import normalise, singular, words

LONGEST_NAME = 5


EQUAL = "equal"


ITEMS = "items"


COMPARED = "variance_percent"


@dataclass(frozen=True, slots=True)
class Check:
    """`subject` is the field it is about, for conditions that go on without naming it ("2 % or more")."""

    expression: str
    subject: str | None = None
    bare: bool = False
    """Names no subject of its own ("overdue", "if there are any"): what came before was looked through."""


_COMPARED = re.compile(
    rf"^(?P<subject>.*?)\s*(?:(?<![\w])(?:{OP}|(?P<is>is|are|was|has|of|=|at|from|for)))?\s*(?:a |an |"
    rf"the )?{AMOUNT}"
    rf"(?:{TAIL})?(?P<of>\s+(?:old|high|long|left|away|ahead|late|variance|difference|deviation|discount|"
    rf"off))?\s*$",
    re.IGNORECASE,
)


_COPULA = (
    r"(?:is|are|was|were|has been|have been|gets|equals|=+|turns out(?: to be)?|says|reads|being|be|reports|"
    r"(?<=it)'s|(?<=that)'s|(?<=he)'s)"
)
_IS = re.compile(
    rf"^(?P<subject>.+?)\s*(?:\b|(?='s)){_COPULA}\s+(?P<not>not |no longer |n't )?(?:either |one of |"
    rf"equal to |set to |"
    rf"marked as |marked |called |named |a |an )*(?P<value>.+)$|"
    r"^(?P<subject_2>.+?)\s+(?:isn't|aren't|wasn't|differs from|is other than|isnt)\s+(?P<value_2>.+)$",
    re.IGNORECASE,
)


_COUNTED = re.compile(
    rf"^(?:there (?:is|are|were)|(?:we|it|you) (?:finds?|have|has|gets?)|we've got)?\s*(?:{OP})\s*"
    rf"(?P<n>\d{{1,6}}|{NUMBER_WORD})\s+(?P<what>[a-z][\w'-]*(?: [\w'-]+){{0,5}})$|"
    rf"^(?:there (?:is|are|were)|(?:we|it|you) (?:finds?|have|has|gets?))\s*(?P<m>\d{{1,6}}|{NUMBER_WORD})"
    r" or (?P<more>more|fewer|less)\b.*$",
    re.IGNORECASE,
)


def field_name(phrase: str) -> str | None:
    """`insurance_provider` for "the patient's insurance provider"; None when no name is in it."""
    plain = re.split(
        r"\s+(?:of|on|in|from|for) (?:the|a|an|its|our|that|this|each|(?-i:[A-Z])\w+)\b",
        phrase.strip(),
        flags=re.IGNORECASE,
    )[0]
    plain = re.sub(r"[\w-]+(?:'s|s')\s+", "", plain)
    left = [w for w in words(plain) if w not in SMALL and w not in PRONOUN]
    name = re.sub(r"\W+", "_", "_".join(left)).strip("_")
    if not left or len(left) > LONGEST_NAME or not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return None
    return name


def quoted(value: str) -> str:
    """A CEL string."""
    return "'" + value.strip().replace("\\", "\\\\").replace("'", "\\'") + "'"


def read_condition(phrase: str, *, subject: str | None = None) -> Check | None:
    """What has to be so; None when the words fit no rule. `subject` is the field spoken of before."""
    text = ADVERBS.sub("", normalise(phrase[:300]).strip(" ,.;:!?")).strip()
    text = re.sub(r"^(?:that|whether)\s+", "", text, flags=re.IGNORECASE)
    if not text or len(text) > 200:
        return None
    for rule in (_range, _either):
        if found := rule(text, subject):
            return found
    for joint, sign in (
        (r"\s*,?\s+or\s+(?:if |when )?", "||"),
        (r"\s*(?:,\s*and|\s+and|\s+but)\s+(?:if |when )?", "&&"),
    ):
        if re.search(joint, text, re.IGNORECASE) and (both := _joined(text, joint, sign, subject)):
            return both
    return _one(text, subject)


def _joined(text: str, joint: str, sign: str, subject: str | None) -> Check | None:
    if _single(text):
        return None
    checks: list[Check] = []
    for part in re.split(joint, text, flags=re.IGNORECASE):
        check = read_condition(part, subject=checks[-1].subject if checks else subject)
        if check is None:
            return None
        checks.append(check)
    inner = [f"({c.expression})" if "||" in c.expression and sign == "&&" else c.expression for c in checks]
    return Check(f" {sign} ".join(inner), checks[-1].subject, all(c.bare for c in checks))


def _single(text: str) -> bool:
    """ "2 % or more" and "the order and the invoice match" are one condition each."""
    tailed = _COMPARED.match(text)
    counted = _COUNTED.match(text)
    if counted and counted["what"] and re.match(r"(?:or|and)\b", counted["what"]):
        counted = None
    return bool(counted or (tailed and tail_sign(tailed)) or SAME.match(text) or DIFFER.match(text))


def _range(text: str, subject: str | None) -> Check | None:
    """Between A and B (both included), from A to B, more than A and less than B."""
    match = re.match(
        r"^(?P<subject>.*?)\s*(?:(?:is|lies|are|falls)\s+)?\b(?:(?:anywhere )?between|"
        r"from)\s+(?P<low>.+?)\s+(?:and|to)\s+"
        r"(?P<high>.+)$",
        text,
        re.IGNORECASE,
    )
    if not match:
        return None
    low, high = read_amount(match["low"]), read_amount(match["high"])
    if low is None or high is None:
        return None
    unit = low[1] or high[1]
    name = _compared_name(match["subject"], unit, subject)
    if name is None:
        return None
    return Check(f"{name} >= {low[0]} && {name} <= {high[0]}", name)


def _either(text: str, subject: str | None) -> Check | None:
    """ "Done or Cancelled", "either A, B or C": one field, several values."""
    match = _IS.match(text)
    if not match or _COMPARED.match(text):
        return None
    value = match["value"] or match["value_2"]
    values = [v for v in re.split(r"\s*,\s*(?:or\s+|and\s+)?|\s+or\s+|\s+nor\s+", value) if v]
    plain = [_value(v) for v in values]
    name = _is_name(match["subject"] or match["subject_2"], plain[0] or "", subject)
    if len(values) < 2 or not name or not all(plain):
        return None
    named = all(v[:1].isupper() or v[:1] in "\"'" for v in values) or name.rsplit("_", 1)[-1] in ATTRIBUTES
    if not named or any(re.search(r"#|^[\d.,]+\s?%?$| is | and ", v) for v in values):
        return None
    negated = bool(match["not"] or match["value_2"])
    sign, joint = ("!=", " && ") if negated else ("==", " || ")
    return Check(joint.join(f"{name} {sign} {quoted(v or '')}" for v in plain), name)


def _one(text: str, subject: str | None) -> Check | None:
    for rule in (_likeness, _entries, _numbers, _content, _equality, _adjective):
        if found := rule(text, subject):
            return found
    return None


def _entries(text: str, subject: str | None) -> Check | None:
    if match := _COUNTED.match(text):
        if match["m"]:
            op = ">=" if match["more"].lower() == "more" else "<="
            return Check(f"{ITEMS} {op} {whole_number(match['m'])}", ITEMS, bare=True)
        if not re.match(rf"{UNITLESS}|(?:or|and|off)\b", match["what"], re.IGNORECASE):
            return Check(f"{ITEMS} {op_sign(match)} {whole_number(match['n'])}", ITEMS, bare=True)
    if COMPLETE.match(text) and not re.search(r"\d", text):
        good = not COMPLETE.match(text)["not"]  # type: ignore[index]
        return Check(f"complete == {'true' if good else 'false'}", None)
    if NONE.match(text):
        return Check(f"{ITEMS} == 0", ITEMS, bare=True)
    if ANY.match(text) and not re.search(r"\d|%", text):
        return Check(f"{ITEMS} > 0", ITEMS, bare=True)
    return None


def _likeness(text: str, subject: str | None) -> Check | None:
    if re.fullmatch(
        r"(?:there is |with )?(?:no|zero|without any) (?:variance|deviation|difference)", text, re.IGNORECASE
    ):
        return Check(f"{COMPARED} == 0.0", COMPARED)
    if match := SAME.match(text):
        return Check(f"{EQUAL} == {'false' if match['not'] else 'true'}", subject)
    return Check(f"{EQUAL} == false", subject) if DIFFER.match(text) else None


def _numbers(text: str, subject: str | None) -> Check | None:
    match = _COMPARED.match(text)
    if not match:
        return None
    amount = read_amount(text[match.start("n") if not match["sign"] else match.start("sign") :])
    if amount is None:
        return None
    tail = (match["of"] or "").strip().lower()
    told = "" if tail in ("high", "long", "off", "away", "ahead", "late") else tail
    head = f"{match['subject'] or ''} {told}".strip()
    head = re.sub(rf"^(?:it|this|that|they)?\s*{_COPULA}\s+(?=old$)", "", head, flags=re.IGNORECASE)
    bare_number = not match["unit"] and not op_sign(match) and not tail_sign(match) and not match["is"]
    if bare_number and (not words(head) or re.search(r"[a-z]", head)) and not (subject and not words(head)):
        return None
    head = re.sub(rf"\b{_COPULA}\s*$", "", head.strip(), flags=re.IGNORECASE).strip()
    negated = re.search(r"\b(?:not|isn't|aren't)\s*$", head, re.IGNORECASE)
    head = head[: negated.start()] if negated else head
    if re.search(r"\b(?:below|above|under|beneath)\b", text, re.IGNORECASE):
        head = re.sub(
            r"\s+(?:goes|rises|climbs|falls|drops|gets|sinks|went|dropped|fell|rose)(?: up| down)?$",
            "",
            head,
            flags=re.IGNORECASE,
        )
    name = _compared_name(head, amount[1], subject)
    if amount[1] in ("days", "hours", "weeks", "months") and re.search(
        r"\bolder than\b", text, re.IGNORECASE
    ):
        name = f"age_{amount[1]}"
    if name is None:
        return None
    op = tail_sign(match) or op_sign(match) or (">=" if name.startswith("age_") else "==")
    if negated:
        op = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}[op]
    return Check(f"{name} {op} {amount[0]}", name)


_WORTH = re.compile(
    r"\s+(?:(?:is|are|was) )?(?:worth|costs?|comes? to|amounts? to|totals|valued at|priced at|adds up to|"
    r"for)$",
    re.IGNORECASE,
)
_MOVED = re.compile(
    r"\b(?:dropped|fell|rose|grew|increased|decreased|changed|climbed|slipped|(?:went|gone|are|is) (?:up|"
    r"down)|jumped|shrank|drops?|falls?|rises?|"
    r"grows?|increases?|decreases?|changes?|moved?)(?: by)?$",
    re.IGNORECASE,
)
_OFF = re.compile(
    r"\b(?:off|differs?|differ|deviates?|var(?:y|ies)|apart|diverges?|is out)(?: by)?$", re.IGNORECASE
)
_AGED = re.compile(
    r"\b(?:(?:has|have|had)(?: not| n't)? been [a-z]+|(?:has|have) not (?:moved|changed|replied|responded|"
    r"answered|paid)|open|waiting|untouched|unanswered|pending|idle|stale|unassigned)(?: (?:for|on|in) "
    r"[a-z]+)?"
    r"(?: for| since)?$",
    re.IGNORECASE,
)


def _compared_name(head: str, unit: str, subject: str | None) -> str | None:
    """The field that is compared: said, or the one spoken of before. Percentages end in `_percent`."""
    head = re.sub(rf"\b{_COPULA}\s*$", "", head.strip(), flags=re.IGNORECASE)
    head = re.sub(
        r"^.*\b(?:with|whose|having|where|that has|which has)\s+(?=\w)", "", head.strip(), flags=re.I
    )
    if unit == "%" and _OFF.search(head):
        return COMPARED
    if unit == "%" and _MOVED.search(head):
        return COMPARED if subject == COMPARED else "change_percent"
    head = re.sub(r"\s+(?:has|have)$", "", _WORTH.sub("", head), flags=re.IGNORECASE)
    head = re.sub(
        r"\s+(?:goes|rises|climbs|falls|drops|gets|sinks|reaches|hits|went|dropped|fell|rose|is|are|stays|"
        r"runs)(?: up| down| to)?$",
        "",
        head,
        flags=re.I,
    )
    if unit in ("days", "hours", "weeks", "months") and _AGED.search(head):
        return f"age_{unit}"
    head = re.sub(
        r"\b(?:a|an|is|with|of|at|by|for|from|percentage|percent|when|if)\s*$", "", head.strip(), flags=re.I
    )
    head = re.sub(r"^(?:with|at|for|by|from)\s+", "", head.strip(), flags=re.IGNORECASE)
    name = (
        field_name(re.sub(r"\b(?:in percent|in %|percentage|percent)\b", "", head)) if head.strip() else None
    )
    if name is None and head.strip() and not set(words(head)) <= (PRONOUN | SMALL):
        return None
    if unit == "%":
        name = name or subject
        if name is None:
            return None
        if name in DIFFERENCES:
            return COMPARED
        return name if name.endswith("_percent") else f"{name}_percent"
    if unit in ("days", "hours", "weeks", "months", "minutes"):
        return f"age_{unit}" if name is None or name == "old" else f"{name}_{unit}"
    if name and singular(name.rsplit("_", 1)[-1]) in WITH_AMOUNT:
        return "amount"
    return COMPARED if name == "variance" else name or subject


def _content(text: str, subject: str | None) -> Check | None:
    match = HOLDS.match(text)
    if not match:
        return None
    name, value = field_name(match["subject"]) or subject, _value(match["value"])
    if not name or not value:
        return None
    verb = match["verb"].lower()
    call = (
        "startsWith"
        if verb.startswith(("start", "begin"))
        else "endsWith"
        if verb.startswith("end")
        else "contains"
    )
    return Check(f"{'!' if match['not'] else ''}{name}.{call}({quoted(value)})", name)


def _equality(text: str, subject: str | None) -> Check | None:
    """ "The insurance provider is Aetna"; "the invoice is overdue" is a yes or no of `overdue`."""
    match = _IS.match(text)
    if not match or JUDGING.search(text):
        return None
    head, raw = match["subject"] or match["subject_2"], match["value"] or match["value_2"]
    negated = bool(match["not"] or match["value_2"])
    value = _value(raw)
    if value is None or re.search(r"[#%\d]|\b(?:or|and|more|less|over|under|than|above|below)\b", raw):
        return None
    name = _is_name(head, raw, subject)
    if name is None:
        return None
    if name == "":
        own = field_name(raw)
        return (
            Check(f"{own} == {'false' if negated else 'true'}", None) if own and len(words(raw)) < 4 else None
        )
    return Check(f"{name} {'!=' if negated else '=='} {quoted(value)}", name)


def _is_name(head: str, raw: str, subject: str | None) -> str | None:
    """The field that has this value; the empty string when the value is a yes or no itself."""
    named = field_name(head)
    is_name = raw[:1].isupper() or raw[:1] in "\"'"
    if named is None:
        if subject and (is_name or subject.rsplit("_", 1)[-1] in ATTRIBUTES):
            return subject
        return "" if not is_name and set(words(head)) <= (PRONOUN | SMALL) else None
    last = named.rsplit("_", 1)[-1]
    if is_name or last in ATTRIBUTES:
        return named
    return "" if re.fullmatch(r"[a-z]+(?:[ -][a-z]+){0,2}", raw) else None


def _value(raw: str) -> str | None:
    """The value as it is spelt, without quotes and small words around it."""
    plain = raw.strip().strip("\"'").strip()
    plain = re.sub(r"^(?:the|a|an)\s+", "", plain)
    return plain if words(plain) and len(words(plain)) <= LONGEST_NAME else None


def _adjective(text: str, subject: str | None) -> Check | None:
    """ "overdue", "not urgent", "approved": one or two plain words."""
    if whole := re.fullmatch(r"(?P<not>not\s+)?(?P<in>in)?complete", text):
        return Check(
            f"complete == {'true' if bool(whole['not']) == bool(whole['in']) else 'false'}", None, bare=True
        )
    match = re.fullmatch(r"(?P<not>not\s+)?(?P<what>[a-z]+(?:[ -][a-z]+)?)", text)
    if not match or JUDGING.search(text):
        return None
    what = words(match["what"])
    if not what or set(what) & (PRONOUN | SMALL | NO_ADJECTIVES) or len(what[0]) < 3:
        return None
    name = field_name(match["what"])
    return Check(f"{name} == {'false' if match['not'] else 'true'}", None, bare=True) if name else None


def negated(expression: str) -> str:
    return f"!({expression})"
