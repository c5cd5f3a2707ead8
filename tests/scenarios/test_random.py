"""Random programs: whatever is composed and however it is run, our tree is LangChain's own."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.scenarios.conftest import Oracle

pytest.importorskip("langchain_core")

from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool

from tests.fakes import FakeChat, FakeRetriever, StreamingChat

EXAMPLES = int(os.environ.get("LC_OTEL_EXAMPLES", "40"))

leaves = st.sampled_from(
    ["pass", "span", "raise", "chat", "stream_chat", "tool", "retriever", "nested", "sleep"]
)
programs = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("sequence"), st.lists(inner, min_size=2, max_size=3)),
        st.tuples(st.just("parallel"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("batch"), inner),
        st.tuples(st.just("by_hand"), inner),
        st.tuples(st.just("fallback"), inner),
    ),
    max_leaves=7,
)
ways = st.sampled_from(
    [
        *("invoke", "ainvoke", "stream", "astream", "batch", "abatch"),
        *("events", "broken_stream", "broken_astream", "cancel"),
    ]
)


class BoomError(Exception):
    """What a raising leaf raises."""


def build(program: Any, oracle: Oracle) -> Any:
    """The runnable a description stands for."""
    if isinstance(program, str):
        return LEAVES[program](oracle)
    kind, parts = program
    if kind == "sequence":
        first, *rest = (build(part, oracle) for part in parts)
        for step in rest:
            first = first | step
        return first
    if kind == "parallel":
        return RunnableParallel({f"k{i}": build(part, oracle) for i, part in enumerate(parts)}) | (
            RunnableLambda(lambda x: "x", name="join")
        )
    inner = build(parts, oracle)
    if kind == "batch":
        return both(
            lambda x: inner.batch(["x", "x"]), lambda x: inner.abatch(["x", "x"]), "batching"
        )
    if kind == "fallback":
        return inner.with_fallbacks([RunnableLambda(lambda x: "x", name="fallback")])

    def by_hand(x: Any) -> Any:
        with oracle.tracer.start_as_current_span("by hand"):
            return inner.invoke("x")

    async def aby_hand(x: Any) -> Any:
        with oracle.tracer.start_as_current_span("by hand"):
            return await inner.ainvoke("x")

    return both(by_hand, aby_hand, "opener")


def both(sync: Any, coroutine: Any, name: str) -> Any:
    """A lambda for both worlds that hands a plain text on."""

    def run(x: Any) -> str:
        sync(x)
        return "x"

    async def arun(x: Any) -> str:
        await coroutine(x)
        return "x"

    return RunnableLambda(run, arun, name=name)


def _raise(x: Any) -> Any:
    raise BoomError


def _span(oracle: Oracle) -> Any:
    def body(x: Any) -> Any:
        with oracle.tracer.start_as_current_span("sql"):
            return "x"

    return RunnableLambda(body, name="span")


def _tool(oracle: Oracle) -> Any:
    @tool
    def look(x: str) -> str:
        """Look."""
        with oracle.tracer.start_as_current_span("in tool"):
            return "x"

    return RunnableLambda(lambda x: {"x": "x"}, name="wrap") | look


def _nested(oracle: Oracle) -> Any:
    chain = RunnableLambda(lambda x: "x", name="inner") | FakeChat(tracer=oracle.tracer)
    return both(lambda x: chain.invoke("x"), lambda x: chain.ainvoke("x"), "nesting")


def _sleep(oracle: Oracle) -> Any:
    async def asleep(x: Any) -> Any:
        await asyncio.sleep(0.005)

    return both(lambda x: None, asleep, "sleeping")


LEAVES: dict[str, Any] = {
    "pass": lambda oracle: RunnableLambda(lambda x: "x", name="pass"),
    "span": _span,
    "raise": lambda oracle: RunnableLambda(_raise, name="raise"),
    "chat": lambda oracle: FakeChat(tracer=oracle.tracer) | (lambda m: "x"),
    "stream_chat": lambda oracle: (
        StreamingChat(tracer=oracle.tracer, script=["a b c"] * 9)
        | RunnableLambda(lambda m: "x", name="text")
    ),
    "tool": _tool,
    "retriever": lambda oracle: FakeRetriever(tracer=oracle.tracer) | (lambda d: "x"),
    "nested": _nested,
    "sleep": _sleep,
}

OWNERS = {"sql": "span", "in tool": "look", "search": "FakeRetriever"}


async def drive(way: str, runnable: Any, oracle: Oracle) -> None:
    """Run a program in one of the ways LangChain offers, to its end or not."""
    config = oracle.config()
    oracle.broken_off = way.startswith("broken")
    if way == "events":
        await drain(runnable.astream_events("x", config, version="v2"), oracle)
    elif way.endswith("astream"):
        await drain(runnable.astream("x", config), oracle)
    elif way.endswith("stream"):
        stream = runnable.stream("x", config)
        for _ in stream:
            with oracle.tracer.start_as_current_span("consumer"):
                pass
            if oracle.broken_off:
                break
        stream.close()
    elif way == "cancel":
        task = asyncio.create_task(runnable.ainvoke("x", config))
        await asyncio.sleep(0.002)
        task.cancel()
        await task
    else:
        answer = getattr(runnable, way)(["x", "x"] if way.endswith("batch") else "x", config)
        _ = await answer if way.startswith("a") else answer


async def drain(stream: Any, oracle: Oracle) -> None:
    """Consume an async stream with spans of the consumer's own, to its end or not."""
    async for _ in stream:
        with oracle.tracer.start_as_current_span("consumer"):
            await asyncio.sleep(0)
        if oracle.broken_off:
            break
    await stream.aclose()


async def tell(program: Any, way: str) -> Oracle:
    """Run a program, let what it left behind finish, and give back what was seen."""
    oracle = Oracle()
    with suppress(BoomError, asyncio.CancelledError):
        await drive(way, build(program, oracle), oracle)
    for _ in range(50):  # generators inside a broken stream, tasks of a cancelled gather
        await asyncio.sleep(0)
    await asyncio.sleep(0.02 if way == "cancel" or oracle.errors else 0)
    gc.collect()  # a generator that never reports its end, in a cycle with its own exception
    return oracle


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(program=programs, way=ways)
def test_any_program_tells_langchains_own_tree(program: Any, way: str) -> None:
    """Same run ids, parents and outcomes; nothing open; the body's spans in their own run."""
    oracle = asyncio.run(tell(program, way))
    note(oracle.tree())
    oracle.verify()
    by_id = {span.span_id: span for span in oracle.spans}
    for span in oracle.spans:
        if span.name in OWNERS:
            parent = by_id[span.parent_id or ""]
            assert parent.attributes["langchain.run.name"] == OWNERS[span.name], oracle.tree()
        if span.name == "consumer":
            assert span.parent_id is None, oracle.tree()
