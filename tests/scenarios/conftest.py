"""The oracle: our spans must tell the same tree that LangChain's own tracer collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

pytest.importorskip("langchain_core")

from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from lc_otel.testing import Captured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from langchain_core.tracers.schemas import Run

    from lc_otel import Config
    from lc_otel._trace import FinishedSpan

NOT_ERRORS = {
    # how LangChain's tracer words what is no error -> the outcome our span must have
    "CancelledError": "cancelled",
    "GeneratorExit": "abandoned",
    "GraphInterrupt": "interrupted",
    "ParentCommand": "handoff",
    "KeyboardInterrupt": "cancelled",
}


class Collector(RunCollectorCallbackHandler):
    """LangChain's run collector, which also keeps the runs that never reach their end."""

    # In line, so that LangChain's async managers call it in the order of events.
    run_inline = True

    def __init__(self) -> None:
        super().__init__()
        self.started: dict[UUID, Run] = {}

    def _on_run_create(self, run: Run) -> None:
        self.started[run.id] = run


class Oracle(Captured):
    """A capture whose spans are held against LangChain's run tree at the end of the test."""

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.collector = Collector()
        self.tracer = self.tracer_provider.get_tracer("test")
        self.broken_off = False
        """The program breaks a stream off, which LangChain's tracer takes for a good end."""
        self.before = trace.get_current_span()

    @property
    def callbacks(self) -> list[Any]:
        """LangChain's tracer and our handler, for ``callbacks=``."""
        return [self.collector, self.handler]

    def config(self, **more: Any) -> Any:
        """A RunnableConfig with both."""
        return {"callbacks": self.callbacks, **more}

    def span_of(self, run_id: UUID) -> FinishedSpan:
        """The span of a run."""
        return self._by_run()[str(run_id)]

    def _by_run(self) -> dict[str, FinishedSpan]:
        spans: dict[str, FinishedSpan] = {}
        for span in self.spans:
            run_id = span.attributes.get("langchain.run.id")
            if run_id is not None:
                assert run_id not in spans, f"two spans tell of run {run_id}"
                spans[str(run_id)] = span
        return spans

    def parent_name(self, name: str) -> str | None:
        """The name of the parent of every span called ``name``; they must agree."""
        by_id = {span.span_id: span for span in self.spans}
        parents = {
            by_id[span.parent_id].name if span.parent_id in by_id else None
            for span in self.spans
            if span.name == name
        }
        assert len(parents) == 1, f"{name} has parents {parents} in\n{self}"
        return parents.pop()

    def verify(self) -> None:
        """Same run ids, same parents, same outcomes; nothing open, nothing left current."""
        assert self.handler.open_runs == 0, f"runs left open: {self.unended}\n{self}"
        assert list(self.unended) == [], f"spans left unended\n{self}"
        here = trace.get_current_span()
        assert here.get_span_context() == self.before.get_span_context(), "a run is still current"
        spans = self._by_run()
        by_id = {span.span_id: span for span in self.spans}
        runs = self.collector.started
        assert {str(run_id) for run_id in runs} == set(spans), f"not one span a run:\n{self}"
        for run_id, run in runs.items():
            span = spans[str(run_id)]
            if run.parent_run_id in runs:
                above = _nearest_run(span, by_id)
                assert above is spans[str(run.parent_run_id)], (
                    f"{span.name} hangs under {above and above.name}, its run's parent is "
                    f"{runs[run.parent_run_id].name}\n{self}"
                )
            self._verify_outcome(span, run, spans)

    def _verify_outcome(self, span: FinishedSpan, run: Run, spans: dict[str, FinishedSpan]) -> None:
        outcome = span.attributes["langchain.run.outcome"]
        if run.error is not None:
            expected = {
                outcome for word, outcome in NOT_ERRORS.items() if run.error.startswith(word)
            } or {"error"}
        elif run.end_time is not None:
            # LangChain calls a graph that an interrupt paused, or a tool that failed politely, well
            expected = {"ok", "interrupted"} | ({"error"} if run.run_type == "tool" else set())
            expected |= {"abandoned"} if self.broken_off else set()
        else:
            expected = {"cancelled", "abandoned"}
        above = self.collector.started.get(run.parent_run_id)
        while above is not None:
            # a run that fails or stops takes with it what still runs inside it
            if spans[str(above.id)].attributes["langchain.run.outcome"] not in {
                "ok",
                "interrupted",
            }:
                expected |= {"cancelled", "abandoned"}
            above = self.collector.started.get(above.parent_run_id)
        assert outcome in expected, f"{span.name} is {outcome}, expected {expected}\n{self}"
        assert (span.status == "error") == (outcome == "error"), f"{span.name}: {span.status}"


def _nearest_run(span: FinishedSpan, by_id: dict[str, FinishedSpan]) -> FinishedSpan | None:
    """The nearest ancestor that tells of a run, past spans that were opened by hand."""
    above = by_id.get(span.parent_id or "")
    while above is not None and "langchain.run.id" not in above.attributes:
        above = by_id.get(above.parent_id or "")
    return above


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    """A capture held against LangChain's own tracer when the test is over."""
    captured = Oracle()
    yield captured
    captured.verify()
