"""The queue before the backend: nothing lost in a burst, and every loss counted and said."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from lc_otel import ConfigurationError
from lc_otel._pipeline import configure
from lc_otel._queue import PATIENCE, PAUSE, SpanQueue
from tests.receiver import Address, Fault

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

THREADS = 8
MOMENT = 5.0
"""Seconds; far above the pause, since eight busy threads wait for the interpreter as well."""


class Gate(SpanExporter):
    """Takes batches while it is open, and keeps whoever brings one waiting while it is not."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.open = threading.Event()
        self.result = result
        self.names: list[str] = []
        self.largest = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.open.wait(30)
        self.names += [span.name for span in spans]
        self.largest = max(self.largest, len(spans))
        return self.result


def build(exporter: SpanExporter, size: int = 16, batch: int = 4) -> tuple[SpanQueue, Tracer]:
    """A queue and a tracer that feeds it."""
    queue = SpanQueue(exporter, "the backend", size=size, batch=batch, delay_ms=10)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return queue, provider.get_tracer("test")


def end_spans(tracer: Tracer, count: int) -> float:
    """End so many spans; the seconds that the slowest end took."""
    slowest = 0.0
    for number in range(count):
        span = tracer.start_span(f"span {number}", attributes={"n": number, "text": "x" * 50})
        begin = time.perf_counter()
        span.end()
        slowest = max(slowest, time.perf_counter() - begin)
    return slowest


@pytest.mark.parametrize("spans", [20_000, pytest.param(200_000, marks=pytest.mark.load)])
def test_a_burst_from_eight_threads_arrives_whole(backend: Address, spans: int) -> None:
    """More spans than the queue holds, made without a pause, all reach an instant receiver."""
    slowest: list[float] = []
    with configure(backend.endpoint, backend.protocol, set_global=False) as pipeline:
        assert spans > 2 * pipeline.settings.queue_size
        tracer = pipeline.tracer_provider.get_tracer("test")
        threads = [
            threading.Thread(target=lambda: slowest.append(end_spans(tracer, spans // THREADS)))
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert pipeline.flush(120)
        assert (pipeline.exported, pipeline.failed, pipeline.dropped) == (spans, 0, 0)
    assert len({span.span_id for span in backend.receiver.spans}) == spans
    assert max(slowest) < MOMENT


@pytest.mark.logs_warnings("the queue overflows")
def test_a_stuck_backend_costs_each_end_a_moment_and_all_together_no_more() -> None:
    """While nothing is taken, ends wait for `PATIENCE` in all; what finds no room is dropped."""
    gate = Gate()
    queue, tracer = build(gate)
    begin = time.monotonic()
    end_spans(tracer, 2_000)
    took = time.monotonic() - begin
    assert PAUSE < took < PATIENCE + MOMENT
    assert 2_000 - 16 - 4 <= queue.dropped < 2_000
    gate.open.set()
    queue.shutdown()
    assert len(gate.names) == 2_000 - queue.dropped
    assert gate.largest == 4


def test_a_failing_backend_is_not_waited_for() -> None:
    """Batches that fail leave the queue, but they do not make anyone patient again."""
    gate = Gate(SpanExportResult.FAILURE)
    gate.open.set()
    queue, _ = build(gate)
    queue._patient_until = 0.0  # long ago
    queue._batches.force_flush()
    assert not queue._is_patient()
    queue.arrive()
    assert queue._is_patient()
    queue.shutdown()


@pytest.mark.logs_warnings("the queue overflows")
def test_what_was_dropped_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """One line at the first loss, one number, one metric with OpenTelemetry's own name."""
    gate = Gate()
    queue, tracer = build(gate)
    reader = InMemoryMetricReader()
    queue.observe(MeterProvider([reader], shutdown_on_exit=False))
    assert reader.get_metrics_data() is None  # nothing dropped, nothing told
    queue._patient_until = 0.0
    end_spans(tracer, 100)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("The queue of 16 spans is full: the backend does not take them")
    data: Any = reader.get_metrics_data()
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.data.data_points
    assert metric.name == "otel.sdk.processor.span.processed"
    assert point.attributes["error.type"] == "queue_full"
    assert point.value == queue.dropped > 0
    gate.open.set()
    queue.shutdown()
    assert len(gate.names) + queue.dropped == queue.ended == 100


@pytest.mark.logs_warnings("the queue overflows")
def test_the_pipeline_tells_what_the_queue_dropped(
    backend: Address, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """flush() says no, `dropped` how many, shutdown says so in one line, and the metric arrives."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    backend.receiver.fault = Fault(delay=0.3, times=1)
    pipeline = configure(backend.endpoint, backend.protocol, set_global=False)
    assert pipeline._queue is not None
    pipeline._queue._patient_until = 0.0
    end_spans(pipeline.tracer_provider.get_tracer("test"), 500)
    assert not pipeline.flush()
    assert pipeline.dropped > 0
    assert pipeline.exported + pipeline.dropped == 500
    assert not pipeline.shutdown()
    lost = f"{pipeline.dropped} of 500 spans did not reach {backend.endpoint}"
    assert [record for record in caplog.records if record.getMessage().startswith(lost)]
    assert "otel.sdk.processor.span.processed" in backend.receiver.metric_names


texts = st.text(st.characters(codec="utf-8"), max_size=40)
values = st.one_of(
    texts, st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.lists(texts, max_size=3)
)


AROUND = 500
"""Bytes of a request beside its spans: the resource, the scope. REQUEST_BYTES leaves them room."""


class Requests(SpanExporter):
    """Keeps each request."""

    def __init__(self) -> None:
        self.made: list[Sequence[ReadableSpan]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.made.append(spans)
        return SpanExportResult.SUCCESS


@given(
    st.lists(
        st.tuples(texts, st.dictionaries(texts.filter(bool), values, max_size=4)),
        min_size=1,
        max_size=20,
    ),
    st.integers(500, 3_000),
)
def test_a_batch_is_cut_so_that_every_request_stays_below_the_limit(
    told: list[tuple[str, dict[str, Any]]], limit: int
) -> None:
    """Every span goes out once and in order; only a span too large by itself exceeds the limit."""
    requests = Requests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lc_otel._queue.REQUEST_BYTES", limit)
        queue, tracer = build(requests, size=20, batch=20)
        for name, attributes in told:
            span = tracer.start_span(name, attributes=attributes)
            span.add_event(name, attributes)
            span.add_link(span.get_span_context(), attributes)
            span.set_status(StatusCode.ERROR, name)
            span.end()
        queue.shutdown()
    names = [span.name for request in requests.made for span in request]
    assert names == [name for name, _ in told]
    for request in requests.made:
        assert len(request) == 1 or encode_spans(request).ByteSize() <= limit + AROUND


def test_spans_of_more_than_a_backend_takes_at_once_all_arrive(backend: Address) -> None:
    """Eight megabytes end in one moment; gRPC would refuse them in one request."""
    with configure(backend.endpoint, backend.protocol, set_global=False) as pipeline:
        tracer = pipeline.tracer_provider.get_tracer("test")
        for number in range(80):
            tracer.start_span(f"span {number}", attributes={"text": "ä" * 50_000}).end()
        assert pipeline.flush(60)
        assert (pipeline.exported, pipeline.failed) == (80, 0)
    requests = backend.receiver.of("traces")
    assert len(requests) >= 3
    assert max(len(request.body) for request in requests) < 4 * 1024**2
    assert [span.name for span in backend.receiver.spans] == [f"span {n}" for n in range(80)]


@pytest.mark.logs_warnings("a span cannot be encoded")
def test_a_span_of_another_librarys_that_cannot_be_encoded_is_lost_alone(backend: Address) -> None:
    """A name that is no Unicode fails the encoding of all that go with it."""
    with configure(backend.endpoint, backend.protocol, set_global=False) as pipeline:
        tracer = pipeline.tracer_provider.get_tracer("theirs")
        for name in ("one", "br\ud800ken", "two"):
            tracer.start_span(name).end()
        assert not pipeline.flush(30)
        assert (pipeline.exported, pipeline.failed) == (2, 1)
    assert [span.name for span in backend.receiver.spans] == ["one", "two"]


@pytest.mark.logs_warnings("the queue overflows")
def test_fewer_spans_wait_where_they_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded in bytes too: prompts of a hung backend must not fill the memory."""
    monkeypatch.setattr("lc_otel._queue.MEMORY", 1_000_000)
    gate = Gate()
    gate.open.set()
    queue, tracer = build(gate, size=200, batch=1)
    tracer.start_span("large", attributes={"text": "x" * 100_000}).end()
    assert queue.force_flush()  # from here on it is known how large they are
    gate.open.clear()
    for _ in range(30):
        tracer.start_span("large", attributes={"text": "x" * 100_000}).end()
    assert 15 <= queue.dropped <= 25
    gate.open.set()
    queue.shutdown()
    assert len(gate.names) + queue.dropped == 31


def test_spans_that_are_not_sampled_take_no_room() -> None:
    """What a sampler leaves out is not counted either."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    gate = Gate()
    queue = SpanQueue(gate, "the backend", size=16, batch=4)
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(queue)
    end_spans(provider.get_tracer("test"), 100)
    assert queue.ended == queue.dropped == 0
    queue.shutdown()


def test_a_span_that_ends_after_the_shutdown_is_counted(backend: Address) -> None:
    """It comes too late to be sent, and `dropped` tells so; nothing is raised or logged."""
    pipeline = configure(backend.endpoint, backend.protocol, set_global=False)
    tracer = pipeline.tracer_provider.get_tracer("test")
    late = tracer.start_span("late")
    assert pipeline.shutdown()
    late.end()
    assert pipeline.dropped == 1
    assert backend.receiver.spans == []


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
@pytest.mark.parametrize("variable", ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"])
def test_a_size_that_is_none_is_one_clear_error(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable and what it said."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"{variable} is '{value}', expected a whole"):
        configure("http://localhost:4317", set_global=False)


def test_a_queue_smaller_than_a_batch_makes_the_batch_smaller(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_BSP_MAX_QUEUE_SIZE alone is enough; the SDK's own processor would refuse it."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "3")
    with configure(backend.endpoint, backend.protocol, set_global=False) as pipeline:
        end_spans(pipeline.tracer_provider.get_tracer("test"), 3)
        assert pipeline.flush()
    assert len(backend.receiver.spans) == 3
