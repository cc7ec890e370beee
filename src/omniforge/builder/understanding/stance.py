"""What a message says about the question that is open: yes, no, a change, or nothing of the kind.

A yes is only a yes when every word of the message belongs to it. One word too many, a hedge, a question mark
or a negation takes it away: asking once more costs little, acting on a yes nobody gave costs trust.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from omniforge.builder.understanding.stance_words import PHRASES, Mark
from omniforge.builder.understanding.text import LONGEST_MESSAGE, NUMBER_WORDS, normalise, words


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


_ACTS = {
    Mark.CONNECT: Act.CONNECT,
    Mark.CREATE: Act.CREATE,
    Mark.TEST: Act.TEST,
    Mark.ACTIVATE: Act.ACTIVATE,
    Mark.RETRY: Act.RETRY,
}
_TABLE: dict[tuple[str, ...], Mark] = {}
for _mark in reversed(Mark):  # marks named first win a phrase that stands in two rows
    for _phrase in PHRASES[_mark].split("|"):
        if _key := tuple(words(_phrase)):
            _TABLE[_key] = _mark
_DEEDS = {tuple(words(phrase)): act for mark, act in _ACTS.items() for phrase in PHRASES[mark].split("|")}
"""Also "test" and "preview", which within a sentence ("the test looks good") are no deeds."""
_LONGEST = max(len(key) for key in _TABLE)

_ALONE = {
    Mark.CANCEL: Stance.CANCEL,
    Mark.RESTART: Stance.RESTART,
    Mark.RESUME: Stance.RESUME,
    Mark.BACK: Stance.BACK,
    Mark.PAUSE: Stance.PAUSE,
    Mark.DELEGATE: Stance.DELEGATE,
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
    want would will i'll we'll we prefer sounds right best better good looks seems think thanks thank you me
    is fine ok okay works great perfect
""")
)


def read_stance(message: str) -> Reading:
    """The stance of a whole message; total over any text. One that is too long to be read is no answer."""
    return _read(normalise(message)) if len(message) <= LONGEST_MESSAGE else Reading(Stance.NONE)


def _read(text: str, *, inside: bool = False) -> Reading:
    """`inside`: the text stood within a request ("can you …?")."""
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
        return _asked(said, kinds, content, text, inside=inside)
    act = next((_ACTS[mark] for mark in marks if mark is not None and mark in _ACTS), None)
    if not content and (alone := _alone(kinds, marks)):
        return Reading(alone)
    if _is_pure_yes(marks):
        return Reading(Stance.YES, act=act)
    if content or kinds & {Mark.ADD, Mark.CHANGE, Mark.REPLACE}:
        return Reading(_changing(marks, kinds), act=act)
    return Reading(_undecided(marks, kinds, text))


def _opens_a_question(said: list[str]) -> bool:
    """ "What …", "is …"; "do", "will" and "have" only before somebody ("do you", not "do it")."""
    if said[0] in ("do", "will", "have"):
        return len(said) > 1 and said[1] in ("you", "we", "i", "they")
    return said[0] in _QUESTION_WORDS


def _marks(said: list[str]) -> list[Mark | None]:
    """The words read as phrases of the table, longest first; None for a word that is content."""
    marks: list[Mark | None] = []
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


def _alone(kinds: set[Mark], marks: list[Mark | None]) -> Stance | None:
    """A message that is only "cancel", "go back" and the like, with politeness around it."""
    rest = kinds - {Mark.FILLER, Mark.JOIN}
    if len(rest) == 1:
        return _ALONE.get(next(iter(rest)))
    if Mark.RESTART in rest and rest <= {Mark.RESTART, Mark.CANCEL, Mark.YES, Mark.BACK}:
        return Stance.RESTART
    polite = rest - {Mark.YES, Mark.NO, Mark.HEDGE, Mark.ADD, Mark.CHANGE, Mark.REPLACE}
    if len(polite) == 1 and (found := next(iter(polite))) in (
        Mark.BACK,
        Mark.RESTART,
        Mark.CANCEL,
        Mark.RESUME,
    ):
        return _ALONE[found]
    if rest in ({Mark.YES, Mark.DELEGATE}, {Mark.HEDGE, Mark.DELEGATE}):
        return Stance.DELEGATE
    if rest == {Mark.NO, Mark.PAUSE}:
        return Stance.NO
    return None


def _is_pure_yes(marks: list[Mark | None]) -> bool:
    affirming = {Mark.YES, *_ACTS}
    allowed = affirming | {Mark.FILLER, Mark.JOIN}
    return all(mark in allowed for mark in marks) and any(mark in affirming for mark in marks)


def _asked(said: list[str], kinds: set[Mark], content: bool, text: str, *, inside: bool) -> Reading:
    if kinds & {Mark.RESUME}:
        return Reading(Stance.RESUME)
    if not content and kinds <= {Mark.BACK, Mark.FILLER} and Mark.BACK in kinds:
        return Reading(Stance.BACK)
    if Mark.DELEGATE in kinds and not content:
        return Reading(Stance.DELEGATE)
    if (request := _REQUEST.search(text.casefold())) and not inside:
        inner = _read(text.casefold()[request.end() :].rstrip(" ?!."), inside=True)
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
        and kinds & {Mark.YES, Mark.HEDGE}
        and said[0] not in ("what", "how", "why", "who", "where")
    ):
        return Reading(Stance.UNSURE)
    return Reading(Stance.QUESTION)


def _changing(marks: list[Mark | None], kinds: set[Mark]) -> Stance:
    """A message with content of its own: an amendment, a replacement, or plain information."""
    first = next((mark for mark in marks if mark is not Mark.FILLER), None)
    if Mark.REPLACE in kinds and not _adds(marks):
        return Stance.REPLACE
    if None not in marks and kinds & {Mark.HEDGE, Mark.YES, Mark.NO}:
        # "yes, but" and "no, just no": cue words without anything to change
        return Stance.NO if Mark.NO in kinds and Mark.YES not in kinds else Stance.UNSURE
    if first in (Mark.YES, Mark.NO, *_ACTS) or kinds & {Mark.ADD, Mark.CHANGE}:
        return Stance.AMEND
    return Stance.NONE


def _adds(marks: list[Mark | None]) -> bool:
    """ "Actually, also the owner" adds; "actually Slack instead" replaces."""
    return Mark.ADD in marks and marks.count(Mark.REPLACE) == 1 and marks.index(Mark.REPLACE) == 0


def _undecided(marks: list[Mark | None], kinds: set[Mark], text: str) -> Stance:
    """Only words of the table, but not a pure yes."""
    affirmed = [i for i, mark in enumerate(marks) if mark is Mark.YES or mark in _ACTS]
    denied = [i for i, mark in enumerate(marks) if mark is Mark.NO]
    if Mark.HEDGE in kinds:
        return Stance.NO if denied and not affirmed else Stance.UNSURE
    if denied:
        if not affirmed or denied[-1] > affirmed[-1]:
            return Stance.NO
        first = next(i for i, mark in enumerate(marks) if mark not in (Mark.FILLER, Mark.JOIN))
        denies_what_follows = first in denied and Mark.JOIN not in marks
        # "no, looks good" may well be a yes: ask; "not ok" and "don't switch it on" are plain
        answered_first = re.match(r"(?:no|nope|nah)\s*[,.;!-]", text, re.IGNORECASE) and len(denied) == 1
        return Stance.NO if denies_what_follows and not answered_first else Stance.UNSURE
    if kinds & {Mark.PAUSE, Mark.CANCEL, Mark.RESTART, Mark.BACK, Mark.DELEGATE}:
        return Stance.UNSURE
    return Stance.NONE
