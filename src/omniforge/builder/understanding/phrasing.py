"""A wish in plain orders: remarks left out, sayings as one verb, what is done first in front."""

from __future__ import annotations

import re
from collections.abc import Callable

from omniforge.builder.understanding.sayings import SAYINGS
from omniforge.builder.understanding.verbs import VERBS, Deed, Form

_REASON = (
    r"(?:otherwise(?= (?:i|we|people|nobody|no one|everyone|it|they|somebody) (?:never|always|keep|keeps|"
    r"forget|forgets|will|would|just|have|has|get|gets|end|miss|misses|don't|do not|can't|am|are|is)\b)|"
    r"(?:because|cause|cos|so that|so (?=(?:people|we|i|they|everyone|everybody|nobody|no one|the|it|that|"
    r"you|my|our|he|she)\b)|since(?= (?:we|i|it|they|that|this|nobody|the)\b)|which (?:is|are|would|takes|"
    r"makes|drives|means|i|we)\b|in order (?:to|that)|as (?=(?:we|i|they|it|nobody)\b(?! (?:happens|"
    r"arrives|comes)))|"
    r"seeing (?:as|that)|given that|thinking that))"
)
_REMARKS = re.compile(
    r"(?:^|(?<=[\s,.!?;¶]))(?:"
    r"(?:hi|hello|hey|hiya|dear all|good (?:morning|afternoon|evening)|greetings)(?: there| team| all| "
    r"everyone| bot)?\s*[,!.]|"
    r"(?:many )?thank(?:s|ing you| you)(?: (?:so much|a lot|very much|in advance|a bunch|a million|again|"
    r"all))*(?=\s*(?:[,.!;¶]|$))[!.]*|"
    r"cheers(?=\s*(?:[,.!]|$))|ta(?=[!.]*$)|"
    r"(?:not sure|don't know|no idea|i wonder|wondering|i don't know|i'm not sure)(?: if| whether)? "
    r"(?:(?:you|it|that|this)(?:'s| is)? )?"
    r"(?:can |could )?(?:do (?:this|that|it)|possible|be done|works?)[^,.;]{0,20}?(?:,? but\b|[,.;])|"
    r"if (?:at all )?(?:possible|that's (?:ok|okay|possible|fine|all right)|that is (?:ok|possible)|you "
    r"(?:can|could|like|don't mind|would|please)|it's not too much(?: trouble)?)(?=\s*(?:[,.;!?]|$))|"
    r"(?:as (?:i|we) said|you know|to be honest|tbh|frankly|basically|fyi|btw|by the way|by the looks of "
    r"it|as usual|as always|ideally|preferably|obviously|of course|"
    r"straight ?away|right away|for (?:me|us)(?= (?:and|then|please)\b)|if you would|would you|will you|"
    r"ok\?|right\?|okay\?)(?=\s*(?:[,.;!?]|$|\band\b|\bto\b)),?"
    r")",
    re.IGNORECASE,
)
_BECAUSE = re.compile(rf"\s*,?\s+{_REASON}\s[^,.;:¶]*", re.IGNORECASE)
_CONTRACTED = re.compile(
    r"\b(?P<who>something|anything|nothing|everything|there|what|who|he|she|somebody|someone|nobody|one|it|"
    r"that)'s\s"
    r"(?=(?:not|no|a|an|the|any|some|more|less|been|missing|wrong|off|late|over|under|above|below|urgent|"
    r"new|at|in|"
    r"older|empty|there|done|left|gone|ready|finished|complete|over|overdue|due|ok|okay|fine|nothing|something|"
    r"\w+(?:ed|ing|en|nt))\b)",
    re.IGNORECASE,
)
_DONT = re.compile(r"\b(?:dont|doesnt|isnt|arent|hasnt|havent|didnt|wasnt|shouldnt|wouldnt)\b", re.IGNORECASE)
_NOT = re.compile(
    r"\b(?P<verb>is|are|was|were|has|have|does|did|should|would|could|must|need)n't\b", re.IGNORECASE
)

_SPAN = re.compile(
    r"\b(?P<low>between [$€£]?\d[\d.,]*\s?(?:%|percent|k|euros?|dollars|pounds|[$€£])?) and (?=[$€£]?\d)",
    re.IGNORECASE,
)
_WISHING = re.compile(
    r"(?:(?:^|(?<=[,.!?;¶:] ))(?:so |but |and )?(?:i(?:'m| am)|we(?:'re| are)) (?:after|looking for|in "
    r"need of|keen on|interested in)|(?:i|we) (?:could|can) (?:really )?(?:use|do with)|(?:i|we)'?d? fancy|"
    r"(?:i|we)(?:'d| would| do|'ve got| have got| have)?(?: really| also| just)* (?:need|want|"
    r"require)(?=(?: an?| the| one| some) (?:[\w'-]+ ){0,3}?(?:reminder|alert|notification|message|note|"
    r"ping|post|heads-up|summary|digest|report|list|overview)\b)) |"
    r"(?:^|(?<=[.!?;,¶]\s))(?:and |so |but |ok |okay )?(?:(?:i|we)(?:'d| would)? (?:really |absolutely "
    r")?(?:love|like|appreciate|prefer|be happy|be glad|be grateful|"
    r"wish)(?: it)? if (?:(?:you|it|the agent|someone|somebody) (?:could|would|can)(?: please)? )?|"
    r"it (?:would|'d) (?:be (?:so |really |super )?\w+|help(?: \w+){0,3}|save (?:\w+ ){1,4}) (?:if|to) "
    r"(?:(?:you|it|the agent|someone|somebody) (?:could|would|can) )?|"
    r"would be (?:so |really )?\w+ (?:if|to) (?:(?:you|it) (?:could|would|can) )?|"
    r"(?:i|we)(?:'d| would| will|'ll) (?:be (?:very |so |really )?(?:grateful|thankful|glad|happy|pleased|"
    r"delighted)|appreciate|welcome|love)(?: for| about| of| with| to (?:get|have|see|receive))? (?=an?\b|"
    r"the\b|some\b)|"
    r"(?:is it possible|is there (?:a|any) way|any chance|what are the chances)(?: for (?:you|it|us|an "
    r"agent))?(?: of| to| that| you (?:could|can))* ?|"
    r"(?:do you think )?(?:you|an agent|it) (?:could|can|might) (?:maybe |perhaps |please )?(?=[a-z])|"
    r"(?:i was|we were|i'm|just) wondering (?:if|whether) (?:(?:you|it|we) (?:could|can|might) )?|"
    r"(?:would|do) you mind (?=[a-z]+ing)|what (?:i|we) (?:need|want|would like|'d like) is (?:for you to |"
    r"to |that |an agent (?:that|to) |something (?:that|to) )?|"
    r"(?:i|we) (?:need|want|would like|'d like) (?:this|it|the following)(?: to happen)?:|my wish:?|here's "
    r"(?:what|the thing)[^:,.]{0,30}[:,]|"
    r"(?:the )?(?:task|job|idea|plan|goal|process|workflow)(?: here)?(?: is|:) (?:(?:as follows|simple|"
    r"this|to)[:,]? )?)",
    re.IGNORECASE,
)
_ASKED_NEW = re.compile(
    r"(?:^|(?<=[.!?;¶]\s))(?:have we got |got |is there |any |if )?(?P<what>(?:an? )?new [a-z]+(?: "
    r"[a-z]+){0,2})\s*\?\s*",
    re.IGNORECASE,
)
_MEANS = re.compile(
    r"\s+(?:means?|leads? to|results? in|calls? for|triggers?)(?: that)?(?: (?:we|you|it|an?)(?: (?:should|"
    r"must|have to|has to|need to))?)? "
    r"(?=(?:approve|reject|accept|decline|review|escalate|post|tell|send|create|ping|notify|alert|email|"
    r"flag)\w*\b)",
    re.IGNORECASE,
)
_SHOULD_BE = re.compile(
    r"(?:^|(?<=, )|(?<=; )|(?<=and )|(?<=[.!?] ))should (?P<who>(?:the|an?|any|its?|our)\b[^,.;]{0,40}?|it|"
    r"there|they) (?:be|turn out to be) (?=[^,]{2,60},)",
    re.IGNORECASE,
)
_ONLY_IF = re.compile(
    r"\bonly (?:if|when) (?P<how>[^,.;]{3,60}?),? (?:should|must|may|shall|can) (?P<who>it|they|this|that) "
    r"be ",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r",\s*(?P<aside>(?:they|it|these|those|that|all of (?:them|it)) (?:is|are|live|lives|sit|sits)(?: all| "
    r"kept| stored| listed)? (?:in|on)\b[^,.;]{2,60}),\s*(?=\S)(?P<rest>[^.;¶]*)",
    re.IGNORECASE,
)
_HAVE_DONE = re.compile(
    r"(?:\b(?:i|we)(?:'d| would)? (?:like|want|need|love)(?: to (?:have|get|see))?|(?:^|(?<=[,;.¶] )|"
    r"(?<=then )|(?<=and ))(?:have|get)) "
    r"(?P<what>(?:the|an?|my|our|all|its|every|each|any|it|them|these|those|both|"
    r"everything)\b[^,.;:¶]{0,60}?(?:, [^,.;:¶]{2,30}){0,3}?) "
    r"(?P<verb>[a-z-]+(?:ed|nt|wn|t|en))\b(?=\s*(?:$|[,.;¶]|(?:to|in|into|on|onto|by|from|for|and|against|"
    r"with|out|up|at|as|every|each|once|when|before|after)\b))",
    re.IGNORECASE,
)
_ON_THE_WAY = re.compile(
    r"\bbefore (?:it|that|this|they|anything|any of (?:it|that))(?: \w+)? (?:is|are|gets?|goes?|has been|"
    r"leaves?)(?: \w+(?:ed|nt|t|out))?\b,?",
    re.IGNORECASE,
)
"""Only tells once more that one thing comes before another."""
_SAYING = [(re.compile(rf"(?<![\w#/-]){pattern}", re.IGNORECASE), plain) for pattern, plain in SAYINGS]

_OBJECT_FIRST = re.compile(
    r"^(?P<lead>(?:please |and |then |also )*)before (?:you |it |the agent )?(?P<later>(?!it\b|that\b|"
    r"they\b|i\b|we\b)"
    r"[a-z]+(?:s|ing)?\s[^,]{2,120}),\s*(?P<first>.+)$",
    re.IGNORECASE,
)
_AFTER_DOING = re.compile(
    r"^(?P<later>.{4,160}?)[\s,]+(?:but (?:only )?|only |right |straight |directly )?(?:after|once)"
    r"\s+(?:you(?:'ve| have) |you |we(?:'ve| have) |having |it has |first )?(?P<first>(?!the\b|an?\b|"
    r"each\b|every\b|that\b|this\b|it\b|both\b|all\b)"
    r"[a-z]+(?:ing|ed|n|t|nt)\s(?:up |out |through )?(?:the|all|both|our|my|an?|any|what|this|last|it|them|"
    r"every|each|how|who|open|new|yesterday's|#)(?!\w).+)$",
    re.IGNORECASE,
)
_FIRST_DONE = re.compile(
    r"^(?:after|once)\s+(?:you(?:'ve| have) |you |we(?:'ve| have) |having |it has "
    r")?(?P<first>[a-z]+ing\s[^,]{3,160}?|"
    r"(?<=you've )[a-z]+(?:ed|t|n)\s[^,]{3,160}?),\s*(?P<later>.+)$",
    re.IGNORECASE,
)
_BEFORE_DOING = re.compile(
    r"^(?P<first>.{4,200}?)[\s,]+before\s+(?:you |we |it )?(?P<later>[a-z]+ing\s(?:it|them|the|that|this|"
    r"an?|one|everything|to|in|all|our)\b.*|"
    r"(?:you |we )[a-z]+\s(?:it|them|the|that|this|an?|one|everything|to|in|all|our)\b.*)$",
    re.IGNORECASE,
)


def _done(match: re.Match[str]) -> str:
    """ "I want the data extracted" as "extract the data"."""
    verb = VERBS.get(match["verb"].lower())
    if verb is None or verb.form is not Form.PAST:
        return match.group()
    return f"{verb.lemma} {match['what']}"


def _to_the_end(match: re.Match[str]) -> str:
    """ "The visitors, they are in Notion, to #desk": what is said in brackets behind the sentence."""
    return f" {match['rest']}. {match['aside']}"


def _also(match: re.Match[str]) -> str:
    verb = VERBS.get(match["verb"].lower())
    if verb is None or verb.form is not Form.PAST:
        return match.group()
    return f", then {verb.lemma} it"


_WHICH_IS = re.compile(
    r"(?:,\s*(?:which|that)(?: (?:should|must|shall|will|can))? (?:be|is|are|gets?|has to be|needs? to be|"
    r"is to be)(?: (?:then|afterwards|also|finally|subsequently|to be))*|"
    r"\s+(?:which|that)(?: (?:should|must|shall|will|can))? (?:be|is|are|gets?|has to be|needs? to be|is "
    r"to be) (?:then|afterwards|also|finally|subsequently)) "
    r"(?P<verb>[a-z-]+(?:ed|nt|wn|t|d|en))\b(?! by\b)",
    re.IGNORECASE,
)
_THEIR = re.compile(
    r"(?:^|(?<=[.!?;¶]\s))(?P<who>(?!(?:i|we|you|it|they)\b)(?:[\w'#-]+ ){1,8}?)(?:needs?|must have|should "
    r"have|wants?|requires?|have to have|has to have) "
    r"(?P<what>(?:its|their|the|all|some|a|an)\b[^.;:¶]{2,80}?) (?P<verb>[a-z-]+(?:ed|nt|wn|t|"
    r"en))\b(?=\s*(?:$|[,.;¶]|(?:to|in|into|on|and|out|up)\b))",
    re.IGNORECASE,
)


def _from_them(match: re.Match[str]) -> str:
    """ "Receipts need their total extracted" as "extract the total from the receipts"."""
    verb = VERBS.get(match["verb"].lower())
    if verb is None or verb.form is not Form.PAST:
        return match.group()
    what = re.sub(r"^(?:its|their)\b", "the", match["what"], flags=re.IGNORECASE)
    return f"{verb.lemma} {what} of {match['who'].strip()}"


_BY_DOING = re.compile(
    r"^(?:please )?[a-z]+ (?!.*[,;:])(?:[\w'-]+ ){0,5}?by (?P<deed>(?P<verb>[a-z-]+ing) .+)$", re.IGNORECASE
)


def imperative(sentence: str) -> str:
    """ "The agent reads the feed and posts new articles", "order it by emailing the list" as orders."""
    by = _BY_DOING.match(sentence)
    if (
        by
        and (verb := VERBS.get(by["verb"].lower()))
        and verb.form is Form.ING
        and verb.deed is not Deed.LIGHT
    ):
        return f"{verb.lemma} {by['deed'].split(maxsplit=1)[1]}"
    told = _TELLS.match(sentence)
    if not told or (verb := VERBS.get(told["verb"].lower())) is None or verb.form is not Form.THIRD:
        return sentence
    rest = _AND_DOES.sub(_base, sentence[told.end() :])
    return f"{sentence[: told.start('verb')]}{verb.lemma}{rest}"


_TELLS = re.compile(
    r"(?:(?:and|then|so|also|after that|afterwards|finally|next|please)[\s,]+)*(?:the (?:agent|bot|system|"
    r"assistant)|it|this|that|he|she|an? (?:agent|bot|assistant)"
    r"(?: (?:that|which|who))?|(?:something|someone|somebody|one)(?: (?:that|which|who))?|(?:that|which|"
    r"who)) (?:then |also |first |always |just |simply )?(?P<verb>[a-z-]+s)\b",
    re.IGNORECASE,
)
_AND_DOES = re.compile(
    r"(?P<joint>(?:,|\band|\bthen|\bor) (?:then |also |finally |afterwards |it |which "
    r")*)(?P<verb>[a-z-]+s)\b(?= )",
    re.IGNORECASE,
)


def _base(match: re.Match[str]) -> str:
    verb = VERBS.get(match["verb"].lower())
    return f"{match['joint']}{verb.lemma}" if verb and verb.form is Form.THIRD else match.group()


def plain_orders(text: str) -> str:
    """The text with less around its orders."""
    text = _DONT.sub(lambda m: m.group()[:-1] + "'t", text)
    text = _NOT.sub(r"\g<verb> not", text)
    text = re.sub(r"\b(they|we|you)'re\b", r"\1 are", text, flags=re.IGNORECASE)
    text = _CONTRACTED.sub(r"\g<who> is ", text)
    text = _REMARKS.sub(" ", text).strip(" ,!")
    text = _WISHING.sub(" ", text)
    text = _ASKED_NEW.sub(r"when \g<what> arrives, ", text)
    text = _MEANS.sub(": ", text)
    text = _SHOULD_BE.sub(r"if \g<who> is ", text)
    text = _ONLY_IF.sub(r"if \g<how>, \g<who> should be ", text)
    text = re.sub(r",?\s*\(?\bsources?: (?:the |our )?(?=\w)", " from ", text, flags=re.IGNORECASE)
    text = _ASIDE.sub(_to_the_end, text)
    text = _SPAN.sub(r"\g<low> to ", text)
    text = _HAVE_DONE.sub(_done, text)
    text = _THEIR.sub(_from_them, text)
    text = _WHICH_IS.sub(_also, text)
    text = _BECAUSE.sub("", text)
    text = _ON_THE_WAY.sub(" ", text)
    for pattern, plain in _SAYING:
        text = pattern.sub(plain, text)
    return re.sub(r"\s+", " ", text).strip(" ,")


_BEFORE_IT_IS = re.compile(
    r"^before (?P<what>(?:an?|the|any|each|every|our) [\w' -]{2,40}?) (?:is|are|gets?|can be) "
    r"(?P<verb>[a-z-]+(?:ed|nt|t|en))(?P<rest>[^,]{0,60}?),? "
    r"(?P<first>(?:it|they) (?:has|have|needs?|must|should|is|are|shall)\b.+)$",
    re.IGNORECASE,
)


def in_order(sentence: str, names_a_deed: Callable[[str], bool]) -> str:
    """ "Post it after summarising it", "before you post it, sort it": what is done first in front.
    `names_a_deed` tells whether words start with a verb that is known."""
    if passive := _BEFORE_IT_IS.match(sentence):
        verb = VERBS.get(passive["verb"].lower())
        if verb and verb.form is Form.PAST:
            first = re.sub(r"^(?:it|they)\b", passive["what"], passive["first"], flags=re.IGNORECASE)
            return f"{first.strip(' ,')}, then {verb.lemma} it{passive['rest']}"
    for pattern in (_OBJECT_FIRST, _FIRST_DONE, _AFTER_DOING, _BEFORE_DOING):
        match = pattern.match(sentence)
        if match and names_a_deed(match["first"]) and names_a_deed(match["later"]):
            return f"{match['first'].strip(' ,')}, then {match['later'].strip(' ,')}"
    return sentence
