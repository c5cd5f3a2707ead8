"""Spans out through `configure()`, and the same spans back from Jaeger: what both are held to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lc_otel._finished import read_span
from lc_otel._pipeline import configure
from tests.e2e.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lc_otel._pipeline import Pipeline
    from lc_otel._trace import FinishedSpan
    from tests.e2e.jaeger import Jaeger

PROTOCOLS = ("grpc", "http/protobuf")


@contextmanager
def sending(
    endpoint: str | None = None, protocol: str | None = None, **settings: Any
) -> Iterator[tuple[Pipeline, Callable[[], list[FinishedSpan]]]]:
    """A pipeline to an endpoint, and a call that gives the spans it has ended so far."""
    with configure(endpoint, protocol, set_global=False, **settings) as pipeline:
        kept = InMemorySpanExporter()
        pipeline.tracer_provider.add_span_processor(SimpleSpanProcessor(kept))  # type: ignore[attr-defined]
        yield pipeline, lambda: [read_span(span) for span in kept.get_finished_spans()]


def end_span(pipeline: Pipeline, name: str = "one") -> str:
    """End one span; its trace id."""
    span = pipeline.tracer_provider.get_tracer("e2e").start_span(name)
    span.end()
    return trace.format_trace_id(span.get_span_context().trace_id)


def assert_shown(jaeger: Jaeger, sent: list[FinishedSpan]) -> None:
    """Jaeger comes to show exactly these spans, which are of one trace, with all they carry."""
    trace_id = sent[0].trace_id
    wait_until(lambda: len(jaeger.trace(trace_id)) >= len(sent), "Jaeger shows the spans")
    shown = {span.span_id: span for span in jaeger.trace(trace_id)}
    assert len(shown) == len(sent)
    for span in sent:
        assert shown[span.span_id] == span
        for name, value in span.attributes.items():  # 1 == 1.0 == True
            assert type(shown[span.span_id].attributes[name]) is type(value), name
