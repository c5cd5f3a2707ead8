"""Trees as text, and when the console prints them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from lc_otel._console import TreePrinter
from lc_otel._trace import FinishedSpan, Trace
from lc_otel._tree import guides_fit, render_tree, sum_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from opentelemetry.trace import Tracer

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(
    name: str,
    number: int,
    parent: int | None,
    start_ms: float,
    ms: float,
    attributes: Mapping[str, Any] | None = None,
    status: str = "unset",
) -> FinishedSpan:
    """A finished span of the one trace these tests draw."""
    return FinishedSpan(
        trace_id=TRACE_ID,
        span_id=f"{number:016x}",
        parent_id=None if parent is None else f"{parent:016x}",
        name=name,
        kind="internal",
        start_ns=int(start_ms * 1e6),
        end_ns=int((start_ms + ms) * 1e6),
        status=status,
        attributes=attributes or {},
    )


def model_call(
    number: int, parent: int, start_ms: float, ms: float, taken: int, given: int
) -> FinishedSpan:
    """A chat span with usage."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": taken,
        "gen_ai.usage.output_tokens": given,
        "gen_ai.usage.cache_read.input_tokens": 7,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
    }
    return span("chat gpt-4o", number, parent, start_ms, ms, attributes)


AGENT = [
    span(
        "invoke_agent shop",
        1,
        None,
        0,
        1520,
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 1345},
    ),
    model_call(2, 1, 10, 812, 1234, 56),
    span("execute_tool search", 3, 1, 830, 41.27, {"error.type": "ValueError"}, "error"),
    span("retrieval", 4, 3, 831, 4.214),
    model_call(5, 1, 900, 600, 111, 22),
    span("wait", 6, 1, 1505, 1, {"langchain.run.outcome": "interrupted"}),
]


def test_a_trace_is_drawn_as_a_tree_with_aligned_columns() -> None:
    """Names, durations, tokens, the error and the answering model stand in columns."""
    assert render_tree(Trace.of(AGENT)) == (
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 · 6 spans · 1.52 s · 1,345→78 tokens\n"
        "  1 error\n"
        "invoke_agent shop        1.52 s\n"
        "├─ chat gpt-4o           812 ms  1,234→56 tok  gpt-4o-2024-08-06\n"
        "├─ execute_tool search  41.3 ms                ✗ ValueError\n"
        "│  └─ retrieval         4.21 ms\n"
        "├─ chat gpt-4o           600 ms    111→22 tok  gpt-4o-2024-08-06\n"
        "└─ wait                 1.00 ms                interrupted"
    )


def test_the_drawing_falls_back_to_ascii() -> None:
    """Where the encoding cannot carry box characters, plain ones stand in."""
    text = render_tree(Trace.of(AGENT), unicode=False)
    assert text.isascii()
    assert "|  `- retrieval" in text
    assert "! ValueError" in text
    assert guides_fit("utf-8")
    assert not guides_fit("ascii")
    assert not guides_fit("cp1252")
    assert guides_fit(None)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_asked(width: int) -> None:
    """Long names are cut before figures are."""
    deep = [span("n" * 90, 1, None, 0, 10)]
    deep += [
        span(f"node {i} {'x' * 50}", i, i - 1, i, 5, {"error.type": "E" * 70}, "error")
        for i in range(2, 9)
    ]
    lines = render_tree(Trace.of(deep), width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("5.00 ms" in line for line in lines) == 7


def test_sums_count_model_calls_only() -> None:
    """An agent's own usage is the sum of its calls and is not added again."""
    assert sum_tokens(AGENT) == (2, 1345, 78, 14)


def test_openinference_spans_have_tokens_too() -> None:
    """Under the other convention the same columns are filled."""
    llm = span(
        "ChatOpenAI",
        1,
        None,
        0,
        5,
        {
            "openinference.span.kind": "LLM",
            "llm.token_count.prompt": 3,
            "llm.token_count.completion": 4,
            "llm.model_name": "m",
        },
    )
    assert "3→4 tok  m" in render_tree(Trace.of([llm]))


def test_control_characters_in_a_name_are_not_drawn() -> None:
    """A name cannot move the terminal's cursor or break a line."""
    text = render_tree(Trace.of([span("evil\x1b[2J\nname", 1, None, 0, 1)]))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2


def test_colour_is_added_only_when_asked() -> None:
    """Without colour codes the coloured drawing is the plain one."""
    coloured = render_tree(Trace.of(AGENT), color=True)
    plain = re.sub(r"\x1b\[\d+m", "", coloured)
    assert "\x1b[31m" in coloured
    assert [line.rstrip() for line in plain.splitlines()] == render_tree(
        Trace.of(AGENT)
    ).splitlines()


def test_long_durations_are_in_minutes() -> None:
    """Two significant parts are enough at any scale."""
    text = render_tree(Trace.of([span("long", 1, None, 0, 125_400)]))
    assert "2 m 05 s" in text


class Console:
    """A provider whose traces are printed to a string."""

    def __init__(self, **limits: int) -> None:
        self.out = io.StringIO()
        self.printer = TreePrinter(self.out, **limits)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.printer)
        self.tracer: Tracer = self.provider.get_tracer("test")

    @property
    def text(self) -> str:
        return self.out.getvalue()


@pytest.fixture
def console() -> Console:
    """A fresh console."""
    return Console()


def under(parent: api.Span) -> api.Context:  # type: ignore[name-defined]
    """A context in which a span is current."""
    return api.set_span_in_context(parent)


def test_a_trace_is_printed_when_its_root_ends(console: Console) -> None:
    """Nothing before, the whole tree after."""
    with console.tracer.start_as_current_span("root"):
        with console.tracer.start_as_current_span("child"):
            pass
        assert console.text == ""
    assert "root" in console.text
    assert "└─ child" in console.text


def test_a_span_that_ends_late_is_printed_and_marked(console: Console) -> None:
    """A child that outlives its root is not lost."""
    root = console.tracer.start_span("root")
    child = console.tracer.start_span("straggler", under(root))
    root.end()
    assert "straggler" not in console.text
    child.end()
    assert "late" in console.text
    assert "straggler" in console.text


def test_roots_under_one_remote_parent_are_printed_together(console: Console) -> None:
    """A batch called from another process is one tree, printed when its last root ends."""
    remote = NonRecordingSpan(SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1)))
    first = console.tracer.start_span("first", under(remote))
    second = console.tracer.start_span("second", under(remote))
    first.end()
    assert console.text == ""
    second.end()
    assert console.text.count("trace ") == 1
    assert "first" in console.text
    assert "second" in console.text


def test_memory_is_bounded() -> None:
    """Spans beyond the limit are counted, traces beyond it are printed unfinished."""
    console = Console(max_traces=1, max_spans=2)
    root = console.tracer.start_span("root")
    for number in range(5):
        console.tracer.start_span(f"child {number}", under(root)).end()
    other = console.tracer.start_span("other")
    assert "unfinished" in console.text
    assert "child 1" in console.text
    assert "child 2" not in console.text
    for number in range(5):
        console.tracer.start_span(f"child {number}", under(other)).end()
    other.end()
    assert "3 more not shown" in console.text


def test_shutdown_prints_what_is_there(console: Console) -> None:
    """A root that never ended does not take its children with it."""
    root = console.tracer.start_span("root")
    console.tracer.start_span("child", under(root)).end()
    console.provider.shutdown()
    assert "unfinished" in console.text
    assert "child" in console.text


def test_a_closed_stream_does_not_break_the_program(console: Console) -> None:
    """The host goes on when nobody reads its output any more."""
    console.out.close()
    console.tracer.start_span("root").end()


def test_an_encoding_that_lacks_a_character_gets_a_question_mark() -> None:
    """A name is printed as far as the terminal's encoding goes."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(TreePrinter(stream))
    with provider.get_tracer("test").start_as_current_span("größe") as root:
        root.set_status(Status(StatusCode.ERROR))
    assert b"gr??e" in raw.getvalue()
    assert b"! error" in raw.getvalue()


def test_output_that_is_not_a_terminal_has_no_colour(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Piped output is plain and 80 columns wide; a terminal has colour unless NO_COLOR is set."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with console.tracer.start_as_current_span("x" * 150):
        pass
    assert "\x1b" not in console.text
    assert max(map(len, console.text.splitlines())) == 80
    monkeypatch.setattr(console.out, "isatty", lambda: True)
    console.tracer.start_span("x" * 150).end()
    assert "\x1b[" in console.text
    monkeypatch.setenv("NO_COLOR", "1")
    before = len(console.text)
    console.tracer.start_span("plain").end()
    assert "\x1b" not in console.text[before:]
