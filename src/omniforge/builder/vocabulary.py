"""Words the chat never shows to people, and the check for them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FORBIDDEN = re.compile(
    r"\w*web[\s-]?hooks?\w*|(?<![a-z])apis?(?![a-z])|\w*[a-z]APIs?\b|\w*end[\s-]?points?\b|\w*oauth\w*|"
    r"\w*tokens?\b|\btokeni[sz]\w*|"
    r"\w*json\w*|\w*yaml\w*|\bcron\w*|\bregex\w*|\bregular expressions?\b|\w*pay-?loads?\b|\w*schemas?\b|"
    r"\bschemata\b|"
    r"\borchestrat\w*|\bsequential\w*|\bparallel\w*|\b(?:un)?conditional\w*|\bdags?\b|\bskill\.md\b|"
    r"\bfront-?\s?matters?\b|"
    r"\bstack[\s-]?traces?\b",
    re.IGNORECASE,
)


def forbidden_words(text: str, exempt: Iterable[str] = ()) -> list[str]:
    """Words of the text that must not be shown, in order; what people or services wrote is `exempt`."""
    for part in sorted({p for p in exempt if p}, key=len, reverse=True):
        text = text.replace(part, " ")
    return [match.group().strip() for match in _FORBIDDEN.finditer(text)]
