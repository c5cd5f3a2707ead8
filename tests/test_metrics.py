"""What is measured of runs, read back through the SDK's in-memory reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from opentelemetry import metrics
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from lc_otel import Config, OTelCallbackHandler
from lc_otel._metrics import Meter
from tests.telemetry import Telemetry, answer

if TYPE_CHECKING:
    from collections.abc import Sequence

OPENAI = {
    "metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o"},
    "serialized": {"kwargs": {"openai_api_base": "http://llm.test:8080/v1"}, "name": "ChatOpenAI"},
}
USED = {
    "usage_metadata": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17},
    "response_metadata": {"model_name": "gpt-4o-2026", "finish_reason": "stop"},
}
CLIENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2026",
    "server.address": "llm.test",
    "server.port": 8080,
}


def only(points: Sequence[Any]) -> Any:
    """The only point of a metric."""
    (point,) = points
    return point


def seconds(span: Any) -> float:
    """How long a span took."""
    return (span.end_time - span.start_time) / 1e9


def test_a_model_call_is_timed_and_its_tokens_counted() -> None:
    """Duration and tokens are the span's own, under the same attributes."""
    telemetry = Telemetry()
    telemetry.chat(["hi"], answer(USED), **OPENAI)
    points = telemetry.points
    duration = only(points["gen_ai.client.operation.duration"])
    assert duration.sum == pytest.approx(seconds(telemetry.span), abs=1e-9)
    assert dict(duration.attributes) == CLIENT
    tokens = {
        point.attributes["gen_ai.token.type"]: point
        for point in points["gen_ai.client.token.usage"]
    }
    span = telemetry.attributes
    assert tokens["input"].sum == span["gen_ai.usage.input_tokens"] == 12
    assert tokens["output"].sum == span["gen_ai.usage.output_tokens"] == 5
    assert dict(tokens["input"].attributes) == {**CLIENT, "gen_ai.token.type": "input"}


def test_units_and_buckets_are_the_conventions() -> None:
    """Dashboards that were built for OpenTelemetry's own instrumentations fit."""
    telemetry = Telemetry()
    telemetry.chat(["hi"], answer(USED), **OPENAI)
    duration = telemetry.metrics["gen_ai.client.operation.duration"]
    tokens = telemetry.metrics["gen_ai.client.token.usage"]
    assert (duration.unit, tokens.unit) == ("s", "{token}")
    bounds = duration.data.data_points[0].explicit_bounds
    assert bounds == pytest.approx(
        (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    )
    assert tokens.data.data_points[0].explicit_bounds == tuple(4**power for power in range(14))


def test_an_error_says_its_type_and_counts_no_tokens() -> None:
    """A failed call is a duration with error.type."""
    telemetry = Telemetry()
    telemetry.chat(["hi"], error=TimeoutError("late"), **OPENAI)
    duration = only(telemetry.points["gen_ai.client.operation.duration"])
    assert duration.attributes["error.type"] == "TimeoutError"
    assert "gen_ai.client.token.usage" not in telemetry.points


def test_a_streamed_answer_is_timed_by_chunks() -> None:
    """Time to the first chunk once, time from each chunk to the next as often as there is one."""
    telemetry = Telemetry()
    run_id = uuid4()
    handler = telemetry.handler
    handler.on_chat_model_start({"name": "Chat"}, [["hi"]], run_id=run_id)
    for _ in range(4):
        handler.on_llm_new_token("x", run_id=run_id)
    handler.on_llm_end(answer(USED), run_id=run_id)
    points = telemetry.points
    first = only(points["gen_ai.client.operation.time_to_first_chunk"])
    assert first.sum == telemetry.attributes["gen_ai.response.time_to_first_chunk"]
    assert telemetry.attributes["langchain.stream.chunks"] == 4
    assert only(points["gen_ai.client.operation.time_per_output_chunk"]).count == 3


def test_an_answer_in_one_piece_has_no_chunk_times() -> None:
    """Streaming metrics are of streams alone."""
    telemetry = Telemetry()
    telemetry.chat(["hi"], answer(USED), **OPENAI)
    assert not [name for name in telemetry.points if "chunk" in name]


def test_tools_agents_and_workflows_are_timed_under_their_names() -> None:
    """Each has a histogram of its own; steps between them have none."""
    telemetry = Telemetry()
    handler = telemetry.handler
    root, agent, step = uuid4(), uuid4(), uuid4()
    handler.on_chain_start({}, {}, run_id=root, name="flow")
    mark = {"ls_integration": "langchain_create_agent", "lc_agent_name": "helper"}
    handler.on_chain_start({}, {}, run_id=agent, parent_run_id=root, name="g", metadata=mark)
    handler.on_chain_start({}, {}, run_id=step, parent_run_id=agent, name="s", metadata=mark)
    telemetry.tool({}, "3", parent_run_id=step)
    for run_id in (step, agent, root):
        handler.on_chain_end({}, run_id=run_id)
    assert {name: dict(only(points).attributes) for name, points in telemetry.points.items()} == {
        "gen_ai.execute_tool.duration": {
            "gen_ai.tool.name": "add",
            "gen_ai.agent.name": "helper",
        },
        "gen_ai.invoke_agent.duration": {"gen_ai.agent.name": "helper"},
        "gen_ai.invoke_workflow.duration": {"gen_ai.workflow.name": "flow"},
    }


def test_the_drafts_names_are_one_switch_away() -> None:
    """`metric_names="draft"` sends what the conventions' newest draft calls them."""
    telemetry = Telemetry(Config(metric_names="draft"))
    telemetry.chain({}, {}, name="flow")
    telemetry.chat(["hi"], answer(USED), **OPENAI)
    points = telemetry.points
    assert set(points) == {
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.invocation.duration",
    }
    assert dict(only(points["gen_ai.client.inference.usage.input_tokens"]).attributes) == CLIENT
    assert dict(only(points["gen_ai.invocation.duration"]).attributes) == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.invocation.is_nested": False,
        "gen_ai.workflow.name": "flow",
    }


def test_a_cache_hit_is_not_measured() -> None:
    """LangChain's own cache answered: no model was called, no token spent."""
    telemetry = Telemetry()
    hit = {**USED, "usage_metadata": {**USED["usage_metadata"], "total_cost": 0}}
    telemetry.chat(["hi"], answer(hit), **OPENAI)
    assert telemetry.attributes["langchain.llm.cached"] is True
    assert telemetry.points == {}


def test_runs_that_are_not_sampled_are_measured_all_the_same() -> None:
    """Metrics count what happened, not what was kept of it."""
    telemetry = Telemetry(sampler=ALWAYS_OFF)
    telemetry.chat(["hi"], answer(USED), **OPENAI)
    assert telemetry.spans == ()
    assert only(telemetry.points["gen_ai.client.operation.duration"]).count == 1


def test_a_suppressed_run_is_not_measured() -> None:
    """Who suppresses instrumentation suppresses all of it."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    telemetry = Telemetry()
    with suppress_instrumentation():
        telemetry.chat(["hi"], answer(USED), **OPENAI)
    assert telemetry.points == {}


def test_exemplars_link_to_the_span() -> None:
    """The SDK's exemplars of sampled spans carry their ids."""
    telemetry = Telemetry()
    telemetry.chat(["hi"], answer(USED), **OPENAI)
    exemplar = only(only(telemetry.points["gen_ai.client.operation.duration"]).exemplars)
    context = telemetry.span.get_span_context()
    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)


@pytest.mark.parametrize("provider", [metrics.NoOpMeterProvider(), _ProxyMeterProvider()])
def test_without_a_meter_provider_nothing_is_made(provider: Any) -> None:
    """The API's stand-in, and a provider that does nothing, take no measurements."""
    assert not Meter(provider, "current", lambda what, error: pytest.fail(what)).is_on


class _BrokenProvider:
    """A meter provider that makes no meter."""

    def get_meter(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken")


@pytest.mark.logs_warnings("the meter provider is broken")
def test_a_broken_meter_does_not_cost_the_span(caplog: pytest.LogCaptureFixture) -> None:
    """What fails in a meter provider is said once, and the span ends as ever."""
    telemetry = Telemetry()
    handler = OTelCallbackHandler(telemetry.tracer_provider, _BrokenProvider())
    for _ in range(2):
        run_id = uuid4()
        handler.on_tool_start({"name": "add"}, "", run_id=run_id)
        handler.on_tool_end("3", run_id=run_id)
    assert [span.attributes["langchain.run.outcome"] for span in telemetry.spans] == ["ok", "ok"]
    assert caplog.text.count("could not record metrics") == 1


def test_a_retrieval_is_timed() -> None:
    """A retriever's call is a client operation too."""
    telemetry = Telemetry()
    telemetry.retriever("q", [])
    duration = only(telemetry.points["gen_ai.client.operation.duration"])
    assert dict(duration.attributes) == {"gen_ai.operation.name": "retrieval"}
