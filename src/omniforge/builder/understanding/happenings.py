"""Things that happen and start something: "when a new row appears", "as soon as somebody posts"."""

from __future__ import annotations

import re

_PASSIVE = (
    r"(?:added|created|opened|closed|merged|posted|moved|assigned|changed|updated|submitted|uploaded|"
    r"received|published|"
    r"paid|booked|deleted|removed|released|filed|finished|completed|signed|tagged|commented|registered|"
    r"detected|reported|"
    r"mentioned|requested|cancelled|canceled|approved|rejected|sent|made|logged|marked|edited|archived|"
    r"raised|placed|ordered|"
    r"labell?ed|flagged|reviewed|replied to|reopened|"
    r"resolved|escalated|shipped|delivered|deployed|pushed|won|lost|set|entered|started|filled(?: in| out)?)"
)
_ACTIVE = (
    r"(?:appears?|arrives?|comes? in|shows? up|lands?|pops? up|signs? up|joins?|fails?|breaks?|goes "
    r"(?:down|offline|live|out)|"
    r"drops in|turns up|hits|reaches|gets? in|comes? (?:through|up)|changes|becomes|expires?|crashes|"
    r"ends?|starts?|logs? in|"
    r"(?:adds|posts|creates|changes|updates|mentions|comments|emails|mails|writes|sends|uploads|fills|"
    r"requests|replies|"
    r"opens|closes|submits|books|orders|buys|pays|cancels|files|reports|asks|calls|registers|merges|"
    r"pushes|messages|"
    r"assigns|moves|completes|finishes|edits|deletes|shares|tags|subscribes|unsubscribes|reacts|publishes|"
    r"signs))"
)
_PERSON = (
    r"(?:someone|somebody|anyone|anybody|(?:an?|any|the|one of (?:our|my)|our|each|every) (?:[a-z]+ "
    r")?(?:customer|client|user|lead|"
    r"patient|colleague|person|candidate|supplier|vendor|visitor|member|student|employee|applicant|"
    r"subscriber)s?)"
)
BODY = re.compile(
    rf"\b(?:(?:there(?:'s| is| are) )?(?:an?|any|some|one|something) ?(?:new|fresh|incoming)\b|new \w+|"
    rf"(?:is|are|was|were|has been|have been|gets?|got) (?:newly |just |being )?{_PASSIVE}\b|{_ACTIVE}\b|"
    r"(?:gets|receives|is given) (?:the|an?) \w+|"
    rf"{_PERSON} (?!has\b|have\b|is\b|are\b)\w+|"
    r"(?:we|i|they) (?:get|receive|got|have received|hear|are (?:sent|mentioned|tagged))\b|"
    r"(?:i'm|i am|we're|we are) (?:assigned|mentioned|tagged|invited)\b)",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"\b(?P<lead>whenever|as soon as|each time|every time|any ?time|(?<!at )the (?:moment|minute|"
    r"instant)(?: that)?)\s+"
    r"(?!i (?:ask|say|want|need|tell|request|call|run|trigger|feel|like)|possible|you (?:can|like|want)|"
    r"we (?:ask|need|want)|"
    r"zone|it's (?:possible|convenient)|needed|necessary|required)(?P<body>(?:[\w'#-]+\s+){1,12}[\w'#-]+)",
    re.IGNORECASE,
)
_WEAK = re.compile(r"\b(?:when|once(?! (?:a|per|every|an?)\s+(?:day|week|month|hour|year|quarter)\b)|if|"
                   r"after)\s+(?P<body>[^.;,]{3,70})",
                   re.IGNORECASE)  # fmt: skip
_EACH = re.compile(
    r"\bany ?time (?:the |our |a )?[a-z]+ (?:changes?|moves?|arrives?|appears?|drops?|falls?|rises?|"
    r"fails?)\b|"
    r"\b(?:each|every) new (?!day|week|month|year|quarter|morning)[a-z]+|"
    r"\b(?:for|on|upon|with|after|at) (?:each|every|any|all|an?)(?: and every)?(?: single)? (?:new|"
    r"incoming|fresh|newly)\b|"
    r"\b(?:upon|on|after|at) (?:each|every) (?!(?:\w+ )?(?:day|week|month|year|hour|minute|quarter|"
    r"morning|evening|afternoon|"
    r"night|mon|tue|wed|thu|fri|sat|sun|\d|weekday|weekend|workday|first|second|third|last|other|full|"
    r"half|working|business))"
    r"[a-z]+|\bon (?:each|every) (?:change|update)\b|\bfor (?:each|every) (?:\w+ ){1,3}(?:that|which) "
    r"(?:comes|arrives|gets|is|appears)\b|\bupon (?:arrival|receipt|creation)\b|\bas (?:it|they|soon as "
    r"it) (?:happens?|comes?|arrives?)\b",
    re.IGNORECASE,
)


def happens(body: str) -> bool:
    """Whether the words behind "when" tell of something that happens, not of how something is."""
    return BODY.search(body) is not None


def is_event(text: str) -> bool:
    """Whether a message wants to be started by what happens."""
    if _EACH.search(text) or any(happens(match["body"]) for match in _WEAK.finditer(text)):
        return True
    return any(
        not re.match(r"(?:i|we) (?:ask|say)\b", match["body"], re.I) for match in _STRONG.finditer(text)
    )
