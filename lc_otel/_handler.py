"""OTelCallbackHandler: callback events in, one call of the recorder out."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opentelemetry import trace

from lc_otel._agents import read_opener
from lc_otel._content import ContentPolicy
from lc_otel._graph import enlist
from lc_otel._logs import DetailsLog
from lc_otel._metrics import Meter
from lc_otel._opener import find_opener, would_silence_others
from lc_otel._reading import ends, events, starts
from lc_otel._reading.contents import LATE
from lc_otel._runs import table_of
from lc_otel._spans import SpanRecorder
from lc_otel._telling import Teller, Telling, count_copies
from lc_otel._version import __version__
from lc_otel.callbacks.base import BaseCallbackHandler
from lc_otel.config import Config
from lc_otel.conventions import langchain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from lc_otel.run import Outcome, RunEvent, RunType

_logger = logging.getLogger(__name__)
_Event = TypeVar("_Event", bound=Callable[..., None])


def _contained(event: _Event) -> _Event:
    """The one boundary: what fails inside an event costs telemetry and never reaches the host."""

    @functools.wraps(event)
    def contain(self: OTelCallbackHandler, *args: Any, **kwargs: Any) -> None:
        try:
            event(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 -- the boundary
            self._report(event.__name__, error)

    return cast("_Event", contain)


class OTelCallbackHandler(BaseCallbackHandler):
    """Turns every LangChain run into an OpenTelemetry span, nested as the runs are.

    Attach it wherever LangChain takes a callback handler. It may be shared by any number of chains,
    threads and event loops. Nothing it does raises into the program, and it holds no prompt,
    completion, argument or document unless `Config.capture_content` asks for them.

    Args:
        tracer_provider: Where spans go; the global provider where None.
        meter_provider: Where metrics go; the global provider where None.
        logger_provider: Where log events go; the global provider where None.
        config: What is recorded; the defaults and OTEL_* variables where None.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        config: Config | None = None,
    ) -> None:
        config = config or Config()
        provider = tracer_provider or trace.get_tracer_provider()
        self.config = config
        self._reported: set[tuple[str, type]] = set()
        self._recorder = SpanRecorder(
            provider.get_tracer("lc_otel", __version__),
            table_of(provider),
            Teller(_telling(config), self._report),
            detail=config.detail,
            max_open_runs=config.max_open_runs,
            max_run_age=config.max_run_age,
            meter=Meter(meter_provider, config.metric_names, self._report),
            details=DetailsLog(logger_provider) if config.content_in_events else None,
        )
        self._conversation_keys = config.conversation_keys

    @property
    def run_inline(self) -> bool:  # type: ignore[override]  # a plain attribute of the base class
        """Whether the async managers call it in the caller's own context: yes.

        So a run's span is current in the run's body. Only LangChain's own async ``on_llm_start`` is
        told no, and only where it would otherwise forget other handlers (docs/context.md, limits).
        """
        return not would_silence_others(sys._getframe(1))  # noqa: SLF001 -- who asks decides

    @property
    def open_runs(self) -> int:
        """Runs started and not ended."""
        return len(self._recorder.table.open)

    def span_for(self, run_id: UUID) -> trace.Span | None:
        """The run's span while the run is open, else None; of a hidden run, None too."""
        entry = self._recorder.find(run_id)
        return entry.span if entry is not None and entry.shown else None

    def end_open_runs(self) -> int:
        """End what is open, with the outcome ``incomplete``, and say how many runs that were."""
        return self._recorder.end_all()

    def __copy__(self) -> OTelCallbackHandler:
        """Itself: a copy would count the same runs twice."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> OTelCallbackHandler:
        """Itself, so that what holds a handler can be copied deeply."""
        return self

    # -- start

    @_contained
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """See `BaseCallbackHandler.on_chain_start`."""
        source = starts.Source(serialized, inputs, kwargs)
        self._start("chain", run_id, parent_run_id, tags, metadata, source)

    @_contained
    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """See `BaseCallbackHandler.on_chat_model_start`."""
        source = starts.Source(serialized, messages, kwargs)
        self._start("chat_model", run_id, parent_run_id, tags, metadata, source)

    @_contained
    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """See `BaseCallbackHandler.on_llm_start`."""
        source = starts.Source(serialized, prompts, kwargs)
        self._start("llm", run_id, parent_run_id, tags, metadata, source)

    @_contained
    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """See `BaseCallbackHandler.on_tool_start`."""
        source = starts.Source(serialized, input_str if inputs is None else inputs, kwargs)
        self._start("tool", run_id, parent_run_id, tags, metadata, source)

    @_contained
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """See `BaseCallbackHandler.on_retriever_start`."""
        source = starts.Source(serialized, query, kwargs)
        self._start("retriever", run_id, parent_run_id, tags, metadata, source)

    def _start(
        self,
        kind: RunType,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
        source: starts.Source,
    ) -> None:
        recorder = self._recorder
        if run_id in recorder.table.open:
            return  # told already, by another handler of the same provider
        parent = recorder.find(parent_run_id)
        opener, told_by_opener = find_opener(), starts.UNKNOWN
        if kind == "chain":
            enlist(self, opener)
            told_by_opener = read_opener(opener)
        start = starts.Start(
            run_id,
            parent_run_id,
            tags if isinstance(tags, (list, tuple)) else (),
            metadata if isinstance(metadata, dict) else {},
            source,
            parent.run if parent is not None else None,
            self._conversation_keys,
            told_by_opener,
        )
        try:
            run = starts.READERS[kind](start)
        except Exception as error:  # noqa: BLE001 -- a broken start costs what it says, not the span
            self._report(f"all of a {kind}'s start", error)
            run = starts.unreadable(start, kind)
        recorder.start(run, parent, opener)

    # -- end

    @_contained
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_chain_end`."""
        self._end(run_id, ends.read_chain_outcome, outputs)

    @_contained
    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_llm_end`; chat models end here too."""
        self._end(run_id, ends.read_model_outcome, response)

    @_contained
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_tool_end`."""
        self._end(run_id, ends.read_tool_outcome, output)

    @_contained
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_retriever_end`."""
        self._end(run_id, ends.read_retriever_outcome, documents)

    @_contained
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_chain_error`."""
        self._end(run_id, ends.read_error, error)

    @_contained
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_llm_error`; ``response`` holds what had come before."""
        self._end(run_id, functools.partial(ends.read_model_error, kwargs.get("response")), error)

    @_contained
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_tool_error`."""
        self._end(run_id, ends.read_error, error)

    @_contained
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_retriever_error`."""
        self._end(run_id, ends.read_error, error)

    def _end(self, run_id: UUID, read: Callable[[Any], Outcome], payload: Any) -> None:
        if run_id not in self._recorder.table.open:
            return  # not started here, or ended before
        try:
            outcome = read(payload)
        except Exception as error:  # noqa: BLE001 -- what cannot be read must not leave the run open
            self._report("how a run ended", error)
            outcome = ends.unreadable(payload)
        self._recorder.end(run_id, outcome)

    # -- in between

    def on_llm_new_token(
        self,
        token: Any,
        *,
        chunk: Any = None,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """See `BaseCallbackHandler.on_llm_new_token`; counts, and times the first."""
        # Called for every token of every stream, so it does nothing that could fail.
        self._recorder.count_chunk(run_id)

    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_stream_event`; counts content, as tokens do."""
        if isinstance(event, dict) and event.get("event") == "content-block-delta":
            self._recorder.count_delta(run_id)

    @_contained
    def on_text(self, text: str, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_text`; a span event ``langchain.text``."""
        self._tell(run_id, events.read_text(text))

    @_contained
    def on_retry(self, retry_state: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_retry`; a span event ``langchain.retry``."""
        self._tell(run_id, events.read_retry(retry_state))

    @_contained
    def on_agent_action(self, action: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_agent_action`; a span event ``langchain.agent.action``."""
        self._tell(run_id, events.read_agent_action(action))

    @_contained
    def on_agent_finish(self, finish: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_agent_finish`; a span event ``langchain.agent.finish``."""
        self._tell(run_id, events.read_agent_finish(finish))

    @_contained
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """See `BaseCallbackHandler.on_custom_event`; a span event of that name."""
        self._tell(run_id, events.read_custom_event(name, data))

    @_contained
    def on_interrupt(self, event: Any) -> None:
        """LangGraph paused a graph; a span event ``langgraph.interrupt`` on the graph's run."""
        self._tell(event.run_id, events.read_interrupt(event))

    @_contained
    def on_resume(self, event: Any) -> None:
        """LangGraph took a paused graph up again; a span event ``langgraph.resume``."""
        self._tell(event.run_id, events.read_resume(event))

    def _tell(self, run_id: UUID, event: RunEvent) -> None:
        self._recorder.add_event(run_id, event)

    # -- failing softly

    def _report(self, event: str, error: Exception) -> None:
        """Say once for each event and kind of error that telemetry was lost."""
        kind = (event, type(error))
        if kind not in self._reported:
            self._reported.add(kind)
            _logger.warning(
                "lc_otel could not record %s: %s (said once; the program is unaffected)",
                event,
                ends.error_name(type(error)),
                exc_info=error,
            )


def _telling(config: Config) -> Telling:
    """What the configuration asks to be told."""
    genai, openinference = ("genai" in config.conventions), ("openinference" in config.conventions)
    on_spans = config.content_on_spans
    return Telling(
        genai=genai,
        openinference=openinference,
        content_on_spans=on_spans,
        content_in_events=config.content_in_events,
        policy=ContentPolicy(
            config.redact,
            max_attribute=config.max_content_length,
            max_span=config.max_span_content,
            copies=count_copies(of_genai=genai, of_openinference=openinference)
            if on_spans
            else None,
            late=LATE,
            binary=config.capture_binary,
        ),
        metadata_keys=langchain.METADATA | {*config.metadata_keys},
        user_keys=config.user_keys,
    )
