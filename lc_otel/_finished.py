"""SDK spans in, FinishedSpans out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import INVALID_SPAN_CONTEXT, format_span_id, format_trace_id

from lc_otel._trace import FinishedSpan, SpanEvent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def read_span(span: ReadableSpan) -> FinishedSpan:
    """Copy what a backend would be sent from a span that has ended."""
    context = span.get_span_context() or INVALID_SPAN_CONTEXT
    return FinishedSpan(
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else None,
        name=span.name,
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name.lower(),
        status_message=span.status.description or "",
        attributes=dict(span.attributes or {}),
        events=tuple(
            SpanEvent(event.name, event.timestamp, dict(event.attributes or {}))
            for event in span.events
        ),
        links=tuple(
            (format_trace_id(link.context.trace_id), format_span_id(link.context.span_id))
            for link in span.links
        ),
        resource=dict(span.resource.attributes),
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
    )
