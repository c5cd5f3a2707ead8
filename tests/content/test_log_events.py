"""The log event that tells a model call with its content, in the EVENT modes."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from lc_otel import Config
from tests.telemetry import Telemetry, answer
from tests.versions import at_least

QUESTION = {"type": "human", "content": "why?"}
ANSWER = {
    "type": "ai",
    "content": "because",
    "usage_metadata": {"input_tokens": 3, "output_tokens": 2},
    "response_metadata": {"finish_reason": "stop", "model_name": "gpt-4o-2026"},
}
ASKED: dict[str, Any] = {
    "metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o", "ls_temperature": 0.5},
    "invocation_params": {
        "instructions": "be brief",
        "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
    },
}
INPUT = [{"role": "user", "parts": [{"type": "text", "content": "why?"}]}]
OUTPUT = [
    {
        "role": "assistant",
        "parts": [{"type": "text", "content": "because"}],
        "finish_reason": "stop",
    }
]


@pytest.mark.parametrize(
    ("mode", "on_span", "in_event"),
    [(False, False, False), ("span", True, False), ("event", False, True), ("both", True, True)],
)
def test_each_mode_puts_content_where_it_says(mode: Any, on_span: bool, in_event: bool) -> None:
    """NO_CONTENT, SPAN_ONLY, EVENT_ONLY and SPAN_AND_EVENT."""
    telemetry = Telemetry(Config(capture_content=mode))
    telemetry.chat([QUESTION], answer(ANSWER), **ASKED)
    assert ("gen_ai.input.messages" in telemetry.attributes) is on_span
    assert bool(telemetry.logs) is in_event


def test_the_event_tells_the_call_with_structured_content() -> None:
    """Its attributes are the span's, and its messages are structures, not JSON."""
    telemetry = Telemetry(Config(capture_content="event"))
    telemetry.chat([QUESTION], answer(ANSWER), **ASKED)
    (event,) = telemetry.logs
    assert event.event_name == "gen_ai.client.inference.operation.details"
    attributes = dict(event.attributes)
    content = {
        "gen_ai.input.messages": INPUT,
        "gen_ai.output.messages": OUTPUT,
        "gen_ai.system_instructions": [{"type": "text", "content": "be brief"}],
        "gen_ai.tool.definitions": [{"type": "function", "name": "add", "parameters": {}}],
    }
    for name, said in content.items():
        assert _plain(attributes.pop(name)) == said
    span = {k: v for k, v in telemetry.attributes.items() if k.startswith(("gen_ai.", "server."))}
    assert attributes == span


@pytest.mark.parametrize(
    ("takes_mixed_lists", "told"), [(True, ([1, "a"], [2, 3])), (False, ('[1,"a"]', [2, 3]))]
)
def test_lists_of_several_types_survive_an_api_that_drops_them(
    takes_mixed_lists: bool, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry before 1.45 leaves out such a list; as JSON it is kept."""
    if takes_mixed_lists and not at_least("opentelemetry-api", "1.45"):
        pytest.skip("this OpenTelemetry drops them")
    monkeypatch.setattr("lc_otel._logs._TAKES_MIXED_LISTS", takes_mixed_lists)
    call = {"name": "add", "args": {"mixed": [1, "a"], "plain": [2, 3]}, "id": "c1"}
    telemetry = Telemetry(Config(capture_content="event"))
    telemetry.chat([QUESTION], answer({"type": "ai", "content": "", "tool_calls": [call]}))
    (event,) = telemetry.logs
    (message,) = _plain(event.attributes["gen_ai.output.messages"])
    (part,) = message["parts"]
    assert (part["arguments"]["mixed"], part["arguments"]["plain"]) == told


@pytest.mark.parametrize("depth", [10, 100])
def test_a_deep_nest_does_not_cost_the_other_events(depth: int) -> None:
    """Decoders of protobuf refuse a whole batch over it, so what lies deep is JSON."""
    nested: Any = "leaf"
    for _ in range(depth):
        nested = {"in": nested}
    call = {"name": "add", "args": nested, "id": "c1"}
    schema = {"type": "function", "name": "f", "parameters": nested}
    telemetry = Telemetry(Config(capture_content="event", redact=lambda _, value: value))
    telemetry.chat(
        [QUESTION],
        answer({"type": "ai", "content": "", "tool_calls": [call]}),
        invocation_params={"tools": [schema]},
    )
    (event,) = telemetry.logs
    assert telemetry.encoded()
    (message,) = _plain(event.attributes["gen_ai.output.messages"])
    assert '{"in":' in str(message) if depth > 24 else "leaf" in str(message)


def test_the_event_belongs_to_the_span() -> None:
    """It carries the ids of the model call's span, and weighs as little as the conventions ask."""
    telemetry = Telemetry(Config(capture_content="event"))
    telemetry.chat([QUESTION], answer(ANSWER), **ASKED)
    (event,) = telemetry.logs
    assert event.severity_number is SeverityNumber.DEBUG
    context = telemetry.span.get_span_context()
    assert (event.trace_id, event.span_id) == (context.trace_id, context.span_id)


def test_content_is_redacted_once_for_span_and_event() -> None:
    """Both tell what redaction returned, which is asked once a piece."""
    kinds: list[str] = []

    def redact(kind: str, value: Any) -> Any:
        kinds.append(kind)
        return "gone" if kind == "input_messages" else value

    telemetry = Telemetry(Config(capture_content="both", redact=redact))
    telemetry.chat([QUESTION], answer(ANSWER), **ASKED)
    assert sorted(kinds) == [
        "input_messages",
        "output_messages",
        "system_instructions",
        "tool_definitions",
    ]
    assert telemetry.attributes["gen_ai.input.messages"] == '"gone"'
    assert telemetry.logs[0].attributes["gen_ai.input.messages"] == "gone"


def test_a_failed_call_is_told_too() -> None:
    """What it was asked, and its error's type."""
    telemetry = Telemetry(Config(capture_content="event"))
    telemetry.chat([QUESTION], error=TimeoutError("s3cret"), **ASKED)
    (event,) = telemetry.logs
    assert event.attributes["error.type"] == "TimeoutError"
    assert b"s3cret" not in telemetry.encoded()


def test_chains_and_tools_have_no_event() -> None:
    """The conventions know the event of inference alone; nothing else is read for it."""
    telemetry = Telemetry(Config(capture_content="event"))
    telemetry.chain({"a": "s3cret"}, "s3cret")
    telemetry.tool({"a": "s3cret"}, "s3cret")
    assert telemetry.logs == []
    assert b"s3cret" not in telemetry.encoded()


def test_an_unsampled_call_has_no_event() -> None:
    """Nothing is read for a span that is not kept."""
    telemetry = Telemetry(Config(capture_content="event"), sampler=ALWAYS_OFF)
    telemetry.chat([QUESTION], answer(ANSWER), **ASKED)
    assert telemetry.logs == []


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    return value
