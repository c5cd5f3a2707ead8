"""The open runs of one tracer provider, keyed by run_id, and a short memory of those that ended."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace

from lc_otel._current import RunSpan, by_frame, current_task, task_ref
from lc_otel._opener import is_langchains, is_on_stack
from lc_otel._reading.starts import is_prompt
from lc_otel.run import Streaming, Totals

if TYPE_CHECKING:
    import asyncio
    from types import CodeType, FrameType
    from uuid import UUID

    from lc_otel._content import Content
    from lc_otel.run import Outcome, Run

_REMEMBERED = 1024  # runs that ended whose span context is kept, for children that start late
_DEEPEST = 100  # how far up those are followed; a program's own run ids may go in a circle


class ToldError(NamedTuple):
    """An exception that a span has told, known again without being held.

    Held, it would keep alive the frames it passed through, and with them generators that must be
    free to end.
    """

    identity: int
    raised_in: CodeType | None
    line: int
    message: str | None
    """Its text, where content is captured."""

    @classmethod
    def of(cls, error: BaseException, message: str | None) -> ToldError:
        """Note an exception down."""
        return cls(id(error), *_raised_at(error), message)

    def is_of(self, error: BaseException) -> bool:
        """Whether it is this one: the same object, raised at the same place."""
        return self[:3] == (id(error), *_raised_at(error))


def _raised_at(error: BaseException) -> tuple[CodeType | None, int]:
    traceback = error.__traceback__
    if traceback is None:
        return None, 0
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code, traceback.tb_lineno


class OpenRun:
    """A run that has started and not ended."""

    span: trace.Span = trace.INVALID_SPAN
    """The run's own span; of a hidden run, that of its nearest shown ancestor."""
    current: RunSpan | None = None
    shown = False
    suppressed = False
    content: Content | None = None
    """What has been captured of its content; None where none is wanted."""
    prompt: Run | None = None
    """Of a model's run, the prompt run that made its messages; of any other, the last prompt run
    inside it that no model has taken up yet."""
    chunks = 0
    chunk_times: list[int] | None = None
    """When each chunk came, by the monotonic clock; None where that is not measured."""
    first_chunk_ns = 0
    tells_tokens = False
    """Chunks came as tokens, so that protocol events of the same chunks are not counted."""
    gone: weakref.ref[Any] | None = None
    """What notices that the frame which opened the run is no more."""
    held: tuple[Outcome, int] | None = None
    """How and when the run ended, which is told once the streams inside it have told their end."""
    closed = False
    """All has been told."""
    interrupted = False
    """An interrupt came out of a direct child."""
    told: ToldError | None = None
    """The last exception told within a child, so that this run does not tell it again."""

    def __init__(
        self, run: Run, parent: OpenRun | None, started_ns: int, epoch_ns: int, opener: FrameType
    ) -> None:
        self.run = run
        self.parent = parent
        self.started_ns = started_ns
        """Of the monotonic clock."""
        self.epoch_ns = epoch_ns
        """What makes wall-clock time of the monotonic clock; one for a whole tree, so that no
        change of the system's clock turns its order round."""
        self.opener_id = id(opener)
        """Identity of the frame that opened the run; the frame itself is not kept alive."""
        self.can_be_lost = run.type != "chain" and is_langchains(opener)
        """LangChain reports every end of a chain, but not that of a model, tool or retriever that
        is cancelled."""
        self.thread = threading.get_ident()
        self.task = task_ref()
        self.children: dict[UUID, OpenRun] = {}
        """Those still open."""
        self.totals: list[Totals] = []
        """Of children that ended; a list, because appending is atomic and adding is not."""

    @property
    def streaming(self) -> Streaming | None:
        """How the answer came in pieces; None where it did not."""
        if not self.chunks:
            return None
        first = self.chunk_times[0] if self.chunk_times else self.first_chunk_ns
        return Streaming(self.chunks, (first - self.started_ns) / 1e9)

    @property
    def streams(self) -> bool:
        """Whether a generator opened the run."""
        return self.current is not None and self.current.streams

    @property
    def will_tell(self) -> bool:
        """Whether the run reports its end later than that around it: its generator still lives."""
        return self.held is not None or (
            self.streams and self.gone is not None and self.gone() is not None
        )


class RunTable:
    """What is open, shared by all handlers that write to the same tracer provider.

    Shared, so that a run heard of by two handlers (one from `instrument`, one attached by hand) is
    one span, and its parent is found whichever of them started it.
    """

    def __init__(self) -> None:
        self.open: dict[UUID, OpenRun] = {}
        """In order of their start."""
        self.held: dict[UUID, OpenRun] = {}
        """Those that have ended and are held back; who takes one out closes it."""
        self.ended: dict[UUID, trace.SpanContext] = {}
        self.above: dict[UUID, UUID] = {}
        """The parents of those that ended."""
        self.paused: dict[str, trace.SpanContext] = {}
        """By conversation: the root that an interrupt paused last."""
        self.watched: weakref.WeakKeyDictionary[asyncio.Task[Any], set[UUID]] = (
            weakref.WeakKeyDictionary()
        )
        """By task: runs that end with it at the latest."""
        tables.add(self)

    def remember(self, run: Run, context: trace.SpanContext) -> None:
        """Keep the span context of a run that ended, and whose child it was."""
        _put(self.ended, run.run_id, context)
        if run.parent_run_id is not None:
            _put(self.above, run.run_id, run.parent_run_id)

    def heir_of(self, run_id: UUID | None) -> OpenRun | None:
        """The nearest run that is open, from one that has ended upwards."""
        for _ in range(_DEEPEST):
            if run_id is None:
                return None
            entry = self.open.get(run_id)
            if entry is not None:
                return entry
            run_id = self.above.get(run_id)
        return None

    def pause(self, conversation_id: str, context: trace.SpanContext) -> None:
        """Keep the span context of the root that an interrupt paused."""
        _put(self.paused, conversation_id, context)

    def oldest(self) -> OpenRun | None:
        """The run open longest; None also while another thread changes the table."""
        try:
            return next(iter(self.open.values()))
        except (RuntimeError, StopIteration):
            return None

    def forget_all(self) -> None:
        """Drop what is open without ending it: in a forked child, the runs are the parent's."""
        for entry in self.open.values():
            self.remember(entry.run, entry.span.get_span_context())
        self.open, self.held = {}, {}
        self.watched = weakref.WeakKeyDictionary()


def is_lost(around: OpenRun, entry: OpenRun, opener: FrameType) -> bool:
    """Whether LangChain's function that opened ``around`` is gone without having ended the run.

    So it is where the same task has run on to ``entry`` and that function no longer stands on the
    stack: a model or tool that is cancelled never reports it.
    """
    return (
        around.can_be_lost
        and around.thread == entry.thread
        and around.task == entry.task
        and not around.streams
        and not is_on_stack(around.opener_id, opener)
    )


def is_left_behind(child: OpenRun) -> bool:
    """Whether a run that is open when its parent returns can no longer report its end.

    So it is with a model or tool whose task is over, and with one that was opened in the task that
    has now run on past it.
    """
    if child.streams or not child.can_be_lost:
        return False
    task = None
    if child.task is not None:
        task = child.task()
        if task is None or task.done():
            return True
    return child.thread == threading.get_ident() and task is current_task()


def is_abandoned(entry: OpenRun) -> bool:
    """Whether a stream that LangChain says has ended well was broken off by its consumer.

    So it is where its generator is being closed, or where a stream inside it is still open.
    """
    if not entry.streams or entry.current is None:
        return False
    return entry.current.is_closing or any(
        child.streams or child.held is not None for child in entry.children.copy().values()
    )


def look_closer(entry: OpenRun, outcome: Outcome) -> Outcome:
    """How a run ended of which LangChain says that it ended well."""
    if outcome.kind != "ok":
        return outcome
    if is_abandoned(entry):
        return outcome._replace(kind="abandoned")
    return outcome._replace(kind="interrupted") if entry.interrupted else outcome


def sum_up(entry: OpenRun, outcome: Outcome) -> Totals:
    """What a run that ends used, with everything inside it."""
    run, parts = entry.run, entry.totals
    if run.type == "tool":
        parts.append(Totals(tool_calls=1))
    elif run.operation in {"chat", "text_completion"} and not outcome.cached:
        usage = outcome.usage
        spent = (usage.input_tokens or 0, usage.output_tokens or 0) if usage else (0, 0)
        parts.append(Totals(*spent, llm_calls=1))
    if len(parts) > 1:
        return Totals(*map(sum, zip(*parts, strict=True)))
    return parts[0] if parts else Totals()


def pass_up(entry: OpenRun, parent: OpenRun, outcome: Outcome, totals: Totals) -> None:
    """Let the parent know what a run that ends leaves to it."""
    parent.totals.append(totals)
    # Told by an error it comes out of the child; told by an output, or by the look at what came out
    # of a graph's own nodes, it stays the child's affair: a driver may have answered it since.
    if outcome.kind == "interrupted" and outcome.error is not None:
        parent.interrupted = True
    if is_prompt(entry.run):
        parent.prompt = entry.run


def _put(memory: dict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    try:
        while len(memory) > _REMEMBERED:
            memory.pop(next(iter(memory)), None)
    except (RuntimeError, StopIteration):
        return  # another thread is at it; who comes next makes room for both


tables: weakref.WeakSet[RunTable] = weakref.WeakSet()
"""All there are, for who looks for a run without knowing its provider."""
_by_provider: weakref.WeakKeyDictionary[trace.TracerProvider, RunTable] = (
    weakref.WeakKeyDictionary()
)


def table_of(provider: trace.TracerProvider) -> RunTable:
    """The table shared by all who write to ``provider``."""
    return _by_provider.setdefault(provider, RunTable())


def _after_fork() -> None:
    by_frame.clear()
    for table in tables:
        table.forget_all()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
