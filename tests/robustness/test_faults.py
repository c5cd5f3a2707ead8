"""What may go wrong around a handler costs telemetry at most, and that is told."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from lc_otel import OTelCallbackHandler
from lc_otel._delivery import CountedExporter
from lc_otel._pipeline import configure
from lc_otel._queue import SpanQueue
from tests.receiver import Address
from tests.telemetry import Telemetry


def run_chain(handler: OTelCallbackHandler) -> None:
    """Run an outer run with one inside."""
    outer, inner = uuid4(), uuid4()
    handler.on_chain_start({}, {}, run_id=outer, name="outer")
    handler.on_chain_start({}, {}, run_id=inner, parent_run_id=outer, name="inner")
    handler.on_chain_end({}, run_id=inner)
    handler.on_chain_end({}, run_id=outer)


HOUR = 3_600_000_000_000


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_clock_that_jumps_turns_no_span_round(jump: int) -> None:
    """Within a trace time only goes on: a child lies inside its parent."""
    telemetry = Telemetry()
    recorder = telemetry.handler._recorder
    now = recorder._clock()
    times = iter(now + jump * step for step in range(10))
    recorder._clock = lambda: next(times)
    run_chain(telemetry.handler)
    run_chain(telemetry.handler)
    for inner, outer in (telemetry.spans[:2], telemetry.spans[2:]):
        moments = [outer.start_time, inner.start_time, inner.end_time, outer.end_time]
        assert None not in moments
        assert moments == sorted(moments)  # type: ignore[type-var]
        assert moments[3] - moments[0] < HOUR  # type: ignore[operator]


class Raising(SpanExporter):
    """Raises until it is told not to."""

    def __init__(self) -> None:
        self.raises = True
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.raises:
            raise RuntimeError("boom")
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


@pytest.mark.logs_warnings("the exporter raises")
def test_an_exporter_that_raises_loses_its_batch_and_no_more() -> None:
    """The queue's thread survives it, the loss is counted, and what follows arrives."""
    raising = Raising()
    exporter = CountedExporter(raising, "nowhere")
    queue = SpanQueue(exporter, "nowhere", size=8, batch=4)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    handler = OTelCallbackHandler(provider)
    run_chain(handler)
    assert provider.force_flush()
    raising.raises = False
    run_chain(handler)
    provider.shutdown()
    assert (exporter.failed, exporter.exported) == (2, 2)
    assert raising.names == ["inner", "invoke_workflow outer"]
    assert queue.ended == 4


class RaisingProcessor(SimpleSpanProcessor):
    """A processor of the user's own that is broken."""

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("boom")


@pytest.mark.logs_warnings("a processor raises")
def test_a_processor_that_raises_stays_inside() -> None:
    """The program's runs go on, none stays open, and the context is put back."""
    from opentelemetry import trace

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(RaisingProcessor(Raising()))
    handler = OTelCallbackHandler(provider)
    run_chain(handler)
    assert handler.open_runs == 0
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.logs_warnings("spans are lost")
def test_a_provider_shut_down_early_is_told(
    backend: Address, caplog: pytest.LogCaptureFixture
) -> None:
    """Runs after it cost nothing but their spans, and the pipeline counts those."""
    pipeline = configure(backend.endpoint, backend.protocol, set_global=False)
    run_chain(pipeline.handler)
    pipeline.tracer_provider.shutdown()  # type: ignore[attr-defined]
    run_chain(pipeline.handler)
    assert pipeline.handler.open_runs == 0
    assert (pipeline.exported, pipeline.dropped) == (2, 2)
    assert not pipeline.flush()
    assert not pipeline.shutdown()
    lost = f"2 of 4 spans did not reach {backend.endpoint}: 2 found the queue full or closed"
    assert [record for record in caplog.records if record.getMessage() == lost]
