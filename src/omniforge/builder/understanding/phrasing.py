"""A wish in plain orders: side remarks left out, sayings as one verb, what is said last but done first in front."""

from __future__ import annotations

import re
from collections.abc import Callable

_WHO = r"(?:#[\w-]+|@[\w-]+|zze\d+zz|(?:the |our |my |every |each )?(?:[\w'-]+ ){0,3}?[\w'-]+)"
_PLACED = r"(?:#[\w-]+|@[\w-]+|zze\d+zz)"
_REASON = (
    r"(?:because|cause|cos|so that|so (?=(?:people|we|i|they|everyone|everybody|nobody|no one|the|it|that|"
    r"you|my|our|he|she)\b)|since(?= (?:we|i|it|they|that|this|nobody|the)\b)|which (?:is|are|would|takes|"
    r"makes|drives|means|i|we)\b|in order (?:to|that)|as (?=(?:we|i|they|it|nobody)\b(?! (?:happens|arrives|comes)))|"
    r"seeing (?:as|that)|given that|thinking that)"
)
_REMARKS = re.compile(
    r"(?:^|(?<=[\s,.!?;¶]))(?:"
    r"(?:hi|hello|hey|hiya|dear all|good (?:morning|afternoon|evening)|greetings)(?: there| team| all| everyone| bot)?\s*[,!.]|"
    r"(?:many )?thank(?:s|ing you| you)(?: (?:so much|a lot|very much|in advance|a bunch|a million|again|all))*(?=\s*(?:[,.!;¶]|$))[!.]*|"
    r"cheers(?=\s*(?:[,.!]|$))|ta(?=[!.]*$)|"
    r"(?:not sure|don't know|no idea|i wonder|wondering|i don't know|i'm not sure)(?: if| whether)? (?:(?:you|it|that|this)(?:'s| is)? )?"
    r"(?:can |could )?(?:do (?:this|that|it)|possible|be done|works?)[^,.;]{0,20}?(?:,? but\b|[,.;])|"
    r"if (?:at all )?(?:possible|that's (?:ok|okay|possible|fine|all right)|that is (?:ok|possible)|you (?:can|could|like|don't mind|would|please)|it's not too much(?: trouble)?)(?=\s*(?:[,.;!?]|$))|"
    r"(?:as (?:i|we) said|you know|to be honest|tbh|frankly|basically|fyi|btw|by the way|by the looks of it|as usual|as always|ideally|preferably|obviously|of course|"
    r"straight ?away|right away|for (?:me|us)(?= (?:and|then|please)\b)|if you would|would you|will you|ok\?|right\?|okay\?)(?=\s*(?:[,.;!?]|$|\band\b|\bto\b)),?"
    r")",
    re.IGNORECASE,
)
_BECAUSE = re.compile(rf"\s*,?\s+{_REASON}\s[^,.;:¶]*", re.IGNORECASE)
_CONTRACTED = re.compile(
    r"\b(?P<who>something|anything|nothing|everything|there|what|who|he|she|somebody|someone|nobody|one|it|that)'s\s"
    r"(?=(?:not|no|a|an|the|any|some|more|less|been|missing|wrong|off|late|over|under|above|below|urgent|new|at|in|"
    r"older|empty|there|overdue|due|ok|okay|fine|nothing|something|\w+(?:ed|ing|en|nt))\b)",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?P<verb>is|are|was|were|has|have|does|do|did|should|would|could|must|need)n't\b", re.IGNORECASE
)

_SAYINGS: tuple[tuple[str, str], ...] = (
    (r"(?P<v>let|have|keep) (?P<who>(?!me\b|us\b)" + _WHO + r") (?:know|posted|informed|updated|in the loop)\b", r"tell \g<who>"),
    (r"(?:give|send|shoot|drop|fire off|ping)(?: off)? (?P<who>(?!me\b|us\b)" + _WHO + r") (?:an? )?(?:quick |short |little |friendly |gentle )?"
     r"(?:heads?[- ]?up|shout|nudge|ping|buzz|line|shout-out)(?= |$|,|\.)", r"tell \g<who>"),
    (r"(?:give|send|shoot) an? (?:quick |short )?(?:heads?[- ]?up|shout|nudge|ping|shout-out) to (?P<who>" + _WHO + r")(?= |$|,|\.)", r"tell \g<who>"),
    (r"(?:give|send|shoot|drop) (?P<who>me|us) (?:an? )?(?:quick |short |little )?(?:heads?[- ]?up|shout|nudge|ping|buzz|line)\b", r"tell \g<who>"),
    (r"(?:cc|copy in|loop in|bring in|put in copy) (?P<who>" + _PLACED + r")", r"message \g<who>"),
    (r"cc (?P<who>(?:the |our |my )?[\w-]+)(?= |$|,|\.)", r"email \g<who>"),
    (r"(?:put|keep|copy|loop) (?P<who>" + _PLACED + r") (?:in )?(?:on )?(?:cc|copy|in|it|(?:in )?the loop)\b", r"message \g<who>"),
    (r"keep (?:an|a close|a careful|one) eye (?:on|out for)", "watch"),
    (r"(?:keep tabs on|look out for|be on the lookout for|stay on top of)", "watch"),
    (r"(?P<v>jot|note|write|mark|put|take|set|scribble)(?P<i>s|ting|ing)? down(?= )", "record"),
    (r"(?:make|take|keep) (?:a )?(?:quick )?(?:note|record|entry|log) (?:of|for)", "record"),
    (r"note(?= (?:it|them|that|this)\b)", "record"),
    (r"make (?:sure|certain|it sure)(?: that)?", "ensure"),
    (r"see to it that", "ensure"),
    (r"double[- ]check(?= )", "check"),
    (r"(?:have|take|has|having) an? (?:quick |good |close |closer )?look (?:at|through|over|into)", "look at"),
    (r"(?:look|go|run|sift|comb|leaf|trawl|dig|flick|skim|page|work|read|plough|plow|search|scan)(?:ing)? through(?= (?!#))", "look at"),
    (r"(?:go|look|run) over(?= )", "look at"),
    (r"(?:put|pull|bring|gather|scrape|get|collect|roll|tie|wrap|mash|lump|stitch|join|throw|mix|fold)(?:ing)? (?P<what>both|it all|them(?: all| both)?|everything|"
     r"the (?:two|three|four|results?|lists?|summaries|findings)|all (?:of (?:it|them|that)|that|three|two|four)) (?:up |together )*(?P<in>into|in|to)(?= (?:one|an?|the) )", r"combine \g<what> \g<in>"),
    (r"(?:pull|bring|roll|tie|wrap|mash|lump|stitch|put|throw|merge|fold)(?:ing)? (?P<what>both|it all|them(?: all| both)?|everything|all of (?:it|them|that)) (?:up|together)(?: into)?", r"combine \g<what> into"),
    (r"(?:roll|wrap|sum|boil|condense|round)(?:ing)? (?P<what>it|them|this|that|everything|all of (?:it|them|that)|it all|the results?) (?:up|down)", r"summarise \g<what>"),
    (r"(?:put|pull|draw|whip|knock|rustle|write|bring|get)(?:ting|ing)? (?:together|up)(?= (?:an?|the|one|some|our|my) )", "compile"),
    (r"(?:dig|fish|pick|pull|root|ferret|seek|hunt)(?:ging|ing|ting)? (?:out|down|up)(?= )", "find"),
    (r"(?:fire|send|shoot|ship|dispatch)(?:ing)? (?:off|out|over|across)(?= )", "send"),
    (r"(?P<v>send|forward|hand|pass|ship|shoot)(?:ing)? (?P<what>it|them|this|that|those|these|the \w+(?: \w+)?) (?:on|off|out|over|along|across)(?= |$|,)", r"send \g<what>"),
    (r"(?:pass|hand|send) (?:on|over|along)(?= )", "send"),
    (r"(?:pass|hand|wave) (?P<what>it|them|this|that|those) through", r"approve \g<what>"),
    (r"sign (?P<what>it|them|this|that|those) off", r"approve \g<what>"),
    (r"(?:sign off(?: on)?|green-?light|wave through|give the (?:go-ahead|green light|ok|okay)(?: to| for)?|rubber-?stamp)", "approve"),
    (r"(?:turn|knock) (?P<what>it|them|this|that|those|the \w+) (?:down|back)", r"reject \g<what>"),
    (r"(?:turn down|knock back|throw out)", "reject"),
    (r"say no(?: to)?(?= |$|,|\.)", "reject"),
    (r"(?:put|hold|park) (?P<what>it|them|this|that|those) (?:aside |back |on hold )?for (?:a |manual |human )?(?:review|checking|approval)", r"review \g<what>"),
    (r"(?:file|raise|log|lodge|open|cut|create)(?: up)?(?= (?:an? |the |another |one |it |them |this )(?:\w+ ){0,3}?(?:ticket|issue|bug|card|task|case)s?\b)", "create"),
    (r"open up", "open"),
    (r"(?:get|gets) (?P<who>#[\w-]+) to", r"ask \g<who> to"),
    (r"(?:ring|call|get in touch with|reach out to|contact|talk to|speak to|drop)(?= (?:#|zze))", "message"),
    (r"shout (?:in|into|at|to)(?= #)", "post in"),
    (r"(?:make|do) (?:a )?(?:post|announcement)(?= (?:in|to|on))", "post"),
    (r"(?:goes|go|going|gets?|comes?|lands?|ends? up|is to go|belongs?)(?: straight| directly| just| right)?(?= (?:in|into|to|onto|on) (?:#|the #|our #|(?:the |our )?(?:\w+ )?(?:Notion|Slack|Linear|GitHub)\b))", "put it"),
    (r"(?:needs?|require|requires|wants?)(?: an?| the)?(?: \w+)? (?:approval|sign-?off|review|an? ok|a look)(?= (?:in|from|by|of) #)", "ask for approval"),
    (r"(?:work|figure|find) out", "calculate"),
    (r"tot(?:al)? up|add up|tally up", "total"),
    (r"touch base with", "message"),
    (r"(?:don't|do not) (?:bother|worry|do anything|need anything)", "do nothing"),
)  # fmt: skip
_SAYING = [(re.compile(rf"(?<![\w#/-]){pattern}", re.IGNORECASE), plain) for pattern, plain in _SAYINGS]

_OBJECT_FIRST = re.compile(
    r"^(?P<lead>(?:please |and |then |also )*)before (?:you |we |it |the agent )?(?P<later>(?!it\b|that\b|they\b)"
    r"[a-z]+(?:s|ing)?\s[^,]{2,120}),\s*(?P<first>.+)$",
    re.IGNORECASE,
)
_AFTER_DOING = re.compile(
    r"^(?P<later>.{4,160}?)[\s,]+(?:but (?:only )?|only |right |straight |directly )?(?:after|once)"
    r"\s+(?:you(?:'ve| have) |you |we(?:'ve| have) |having |it has |first )?(?P<first>(?!the\b|an?\b|each\b|every\b|that\b|this\b|it\b|both\b|all\b)"
    r"[a-z]+(?:ing|ed|n|t|nt)\s(?:up |out |through )?(?:the|all|both|our|my|an?|any|what|this|last|it|them|every|open|new|yesterday's|#)(?!\w).+)$",
    re.IGNORECASE,
)
_FIRST_DONE = re.compile(
    r"^(?:after|once)\s+(?:you(?:'ve| have) |you |we(?:'ve| have) |having |it has )?(?P<first>[a-z]+ing\s[^,]{3,160}?|"
    r"(?<=you've )[a-z]+(?:ed|t|n)\s[^,]{3,160}?),\s*(?P<later>.+)$",
    re.IGNORECASE,
)
_BEFORE_DOING = re.compile(
    r"^(?P<first>.{4,200}?)[\s,]+before\s+(?:you |we |it )?(?P<later>[a-z]+ing\s(?:it|them|the|that|this|an?|one|everything|to|in|all|our)\b.*|"
    r"(?:you |we )[a-z]+\s(?:it|them|the|that|this|an?|one|everything|to|in|all|our)\b.*)$",
    re.IGNORECASE,
)


def plain_orders(text: str) -> str:
    """The text with less around its orders."""
    text = _NOT.sub(r"\g<verb> not", text)
    text = _CONTRACTED.sub(r"\g<who> is ", text)
    text = _REMARKS.sub(" ", text)
    text = _BECAUSE.sub("", text)
    for pattern, plain in _SAYING:
        text = pattern.sub(plain, text)
    return re.sub(r"\s+", " ", text).strip(" ,")


def in_order(sentence: str, names_a_deed: Callable[[str], bool]) -> str:
    """ "Post it after summarising it", "before you post it, sort it": what is done first in front.
    `names_a_deed` tells whether words start with a verb that is known."""
    for pattern in (_OBJECT_FIRST, _FIRST_DONE, _AFTER_DOING, _BEFORE_DOING):
        match = pattern.match(sentence)
        if match and names_a_deed(match["first"]) and names_a_deed(match["later"]):
            return f"{match['first'].strip(' ,')}, then {match['later'].strip(' ,')}"
    return sentence
