"""Realistic pages for the local server, the same at every start except that times follow the present."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from omniforge.integrations.catalog.notion.standin.workspace import (
    Row,
    Table,
    Workspace,
    empty_workspace,
    make_blocks,
    stable_id,
)

SUBJECTS = (
    "Customer portal", "Mobile ordering", "Data warehouse", "Onboarding flow", "Payment gateway",
    "Partner API", "Reporting suite", "Loyalty program", "Document archive", "Booking engine",
    "Field service app", "Consent management", "Price monitoring", "Returns handling",
)  # fmt: skip
STAGES = ("discovery", "rollout", "redesign", "migration", "pilot")
INTERNAL = (
    "Hiring playbook", "Laptop renewal", "Expense rules", "Security training", "Office move",
    "Knowledge base clean-up", "Quarterly planning", "Vendor review",
)  # fmt: skip
UPDATES = {
    "On Track": (
        "Sprint review went well and all planned stories were accepted.",
        "The integration tests pass and the client signed off on the designs.",
        "Performance is within target after the caching change.",
        "Training material is ready; the first group starts next week.",
        "Data mapping is complete and two of three interfaces are live.",
    ),
    "At Risk": (
        "The test environment was down for two days, so acceptance moves by a week.",
        "Scope grew by three reports; we are waiting for a decision on the budget.",
        "Two key people are on leave and the hand-over took longer than planned.",
        "Response times are above target and the cause is not clear yet.",
    ),
    "Blocked": (
        "Work stopped because access to the client's network was withdrawn.",
        "The vendor has not delivered the licence keys.",
        "Legal has to approve the data processing agreement first.",
    ),
    "Done": (
        "Live since this week; support has taken over.",
        "The client accepted the final delivery and closed the project.",
        "All users are moved over and the old system is switched off.",
    ),
    "Not Started": (
        "Kick-off is being scheduled with the client.",
        "The statement of work is signed; the team is being formed.",
    ),
    "Cancelled": ("Stopped by the client after the budget review.",),
}
BLOCKERS = {
    "At Risk": (
        "Decision on the extra budget is open.",
        "Test environment is unstable.",
        "",
        "Waiting for performance figures from hosting.",
    ),
    "Blocked": (
        "Network access has to be granted again by the client's IT.",
        "Licence keys are missing.",
        "Data processing agreement is not signed.",
    ),
}
STATUS_TURN = (
    "On Track", "At Risk", "On Track", "Done", "Blocked", "On Track", "At Risk", "On Track", "Not Started",
)  # fmt: skip


def acme_workspace(now: Callable[[], datetime]) -> Workspace:
    """Acme Operations: Client Projects (42), Internal Initiatives (8), Archived (156)."""
    workspace = empty_workspace(now)
    projects, internal, archived = workspace.tables
    random = Random(20260101)  # noqa: S311 - sample data
    _fill(workspace, projects, random, _recent(now(), (16, 12, 8), 6))
    _fill(workspace, internal, random, _recent(now(), (4, 3, 0), 1))
    old = [now() - timedelta(days=32 + number * 2, hours=number % 9) for number in range(156)]
    _fill(workspace, archived, random, old)
    return workspace


def _recent(now: datetime, weeks: tuple[int, int, int], this_week: int) -> list[datetime]:
    """Edit times: so many in each of the last three whole weeks (latest first), and some since Monday.

    They lie on Tuesday to Friday around midday UTC, so that they are in the same week in every zone.
    """
    monday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
    since = now - monday
    times = [monday + since * (number + 1) / (this_week + 2) for number in range(this_week)]
    for back, count in enumerate(weeks, start=1):
        start = monday - timedelta(weeks=back)
        times += [
            start + timedelta(days=1 + number % 4, hours=10 + number % 5, minutes=7 * number % 60)
            for number in range(count)
        ]
    return [moment.replace(second=0, microsecond=0) for moment in times]


def _fill(workspace: Workspace, table: Table, random: Random, edits: list[datetime]) -> None:
    clients = next(f.options for f in table.fields if f.name == "Client")
    tags = next(f.options for f in table.fields if f.name == "Tags")
    for number, edited in enumerate(edits):
        if table.name == "Archived":
            status = "Cancelled" if number % 7 == 3 else "Done"
        else:
            status = STATUS_TURN[number % len(STATUS_TURN)]
        title = (
            INTERNAL[number % len(INTERNAL)]
            if table.name == "Internal Initiatives"
            else f"{SUBJECTS[number % len(SUBJECTS)]} {STAGES[number // len(SUBJECTS) % len(STAGES)]}"
        )
        client = clients[number % len(clients)]
        if table.name == "Archived":
            title = f"{title} {edited.year - number % 3}"
        owners = random.sample([p.id for p in workspace.people], 2 if number % 8 == 5 else 1)
        update = random.choice(UPDATES[status])
        blockers = random.choice(BLOCKERS.get(status, ("",)))
        due = (
            None if number % 9 == 8 else (edited + timedelta(days=random.randint(-5, 45))).date().isoformat()
        )
        row_id = stable_id("row", table.name, number)
        created = edited - timedelta(days=20 + number % 60, hours=number % 7)
        workspace.rows[row_id] = Row(
            row_id,
            table.id,
            created,
            edited,
            random.choice(workspace.people).id,
            {
                "Project": title,
                "Client": client,
                "Status": status,
                "Owner": owners,
                "Latest Update": update,
                "Blockers": blockers,
                "Priority": ("High", "Medium", "Low")[number % 3],
                "Due": due,
                "Tags": sorted(random.sample(tags, number % 3)),
            },
            make_blocks(row_id, _body(title, client, update, blockers), created),
        )


def _body(title: str, client: str, update: str, blockers: str) -> str:
    risk = f"- Open point: {blockers}\n  - Named in the last review\n" if blockers else ""
    return (
        f"{title} for {client}.\n## Latest\n{update}\n## Next steps\n"
        f"- Review with {client}\n  - Prepare figures\n- Update the plan\n{risk}"
    )
