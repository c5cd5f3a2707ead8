"""Spans in as they start and end, a tree that moves on the terminal while they run out."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

from opentelemetry.trace import format_span_id, format_trace_id

from lc_otel._console import TreePrinter, render_for
from lc_otel._trace import FinishedSpan, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

    from lc_otel._console import _Pending

_logger = logging.getLogger(__name__)

_INTERVAL = 0.2  # seconds from one picture to the next

# ECMA-48 (IND is of its 4th edition; every terminal has it) and DEC's save and restore cursor
_ERASE = "\x1b[J"
_DOWN = "\x1bD"
_UP = "\x1b[{}A"
_SAVE, _RESTORE = "\x1b7", "\x1b8"


def console_printer(mode: object) -> SpanProcessor:
    """What ``configure(console=...)`` prints with; "live" on anything but a terminal is True."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    live = mode == "live" and on_terminal and os.environ.get("TERM") != "dumb"
    return LivePrinter() if live else TreePrinter()


class LivePrinter(TreePrinter):
    """A `TreePrinter` that shows on a terminal, below the program's own output, what still runs.

    Running spans have the outcome ``running`` and the time they have taken so far, the header the
    tokens so far. When a trace has finished, its tree is printed for good in place of that.

    Args:
        interval: Seconds from one picture to the next.
    """

    def __init__(self, interval: float = _INTERVAL) -> None:
        super().__init__()
        self._interval = interval
        self._running: dict[int, Span] = {}
        self._busy = threading.Event()
        self._closed = False
        self._screen = _Screen(sys.stdout)
        threading.Thread(target=self._work, name="lc-otel-live", daemon=True).start()

    def _begin_in_child(self) -> None:
        """A forked child has no thread to draw, and the terminal is its parent's."""
        super()._begin_in_child()
        self._screen.give_back()
        self._running, self._busy, self._screen = {}, threading.Event(), _Screen(sys.stdout)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note a span that runs."""
        super().on_start(span, parent_context)
        self._running[span.get_span_context().span_id] = span
        self._busy.set()

    def on_end(self, span: ReadableSpan) -> None:
        """Forget it."""
        context = span.get_span_context()
        self._running.pop(context.span_id if context else 0, None)
        super().on_end(span)

    def shutdown(self) -> None:
        """Take the picture away, and print what never finished."""
        self._closed = True
        self._busy.set()
        self._running.clear()
        self._screen.close()
        super().shutdown()

    def _print(self, pending: _Pending, note: str) -> None:
        self._screen.close(lambda: super(LivePrinter, self)._print(pending, note))

    def _work(self) -> None:
        while not self._closed:
            self._busy.wait()
            time.sleep(self._interval)
            try:
                self._screen.draw(self._picture)
            except Exception:
                # a terminal that has gone is no reason to break the program
                _logger.debug("What runs could not be shown.", exc_info=True)
            if not self._running:
                self._busy.clear()

    def _picture(self, stream: TextIO) -> list[str]:
        """The newest traces that run, as many lines as the terminal has; none when nothing does."""
        now = time.time_ns()
        running: dict[str, list[FinishedSpan]] = {}
        for span in list(self._running.values()):
            so_far = _so_far(span, now)
            running.setdefault(so_far.trace_id, []).append(so_far)
        with self._lock:
            ended = {key: list(self._pending[key].spans) for key in running if key in self._pending}
        room = max(shutil.get_terminal_size().lines - 1, 2)
        picture: list[str] = []
        for trace_id in reversed(running):
            trace = Trace.of([*ended.get(trace_id, ()), *running[trace_id]])
            lines = render_for(stream, trace, "running").splitlines()
            left = room - len(picture)
            if left < 2:  # noqa: PLR2004  # a header, and a line of its tree
                break
            # of a tree that is too tall its end moves, and the header has the sums
            picture[:0] = lines if len(lines) <= left else [lines[0], *lines[1 - left :]]
        return picture


def _so_far(span: Span, now: int) -> FinishedSpan:
    """A running span as if it ended now; its attributes are not looked at, since they change."""
    context = span.get_span_context()
    return FinishedSpan(
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else None,
        name=span.name,
        kind=span.kind.name.lower(),
        start_ns=span.start_time or now,
        end_ns=max(now, span.start_time or now),
        attributes={"langchain.run.outcome": "running"},
    )


class _Screen:
    """Lines below the terminal's cursor that can be taken back; the cursor stays where it is.

    While there are any, ``sys.stdout`` and ``sys.stderr`` take them back before they write, so that
    the program's output stays whole.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._guards: dict[str, _Guard] = {}

    def draw(self, picture: Callable[[TextIO], Sequence[str]]) -> None:
        """Show a picture in place of the one before; an empty one gives the terminal back."""
        with self._lock:
            lines = picture(self._stream)
            if not lines:
                self.close()
                return
            self._guard()
            below = "".join(f"\r\n{line}" for line in lines)
            # scrolls where there is no room below, before the cursor's place is saved
            room = _DOWN * len(lines) + _UP.format(len(lines))
            self._stream.write(f"{_ERASE}{room}{_SAVE}{below}{_RESTORE}")
            self._stream.flush()

    def erase(self) -> None:
        """Take the picture back."""
        self._stream.write(_ERASE)
        self._stream.flush()

    def close(self, then: Callable[[], None] | None = None) -> None:
        """Give the terminal back, and write to it before anything is drawn again."""
        with self._lock:
            if self.give_back():
                self.erase()
            if then is not None:
                then()

    def give_back(self) -> bool:
        """Put the program's streams back, and leave the picture; whether they were taken."""
        guards, self._guards = self._guards, {}
        for name, guard in guards.items():
            if getattr(sys, name) is guard:
                setattr(sys, name, guard.stream)
        return bool(guards)

    def _guard(self) -> None:
        for name in () if self._guards else ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and stream.isatty():
                self._guards[name] = _Guard(stream, self._lock, self.erase)
                setattr(sys, name, self._guards[name])


class _Guard:
    """A stream that does something before it writes."""

    def __init__(self, stream: TextIO, lock: Any, before: Callable[[], None]) -> None:
        self.stream = stream
        self._lock = lock
        self._before = before

    def write(self, text: str) -> int:
        with self._lock:
            self._before()
            return self.stream.write(text)

    def writelines(self, lines: Sequence[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
