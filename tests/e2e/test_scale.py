"""Agents, a gateway and two samplers, as `docker compose --profile scale` has them, natively."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from tests.e2e.jaeger import Jaeger
from tests.e2e.programs import wait_until
from tests.e2e.sending import sending
from tests.versions import needs_create_agent

pytest.importorskip("langchain_core", reason="the programs under test are LangChain's")
from langchain_core.runnables import RunnableLambda

if TYPE_CHECKING:
    from tests.e2e.programs import Launcher

TRACES = 300
SPANS_A_TRACE = 4
"""A request of one service, and a sequence of two steps in another."""
SLOW_S = 2.0
KEEP_PERCENT = 10
DECISION_WAIT_S = 5


def check(number: int) -> int:
    """Fail in every tenth trace."""
    if number % 10 == 0:
        raise ValueError(number)
    return number


def test_traces_with_errors_and_slow_ones_are_kept_whole(launch: Launcher) -> None:
    """Of traces whose spans come by two agents all failed and slow ones arrive, and some others."""
    jaeger = launch.jaeger()
    samplers = [
        launch.collector(
            "sampler.yaml",
            export_to=jaeger.addresses["grpc"],
            environment={
                "DECISION_WAIT": f"{DECISION_WAIT_S}s",
                "SLOW_MS": str(int(SLOW_S * 500)),
                "KEEP_PERCENT": str(KEEP_PERCENT),
            },
        )
        for _ in range(2)
    ]
    addresses = ", ".join(sampler.addresses["grpc"] for sampler in samplers)
    gateway = launch.collector("gateway.yaml", environment={"SAMPLERS": f"[{addresses}]"})
    agents = [launch.collector(export_to=gateway.addresses["grpc"]) for _ in range(2)]
    front_agent, back_agent = (f"http://{agent.addresses['grpc']}" for agent in agents)

    chain = RunnableLambda(check) | RunnableLambda(lambda number: number + 1)
    failed, slow = set(), set()
    with (
        sending(front_agent, "grpc", service_name="front") as (front, _),
        sending(back_agent, "grpc", service_name="back") as (back, _),
    ):
        tracer = front.tracer_provider.get_tracer("front")
        for number in range(1, TRACES + 1):
            start = time.time_ns() - (int(SLOW_S * 1e9) if number % 10 == 5 else 0)
            with tracer.start_as_current_span("request", start_time=start) as span:
                trace_id = trace.format_trace_id(span.get_span_context().trace_id)
                try:
                    chain.invoke(number, config={"callbacks": [back.handler]})
                except ValueError:
                    failed.add(trace_id)
                if number % 10 == 5:
                    slow.add(trace_id)
        assert back.flush()
        assert front.flush()
    assert len(failed) == len(slow) == TRACES / 10

    query = Jaeger(jaeger.addresses["query"])
    shown: Counter[str] = Counter()
    since = time.monotonic()

    def all_decided() -> bool:
        nonlocal since
        now = Counter(span.trace_id for span in query.spans_of("back"))
        if now != shown:
            shown.clear()
            shown.update(now)
            since = time.monotonic()
        return failed | slow <= set(shown) and time.monotonic() - since > 3

    wait_until(all_decided, "Jaeger shows the failed and the slow traces", 60.0, pause=0.5)
    # a failed sequence has no second step
    assert {trace_id: shown[trace_id] for trace_id in failed} == dict.fromkeys(
        failed, SPANS_A_TRACE - 1
    )
    others = set(shown) - failed
    assert {trace_id: shown[trace_id] for trace_id in others} == dict.fromkeys(
        others, SPANS_A_TRACE
    )
    rest = len(others - slow)
    assert 0 < rest < (TRACES - len(failed) - len(slow)) / 2, "about a tenth is kept of the rest"


@pytest.mark.parametrize("percent", [0, 100])
def test_the_share_of_the_rest_is_what_is_asked_for(launch: Launcher, percent: int) -> None:
    """With KEEP_PERCENT=0 no ordinary trace is kept, with 100 every one is."""
    jaeger = launch.jaeger()
    sampler = launch.collector(
        "sampler.yaml",
        export_to=jaeger.addresses["grpc"],
        environment={"DECISION_WAIT": "1s", "KEEP_PERCENT": str(percent)},
    )
    query = Jaeger(jaeger.addresses["query"])
    ordinary = 20
    with sending(f"http://{sampler.addresses['grpc']}", "grpc", service_name="one") as (
        pipeline,
        _,
    ):
        tracer = pipeline.tracer_provider.get_tracer("one")
        for _ in range(ordinary):
            tracer.start_span("ordinary").end()
        failed = tracer.start_span("failed")
        failed.set_status(trace.StatusCode.ERROR)
        failed.end()
        assert pipeline.flush()
    expected = {"failed": 1} | ({"ordinary": ordinary} if percent else {})
    wait_until(
        lambda: Counter(span.name for span in query.spans_of("one")) == expected,
        "Jaeger shows what was asked for",
    )


def test_what_the_docs_measure_by_arrives(launch: Launcher) -> None:
    """The requests of benchmarks.scaling are whole traces of their own, and CPU time is seen."""
    needs_create_agent()
    from benchmarks import scaling

    way = scaling.straight(launch)
    before = scaling.cpu(way.collectors)
    run = scaling.record(content=False)
    assert scaling.send(way.first, itertools.islice(scaling.copies(run), 2)) == 2
    query = Jaeger(way.jaeger.addresses["query"])
    shown: Counter[str] = Counter()

    def all_shown() -> bool:
        spans = query.spans_of(service_of(run))
        shown.clear()
        shown.update(span.trace_id for span in spans)
        return len(shown) == 2 * scaling.RUNS_A_REQUEST

    wait_until(all_shown, "Jaeger shows a trace for each run", 30.0, pause=0.5)
    assert set(shown.values()) == {len(run.resource_spans[0].scope_spans[0].spans)}
    assert scaling.cpu(way.collectors) > before


def service_of(request: Any) -> str:
    """The service's name in a request."""
    attributes = request.resource_spans[0].resource.attributes
    return next(pair.value.string_value for pair in attributes if pair.key == "service.name")
