"""What a message wants to be done with an agent that exists, and whether it is a yes to that. Pure."""

from __future__ import annotations

import re

from omniforge.builder.understanding import intent
from omniforge.builder.understanding.commands import Command, read_command
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.understanding.text import words
from omniforge.builder.upkeep.matter import Asking, Deed, Matter

_UNSHARE = re.compile(
    r"\bun-?share\b|\b(?:stop|end) sharing\b|\b(?:no longer|don't|do not) share\b|"
    r"\btake (?:\w+ ){1,6}?(?:away|back) from\b|\brevoke\b|\bmake (?:it|this|that) private\b",
    re.IGNORECASE,
)
_FINISH = re.compile(
    r"^\W*(?:(?:please|ok|now|let's|can we|can you|i want to|help me)\s+)*"
    r"(?:finish|complete|finali[sz]e|set up)\s+(?P<what>.+?)\W*$",
    re.IGNORECASE,
)
_BRING_BACK = re.compile(
    r"\b(?:bring back|restore|un-?delete|un-?archive)\s+(?P<what>.+?)\W*$", re.IGNORECASE
)
_SPREAD = re.compile(
    r"\b(?:each|every|any|which|what)\b.*\b(?:customers?|clients?|persons?|people|users?|colleagues?|members?|"
    r"team|one|copy|copies)\b.*\b(?:use|using|uses|on|have|has|run|runs|running)\b|"
    r"\bwho (?:uses|has|is (?:on|using)|runs)\b|\bversions? (?:distribution|by customer|per customer)\b|"
    r"\b(?:customers?|clients?) (?:are )?(?:on|use|using)\b",
    re.IGNORECASE,
)
_ONE = re.compile(
    r"\bstatus of\b|\bwhy did\b|\bdid (?:it|my|the)\b|\bhow (?:is|did)\b|\bwhen (?:does|will|did|is)\b", re.I
)
_DEEDS = {
    Command.RUN: Deed.RUN,
    Command.STATUS: Deed.STATUS,
    Command.DETAILS: Deed.DETAILS,
    Command.SHARE: Deed.SHARE,
    Command.UNDO: Deed.UNDO,
    Command.VERSIONS: Deed.VERSIONS,
    Command.PAUSE: Deed.PAUSE,
    Command.RESUME: Deed.RESUME,
    Command.ARCHIVE: Deed.ARCHIVE,
    Command.RENAME: Deed.RENAME,
}
WHOLE = frozenset({Deed.SHARE, Deed.UNSHARE, Deed.UNDO, Deed.VERSIONS, Deed.SPREAD, Deed.STATUS})
"""Deeds whose agent stands somewhere in a whole sentence."""
_YES = ("yes", "yep", "yeah", "sure", "ok", "okay", "please", "yup", "right", "fine", "good", "do")


def hear(text: str) -> tuple[Deed, str] | None:
    """The deed, and the words that name the agent."""
    if _UNSHARE.search(text):
        return Deed.UNSHARE, text
    command = read_command(text)
    if command is None:
        for deed, pattern in ((Deed.BRING_BACK, _BRING_BACK), (Deed.FINISH, _FINISH)):
            if (match := pattern.search(text)) and not intent.says_it(match["what"]):
                return deed, match["what"]
        return None
    if command[0] is Command.RESUME and _BRING_BACK.search(text):
        return Deed.BRING_BACK, command[1]
    deed = _DEEDS.get(command[0])
    if deed is None:
        return None
    if deed is Deed.VERSIONS and _SPREAD.search(text):
        deed = Deed.SPREAD
    return deed, text if deed in WHOLE else command[1]


def asks_of_one(text: str) -> bool:
    """A question for the state of a single agent, not for the list of all."""
    return _ONE.search(text) is not None


def confirms(matter: Matter, text: str, reading: Reading) -> bool:
    """A yes to exactly the open question: a plain one, the answer suggested for it word for word, or one
    that repeats the deed ("yes, pause it")."""
    said = words(text)
    suggested = words(matter.actions[0]) if matter.actions else []
    if suggested and suggested[0] == "yes" and said == suggested:
        return True
    if reading.stance is Stance.YES:
        return reading.act is None or reading.act in _ACTS.get(matter.asking, ())
    if matter.asking is not Asking.SURE or text.endswith("?") or not said or said[0] not in _YES:
        return False
    heard = hear(" ".join(said[1:]))
    if heard is None or heard[0] is not matter.deed:
        return False
    return not set(words(heard[1])) - set(words(matter.name)) - _REPEATED


_REPEATED = frozenset(
    words("it this that one the my our agent please now then back to version share undo pause delete rename")
)
_ACTS = {
    Asking.SWITCH_ON: (Act.ACTIVATE,),
    Asking.TEST: (Act.TEST, Act.RETRY),
    Asking.CONNECT: (Act.CONNECT,),
    Asking.SIGN_IN: (Act.CONNECT,),
}
