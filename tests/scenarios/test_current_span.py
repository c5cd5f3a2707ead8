"""The span that is current is that of the run whose body runs, and each run ends as it should."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import aclosing, closing, suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.tracers import LangChainTracer
from opentelemetry import trace

from lc_otel import Config
from lc_otel.testing import Captured, capture
from tests.fakes import FakeChat, FakeLLM, FakeRetriever, StreamingChat
from tests.scenarios.ways import needs_task_contexts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.scenarios.conftest import Oracle

each_way = pytest.mark.parametrize("way", ["stream", "astream"])

needs_timeout = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11"
)


async def spin() -> None:
    """Let the event loop close the generators inside one another."""
    for _ in range(30):
        await asyncio.sleep(0)


# -- a stream that is broken off


class TellsUsageFirst(FakeChat):
    """Streams its usage and its name with the first chunk, as some providers do."""

    delay: float = 0.0

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                "a ",
                usage_metadata={"input_tokens": 100, "output_tokens": 1, "total_tokens": 101},
                response_metadata={"model_name": "m-1"},
            )
        )
        for word in "bcde":
            yield ChatGenerationChunk(message=AIMessageChunk(word))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream():
            yield chunk
            await asyncio.sleep(self.delay)


async def break_off(way: str, runnable: Any, value: Any, config: Any) -> None:
    """Take two chunks and close the stream."""
    if way == "stream":
        with closing(runnable.stream(value, config)) as stream:
            next(stream)
            next(stream)
    else:
        async with aclosing(runnable.astream(value, config)) as stream:
            await anext(stream)
            await anext(stream)
        await spin()


def check_what_was_told(captured: Captured, outcome: str) -> None:
    """The model tells what it used, its name and what it said; the root's sums include it."""
    [root], [call] = captured.roots, captured.llm_calls
    assert root.attributes["langchain.run.outcome"] == outcome
    assert root.attributes["langchain.usage.input_tokens"] == 100
    assert root.attributes["langchain.llm_calls"] == 1
    assert call.attributes["langchain.run.outcome"] == "abandoned"
    assert call.attributes["gen_ai.usage.input_tokens"] == 100
    assert call.attributes["gen_ai.response.model"] == "m-1"
    assert '"a ' in call.attributes["gen_ai.output.messages"]
    assert captured.handler.open_runs == 0


@each_way
@pytest.mark.parametrize("depth", [1, 3])
async def test_chain_broken_off_keeps_what_its_model_used(way: str, depth: int) -> None:
    """The outer generator is closed first, and the model's own end is told all the same."""
    chain: Any = ChatPromptTemplate.from_template("{q}") | TellsUsageFirst()
    for _ in range(depth - 1):
        chain = RunnableLambda(lambda x, inner=chain: inner)
    with capture(Config(capture_content=True)) as captured:
        await break_off(way, chain, {"q": "x"}, {"callbacks": [captured.handler]})
    check_what_was_told(captured, "abandoned")


async def test_chain_whose_events_are_broken_off_keeps_what_its_model_used() -> None:
    """LangChain cancels the chain behind ``astream_events``, then closes its model."""
    needs_task_contexts()
    chain = RunnableLambda(lambda x: x) | TellsUsageFirst(delay=0.01)
    with capture(Config(capture_content=True)) as captured:
        config: Any = {"callbacks": [captured.handler]}
        async for event in chain.astream_events("x", config, version="v2"):
            if event["event"] == "on_chat_model_stream":
                break
        await asyncio.sleep(0.05)
    check_what_was_told(captured, "cancelled")


def test_run_held_back_is_told_with_its_own_time_and_outcome() -> None:
    """It ends when it did, a late child hangs under it, and shutdown tells what it waits for."""
    model, late = TellsUsageFirst(), uuid4()
    inside: list[Any] = []

    def relay(chunks: Iterator[Any], config: Any) -> Iterator[Any]:
        inside.append(model.stream("hi", config))
        yield next(inside[0])
        yield next(inside[0])

    with capture() as captured:
        handler = captured.handler
        with closing(RunnableGenerator(relay).stream("x", {"callbacks": [handler]})) as stream:
            next(stream)
        assert not captured.spans
        assert handler.open_runs == 1
        [(run_id, _)] = handler._recorder.table.held.items()
        handler.on_tool_start({"name": "late"}, "", run_id=late, parent_run_id=run_id)
        handler.on_tool_end("x", run_id=late)
        assert handler.end_open_runs() == 1
    root = captured.roots[0]
    assert root.attributes["langchain.run.outcome"] == "abandoned"
    assert captured.llm_calls[0].attributes["langchain.run.outcome"] == "incomplete"
    assert captured.span("execute_tool late").parent_id == root.span_id
    times = {span.name: span for span in captured.sdk_spans}
    assert _end(times["invoke_workflow relay"]) <= (times["execute_tool late"].start_time or 0)


@pytest.mark.parametrize("way", ["break", "aclosing", "cancel"])
async def test_what_is_broken_off_is_told_without_a_shutdown(way: str) -> None:
    """Fallbacks never report it: what waits for their generators must not hold them."""
    needs_task_contexts()
    chain = StreamingChat(script=["a b c d"] * 9) | StrOutputParser()
    runnable = chain.with_fallbacks([chain]) | StrOutputParser()

    async def consume(config: Any, seconds: float) -> None:
        async for _ in runnable.astream("x", config):
            await asyncio.sleep(seconds)
            break

    with capture() as captured:
        config: Any = {"callbacks": [captured.handler]}
        for _ in range(3):
            if way == "cancel":
                task = asyncio.ensure_future(consume(config, 60))
                await asyncio.sleep(0.05)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                del task
            elif way == "aclosing":
                await break_off("astream", runnable, "x", config)
            else:
                await consume(config, 0)
            await spin()
        gc.collect()
        await spin()
        table = captured.handler._recorder.table
        assert (len(table.open), len(table.held)) == (0, 0)
        assert len(captured.roots) == 3
        outcomes = {root.attributes["langchain.run.outcome"] for root in captured.roots}
        assert outcomes <= {"abandoned", "cancelled"}


def test_a_run_is_not_held_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that somebody keeps is given up when the next run starts, after its time."""
    monkeypatch.setattr("lc_otel._spans._HELD_NS", 0)
    monkeypatch.setattr("lc_otel._spans._SWEEP_NS", 0)
    kept: list[Any] = []

    def relay(_: Iterator[Any], config: Any) -> Iterator[Any]:
        kept.append(TellsUsageFirst().stream("hi", config))
        yield next(kept[0])

    with capture() as captured:
        config: Any = {"callbacks": [captured.handler]}
        with closing(RunnableGenerator(relay).stream("x", config)) as stream:
            next(stream)
        assert not captured.spans
        FakeChat().invoke("hi", config)
        assert len(captured.spans) == 3
    root = captured.span("invoke_workflow relay")
    assert root.attributes["langchain.run.outcome"] == "abandoned"


# -- a model that is cancelled


async def timeout(call: Awaitable[Any]) -> Any:
    """Cancel in the body's own task."""
    async with asyncio.timeout(0.02):
        return await call


async def wait_for(call: Awaitable[Any]) -> Any:
    """The same from Python 3.12; before, in a task of its own."""
    return await asyncio.wait_for(call, 0.02)


def seconds_of_the_first_call(oracle: Oracle) -> float:
    """How long the model that was called first took, by the real clock."""
    calls = [span for span in oracle.sdk_spans if span.name == "chat fake-1"]
    first = min(calls, key=lambda span: span.start_time or 0)
    return (_end(first) - (first.start_time or 0)) / 1e9


def _end(span: ReadableSpan) -> int:
    assert span.end_time is not None
    return span.end_time


each_limit = pytest.mark.parametrize(
    "limit", [pytest.param(timeout, marks=needs_timeout), wait_for]
)


@each_limit
async def test_body_goes_on_after_its_models_timeout(
    limit: Callable[..., Any], oracle: Oracle
) -> None:
    """After a timeout the body's spans are its own, and the model's span has ended with it."""
    tracer = oracle.tracer

    async def body(value: str) -> str:
        with suppress(asyncio.TimeoutError):
            await limit(FakeChat(delay=5).ainvoke(value))
        with tracer.start_as_current_span("fallback"):
            await asyncio.sleep(0.5)
        await FakeChat(tracer=tracer).ainvoke(value)
        with tracer.start_as_current_span("insert"):
            pass
        return value

    needs_task_contexts()
    await RunnableLambda(body).ainvoke("hi", oracle.config())
    assert oracle.parent_name("fallback") == "invoke_workflow body"
    assert oracle.parent_name("insert") == "invoke_workflow body"
    assert oracle.parent_name("chat fake-1") == "invoke_workflow body"
    lost, _ = oracle.llm_calls
    assert lost.attributes["langchain.run.outcome"] == "cancelled"
    assert seconds_of_the_first_call(oracle) < 0.4


@each_limit
async def test_fallback_in_the_except_block_is_the_bodys(
    limit: Callable[..., Any], oracle: Oracle
) -> None:
    """While the exception is handled, which keeps its frames alive, the model is over already."""
    needs_task_contexts()
    tracer = oracle.tracer

    async def body(value: str) -> Any:
        with tracer.start_as_current_span("try"):
            try:
                return await limit(FakeChat(delay=5).ainvoke(value))
            except asyncio.TimeoutError:
                with tracer.start_as_current_span("fallback"):
                    await asyncio.sleep(0)
                answer = await FakeChat(tracer=tracer, delay=0.5).ainvoke(value)
                return answer.content

    await RunnableLambda(body).ainvoke("hi", oracle.config())
    assert oracle.parent_name("fallback") == "try"
    assert oracle.parent_name("chat fake-1") == "try"
    assert oracle.parent_name("http") == "chat fake-1"
    lost, _ = oracle.llm_calls
    assert lost.attributes["langchain.run.outcome"] == "cancelled"
    if limit is timeout or sys.version_info >= (3, 12):  # in the body's own task
        assert seconds_of_the_first_call(oracle) < 0.4


@each_limit
async def test_nothing_is_current_after_a_roots_timeout(
    limit: Callable[..., Any], oracle: Oracle
) -> None:
    """A model that times out with no run around it leaves no span current."""
    with suppress(asyncio.TimeoutError):
        await limit(FakeChat(delay=5).ainvoke("hi", oracle.config()))
    with oracle.tracer.start_as_current_span("after"):
        pass
    assert oracle.parent_name("after") is None
    await spin()
    assert oracle.handler.open_runs == 0


async def test_an_awaited_retrievers_body_is_its_own(oracle: Oracle) -> None:
    """The rule for coroutines leaves the spans of their own bodies where they are."""

    class Search(FakeRetriever):
        async def _aget_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
            with self.tracer.start_as_current_span("search"):
                await asyncio.sleep(0)
            return await asyncio.to_thread(
                self._get_relevant_documents, query, run_manager=run_manager
            )

    await Search(tracer=oracle.tracer).ainvoke("hi", oracle.config())
    assert oracle.parent_name("search") == "retrieval"


async def test_a_driver_in_a_greenlet_is_inside_the_run(oracle: Oracle) -> None:
    """SQLAlchemy runs async drivers on stacks of their own, inside the run that waits for them."""
    greenlet = pytest.importorskip("greenlet")

    class Search(FakeRetriever):
        async def _aget_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
            query_database = greenlet.greenlet(self._get_relevant_documents)
            query_database.gr_context = greenlet.getcurrent().gr_context
            return query_database.switch(query, run_manager=run_manager)

    await Search(tracer=oracle.tracer).ainvoke("hi", oracle.config())
    assert oracle.parent_name("search") == "retrieval"


# -- a model that streams into something


def readers(oracle: Oracle) -> dict[str, Any]:
    """What reads a streaming model chunk by chunk."""
    model = StreamingChat(tracer=oracle.tracer, script=["a b c"] * 3)
    failing = StreamingChat(tracer=oracle.tracer, fail=ValueError("x"))
    return {
        "parser": model | StrOutputParser(),
        "parallel": RunnableParallel(a=model, b=model, c=RunnableParallel(d=model)),
        "fallback": failing.with_fallbacks([model]),
    }


@pytest.mark.parametrize("reader", ["parser", "parallel", "fallback"])
@pytest.mark.parametrize("way", ["stream", "astream", "astream_events"])
async def test_spans_of_a_models_body_stay_with_it_after_the_first_chunk(
    reader: str, way: str, oracle: Oracle
) -> None:
    """Whatever reads the model, its requests hang under it, and the consumer's spans under none."""
    runnable = readers(oracle)[reader]
    config = oracle.config()
    if way == "stream":
        for _ in runnable.stream("hi", config):
            with oracle.tracer.start_as_current_span("consumer"):
                pass
    else:
        needs_task_contexts()
        stream = (
            runnable.astream("hi", config)
            if way == "astream"
            else runnable.astream_events("hi", config, version="v2")
        )
        async for _ in stream:
            with oracle.tracer.start_as_current_span("consumer"):
                await asyncio.sleep(0)
    assert oracle.parent_name("chunk") == "chat fake-1"
    assert oracle.parent_name("consumer") is None


def test_runs_a_model_opens_late_hang_where_langchain_says(oracle: Oracle) -> None:
    """After the first chunk LangChain takes the reader for the parent, and that is what we tell."""

    class Router(StreamingChat):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            yield ChatGenerationChunk(message=AIMessageChunk("a "))
            with self.tracer.start_as_current_span("rest"):
                pass
            said = FakeChat(tracer=self.tracer).invoke("more").content
            yield ChatGenerationChunk(message=AIMessageChunk(str(said)))

    list((Router(tracer=oracle.tracer) | StrOutputParser()).stream("hi", oracle.config()))
    assert oracle.parent_name("rest") == "chat fake-1"
    assert oracle.parent_name("http") == "chat fake-1"


def test_a_loop_of_its_own_inside_a_stream_is_inside_it(oracle: Oracle) -> None:
    """A sync stream that runs an event loop is around what runs in it, not inside that."""

    class Bridge(StreamingChat):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            asyncio.run(self.ask())
            yield ChatGenerationChunk(message=AIMessageChunk("a"))

        async def ask(self) -> None:
            async def send() -> None:
                with self.tracer.start_as_current_span("send"):
                    await asyncio.sleep(0)

            class Inner(StreamingChat):
                async def _astream(self, *args: Any, **kwargs: Any) -> Any:
                    await asyncio.create_task(send())
                    yield ChatGenerationChunk(message=AIMessageChunk("a"))

            inner = Inner(callbacks=oracle.callbacks)
            _ = [chunk async for chunk in inner.astream("hi")]

    list(Bridge(tracer=oracle.tracer).stream("hi", oracle.config()))
    outer, inner = oracle.llm_calls
    assert inner.parent_id == outer.span_id
    assert oracle.span("send").parent_id == inner.span_id


# -- runs that outlive their step


async def test_sums_include_runs_that_outlive_their_step(oracle: Oracle) -> None:
    """What ends, or starts, after its step has returned is counted by the root that is open."""
    needs_task_contexts()
    tasks: list[Any] = []

    async def ends_late(value: Any) -> Any:
        tasks.append(asyncio.create_task(FakeChat(delay=0.02).ainvoke("remember")))
        await asyncio.sleep(0)
        return value

    async def starts_late(value: Any) -> Any:
        async def remember() -> None:
            await asyncio.sleep(0.02)
            await FakeChat().ainvoke("remember")

        tasks.append(asyncio.create_task(remember()))
        return value

    async def waits(value: Any) -> Any:
        await asyncio.gather(*tasks)
        return value

    chain = RunnableLambda(ends_late) | RunnableLambda(starts_late) | RunnableLambda(waits)
    await chain.ainvoke("hi", oracle.config())
    [root] = oracle.roots
    assert root.attributes["langchain.llm_calls"] == 2
    assert root.attributes["langchain.usage.input_tokens"] == 14


# -- a pause that was answered


def approval() -> Any:
    """A graph with a checkpointer that asks once."""
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.types import interrupt

    def ask(state: MessagesState) -> Any:
        return {"messages": [("user", interrupt("sure?"))]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    return graph.compile(checkpointer=InMemorySaver(), name="approval")


def outcomes(captured: Captured, name: str) -> list[Any]:
    """How the runs of this name ended, in order of their start."""
    return [
        span.attributes["langchain.run.outcome"]
        for span in captured.spans
        if span.attributes.get("langchain.run.name") == name
    ]


def test_a_driver_that_answers_its_graphs_interrupts_ends_well() -> None:
    """A run that resumes a graph until it is done is not interrupted, though the graph was."""
    from langgraph.types import Command

    graph = approval()

    def drive(value: str) -> str:
        config: Any = {"configurable": {"thread_id": "1"}}
        result = graph.invoke({"messages": [("user", value)]}, config)
        while "__interrupt__" in result:
            result = graph.invoke(Command(resume="yes"), config)
        return str(result["messages"][-1].content)

    with capture() as captured:
        assert RunnableLambda(drive).invoke("hi", {"callbacks": [captured.handler]}) == "yes"
    assert outcomes(captured, "drive") == ["ok"]
    assert outcomes(captured, "approval") == ["interrupted", "ok"]


def test_a_node_that_starts_a_graph_which_pauses_ends_well() -> None:
    """The pause of a graph of its own, with its own checkpointer, is not that of the one around."""
    from langgraph.graph import START, MessagesState, StateGraph

    inner = approval()

    def open_ticket(state: MessagesState) -> Any:
        inner.invoke({"messages": []}, {"configurable": {"thread_id": "ticket"}})
        return {"messages": [("user", "opened")]}

    graph = StateGraph(MessagesState)
    graph.add_node("open_ticket", open_ticket)
    graph.add_edge(START, "open_ticket")
    with capture() as captured:
        graph.compile(name="outer").invoke({"messages": []}, {"callbacks": [captured.handler]})
    assert outcomes(captured, "outer") == ["ok"]
    assert outcomes(captured, "open_ticket") == ["ok"]
    assert outcomes(captured, "approval") == ["interrupted"]


@each_way
async def test_a_chain_that_ends_in_a_paused_graph_is_interrupted(way: str) -> None:
    """What a graph's pause is the output of is paused with it."""
    needs_task_contexts(way)
    chain = RunnableLambda(lambda x: x) | approval()
    with capture() as captured:
        config: Any = {"callbacks": [captured.handler], "configurable": {"thread_id": "1"}}
        if way == "stream":
            list(chain.stream({"messages": []}, config))
        else:
            _ = [chunk async for chunk in chain.astream({"messages": []}, config)]
    [root] = captured.roots
    assert root.attributes["langchain.run.outcome"] == "interrupted"


# -- other handlers


@pytest.mark.parametrize("others", [["inline"], ["inline", "plain"], ["plain"], ["ours", "plain"]])
async def test_awaited_text_model_has_a_span_beside_any_handlers(others: list[str]) -> None:
    """An inline handler, such as LangSmith's, and one that is not do not silence ours."""

    class Plain(BaseCallbackHandler):
        heard = 0

        def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
            self.heard += 1

    plain = Plain()
    with capture() as captured, capture() as second:
        known = {
            "inline": LangChainTracer(client=Mock()),
            "plain": plain,
            "ours": second.handler,
        }
        handlers: list[Any] = [captured.handler, *(known[name] for name in others)]
        await FakeLLM().ainvoke("hi", {"callbacks": handlers})
    assert len(captured.llm_calls) == 1
    assert len(second.llm_calls) == ("ours" in others)
    if "inline" not in others:
        assert plain.heard == 1


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
async def test_two_providers_each_have_a_tree_of_their_own(way: str) -> None:
    """Two handlers with a provider each tell the same runs twice, under the same user's span."""
    if way.startswith("a"):
        needs_task_contexts()
    first, second = Captured(), Captured()
    tracer = second.tracer_provider.get_tracer("test")

    def step(value: str) -> str:
        with tracer.start_as_current_span("work"):
            return str(FakeChat().invoke(value).content)

    chain = RunnableLambda(step) | StreamingChat(tracer=tracer, script=["a b"]) | StrOutputParser()
    config: Any = {"callbacks": [first.handler, second.handler]}
    with tracer.start_as_current_span("request") as request:
        if way == "invoke":
            chain.invoke("hi", config)
        elif way == "ainvoke":
            await chain.ainvoke("hi", config)
        elif way == "stream":
            list(chain.stream("hi", config))
        else:
            _ = [chunk async for chunk in chain.astream("hi", config)]
        around = request.get_span_context().span_id
    assert trace.get_current_span().get_span_context() == trace.INVALID_SPAN.get_span_context()
    first_ids = {span.span_id for span in first.spans}
    [root] = [span for span in first.spans if span.name == "invoke_workflow"]
    assert root.parent_id == f"{around:016x}"
    assert all(span.parent_id in first_ids for span in first.spans if span is not root)
    by_name = {span.name: span for span in second.spans}
    ids = {span.span_id for span in second.spans}
    assert by_name["invoke_workflow"].parent_id == f"{around:016x}"
    assert all(span.parent_id in ids for span in second.spans if span.name != "request")
    assert by_name["work"].parent_id == by_name["step"].span_id
    inner = second.llm_calls[0]
    assert inner.parent_id == by_name["work"].span_id


@pytest.mark.parametrize("way", ["stream", "astream", "broken off"])
async def test_two_providers_streamed_trees_are_whole(way: str) -> None:
    """Each has one root and one trace, and no run of the other's in it."""
    needs_task_contexts()
    providers = [Captured(), Captured()]
    config: Any = {"callbacks": [each.handler for each in providers]}
    chain = (
        ChatPromptTemplate.from_messages([("user", "{x}")])
        | StreamingChat(script=["a b c"])
        | StrOutputParser()
    )
    if way == "stream":
        list(chain.stream({"x": "hi"}, config))
    elif way == "astream":
        _ = [chunk async for chunk in chain.astream({"x": "hi"}, config)]
    else:
        await break_off("astream", chain, {"x": "hi"}, config)
        await spin()
    for captured in providers:
        assert len(captured.traces) == len(captured.roots) == 1
        assert len(captured.spans) == 4
        assert {span.parent_id for span in captured.spans} <= {
            None,
            *(span.span_id for span in captured.spans),
        }


def test_a_second_providers_root_is_not_inside_the_firsts_run() -> None:
    """A handler on the model alone tells a root of its own, though the chain is another's."""
    outer, inner = Captured(), Captured()
    chain = RunnableLambda(lambda x: x) | FakeChat(callbacks=[inner.handler])
    chain.invoke("hi", {"callbacks": [outer.handler]})
    [call] = inner.spans
    assert call.parent_id is None
    assert len(outer.spans) == 3


def test_batch_with_two_providers_has_roots_side_by_side() -> None:
    """The roots of a batch are siblings for each of two providers."""
    first, second = Captured(), Captured()
    config: Any = {"callbacks": [first.handler, second.handler]}
    FakeLLM().generate(["a", "b"], callbacks=config["callbacks"])
    for captured in (first, second):
        assert [span.parent_id for span in captured.spans] == [None, None]
