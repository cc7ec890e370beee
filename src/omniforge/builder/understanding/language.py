"""Whether a message is in English, as far as its commonest words and letters tell."""

from __future__ import annotations

import unicodedata

from omniforge.builder.understanding.text import words

FEWEST = 3
"""Fewer words say nothing about a language."""
_ENGLISH = frozenset(
    words("""
    the a an and or to of in on at for with from by is are was be do does did have has i we you it my our your
    this that these those what when which who how if then every each all please can could would should want
    need make send post add change run show not no yes also but after before as into about out up
""")
)
_OTHERS = (
    frozenset(
        words("""
    der die das und ein eine ich wir nicht mit von zu auf für jeden bitte möchte wenn ist sind den dem
    le la les un une des et je nous vous pas avec pour chaque est sont dans que qui veux souhaite
    el los las unos una y yo nosotros no con para cada es son en que quiero por favor
    il lo gli uno ed io noi non con per ogni è sono nel che voglio
    o os uma e eu nós não com para cada é são em que quero
    het een en ik wij niet met voor elke is zijn in dat wil graag
    i oraz nie z dla każdy jest są w że chcę proszę
    och att jag vi inte med för varje är på som vill
    ve bir ben biz değil ile için her bu lütfen
""")
    )
    - _ENGLISH
)


def is_english(message: str) -> bool:
    """True unless most of its letters, or of its small words, belong to another language."""
    letters = [c for c in message if c.isalpha()]
    latin = sum("LATIN" in unicodedata.name(c, "") for c in letters[:500])
    if letters and latin * 2 < min(len(letters), 500):
        return False
    said = words(message)[:300]
    if len(said) < FEWEST:
        return True
    ours, theirs = sum(word in _ENGLISH for word in said), sum(word in _OTHERS for word in said)
    return theirs <= ours or theirs < 2
