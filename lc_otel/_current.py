"""RunSpan: a run's span goes in, a current span that heals itself comes out (docs/context.md)."""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context

if TYPE_CHECKING:
    from types import FrameType
    from uuid import UUID

    from opentelemetry.util import types

# The key under which a Context keeps its span is private to the API; this asks for it publicly.
_SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_RUN_KEY = context_api.create_key("lc_otel.run")
by_frame: dict[int, RunSpan] = {}
"""Open runs by the identity of the frame that opened them, where that frame can be left."""


class RunSpan(trace.Span):
    """What a run leaves in the context: its span while it is open, then what lay beneath.

    No token is kept and nothing needs detaching, so an end event may come in any task or thread.
    Each use asks `live` anew, so a context that outlived its run (a copy in another task, the
    caller of an async run whose end was shielded) shows the span that was current before the run.
    """

    __slots__ = (
        "_beneath",
        "_code",
        "_entered",
        "_frame",
        "_loop",
        "_outer",
        "_place",
        "_previous",
        "_span",
        "run_id",
        "streams",
    )

    def __init__(
        self,
        run_id: UUID,
        span: trace.Span,
        opener: FrameType | None = None,
        *,
        streams: bool = False,
    ) -> None:
        """Stand for ``span`` until `leave`.

        Args:
            run_id: The run whose span this is.
            span: The run's own span, or for a hidden run the span of its nearest shown ancestor.
            opener: The frame that opened the run, where that can be left before the run ends: by a
                generator between two chunks, when the code that runs is the consumer's, and by a
                coroutine whose cancelling is never told. In the same thread and task the run is
                current only while that frame stands on the stack. The frame itself is not held,
                since a generator nobody holds must be free to end.
            streams: Whether the opener is a generator.
        """
        self.run_id = run_id
        self._span: trace.Span | None = span
        self._beneath: trace.Span = trace.INVALID_SPAN
        self._outer: RunSpan | None = None
        self._entered: Context | None = None
        self._previous: Context | None = None
        self.streams = streams
        """Whether a generator opened the run, and the run is open."""
        self._frame = 0
        if opener is not None:
            self._frame = id(opener)
            self._code = opener.f_code  # another frame may get the identity of one that is gone
            self._loop = id(asyncio._get_running_loop())
            self._place: Place | None = current_place()
            by_frame[self._frame] = self

    @property
    def is_closing(self) -> bool:
        """Whether the generator that opened the run is being closed by who consumed it."""
        kind, _, traceback = sys.exc_info()
        return (
            kind is GeneratorExit
            and traceback is not None
            and id(traceback.tb_frame) == self._frame
        )

    def enter(self) -> None:
        """Make this the current span of the calling context."""
        self._previous = context = context_api.get_current()
        self._beneath = _skip_ended(span_in(context), "_beneath")
        self._outer = _skip_ended(context.get(_RUN_KEY), "_outer")
        self._entered = Context({**context, _SPAN_KEY: self, _RUN_KEY: self})
        context_api.attach(self._entered)

    def leave(self) -> None:
        """Stop standing for the span; put the context back where it still is the entered one."""
        self._span = None
        entered, previous = self._entered, self._previous
        # From here on only the span beneath is kept: a context left behind by an ended run must not
        # keep alive the contexts before it.
        self._entered = self._previous = None
        if self._frame:
            if by_frame.get(self._frame) is self:
                by_frame.pop(self._frame, None)
            self._frame = 0
            self._place = None
            self.streams = False
        if entered is not None and previous is not None and context_api.get_current() is entered:
            context_api.attach(previous)

    def live(self) -> trace.Span:
        """The span that is current where this is asked."""
        own = self._span
        if own is not None and not self._frame:
            return own
        span = settle(self)
        # Another thread may end the run between the two looks; then there is nothing left to tell.
        return (span._span or trace.INVALID_SPAN) if type(span) is RunSpan else span

    def _innermost(self) -> RunSpan | None:
        """The run current here by this one's account: itself, one that runs inside it, or None."""
        own = self._frame
        if self._span is None:
            return None
        if not own or (not self.streams and current_place() != self._place):
            return self
        inner: RunSpan | None = None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if (identity := id(frame)) == own:
                return inner or self
            # A context need not know the run inside: `RunnableParallel` asks for each chunk in a
            # copy of its own, and a parser opens its run after the model that it reads from.
            if inner is None and (found := by_frame.get(identity)) is not None:
                inner = found if found._code is frame.f_code else None
            frame = frame.f_back
        # While a generator is suspended, its own thread and task run its consumer; any other was
        # started by the body, which still waits for it.
        if current_place() == self._place:
            return None
        # A frame below an event loop on the stack is around this run, not inside it.
        is_inside = inner is not None and inner._loop == id(asyncio._get_running_loop())
        return inner if is_inside else self

    # -- trace.Span, told by the live span

    def get_span_context(self) -> trace.SpanContext:
        """See `trace.Span.get_span_context`."""
        return self.live().get_span_context()

    def is_recording(self) -> bool:
        """See `trace.Span.is_recording`."""
        return self.live().is_recording()

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        """See `trace.Span.set_attribute`."""
        self.live().set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        """See `trace.Span.set_attributes`."""
        self.live().set_attributes(attributes)

    def add_event(
        self, name: str, attributes: types.Attributes = None, timestamp: int | None = None
    ) -> None:
        """See `trace.Span.add_event`."""
        self.live().add_event(name, attributes, timestamp)

    def add_link(self, context: trace.SpanContext, attributes: types.Attributes = None) -> None:
        """See `trace.Span.add_link`."""
        self.live().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """See `trace.Span.update_name`."""
        self.live().update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """See `trace.Span.set_status`."""
        self.live().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """See `trace.Span.record_exception`."""
        self.live().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """Do nothing: a run's span ends with its run."""

    def __getattr__(self, name: str) -> Any:
        """Forward what the API does not know (``name``, ``attributes``, ...) to the live span."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.live(), name)

    def __repr__(self) -> str:
        return f"RunSpan({self.live()!r})"


TaskRef: TypeAlias = weakref.ref["asyncio.Task[Any]"]
Place: TypeAlias = tuple[int, TaskRef | None, int]


def current_place() -> Place:
    """What runs one thing after another: a thread, a task in it, and a greenlet.

    SQLAlchemy's asyncio extension runs drivers in greenlets, each with a stack of its own.
    """
    greenlet = sys.modules.get("greenlet")
    return threading.get_ident(), task_ref(), id(greenlet.getcurrent()) if greenlet else 0


def task_ref() -> TaskRef | None:
    """The running asyncio task, not held: a task that is over holds the generator it asked."""
    task = current_task()
    return None if task is None else weakref.ref(task)


def current_task() -> asyncio.Task[Any] | None:
    """The running asyncio task, None outside an event loop."""
    # Not `asyncio.current_task()` alone: outside a loop it raises, and raising is what costs.
    loop = asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


def span_in(context: Context) -> trace.Span:
    """The span of a context, which may be a RunSpan; `trace.get_current_span` for our own use."""
    span: trace.Span = context.get(_SPAN_KEY, trace.INVALID_SPAN)  # type: ignore[assignment]  # the API's
    return span


# Below and in the rooms above, RunSpans are told by `type`: spans are an abstract base class, of
# which `isinstance` costs twenty times as much where the answer is no.


def settle(span: Any, link: str = "_beneath") -> Any:
    """The innermost span current here, from ``span`` down: a RunSpan, or one that is not ours."""
    while type(span) is RunSpan:
        inner = span._innermost()
        if inner is not None:
            return inner
        span = getattr(span, link)
    return span


def beneath(span: RunSpan, link: str = "_beneath") -> Any:
    """The span that is current here but for the run of ``span``."""
    under = getattr(span, link)
    while type(under) is RunSpan and under._innermost() is None:
        under = getattr(under, link)
    return under


def settle_around(run_id: UUID, context: Context) -> tuple[trace.Span, RunSpan | None]:
    """The current span of a context and the innermost run, whatever spans were opened inside it.

    Both but for the run of this id, which another provider's handler may have told already.
    """
    here = settle(span_in(context))
    while type(here) is RunSpan and here.run_id == run_id:
        here = beneath(here)
    if type(here) is RunSpan:
        return here, here
    inside = settle(context.get(_RUN_KEY), "_outer")
    while inside is not None and inside.run_id == run_id:
        inside = beneath(inside, "_outer")
    return here, inside


def find_lost(context: Context) -> list[UUID]:
    """The open runs of a context whose coroutine is gone from here: cancelled, and never told."""
    found: list[UUID] = []
    span: Any = context.get(_RUN_KEY)
    while span is not None and span._innermost() is None:
        if span._span is not None and not span.streams:
            found.append(span.run_id)
        span = span._outer
    return found


def context_with(span: trace.Span, context: Context) -> Context:
    """``context`` with ``span`` as the current span, for starting a child of it."""
    return Context({**context, _SPAN_KEY: span})


def _skip_ended(span: Any, link: str) -> Any:
    """Follow ``link`` past ended runs, here and one step down, so that chains stay short."""
    while type(span) is RunSpan and span._span is None:
        span = getattr(span, link)
    if type(span) is RunSpan:
        under = getattr(span, link)
        if type(under) is RunSpan and under._span is None:
            setattr(span, link, _skip_ended(under, link))
    return span
