"""Very many runs at once, from threads and tasks: each is one span, and nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from lc_otel import Config, OTelCallbackHandler

THREADS = 8
TASKS = 2_000
SPANS_A_TREE = 5

SIZES = [4_000, pytest.param(200_000, marks=pytest.mark.load)]
"""Spans in all."""

GROWTH = 1_000_000
"""Bytes that may stay allocated after any number of runs; what is remembered of them is bounded."""


class Tally(SpanExporter):
    """Counts spans, and those that do not hang where they should, without keeping any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.spans = 0
        self.strays: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._lock:
            for span in spans:
                self.spans += 1
                assert span.attributes is not None
                expected = span.attributes.get("langchain.metadata.parent")
                parent = trace.format_span_id(span.parent.span_id) if span.parent else None
                if expected != parent or span.attributes["langchain.run.outcome"] != "ok":
                    self.strays.append(span.name)
        return SpanExportResult.SUCCESS


@pytest.fixture
def tally() -> Tally:
    """What counts the spans."""
    return Tally()


@pytest.fixture
def handler(tally: Tally) -> OTelCallbackHandler:
    """A handler that tells each span's parent as its metadata, as the test knows it."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(tally))
    return OTelCallbackHandler(provider, config=Config(metadata_keys=("parent",)))


def start(handler: OTelCallbackHandler, name: str, parent: UUID | None) -> UUID:
    """Start a run under another."""
    run_id = uuid4()
    span = handler.span_for(parent) if parent else None
    metadata = {"parent": trace.format_span_id(span.get_span_context().span_id)} if span else None
    handler.on_chain_start(
        {}, {"q": "x"}, run_id=run_id, parent_run_id=parent, name=name, metadata=metadata
    )
    return run_id


def run_tree(handler: OTelCallbackHandler) -> None:
    """Run one tree of `SPANS_A_TREE` runs."""
    root = start(handler, "root", None)
    for _ in range((SPANS_A_TREE - 1) // 2):
        step = start(handler, "step", root)
        handler.on_chain_end({}, run_id=start(handler, "leaf", step))
        handler.on_chain_end({"a": 1}, run_id=step)
    handler.on_chain_end({"a": 1}, run_id=root)


async def run_tree_in_pieces(handler: OTelCallbackHandler) -> None:
    """Run the same tree, giving way to other tasks in between."""
    root = start(handler, "root", None)
    for _ in range((SPANS_A_TREE - 1) // 2):
        step = start(handler, "step", root)
        await asyncio.sleep(0)
        leaf = start(handler, "leaf", step)
        await asyncio.sleep(0)
        handler.on_chain_end({}, run_id=leaf)
        handler.on_chain_end({"a": 1}, run_id=step)
    handler.on_chain_end({"a": 1}, run_id=root)


def from_threads(handler: OTelCallbackHandler, spans: int) -> None:
    """Run so many spans' worth of trees in eight threads."""
    trees = spans // SPANS_A_TREE // THREADS

    def work(_: int) -> None:
        for _ in range(trees):
            run_tree(handler)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def from_tasks(handler: OTelCallbackHandler, spans: int) -> None:
    """Run so many spans' worth of trees in up to 2,000 tasks that are all alive at once."""
    trees = spans // SPANS_A_TREE

    async def main() -> None:
        tasks = min(TASKS, trees)

        async def work() -> None:
            for _ in range(trees // tasks):
                await run_tree_in_pieces(handler)

        await asyncio.gather(*(work() for _ in range(tasks)))

    asyncio.run(main())


WAYS: dict[str, Callable[[OTelCallbackHandler, int], None]] = {
    "threads": from_threads,
    "tasks": from_tasks,
}


@pytest.mark.parametrize("spans", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_every_run_is_one_span_under_its_own_parent(
    way: str, spans: int, handler: OTelCallbackHandler, tally: Tally
) -> None:
    """Counts are exact, no span hangs under a stranger, none stays open."""
    WAYS[way](handler, spans)
    assert tally.spans == spans
    assert tally.strays == []
    assert handler.open_runs == 0
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("spans", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_a_run_stays(way: str, spans: int, handler: OTelCallbackHandler) -> None:
    """After as much work again, as much memory is in use as before."""
    WAYS[way](handler, max(spans // 2, 5 * 1024 * SPANS_A_TREE // 4))  # fills what is bounded
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        WAYS[way](handler, spans)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < GROWTH
    table = handler._recorder.table
    assert (len(table.open), len(table.watched)) == (0, 0)
    assert len(table.ended) <= 1024 + THREADS


async def test_runs_of_langchain_in_very_many_tasks(
    handler: OTelCallbackHandler, tally: Tally
) -> None:
    """Two hundred chains at once, through LangChain itself, are as many trees."""
    pytest.importorskip("langchain_core", reason="the programs under test are LangChain's")
    from langchain_core.runnables import RunnableLambda

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    chain = RunnableLambda(double) | RunnableLambda(double)
    results = await asyncio.gather(
        *(chain.ainvoke(number, {"callbacks": [handler]}) for number in range(200))
    )
    assert results == [4 * number for number in range(200)]
    assert tally.spans == 600
    assert handler.open_runs == 0


SOAK = 600.0
"""Seconds."""

STATM = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of memory the process has now."""
    return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.soak
@pytest.mark.skipif(not STATM.exists(), reason="reads Linux's /proc")
def test_memory_is_flat_for_ten_minutes(handler: OTelCallbackHandler, tally: Tally) -> None:
    """After a first minute the process grows no more, while threads and tasks take turns."""
    end = time.monotonic() + SOAK
    settled = 0
    rounds = 0
    while time.monotonic() < end:
        for work in WAYS.values():
            work(handler, 10_000)
        rounds += 1
        if not settled and time.monotonic() > end - 0.9 * SOAK:
            gc.collect()
            settled = resident()
    gc.collect()
    assert tally.spans == rounds * 20_000
    assert tally.strays == []
    assert resident() - settled < 10 * GROWTH
