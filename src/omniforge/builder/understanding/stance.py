"""What a message says about the question that is open: yes, no, a change, or nothing of the kind.

A yes is only a yes when every word of the message belongs to it. One word too many, a hedge, a question mark
or a negation takes it away: asking once more costs little, acting on a yes nobody gave costs trust.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from omniforge.builder.understanding.text import NUMBER_WORDS, normalise, words


class Stance(StrEnum):
    YES = "yes"
    NO = "no"
    AMEND = "amend"
    REPLACE = "replace"
    BACK = "back"
    RESTART = "restart"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    CHOOSE = "choose"
    DELEGATE = "delegate"
    UNSURE = "unsure"
    QUESTION = "question"
    NONE = "none"


class Act(StrEnum):
    """The deed a yes names ("switch it on"): it answers only the question that asks for that deed."""

    CONNECT = "connect"
    CREATE = "create"
    TEST = "test"
    ACTIVATE = "activate"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Reading:
    """`choice` counts from 1, from the end when negative; `act` is set when the words name a deed."""

    stance: Stance
    choice: int | None = None
    act: Act | None = None


class _Mark(StrEnum):
    YES = "yes"
    NO = "no"
    FILLER = "filler"
    HEDGE = "hedge"
    BACK = "back"
    RESTART = "restart"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    DELEGATE = "delegate"
    REPLACE = "replace"
    ADD = "add"
    CHANGE = "change"
    JOIN = "join"
    CONNECT = "connect"
    CREATE = "create"
    TEST = "test"
    ACTIVATE = "activate"
    RETRY = "retry"


_PHRASES: dict[_Mark, str] = {
    _Mark.YES: """yes|yess|yep|yup|yea|yeah|yeh|ya|aye|y|sure|sure thing|ok|okay|okey|k|kk|
        alright|all right|right|correct|that's right|that's correct|exactly|indeed|
        absolutely|definitely|certainly|of course|by all means|perfect|great|excellent|
        awesome|fantastic|wonderful|brilliant|cool|fine|that's fine|lgtm|approved|
        i approve|confirm|confirmed|i confirm|agree|agreed|i agree|go|go ahead|go for it|
        go on|proceed|continue|let's go|get going|let's get going|get started|
        let's get started|let's start|let's begin|sounds like a plan|let's do it|let's do that|
        let's do this|do it|do that|do so|please do|make it so|ship it|sounds good|
        sounds great|sounds fine|sounds right|sounds perfect|looks good|looks great|
        looks fine|looks right|looks perfect|looks ok|looks okay|look good|look great|
        looks correct|looking good|all good|good|good to go|we're good|i'm good with|
        that works|works for me|that'll do|that will do|happy with|i'm happy|i like it|
        love it|i love it|like it|spot on|no problem|no worries|nothing to change|
        nothing else|that's what i wanted|that's what i want|what i wanted|what i want|
        what i need|what i needed|that's it|that's the one|no changes|no more changes|
        nothing to add|no objections|as it is|keep it|leave it as it is|affirmative|roger|
        why not|i'd like that|i would like that|i'd love that|i'd love to|done|👍|✅""",
    _Mark.NO: """no|nope|nah|n|not|no thanks|no thank you|don't|do not|doesn't|didn't|isn't|
        wasn't|aren't|never|nothing|stop|negative|not now|not yet|not really|not today|
        hold off|wrong|incorrect|won't|wouldn't|can't|shouldn't|decline|declined|refuse|
        rather not|i'd rather not|skip the test|no test|without a test|without testing|
        i don't want|i don't want to|i don't think so|neither|👎|❌""",
    _Mark.HEDGE: """maybe|perhaps|possibly|probably|i guess|i guess so|guess so|i suppose|i suppose so|
        suppose so|i think|i think so|think so|i believe|i believe so|not sure|i'm not sure|
        unsure|dunno|don't know|i don't know|no idea|hmm|hm|um|uh|erm|might|might be|
        could be|sort of|kind of|kinda|sorta|wait|hold on|one sec|one moment|let me think|
        let me check|i'll think|i'd have to|depends|it depends|if|unless|until|yeah right|
        yes and no|as if|not bad|later maybe|almost|nearly|except|said""",
    _Mark.BACK: """back|go back|let's go back|step back|one step back|previous|previous step|
        the previous step|before that|wait before that|go to the previous step|back up|
        take me back|return to the previous step|go back one step|go back a step""",
    _Mark.RESTART: """start over|start again|start afresh|restart|from scratch|start from scratch|
        begin again|start from the beginning|from the beginning|reset|all over again|
        start all over|start new""",
    _Mark.CANCEL: """cancel|cancel it|cancel this|cancel that|cancel everything|abort|quit|exit|
        never mind|nevermind|forget it|forget about it|forget the whole thing|
        drop the whole thing|drop it|scrap it|scrap that|stop here|stop this|i give up|
        end this|done with this|i'm done with this|done with it|done with you""",
    _Mark.PAUSE: """later|pause|pause here|let's pause|take a break|not right now|another time|
        some other time|let's continue later|continue later|leave it for now|
        we can continue later|let's do it later|let's do this later|let's do that later|
        do it later|come back later|i'll come back|i'll come back later|i'll be back|
        be right back|brb|gotta go""",
    _Mark.RESUME: """where were we|where was i|where did we leave off|where did we stop|resume|let's resume|
        let's continue|pick up where we left off|i'm back|back again|let's pick this up""",
    _Mark.DELEGATE: """you choose|you decide|you pick|your choice|your call|up to you|it's up to you|
        whatever|whichever|whatever you think|whatever you think is best|whatever you like|
        as you like|whatever works|anything|anything works|any|skip|skip it|skip this|
        skip that|default|the default|defaults|the defaults|use the default|use the defaults|
        use defaults|take the default|take the defaults|you know best|surprise me|don't care|
        i don't care|i don't mind|don't mind|doesn't matter|it doesn't matter|no preference|
        your suggestion|as you suggest|as suggested|as you suggested|what you suggested|
        what you suggest|whatever you suggest|whichever you think|whichever you like|
        you suggested|you proposed|you recommended|use your suggestion|use your suggestions|
        use your judgment|use your judgement|what do you suggest|what do you recommend|
        you tell me|best guess|dealer's choice|same as you said""",
    _Mark.REPLACE: """actually|instead|changed my mind|i've changed my mind|i changed my mind|change of plan|
        scratch that|strike that|forget|rather|on second thought|on second thoughts|switch to|
        ditch""",
    _Mark.ADD: """also|too|as well|plus|add|adding|include|including|additionally|and also|but also""",
    _Mark.CHANGE: """change|make|make it|set|remove|drop|delete|without|leave out|take out|exclude|
        omit|first|last|put|move|sort|order|group|rename|call|show|use|only|just|
        instead of|swap|replace|but|skip the|without the|with""",
    _Mark.JOIN: "and|then|so|, ",
    _Mark.FILLER: """please|pls|thanks|thank you|thx|that|that's|this|it|it's|its|is|the|to|me|
        for|i|i'd|like|want|would|will|you|we|us|all|very|much|so|now|then|just|
        well|oh|ah|hey|hi|hello|there|here|really|quite|looks|look|sounds|seems|works|
        let's|do|be|my|your|one|report|test|summary|preview|agent|draft|plan|with|
        mate|buddy|everything|thing|way|go|ahead|can|could|by|and|am|i'm|happy|good|
        nice|lovely|super|totally|completely|as|are|those|these|ones|give|ready|today|
        a|mean|have|yet|kindly|simply|again|perfectly|dear|sir|team|folks|already|bot""",
    _Mark.CONNECT: """connect|connect it|connect notion|connect now|i connected|connected|i've connected|
        it's connected|i'm connected|i've done it|i did it|i did|did it|finished|
        i've finished|all done|i'm done|i have done it|i signed in|signed in|i've signed in|
        i allowed it|allowed|i authorized it|authorized|i approved it|accepted|complete|
        completed|i'm through|all set|it's done|that's done|is connected|notion is connected|
        link it|sign in|sign me in|i've allowed it|granted|access granted""",
    _Mark.CREATE: """create|create it|create the agent|build it|build that|make it now|set it up|
        set that up|create that|create this|go create it|save|save it|save that|
        build the agent|make the agent""",
    _Mark.TEST: """test|test it|test that|a test|a preview|try|try it|try it out|try that|
        run the test|run a test|do the test|do a test|test run|do a test run|show me the test|
        give it a try|give it a go|give it a spin|let's try it|let's test it|let's test|
        let's try|show me|let's see it|let's see|show me a preview|preview|preview it|
        test it again|run it again|run it|run it now|test again|run the test again|dry run|
        do a dry run|try it now|let's run it|let's run a test|run test|let's have a look|
        start the test|do a trial run|trial run|show me what it looks like|let me see it|
        let me see|show it to me""",
    _Mark.ACTIVATE: """activate|activate it|switch it on|switch on|turn it on|turn on|enable it|enable|
        go live|make it live|put it live|set it live|start it|activate the agent|launch it|
        launch|let's go live|switch the agent on|turn the agent on|deploy it|power it on|
        flip the switch""",
    _Mark.RETRY: """try again|retry|try once more|once more|one more time|try that again|try it again|
        another try""",
}
_ACTS = {
    _Mark.CONNECT: Act.CONNECT,
    _Mark.CREATE: Act.CREATE,
    _Mark.TEST: Act.TEST,
    _Mark.ACTIVATE: Act.ACTIVATE,
    _Mark.RETRY: Act.RETRY,
}
_TABLE: dict[tuple[str, ...], _Mark] = {}
for _mark in reversed(_Mark):  # marks named first win a phrase that stands in two rows
    for _phrase in _PHRASES[_mark].split("|"):
        if _key := tuple(words(_phrase)):
            _TABLE[_key] = _mark
_DEEDS = {tuple(words(phrase)): act for mark, act in _ACTS.items() for phrase in _PHRASES[mark].split("|")}
"""Also "test" and "preview", which within a sentence ("the test looks good") are no deeds."""
_LONGEST = max(len(key) for key in _TABLE)

_ALONE = {
    _Mark.CANCEL: Stance.CANCEL,
    _Mark.RESTART: Stance.RESTART,
    _Mark.RESUME: Stance.RESUME,
    _Mark.BACK: Stance.BACK,
    _Mark.PAUSE: Stance.PAUSE,
    _Mark.DELEGATE: Stance.DELEGATE,
}
_QUESTION_WORDS = frozenset(
    words("""
    what what's how how's why when where where's who who's which is are does do did will would can could
    should am was were has have may
""")
)
_VAGUE = re.compile(r"\d\s?-?ish\b", re.IGNORECASE)
_REQUEST = re.compile(
    r"(?:^|[,.;!] ?|\b(?:but|and|so|then) )(?:(?:and|so|but|ok|okay|then),? )*(?:(?:can|could|would|"
    r"will) (?:you|we|it)"
    r"|(?:can|could|should) (?:the|all|any|those|these))(?: please| also| maybe)* (?!do that|be |work)"
)
_REQUESTED = frozenset(
    {Stance.AMEND, Stance.REPLACE, Stance.BACK, Stance.RESTART, Stance.CANCEL, Stance.PAUSE}
)
_ORDINALS = {
    w: n
    for n, row in enumerate(
        ("first|1st", "second|2nd", "third|3rd", "fourth|4th", "fifth|5th", "sixth|6th"), 1
    )
    for w in row.split("|")
} | {"last": -1}
_CHOICE_FILLER = frozenset(
    words("""
    the one option choice number answer no please i'd like i take choose pick go with for let's it's that's
    want would will
""")
)


def read_stance(message: str) -> Reading:
    """The stance of a whole message; total over any text."""
    text = normalise(message)
    said = words(text)
    if not said:
        return Reading(Stance.UNSURE if "?" in text else Stance.NONE)
    if "?" not in text and (deed := _DEEDS.get(tuple(said))):
        return Reading(Stance.YES, act=deed)
    if _VAGUE.search(text):
        return Reading(Stance.UNSURE)
    marks = _marks(said)
    kinds = {mark for mark in marks if mark is not None}
    content = None in marks
    asked = text.rstrip(" !.").endswith("?")
    if choice := _choice(said):
        return Reading(Stance.UNSURE if asked else Stance.CHOOSE, choice)
    if asked or _opens_a_question(said):
        return _asked(said, kinds, content, text)
    act = next((_ACTS[mark] for mark in marks if mark is not None and mark in _ACTS), None)
    if not content and (alone := _alone(kinds, marks)):
        return Reading(alone)
    if _is_pure_yes(marks):
        return Reading(Stance.YES, act=act)
    if content or kinds & {_Mark.ADD, _Mark.CHANGE, _Mark.REPLACE}:
        return Reading(_changing(marks, kinds), act=act)
    return Reading(_undecided(marks, kinds, text))


def _opens_a_question(said: list[str]) -> bool:
    """ "What …", "is …"; "do", "will" and "have" only before somebody ("do you", not "do it")."""
    if said[0] in ("do", "will", "have"):
        return len(said) > 1 and said[1] in ("you", "we", "i", "they")
    return said[0] in _QUESTION_WORDS


def _marks(said: list[str]) -> list[_Mark | None]:
    """The words read as phrases of the table, longest first; None for a word that is content."""
    marks: list[_Mark | None] = []
    i = 0
    while i < len(said):
        for size in range(min(_LONGEST, len(said) - i), 0, -1):
            if mark := _TABLE.get(tuple(said[i : i + size])):
                marks.append(mark)
                i += size
                break
        else:
            marks.append(None)
            i += 1
    return marks


def _choice(said: list[str]) -> int | None:
    """The position when the message is nothing but a letter, an ordinal or a number of an option."""
    left = [w for w in said if w not in _CHOICE_FILLER or (w == "one" and len(said) == 1)]
    if len(left) != 1:
        return None
    word = left[0]
    if word in _ORDINALS:
        return _ORDINALS[word]
    if len(word) == 1 and "a" <= word <= "f":
        return ord(word) - ord("a") + 1
    if word.isdecimal() and word.isascii() and len(word) < 3:
        return int(word) or None
    number = NUMBER_WORDS.get(word)
    return number if number and word != "an" else None


def _alone(kinds: set[_Mark], marks: list[_Mark | None]) -> Stance | None:
    """A message that is only "cancel", "go back" and the like, with politeness around it."""
    rest = kinds - {_Mark.FILLER, _Mark.JOIN}
    if len(rest) == 1:
        return _ALONE.get(next(iter(rest)))
    polite = rest - {_Mark.YES, _Mark.NO, _Mark.HEDGE, _Mark.ADD, _Mark.CHANGE, _Mark.REPLACE}
    if len(polite) == 1 and (found := next(iter(polite))) in (
        _Mark.BACK,
        _Mark.RESTART,
        _Mark.CANCEL,
        _Mark.RESUME,
    ):
        return _ALONE[found]
    if rest in ({_Mark.YES, _Mark.DELEGATE}, {_Mark.HEDGE, _Mark.DELEGATE}):
        return Stance.DELEGATE
    if rest == {_Mark.NO, _Mark.PAUSE}:
        return Stance.NO
    return None


def _is_pure_yes(marks: list[_Mark | None]) -> bool:
    affirming = {_Mark.YES, *_ACTS}
    allowed = affirming | {_Mark.FILLER, _Mark.JOIN}
    return all(mark in allowed for mark in marks) and any(mark in affirming for mark in marks)


def _asked(said: list[str], kinds: set[_Mark], content: bool, text: str) -> Reading:
    if kinds & {_Mark.RESUME}:
        return Reading(Stance.RESUME)
    if _Mark.DELEGATE in kinds and not content:
        return Reading(Stance.DELEGATE)
    if request := _REQUEST.search(text.casefold()):
        inner = read_stance(text.casefold()[request.end() :].rstrip(" ?!."))
        if inner.stance in _REQUESTED:
            return inner
        if inner.act in (Act.TEST, Act.RETRY):
            return Reading(Stance.NONE, act=inner.act)
        if inner.stance in (Stance.YES, Stance.UNSURE):
            return Reading(Stance.UNSURE)
        if inner.stance is Stance.NONE and re.search(r"\balso\b|\btoo\b", text, re.IGNORECASE):
            return Reading(Stance.AMEND)
    if (
        not content
        and kinds & {_Mark.YES, _Mark.HEDGE}
        and said[0] not in ("what", "how", "why", "who", "where")
    ):
        return Reading(Stance.UNSURE)
    return Reading(Stance.QUESTION)


def _changing(marks: list[_Mark | None], kinds: set[_Mark]) -> Stance:
    """A message with content of its own: an amendment, a replacement, or plain information."""
    first = next((mark for mark in marks if mark is not _Mark.FILLER), None)
    if _Mark.REPLACE in kinds and not _adds(marks):
        return Stance.REPLACE
    if None not in marks and kinds & {_Mark.HEDGE, _Mark.YES, _Mark.NO}:
        # "yes, but" and "no, just no": cue words without anything to change
        return Stance.NO if _Mark.NO in kinds and _Mark.YES not in kinds else Stance.UNSURE
    if first in (_Mark.YES, _Mark.NO, *_ACTS) or kinds & {_Mark.ADD, _Mark.CHANGE}:
        return Stance.AMEND
    return Stance.NONE


def _adds(marks: list[_Mark | None]) -> bool:
    """ "Actually, also the owner" adds; "actually Slack instead" replaces."""
    return _Mark.ADD in marks and marks.count(_Mark.REPLACE) == 1 and marks.index(_Mark.REPLACE) == 0


def _undecided(marks: list[_Mark | None], kinds: set[_Mark], text: str) -> Stance:
    """Only words of the table, but not a pure yes."""
    affirmed = [i for i, mark in enumerate(marks) if mark is _Mark.YES or mark in _ACTS]
    denied = [i for i, mark in enumerate(marks) if mark is _Mark.NO]
    if _Mark.HEDGE in kinds:
        return Stance.NO if denied and not affirmed else Stance.UNSURE
    if denied:
        if not affirmed or denied[-1] > affirmed[-1]:
            return Stance.NO
        first = next(i for i, mark in enumerate(marks) if mark not in (_Mark.FILLER, _Mark.JOIN))
        denies_what_follows = first in denied and _Mark.JOIN not in marks
        # "no, looks good" may well be a yes: ask; "not ok" and "don't switch it on" are plain
        answered_first = re.match(r"(?:no|nope|nah)\s*[,.;!-]", text, re.IGNORECASE) and len(denied) == 1
        return Stance.NO if denies_what_follows and not answered_first else Stance.UNSURE
    if kinds & {_Mark.PAUSE, _Mark.CANCEL, _Mark.RESTART, _Mark.BACK, _Mark.DELEGATE}:
        return Stance.UNSURE
    return Stance.NONE
