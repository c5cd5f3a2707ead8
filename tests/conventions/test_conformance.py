"""Every span against the GenAI attribute registry: facts in tests/data/genai-registry.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, SamplingResult

pytest.importorskip("langchain_core")

from lc_otel import Config
from lc_otel.conventions import genai
from tests.content.test_privacy import SCENARIOS
from tests.telemetry import Telemetry, answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.trace import ReadableSpan

REGISTRY = json.loads((Path(__file__).parents[1] / "data" / "genai-registry.json").read_text())
ATTRIBUTES: Mapping[str, Any] = REGISTRY["attributes"]

TYPES: Mapping[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "double": lambda value: type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "string[]": lambda value: (
        isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value)
    ),
    "any": lambda value: isinstance(value, str),  # of spans: JSON, or a text
}

EXPECTED: Mapping[str, str] = {
    # violation -> why it is one
    "invoke_agent lacks gen_ai.provider.name": (
        "An agent may call several models, and LangChain does not say which; a guess would be "
        "worse than the gap."
    ),
}


def violations(span: ReadableSpan, at_creation: Mapping[str, Any]) -> Iterator[str]:
    """What the registry has against a span."""
    attributes = dict(span.attributes or {})
    operation = attributes.get("gen_ai.operation.name")
    for name, value in attributes.items():
        yield from _violations_of_value(name, value)
    if operation is not None:
        yield from _violations_of_kind(span, operation, attributes, at_creation)


def _violations_of_value(name: str, value: Any) -> Iterator[str]:
    if name in REGISTRY["deprecated"]:
        yield f"{name} is deprecated"
    elif name in ATTRIBUTES:
        fact = ATTRIBUTES[name]
        if not TYPES[fact["type"]](value):
            yield f"{name} is {value!r}, no {fact['type']}"
        if value not in fact.get("values", [value]):
            yield f"{name} is {value!r}, which is not listed"
    elif name.startswith("gen_ai."):
        yield f"{name} is not in the registry"


def _violations_of_kind(
    span: ReadableSpan, operation: Any, attributes: dict[str, Any], at_creation: Mapping[str, Any]
) -> Iterator[str]:
    fact = REGISTRY["spans"][operation]
    if span.kind.name.lower() != fact["kind"]:
        yield f"{operation} is of kind {span.kind}"
    failed = span.status.status_code.name == "ERROR"
    required = fact["required"] + (fact["required_on_error"] if failed else [])
    yield from (f"{operation} lacks {name}" for name in required if name not in attributes)
    foreign = set(attributes) & set(ATTRIBUTES) - {*fact["allowed"], *fact["required"]}
    yield from (f"{operation} carries {name}, which is not of its kind" for name in foreign)
    late = set(attributes) & set(fact["at_creation"]) - set(at_creation)
    yield from (f"{operation} has no {name} when samplers look" for name in late)
    subject = attributes.get(fact["name"])
    if span.name != (f"{operation} {subject}" if subject else operation):
        yield f"{operation} is called {span.name!r}"


class Watching(Sampler):
    """Keeps every span, and what each had at its creation."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Any]] = []

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        attributes = kwargs.get("attributes") or args[4]
        self.seen.append(dict(attributes or {}))
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return ALWAYS_ON.get_description()

    def of(self, span: ReadableSpan) -> Mapping[str, Any]:
        """What a span had at its creation."""
        run_id = (span.attributes or {})["langchain.run.id"]
        (found,) = [seen for seen in self.seen if seen.get("langchain.run.id") == run_id]
        return found


def everything(config: Any) -> None:
    """A model call that is asked and answers with all that LangChain can know of one."""
    telemetry = config["telemetry"]
    telemetry.chat(
        [{"type": "human", "content": "hi"}],
        answer(
            {
                "type": "ai",
                "content": "ho",
                "id": "chatcmpl-1",
                "usage_metadata": {
                    "input_tokens": 9,
                    "output_tokens": 5,
                    "input_token_details": {"cache_read": 2, "cache_creation": 3, "audio": 1},
                    "output_token_details": {"reasoning": 4, "audio": 1},
                },
                "response_metadata": {"model_name": "gpt-4o-2026", "finish_reason": "stop"},
            }
        ),
        serialized={"name": "ChatOpenAI", "kwargs": {"openai_api_base": "http://llm.test:81/v1"}},
        metadata={"ls_provider": "openai", "ls_model_name": "gpt-4o", "thread_id": "t1"},
        invocation_params={
            "temperature": 1,
            "top_p": 1,
            "top_k": 40,
            "n": 2,
            "seed": 7,
            "stop": ["a"],
            "max_tokens": 10,
            "frequency_penalty": 0,
            "presence_penalty": 0,
            "stream": True,
            "response_format": {"type": "json_schema"},
            "reasoning_effort": "low",
            "instructions": "be brief",
            "tools": [{"type": "function", "function": {"name": "add"}}],
        },
    )


def agent(config: Any) -> None:
    """An agent inside a workflow, with a model, a tool and a retriever inside."""
    from uuid import uuid4

    telemetry = config["telemetry"]
    handler = telemetry.handler
    root, inner = uuid4(), uuid4()
    mark = {"ls_integration": "langchain_create_agent", "lc_agent_name": "helper"}
    handler.on_chain_start({}, {"messages": [("user", "hi")]}, run_id=root, name="flow")
    handler.on_chain_start(
        {},
        {"messages": [("user", "hi")]},
        run_id=inner,
        parent_run_id=root,
        name="g",
        metadata=mark,
    )
    telemetry.tool({"a": 1}, "3", parent_run_id=inner, tool_call_id="c1")
    telemetry.retriever("q", [{"page_content": "text", "metadata": {}}], parent_run_id=inner)
    telemetry.chat([("user", "hi")], parent_run_id=inner, error=RuntimeError("late"))
    handler.on_chain_error(RuntimeError("late"), run_id=inner)
    handler.on_chain_end({"messages": [("user", "hi"), ("ai", "ho")]}, run_id=root)


@pytest.mark.parametrize("content", [False, True], ids=["without content", "with content"])
@pytest.mark.parametrize("scenario", [*SCENARIOS, everything, agent], ids=lambda s: s.__name__)
def test_spans_conform_to_the_registry(scenario: Any, content: bool) -> None:
    """Required attributes are there, none is deprecated, unknown, of a wrong type or value."""
    sampler = Watching()
    telemetry = Telemetry(Config(capture_content=content), sampler=sampler)
    scenario({"callbacks": [telemetry.handler], "telemetry": telemetry})
    found = {
        violation for span in telemetry.spans for violation in violations(span, sampler.of(span))
    }
    assert found - set(EXPECTED) == set()


def test_everything_langchain_knows_is_told() -> None:
    """A call asked with every parameter has every attribute of inference but those listed."""
    telemetry = Telemetry(Config(capture_content=True))
    everything({"telemetry": telemetry})
    missing = set(REGISTRY["spans"]["chat"]["allowed"]) - set(telemetry.attributes)
    assert missing == {
        "error.type",  # it did not fail
        "gen_ai.agent.name",  # it is not inside an agent
        "gen_ai.prompt.name",  # no prompt template stood before it
        "gen_ai.prompt.version",
        "gen_ai.response.time_to_first_chunk",  # no chunk came
        "gen_ai.usage.text.input_tokens",  # the provider does not report these
        "gen_ai.usage.image.input_tokens",
        "gen_ai.usage.text.output_tokens",
        "gen_ai.usage.image.output_tokens",
    }


def test_an_expected_violation_is_one() -> None:
    """An exception that is no longer needed is taken out."""
    sampler = Watching()
    telemetry = Telemetry(sampler=sampler)
    agent({"telemetry": telemetry})
    found = {v for span in telemetry.spans for v in violations(span, sampler.of(span))}
    assert found == set(EXPECTED)


@pytest.mark.parametrize(
    ("attributes", "violation"),
    [
        ({"gen_ai.system": "openai"}, "gen_ai.system is deprecated"),
        ({"gen_ai.nonsense": 1}, "gen_ai.nonsense is not in the registry"),
        ({"gen_ai.request.seed": 1.0}, "gen_ai.request.seed is 1.0, no int"),
        ({"gen_ai.output.type": "xml"}, "gen_ai.output.type is 'xml', which is not listed"),
        (
            {"gen_ai.tool.name": "x"},
            "chat carries gen_ai.tool.name, which is not of its kind",
        ),
    ],
)
def test_the_check_can_fail(attributes: dict[str, Any], violation: str) -> None:
    """Each rule finds what it is for."""
    telemetry = Telemetry()
    provider = telemetry.tracer_provider
    span = provider.get_tracer("t").start_span("chat", attributes={"gen_ai.operation.name": "chat"})
    span.set_attributes(attributes)
    span.end()
    found = set(violations(telemetry.span, {"gen_ai.operation.name": "chat"}))
    assert violation in found
    assert "chat lacks gen_ai.provider.name" in found


def test_the_tables_name_nothing_the_registry_does_not_know() -> None:
    """Every GenAI name in the tables is the registry's."""
    named = {
        *genai.PARAMS.values(),
        *genai.REQUEST.values(),
        *genai.USAGE.values(),
        *genai.LISTS.values(),
        *genai.TEXTS.values(),
        *(attribute for rows in genai.START.values() for _, attribute in rows),
    }
    assert named - set(ATTRIBUTES) == set()
