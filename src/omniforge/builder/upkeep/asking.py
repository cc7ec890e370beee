"""How a matter asks, and how it has something done. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.builder.exchange import Facts, Json, Turn, UpkeepRequest
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState
from omniforge.builder.upkeep.matter import Asking, Matter, closed, going_on, opened


def put(  # noqa: PLR0917 - what a question consists of
    state: ConversationState,
    matter: Matter,
    paragraphs: Sequence[str],
    actions: Sequence[str],
    facts: Facts,
    cards: Sequence[Json] = (),
    url: str | None = None,
) -> Turn:
    """Ask, and remember exactly what was asked."""
    asked = matter.but(paragraphs=tuple(paragraphs), actions=tuple(actions), cards=tuple(cards), url=url)
    return pose(opened(state, asked), facts)


def sure(state: ConversationState, matter: Matter, paragraphs: Sequence[str], yes: str, facts: Facts) -> Turn:
    """Ask for the yes without which nothing is done."""
    return put(state, matter.but(asking=Asking.SURE), paragraphs, [yes, "No"], facts)


def go(state: ConversationState, matter: Matter, request: UpkeepRequest, progress: str) -> Turn:
    return Turn(going_on(state, matter), request=request, progress=progress)


def end(
    state: ConversationState,
    matter: Matter,
    note: str,
    facts: Facts,
    *,
    cards: Sequence[Json] = (),
    quoted: Sequence[str] = (),
) -> Turn:
    """Say how it ended; the question that was open before is asked again."""
    ended = closed(state, matter).noted(note)
    return pose(ended.but(quoted=(*state.quoted, matter.name, *quoted), cards=(*state.cards, *cards)), facts)
