"""A test's LangChain runs in, their trace out, to look at and assert on.

    from lc_otel.testing import capture

    with capture() as captured:
        chain.invoke(question, {"callbacks": [captured.handler]})
    assert captured.trace.llm_calls[0].attributes["gen_ai.usage.input_tokens"] == 12

With pytest, the fixture ``lc_otel_trace`` is such a capture, opened before the test; the marker
``@pytest.mark.lc_otel(capture_content=True)`` gives it a `Config` of those fields. In a notebook, a
capture shows itself as a tree.
"""

from __future__ import annotations

import difflib
import html
import itertools
import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from lc_otel._finished import read_span
from lc_otel._handler import OTelCallbackHandler
from lc_otel._trace import FinishedSpan, Trace, group_traces
from lc_otel._tree import TokenSums, counted, sum_tokens
from lc_otel.conventions._names import RUN_NAME, RUN_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.context import Context

    from lc_otel.config import Config

__all__ = ["Captured", "CapturedTrace", "ToolCall", "capture"]

_TICK_NS = 1_000_000
_EPOCH_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool."""

    span: FinishedSpan

    @property
    def arguments(self) -> Any:
        """What the tool was called with; None where content was not captured."""
        return _content(self.span, "gen_ai.tool.call.arguments", "input.value")

    @property
    def result(self) -> Any:
        """What the tool returned; None where content was not captured, or the tool failed."""
        return _content(self.span, "gen_ai.tool.call.result", "output.value")


class CapturedTrace:
    """Finished spans, and the questions that tests ask of them."""

    def __init__(self, spans: Sequence[FinishedSpan]) -> None:
        self.spans = spans
        """In order of their start."""

    @property
    def roots(self) -> Sequence[FinishedSpan]:
        """Spans without a parent among these."""
        return [root for trace in group_traces(self.spans) for root in trace.roots]

    @property
    def llm_calls(self) -> Sequence[FinishedSpan]:
        """Model calls, in order of their start."""
        return [span for span in self.spans if _run_type(span) in {"chat_model", "llm"}]

    @property
    def tool_calls(self) -> Sequence[ToolCall]:
        """Tool calls, in order of their start."""
        return [ToolCall(span) for span in self.spans if _run_type(span) == "tool"]

    def tool(self, name: str) -> ToolCall:
        """The only call of the tool ``name``.

        Raises:
            AssertionError: It was called more than once, or not at all; the message shows the tree.
        """
        __tracebackhide__ = True
        calls = [call for call in self.tool_calls if call.span.attributes[RUN_NAME] == name]
        if len(calls) != 1:
            raise AssertionError(
                f"expected one call of the tool {name!r}, saw {len(calls)}:\n{self}"
            )
        return calls[0]

    @property
    def errors(self) -> Sequence[FinishedSpan]:
        """Spans that ended in an error."""
        return [span for span in self.spans if span.status == "error"]

    @property
    def tokens(self) -> TokenSums:
        """What the model calls took in and gave out."""
        return sum_tokens(self.spans)

    def span(self, name: str) -> FinishedSpan:
        """The only span called ``name``.

        Raises:
            AssertionError: There is none, or more than one; the message shows the tree.
        """
        __tracebackhide__ = True
        found = [span for span in self.spans if span.name == name]
        if len(found) != 1:
            raise AssertionError(f"expected one span {name!r}, saw {len(found)}:\n{self}")
        return found[0]

    def tree(self) -> str:
        """The spans as text, a line a span, indented by depth; the same for the same program.

        A span that ended otherwise than well says how: its error type, or its outcome.
        """
        lines = [
            "  " * depth + span.name + _how_it_ended(span)
            for trace in group_traces(self.spans)
            for depth, span in trace.walk()
        ]
        return "\n".join(lines)

    def assert_tree(self, expected: str) -> None:
        """Compare `tree` with what is expected.

        Neither the indentation of all of it counts, nor blank lines around it, nor white space at
        the end of a line.

        Raises:
            AssertionError: They differ; the message shows both in one.
        """
        __tracebackhide__ = True
        seen, wanted = _dedent(self.tree()), _dedent(expected)
        if seen != wanted:
            lines = difflib.ndiff(wanted.splitlines(), seen.splitlines())
            both = "\n".join(line for line in lines if not line.startswith("?"))
            raise AssertionError(f"another tree than expected (- expected, + seen):\n{both}")

    def assert_no_errors(self) -> None:
        """Fail if any span ended in an error.

        Raises:
            AssertionError: One did; the message shows the tree.
        """
        __tracebackhide__ = True
        if self.errors:
            count = counted(len(self.errors), "span")
            raise AssertionError(f"{count} ended in an error:\n{self}")

    def __str__(self) -> str:
        return self.tree()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {counted(len(self.spans), 'span')}>"

    def _repr_html_(self) -> str:
        """The spans as nested lists; each opens to its attributes."""
        pieces = [piece for trace in group_traces(self.spans) for piece in _html_of(trace)]
        return "".join(pieces) or "<p>no spans yet</p>"


class Captured(CapturedTrace):
    """What a `capture` has seen so far, and the handler to attach."""

    def __init__(self, config: Config | None = None) -> None:
        self._recorder = _LogicalTime()
        self.tracer_provider = TracerProvider(id_generator=_CountingIds(), shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(self._recorder)
        self.handler = OTelCallbackHandler(self.tracer_provider, config=config)

    @property
    def spans(self) -> Sequence[FinishedSpan]:  # type: ignore[override]  # grows while it captures
        """Finished spans in order of their start; times count starts and ends, not seconds."""
        return self._recorder.finished()

    @property
    def sdk_spans(self) -> Sequence[ReadableSpan]:
        """The SDK's own finished spans, with real times, in order of their end."""
        return self._recorder.ended

    @property
    def unended(self) -> Sequence[str]:
        """Names of spans that were started and have not ended."""
        return self._recorder.unended()

    @property
    def traces(self) -> Sequence[Trace]:
        """The spans by trace, in order of their start."""
        return group_traces(self.spans)

    @property
    def trace(self) -> CapturedTrace:
        """The only trace.

        Raises:
            AssertionError: There is none, or more than one; the message shows them.
        """
        __tracebackhide__ = True
        if not self.spans:
            raise AssertionError(
                "expected one trace, saw no span: was the handler attached, as in "
                "config={'callbacks': [captured.handler]}?"
            )
        if len(self.traces) != 1:
            raise AssertionError(f"expected one trace, saw {len(self.traces)}:\n{self}")
        return CapturedTrace(self.spans)

    def clear(self) -> None:
        """Forget the spans that have ended."""
        self._recorder.clear()


@contextmanager
def capture(config: Config | None = None) -> Iterator[Captured]:
    """Capture the spans of what runs inside, under ids counted from 1.

    Raises:
        AssertionError: At the end a run is still open, or the handler could not record an event.
    """
    __tracebackhide__ = True
    captured = Captured(config)
    failures = _Failures()
    logger = logging.getLogger("lc_otel")
    logger.addHandler(failures)
    try:
        yield captured
    finally:
        logger.removeHandler(failures)
        left_open = captured.handler.open_runs
        unended = captured.unended
        captured.handler.end_open_runs()
        captured.tracer_provider.shutdown()
    if failures.records:
        record = failures.records[0]
        raise AssertionError(record.getMessage()) from (record.exc_info or (None, None))[1]
    if left_open:
        raise AssertionError(
            f"left open: {counted(left_open, 'run')} ({', '.join(unended)}); what there was:\n"
            f"{captured}"
        )


class _Failures(logging.Handler):
    """Keeps what the handler logs where it fails softly."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.records.append(record)


class _CountingIds(IdGenerator):
    """Trace and span ids 1, 2, 3, ..."""

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)

    def generate_trace_id(self) -> int:
        return next(self._traces)

    def generate_span_id(self) -> int:
        return next(self._spans)

    def is_trace_id_random(self) -> bool:
        return False


class _LogicalTime(SpanProcessor):
    """Keeps spans; gives each start and end the next tick of a clock that nothing else moves."""

    def __init__(self) -> None:
        self._ticks = itertools.count(_EPOCH_NS, _TICK_NS)
        self._started: dict[int, tuple[int, str]] = {}
        self._finished: list[FinishedSpan] = []
        self.ended: list[ReadableSpan] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 -- the SDK's signature
        self._started[span.get_span_context().span_id] = (next(self._ticks), span.name)

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        started, _ = self._started.pop(context.span_id if context else 0)
        self.ended.append(span)
        self._finished.append(replace(read_span(span), start_ns=started, end_ns=next(self._ticks)))

    def finished(self) -> list[FinishedSpan]:
        return sorted(self._finished, key=lambda span: span.start_ns)

    def unended(self) -> list[str]:
        return [name for _, name in self._started.values()]

    def clear(self) -> None:
        self._finished.clear()
        self.ended.clear()


def _run_type(span: FinishedSpan) -> object:
    """What LangChain calls the run; the same under every convention."""
    return span.attributes.get(RUN_TYPE)


def _content(span: FinishedSpan, *attributes: str) -> Any:
    """The first of several attributes, one a convention, that there is."""
    value = next((span.attributes[name] for name in attributes if name in span.attributes), None)
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value  # a text is written as it is, and "5" is no number
    try:
        return json.loads(value)
    except ValueError:
        return value


def _how_it_ended(span: FinishedSpan) -> str:
    if span.status == "error":
        return f" [{span.attributes.get('error.type', 'error')}]"
    outcome = span.attributes.get("langchain.run.outcome", "ok")
    return "" if outcome == "ok" else f" [{outcome}]"


def _html_of(trace: Trace) -> Iterator[str]:
    """Every span, and below it its children; what it says comes from strangers, and is escaped."""
    unclosed = 0
    for depth, span in trace.walk():
        yield "</div>" * (unclosed - depth)
        unclosed = depth + 1
        tokens = sum_tokens([span])
        said = f"<b>{html.escape(span.name)}</b>{html.escape(_how_it_ended(span))}"
        if tokens.input or tokens.output:
            said += f" {tokens.input:,}\N{RIGHTWARDS ARROW}{tokens.output:,} tokens"
        rows = "".join(
            f"<tr><td>{html.escape(key)}</td>"
            f'<td style="text-align:left;white-space:pre-wrap">{html.escape(str(value))}</td></tr>'
            for key, value in sorted(span.attributes.items())
        )
        yield (
            f'<div style="margin-left:1.2em"><details><summary>{said}</summary>'
            f"<table>{rows}</table></details>"
        )
    yield "</div>" * unclosed


def _dedent(text: str) -> str:
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[margin:] for line in lines)
