"""A loop of one's own becomes spans, as LangChain's runs do: nested, with usage and errors."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lc_otel.callbacks import (
    AsyncCallbackManager,
    CallbackManager,
    atrace_as_chain_group,
    trace_as_chain_group,
)
from lc_otel.instrumentation import instrument, uninstrument
from lc_otel.testing import capture
from tests.versions import STRICT

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_agent_loop.py"
IDS = ("langchain.run.id", "langchain.run.parent_id")
MESSAGE = {
    "role": "assistant",
    "content": "Because.",
    "usage_metadata": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
    "response_metadata": {"model_name": "gpt-4o-2024", "finish_reason": "stop"},
}


def loop(manager: Any) -> None:
    """An agent that asks a model, looks something up and fails in a tool."""
    run = manager.on_chain_start({"name": "my agent"}, {"question": "?"})
    child = run.get_child()
    [llm] = child.on_chat_model_start(
        {"name": "gpt"}, [[{"role": "user", "content": "?"}]], invocation_params={"model": "gpt-4o"}
    )
    llm.on_llm_end({"generations": [[{"message": MESSAGE}]]})
    retriever = child.on_retriever_start({"name": "docs"}, "query")
    retriever.on_retriever_end([{"page_content": "text", "metadata": {}}])
    tool = child.on_tool_start({"name": "add"}, "1", inputs={"a": 1})
    tool.on_tool_error(ValueError("no"))
    run.on_chain_error(ValueError("no"))


def test_spans_nest_with_usage_and_errors() -> None:
    """Names, parents, tokens and the error are on the spans."""
    with capture() as captured:
        loop(CallbackManager.configure([captured.handler]))
    agent, chat, retrieval, tool = sorted(captured.spans, key=lambda span: span.start_ns)
    assert {chat.parent_id, retrieval.parent_id, tool.parent_id} == {agent.span_id}
    assert [one.name for one in (chat, tool)] == ["chat gpt-4o", "execute_tool add"]
    assert chat.attributes["gen_ai.usage.input_tokens"] == 9
    assert chat.attributes["gen_ai.response.model"] == "gpt-4o-2024"
    assert tool.status == "error"
    assert tool.attributes["error.type"] == "ValueError"
    assert captured.handler.open_runs == 0


def test_langchains_managers_give_the_same_spans() -> None:
    """The same loop through LangChain's manager, with its own messages, is told alike."""
    pytest.importorskip("langchain_core")
    from langchain_core.callbacks import CallbackManager as TheirManager

    told = []
    for kind in (CallbackManager, TheirManager):
        with capture() as captured:
            loop(kind.configure([captured.handler]))
        told.append(
            [
                (one.name, one.kind, one.status, {**one.attributes, **dict.fromkeys(IDS)})
                for one in sorted(captured.spans, key=lambda span: span.start_ns)
            ]
        )
    assert told[0] == told[1]


def test_objects_are_read_as_dicts_are() -> None:
    """Messages of a class of one's own give the same attributes as dicts."""
    told = []
    for shape in (dict, SimpleNamespace):
        with capture() as captured:
            [llm] = CallbackManager.configure([captured.handler]).on_chat_model_start(
                {"name": "gpt"}, [[shape(role="user", content="?")]]
            )
            llm.on_llm_end(shape(generations=[[shape(message=shape(**MESSAGE))]]))
        told.append({**captured.spans[0].attributes, **dict.fromkeys(IDS)})
    assert told[0] == told[1]
    assert told[0]["gen_ai.usage.output_tokens"] == 3


def test_a_group_is_a_span_with_everything_inside_below_it() -> None:
    """The group is the root; a run in it, and a run in that one, nest."""
    with capture() as captured:
        manager = CallbackManager.configure([captured.handler])
        with trace_as_chain_group("group", manager) as group:
            loop(group)
    root, agent, chat, *_ = sorted(captured.spans, key=lambda span: span.start_ns)
    assert root.name == "invoke_workflow group"
    assert (root.parent_id, agent.parent_id, chat.parent_id) == (None, root.span_id, agent.span_id)


async def test_an_async_group_is_a_span_too() -> None:
    """With coroutines, and with an error that leaves the block."""

    async def fail(manager: AsyncCallbackManager) -> None:
        async with atrace_as_chain_group("group", manager) as group:
            tool = await group.on_tool_start({"name": "add"}, "1")
            await tool.on_tool_end(1)
            raise ValueError("no")

    with capture() as captured, pytest.raises(ValueError, match="no"):
        await fail(AsyncCallbackManager.configure([captured.handler]))
    root, tool = sorted(captured.spans, key=lambda span: span.start_ns)
    assert tool.parent_id == root.span_id
    assert (root.status, root.attributes["error.type"]) == ("error", "ValueError")


def test_instrument_reaches_our_managers_in_every_thread() -> None:
    """No handler is named anywhere; after `uninstrument` no run is told."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(tracer_provider=provider)
    try:
        loop(CallbackManager.configure())
        thread = threading.Thread(target=lambda: loop(CallbackManager.configure()))
        thread.start()
        thread.join()
    finally:
        uninstrument()
    loop(CallbackManager.configure())
    spans = exporter.get_finished_spans()
    assert len(spans) == 8
    assert len({span.context.trace_id for span in spans}) == 2


BLOCKED = "import sys; sys.modules['langchain_core'] = None; "


@pytest.mark.parametrize("first", ["", BLOCKED], ids=["as installed", "without LangChain"])
def test_the_example_tells_two_traces(first: str) -> None:
    """examples/own_agent_loop.py shows the loop's runs, their tokens and the failed tool."""
    code = f"{first}import runpy; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    done = subprocess.run(
        [*STRICT, "-c", code],
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = [
        line.split("  ")[0].lstrip("├─└ ") for line in done.stdout.splitlines() if " ms" in line
    ]
    assert [name for name in names if not name.startswith("trace")] == [
        "invoke_workflow my agent",
        "chat gpt-4o",
        "execute_tool weather",
        "chat gpt-4o",
        "invoke_workflow my agent",
        "chat gpt-4o",
        "execute_tool weather",
    ]
    assert "20→8 tok  gpt-4o-2024-08-06" in done.stdout
    assert "✗ LookupError" in done.stdout
