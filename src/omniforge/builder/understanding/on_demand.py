"""Runs that somebody starts: "only when I press the button", "no fixed times", "on request"."""

from __future__ import annotations

import re

ON_DEMAND = re.compile(
    r"\bon[\s-]demand\b|\b(?:run|start|trigger)\b[^.;,]{0,20}\b(?:manually|by hand)\b|^\W*(?:manual(?:ly)?|"
    r"by hand)\W*$|\bad[\s-]?hoc\b|\b(?:no|without a|"
    r"not on a) (?:fixed )?(?:schedule|plan)\b|"
    r"\b(?:only |just )?when(?:ever)? i (?:ask|say|want|need|tell|request|call|run|trigger)\b|\bif i "
    r"(?:ask|say so|tell you|want|need it)\b|"
    r"\b(?:only )?(?:on|by|upon) request\b|\bwhen asked\b|\b(?:i'll|i will|i'd rather|let me|i want to|i'd "
    r"like to|i prefer to) (?:just )?(?:run|start|trigger|kick|launch|do|fire)(?: (?:it|this|that))?(?: "
    r"off)? (?:myself|by hand|manually|when)\b|\b(?:i'll|i will) (?:just )?(?:trigger|start|launch|run) "
    r"(?:it|this|that)\W*$|"
    r"\b(?:when(?:ever)?|if|once|each time|every time|as soon as|only when) (?:i|we|someone|somebody|one "
    r"of us|anyone) (?:press|presses|click|clicks|hit|hits|push|pushes|tap|taps|start|starts|ask|asks|feel|"
    r"tell|tells|need|needs)\b"
    r"|\b(?:no|without an?y?) (?:timer|fixed times?|set times?|particular times?|fixed rhythm)\b|\bat the "
    r"(?:push|press|click|touch) of a button\b|\bmanual (?:start|run|trigger)s?\b",
    re.IGNORECASE,
)
