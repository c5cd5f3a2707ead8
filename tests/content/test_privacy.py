"""What never leaves: any content unless it is asked for, and no secret even then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

pytest.importorskip("langchain_core")

from langchain_core.callbacks import dispatch_custom_event
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool

from lc_otel import Config
from tests.fakes import FakeChat, FakeLLM, FakeRetriever
from tests.telemetry import Telemetry, answer

# Every text the scenarios use; none of them is part of a name, a class or a key.
TEXTS = ("quokka", "wombat", "bilby", "numbat", "potoroo", "bandicoot")
SECRETS = ("sk-planted", "Bearer-planted", "cookie-planted")


def _add(zebra: str) -> str:
    return f"potoroo {zebra}"


def _raise(value: Any) -> Any:
    raise ValueError(f"bandicoot {value}")


def _emit(value: Any) -> Any:
    dispatch_custom_event("progress", {"seen": "numbat"})
    return value


def chain(config: Any) -> None:
    """A prompt, a model, a parser."""
    prompt = ChatPromptTemplate([("system", "quokka {wish}"), ("human", "wombat")])
    (prompt | FakeChat(script=["bilby"]) | StrOutputParser()).invoke({"wish": "numbat"}, config)


def stream(config: Any) -> None:
    """A streamed answer."""
    list(FakeChat(script=["bilby bilby"]).stream("wombat", config))


def call(config: Any) -> None:
    """A model that calls a tool, and the tool."""
    wish = {"name": "add", "args": {"zebra": "quokka"}, "id": "c1", "type": "tool_call"}
    FakeChat(script=[AIMessage("", tool_calls=[wish])]).invoke("wombat", config)
    StructuredTool.from_function(_add, name="add", description="adds").invoke(wish, config)


def text_model(config: Any) -> None:
    """A model that completes a text."""
    FakeLLM().invoke("wombat", config)


def retrieval(config: Any) -> None:
    """A retriever."""
    FakeRetriever().invoke("wombat", config)


def failure(config: Any) -> None:
    """A chain that raises with content in the message."""
    with pytest.raises(ValueError, match="bandicoot"):
        RunnableLambda(_raise).invoke("quokka", config)
    with pytest.raises(RuntimeError):
        FakeChat(fail=RuntimeError("bandicoot")).invoke("wombat", config)


def events(config: Any) -> None:
    """A custom event with a payload."""
    RunnableLambda(_emit).invoke("quokka", config)


def cancelled(config: Any) -> None:
    """A call that is cancelled half way."""

    async def main() -> None:
        task = asyncio.ensure_future(FakeChat(delay=5).ainvoke("wombat", config))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def multimodal(config: Any) -> None:
    """A message in blocks."""
    image = {"type": "image_url", "image_url": {"url": "https://quokka.test/wombat.png"}}
    FakeChat(script=["bilby"]).invoke([HumanMessage([image])], config)


SCENARIOS: list[Callable[[Any], None]] = [
    chain,
    stream,
    call,
    text_model,
    retrieval,
    failure,
    events,
    cancelled,
    multimodal,
]


@pytest.mark.parametrize("conventions", [("genai",), ("genai", "openinference")], ids=len)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_without_content_no_text_leaves(scenario: Any, conventions: Any) -> None:
    """The encoded export of each program holds none of the texts it worked with."""
    telemetry = Telemetry(Config(conventions=conventions))
    scenario({"callbacks": [telemetry.handler], "metadata": {"note": "quokka"}})
    assert telemetry.spans
    sent = telemetry.encoded()
    assert [text for text in TEXTS if text.encode() in sent] == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_with_content_the_texts_are_there(scenario: Any) -> None:
    """The test above would see them."""
    telemetry = Telemetry(Config(capture_content=True))
    scenario({"callbacks": [telemetry.handler]})
    sent = telemetry.encoded()
    assert any(text.encode() in sent for text in TEXTS)


@pytest.mark.parametrize("mode", [False, "both"])
def test_no_planted_secret_leaves(mode: Any) -> None:
    """Keys and headers in serialized models, parameters, metadata and fields stay."""
    telemetry = Telemetry(Config(capture_content=mode, conventions=("genai", "openinference")))
    headers = {"Authorization": "Bearer-planted", "Cookie": "cookie-planted"}
    telemetry.chat(
        [{"type": "human", "content": "hi"}],
        answer({"type": "ai", "content": "ho", "response_metadata": {"headers": headers}}),
        serialized={
            "name": "ChatOpenAI",
            "kwargs": {
                "openai_api_key": "sk-planted",
                "default_headers": headers,
                "openai_api_base": "https://sk-planted:sk-planted@llm.test/v1?key=sk-planted",
            },
        },
        invocation_params={
            "model": "gpt-4o",
            "api_key": "sk-planted",
            "extra_headers": headers,
            "tools": [{"type": "mcp", "server_label": "m", "headers": headers}],
        },
        options={"extra_headers": headers},
        metadata={"api_key": "sk-planted", "headers": str(headers), "ls_provider": "openai"},
    )
    with_secrets = {"configurable": {"api_key": "sk-planted"}}
    telemetry.chain({"config": with_secrets, "model": KeptModel()}, {"llm": [KeptModel()]})
    telemetry.tool({"runtime": KeptModel(), "config": with_secrets}, KeptModel())
    sent = telemetry.encoded()
    assert b"llm.test" in sent
    assert [secret for secret in SECRETS if secret.encode() in sent] == []


class KeptModel(FakeChat):
    """A model with keys in its fields."""

    api_key: str = "sk-planted"
    headers: dict[str, str] = {"Authorization": "Bearer-planted"}


PAYLOAD = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": PAYLOAD, "mime_type": "image/png"},
        {"type": "image", "source_type": "base64", "data": PAYLOAD},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PAYLOAD}},
        {"type": "input_audio", "input_audio": {"data": PAYLOAD, "format": "wav"}},
        {"type": "input_audio", "input_audio": PAYLOAD},
        {"type": "document", "source": {"type": "content", "content": [
            {"type": "image", "source": {"type": "base64", "data": PAYLOAD}}
        ]}},
        {"inline_data": {"mime_type": "image/png", "data": PAYLOAD}},
        {"type": "resource", "resource": {"mimeType": "image/png", "blob": PAYLOAD}},
        {"type": "image_url", "image_url": {"url": f"DATA:image/png;base64,{PAYLOAD}"}},
        {"type": "redacted_thinking", "data": PAYLOAD},
        {"type": "text", "text": f"data:image/png;base64,{PAYLOAD}"},
        f"data:image/png;base64,{PAYLOAD}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["messages", "input", "output", "tool", "variables"])
@pytest.mark.parametrize("binary", [False, True])
def test_base64_leaves_only_where_it_is_asked_for(binary: bool, where: str, block: Any) -> None:
    """Wherever a content block stands, and in whatever provider's form; its size is told."""
    telemetry = Telemetry(Config(capture_content=True, capture_binary=binary))
    if where == "messages":
        telemetry.chat([{"role": "user", "content": [block]}], {"generations": [[]]})
    elif where == "tool":
        telemetry.tool({"a": 1}, [block])
    else:
        state = {"messages": [{"role": "user", "content": [block]}], "more": [block]}
        telemetry.chain(*((state, None) if where == "input" else ({}, state)))
    told = str(telemetry.attributes)
    assert (PAYLOAD in told) is binary
    assert ("26 bytes]" in told) is not binary


@pytest.mark.parametrize(
    "value",
    [
        {"data": "abc", "format": "csv"},
        {"data": "abc", "n": 1},
        {"data": "abc", "type": "file"},
        {"data": "abc", "mime_type": "text/plain"},
        {"data": "abc", "source_type": "text"},
        {"data": "not base64", "type": "image"},
    ],
)
def test_what_is_no_payload_is_told(value: Any) -> None:
    """A program's own fields of such names are its data."""
    telemetry = Telemetry(Config(capture_content=True))
    telemetry.chain(value)
    assert json.loads(telemetry.attributes["langchain.input"]) == value


def test_what_a_model_wrote_for_a_tools_name_is_content() -> None:
    """A text that an agent took for a tool's name may be anything, and is told on demand."""
    for content in (False, True):
        telemetry = Telemetry(Config(capture_content=content))
        run_id = uuid4()
        telemetry.handler.on_chain_start({}, {}, run_id=run_id, name="AgentExecutor")
        telemetry.handler.on_agent_action({"tool": "wombat", "tool_input": ""}, run_id=run_id)
        telemetry.handler.on_chain_end({}, run_id=run_id)
        (event,) = telemetry.span.events
        assert ("wombat" in str(event.attributes)) is content


def test_metadata_is_told_by_an_allow_list() -> None:
    """LangGraph copies `configurable` into the metadata, so only named keys are told."""
    metadata = {"tenant": "acme", "api_key": "sk-planted", "ls_model_type": "chat"}
    telemetry = Telemetry(Config(metadata_keys=("tenant",)))
    telemetry.chain({}, {}, metadata=metadata)
    told = {k: v for k, v in telemetry.attributes.items() if k.startswith("langchain.metadata.")}
    assert told == {"langchain.metadata.tenant": "acme", "langchain.metadata.ls_model_type": "chat"}


def test_an_exception_says_its_type_alone_unless_content_is_captured() -> None:
    """The message and the stack trace of an exception are content, and so is the status."""
    off, on = Telemetry(), Telemetry(Config(capture_content=True))
    for telemetry in (off, on):
        telemetry.chain({}, error=ValueError("bandicoot"))
    assert off.span.status.description == "ValueError"
    assert dict(off.span.events[0].attributes or {}) == {"exception.type": "ValueError"}
    assert on.span.status.description == "bandicoot"
    told = dict(on.span.events[0].attributes or {})
    assert told["exception.message"] == "bandicoot"
    assert "ValueError: bandicoot" in told["exception.stacktrace"]


def test_an_errors_ancestors_say_its_message_too() -> None:
    """The exception is told once; the status of every run it passed through says why it failed."""
    telemetry = Telemetry(Config(capture_content=True))
    inner = RunnableLambda(_raise)
    with pytest.raises(ValueError, match="bandicoot"):
        (RunnableLambda(lambda value: value) | inner).invoke(
            "x", {"callbacks": [telemetry.handler]}
        )
    failed = [span for span in telemetry.spans if span.status.description]
    assert [span.status.description for span in failed] == ["bandicoot x"] * 2
    assert sum(len(span.events) for span in telemetry.spans) == 1
