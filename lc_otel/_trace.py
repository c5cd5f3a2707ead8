"""Finished spans in, traces out: what the console, the viewer and the tests look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """One event of a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FinishedSpan:
    """A span as a backend would see it, wherever it came from (the SDK, a file, a receiver)."""

    trace_id: str
    """32 lower-case hex digits."""
    span_id: str
    """16 lower-case hex digits."""
    parent_id: str | None
    name: str
    kind: str
    """internal, client, server, producer or consumer."""
    start_ns: int
    end_ns: int
    status: str = "unset"
    """unset, ok or error."""
    status_message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()
    links: Sequence[tuple[str, str]] = ()
    """(trace id, span id) of each linked span."""
    resource: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""

    def __repr__(self) -> str:
        return f"FinishedSpan({self.name!r}, status={self.status!r})"  # of lists that tests print

    @property
    def duration_s(self) -> float:
        """Seconds from start to end."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Trace:
    """The finished spans of one trace id, in order of their start."""

    trace_id: str
    spans: Sequence[FinishedSpan]
    _children: Mapping[str | None, Sequence[FinishedSpan]]

    @classmethod
    def of(cls, spans: Iterable[FinishedSpan]) -> Trace:
        """Group spans that share a trace id; a span whose parent is not among them is a root.

        Of spans that are each other's parents, which only a broken sender makes, the first to start
        is a root too, so that no span is lost.
        """
        ordered = sorted(spans, key=lambda span: span.start_ns)
        known = {span.span_id for span in ordered}
        children: dict[str | None, list[FinishedSpan]] = {}
        for span in ordered:
            parent = span.parent_id if span.parent_id in known else None
            children.setdefault(parent, []).append(span)
        trace = cls(ordered[0].trace_id if ordered else "", ordered, children)
        reached = {span.span_id for _, span in trace.walk()}
        for span in ordered:
            if span.span_id not in reached:
                children[span.parent_id].remove(span)
                children.setdefault(None, []).append(span)
                reached |= {below.span_id for _, below in trace.walk(span)}
        return trace

    @property
    def roots(self) -> Sequence[FinishedSpan]:
        """Spans without a parent in this trace."""
        return self._children.get(None, ())

    def children(self, span: FinishedSpan) -> Sequence[FinishedSpan]:
        """The direct children of a span, in order of their start."""
        return self._children.get(span.span_id, ())

    @property
    def errors(self) -> Sequence[FinishedSpan]:
        """Spans in which an error began: failed ones, but for what a child's error passed through.

        It passed through where the child's ``error.type`` is the span's too.
        """
        return [
            span
            for span in self.spans
            if span.status == "error"
            and not any(
                child.status == "error"
                and child.attributes.get("error.type") == span.attributes.get("error.type")
                for child in self.children(span)
            )
        ]

    def walk(self, start: FinishedSpan | None = None) -> Iterator[tuple[int, FinishedSpan]]:
        """Every span, or those from ``start`` down, with its depth; parents before children."""
        tops = self.roots if start is None else (start,)
        stack = [(0, span) for span in reversed(tops)]
        while stack:
            depth, span = stack.pop()
            yield depth, span
            stack.extend((depth + 1, child) for child in reversed(self.children(span)))


def group_traces(spans: Iterable[FinishedSpan]) -> list[Trace]:
    """Split spans by trace id, in order of first appearance."""
    by_trace: dict[str, list[FinishedSpan]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    return [Trace.of(group) for group in by_trace.values()]
