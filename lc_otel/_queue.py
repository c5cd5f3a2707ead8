"""Finished spans in, at a pace the backend can follow; batches out, and how many found no room."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from lc_otel._errand import call_in_child

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_logger = logging.getLogger(__name__)

PAUSE = 0.01
"""Seconds the end of one span waits at most for room in a queue that is filling."""

PATIENCE = 1.0
"""Seconds without a batch taken after which nobody waits any more, until one is taken again."""

REQUEST_BYTES = 4_000_000
"""Encoded size up to which spans share a request: a gRPC server refuses what is larger than 4 MiB
unless told otherwise, and the whole batch with it."""

MEMORY = 256 * 1024**2
"""Bytes of spans that may wait: where they are large, fewer than the queue's size."""

_FIXED_BYTES = 150
"""What a span, an event or a link takes at most beside its strings: identifiers, times, tags."""

# https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/, "Span processor metrics"
_PROCESSED = "otel.sdk.processor.span.processed"
_DROPPED = {"otel.component.type": "batching_span_processor", "error.type": "queue_full"}


class SpanQueue(SpanProcessor):
    """The SDK's batch processor, fed only as fast as it can swallow.

    Why: docs/adr/0004-spans-wait-in-a-queue-that-pushes-back.md.

    From the half-full queue on, the end of each span waits up to `PAUSE` for a batch to leave, as
    long as the backend takes batches at all; what finds the queue full is dropped and counted.

    Args:
        exporter: Takes the batches.
        destination: Where they go, for the log.
        size: Spans that may wait.
        batch: Spans in one export, at most.
        delay_ms: Milliseconds a span waits at most for its batch to fill; None reads
            OTEL_BSP_SCHEDULE_DELAY.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        destination: str,
        *,
        size: int,
        batch: int,
        delay_ms: float | None = None,
    ) -> None:
        self._destination = destination
        self._size = size
        self._closed = False
        self._begin()
        call_in_child(self._begin)
        self._batches = BatchSpanProcessor(
            _Outlet(exporter, self), size, delay_ms, max_export_batch_size=batch
        )

    def _begin(self) -> None:
        """Start empty; in a forked child too, since what waits is the parent's to send."""
        # re-entrant: a signal handler may end spans in the middle of all this
        self._changed = threading.Condition(threading.RLock())
        self._waiting = 0
        self._room = self._size
        self._patient_until: float | None = None
        self.ended = 0
        """Spans that came, dropped ones included."""
        self.dropped = 0
        """Spans that found no room, or came after the shutdown."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, or count it as dropped."""
        if span.context and span.context.trace_flags.sampled and self._admit():
            self._batches.on_end(span)

    def _admit(self) -> bool:
        with self._changed:
            if self._is_crowded() and self._is_patient():
                self._changed.wait_for(lambda: not self._is_crowded(), PAUSE)
            self.ended += 1
            if self._waiting < self._room and not self._closed:
                self._waiting += 1
                return True
            self.dropped += 1
            first = self.dropped == 1 and not self._closed
        if first:
            _logger.warning(
                "The queue of %d spans is full: %s does not take them as fast as they end. What "
                "finds no room is dropped, counted (pipeline.dropped, metric %s) and said at "
                "shutdown; OTEL_BSP_MAX_QUEUE_SIZE sets the size.",
                self._room,
                self._destination,
                _PROCESSED,
            )
        return False

    def _is_crowded(self) -> bool:
        return self._waiting * 2 >= self._room

    def _is_patient(self) -> bool:
        """Whether waiting may help: the backend has taken a batch a moment ago, or may do so."""
        now = time.monotonic()
        if self._patient_until is None:
            self._patient_until = now + PATIENCE
        return now < self._patient_until

    def leave(self, count: int, size: int) -> None:
        """A batch of so many bytes is on its way; there is room again, for more of its kind."""
        with self._changed:
            self._waiting -= count
            self._room = max(min(self._size, MEMORY * count // size), 1)
            self._changed.notify_all()

    def arrive(self) -> None:
        """A batch was taken."""
        with self._changed:
            self._patient_until = None

    def observe(self, provider: MeterProvider) -> None:
        """Tell what was dropped as a metric, once something was."""

        def read(_: CallbackOptions) -> Iterable[Observation]:
            if self.dropped:
                yield Observation(self.dropped, _DROPPED)

        provider.get_meter("lc_otel").create_observable_counter(
            _PROCESSED, [read], "{span}", "Spans that found the queue full."
        )

    def shutdown(self) -> None:
        """Send what waits, and take no more."""
        with self._changed:
            self._closed = True
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits; the SDK's processor does not look at the time."""
        return self._batches.force_flush(timeout_millis)


class _Outlet(SpanExporter):
    """Where batches leave the SDK's processor, cut to a size that a backend takes."""

    def __init__(self, inner: SpanExporter, queue: SpanQueue) -> None:
        self._inner = inner
        self._queue = queue

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        sizes = [*map(_encoded_size, spans)]
        self._queue.leave(len(spans), sum(sizes))
        result = SpanExportResult.SUCCESS
        for request in _cut(spans, sizes):
            if self._inner.export(request) is SpanExportResult.SUCCESS:
                self._queue.arrive()
            else:
                result = SpanExportResult.FAILURE
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _cut(spans: Sequence[ReadableSpan], sizes: Sequence[int]) -> Iterator[Sequence[ReadableSpan]]:
    """Split spans, in their order, where together they are too large for one request."""
    start, total = 0, 0
    for index, size in enumerate(sizes):
        if index > start and total + size > REQUEST_BYTES:
            yield spans[start:index]
            start, total = index, 0
        total += size
    yield spans[start:]


def _encoded_size(span: ReadableSpan) -> int:
    """Bytes of a span in OTLP, or some more: found without encoding it twice.

    A span that cannot be encoded, such as another library's with a lone surrogate in its name, is
    given a request of its own, so that it takes no other with it.
    """
    told = [span.attributes]
    told += [event.attributes for event in span.events]
    told += [link.attributes for link in span.links]
    try:
        size = _size(span.name) + _size(span.status.description)
        for attributes in told:
            size += _FIXED_BYTES
            for key, value in (attributes or {}).items():
                size += _size(key) + _size(value)
    except UnicodeEncodeError:
        return REQUEST_BYTES
    return size


def _size(value: object) -> int:
    if isinstance(value, str):
        return 12 + (len(value) if value.isascii() else len(value.encode()))
    return 12 + (sum(map(_size, value)) if isinstance(value, tuple) else 0)
