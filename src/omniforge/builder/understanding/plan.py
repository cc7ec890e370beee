"""The shape of a plan, and of the question that is left when words give none."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Event = Literal["on_demand", "scheduled", "event_driven"]
Origin = Literal["said", "derived", "default", "found"]
DEFAULT_TIME = (9, 0)
LEAD_MINUTES = 30
EXAMPLE = "every Monday at 8:30"


class Schedule(BaseModel):
    """`cron` has five fields when `event` is scheduled, else it is empty. `notes` say what was derived."""

    model_config = ConfigDict(frozen=True)

    cron: str = ""
    timezone: str | None = None
    event: Event = "scheduled"
    origin: Origin = "said"
    words_used: str = ""
    notes: tuple[str, ...] = ()
    time_said: bool = True


class Unclear(BaseModel):
    """What is missing or not possible, with an example; `offer` is a plan to take with a yes."""

    model_config = ConfigDict(frozen=True)

    question: str
    offer: Schedule | None = None


def suggested(
    weekday: str = "MON", time: tuple[int, int] = DEFAULT_TIME, zone: str | None = None
) -> Schedule:
    """A plan we propose."""
    cron = f"{time[1]} {time[0]} * * {weekday}"
    return Schedule(cron=cron, timezone=zone, origin="default", time_said=False)
