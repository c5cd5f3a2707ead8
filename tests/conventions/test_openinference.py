"""What OpenInference's readers (Phoenix, Arize) find on a span."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lc_otel import Config
from lc_otel.conventions.openinference import MAX_FLAT
from tests.telemetry import Telemetry, answer

ALONE = Config(capture_content=True, conventions=("openinference",))
BOTH = Config(capture_content=True, conventions=("genai", "openinference"))

SYSTEM = {"type": "system", "content": "be kind"}
HUMAN = {"type": "human", "content": "add 1 and 2"}
CALL = {
    "type": "ai",
    "content": "let me see",
    "tool_calls": [{"name": "add", "args": {"a": 1}, "id": "c1"}],
    "usage_metadata": {"input_tokens": 9, "output_tokens": 4},
    "response_metadata": {"model_name": "gpt-4o-2026", "finish_reason": "tool_calls"},
}
RESULT = {"type": "tool", "content": "3", "tool_call_id": "c1"}
ASKED: dict[str, Any] = {
    "metadata": {
        "ls_provider": "azure",
        "ls_model_name": "gpt-4o",
        "thread_id": "t1",
        "user_id": 7,
    },
    "tags": ["blue"],
    "invocation_params": {
        "temperature": 0.5,
        "stop": ["END"],
        "tools": [
            {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
        ],
    },
}


def test_a_model_call_shows_messages_tools_tokens_and_session() -> None:
    """Every message and call has an attribute of its own, beside the whole in input and output."""
    telemetry = Telemetry(ALONE)
    telemetry.chat([SYSTEM, HUMAN], answer(CALL), **ASKED)
    told = {
        key: value
        for key, value in telemetry.attributes.items()
        if not key.startswith(("langchain.", "input.", "output."))
    }
    assert told == {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-2026",
        "llm.provider": "azure",
        "llm.system": "openai",
        "llm.invocation_parameters": '{"temperature":0.5,"stop":["END"]}',
        "llm.tools.0.tool.json_schema": (
            '{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}'
        ),
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "be kind",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": "add 1 and 2",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "let me see",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "add",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"a":1}',
        "llm.output_messages.0.message.finish_reason": "tool_call",
        "llm.finish_reason": "tool_calls",
        "llm.token_count.prompt": 9,
        "llm.token_count.completion": 4,
        "llm.token_count.total": 13,
        "session.id": "t1",
        "user.id": "7",
        "tag.tags": ("blue",),
    }


def test_alone_it_writes_no_genai_attribute_but_keeps_names_and_kinds() -> None:
    """A span's name and kind are lc_otel's whatever the convention."""
    telemetry = Telemetry(ALONE)
    telemetry.chat([HUMAN], answer(CALL), **ASKED)
    assert telemetry.span.name == "chat gpt-4o"
    assert telemetry.span.kind.name == "CLIENT"
    assert not [key for key in telemetry.attributes if key.startswith("gen_ai.")]


def test_beside_genai_it_takes_nothing_away() -> None:
    """With both conventions a span says all that either alone would."""
    spans = []
    for conventions in (("genai",), ("openinference",), ("genai", "openinference")):
        telemetry = Telemetry(Config(capture_content=True, conventions=conventions))
        telemetry.chat([SYSTEM, HUMAN], answer(CALL), **ASKED)
        attributes = telemetry.attributes
        del attributes["langchain.run.id"]
        spans.append(attributes)
    genai, openinference, both = spans
    assert both == {**genai, **openinference}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (RESULT, {"role": "tool", "tool_call_id": "c1", "content": "3"}),
        (
            {"type": "human", "content": "hi", "name": "Ann"},
            {"role": "user", "name": "Ann", "content": "hi"},
        ),
        (
            {
                "type": "human",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                ],
            },
            {
                "role": "user",
                "contents.0.message_content.type": "text",
                "contents.0.message_content.text": "look",
                "contents.1.message_content.type": "image",
                "contents.1.message_content.image.image.url": "https://x.test/a.png",
            },
        ),
        (
            {"type": "ai", "content": [{"type": "thinking", "thinking": "hm"}]},
            {
                "role": "assistant",
                "contents.0.message_content.type": "reasoning",
                "contents.0.message_content.text": "hm",
            },
        ),
        ({"type": "ai", "content": ""}, {"role": "assistant"}),
    ],
    ids=["tool", "name", "image", "reasoning", "empty"],
)
def test_each_kind_of_message_is_flattened(message: Any, told: dict[str, Any]) -> None:
    """Text, images, reasoning and tool answers stand where OpenInference looks for them."""
    telemetry = Telemetry(ALONE)
    telemetry.chat([message], answer(CALL))
    prefix = "llm.input_messages.0.message."
    flat = {
        key.removeprefix(prefix): value
        for key, value in telemetry.attributes.items()
        if key.startswith(prefix)
    }
    assert flat == told


def test_what_cannot_be_encoded_costs_nothing_else() -> None:
    """A lone surrogate in a parameter is replaced, and kind and content are told."""
    telemetry = Telemetry(Config(conventions=("openinference",), capture_content=True))
    telemetry.chat(
        [{"role": "user", "content": "hi"}],
        {"generations": [[]]},
        invocation_params={"stop": ["\ud800"]},
    )
    attributes = telemetry.attributes
    assert attributes["openinference.span.kind"] == "LLM"
    assert json.loads(attributes["llm.invocation_parameters"]) == {"stop": ["\ufffd"]}
    assert attributes["llm.input_messages.0.message.content"] == "hi"


def test_a_captured_image_is_shown_as_one() -> None:
    """By a data URL, which Phoenix draws."""
    image = {"type": "image", "base64": "QUJD", "mime_type": "image/png"}
    config = Config(conventions=("openinference",), capture_content=True, capture_binary=True)
    telemetry = Telemetry(config)
    telemetry.chat([{"role": "user", "content": [image]}], {"generations": [[]]})
    prefix = "llm.input_messages.0.message.contents.0.message_content"
    told = {
        key.removeprefix(f"{prefix}."): value
        for key, value in telemetry.attributes.items()
        if key.startswith(prefix)
    }
    assert told == {"type": "image", "image.image.url": "data:image/png;base64,QUJD"}


def test_documents_have_an_id_and_a_score_always() -> None:
    """Phoenix drops a document without them; position and 0.0 stand in."""
    telemetry = Telemetry(ALONE)
    documents = [
        {"page_content": "one", "id": "d1", "metadata": {"score": 0.9, "source": "a"}},
        {"page_content": "two", "metadata": {}},
    ]
    telemetry.retriever("q", documents)
    told = {k: v for k, v in telemetry.attributes.items() if k.startswith("retrieval.")}
    assert told == {
        "retrieval.documents.0.document.id": "d1",
        "retrieval.documents.0.document.score": 0.9,
        "retrieval.documents.0.document.content": "one",
        "retrieval.documents.0.document.metadata": '{"score":0.9,"source":"a"}',
        "retrieval.documents.1.document.id": "1",
        "retrieval.documents.1.document.score": 0.0,
        "retrieval.documents.1.document.content": "two",
    }
    assert telemetry.attributes["input.value"] == "q"
    assert telemetry.attributes["input.mime_type"] == "text/plain"


def test_a_tool_shows_its_parameters_and_result() -> None:
    """A tool's span has name, description, id, parameters and output."""
    telemetry = Telemetry(ALONE)
    telemetry.tool({"a": 1}, {"sum": 3}, tool_call_id="c1")
    told = telemetry.attributes
    assert told["openinference.span.kind"] == "TOOL"
    assert (told["tool.name"], told["tool.description"], told["tool.id"]) == ("add", "adds", "c1")
    assert told["tool.parameters"] == told["input.value"] == '{"a":1}'
    assert told["output.value"] == '{"sum":3}'
    assert told["output.mime_type"] == "application/json"


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        ({"name": "flow"}, "CHAIN"),
        ({"name": "g", "metadata": {"ls_integration": "langchain_create_agent"}}, "AGENT"),
        ({"name": "p", "run_type": "prompt", "parent_run_id": "x"}, "PROMPT"),
    ],
)
def test_chains_agents_and_prompts_have_their_kinds(start: dict[str, Any], kind: str) -> None:
    """Phoenix gives invoke_workflow no kind of its own, so each span says it."""
    from uuid import uuid4

    if "parent_run_id" in start:
        start = {**start, "parent_run_id": uuid4()}
    telemetry = Telemetry(ALONE)
    telemetry.chain({}, {}, **start)
    assert telemetry.attributes["openinference.span.kind"] == kind


def test_a_long_conversation_does_not_push_the_core_out() -> None:
    """The SDK drops the oldest of more than 128 attributes, so the parts told are bounded."""
    telemetry = Telemetry(BOTH)
    history = [{"type": "human", "content": f"message {n}"} for n in range(200)]
    tools = [{"type": "function", "function": {"name": f"t{n}"}} for n in range(100)]
    telemetry.chat(
        history, answer(CALL), **{**ASKED, "invocation_params": {"tools": tools, "n": 2}}
    )
    told = telemetry.attributes
    assert telemetry.span.dropped_attributes == 0
    assert told["gen_ai.operation.name"] == "chat"
    assert told["openinference.span.kind"] == "LLM"
    flat = [key for key in told if key.startswith("llm.input_messages.")]
    assert len(flat) == MAX_FLAT["input_messages"]
    assert told["llm.input_messages.0.message.content"] == "message 0"
    assert told[f"llm.input_messages.{len(flat) // 2 - 1}.message.content"] == "message 199"


def test_the_most_attributes_a_span_can_have_are_within_the_sdks_limit() -> None:
    """Everything at once, in both conventions, loses nothing."""
    from tests.conventions.test_conformance import everything

    telemetry = Telemetry(BOTH)
    everything({"telemetry": telemetry})
    core = [
        key
        for key in telemetry.attributes
        if not key.startswith(("llm.input_messages", "llm.output_messages", "llm.tools"))
    ]
    most = len(core) + sum(MAX_FLAT[kind] for kind in MAX_FLAT if kind != "documents")
    # what this call does not show: an agent's name, tags, the graph's place, metadata keys, totals
    assert most + 16 <= 128


def test_no_content_is_flattened_unless_it_is_asked_for() -> None:
    """Kinds, models and tokens are told with content off; texts are not."""
    telemetry = Telemetry(Config(conventions=("openinference",)))
    telemetry.chat([HUMAN], answer(CALL), **ASKED)
    told = telemetry.attributes
    assert told["llm.token_count.total"] == 13
    assert not [key for key in told if "message" in key or key.startswith(("input.", "llm.tools"))]
    assert json.dumps(told).find("add 1") == -1
