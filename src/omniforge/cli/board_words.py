"""The board in words and pictures: cards, columns, and what happened, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]
WIDE = 110
"""Characters from which the columns stand side by side."""
PRIORITIES = {"CRITICAL": "bold red", "HIGH": "yellow", "MEDIUM": "default", "LOW": "dim"}
HOLDS = {
    "wip_limit": "the column is full",
    "gate_pending": "its checks are not through",
    "gate_no_go": "its checks say no",
}
STATUSES = {
    "completed": "green",
    "running": "cyan",
    "queued": "yellow",
    "needs_review": "yellow",
    "failed": "red",
    "cancelled": "dim",
}


def card(ticket: Json, *, most: int = 40) -> Text:
    """One ticket: its ref, its title, and what keeps it."""
    text = Text()
    text.append(ticket["ref"], PRIORITIES.get(ticket["priority"], "default"))
    title = ticket["title"]
    text.append(f" {title[: most - 1] + '…' if len(title) > most else title}")
    if ticket["open_tasks"]:
        text.append(f" ({ticket['open_tasks']})", "dim")
    for words, style in trouble(ticket):
        text.append(f"\n  {words}", style)
    return text


def trouble(ticket: Json) -> list[tuple[str, str]]:
    """What keeps a ticket, in words, each with its colour."""
    found: list[tuple[str, str]] = []
    if ticket["is_blocked"]:
        refs = ", ".join(one["ref"] for one in ticket["blocked_by"])
        why = ticket["blocked_reason"] or (f"waits for {refs}" if refs else ticket["blocker_type"])
        found.append((f"blocked: {why}", "red"))
    elif ticket["blocked_by"]:
        found.append((f"waits for {', '.join(one['ref'] for one in ticket['blocked_by'])}", "dim"))
    if held := ticket["pending_transition"]:
        why = HOLDS.get(held["reason"], held["reason"])
        found.append((f"held before {held['to_status']}: {why}", "yellow"))
    if ticket["approval_status"] != "approved":
        found.append((f"review: {ticket['approval_status'].replace('_', ' ')}", "yellow"))
    return found


def heading(column: Json) -> Text:
    """`Building 3/5`; at its limit yellow, above it red."""
    count, limit = column["ticket_count"], column["wip_limit"]
    style = "bold"
    if limit is not None:
        style = "bold red" if count > limit else "bold yellow" if count == limit else "bold"
    return Text(f"{column['name']} {count}" + ("" if limit is None else f"/{limit}"), style)


def picture(view: Json, width: int) -> RenderableType:
    """The columns side by side, or below each other in a narrow terminal."""
    columns = sorted(view["columns"], key=lambda column: column["position"])
    if width < WIDE:
        parts: list[RenderableType] = []
        for column in columns:
            parts.append(heading(column))
            parts += [Padding(each, (0, 0, 0, 2)) for each in _cards(column)]
        return Group(*parts)
    table = Table(expand=True, show_lines=False, pad_edge=False)
    for column in columns:
        table.add_column(heading(column), ratio=1, overflow="fold")
    table.add_row(*(Group(*_cards(column)) for column in columns))
    return table


def _cards(column: Json) -> list[Text]:
    cards = [card(ticket) for ticket in column["tickets"]]
    hidden = column["total"] - len(cards)
    return [*cards, Text(f"and {hidden} more", "dim")] if hidden else cards


# --- what happened -----------------------------------------------------------------------------------------


Named = Callable[[str], str]
"""The ref of a ticket or task by its id."""


def _moved(said: Json, _: Named) -> str:
    why = {"move": "", "transition": ""}.get(said["cause"], f" ({said['cause']})")
    forced = " by force" if said.get("forced") else ""
    return f"went from {said.get('from_status') or 'nowhere'} to {said['to_status']}{forced}{why}"


def _held(said: Json, _: Named) -> str:
    return f"is held before {said['to_status']}: {HOLDS.get(said['reason'], said['reason'])}"


def _blocked(said: Json, _: Named) -> str:
    refs = ", ".join(str(one.get("ref") or one.get("id")) for one in said.get("blockers", ()))
    why = said.get("reason") or (f"waits for {refs}" if refs else said["blocker_type"])
    return f"is blocked: {why}"


def _failed_try(said: Json, _: Named) -> str:
    again = "will be tried again" if said.get("will_retry") else "will not be tried again"
    return f"failed its attempt {said.get('attempt')} ({said.get('message') or said.get('outcome')}), {again}"


def _decided(said: Json, _: Named) -> str:
    return f"checks on the way from {said['from_status']} to {said['to_status']}: {said['decision']}"


def _checked(said: Json, _: Named) -> str:
    return f"check {said.get('check_key')} {'passed' if said.get('passed') else 'failed'}"


_WORDS: Mapping[str, str | Callable[[Json, Named], str]] = {
    "ticket.created": "was created",
    "ticket.transitioned": _moved,
    "ticket.held": _held,
    "ticket.blocked": _blocked,
    "ticket.unblocked": "is free again",
    "ticket.commented": "was commented",
    "ticket.dependencies_changed": "waits for other tickets than before",
    "ticket.review_requested": "waits for a review",
    "ticket.approved": "was approved",
    "ticket.rejected": "was rejected",
    "task.created": "was created",
    "task.queued": "is ready to be taken",
    "task.unblocked": "has nothing to wait for any more",
    "task.dequeued": "is not to be taken now",
    "task.dependencies_changed": "waits for other tasks than before",
    "task.claimed": "was taken",
    "task.started": "has begun",
    "task.completed": "is done",
    "task.attempt_failed": _failed_try,
    "task.failed": "has failed for good",
    "task.cancelled": "was cancelled",
    "task.review_requested": "waits for a person",
    "gate.decided": _decided,
    "receipt.recorded": _checked,
    "approval.requested": "waits for an answer",
    "approval.decided": "has its answer",
    "phase.completed": "has all the work of a phase done",
    "result.submitted": "has a result",
    "artifact.stored": "has something to show for it",
    "commit.linked": "has a commit",
}
NOISE = frozenset({"agent", "file", "command", "sandbox", "criterion", "requirement"})
"""Nouns of events that are too many for a line on the board."""


def event_line(event: Json, named: Named) -> Text | None:
    """`12:04:31 TKT-001 went from building to testing`; None for what is not worth a line."""
    if event["entity_type"] in NOISE or event["type"] in ("ticket.ranked", "task.updated", "ticket.updated"):
        return None
    words = _WORDS.get(event["type"])
    said = words(event["payload"], named) if callable(words) else words or event["type"]
    about = event["task_id"] if event["entity_type"] == "task" else event["ticket_id"] or event["task_id"]
    at = datetime.fromisoformat(event["at"]).astimezone()
    text = Text(f"{at:%H:%M:%S} ", "dim")
    if about:
        text.append(f"{event['payload'].get('ref') or named(about)} ", "bold")
    text.append(str(said), "default")
    text.append(f"  {event['actor']}", "dim")
    return text


def coloured(status: str) -> str:
    return f"[{STATUSES.get(status, 'default')}]{escape(status)}[/]"


def rows(title_row: Sequence[str], found: Sequence[Sequence[str]]) -> Table:
    """A table of plain texts; the first column is never cut."""
    table = Table(*title_row)
    table.columns[0].no_wrap = True
    for row in found:
        table.add_row(*row)
    return table
