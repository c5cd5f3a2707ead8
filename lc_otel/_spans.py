"""Runs and outcomes in, spans out: the only room that starts, writes to and ends a span."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from lc_otel._current import (
    RunSpan,
    beneath,
    context_with,
    current_task,
    find_lost,
    settle,
    settle_around,
    span_in,
)
from lc_otel._opener import is_coroutine, is_stream, opened_for, when_gone
from lc_otel._reading.contents import INFERENCE
from lc_otel._reading.starts import is_hidden_step
from lc_otel._runs import (
    OpenRun,
    RunTable,
    ToldError,
    is_left_behind,
    is_lost,
    look_closer,
    pass_up,
    sum_up,
)
from lc_otel.conventions import genai
from lc_otel.conventions._names import EXCEPTION_MESSAGE
from lc_otel.run import Outcome, OutcomeKind, Run, RunEvent, Totals

if TYPE_CHECKING:
    import asyncio
    from types import FrameType
    from uuid import UUID

    from opentelemetry.context import Context

    from lc_otel._logs import DetailsLog
    from lc_otel._metrics import Meter
    from lc_otel._telling import Teller

Clock = Callable[[], int]
"""Nanoseconds since the epoch."""

_SWEEP_NS = 1_000_000_000  # how often the age of open runs is looked at
_HELD_NS = 60_000_000_000  # how long a run that was broken off waits for the streams inside it
# The two keys that opentelemetry.instrumentation.utils.suppress_instrumentation sets.
_SUPPRESS = (
    context_api._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 -- it has no public name
    "suppress_instrumentation",
)

_FOLLOWS: Mapping[OutcomeKind, OutcomeKind] = {
    # how a run ended -> how the runs end that it left open (absent: cancelled)
    "abandoned": "abandoned",
    "incomplete": "incomplete",
}
_BROKEN_OFF: frozenset[OutcomeKind] = frozenset({"abandoned", "cancelled"})


class SpanRecorder:
    """Starts and ends one span a run; bounded, and safe to call from any thread."""

    def __init__(
        self,
        tracer: trace.Tracer,
        table: RunTable,
        teller: Teller,
        *,
        detail: str = "all",
        max_open_runs: int = 10_000,
        max_run_age: float = 3600.0,
        meter: Meter | None = None,
        details: DetailsLog | None = None,
        clock: Clock = time.time_ns,
        monotonic: Clock = time.perf_counter_ns,
    ) -> None:
        self.table = table
        self._tracer = tracer
        self._detail = detail
        self._meter = meter
        self._details = details
        self._teller = teller
        self._max_open = max_open_runs
        self._max_age_ns = int(max_run_age * 1e9)
        self._clock = clock
        self._monotonic = monotonic
        self._swept_ns = monotonic()

    def find(self, run_id: UUID | None) -> OpenRun | None:
        """The run of this id while it is open."""
        return None if run_id is None else self.table.open.get(run_id)

    # -- starting

    def start(self, run: Run, parent: OpenRun | None, opener: FrameType) -> None:
        """Open ``run`` in the calling context, under ``parent`` if that is open."""
        now = self._monotonic()
        epoch = self._clock() - now if parent is None else parent.epoch_ns
        entry = OpenRun(run, parent, now, epoch, opener)
        context = context_api.get_current()
        if (parent is not None and parent.suppressed) or _is_suppressed(context):
            entry.suppressed = True
            self._register(entry, opener)
            return
        within = self._context_for(entry, opener, context)
        entry.shown = self._shows(run, opener)
        if entry.shown:
            entry.span = self._tracer.start_span(
                self._teller.name(run),
                within,
                genai.KINDS[run.operation],
                self._teller.start(run),
                self._links(run),
                epoch + now,
            )
        else:
            around = span_in(within)
            entry.span = around.live() if type(around) is RunSpan else around
            entry.content = None if parent is None else parent.content
        self._register(entry, opener)
        streams = is_stream(opener)
        may_leave = streams or (entry.can_be_lost and is_coroutine(opener))
        entry.current = RunSpan(
            run.run_id, entry.span, opener if may_leave else None, streams=streams
        )
        entry.current.enter()
        if may_leave:
            outcome = Outcome("abandoned" if streams else "cancelled")
            entry.gone = when_gone(opener, partial(self.end, run.run_id, outcome))
        if run.operation in INFERENCE:
            if parent is not None:
                entry.prompt, parent.prompt = parent.prompt, None
            if self._meter is not None and self._meter.is_on:
                entry.chunk_times = []
        if entry.shown and entry.span.is_recording():
            entry.content = self._teller.open_content(run)
            attributes = self._teller.request(run, entry.prompt, entry.content)
            if attributes:
                entry.span.set_attributes(attributes)

    def _shows(self, run: Run, opener: FrameType) -> bool:
        if self._detail == "all":
            return True
        if self._detail == "semantic":
            return run.operation != "step"
        return not is_hidden_step(run, opened_for(opener))

    def _context_for(self, entry: OpenRun, opener: FrameType, context: Context) -> Context:
        """The context whose current span is to be the parent (docs/context.md, "Whose child")."""
        if entry.parent is not None:
            if span_in(context) is entry.parent.current:
                # A stream's would stand for the innermost run on the stack; LangChain says whose
                # child it is.
                span = entry.parent.span
                return context_with(span, context) if entry.parent.streams else context
            self._end_lost(context)
            return _context_under(entry.parent, entry.run.run_id, context)
        self._end_lost(context)
        parent_run_id = entry.run.parent_run_id
        ended = None if parent_run_id is None else self.table.ended.get(parent_run_id)
        if ended is not None:
            return context_with(trace.NonRecordingSpan(ended), context)
        current = span_in(context)
        here = settle(current)
        while type(here) is RunSpan:
            around = self.table.open.get(here.run_id)
            if around is not None and around.current is here:  # else another provider's
                if is_lost(around, entry, opener):
                    self.end(here.run_id, Outcome("cancelled"))
                elif around.opener_id != entry.opener_id or around.run.parent_run_id is not None:
                    break
                # else `batch` and `generate` start several roots in one frame: siblings
            here = beneath(here)
        return context if here is current else context_with(here, context)

    def _end_lost(self, context: Context) -> None:
        """End what LangChain forgot, while the exception still holds the frame that is watched."""
        for run_id in find_lost(context):
            self.end(run_id, Outcome("cancelled"))

    def _links(self, run: Run) -> list[trace.Link] | None:
        if not run.resumes or run.conversation_id is None:
            return None
        paused = self.table.paused.pop(run.conversation_id, None)
        return None if paused is None else [trace.Link(paused)]

    def _register(self, entry: OpenRun, opener: FrameType) -> None:
        self._sweep(entry.started_ns)
        run_id = entry.run.run_id
        self.table.open[run_id] = entry
        if entry.parent is not None:
            entry.parent.children[run_id] = entry
        elif entry.can_be_lost and is_coroutine(opener) and (task := current_task()) is not None:
            self._watch(task, run_id)

    def _watch(self, task: asyncio.Task[Any], run_id: UUID) -> None:
        """End a root with the task it runs in: a cancelled model or tool never reports its end."""
        runs = self.table.watched.get(task)
        if runs is None:
            runs = self.table.watched[task] = set()
            task.add_done_callback(self._end_watched)
        runs.add(run_id)

    def _end_watched(self, task: asyncio.Task[Any]) -> None:
        for run_id in self.table.watched.pop(task, ()):
            self.end(run_id, Outcome("cancelled"))

    def _sweep(self, now: int) -> None:
        """Keep the table within its bounds: what falls out is the oldest."""
        if now - self._swept_ns > _SWEEP_NS:
            self._swept_ns = now
            while (entry := self.table.oldest()) and now - entry.started_ns > self._max_age_ns:
                self.end(entry.run.run_id, Outcome("incomplete"))
            for entry in list(self.table.held.values()):
                if entry.held is not None and now - entry.held[1] + entry.epoch_ns > _HELD_NS:
                    for run_id in entry.children.copy():
                        self.end(run_id, Outcome("incomplete"))
        while len(self.table.open) >= self._max_open and (entry := self.table.oldest()):
            self.end(entry.run.run_id, Outcome("incomplete"))

    # -- while open

    def count_delta(self, run_id: UUID) -> None:
        """A piece has come as a protocol event, which most models tell as a token before."""
        entry = self.table.open.get(run_id)
        if entry is not None and not entry.tells_tokens:
            self.count_chunk(run_id, is_token=False)

    def count_chunk(self, run_id: UUID, *, is_token: bool = True) -> None:
        """A piece of a streamed answer has come."""
        entry = self.table.open.get(run_id)
        if entry is not None:
            entry.tells_tokens = is_token
            if entry.chunk_times is not None:
                entry.chunk_times.append(self._monotonic())
            elif not entry.chunks:
                entry.first_chunk_ns = self._monotonic()
            entry.chunks += 1

    def add_event(self, run_id: UUID, event: RunEvent) -> None:
        """Something happened inside a run; of a hidden run, its nearest shown ancestor tells it."""
        entry = self.table.open.get(run_id)
        if entry is not None and not entry.suppressed and entry.span.is_recording():
            name, attributes = self._teller.event(event, entry.content)
            entry.span.add_event(name, attributes, self._now(entry))

    # -- ending

    def end(self, run_id: UUID, outcome: Outcome) -> None:
        """Close a run, and with it the runs inside it that can no longer report their own end."""
        entry = self.table.open.pop(run_id, None)
        if entry is None:
            return
        outcome = look_closer(entry, outcome)
        self._end_children(entry, outcome.kind)
        if entry.suppressed:
            self._leave_parent(entry)
            return
        now = self._now(entry)
        self._remember(entry, outcome)
        if entry.children and outcome.kind in _BROKEN_OFF:
            self._hold_back(entry, outcome, now)
        else:
            self._close(entry, outcome, now)

    def _hold_back(self, entry: OpenRun, outcome: Outcome, now: int) -> None:
        """Tell of a run later: streams inside it are broken off with it, and know what they used.

        LangChain tells that the outer generator is closed before it closes the inner ones.
        """
        # without the exception, whose traceback holds the generators that are waited for
        entry.gone, entry.held = None, (outcome._replace(error=None), now)
        if entry.current is not None:
            entry.current.leave()
        self.table.held[entry.run.run_id] = entry
        self._close_if_alone(entry)

    def _close_if_alone(self, entry: OpenRun) -> None:
        if (
            entry.held is not None
            and not entry.children
            # Another thread may see the same; who takes it out closes it.
            and self.table.held.pop(entry.run.run_id, None) is not None
        ):
            self._close(entry, *entry.held)

    def _leave_parent(self, entry: OpenRun) -> None:
        parent = entry.parent
        if parent is not None:
            parent.children.pop(entry.run.run_id, None)
            self._close_if_alone(parent)
        elif entry.task is not None and (task := entry.task()) is not None:
            self.table.watched.get(task, set()).discard(entry.run.run_id)

    def _close(self, entry: OpenRun, outcome: Outcome, now: int) -> None:
        """Tell all that is to be told of a run that has ended."""
        parent = entry.parent
        try:
            totals = sum_up(entry, outcome)
            if parent is not None and not parent.closed:
                pass_up(entry, parent, outcome, totals)
            elif heir := self.table.heir_of(entry.run.parent_run_id):
                heir.totals.append(totals)  # the run outlived its parent
            entry.closed = True
            if self._meter is not None and self._meter.measures(entry.run.operation):
                self._measure(self._meter, entry, outcome, now)
            if entry.shown:
                self._finish(entry, outcome, totals, now)
            elif parent is not None and entry.told is not None:
                parent.told = entry.told
        finally:
            if entry.current is not None:
                entry.current.leave()
            self._leave_parent(entry)

    def _measure(self, meter: Meter, entry: OpenRun, outcome: Outcome, now: int) -> None:
        seconds = (now - entry.epoch_ns - entry.started_ns) / 1e9
        context = trace.set_span_in_context(entry.span)
        meter.record(entry.run, outcome, seconds, entry.streaming, entry.chunk_times or (), context)

    def _finish(self, entry: OpenRun, outcome: Outcome, totals: Totals, now: int) -> None:
        run, span, content = entry.run, entry.span, entry.content
        try:
            if span.is_recording():
                span.set_attributes(
                    self._teller.outcome(run, outcome, entry.streaming, totals, content)
                )
                if self._details is not None and content is not None and run.operation in INFERENCE:
                    self._details.emit(
                        self._teller.details(run, entry.prompt, outcome, entry.streaming, content),
                        now,
                        trace.set_span_in_context(span),
                    )
                if outcome.kind == "error":
                    self._report_error(entry, outcome, now)
        finally:
            # Whatever could not be read above costs attributes, never the span.
            span.end(now)

    def _report_error(self, entry: OpenRun, outcome: Outcome, now: int) -> None:
        """Set the status; tell the exception too, unless a child of this run has told it."""
        error, told = outcome.error, None
        if error is not None:
            told = entry.told
            if told is None or not told.is_of(error):
                attributes = self._teller.exception(error, entry.content)
                entry.span.add_event("exception", attributes, now)
                told = ToldError.of(error, attributes.get(EXCEPTION_MESSAGE))
            if entry.parent is not None:
                entry.parent.told = told
        said = None if told is None else told.message
        entry.span.set_status(Status(StatusCode.ERROR, self._teller.status(outcome, said)))

    def _end_children(self, entry: OpenRun, kind: OutcomeKind) -> None:
        for run_id, child in entry.children.copy().items():
            if kind == "ok":
                if is_left_behind(child):
                    self.end(run_id, Outcome("cancelled"))
            elif child.will_tell and kind in _BROKEN_OFF:
                continue
            elif child.held is not None:
                self._end_children(child, kind)
            else:
                self.end(run_id, Outcome(_FOLLOWS.get(kind, "cancelled")))

    def _remember(self, entry: OpenRun, outcome: Outcome) -> None:
        run, context = entry.run, entry.span.get_span_context()
        self.table.remember(run, context)
        if outcome.kind == "interrupted" and run.conversation_id and run.parent_run_id is None:
            self.table.pause(run.conversation_id, context)

    def end_all(self) -> int:
        """End what is open as incomplete, and say how many runs that were."""
        runs = list(self.table.open.copy())
        for run_id in runs:
            self.end(run_id, Outcome("incomplete"))
        return len(runs)

    def _now(self, entry: OpenRun) -> int:
        return entry.epoch_ns + self._monotonic()


def _context_under(parent: OpenRun, run_id: UUID, context: Context) -> Context:
    """The context for a child of an open run: its span, or one the user opened inside its body."""
    here, inside = settle_around(run_id, context)
    if inside is None or inside is not parent.current:
        return context_with(parent.span, context)
    if here is parent.current and parent.streams:
        # it would stand for the innermost run on the stack, another provider's perhaps
        return context_with(parent.span, context)
    return context if here is span_in(context) else context_with(here, context)


def _is_suppressed(context: Context) -> bool:
    return bool(context and (context.get(_SUPPRESS[0]) or context.get(_SUPPRESS[1])))
