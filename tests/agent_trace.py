"""A weather agent's run told once as a plain tree, made into SDK spans with fixed ids and times."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOON = 1_795_262_400_000_000_000
"""2026-11-21 12:00:00 UTC in nanoseconds."""

TRACEBACK = """Traceback (most recent call last):
  File "weather.py", line 12, in forecast
    raise TimeoutError("weather.example took too long")
TimeoutError: weather.example took too long
"""


@dataclass
class Node:
    """One span to be: times in milliseconds after the trace's start."""

    name: str
    start: float
    end: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    children: Sequence[Node] = ()
    kind: SpanKind = SpanKind.INTERNAL
    error: tuple[str, str] | None = None
    """Its error.type and message."""
    events: Sequence[tuple[str, float, Mapping[str, Any]]] = ()


class CountingIds(IdGenerator):
    """Ids that are the same in every run, and spread like real ones."""

    def __init__(self, seed: int = 7) -> None:
        self._random = Random(seed)  # noqa: S311 - the same ids in every run are the point

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) | 1

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) | 1

    def is_trace_id_random(self) -> bool:
        return False


def text(role: str, content: str) -> dict[str, Any]:
    """A message with one text part."""
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def chat(start: float, end: float, ask: Sequence[Any], answer: Any, **usage: int) -> Node:
    """A chat model call."""
    finish = "tool_call" if any(p["type"] == "tool_call" for p in answer["parts"]) else "stop"
    return Node(
        "chat gpt-5-mini",
        start,
        end,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5-mini",
            "gen_ai.response.model": "gpt-5-mini-2026-08-07",
            "gen_ai.request.temperature": 0.2,
            "gen_ai.response.finish_reasons": [finish],
            "langchain.run.type": "chat_model",
            "langchain.run.name": "ChatOpenAI",
            "langchain.run.outcome": "ok",
            "langgraph.node": "model",
            "gen_ai.response.time_to_first_chunk": 0.312,
            "gen_ai.tool.definitions": json.dumps(
                [
                    {"type": "function", "name": "forecast", "description": "The weather to come."},
                    {"type": "function", "name": "radar", "description": "The weather now."},
                ]
            ),
            **{f"gen_ai.usage.{name}_tokens": count for name, count in usage.items()},
            "gen_ai.input.messages": json.dumps(ask),
            "gen_ai.output.messages": json.dumps([{**answer, "finish_reason": finish}]),
        },
        kind=SpanKind.CLIENT,
    )


def tool(
    start: float, end: float, name: str, arguments: Any, result: str | None, **more: Any
) -> Node:
    """A tool call; no result means it failed."""
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": f"call_{name}",
        "gen_ai.tool.call.arguments": json.dumps(arguments),
        "langchain.run.type": "tool",
        "langchain.run.name": name,
    }
    if result is not None:
        attributes["gen_ai.tool.call.result"] = result
    return Node(f"execute_tool {name}", start, end, attributes, **more)


def weather_agent() -> Node:
    """An agent that looks things up, calls two tools, of which one fails, and answers."""
    system = text("system", "You are a weather assistant. Be brief and give degrees Celsius.")
    question = text("user", "Do I need an umbrella in Lisbon tomorrow, and what should I wear?")
    calls = {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "I need the forecast, and the packing guide."},
            {
                "type": "tool_call",
                "id": "call_forecast",
                "name": "forecast",
                "arguments": {"city": "Lisbon", "day": "tomorrow"},
            },
            {
                "type": "tool_call",
                "id": "call_radar",
                "name": "radar",
                "arguments": {"city": "Lisbon"},
            },
        ],
    }
    responses = [
        {
            "role": "tool",
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": "call_forecast",
                    "response": '{"high": 19, "low": 13, "rain": 0.7}',
                }
            ],
        },
        {
            "role": "tool",
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": "call_radar",
                    "response": "Error: weather.example took too long",
                }
            ],
        },
    ]
    answer = text(
        "assistant",
        "Yes, take an umbrella: there is a 70 % chance of rain.\n\n"
        "Wear layers: it will be between 13 and 19 °C, with a light breeze from the Tagus.",
    )
    documents = [
        {"id": "packing-7", "score": 0.91, "content": "Mild and wet: layers and a rain jacket."},
        {"id": "packing-2", "score": 0.64, "content": "Above 25 °C: light cotton, a hat."},
    ]
    exception = {
        "exception.type": "TimeoutError",
        "exception.message": "weather.example took too long",
        "exception.stacktrace": TRACEBACK,
    }
    http = {"http.request.method": "GET", "server.address": "weather.example"}
    return Node(
        "invoke_agent weather_assistant",
        0,
        4_210,
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "weather_assistant",
            "gen_ai.conversation.id": "thread-42",
            "gen_ai.usage.input_tokens": 1_268,
            "gen_ai.usage.output_tokens": 171,
            "langchain.run.type": "chain",
            "langchain.run.name": "weather_assistant",
            "langchain.run.outcome": "ok",
            "langchain.run.tags": ["demo", "lisbon"],
            "langchain.usage.input_tokens": 1_268,
            "langchain.usage.output_tokens": 171,
            "langchain.llm_calls": 2,
            "langchain.tool_calls": 2,
        },
        [
            Node(
                "model",
                4,
                1_480,
                {
                    "langchain.run.type": "chain",
                    "langgraph.node": "model",
                    "langgraph.step": 1,
                    "langchain.input": json.dumps({"messages": [system, question]}),
                    "langchain.output": json.dumps({"next": "tools"}),
                },
                [
                    chat(
                        9,
                        1_473,
                        [system, question],
                        calls,
                        **{"input": 512, "output": 88, "reasoning.output": 41},
                    )
                ],
            ),
            Node(
                "tools",
                1_486,
                2_890,
                {"langchain.run.type": "chain", "langgraph.node": "tools", "langgraph.step": 2},
                [
                    tool(
                        1_490,
                        2_104,
                        "forecast",
                        {"city": "Lisbon", "day": "tomorrow"},
                        '{"high": 19, "low": 13, "rain": 0.7}',
                        children=[
                            Node("GET", 1_502, 2_090, http, kind=SpanKind.CLIENT),
                        ],
                    ),
                    tool(
                        1_491,
                        2_886,
                        "radar",
                        {"city": "Lisbon"},
                        None,
                        error=("TimeoutError", "weather.example took too long"),
                        events=[("exception", 2_885, exception)],
                        children=[
                            Node("GET", 1_503, 2_880, http, kind=SpanKind.CLIENT),
                        ],
                    ),
                ],
            ),
            Node(
                "retrieval packing-guide",
                2_894,
                3_020,
                {
                    "gen_ai.operation.name": "retrieval",
                    "gen_ai.data_source.id": "packing-guide",
                    "gen_ai.retrieval.top_k": 2,
                    "gen_ai.retrieval.query.text": "what to wear at 13 to 19 °C with rain",
                    "gen_ai.retrieval.documents": json.dumps(documents),
                    "langchain.run.type": "retriever",
                },
                kind=SpanKind.CLIENT,
            ),
            Node(
                "model",
                3_026,
                4_205,
                {"langchain.run.type": "chain", "langgraph.node": "model", "langgraph.step": 3},
                [
                    chat(
                        3_031,
                        4_199,
                        [system, question, calls, *responses],
                        answer,
                        **{"input": 756, "output": 83, "cache_read.input": 512},
                    )
                ],
            ),
        ],
    )


def build(
    *roots: Node, begin_ns: int = NOON, apart_ms: float = 60_000, seed: int = 7
) -> list[ReadableSpan]:
    """Make SDK spans of trees, each a trace of its own, begun ``apart_ms`` after the one before."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(
        id_generator=CountingIds(seed),
        resource=Resource({"service.name": "weather", "service.version": "1.4.0"}),
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attributes=1_000),
    )
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("lc_otel", "0.1.0")
    for number, root in enumerate(roots):
        zero = begin_ns + int(number * apart_ms * 1e6)
        for span, node in _start(root, None, zero, tracer):
            for name, at, attributes in node.events:
                span.add_event(name, attributes, zero + int(at * 1e6))
            if node.error:
                span.set_attribute("error.type", node.error[0])
                span.set_status(Status(StatusCode.ERROR, node.error[1]))
            span.end(zero + int(node.end * 1e6))
    return list(memory.get_finished_spans())


def _start(node: Node, parent: Any, zero: int, tracer: Any) -> Iterator[tuple[Any, Node]]:
    span = tracer.start_span(
        node.name,
        None if parent is None else set_span_in_context(parent),
        node.kind,
        node.attributes,
        start_time=zero + int(node.start * 1e6),
    )
    for child in node.children:
        yield from _start(child, span, zero, tracer)
    yield span, node
