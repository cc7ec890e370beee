"""Words that join the pieces of a wish: order, time, conditions, and those that carry no meaning."""

from __future__ import annotations

import re

_DONE = (
    r"(?:done|finished|completed?|ready|through|over|in place|created|sent|there|available|closed out|"
    r"in|back|here|collected|known|up)"
)


_MANY = r"both|all|everything|each|every one|the (?:two|three|four|five)|these|those|they|the (?:others|rest)"


_OF_THEM = (
    r"(?:\s+(?:of\s+)?(?:that|them|those|these|it|steps?|tasks?|things?|the|two|three|four|five|six|of))*"
)


JOIN = re.compile(
    rf"(?:(?:once|when(?:ever)?|after|as soon as)\s+(?P<all>(?:{_MANY}){_OF_THEM})"
    rf"(?:\s+(?:is|are|has been|have been|was|were|have|has|'s))?(?:\s+all)?\s+{_DONE}|"
    rf"(?:after|once)\s+(?P<both>(?:both|all (?:of )?(?:the )?(?:two|three|four|five|six)|all of (?:them|"
    rf"that|those|these|it)|"
    rf"all that|the (?:two|three|four)){_OF_THEM}))(?=\s|,|$)",
    re.IGNORECASE,
)


SELF_DONE = re.compile(
    rf"(?:once|when|as soon as|after)\s+(?:(?:it|that|this)(?:'s| is| are)? )?(?:all )?(?:done|finished|"
    rf"ready|completed?|through with (?:it|that))(?=\s*[,:]|\s+(?:please|then|also)\b|\s*$)|"
    rf"(?:once|when|after|as soon as)\s+(?:that|this|it|that one|the (?:first|last|previous)(?: \w+)?)"
    rf"(?:\s+(?:is|has been|has|'s|was))?(?:\s+{_DONE})(?=\s(?![$€£]?\d)|,|$)",
    re.IGNORECASE,
)


THEN = re.compile(
    r"(?:and\s+)?(?:then|next|after(?:\s?wards?|ward| that| this| which)|thereafter|subsequently|finally|"
    r"lastly|in the end|"
    r"at the end|eventually|second(?:ly)?(?=,|\s+\w)|third(?:ly)?|fourth(?:ly)?|last(?:ly)?(?= of all|,)|"
    r"following that|"
    r"from there|as a (?:last|final|next) step|to finish|with (?:that|the result)(?=,)|later(?: on)?|from "
    r"(?:that|this))"
    r"(?=[\s,:])",
    re.IGNORECASE,
)


SAME_TIME = re.compile(
    r"(?:and\s+)?(?:at the same time|in parallel|parallel to (?:that|this|it)|simultaneously|meanwhile|in "
    r"the meantime|"
    r"concurrently|at once|side by side|alongside(?: that| it)?|while (?:doing so|that (?:happens|"
    r"runs)))(?=[\s,:.;]|$)",
    re.IGNORECASE,
)


SEVERAL = re.compile(
    r"(?:(?:the following |these )?(?:two|three|four|five|six|several|\d) (?:things|steps|tasks) "
    r"(?:happen|run|start|take place)"
    r"(?P<twice>\s+(?:at once|at the same time|in parallel|simultaneously|together))?)(?=\s*:|\s*$)|"
    r"(?:do|run|start|make|perform)\s+(?:the following|these|those|all of this|all of the following|"
    r"(?:the following |these )?"
    r"(?:two|three|four|five|six|several|a few|\d)(?:\s+(?:things|steps|tasks|jobs))?)(?:\s+(?:things|"
    r"steps|tasks))?"
    r"(?P<once>\s+(?:at once|at the same time|in parallel|simultaneously|together|side by side))?(?=\s*:|"
    r"\s*$)|"
    r"(?:finish|end|close|conclude|wrap up)(?: it| off| up)*\s+(?:with|by)(?=\s)",
    re.IGNORECASE,
)


FIRST = re.compile(
    r"(?:first(?:ly)?(?: of all)?|to (?:start|begin) with|initially|start by|begin by)(?=,|\s+(?!two|"
    r"three|\d|one|few|"
    r"thing|name))",
    re.IGNORECASE,
)


ANYWAY = re.compile(
    r"(?:and\s+|but\s+)?(?:in (?:any|either|every|each) case|regardless|either way|in all cases|no matter "
    r"what|anyway|"
    r"whatever (?:happens|the result)|independent(?:ly)? of (?:that|this))(?=[\s,:])",
    re.IGNORECASE,
)
_LIMIT = (
    r"(?:over|above|under|below|beneath|beyond|between|exceeding|(?:of |worth |costing )?(?:more|less|"
    r"higher|lower|"
    r"greater|fewer) than|(?:of |worth )?(?:at least|at most|up to)|from)"
)


_NUMBER = (
    r"[$€£]?(?>\d(?:[\d.,]*\d)?)(?>(?:\s?(?:k\b|%|percent|euros?\b|eur\b|dollars|bucks|usd|pounds|gbp|quid|"
    r"days|hours|weeks|months|"
    r"[$€£]))?)(?![\d%])"
)
_SUCH = (
    r"(?:(?:the|all|any|every|each|for|with|an?) )*(?P<what>(?:(?!(?:when|if|it|they|is|and|or|that|which|"
    r"who|where)\b)[a-z][\w-]* ){0,2}?"
    r"(?!(?:is|was|this|its)\b)[a-z][\w-]*s|anyone|everyone|everybody|(?<=an )[a-z]+|(?<=a )[a-z]+|(?<=any "
    r")[a-z]+|(?<=every )[a-z]+|"
    r"(?<=each )[a-z]+) (?:(?:which|that) (?:are|is|have|has|cost|costs) |is |are |worth |"
    r"(?P<doing>scoring|costing|weighing|earning) |with an? (?P<field>[a-z]+(?: [a-z]+)?) (?:of )?)?"
    rf"(?P<number>{_LIMIT} {_NUMBER}(?: (?:and|to) {_NUMBER})?|(?:of |at )?{_NUMBER} (?:or|and) (?:more|"
    rf"less|above|below|over|under|up))"
)
MEASURED = re.compile(
    rf"{_SUCH},? (?P<rest>(?!if\b|when\b|or\b|and\b|from\b|in\b|to\b|with\b|for\b|of\b|at\b|by\b|"
    r"on\b).+)$",
    re.IGNORECASE,
)
"""A kind of thing, how much, and what is done with it: "invoices above 1,000 euros need approval"."""
MEASURED_ALONE = re.compile(rf"{_SUCH}$", re.IGNORECASE)
_ONES = (
    r"(?:(?:the )?(?:ones|those|items|cases|invoices|payments|claims|orders|requests|expenses|applications)|"
    r"anything|everything|any|all|those|whatever)"
)
SUCH_ONES = re.compile(
    rf"(?P<verb>approve|accept|reject|decline|deny|refuse|escalate|review|send|forward|post|put|pass|move|"
    rf"flag|email|report|file) (?:"
    rf"{_ONES} (?P<how>(?:that|which|who|where)(?: (?!to\b|in\b|into\b|up\b|for\b)[\w$€£%.,']+){{1,7}}?|"
    rf"(?:over|above|under|below|between|more than|less than|up to|at least|at most|from) "
    rf"[$€£]?\d[\d.,]*\s?"
    rf"(?:k|%|percent|euros?|dollars|pounds|[$€£])?(?: (?:and|to) [$€£]?\d[\d.,]*\s?(?:k|%|percent|euros?|"
    rf"dollars|pounds|[$€£])?)?)|"
    r"(?:the |any |all (?:the )?)(?P<kind>incomplete|complete|matching|different|mismatched|valid|invalid|"
    r"overdue|urgent) (?:ones?|cases|forms|invoices|items|applications|claims|orders))"
    r"(?P<rest> (?:to|in|into|up for|for|back|on|by|straight|with)\b.*)?$",
    re.IGNORECASE,
)
"""Only some of what came before: "approve the ones that match", "send anything over 500 to #finance"."""
_OTHERS = (
    r"(?:(?:all |everything |anything |everyone )?(?:the )?(?:rest|others|other ones|remaining (?:ones|"
    r"\w+)|remainder)|"
    r"(?:everything|anything|everyone|everybody|all) else|"
    r"(?:anything|everything|all|those|ones|amounts|the ones) (?:higher|larger|bigger|more|lower|smaller|"
    r"less|(?:above|over|below|under|beyond)(?: (?:that|this|it))?(?!\s*[$€£]?\d)))(?: of (?:them|it|"
    r"those))?"
)
OTHERS = re.compile(
    rf"(?:and |but |while )?{_OTHERS}[:,]? (?P<rest>(?:can |could |should |must |may |will |shall "
    rf")?(?:just |then |simply )?"
    r"(?:be|is|are|get|gets|go|goes|is to be|are to be|put it|do nothing|needs?)\b.+)$",
    re.IGNORECASE,
)
MEASURED_INSIDE = re.compile(
    rf"(?P<verb>[a-z-]+)(?P<who> (?:me|us|#[\w-]+|zze\d+zz|the \w+)(?= (?:about|of)))?(?: about| of)? "
    rf"{_SUCH}(?P<rest> (?:to|in|into|on|for|up for|by|with|via|back|straight)\b.*)?$",
    re.IGNORECASE,
)
"""An order about things of some amount: "send orders over 500 to #vip"."""
OTHERS_TOLD = re.compile(rf"^[a-z]+ {_OTHERS}(?=\s|$)", re.IGNORECASE)
COMPLAINS = re.compile(
    r"(?:i|we|people|everyone|everybody|nobody|they|our \w+)(?: (?:all|always|often|just|constantly|"
    r"sometimes|usually))*(?: keeps?(?: on)?)? "
    r"(?:forget\w*|hate|los(?:e|ing) track|overlook\w*|struggl\w+|never (?:know|remember|notice|find)|"
    r"can't keep up|waste|am tired|are tired|(?:'m|'re) tired|get confused)\b",
    re.IGNORECASE,
)
"""Why it is wished for, not what."""
SOURCED = re.compile(
    r"(?:(?:you|we|i)(?:'ll| will| can)? (?:find|get|see|have|look up) (?:them|it|these|those|all of "
    r"(?:them|it))(?: all)? (?:in|on|from)\b)|"
    r"(?:(?:we|i|they|our \w+|my \w+|everyone|everybody|the team)(?: all)? (?:have|has|keep|keeps|use|uses|"
    r"run|runs|store|stores|track|tracks|manage|"
    r"manages|maintain|maintains|hold|log|logs|collect|collects|do|write|put|work)\b(?!\s+to\b)(?! "
    r"[^,]*\b(?:and|then) (?:then|post|tell|send|copy)\b)|"
    r"(?:(?:they|these|those|it|all of (?:them|that|it)|everything) |(?:all (?:of )?)?(?:our|the|my|their|"
    r"these|those|all) (?:[\w'-]+ ){1,4}?)(?:is|are|live|lives|sit|sits|can be found)(?: all| usually| "
    r"currently)?"
    r"(?: kept| stored| tracked| logged| held| managed| listed| written down| saved)?(?: in| on| inside)\b)",
    re.IGNORECASE,
)
"""Tells where things are, and asks for nothing: "we keep our leads in Notion"."""
OTHERWISE = re.compile(
    r"(?:(?:above|over|beyond|below|under|more than|less than|higher than) that(?=,|\s+(?:they|it|we|you|"
    r"[a-z]+ (?:it|them|#))\b)|more(?=\s*(?:,|:|$))|otherwise|if no(?=\s*(?:[,:]|$))|or else|else(?!\s+if)|"
    r"if not|in (?:all|any|every) other cases?|(?:for|in|with) "
    r"(?:everything|anything|all|"
    r"every(?:one|body)) else|for (?:all )?(?:the )?(?:others|rest)|all (?:the )?others|failing that|"
    r"anything else|"
    r"everything else)(?=[\s,:]|$)",
    re.IGNORECASE,
)


SUBJECT = re.compile(
    r"(?:(?:and|but|so|also|plus|please|pls|just|always|immediately|automatically|ideally|kindly|only|"
    r"either|basically|"
    r"hi|hello|hey|ok|okay|well|right|now|directly|"
    r"additionally|furthermore|moreover|in addition|as well|too|maybe|perhaps|afterwards)[\s,]+|(?:yes|"
    r"no),\s+|"
    r"(?:(?:can|could|would|will|should) (?:you|we|it|i|someone|somebody|something|anything|the agent)(?: "
    r"please| also| maybe)*|"
    r"(?:i|we|you|it|they|he|she|somebody|someone|the (?:agent|bot|system|assistant|team)|this|that|an "
    r"agent(?: that| "
    r"which)?|something (?:that|which)|one (?:that|which)|(?:a|the|my|our) \w+ who)"
    r"(?:'d|'ll)?(?: (?:should|must|shall|will|would|can|could|may|might|always|usually|also|then|"
    r"currently|first|want|wants|"
    r"need|needs|like|love|prefer|have|has|expect|ought|manually|currently|still|really|just|am|are|"
    r"trying|looking|wish))*"
    r"(?: (?:for (?:a way|an agent|something|someone|one|a tool)|an agent|something|someone|it|you|an "
    r"assistant|a bot))?"
    r"(?: (?:that|which|who))?(?: (?:can|will|could|should))?"
    r"(?: to(?! [#@]))?|let's|make sure to|be sure to|don't forget to|do not forget to|remember to|try to|"
    r"help (?:me|us)"
    r"(?: to)?|it (?:would|'d) be (?:nice|great|good|cool|helpful)(?: if (?:you|it) (?:could|would|"
    r"can))?(?: to)?|"
    r"(?:please )?(?:build|create|make|set up|give|get)(?: me| us)? (?:an agent|something|a bot|an "
    r"automation|an assistant)"
    r"(?: (?:that|which|who|to))(?: (?:can|will))?|i'm looking for (?:a way|something|an agent) (?:to|"
    r"that|which)|"
    r"have (?:it|the agent|an agent)|the (?:last|first|next|final|second|third) step is to|"
    r"the (?:goal|idea|plan|task|job) is to|your (?:task|job) is to|step \d+)(?=[\s,:])[\s,:]+)",
    re.IGNORECASE,
)


_NEW_ONE = (
    r"(?=\s+(?:(?:each|every|any|an?)\s+(?:new|incoming|fresh|newly|single new)|each(?: and "
    r"every)?\s+time|(?:each|every|any)\s+(?!(?:of|one|other|single|day|week|month|quarter|year|hour|"
    r"minute|morning|afternoon|evening|night|weekday|weekend|workday|"
    r"case|item|entry|row|it|them|mon|tue|wed|thu|fri|sat|sun|\w+day|client|team|project|customer|person|"
    r"owner|region)\b)[a-z]+(?:\s[a-z]+)?(?= (?:we|i|you|please|open|create|add|post|send|tell|ping|email|"
    r"log|update|write|draft|set|make|notify|extract|check|alert|message|file|put|log|fill|check|forward|"
    r"book)\b|,|:|\s*$)))"
)


WHEN = re.compile(
    r"(?P<lead>(?:only |but only |except |and )?(?:if|unless|when(?:ever)?|as soon as|each time|every "
    r"time|any ?time|"
    r"the moment|the minute|in case|as long as|provided(?: that)?|once|in the event(?: that)?|where|else "
    r"if|or if|"
    rf"(?:on|upon|after|at|with)(?=\s+(?:the )?(?:admission|arrival|receipt|creation|submission|completion|"
    rf"upload|publication|release|"
    rf"signing|registration|cancellation|delivery|closure|closing|approval|merge|merging|departure|"
    rf"purchase|payment|order|sale|booking|hire|"
    rf"signup|sign-up|discharge|renewal|resignation|acceptance|launch) of (?:an?|each|every|any|new|the)\b)|"
    rf"after(?=\s+(?:each|every|an?)\b)|(?:for|on|upon|with|after){_NEW_ONE}))\s+",
    re.IGNORECASE,
)


TELLING = re.compile(
    r"(?:\b(?:check|see|look|verify|find out) (?:in|on|with|at) (?:the |our )?\w+|\b(?:me|us|know|check|"
    r"see|whether|find out|ask|decide|verify|judge|say|determine|watch|tell|look|"
    r"test|wonder|"
    r"detect|ensure|remind|learn)|\bor)\s*$",
    re.IGNORECASE,
)


RECEIVING = re.compile(
    r"^(?:we|i|our \w+|customers|clients|patients|people|suppliers|they)\s+(?:\w+ly |often |always )?"
    r"(?:get|gets|receive|receives|have|has|send us|sends us|send in|upload|uploads|hand in)\b(?!\s+to\b)",
    re.IGNORECASE,
)


COMING = re.compile(
    r"^(?:an? |the |two |several |some )?(?:new |incoming )?(?:[\w-]+ ){1,3}(?:comes? in|arrives?|"
    r"appears?|is received|are received)"
    r"(?:\s+(?:by|in|from|via|at)\s+[\w ]+)?$",
    re.IGNORECASE,
)


COMPARATOR = re.compile(
    r"(?:(?:over|above|more than|less than|below|under|between|exactly|at least|at most|up to|greater "
    r"than|higher than|"
    r"lower than|from|at|equal|for|with|a variance of|variance of|variance|an? (?:amount|difference|value|"
    r"total) of)\s+)*"
    r"[$€£]?(?:\d|zero\b)",
    re.IGNORECASE,
)


EXACT = re.compile(r"^(?:no (?:variance|difference))\b", re.IGNORECASE)


def counted(match: re.Match[str]) -> int | None:
    said = set((match["all"] or match["both"] or "").lower().split())
    return next((n for word, n in _COUNTS.items() if word in said), None)


TRAILING = re.compile(
    r"\s+(?P<lead>(?:but )?(?:only )?(?:if|unless|when(?:ever)?|as soon as|each time|every time|in case|"
    r"as long as|"
    rf"provided(?: that)?|once)|(?:for|on|upon|with|after){_NEW_ONE}|after(?=\s+(?:each|"
    rf"every)\b))\s+(?P<body>.+)$",
    re.IGNORECASE,
)


TAIL_JOIN = re.compile(rf"[\s,]+(?:{JOIN.pattern})\s*$", re.IGNORECASE)


TAIL_OTHERWISE = re.compile(r"[\s,]+(?:otherwise|in (?:all|any|every) other cases?|if not)$", re.IGNORECASE)


TAIL_SAME = re.compile(
    r"[\s,]+(?:all )?(?:(?:of (?:them|it)|two|three|four|five) )?(?:at the same time|in parallel|"
    r"simultaneously|at once|concurrently)$",
    re.IGNORECASE,
)


TAIL_NUMBER = re.compile(
    r"\s+(?P<body>(?:at|for|from|with|between|below|above|under|over|up to|more than|less than|at least|"
    r"at most)\s+"
    r"(?:a |an )?(?:variance of |difference of )?[$€£]?\d[^,;]*)$",
    re.IGNORECASE,
)


_COUNTS = {"both": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


DECIDING = frozenset({"approve", "reject", "accept", "decline", "deny", "refuse", "escalate", "review"})
