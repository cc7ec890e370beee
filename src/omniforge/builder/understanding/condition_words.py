"""Words of conditions: entries found, sameness, completeness, and those that name no field."""

from __future__ import annotations

import re

from omniforge.builder.understanding.text import words

HOLDS = re.compile(
    r"^(?P<subject>.+?)\s+(?P<not>doesn't |does not |don't |do not )?(?P<verb>contains?|includes?|"
    r"mentions?|has the "
    r"words?|starts? with|begins? with|ends? with)\s+(?:the )?(?:words? |term |text )?(?P<value>.+)$",
    re.IGNORECASE,
)
ANY = re.compile(
    r"^(?:there(?:'s| is| are| was| were) (?!(?:no|not|none|nothing|more|less|fewer|over|under|at least|"
    r"at most)\b|"
    r"(?:a |any )?(?:difference|mismatch|discrepanc))[a-z].*|"
    r"(?:any|some|at least one|one)(?:thing)?(?: (?:of (?:them|these|those)|\w+(?: \w+)?))?"
    r"(?: (?:is|are|was|were|has|have|has been|have been|gets|turns?|shows?|comes?) .*)?|"
    r"(?:it|we|you|i|that) (?:finds?|found|gets?|have|has|sees?) (?:any|some|something|anything|at least "
    r"one|one)\b.*|"
    r"(?:the )?(?:list|result|report) is(?: not|n't) empty|something|anything|any)$",
    re.IGNORECASE,
)
NONE = re.compile(
    r"^(?:there(?:'s| is| are| was| were)?(?: not|n't)? (?:none|nothing|no\b|not any|any left)\b.*|there "
    r"(?:isn't|is not|are not|was not|were not|"
    r"aren't|wasn't|weren't) (?:any|one|a)\b.*|none\b.*|nothing(?: (?:is|was|new|found|came|has).*)?|"
    r"no (?:\w+ ){0,3}(?:(?:is|are|was|were|gets?|can be|could be) (?:found|there|left|returned)|fits?|"
    r"match(?:es)?|belongs?|"
    r"exists?|turns? up|comes? up|appears?|c[oa]me in|arrived?|were added|was added|signed up)(?: .*)?|no "
    r"(?:\w+ )?(?:results?|"
    r"matches|entries)|"
    r"(?:it|we|you|i) (?:finds?|found) (?:none|nothing|no\b).*|(?:it|we|you) (?:doesn't|don't|can't|"
    r"cannot) find "
    r"(?:any|one|it|a)\b.*|(?:the )?(?:list|result|report) is empty)$",
    re.IGNORECASE,
)
SAME = re.compile(
    r"^(?:(?:they|it|both|everything|something|anything|things|all|the \w+|(?:the )?(?:quantit|amount|"
    r"total|number|price|name|date|item|figure|count)\w*|these|those|the (?:two|numbers|amounts|totals|"
    r"values)|"
    r"(?:the )?[\w ]{1,40}? and (?:the )?[\w ]{1,30}?)(?: both| all)? )?(?:(?:is|are|was|were) )?"
    r"(?P<not>not |do not |don't |does not |doesn't |did not |didn't )?(?:the same|identical|equal|in "
    r"agreement|"
    r"match(?:es|ing|ed)?|agrees?|tall(?:y|ies)|consistent)(?: (?:exactly|each other|up|with it|the "
    r"\w+(?: \w+)?))?$",
    re.IGNORECASE,
)
DIFFER = re.compile(
    r"^(?:(?:they|it|both|the \w+|these|those|[\w ]{1,60}?) )?(?:(?:is|are|was|were) )?(?:differs?|different|"
    r"unequal|a mismatch|mismatched|there(?:'s| is) (?:a|any) (?:difference|mismatch|discrepancy))$|"
    r"^there(?:'s| is| are) (?:a |any |an? )?(?:difference|mismatch|discrepancy|differences|discrepancies)$",
    re.IGNORECASE,
)
COMPLETE = re.compile(
    r"^(?P<not>(?:something|anything|a (?:field|value)|any(?: \w+)?|some(?: \w+)?|information|data) (?:is|"
    r"are) missing(?: (?:in|from|on|at) .*)?|"
    r"(?!nothing\b).* (?:is|are) (?:incomplete|not complete|missing|empty|blank|not (?:there|given|"
    r"filled(?: in)?|present|signed)))$|^(?:nothing (?:is )?missing|(?:it|everything|all \w+|"
    r".*) (?:is|are) "
    r"(?:complete|there|filled(?: in)?))$",
    re.IGNORECASE,
)
PRONOUN = frozenset(
    words(
        "it this that they them these those he she which one something someone anything what the thing you we"
    )
)
SMALL = frozenset(
    words("the a an its their our my your this that these those his her whose of total's overall")
)
ATTRIBUTES = frozenset(
    words("""
    area practice field specialty speciality location site branch division unit format code grade subject
    ward shift practice_area course club industry sector market
    status priority type kind category region country city language department team severity stage
    plan tier level provider insurer source channel owner state currency supplier vendor brand colour
    color size class topic subject title name label tag verdict decision result outcome answer
    sentiment tone mood role phase sprint gender
    """)
)
JUDGING = re.compile(
    r"\b(?:sounds?|seems?|looks? like|feels?|appears?|probably|likely|near|soon|close to|smaller|"
    r"larger|bigger|"
    r"higher|lower|greater|older|newer|shorter|longer|later|earlier|fewer|cheaper|stronger|weaker|"
    r"better|worse|different)\b",
    re.IGNORECASE,
)
ADVERBS = re.compile(
    r"\b(?:really|still|already|actually|indeed|currently|just|only|always|in fact|then|also|even|both|"
    r"clearly|very)\s+",
    re.IGNORECASE,
)
DIFFERENCES = frozenset(
    words("difference deviation discrepancy gap mismatch delta divergence variation percent")
)


"""What people call the variance when they speak of percents."""
WITH_AMOUNT = frozenset(
    words(
        "expense invoice order payment bill claim purchase refund deal quote donation transaction receipt "
        "request "
        "sale booking reimbursement"
    )
)
"""Things that have one amount, which is meant when they are compared with a number."""
NO_ADJECTIVES = frozenset(
    words("""
    possible needed necessary required so not applicable you i we and or then else if when any all
    none nothing anything something more less again here there now later never ever enough time yes no
    okay please maybe
    """)
)
