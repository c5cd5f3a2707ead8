"""RunSpan: a run's span goes in, a current span that heals itself comes out (docs/context.md)."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context

from lc_otel._opener import is_on_stack

if TYPE_CHECKING:
    from uuid import UUID

    from opentelemetry.util import types

# The key under which a Context keeps its span is private to the API; this asks for it publicly.
_SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_RUN_KEY = context_api.create_key("lc_otel.run")


class RunSpan(trace.Span):
    """What a run leaves in the context: its span while it is open, then what lay beneath.

    No token is kept and nothing needs detaching, so an end event may come in any task or thread.
    Each use asks `live` anew, so a context that outlived its run (a copy in another task, the
    caller of an async run whose end was shielded) shows the span that was current before the run.
    """

    __slots__ = (
        "_beneath",
        "_entered",
        "_generator",
        "_outer",
        "_previous",
        "_span",
        "_task",
        "_thread",
        "run_id",
    )

    def __init__(self, run_id: UUID, span: trace.Span, generator: int = 0) -> None:
        """Stand for ``span`` until `leave`.

        Args:
            run_id: The run whose span this is.
            span: The run's own span, or for a hidden run the span of its nearest shown ancestor.
            generator: Identity of the generator frame that opened the run, where one did. In the
                same thread and task the run is current only while that generator runs: between two
                chunks the code that runs is the consumer's. The frame itself is not held, since a
                generator nobody holds must be free to end.
        """
        self.run_id = run_id
        self._span: trace.Span | None = span
        self._beneath: trace.Span = trace.INVALID_SPAN
        self._outer: RunSpan | None = None
        self._entered: Context | None = None
        self._previous: Context | None = None
        self._generator = generator
        self._thread = threading.get_ident() if generator else 0
        self._task = current_task() if generator else None

    @property
    def streams(self) -> bool:
        """Whether a generator opened the run, and the run is open."""
        return self._generator != 0

    @property
    def is_closing(self) -> bool:
        """Whether the generator that opened the run is being closed by who consumed it."""
        kind, _, traceback = sys.exc_info()
        return (
            kind is GeneratorExit
            and traceback is not None
            and id(traceback.tb_frame) == self._generator
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
        self._entered = self._previous = self._task = None
        self._generator = 0
        if entered is not None and previous is not None and context_api.get_current() is entered:
            context_api.attach(previous)

    def live(self) -> trace.Span:
        """The span that is current where this is asked."""
        own = self._span
        if own is not None and not self._generator:
            return own
        span = settle(self)
        # Another thread may end the run between the two looks; then there is nothing left to tell.
        return (span._span or trace.INVALID_SPAN) if type(span) is RunSpan else span

    def _is_current(self) -> bool:
        if self._span is None:
            return False
        if not self._generator:
            return True
        # While the generator is suspended, its own thread and task run its consumer; any other
        # thread or task was started by the body, which still waits for it.
        if threading.get_ident() != self._thread or current_task() is not self._task:
            return True
        return is_on_stack(self._generator, sys._getframe(1))

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


def settle(span: trace.Span) -> trace.Span:
    """The innermost span current here, from ``span`` down: a RunSpan, or one that is not ours."""
    while type(span) is RunSpan and not span._is_current():
        span = span._beneath
    return span


def beneath(span: RunSpan) -> trace.Span:
    """The span that is current here but for the run of ``span``."""
    return settle(span._beneath)


def current_run_id(context: Context) -> UUID | None:
    """The innermost run whose body runs here and now, whatever spans were opened inside it."""
    span: RunSpan | None = context.get(_RUN_KEY)  # type: ignore[assignment]  # only `enter` writes it
    while span is not None and not span._is_current():
        span = span._outer
    return None if span is None else span.run_id


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
