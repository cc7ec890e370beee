"""How a reply and its cards are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from omniforge.builder.exchange import Json, Reply
from omniforge.builder.rows import Row
from omniforge.builder.state import ConversationState, ListItem
from omniforge.builder.vocabulary import forbidden_words


def make_reply(
    state: ConversationState,
    parts: Sequence[str],
    *,
    actions: Sequence[str] = (),
    cards: Sequence[Json] = (),
    quoted: Sequence[str] = (),
    oauth_url: str | None = None,
) -> Reply:
    """Notes that waited come first. Names from services are exempt from the check of words."""
    seen = [r for found in state.resources.values() for r in found]
    fields = [f for r in seen for f in r.fields or ()]
    names = [r.name for r in seen] + [f.name for f in fields] + [i.name for i in state.last_list]
    options = [o for f in fields for o in f.options]
    own = [state.draft_name or "", state.design.name or "", state.oauth_url or "", *said_in(state)]
    own += [link.workspace or "" for link in state.links.values()]
    text = "\n\n".join(part for part in (*state.notes, *parts) if part)
    return Reply(
        text,
        state.phase.value,
        tuple(actions[:4]),
        oauth_url,
        tuple(cards),
        (*names, *options, *own, *state.quoted, *quoted),
    )


NOTHING_LEFT = "I have it. Say *what have you got so far?* to see where we are, or tell me what to change."


def without_slips(reply: Reply) -> Reply:
    """The reply without paragraphs and suggestions of ours in which words stand that people are never shown;
    when nothing is left, a plain sentence."""
    kept = [part for part in reply.text.split("\n\n") if not forbidden_words(part, reply.quoted)]
    actions = tuple(action for action in reply.actions if not forbidden_words(action, reply.quoted))
    cards = tuple(
        {**card, "title": ""} if forbidden_words(str(card.get("title", "")), reply.quoted) else card
        for card in reply.cards
    )
    return replace(reply, text="\n\n".join(kept) or NOTHING_LEFT, actions=actions, cards=cards)


def said_in(state: ConversationState) -> list[str]:
    """Texts of the outline that people wrote."""
    found: list[str] = []
    for part in state.outline.parts:
        found += [part.words, part.condition.words if part.condition else ""]
        for value in part.does.model_dump(mode="json").values():
            found += texts_of(value)
    return [text for text in found if len(text) > 2]


def texts_of(value: object) -> list[str]:
    """Every text inside a value, names of fields included."""
    match value:
        case str():
            return [value]
        case list():
            return [text for one in cast("list[object]", value) for text in texts_of(one)]
        case dict():
            pairs = cast("dict[str, object]", value)
            return [text for name, one in pairs.items() for text in (name, *texts_of(one))]
        case _:
            return []


def event_card(when: str, does: Sequence[str], includes: Sequence[str]) -> Json:
    """WHEN, DOES and INCLUDES of an agent that something starts."""
    rows = [("When", when), *(("Does", text) for text in does), *(("Includes", text) for text in includes)]
    return {
        "type": "summary",
        "title": "When it happens",
        "rows": [{"label": label, "value": value, "origin": "said"} for label, value in rows],
    }


def summary_card(rows: Sequence[Row], title: str = "What I understood") -> Json:
    return {
        "type": "summary",
        "title": title,
        "rows": [{"label": a, "value": b, "origin": c} for a, b, c in rows],
    }


def choices_card(
    title: str, items: tuple[ListItem, ...], counts: dict[str, int | None] | None = None
) -> Json:
    options = [
        {"label": chr(65 + n), "id": item.id, "text": item.name, "items": (counts or {}).get(item.id)}
        for n, item in enumerate(items[:26])
    ]
    return {"type": "choices", "title": title, "options": options}
