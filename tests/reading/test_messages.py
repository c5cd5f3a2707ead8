"""Messages as LangChain and its providers shape them, and the parts they become."""

from __future__ import annotations

from typing import Any

import pytest

from lc_otel._reading.messages import read_message, read_messages, read_output
from lc_otel._reading.values import Reader, Wanted

pytest.importorskip("langchain_core")

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

PNG = "iVBORw0KGgo="  # 8 bytes


def read(message: Any, *, binary: bool = False) -> dict[str, Any]:
    """One message, read."""
    return read_messages([message], Reader(Wanted(binary=binary)))[0]


def text(content: str) -> dict[str, Any]:
    """A text part."""
    return {"type": "text", "content": content}


MESSAGES = [
    ("a text", HumanMessage("hi"), {"role": "user", "parts": [text("hi")]}),
    ("a system's", SystemMessage("be kind"), {"role": "system", "parts": [text("be kind")]}),
    (
        "a named one",
        HumanMessage("hi", name="Ann"),
        {"role": "user", "parts": [text("hi")], "name": "Ann"},
    ),
    ("an empty answer", AIMessage(""), {"role": "assistant", "parts": []}),
    ("an empty question", HumanMessage(""), {"role": "user", "parts": [text("")]}),
    ("no blocks", AIMessage([]), {"role": "assistant", "parts": []}),
    ("a chunk", AIMessageChunk("hel"), {"role": "assistant", "parts": [text("hel")]}),
    (
        "a role of its own",
        ChatMessage("psst", role="critic"),
        {"role": "critic", "parts": [text("psst")]},
    ),
    (
        "a call",
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}]),
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}],
        },
    ),
    (
        "a call that LangChain could not parse",
        AIMessage(
            "",
            invalid_tool_calls=[{"name": "add", "args": '{"a":', "id": "c1", "error": "cut off"}],
        ),
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "tool_call",
                    "id": "c1",
                    "name": "add",
                    "arguments": '{"a":',
                    "error": "cut off",
                }
            ],
        },
    ),
    (
        "a call told twice, by Anthropic's block and by LangChain",
        AIMessage(
            [
                {"type": "text", "text": "let me see"},
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
            ],
            tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}],
        ),
        {
            "role": "assistant",
            "parts": [
                text("let me see"),
                {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}},
            ],
        },
    ),
    (
        "OpenAI's function call of old",
        AIMessage(
            "", additional_kwargs={"function_call": {"name": "add", "arguments": '{"a": 1}'}}
        ),
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "add", "arguments": {"a": 1}}],
        },
    ),
    (
        "a tool's answer",
        ToolMessage("3", tool_call_id="c1"),
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": "3"}],
        },
    ),
    (
        "a tool's answer in blocks",
        ToolMessage([{"type": "text", "text": "3"}], tool_call_id="c1", name="add"),
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": [text("3")]}],
            "name": "add",
        },
    ),
    (
        "a function's answer",
        FunctionMessage("3", name="add"),
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "response": "3"}],
            "name": "add",
        },
    ),
    ("a pair", ("human", "hi"), {"role": "user", "parts": [text("hi")]}),
    ("a bare text", "hi", {"role": "user", "parts": [text("hi")]}),
    (
        "a dict in OpenAI's form",
        {"role": "user", "content": "hi"},
        {"role": "user", "parts": [text("hi")]},
    ),
    (
        "a dict's calls in OpenAI's form",
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 1}'},
                }
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}],
        },
    ),
    (
        "DeepSeek's reasoning",
        AIMessage("42", additional_kwargs={"reasoning_content": "six by nine"}),
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "six by nine"}, text("42")],
        },
    ),
    (
        "None",
        None,
        {"role": "user", "parts": [{"type": "unknown", "content": None}]},
    ),
]

BLOCKS = [
    # LangChain 1.x
    ({"type": "text", "text": "hi", "annotations": []}, text("hi")),
    ({"type": "reasoning", "reasoning": "hm"}, {"type": "reasoning", "content": "hm"}),
    (
        {"type": "image", "url": "https://x.test/a.png"},
        {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
    ),
    (
        {"type": "image", "base64": PNG, "mime_type": "image/png"},
        {
            "type": "blob",
            "modality": "image",
            "mime_type": "image/png",
            "byte_size": 8,
            "content": "[8 bytes]",
        },
    ),
    (
        {"type": "image", "id": "lc_1", "file_id": "file-7"},
        {"type": "file", "modality": "image", "file_id": "file-7"},
    ),
    (
        {"type": "audio", "base64": PNG, "mime_type": "audio/wav"},
        {
            "type": "blob",
            "modality": "audio",
            "mime_type": "audio/wav",
            "byte_size": 8,
            "content": "[8 bytes]",
        },
    ),
    (
        {"type": "video", "url": "https://x.test/a.mp4", "mime_type": "video/mp4"},
        {
            "type": "uri",
            "modality": "video",
            "mime_type": "video/mp4",
            "uri": "https://x.test/a.mp4",
        },
    ),
    (
        {"type": "file", "url": "https://x.test/a.pdf", "mime_type": "application/pdf"},
        {
            "type": "uri",
            "modality": "document",
            "mime_type": "application/pdf",
            "uri": "https://x.test/a.pdf",
        },
    ),
    ({"type": "text-plain", "id": "lc_2", "text": "a note"}, text("a note")),
    (
        {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1}},
        {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}},
    ),
    (
        {"type": "server_tool_call", "id": "s1", "name": "web_search", "args": {"query": "q"}},
        {
            "type": "server_tool_call",
            "name": "web_search",
            "id": "s1",
            "server_tool_call": {"type": "web_search", "arguments": {"query": "q"}},
        },
    ),
    (
        {"type": "server_tool_result", "tool_call_id": "s1", "output": ["r"]},
        {
            "type": "server_tool_call_response",
            "id": "s1",
            "server_tool_call_response": {"type": "server_tool", "output": ["r"]},
        },
    ),
    (
        {"type": "non_standard", "value": {"type": "cite", "page": 3}},
        {"type": "cite", "page": 3},
    ),
    # LangChain 0.3
    (
        {"type": "image", "source_type": "url", "url": "https://x.test/a.png"},
        {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
    ),
    (
        {"type": "file", "source_type": "base64", "data": PNG, "mime_type": "application/pdf"},
        {
            "type": "blob",
            "modality": "document",
            "mime_type": "application/pdf",
            "byte_size": 8,
            "content": "[8 bytes]",
        },
    ),
    # OpenAI
    (
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
    ),
    (
        {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
        {
            "type": "blob",
            "modality": "image",
            "mime_type": "image/png",
            "byte_size": 8,
            "content": "[8 bytes]",
        },
    ),
    (
        {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
        {
            "type": "blob",
            "modality": "audio",
            "mime_type": "audio/wav",
            "byte_size": 8,
            "content": "[8 bytes]",
        },
    ),
    (
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}, {"text": "b"}]},
        {"type": "reasoning", "content": "a\nb"},
    ),
    ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "content": "no"}),
    (
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "a"}]},
        {"type": "reasoning", "content": "a"},
    ),
    (
        {"type": "thinking", "thinking": [{"type": "text", "text": "a"}]},  # Mistral
        {"type": "reasoning", "content": "a"},
    ),
    (
        {  # as Anthropic streams it
            "type": "server_tool_use",
            "id": "s1",
            "name": "web_search",
            "input": {},
            "partial_json": '{"query": "q"}',
        },
        {
            "type": "server_tool_call",
            "name": "web_search",
            "id": "s1",
            "server_tool_call": {"type": "web_search", "arguments": {"query": "q"}},
        },
    ),
    (
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "run", "input": "ls"},
        {"type": "tool_call", "id": "c1", "name": "run", "arguments": "ls"},
    ),
    (
        {"type": "web_search_call", "id": "w1", "status": "completed", "action": {"query": "q"}},
        {
            "type": "server_tool_call",
            "name": "web_search",
            "id": "w1",
            "server_tool_call": {"type": "web_search", "arguments": {"query": "q"}},
        },
    ),
    (
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
        {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}},
    ),
    # Anthropic
    (
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "reasoning", "content": "hm"},
    ),
    (
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
        },
        {
            "type": "blob",
            "modality": "image",
            "mime_type": "image/png",
            "byte_size": 8,
            "content": "[8 bytes]",
        },
    ),
    (
        {"type": "document", "source": {"type": "text", "data": "plain", "media_type": "x/y"}},
        text("plain"),
    ),
    (
        {"type": "tool_result", "tool_use_id": "c1", "content": "3"},
        {"type": "tool_call_response", "id": "c1", "response": "3"},
    ),
    (
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "server_tool_call",
            "name": "web_search",
            "id": "s1",
            "server_tool_call": {"type": "web_search", "arguments": {"query": "q"}},
        },
    ),
    # Bedrock, Gemini
    (
        {"type": "reasoning_content", "reasoning_content": {"text": "hm", "signature": "s"}},
        {"type": "reasoning", "content": "hm"},
    ),
    (
        {"type": "media", "mime_type": "audio/mp3", "file_uri": "gs://b/a.mp3"},
        {"type": "uri", "modality": "audio", "mime_type": "audio/mp3", "uri": "gs://b/a.mp3"},
    ),
    # unknown
    ("a bare text", text("a bare text")),
    ({"type": "hologram", "x": 1}, {"type": "hologram", "x": 1}),
    ({"no": "type"}, {"type": "unknown", "no": "type"}),
    ({"type": "image"}, {"type": "image"}),
    ({"type": "text", "text": None}, {"type": "text", "text": None}),
    (7, {"type": "unknown", "content": 7}),
]


@pytest.mark.parametrize(
    ("message", "expected"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES]
)
def test_a_message_becomes_its_role_and_parts(message: Any, expected: dict[str, Any]) -> None:
    """Every message LangChain takes is told in the conventions' shape."""
    assert read(message) == expected


@pytest.mark.parametrize(("block", "part"), BLOCKS, ids=lambda value: str(value)[:40])
def test_a_content_block_becomes_a_part(block: Any, part: dict[str, Any]) -> None:
    """Content blocks of LangChain 0.3, 1.x and of providers are told as the same few parts."""
    assert read({"role": "user", "content": [block]})["parts"] == [part]


def test_a_payload_is_kept_where_binary_content_is_asked_for() -> None:
    """With `capture_binary` a blob holds the base64 itself."""
    block = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    assert read({"role": "user", "content": [block]}, binary=True)["parts"][0]["content"] == PNG


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "stop"),
        ("tool_calls", "tool_call"),
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("something_new", "something_new"),
        (None, "stop"),
    ],
)
def test_an_answer_says_why_it_ended(reason: str | None, told: str) -> None:
    """An output message carries the conventions' finish reason, the provider's own where new."""
    output = read_output({"message": AIMessage("42")}, reason, Reader(Wanted()))
    assert output == {"role": "assistant", "parts": [text("42")], "finish_reason": told}


def test_an_answer_that_calls_a_tool_says_so_where_the_provider_does_not() -> None:
    """Without a reason from the provider, calls are reason enough."""
    message = AIMessage("", tool_calls=[{"name": "add", "args": {}, "id": "c1"}])
    assert read_output({"message": message}, None, Reader(Wanted()))["finish_reason"] == "tool_call"


def test_a_text_models_answer_is_an_assistants_text() -> None:
    """A generation without a message is told as its text."""
    assert read_output({"text": "42"}, "stop", Reader(Wanted()))["parts"] == [text("42")]


def test_of_a_long_history_the_first_and_the_last_messages_are_read() -> None:
    """What is beyond the limit is not read; a marker of a message's shape says how much it was."""
    history = [HumanMessage(f"{index} " + "x" * 1000) for index in range(100)]
    messages = read_messages(history, Reader(Wanted(limit=8000)))
    first, marker, *rest = messages
    assert first["parts"][0]["content"].startswith("0 ")
    assert rest[-1]["parts"][0]["content"].startswith("99 ")
    omitted = 100 - 1 - len(rest)
    assert marker["parts"][0]["type"] == "omitted"
    assert marker["parts"][0]["items"] == omitted
    assert marker["parts"][0]["bytes"] == pytest.approx(omitted * 1002, rel=0.01)


def test_a_message_that_cannot_be_read_does_not_cost_the_others() -> None:
    """What of an object raises is left out."""

    class Broken:
        type = "human"

        @property
        def content(self) -> str:
            raise RuntimeError("broken")

    messages = read_messages([HumanMessage("a"), Broken()], Reader(Wanted()))
    assert messages[0] == {"role": "user", "parts": [text("a")]}
    assert messages[1] == {"role": "user", "parts": []}


RAW_CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": '}}
INVALID = {
    "type": "invalid_tool_call", "id": "c1", "name": "add", "args": '{"a": ', "error": "cut off",
}  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        {"additional_kwargs": {"tool_calls": [RAW_CALL]}},
        {"content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {}}]},
        {
            "content": [
                {"type": "function_call", "id": "fc_1", "call_id": "c1", "arguments": '{"a": '}
            ]
        },
    ],
    ids=["OpenAI", "Anthropic", "OpenAI Responses"],
)
def test_a_call_that_does_not_parse_is_told_once(message: Any) -> None:
    """The provider's own form of it, which stands beside LangChain's, is not told as well."""
    given = {"type": "ai", "content": "", "invalid_tool_calls": [INVALID], **message}
    assert read_message(given, Reader(Wanted()))["parts"] == [
        {
            "type": "tool_call",
            "id": "c1",
            "name": "add",
            "arguments": '{"a": ',
            "error": "cut off",
        }
    ]


def test_what_openai_keeps_beside_the_content_is_told() -> None:
    """A refusal, a spoken answer with its transcript, and the reasoning of Responses."""
    extra = {
        "refusal": "I will not.",
        "audio": {"id": "a1", "data": PNG, "transcript": "Hello."},
        "reasoning": {"id": "r1", "summary": [{"type": "summary_text", "text": "hm"}]},
        "tool_outputs": [{"type": "web_search_call", "id": "w1", "action": {"query": "q"}}],
    }
    given = {"type": "ai", "content": "", "additional_kwargs": extra}
    assert read_message(given, Reader(Wanted()))["parts"] == [
        {"type": "refusal", "content": "I will not."},
        {"type": "blob", "modality": "audio", "byte_size": 8, "content": "[8 bytes]"},
        text("Hello."),
        {"type": "reasoning", "content": "hm"},
        {
            "type": "server_tool_call",
            "name": "web_search",
            "id": "w1",
            "server_tool_call": {"type": "web_search", "arguments": {"query": "q"}},
        },
    ]
