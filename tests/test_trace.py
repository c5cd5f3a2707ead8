"""Finished spans in, traces out."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lc_otel._trace import FinishedSpan, Trace, group_traces
from lc_otel._tree import render_tree


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


# -- their drawing ------------------------------------------------------------------------------

CELLS = {
    "検": 2,
    "索": 2,
    "🔍": 2,
    "\N{COMBINING ACUTE ACCENT}": 0,
    "한": 2,
    "\N{ZERO WIDTH JOINER}": 0,
}


def cells(line: str) -> int:
    """How wide a line is on a terminal, by what a terminal does with the characters used here."""
    return sum(CELLS.get(character, 1) for character in re.sub(r"\x1b\[\d+m", "", line))


def wide_trace() -> Trace:
    """Nested spans with names, models and errors that need more cells than they have characters."""
    spans = [
        span("検索" * 30, start=1),
        span("🔍🔍 e\N{COMBINING ACUTE ACCENT}" * 9, "検索" * 30, 2),
    ]
    model = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 1_234,
        "gen_ai.usage.output_tokens": 56,
        "gen_ai.response.model": "한" * 20,
    }
    spans.append(replace(span("chat 한한", spans[1].name, 3), attributes=model))
    error = {"error.type": "検\N{ZERO WIDTH JOINER}索" * 9}
    spans.append(replace(span("x", spans[1].name, 4), status="error", attributes=error))
    return Trace.of(spans)


@pytest.mark.parametrize("color", [False, True])
def test_no_line_needs_more_cells_than_there_are(color: bool) -> None:
    """Whatever the names hold and however narrow the terminal, no line of the tree is wrapped."""
    for width in range(1, 120):
        lines = render_tree(wide_trace(), width=width, color=color).splitlines()
        assert max(map(cells, lines)) <= width, width
        assert len(lines) >= 5


def test_columns_stand_below_each_other_whatever_the_names_hold() -> None:
    """Figures are aligned by the cells that a terminal gives the names before them."""
    rows = render_tree(Trace.of([span("検索🔍", start=1), span("plain", "検索🔍", 2)])).splitlines()
    assert len({cells(row[: row.index("0.00 ms")]) for row in rows[1:]}) == 1


def test_a_narrow_tree_leaves_tokens_out_before_durations() -> None:
    """A name keeps its least width, as long as there is anything else to leave out."""
    wide, narrow, least = (render_tree(wide_trace(), width=width) for width in (80, 30, 20))
    assert "1,234→56 tok" in wide
    assert "tok\n" not in narrow + "\n"
    assert "0.00 ms" in narrow.splitlines()[-1]
    assert "0.00 ms" not in least.splitlines()[-1]


def test_a_line_separator_in_a_name_breaks_no_line() -> None:
    """Unicode's own line and paragraph separators are no more drawn than a line feed."""
    text = render_tree(Trace.of([span("one\N{LINE SEPARATOR}two\N{PARAGRAPH SEPARATOR}three")]))
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0.00 ms"),
        (420_000, "0.42 ms"),
        (155_400, "0.16 ms"),
        (999_600, "1.00 ms"),
        (9_996_000, "10.0 ms"),
        (99_960_000, "100 ms"),
        (312_000_000, "312 ms"),
        (999_400_000, "999 ms"),
        (999_600_000, "1.00 s"),
        (9_996_000_000, "10.0 s"),
        (59_940_000_000, "59.9 s"),
        (59_960_000_000, "1 m 00 s"),
        (3_600_000_000_000, "60 m 00 s"),
        (-1, "0.00 ms"),
        (-1_200_000_000, "-1.20 s"),
    ],
)
def test_a_duration_has_three_significant_figures_at_most(nanoseconds: int, shown: str) -> None:
    """It is rounded before its unit is chosen, and nothing is less than nothing."""
    one = replace(span("n"), end_ns=nanoseconds)
    assert render_tree(Trace.of([one])).splitlines()[1].split("  ")[-1].strip() == shown
