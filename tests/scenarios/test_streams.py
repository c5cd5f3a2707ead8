"""While a stream is consumed, the consumer's own spans are not under the run; the body's are."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from opentelemetry import trace

from lc_otel.testing import capture
from tests.fakes import StreamingChat
from tests.scenarios.ways import needs_task_contexts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.scenarios.conftest import Oracle


def programs(oracle: Oracle) -> dict[str, Any]:
    """Everything that streams, with a span "http" inside its model."""
    from langgraph.graph import START, MessagesState, StateGraph

    model = StreamingChat(tracer=oracle.tracer, script=["one two three four"] * 3)

    def answer(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_node("again", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "again")
    return {
        "model": (model, "hi"),
        "chain": (ChatPromptTemplate.from_template("{q}") | model, {"q": "hi"}),
        "graph": (graph.compile(name="talk"), {"messages": [("user", "hi")]}),
    }


each_program = pytest.mark.parametrize("program", ["model", "chain", "graph"])


def root(oracle: Oracle) -> Any:
    """The span of the root run."""
    [span] = [s for s in oracle.spans if s.attributes.get("langchain.run.id") and not s.parent_id]
    return span


def check_consumer(oracle: Oracle) -> None:
    """The consumer's spans are roots beside the run, the model's requests are inside it."""
    assert oracle.parent_name("consumer") is None
    assert oracle.parent_name("http") == "chat fake-1"
    if any(span.name == "chunk" for span in oracle.spans):  # a graph's nodes call without streaming
        assert oracle.parent_name("chunk") == "chat fake-1"


@each_program
def test_consumer_of_a_stream_is_not_inside_the_run(program: str, oracle: Oracle) -> None:
    """Spans started between two chunks are the consumer's own."""
    runnable, value = programs(oracle)[program]
    for _ in runnable.stream(value, oracle.config()):
        with oracle.tracer.start_as_current_span("consumer"):
            pass
    check_consumer(oracle)


@each_program
async def test_consumer_of_an_async_stream_is_not_inside_the_run(
    program: str, oracle: Oracle
) -> None:
    """Spans started between two chunks of an async stream are the consumer's own."""
    if program != "model":
        needs_task_contexts()
    runnable, value = programs(oracle)[program]
    async for _ in runnable.astream(value, oracle.config()):
        with oracle.tracer.start_as_current_span("consumer"):
            await asyncio.sleep(0)
    check_consumer(oracle)


@each_program
async def test_consumer_of_events_is_not_inside_the_run(program: str, oracle: Oracle) -> None:
    """Spans started between two events of ``astream_events`` are the consumer's own."""
    if program != "model":
        needs_task_contexts()
    runnable, value = programs(oracle)[program]
    async for _ in runnable.astream_events(value, oracle.config(), version="v2"):
        with oracle.tracer.start_as_current_span("consumer"):
            await asyncio.sleep(0)
    check_consumer(oracle)


@each_program
def test_stream_broken_off_ends_all_its_spans(program: str, oracle: Oracle) -> None:
    """A stream closed after its first chunk leaves nothing open, without an error: abandoned."""
    oracle.broken_off = True
    runnable, value = programs(oracle)[program]
    with closing(runnable.stream(value, oracle.config())) as stream:
        next(stream)
        with oracle.tracer.start_as_current_span("consumer"):
            pass
    assert oracle.parent_name("consumer") is None
    assert not oracle.errors
    assert root(oracle).attributes["langchain.run.outcome"] == "abandoned"


@each_program
async def test_async_stream_broken_off_ends_all_its_spans(program: str, oracle: Oracle) -> None:
    """The same for an async stream that is closed."""
    runnable, value = programs(oracle)[program]
    async with aclosing(runnable.astream(value, oracle.config())) as stream:
        await anext(stream)
        with oracle.tracer.start_as_current_span("consumer"):
            await asyncio.sleep(0)
    for _ in range(20):  # the event loop closes the generators inside one after another
        await asyncio.sleep(0)
    assert oracle.parent_name("consumer") is None
    assert not oracle.errors
    assert root(oracle).attributes["langchain.run.outcome"] == "abandoned"


@each_program
def test_stream_collected_as_garbage_ends_all_its_spans(program: str, oracle: Oracle) -> None:
    """A stream nobody closes ends its spans when it is collected."""
    oracle.broken_off = True
    runnable, value = programs(oracle)[program]
    stream = runnable.stream(value, oracle.config())
    next(stream)
    del stream
    gc.collect()
    assert oracle.handler.open_runs == 0
    assert not oracle.errors


def test_two_interleaved_streams_keep_apart(oracle: Oracle) -> None:
    """Two streams consumed in turn: each request hangs under its own model, both are roots."""
    models = [StreamingChat(tracer=oracle.tracer, script=["a b c"]) for _ in range(2)]
    streams = [model.stream("hi", oracle.config()) for model in models]
    for _ in zip(*streams, strict=True):
        with oracle.tracer.start_as_current_span("consumer"):
            pass
    assert oracle.parent_name("consumer") is None
    calls = [span for span in oracle.spans if span.name == "chat fake-1"]
    assert [span.parent_id for span in calls] == [None, None]
    for call in calls:
        inside = [span.name for span in oracle.spans if span.parent_id == call.span_id]
        assert inside == ["http", "chunk", "chunk", "chunk"]


async def test_two_interleaved_async_streams_keep_apart(oracle: Oracle) -> None:
    """The same for async streams in one task."""
    models = [StreamingChat(tracer=oracle.tracer, script=["a b c"]) for _ in range(2)]
    first, second = (model.astream("hi", oracle.config()) for model in models)
    async for _ in first:
        await anext(second, None)
    async for _ in second:
        pass
    calls = [span for span in oracle.spans if span.name == "chat fake-1"]
    assert len(calls) == 2
    for call in calls:
        inside = [span.name for span in oracle.spans if span.parent_id == call.span_id]
        assert inside == ["http", "chunk", "chunk", "chunk"]


def test_stream_inside_a_run_nests(oracle: Oracle) -> None:
    """A model streamed inside a lambda hangs under it, and what the lambda does meanwhile too."""
    model = StreamingChat(tracer=oracle.tracer, script=["a b"])

    def relay(value: str) -> str:
        said = ""
        for chunk in model.stream(value):
            with oracle.tracer.start_as_current_span("work"):
                said += str(chunk.content)
        return said

    (RunnableLambda(relay) | RunnableLambda(lambda x: x)).invoke("hi", oracle.config())
    assert oracle.parent_name("chat fake-1") == "relay"
    assert oracle.parent_name("work") == "relay"
    assert oracle.parent_name("http") == "chat fake-1"


def test_generator_step_holds_its_own_spans(oracle: Oracle) -> None:
    """A generator in a chain: spans between its yields are its own, not the consumer's."""

    def double(chunks: Iterator[Any]) -> Iterator[Any]:
        for chunk in chunks:
            with oracle.tracer.start_as_current_span("body"):
                pass
            yield chunk

    chain = StreamingChat(script=["a b c"]) | RunnableGenerator(double)
    for _ in chain.stream("hi", oracle.config()):
        with oracle.tracer.start_as_current_span("consumer"):
            pass
    assert oracle.parent_name("consumer") is None
    assert oracle.parent_name("body") in {"double", "RunnableGenerator"}


async def test_async_generator_step_holds_its_own_spans(oracle: Oracle) -> None:
    """The same for an async generator."""

    async def double(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for chunk in chunks:
            with oracle.tracer.start_as_current_span("body"):
                await asyncio.sleep(0)
            yield chunk

    chain = StreamingChat(script=["a b c"]) | RunnableGenerator(double)
    async for _ in chain.astream("hi", oracle.config()):
        with oracle.tracer.start_as_current_span("consumer"):
            await asyncio.sleep(0)
    assert oracle.parent_name("consumer") is None
    assert oracle.parent_name("body") in {"double", "RunnableGenerator"}


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_streamed_answer_tells_its_pieces_and_its_usage(way: str, oracle: Oracle) -> None:
    """A streamed call says so, with the time to its first chunk, the chunks and the tokens."""
    model = StreamingChat(script=["one two three"])
    if way == "stream":
        list(model.stream("hi", oracle.config()))
    else:
        _ = [chunk async for chunk in model.astream("hi", oracle.config())]
    attributes = oracle.span("chat fake-1").attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["langchain.stream.chunks"] >= 3
    assert 0 <= attributes["gen_ai.response.time_to_first_chunk"] < 60
    assert attributes["gen_ai.usage.input_tokens"] == 7
    assert attributes["gen_ai.usage.output_tokens"] == 3


def test_call_that_is_not_streamed_says_nothing_of_streams(oracle: Oracle) -> None:
    """A whole answer has no stream attributes."""
    StreamingChat().invoke("hi", oracle.config())
    assert not [key for key in oracle.span("chat fake-1").attributes if "stream" in key]


async def test_span_around_a_stream_is_current_between_its_chunks(oracle: Oracle) -> None:
    """Between chunks the consumer's own span is current, during and after the stream."""
    with oracle.tracer.start_as_current_span("request") as request:
        async for _ in StreamingChat(script=["a b"]).astream("hi", oracle.config()):
            assert trace.get_current_span().get_span_context() == request.get_span_context()
        assert trace.get_current_span().get_span_context() == request.get_span_context()
    assert oracle.parent_name("chat fake-1") == "request"


async def test_consumer_of_a_generator_with_managers_of_ours(oracle: Oracle) -> None:
    """A program's own generator that tells its run through our managers keeps its consumer out."""
    from lc_otel.callbacks import AsyncCallbackManager, CallbackManager

    def loop() -> Iterator[int]:
        run = CallbackManager.configure(oracle.callbacks).on_chain_start({"name": "mine"}, {})
        for i in range(2):
            with oracle.tracer.start_as_current_span("body"):
                pass
            yield i
        run.on_chain_end({})

    async def aloop() -> AsyncIterator[int]:
        manager = AsyncCallbackManager.configure(oracle.callbacks)
        run = await manager.on_chain_start({"name": "mine"}, {})
        for i in range(2):
            with oracle.tracer.start_as_current_span("body"):
                await asyncio.sleep(0)
            yield i
        await run.on_chain_end({})

    for _ in loop():
        with oracle.tracer.start_as_current_span("consumer"):
            pass
    async for _ in aloop():
        with oracle.tracer.start_as_current_span("consumer"):
            pass
    assert oracle.parent_name("consumer") is None
    assert oracle.parent_name("body") == "invoke_workflow mine"


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_stream_events_v3_nests_and_keeps_the_consumer_out(oracle: Oracle) -> None:
    """``stream_events`` v3: the body's spans nest, the consumer's do not."""
    runnable, value = programs(oracle)["graph"]
    try:
        events = runnable.stream_events(value, oracle.config(), version="v3")
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        pytest.skip(f"this langgraph has no stream_events v3: {error!r}")
    for _ in events:
        with oracle.tracer.start_as_current_span("consumer"):
            pass
    assert oracle.parent_name("consumer") is None
    assert oracle.parent_name("http") == "chat fake-1"
    chunks = [call.attributes["langchain.stream.chunks"] for call in oracle.llm_calls]
    assert chunks == [4, 4]


def test_protocol_events_count_where_a_model_tells_no_tokens() -> None:
    """Of a model that streams by protocol events alone, the content deltas are its chunks."""
    run_id = uuid4()
    with capture() as captured:
        handler = captured.handler
        handler.on_chat_model_start({"name": "m"}, [[]], run_id=run_id)
        for name in ("message-start", "content-block-delta", "content-block-delta", "message-end"):
            handler.on_stream_event({"event": name}, run_id=run_id)
        handler.on_llm_end({"generations": [[]]}, run_id=run_id)
    attributes = captured.llm_calls[0].attributes
    assert attributes["langchain.stream.chunks"] == 2
    assert attributes["gen_ai.request.stream"] is True
