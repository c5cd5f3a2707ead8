"""Finished spans in, traces out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lc_otel._trace import FinishedSpan, Trace, group_traces


def span(name: str, parent: str | None = None, start: int = 0, trace: str = "t") -> FinishedSpan:
    """A span whose id is its name."""
    return FinishedSpan(trace, name, parent, name, "internal", start, start + 1)


def test_spans_are_walked_parents_first_in_order_of_their_start() -> None:
    """Depth and order are those of the tree, whatever order the spans came in."""
    trace = Trace.of([span("c", "a", 3), span("b", "a", 2), span("d", "b", 4), span("a", None, 1)])
    assert [(depth, one.name) for depth, one in trace.walk()] == [
        (0, "a"),
        (1, "b"),
        (2, "d"),
        (1, "c"),
    ]


def test_a_span_whose_parent_is_elsewhere_is_a_root() -> None:
    """A parent in another process does not hide its children here."""
    assert [one.name for one in Trace.of([span("a", "remote")]).roots] == ["a"]


@pytest.mark.parametrize(
    "spans",
    [
        [span("a", "a")],
        [span("a", "b", 1), span("b", "a", 2)],
        [span("x", "a", 0), span("a", "c", 1), span("b", "a", 2), span("c", "b", 3)],
        [span("x", "a", 5), span("y", "x", 0), span("a", "b", 1), span("b", "a", 2)],
    ],
)
def test_spans_that_go_round_in_circles_are_all_shown(spans: list[FinishedSpan]) -> None:
    """Spans that are each other's parents appear once each, and nothing loops."""
    walked = [one.name for _, one in Trace.of(spans).walk()]
    assert sorted(walked) == sorted(one.name for one in spans)


def test_traces_are_kept_apart_by_their_id() -> None:
    """Spans are grouped by trace id, in order of first appearance."""
    traces = group_traces([span("a", trace="1"), span("b", trace="2"), span("c", trace="1")])
    assert [[one.name for one in trace.spans] for trace in traces] == [["a", "c"], ["b"]]


def test_an_error_is_counted_where_it_began() -> None:
    """Not in the spans it passed through; an ancestor that failed otherwise is one more."""

    def failed(name: str, parent: str | None, start: int, how: str) -> FinishedSpan:
        return replace(span(name, parent, start), status="error", attributes={"error.type": how})

    trace = Trace.of(
        [
            failed("agent", None, 0, "GivenUp"),
            failed("tools", "agent", 1, "TimeoutError"),
            failed("one", "tools", 2, "TimeoutError"),
            failed("two", "tools", 3, "TimeoutError"),
            span("fine", "tools", 4),
        ]
    )
    assert [one.name for one in trace.errors] == ["agent", "one", "two"]
