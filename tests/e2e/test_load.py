"""Twenty thousand spans from the handler: what goes in comes out, and what does not is said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.e2e.jaeger import Jaeger
from tests.e2e.programs import wait_until
from tests.e2e.sending import PROTOCOLS, sending

pytest.importorskip("langchain_core", reason="the programs under test are LangChain's")
from langchain_core.runnables import RunnableLambda, RunnableSequence

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from lc_otel._pipeline import Pipeline
    from lc_otel._trace import FinishedSpan
    from tests.e2e.conftest import Backend
    from tests.e2e.programs import Launcher

TRACES = 1_000
SPANS_A_TRACE = 20
SPANS = TRACES * SPANS_A_TRACE
THREADS = 8
FLUSH_TIMEOUT = 60.0
ARRIVAL_TIMEOUT = 120.0


def build_chain() -> Runnable[int, int]:
    """Build a sequence whose run is twenty spans: itself and nineteen steps."""
    return RunnableSequence(
        *(RunnableLambda(lambda number: number + 1) for _ in range(SPANS_A_TRACE - 1))
    )


def run_in_threads(pipeline: Pipeline, count: int) -> None:
    """Run the chain so many times in each of several threads."""
    chain = build_chain()

    def run(_: int) -> None:
        for _ in range(count):
            assert chain.invoke(0, config={"callbacks": [pipeline.handler]}) == SPANS_A_TRACE - 1

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_as_many_spans_come_out_as_went_in(backend: Backend, protocol: str) -> None:
    """20,000 spans that eight threads make without a pause are 20,000 spans in Jaeger."""
    service = f"load-{protocol[:4]}"
    with sending(backend.endpoint(protocol), protocol, service_name=service) as (pipeline, _):
        run_in_threads(pipeline, TRACES // THREADS)
        assert pipeline.flush(FLUSH_TIMEOUT)
        assert pipeline.exported == SPANS
        assert pipeline.handler.open_runs == 0
    shown: list[FinishedSpan] = []

    def all_shown() -> bool:
        shown[:] = backend.jaeger.spans_of(service)
        return len(shown) >= SPANS

    wait_until(all_shown, "Jaeger shows all spans", ARRIVAL_TIMEOUT, pause=1.0)
    assert len({span.span_id for span in shown}) == len(shown) == SPANS
    assert len({span.trace_id for span in shown}) == TRACES


@pytest.mark.logs_warnings
def test_what_does_not_fit_the_queue_is_counted_and_said(
    launch: Launcher, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the collector hangs a small queue overflows; each span is in Jaeger or in one line."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32")
    jaeger = launch.jaeger()
    collector = launch.collector(export_to=jaeger.addresses["grpc"])
    query = Jaeger(jaeger.addresses["query"])
    endpoint = f"http://{collector.addresses['grpc']}"
    with sending(endpoint, "grpc", service_name="overflow") as (pipeline, ended):
        collector.hang()
        run_in_threads(pipeline, 10)
        collector.wake()
    made = THREADS * 10 * SPANS_A_TRACE
    assert len(ended()) == made > pipeline.exported > 0
    lost = f"{made - pipeline.exported} of {made} spans did not reach {endpoint}"
    assert len([record for record in caplog.records if lost in record.getMessage()]) == 1
    wait_until(
        lambda: len(query.spans_of("overflow")) == pipeline.exported,
        "Jaeger shows what was accepted",
    )
