"""Fields of places in several services, as the services describe them."""

from __future__ import annotations

from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.shaping import Only

ISSUES = (
    Field(name="title", type="title"),
    Field(name="text", type="rich_text"),
    Field(name="state", type="select", options=("open", "closed")),
    Field(name="labels", type="multi_select", options=("bug", "good first issue", "docs")),
    Field(name="assignees", type="people"),
    Field(name="author", type="people"),
    Field(name="created_at", type="date"),
    Field(name="updated_at", type="date"),
)
PEOPLE = ("Anna Berg", "Maya Lindholm")
TASKS = (
    Field(name="title", type="title"),
    Field(name="state", type="status", options=("Todo", "In Progress", "Done", "Canceled")),
    Field(name="state_type", type="select", options=("unstarted", "started", "completed", "canceled")),
    Field(name="priority", type="select", options=("No priority", "Urgent", "High", "Low")),
    Field(name="assignee", type="people", options=PEOPLE),
    Field(name="labels", type="multi_select", options=("Bug", "Feature")),
    Field(name="due", type="date"),
    Field(name="completed_at", type="date"),
    Field(name="created_at", type="date"),
)
MAILS = (
    Field(name="subject", type="title"),
    Field(name="from_name"),
    Field(name="from"),
    Field(name="seen", type="checkbox"),
    Field(name="received_at", type="date"),
)
PROJECTS = (
    Field(name="Project", type="title"),
    Field(name="Status", type="status", options=("On Track", "At Risk", "Blocked", "Done")),
    Field(name="Client", type="select", options=("Acme", "Globex")),
    Field(name="Owner", type="people"),
    Field(name="Due Date", type="date"),
    Field(name="Budget", type="number"),
    Field(name="Blockers", type="rich_text"),
)
NOT_OVER = Only(field="state_type", values=("completed", "canceled"), keep=False)


def is_(field: str, *values: str, keep: bool = True) -> Only:
    return Only(field=field, values=values, keep=keep)
