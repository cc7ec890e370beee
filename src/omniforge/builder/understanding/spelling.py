"""Words misspelt by one letter, put right where only one word of the trade can be meant."""

from __future__ import annotations

import re
from functools import cache

from omniforge.builder.understanding.text import words
from omniforge.builder.understanding.verbs import VERBS

SHORTEST = 4
LONGEST = 16
_TRADE = words("""
    every each whenever otherwise monday tuesday wednesday thursday friday saturday sunday weekday
    weekdays weekly daily monthly morning afternoon evening notion linear github slack invoice invoices
    order orders report reports summary summaries digest ticket tickets customer customers message
    messages channel database databases entries document documents contract contracts project projects
    missing complete approval budget deadline overdue notification reminder reminders pull requests
    candidate candidates patient supplier suppliers meeting agenda afterwards before unless between
    please spreadsheet
    """)
_REAL = frozenset(
    words("""
        very ever even form from port ports sport shred sheer hare share spare stare care pose posts
        host hosts most past paste pasta cast fast last list lists lost lift life file fine fill film
        till bill mail main male meal sent seen send sand lend tend bend rend mend text test tent next
        neat meet meat read road ready real bread reed red lead leads load loan moan note not noted
        noting vote wrote write white while quite quote quiet crate crater created greater order older
        folder border tracks truck tricks stock stick stack sack slick lack black back clean clear lean
        learn linear nation notions motion lotion daily dairy diary weakly weekly moaning mourning
        warning warn warm want went wand send sends ends bends lends tell sell cell fell well bell tall
        sort short shirt store story stores stories state stage start star stare chart charts charge
        change chance chances range check cheek chick chuck pick pack park part port pull pill poll pool
        fool full fall fell feel feed feeds seed need needs deed mark market make maker take talk task
        tasks tank rank rack race rate rates grade trade trace track place plane plan plans plant please
        pleased release lease least leave leaves match march watch catch patch latch batch fetch sketch
        stretch flag flat flats flap slag drag drop crop shop stop step steps stem item items time times
        timer tie die buy bus but put cut cup map maps nap gap tap cap merge emerge verge mergers
        mention section station ration option group groups grows proud ground bound round sound found
        count court mount amount account hound pound paste haste taste waste past paid pair fair hair
        chair air dump dumps jump lump pump bump lamp camp stamp link links line lines like likes lake
        bike hike save safe same some come home name names game raise rise praise rinse noise voice
        voices invoiced advise advice device devise boil boils soil coil foil toss loss boss moss dose
        rose nose lose loose close closed edit exit audit credit debit admit emit unit omit assess
        access process posted postal postage reply replay rely apply supply reports reporter reporters
        repost record recorded recorder brief chief grief thief belief relief bring brings being ask
        asks task mask desk disk dish wish fish wash cash case cause pause phase phrase raise score
        scope scare store shore sure pure cure core care cart card yard ward word work world label
        labels table tables cable able stable enable stalk chalk talks walk walks call calls hall halls
        wall tall ball balls small shall
    """)
)
"""Words that are one letter away from one of the trade, and right as they stand."""
_SHORT = {"evry": "every", "evey": "every", "maek": "make", "sned": "send", "fiel": "file", "raed": "read"}
_WORD = re.compile(r"(?<![\w#@/.'-])[a-z]{4,16}(?![\w@/'-]|\.\w)")


def corrected(text: str) -> str:
    """The text with misspelt verbs and words of the trade put right; names and capitals stay as they are."""
    return _WORD.sub(lambda match: _right(match.group()), text)


@cache
def _trade() -> frozenset[str]:
    return frozenset(_TRADE) | frozenset(verb for verb in VERBS if len(verb) > SHORTEST)


@cache
def _by_loss() -> dict[str, set[str]]:
    """Every word of the trade under what is left of it when one letter is lost."""
    lost: dict[str, set[str]] = {}
    for word in _trade():
        if len(word) > SHORTEST:
            for rest in _losses(word):
                lost.setdefault(rest, set()).add(word)
    return lost


def _losses(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(1, len(word))}


@cache
def _known_stems() -> frozenset[str]:
    return frozenset(w.rstrip("s") for w in _trade() | _REAL)


def _right(word: str) -> str:
    if len(word) <= SHORTEST:
        return _SHORT.get(word, word)
    if word in _trade() or word in _REAL or word in VERBS or word.rstrip("s") in _known_stems():
        return word
    meant = {other for other in _meant(word) if other[0] == word[0]}
    return meant.pop() if len(meant) == 1 else word


def _meant(word: str) -> set[str]:
    """Words with one letter more, two letters changed round, or one letter doubled."""
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(1, len(word) - 1)} - {
        word
    }
    found = {other for other in swapped if other in _trade()}
    found |= _by_loss().get(word, set())
    doubled = {word[:at] + word[at + 1 :] for at in range(1, len(word)) if word[at] == word[at - 1]}
    return found | {other for other in doubled if other in _trade()}
