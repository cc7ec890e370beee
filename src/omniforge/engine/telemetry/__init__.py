"""Metrics and traces, read from the event log. What is off is not even imported."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omniforge.core.clock import Clock
from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError, Unavailable
from omniforge.engine.events import EventLog

if TYPE_CHECKING:
    from omniforge.engine.admission import Admission
    from omniforge.engine.telemetry.gauges import Gauge
    from omniforge.engine.telemetry.metrics import Metrics
    from omniforge.engine.telemetry.sending import Sender, Traces

__all__ = ["Telemetry", "open_telemetry"]

log = logging.getLogger(__name__)

METRICS_PAUSE = 5.0
TRACES_PAUSE = 1.0
"""Seconds between two looks at the log while it grows."""
LAST_CALL = 2.0
"""Seconds for the last traces when the process ends; what is not sent then goes out at the next start."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What is switched on."""

    metrics: Metrics | None = None
    traces: Traces | None = None


@asynccontextmanager
async def open_telemetry(
    settings: Settings,
    events: EventLog,
    clock: Clock,
    *,
    admission: Admission | None = None,
    gauges: Sequence[Gauge] = (),
    sender: Sender | None = None,
) -> AsyncGenerator[Telemetry]:
    """Begin before the engine opens, so that nothing is missed; ends after it.

    gauges: further figures to be looked up when somebody asks. sender: where traces go instead of to the
    collector of the settings.
    """
    async with AsyncExitStack() as stack:
        metrics = traces = None
        if settings.metrics_enabled:
            metrics = await _open_metrics(stack, events, clock, admission, gauges)
        if sender is not None or settings.otel_endpoint is not None:
            traces = await _open_traces(stack, settings, events, clock, sender)
        yield Telemetry(metrics, traces)


async def _open_metrics(
    stack: AsyncExitStack,
    events: EventLog,
    clock: Clock,
    admission: Admission | None,
    more: Sequence[Gauge],
) -> Metrics:
    from omniforge.engine.telemetry import gauges  # noqa: PLC0415 - only who asks for it pays for it
    from omniforge.engine.telemetry.metrics import Metrics  # noqa: PLC0415
    from omniforge.engine.telemetry.reading import LogReader, follow  # noqa: PLC0415

    slots = gauges.slot_gauges(admission) if admission is not None else ()
    own = (*gauges.run_gauges(events.db), gauges.breaker_gauge(events.db, clock), *slots)
    metrics = Metrics(LogReader(events), [*own, *more])
    await metrics.begin()
    task = asyncio.create_task(follow(events, metrics.catch_up, METRICS_PAUSE))
    stack.push_async_callback(_stop, task)
    return metrics


async def _open_traces(
    stack: AsyncExitStack, settings: Settings, events: EventLog, clock: Clock, sender: Sender | None
) -> Traces:
    from omniforge.engine.telemetry.reading import LogReader, follow  # noqa: PLC0415
    from omniforge.engine.telemetry.sending import Traces  # noqa: PLC0415

    if sender is None:
        sender = _otlp_sender(settings)
    traces = Traces(LogReader(events), clock, sender, settings.otel_sample)
    await traces.begin()
    task = asyncio.create_task(follow(events, traces.catch_up, TRACES_PAUSE))

    async def close() -> None:
        await _stop(task)
        try:
            async with asyncio.timeout(LAST_CALL):
                await traces.catch_up()
        except (OmniForgeError, TimeoutError):
            log.warning("the last traces were not sent; they are at the next start, within the hour")
        finally:
            sender.close()

    stack.push_async_callback(close)
    return traces


def _otlp_sender(settings: Settings) -> Sender:
    try:
        from omniforge.engine.telemetry.otel import otlp_sender  # noqa: PLC0415
    except ImportError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise Unavailable(
            "OMNIFORGE_OTEL_ENDPOINT is set, and traces need the optional part of this program: "
            "pip install 'omniforge[telemetry]', or take the setting away.",
            code="extra_missing",
            extra="telemetry",
        ) from error
    return otlp_sender(settings)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
