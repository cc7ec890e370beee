"""How a reply and its cards are put together."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.builder.exchange import Json, Reply
from omniforge.builder.rows import Row
from omniforge.builder.state import ConversationState, ListItem


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
    names = (
        [r.name for r in state.resources] + [f.name for f in state.fields] + [i.name for i in state.last_list]
    )
    options = [o for f in state.fields for o in f.options]
    own = [state.workspace or "", state.draft_name or "", state.slots.name or "", state.oauth_url or ""]
    text = "\n\n".join(part for part in (*state.notes, *parts) if part)
    return Reply(
        text,
        state.phase.value,
        tuple(actions[:4]),
        oauth_url,
        tuple(cards),
        (*names, *options, *own, *state.quoted, *quoted),
    )


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
