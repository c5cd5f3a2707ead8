"""Spans in as they end, trees printed as their traces finish."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import format_trace_id

from lc_otel._errand import call_in_child
from lc_otel._finished import read_span
from lc_otel._trace import FinishedSpan, Trace
from lc_otel._tree import guides_fit, render_tree

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

_logger = logging.getLogger(__name__)

_PIPED_WIDTH = 80


@dataclass
class _Pending:
    """A trace some of whose local roots are still open."""

    open_roots: int = 0
    spans: list[FinishedSpan] = field(default_factory=list)
    dropped: int = 0


class TreePrinter(SpanProcessor):
    """Prints a trace when the last of its local roots (spans without a parent in here) has ended.

    A span that ends after that is printed by itself, marked late. A trace in the making keeps at
    most ``max_spans`` spans, and at most ``max_traces`` are in the making: beyond that the oldest
    is printed as far as it is, marked unfinished. Nothing is ever raised into the program.

    Args:
        stream: Where to print; None means whatever ``sys.stdout`` is at the time.
        max_traces: Traces kept in the making.
        max_spans: Spans kept of one trace; those beyond are counted.
    """

    def __init__(
        self, stream: TextIO | None = None, *, max_traces: int = 256, max_spans: int = 2_000
    ) -> None:
        self._stream = stream
        self._max_traces = max_traces
        self._max_spans = max_spans
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._lock = threading.Lock()
        call_in_child(self._begin_in_child)

    def _begin_in_child(self) -> None:
        """A forked child prints what ends in it; what has ended before is its parent's to print."""
        self._pending = OrderedDict(
            (trace_id, _Pending(pending.open_roots)) for trace_id, pending in self._pending.items()
        )
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  # the SDK's signature
        """Note a local root."""
        if not _is_local_root(span):
            return
        with self._lock:
            trace_id = format_trace_id(span.get_span_context().trace_id)
            self._pending.setdefault(trace_id, _Pending()).open_roots += 1
            oldest = self._pending.popitem(last=False)[1] if self._is_full() else None
        if oldest is not None:
            self._print(oldest, "unfinished")

    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span, and print its trace if it was the last local root."""
        finished = read_span(span)
        trace_id = finished.trace_id
        late = done = None
        with self._lock:
            pending = self._pending.get(trace_id)
            if pending is None:
                late = _Pending(spans=[finished])
            else:
                if len(pending.spans) < self._max_spans or _is_local_root(span):
                    pending.spans.append(finished)
                else:
                    pending.dropped += 1
                pending.open_roots -= _is_local_root(span)
                if not pending.open_roots:
                    done = self._pending.pop(trace_id)
        if late is not None:
            self._print(late, "late")
        elif done is not None:
            self._print(done, f"{done.dropped} more not shown" if done.dropped else "")

    def shutdown(self) -> None:
        """Print what is there of traces that never finished."""
        with self._lock:
            left, self._pending = self._pending, OrderedDict()
        for pending in left.values():
            self._print(pending, "unfinished")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  # the SDK's signature
        """Nothing waits: finished traces are printed at once."""
        return True

    def _is_full(self) -> bool:
        return len(self._pending) > self._max_traces

    def _print(self, pending: _Pending, note: str) -> None:
        if not pending.spans:
            return
        stream = self._stream or sys.stdout
        try:
            # one write, so that threads do not mix their lines; it begins a new line, whatever
            # the program was writing
            stream.write("\n" + render_for(stream, Trace.of(pending.spans), note) + "\n")
            stream.flush()
        except Exception:
            # a closed pipe is no reason to break the program
            _logger.debug("A trace could not be printed.", exc_info=True)


def render_for(stream: TextIO, trace: Trace, note: str = "") -> str:
    """Draw a trace as a stream can carry it: its width, its encoding, colours on a terminal."""
    tty = stream.isatty()
    text = render_tree(
        trace,
        width=shutil.get_terminal_size().columns if tty else _PIPED_WIDTH,
        unicode=guides_fit(stream.encoding),
        color=tty and not os.environ.get("NO_COLOR"),
        note=note,
    )
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)  # a name may hold what it cannot


def _is_local_root(span: ReadableSpan) -> bool:
    return span.parent is None or span.parent.is_remote
