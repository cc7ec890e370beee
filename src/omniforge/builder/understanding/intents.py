"""What a message asks for as a whole: a new agent, a change, a run, a look …"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from omniforge.builder.understanding.commands import Command, read_command
from omniforge.builder.understanding.composition import read_composition
from omniforge.builder.understanding.intent import Side, is_new_wish, read_side, read_wish
from omniforge.builder.understanding.schedule import Schedule, Unclear, read_schedule
from omniforge.builder.understanding.spelling import corrected
from omniforge.builder.understanding.stance import Stance, read_stance
from omniforge.builder.understanding.text import LONGEST_MESSAGE, normalise, words
from omniforge.builder.understanding.verbs import VERBS, Deed


class Intent(StrEnum):
    CREATE = "create"
    EDIT = "edit"
    RUN = "run"
    STATUS = "status"
    SHARE = "share"
    PUBLISH = "publish"
    UNDO = "undo"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class IntentReading:
    """`target` are the words that name the agent meant, empty when none does; `confidence` is 0 to 1, and
    under 0.6 when the words fit something else as well. `command` is the order within an intent."""

    intent: Intent | None
    confidence: float = 0.0
    target: str = ""
    command: Command | None = None


_OF_COMMAND = {
    Command.RUN: Intent.RUN,
    Command.STATUS: Intent.STATUS,
    Command.DETAILS: Intent.STATUS,
    Command.SHARE: Intent.SHARE,
    Command.PUBLISH: Intent.PUBLISH,
    Command.UNDO: Intent.UNDO,
    Command.VERSIONS: Intent.UNDO,
    Command.PAUSE: Intent.EDIT,
    Command.RESUME: Intent.EDIT,
    Command.ARCHIVE: Intent.EDIT,
    Command.RENAME: Intent.EDIT,
}
_HELP = re.compile(
    r"^\W*(?:(?:please|hi|hello|hey|i|we|can you|could you|some)[\s,]+)*(?:need )?(?:some )?help(?: me| "
    r"us)?(?: please)?\W*$|"
    r"\bwhat(?:'s| is) possible\b|\bnot sure what (?:to|i) (?:do|say|ask|should)\b|[,.;] ?help(?: me)?(?: "
    r"please)?\W*$|"
    r"\bwhat (?:else )?can (?:you|i|it|this|we) (?:do|ask|say|build|make|automate)|\bwhat (?:kinds?|"
    r"sorts?|types?) of \w+ "
    r"(?:can|could|do)\b|\bhow does (?:this|it|that|all this) work\b|\bwho are you\b|\bwhat (?:are you|is "
    r"this)\b|"
    r"\bwhat do you do\b|\bwhat are you (?:for|able to)\b|\bwhere (?:do|should|can) i (?:start|begin)\b|"
    r"\b(?:don't|do not) (?:know|understand) (?:where|how|what) (?:to|i|this|you)\b|"
    r"\bhow (?:do|can|could|would|should) (?:i|we|one) (?:make|create|build|set up|start|use|get started|"
    r"do|edit|change|"
    r"connect|write|begin|delete|test)\b|\b(?:can|could) you (?:explain|show me|tell me) how\b|"
    r"\b(?:give|show) me (?:an? |some )?(?:examples?|ideas|tour|instructions)\b|\bwhat (?:is|are) (?:an? "
    r")?(?:agents?|skills?)\b|"
    r"\bi(?:'m| am) (?:stuck|lost|confused|new here)\b|\bany (?:ideas|examples|suggestions)\b",
    re.IGNORECASE,
)
_HELP_WITH = re.compile(
    r"\bhelp (?:me|us) (?:to )?(?:automate|build|create|make|set|get|with)\b", re.IGNORECASE
)
_OWN = re.compile(
    r"\b(?:(?:my|the|this|that|our|its|your)\s+(?:[\w'-]+\s+){0,4}?(?:agents?|reports?|digests?|"
    r"summar(?:y|ies)|brief(?:ing)?s?|"
    r"overviews?|newsletters?|round-?ups?|recaps?|alerts?|notifications?|reminders?|automations?|posts?|"
    r"lists?|checks?|trackers?|"
    r"messages?|"
    r"emails?|watch(?:er)?)|it|them)\b",
    re.IGNORECASE,
)
_OWNED_BY_US = re.compile(r"\bour\b", re.IGNORECASE)
_CHANGING = re.compile(
    r"\b(?:add|change|remove|drop|delete|leave out|take out|exclude|include|rename|replace|swap|edit|"
    r"modify|adjust|tweak|update|"
    r"move|put|shift|shorten|reorder|sort|group|switch|extend|expand|reduce|improve|fix|correct|make "
    r"(?:it|them|the|my|this)|"
    r"set (?:it|the|my)|(?:can|could|should|would) (?:the|my|this|our) [\w' -]{2,40}? (?:be|come|go|have|"
    r"include|show|start|use|mention)\b|"
    r"(?:should|must|needs? to|has to|could|can) (?:also |now |rather |not |only |"
    r"always |be |go |come |run |"
    r"include |have |show |contain |say |start |use |stop )+|(?:is|are) missing|no longer|any ?more|stop "
    r"(?:sending|posting|including|"
    r"showing|mentioning)|take\b.{1,40}\bout of|don't (?:send|post|include|show|use|mention|want)|do not "
    r"(?:send|post|include|show|use|mention))\b",
    re.IGNORECASE,
)
_ALSO = re.compile(r"\b(?:also|too|as well|in addition|instead|rather|additionally)\b", re.IGNORECASE)
_EDITS_ALONE = re.compile(
    r"^\W*(?:(?:please|can you|could you|and|yes|ok|no|but|then|would you|i'd like to|i want to|i would "
    r"like to|let's|now)[\s,]+)*"
    r"(?:edit|modify|change|adjust|tweak|rename|remove|leave out|take out|exclude|replace|swap|group|sort|"
    r"add|put|move|drop|"
    r"include|shorten|use|show|take\b.{1,40}\bout of|make it|make the|make my)\b",
    re.IGNORECASE,
)
_CREATES = re.compile(
    r"\b(?:(?:build|create|make|set up|give|design|write|put together|need|want|like|develop|start)(?: me|"
    r" us)?"
    r"(?: to have)? (?:an?|another|one|some|something|a new)\b|automat\w+|(?:a|an|another|one more|new) "
    r"(?:[\w'-]+ ){0,4}?(?:agent|report|digest|summary|"
    r"overview|briefing|newsletter|round-?up|recap|alert|reminder|list|bot|automation)|something (?:that|"
    r"which|to)|"
    r"(?:an )?agent (?:that|which|to|who)|is there a way|looking for a way|take over|look after|^(?:please "
    r")?(?:handle|take care of|look after|deal with|process|manage) (?!it\b|this\b|that\b)|every time|"
    r"whenever|as soon as|"
    r"for (?:each|every) new|"
    r"keep (?:an eye|track|me)|let me know|remind me|notify (?:me|us)|tell me|warn (?:me|us)|alert (?:me|"
    r"us)|send me|"
    r"a(?:n)? (?:[\w-]+ )?(?:briefing|summary|report|digest) (?:for|of|about))\b",
    re.IGNORECASE,
)
_TOIL = re.compile(
    r"\b(?:by hand|manual(?:ly)?|takes? (?:me|us|ages|hours|forever|so long|too long|\w+ hours?)|hours "
    r"(?:a|per|each|every)|spend\w*|waste\w*|"
    r"tedious|chas(?:e|ing)|copy(?:ing)?(?: and |-)past\w+|copy-?past\w*|put(?:ting)? together|have to|"
    r"has to|pain|annoying|boring|forget\w*|keeps? (?:on )?[a-z]+ing|lose track|los(?:e|ing) (?:track|"
    r"sight)|miss(?:ing)? (?:deadlines|renewals|dates)|overlook\w*|fall(?:s|ing)? through the cracks|"
    r"slip(?:s|ping)? through|sick of|tired of|hate|nobody|error-prone|struggl\w+|fed up)\b",
    re.IGNORECASE,
)
_NOW = re.compile(
    r"^\W*(?:please )?(?:kick|fire|set) (?:the|my|our) [\w' -]{2,40}? (?:off|up|going)(?: right)?(?: "
    r"now)?\W*$|"
    r"\b(?:give|send|show|get|need|want|have)\b.{0,20}\b(?:my|the) (?:[\w'-]+ ){0,4}?(?:report|digest|"
    r"summary|briefing|overview)"
    r"\s+(?:right )?now\b",
    re.IGNORECASE,
)
_UNWANTED = re.compile(
    r"\b(?:don't|do not|no longer) (?:need|want|use) (?P<what>(?:my|the|this|that|our) (?:[\w'-]+ "
    r"){0,4}?(?:agent|report|digest|summary|"
    r"briefing|overview|automation|newsletter)|it)\b(?: any ?more| any longer)?\W*$",
    re.IGNORECASE,
)
_TO_OTHERS = re.compile(
    r"\b(?:can|could|may|should|let) (?P<who>[A-Z]\w+|my \w+|the (?:\w+ ){1,2}team|the (?:others|rest|team|"
    r"whole \w+)|all of \w+|our \w+|everyone|others|they|"
    r"colleagues)(?: and \w+)? "
    r"(?:also |please )?(?:use|have|run|get|see|copy) (?:my|the|this|it)\b|"
    r"\b(?:want|like|need|would like) (?:[A-Z]\w+|my (?:team|colleagues?|boss|\w+)|the \w+ team|our \w+|"
    r"everyone|others)(?: and \w+)? to "
    r"(?:have|use|get|run|see|be able to use|be able to run) (?:my|the|this|it|that)\b|"
    r"\bsend (?:a copy of )?(?:this|my|the) (?:\w+ ){0,3}?agent to\b|\bgive (?:this|my|the) (?:\w+ "
    r"){0,3}?agent to\b|"
    r"\bhow (?:can|do|could) (?:i|we) share\b|\bcopy of (?:this|my|the) (?:\w+ ){0,3}?agent\b|"
    r"\b(?:my|our|the|all) (?:\w+ )?(?:colleagues|team|teammates|department|staff|coworkers|co-workers|"
    r"people|boss|manager) "
    r"(?:should|must|can|could|need to|want to|would like to|has to|have to) (?:also )?(?:be able to "
    r")?(?:use|have|run|get|see) "
    r"(?:this|it|my|the)\b|\bset (?:this|it) up for (?:my|our|the) (?:team|teammates|colleagues|\w+ team|"
    r"department|others)\b|"
    r"\bwork together on (?:this|it|my|the)\b",
)


def read_intent(message: str) -> IntentReading:
    """The intent of a message on its own; None when it is an answer, a greeting, or nothing of the kind."""
    text = corrected(normalise(message[:LONGEST_MESSAGE]))
    if not text:
        return IntentReading(None)
    if _HELP.search(text) and not _HELP_WITH.search(text):
        shares = _TO_OTHERS.search(text)
        return (
            IntentReading(Intent.SHARE, 0.8, text, Command.SHARE)
            if shares
            else IntentReading(Intent.HELP, 0.9)
        )
    if found := _ordered(text):
        return found
    if _edits(text):
        return IntentReading(Intent.EDIT, 0.8 if _OWN.search(text) else 0.6, _target(text))
    if read_stance(message).stance in _ANSWERS:
        return IntentReading(None)
    if _creates(text):
        return IntentReading(Intent.CREATE, 0.8 if _CREATES.search(text) else 0.6)
    if read_side(text) is Side.HELP:
        return IntentReading(Intent.HELP, 0.8)
    return IntentReading(None)


_ANSWERS = frozenset(
    {
        Stance.YES, Stance.NO, Stance.CHOOSE, Stance.DELEGATE, Stance.UNSURE, Stance.BACK, Stance.CANCEL,
        Stance.RESTART, Stance.PAUSE, Stance.RESUME,
    }
)  # fmt: skip


def _ordered(text: str) -> IntentReading | None:
    """An order for an agent that exists."""
    if _NOW.search(text):
        return IntentReading(Intent.RUN, 0.8, text, Command.RUN)
    if match := _UNWANTED.search(text):
        return IntentReading(Intent.EDIT, 0.7, match["what"], Command.ARCHIVE)
    if _TO_OTHERS.search(text):
        return IntentReading(Intent.SHARE, 0.8, text, Command.SHARE)
    command = read_command(text)
    if command is None:
        return None
    return IntentReading(_OF_COMMAND[command[0]], 0.9, command[1], command[0])


def _target(text: str) -> str:
    match = _OWN.search(text)
    return match.group() if match else ""


def _edits(text: str) -> bool:
    """A change of something that is there: it is named, or something is added to what was said."""
    if is_new_wish(text) or _HELP_WITH.search(text):
        return False
    own = _OWN.search(text) is not None
    if own and _CHANGING.search(text) and not _TOIL.search(text) and not _starts_anew(text):
        return True
    amends = read_stance(text).stance in (Stance.AMEND, Stance.REPLACE)
    if _EDITS_ALONE.match(text) and not _starts_anew(text):
        return amends or own
    return amends and _ALSO.search(text) is not None and not _starts_anew(text)


_STARTED_BY = re.compile(
    r"\b(?:when(?:ever)?|as soon as|each time|for (?:each|every) new|if)\b", re.IGNORECASE
)


def _starts_anew(text: str) -> bool:
    """Something new is asked for: a whole order of things to do, or an article before the thing."""
    starts = _STARTED_BY.search(text) is not None and not _ALSO.search(text)
    if starts and ("," in text or isinstance(read_schedule(text), Schedule | Unclear)):
        return _OWN.match(text) is None and re.search(r"\bmy\b", text, re.I) is None
    pieces = len(read_composition(text, ("notion", "slack", "linear", "github", "email")).clauses)
    return (
        pieces > 1
        and not _ALSO.search(text)
        and re.search(r"\bmy\b|\bthe \w+ (?:agent|report)\b", text, re.I) is None
    )


def _does_something(text: str) -> bool:
    """Whether a verb of doing is in it: "we keep forgetting to tell sales"."""
    deeds = [VERBS[word].deed for word in words(text) if word in VERBS]
    return any(deed is not Deed.LIGHT for deed in deeds)


def _creates(text: str) -> bool:
    wish = read_wish(text)
    if _CREATES.search(text) or (wish.goal and (len(text.split()) > 2 or wish.subject)):
        return True
    if _TOIL.search(text) and (wish.pain or read_schedule(text) or _does_something(text)):
        return True
    composition = read_composition(text, ("notion", "slack", "linear", "github", "email"))
    return bool(composition.clauses) and (len(text.split()) > 3)
