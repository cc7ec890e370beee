"""Spans to OpenTelemetry: built by its SDK with the ids and times we give, sent by its exporter."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import version
from urllib.parse import unquote

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from omniforge.core.config import Settings
from omniforge.core.errors import Invalid
from omniforge.engine.telemetry.traces import Span

TIMEOUT = 5.0
"""Seconds for one request, its repetitions included."""
_PATH = "/v1/traces"


class OtelSender:
    """Builds and sends spans. The process's global tracer is not touched."""

    def __init__(self, exporter: SpanExporter, service: str) -> None:
        self.exporter = exporter
        self._turn = threading.Lock()
        self._ids = _GivenIds()
        self._kept = _Kept()
        release = version("omniforge")
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": service, "service.version": release}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        provider.add_span_processor(self._kept)
        self._tracer = provider.get_tracer("omniforge", release)

    def send(self, spans: Sequence[Span]) -> bool:
        """Blocks until the collector has them, or has not."""
        with self._turn:  # a caller that was cancelled leaves its thread behind
            self._kept.spans.clear()
            for span in spans:
                self._build(span)
            return self.exporter.export(self._kept.spans) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Also ends a `send` that waits for its next try."""
        self.exporter.shutdown()

    def _build(self, span: Span) -> None:
        self._ids.trace_id, self._ids.span_id = span.trace_id, span.span_id
        above = INVALID_SPAN
        if span.parent_id is not None:
            above = NonRecordingSpan(_context(span.trace_id, span.parent_id))
        made = self._tracer.start_span(
            span.name,
            context=set_span_in_context(above),
            kind=SpanKind.CLIENT if "gen_ai.operation.name" in span.attributes else SpanKind.INTERNAL,
            attributes=span.attributes,
            links=[Link(_context(*span.follows))] if span.follows else None,
            start_time=span.start,
        )
        for note in span.notes:
            made.add_event(note.name, note.attributes, note.at)
        if span.error is not None:
            made.set_attribute("error.type", span.error)
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(span.end)


def otlp_sender(settings: Settings) -> OtelSender:
    """A sender to the collector of the settings. `Invalid` for headers that cannot be read."""
    headers = settings.otel_headers
    endpoint = str(settings.otel_endpoint).rstrip("/")
    exporter = OTLPSpanExporter(
        endpoint=endpoint if endpoint.endswith(_PATH) else endpoint + _PATH,
        headers=read_headers(headers.get_secret_value()) if headers is not None else {},
        timeout=TIMEOUT,
    )
    return OtelSender(exporter, settings.otel_service_name)


def read_headers(text: str) -> dict[str, str]:
    """`name=value,name=value`, values percent-encoded where they must be, as OpenTelemetry writes them."""
    headers: dict[str, str] = {}
    for number, pair in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, separator, value = pair.partition("=")
        if not separator or not name.strip():
            raise Invalid(f"OMNIFORGE_OTEL_HEADERS: part {number} is not of the form name=value.")
        headers[name.strip().lower()] = unquote(value.strip())
    return headers


class _GivenIds(IdGenerator):
    """Ids of the span that is being built."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Kept(SpanProcessor):
    """Holds what was built until it is sent."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
