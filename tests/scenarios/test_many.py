"""Many runs at once: no run hangs under a stranger."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel

from tests.fakes import FakeChat, FakeLLM, StreamingChat

if TYPE_CHECKING:
    from tests.scenarios.conftest import Oracle


def roots(oracle: Oracle) -> list[str]:
    """Names of the spans directly under the ambient span "request"."""
    request = oracle.span("request")
    return [span.name for span in oracle.spans if span.parent_id == request.span_id]


def chain(oracle: Oracle) -> Any:
    """Prompt | model, whose roots `batch` starts before any body runs."""
    return ChatPromptTemplate.from_template("{q}") | FakeChat(tracer=oracle.tracer)


@pytest.mark.parametrize("way", ["batch", "abatch", "batch_as_completed"])
@pytest.mark.parametrize("what", ["chain", "model", "llm", "lambda"])
async def test_roots_of_a_batch_are_siblings(way: str, what: str, oracle: Oracle) -> None:
    """The runs of a batch all hang under the ambient span, and each request under its own model."""
    runnable: Any = {
        "chain": chain(oracle),
        "model": FakeChat(tracer=oracle.tracer),
        "llm": FakeLLM(),
        "lambda": RunnableLambda(lambda x: x, name="same"),
    }[what]
    inputs: list[Any] = [{"q": str(i)} if what == "chain" else str(i) for i in range(4)]
    with oracle.tracer.start_as_current_span("request"):
        if way == "batch":
            runnable.batch(inputs, oracle.config())
        elif way == "abatch":
            await runnable.abatch(inputs, oracle.config())
        else:
            list(runnable.batch_as_completed(inputs, oracle.config()))
    assert len(roots(oracle)) == 4
    if what in {"chain", "model"}:
        assert oracle.parent_name("http") == "chat fake-1"


async def test_prompts_of_one_generate_are_siblings(oracle: Oracle) -> None:
    """Several prompts in one ``generate`` are one run each, side by side."""
    from langchain_core.messages import HumanMessage

    with oracle.tracer.start_as_current_span("request"):
        FakeLLM().generate(["a", "b", "c"], callbacks=oracle.callbacks)
        FakeChat().generate([[HumanMessage("a")], [HumanMessage("b")]], callbacks=oracle.callbacks)
        await FakeChat().agenerate(
            [[HumanMessage("a")], [HumanMessage("b")]], callbacks=oracle.callbacks
        )
    assert roots(oracle) == ["text_completion"] * 3 + ["chat fake-1"] * 4


async def test_gathered_chains_do_not_nest_in_each_other(oracle: Oracle) -> None:
    """Chains gathered in one task group are siblings, their models each in its own."""
    with oracle.tracer.start_as_current_span("request"):
        await asyncio.gather(
            *(chain(oracle).ainvoke({"q": str(i)}, oracle.config()) for i in range(20))
        )
    assert roots(oracle) == ["invoke_workflow"] * 20
    assert oracle.parent_name("http") == "chat fake-1"


async def test_chains_gathered_inside_a_run_are_its_children(oracle: Oracle) -> None:
    """Chains gathered inside a lambda hang under the lambda."""

    async def fan_out(value: str) -> Any:
        return await asyncio.gather(*(chain(oracle).ainvoke({"q": value}) for _ in range(5)))

    outer = RunnableLambda(fan_out) | RunnableLambda(len)
    assert await outer.ainvoke("hi", oracle.config()) == 5
    assert oracle.parent_name("RunnableSequence") == "fan_out"
    assert oracle.parent_name("chat fake-1") == "RunnableSequence"


async def test_batch_inside_a_run_hangs_under_it(oracle: Oracle) -> None:
    """A batch inside a lambda: its chains are children of the lambda."""

    def fan_out(value: str) -> Any:
        return chain(oracle).batch([{"q": value}] * 3)

    outer = RunnableLambda(fan_out) | RunnableLambda(len)
    outer.invoke("hi", oracle.config())
    await outer.ainvoke("hi", oracle.config())
    assert oracle.parent_name("RunnableSequence") == "fan_out"


def test_one_handler_shared_by_threads(oracle: Oracle) -> None:
    """Eight threads share a handler: every chain is a root of its own with its own model inside."""
    barrier = threading.Barrier(8)

    def work(_: int) -> None:
        barrier.wait()
        for _ in range(20):
            chain(oracle).invoke({"q": "hi"}, oracle.config())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    models = [span for span in oracle.spans if span.name == "chat fake-1"]
    assert len(models) == 160
    assert len({span.trace_id for span in models}) == 160
    assert oracle.parent_name("chat fake-1") == "invoke_workflow"


async def test_parallel_and_batches_mixed(oracle: Oracle) -> None:
    """A batch of parallels of chains: the tree is LangChain's own, requests under their models."""
    parallel = RunnableParallel(
        a=chain(oracle) | (lambda m: m.content),
        b=RunnableLambda(lambda x: x["q"]) | StreamingChat(tracer=oracle.tracer),
    )
    parallel.batch([{"q": str(i)} for i in range(3)], oracle.config())
    await parallel.abatch([{"q": str(i)} for i in range(3)], oracle.config())
    assert oracle.parent_name("http") == "chat fake-1"


async def test_two_agents_with_the_same_thread_id_stay_two_traces(oracle: Oracle) -> None:
    """Two concurrent graphs with one thread_id are two traces with one conversation id."""
    from langgraph.graph import START, MessagesState, StateGraph

    model = FakeChat(tracer=oracle.tracer, delay=0.01)

    async def answer(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    agent = graph.compile(name="talk")
    config = oracle.config(configurable={"thread_id": "t1"})
    await asyncio.gather(*(agent.ainvoke({"messages": [("user", "hi")]}, config) for _ in range(2)))
    assert len(oracle.traces) == 2
    for one in oracle.traces:
        assert [span.name for span in one.roots] == ["invoke_workflow talk"]
        conversation = {span.attributes.get("gen_ai.conversation.id") for span in one.roots}
        assert conversation == {"t1"}


async def test_model_calling_a_chain_without_config_has_it_inside(oracle: Oracle) -> None:
    """A model whose body calls a chain holds it, though LangChain passes no config on."""

    class Wrapping(FakeChat):
        inner: Any = None
        callbacks_inside: Any = None

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            self.inner.invoke("hi", {"callbacks": self.callbacks_inside})
            return super()._generate(*args, **kwargs)

    model = Wrapping(
        inner=RunnableLambda(lambda x: x, name="helper"), callbacks_inside=oracle.callbacks
    )
    model.invoke("hi", oracle.config())
    assert oracle.parent_name("invoke_workflow helper") == "chat fake-1"
