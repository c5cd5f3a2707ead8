"""No run stays open, however its program ends."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace

from lc_otel.callbacks import CallbackManager
from lc_otel.config import Config
from lc_otel.testing import capture
from tests.fakes import FakeChat, FakeLLM, StreamingChat

if TYPE_CHECKING:
    from tests.scenarios.conftest import Oracle


def slow_programs(oracle: Oracle) -> dict[str, Any]:
    """Programs that wait in their model, tool or body until they are cancelled."""
    model = FakeChat(tracer=oracle.tracer, delay=60)

    @tool
    async def wait(x: int) -> int:
        """Wait."""
        await asyncio.sleep(60)
        return x

    async def body(x: Any) -> Any:
        await asyncio.sleep(60)

    return {
        "model": (model, "hi"),
        "chain": (ChatPromptTemplate.from_template("{q}") | model, {"q": "hi"}),
        "tool": (wait, {"x": 1}),
        "lambda": (RunnableLambda(body), 1),
        "deep": (RunnableLambda(lambda q: q) | {"a": RunnableLambda(body), "b": model}, "hi"),
    }


@pytest.mark.parametrize("program", ["model", "chain", "tool", "lambda", "deep"])
async def test_a_thousand_cancelled_tasks_leave_nothing_open(program: str, oracle: Oracle) -> None:
    """1,000 cancelled ``ainvoke`` calls: no open run, no unended span, no error."""
    runnable, value = slow_programs(oracle)[program]
    for _ in range(10):
        tasks = [asyncio.create_task(runnable.ainvoke(value, oracle.config())) for _ in range(100)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert oracle.handler.open_runs == 0
    assert not oracle.errors
    open_ended = [
        s for s in oracle.spans if s.attributes.get("langchain.run.outcome") == "cancelled"
    ]
    assert len(open_ended) >= 1000


@pytest.mark.parametrize("program", ["model", "chain", "tool", "deep"])
async def test_a_timeout_in_the_same_task_leaves_nothing_open(program: str, oracle: Oracle) -> None:
    """A run cancelled by a timeout is over: the next run of its task is no child of it."""
    runnable, value = slow_programs(oracle)[program]

    async def serve() -> None:
        for _ in range(5):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(runnable.ainvoke(value, oracle.config()), 0.01)

    await asyncio.create_task(serve())
    await asyncio.sleep(0)
    assert oracle.handler.open_runs == 0
    assert not oracle.errors
    assert len(oracle.traces) == 5


async def test_a_model_cancelled_inside_a_run_that_goes_on(oracle: Oracle) -> None:
    """A lambda that catches its model's timeout ends well; the model's span is cancelled."""
    model = FakeChat(delay=60)

    async def try_it(value: str) -> str:
        try:
            await asyncio.wait_for(model.ainvoke(value), 0.01)
        except asyncio.TimeoutError:
            return "gave up"
        raise AssertionError("not reached")

    chain = RunnableLambda(try_it) | RunnableLambda(lambda x: x)
    assert await chain.ainvoke("hi", oracle.config()) == "gave up"
    assert oracle.span("chat fake-1").attributes["langchain.run.outcome"] == "cancelled"
    assert oracle.span("try_it").attributes["langchain.run.outcome"] == "ok"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_what_stops_the_program_ends_its_spans(
    interrupt: type[BaseException], oracle: Oracle
) -> None:
    """KeyboardInterrupt and SystemExit end every span of the run they come through."""

    def stop(value: Any) -> Any:
        raise interrupt

    with pytest.raises(interrupt):
        (RunnableLambda(lambda x: x) | RunnableLambda(stop)).invoke(1, oracle.config())
    assert oracle.handler.open_runs == 0


def test_an_error_is_told_once_on_the_span_that_raised_it(oracle: Oracle) -> None:
    """The exception event stands on the innermost span; its ancestors carry status and type."""
    chain = RunnableLambda(lambda x: x) | FakeChat(fail=ValueError("secret"))
    with pytest.raises(ValueError, match="secret"):
        chain.invoke("hi", oracle.config())
    told = [span.name for span in oracle.spans if any(e.name == "exception" for e in span.events)]
    assert told == ["chat fake-1"]
    failed = {span.name: span.attributes["error.type"] for span in oracle.errors}
    assert failed == {"chat fake-1": "ValueError", "invoke_workflow": "ValueError"}


def test_a_handler_attached_in_the_middle_of_a_tree() -> None:
    """A handler that hears of a run but not of its parent tells it under the ambient span."""
    with capture() as captured:
        tracer = captured.tracer_provider.get_tracer("test")
        model = FakeChat(callbacks=[captured.handler])
        with tracer.start_as_current_span("request"):
            (RunnableLambda(lambda x: x) | model).invoke("hi")
    captured.assert_tree("""
        request
          chat fake-1
    """)


def test_ends_without_a_start_and_starts_and_ends_twice() -> None:
    """An end without a start is ignored; so are a second start and a second end of one run."""
    with capture() as captured:
        handler, run_id = captured.handler, uuid4()
        handler.on_chain_end({}, run_id=run_id)
        handler.on_llm_error(ValueError(), run_id=run_id)
        handler.on_llm_new_token("x", run_id=run_id)
        handler.on_custom_event("x", {}, run_id=run_id)
        handler.on_chain_start({"name": "a"}, {}, run_id=run_id)
        span = handler.span_for(run_id)
        handler.on_chain_start({"name": "b"}, {}, run_id=run_id)
        assert handler.span_for(run_id) is span
        assert handler.open_runs == 1
        handler.on_chain_end({}, run_id=run_id)
        handler.on_chain_end({}, run_id=run_id)
        assert handler.span_for(run_id) is None
    assert [span.name for span in captured.spans] == ["invoke_workflow a"]


def test_a_child_that_starts_after_its_parent_has_ended() -> None:
    """A late child still hangs under its parent's span."""
    with capture() as captured:
        handler, parent, child = captured.handler, uuid4(), uuid4()
        handler.on_chain_start({"name": "a"}, {}, run_id=parent)
        handler.on_chain_end({}, run_id=parent)
        handler.on_chain_start({"name": "late"}, {}, run_id=child, parent_run_id=parent)
        handler.on_chain_end({}, run_id=child)
    captured.assert_tree("""
        invoke_workflow a
          late
    """)


def test_the_table_is_bounded_by_count() -> None:
    """Beyond ``max_open_runs`` the oldest run is ended and marked incomplete."""
    with capture(Config(max_open_runs=10)) as captured:
        ids = [uuid4() for _ in range(25)]
        for run_id in ids:
            captured.handler.on_chain_start({"name": "a"}, {}, run_id=run_id)
            assert captured.handler.open_runs <= 10
        for run_id in ids:
            captured.handler.on_chain_end({}, run_id=run_id)
    outcomes = [span.attributes["langchain.run.outcome"] for span in captured.spans]
    assert outcomes == ["incomplete"] * 15 + ["ok"] * 10


def test_the_table_is_bounded_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run older than ``max_run_age`` is ended and marked incomplete when another starts."""
    with capture(Config(max_run_age=60)) as captured:
        now = [0]
        monkeypatch.setattr(captured.handler._recorder, "_monotonic", lambda: now[0])
        monkeypatch.setattr(captured.handler._recorder, "_swept_ns", 0)
        old, new = uuid4(), uuid4()
        captured.handler.on_chain_start({"name": "old"}, {}, run_id=old)
        now[0] = 61 * 10**9
        captured.handler.on_chain_start({"name": "new"}, {}, run_id=new)
        assert captured.handler.span_for(old) is None
        captured.handler.on_chain_end({}, run_id=new)
    outcomes = {s.name: s.attributes["langchain.run.outcome"] for s in captured.spans}
    assert outcomes == {"invoke_workflow old": "incomplete", "invoke_workflow new": "ok"}


def test_shutdown_ends_what_is_open_and_marks_it() -> None:
    """What is open at shutdown is ended, children first, and marked incomplete."""
    with capture() as captured:
        handler, parent, child = captured.handler, uuid4(), uuid4()
        handler.on_chain_start({"name": "a"}, {}, run_id=parent)
        handler.on_tool_start({"name": "t"}, "", run_id=child, parent_run_id=parent)
        assert handler.end_open_runs() == 2
        assert handler.open_runs == 0
        assert not trace.get_current_span().get_span_context().is_valid
    captured.assert_tree("""
        invoke_workflow a [incomplete]
          execute_tool t [incomplete]
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # 3.12+ warns of fork beside threads
def test_a_forked_child_starts_with_an_empty_table(oracle: Oracle) -> None:
    """After fork the child has no open runs, and its ends do not end the parent's."""

    def fork(value: str) -> str:
        child = os.fork()
        if child == 0:
            clean = oracle.handler.open_runs == 0
            FakeLLM().invoke("hi", {"callbacks": [oracle.handler]})
            os._exit(0 if clean and oracle.handler.open_runs == 0 else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        return value

    (RunnableLambda(fork) | RunnableLambda(lambda x: x)).invoke("hi", oracle.config())
    assert oracle.span("fork").attributes["langchain.run.outcome"] == "ok"


async def test_a_stream_cancelled_in_the_middle(oracle: Oracle) -> None:
    """A task cancelled while it consumes a stream leaves nothing open and no error."""
    model = StreamingChat(tracer=oracle.tracer, script=["a b c d"] * 20)

    async def consume() -> None:
        async for _ in model.astream("hi", oracle.config()):
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(consume()) for _ in range(20)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(10):
        await asyncio.sleep(0)
    assert oracle.handler.open_runs == 0
    assert not oracle.errors


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11")
async def test_a_hanging_root_does_not_swallow_the_next(oracle: Oracle) -> None:
    """``asyncio.timeout`` cancels in the task itself; the next root is none of the lost model's."""
    model = FakeChat(delay=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await model.ainvoke("hi", oracle.config())
    FakeChat().invoke("again", oracle.config())
    assert len(oracle.traces) == 2
    assert oracle.handler.open_runs == 0


def test_a_run_of_the_programs_own_manager_is_never_taken_for_lost() -> None:
    """A model run opened by hand in a helper stays open while other runs come and go."""
    with capture() as captured:

        def ask() -> Any:
            manager = CallbackManager.configure([captured.handler])
            [run] = manager.on_llm_start({"name": "mine"}, ["x"])
            return run

        mine = ask()
        FakeChat().invoke("hi", {"callbacks": [captured.handler]})
        assert captured.handler.span_for(mine.run_id) is not None
        mine.on_llm_end({"generations": [[{"text": "x"}]]})
    assert {span.attributes["langchain.run.outcome"] for span in captured.spans} == {"ok"}
