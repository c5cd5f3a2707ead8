"""instrument(): every run of the process, in every thread, without a handler in sight."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables import RunnableLambda

from lc_otel import OTelCallbackHandler, instrument, uninstrument
from lc_otel.callbacks import CallbackManager, trace_as_chain_group
from lc_otel.instrumentation import LangChainInstrumentor
from lc_otel.testing import Captured, capture
from tests.fakes import FakeChat
from tests.receiver import grpc_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def captured() -> Iterator[Captured]:
    """A capture whose provider `instrument` writes to."""
    with capture() as captured:
        instrument(captured.tracer_provider)
        yield captured
        uninstrument()


def chain() -> Any:
    """Two steps."""
    return RunnableLambda(lambda x: x, name="first") | FakeChat()


TREE = """
    invoke_workflow
      first
      chat fake-1
"""


def test_every_run_is_traced(captured: Captured) -> None:
    """A chain without callbacks is traced, as nested as with a handler."""
    chain().invoke("hi")
    captured.assert_tree(TREE)


async def test_every_async_run_is_traced(captured: Captured) -> None:
    """The same for an awaited chain."""
    await chain().ainvoke("hi")
    captured.assert_tree(TREE)


def test_threads_started_before_and_after(captured: Captured) -> None:
    """Threads that ran before `instrument` are traced as those that start after it."""
    uninstrument()
    go, done = threading.Event(), []

    def work() -> None:
        go.wait()
        chain().invoke("hi")
        done.append(1)

    before = threading.Thread(target=work)
    before.start()
    instrument(captured.tracer_provider)
    after = threading.Thread(target=work)
    after.start()
    go.set()
    before.join()
    after.join()
    assert len(done) == len(captured.traces) == 2


def test_a_handler_attached_as_well_doubles_nothing(captured: Captured) -> None:
    """Beside an explicitly attached handler, to the chain or the model, each run is one span."""
    chain().invoke("hi", {"callbacks": [captured.handler]})
    captured.assert_tree(TREE)
    captured.clear()
    model = FakeChat(callbacks=[OTelCallbackHandler(captured.tracer_provider)])
    (RunnableLambda(lambda x: x, name="first") | model).invoke("hi")
    captured.assert_tree(TREE)


def test_it_is_idempotent_and_can_be_undone(captured: Captured) -> None:
    """A second call gives the same handler; after uninstrument() nothing is traced, then again."""
    first = instrument(captured.tracer_provider)
    assert instrument() is first
    uninstrument()
    uninstrument()
    chain().invoke("hi")
    assert captured.spans == []
    assert instrument(captured.tracer_provider) is not first
    chain().invoke("hi")
    captured.assert_tree(TREE)


def test_a_run_that_is_open_when_tracing_stops_still_ends(captured: Captured) -> None:
    """uninstrument() in the middle of a run leaves no span open."""

    def stop(value: Any) -> Any:
        uninstrument()
        return value

    (RunnableLambda(stop) | FakeChat()).invoke("hi")
    assert captured.handler.open_runs == 0
    assert captured.roots[0].name == "invoke_workflow"


def test_managers_of_ours_are_traced(captured: Captured) -> None:
    """`CallbackManager.configure()` yields spans anywhere, and a chain group is a span."""
    with trace_as_chain_group("group") as group:
        chain().invoke("hi", {"callbacks": group})
        run = CallbackManager.configure(group).on_chain_start({"name": "mine"}, {})
        run.on_chain_end({})
    captured.assert_tree("""
        invoke_workflow group
          RunnableSequence
            first
            chat fake-1
          mine
    """)


def test_the_instrumentor_instruments_and_uninstruments() -> None:
    """`LangChainInstrumentor` does what OpenTelemetry's tooling expects of an instrumentor."""
    with capture() as captured:
        instrumentor = LangChainInstrumentor()
        instrumentor.instrument(tracer_provider=captured.tracer_provider)
        try:
            chain().invoke("hi")
        finally:
            instrumentor.uninstrument()
        chain().invoke("hi")
    captured.assert_tree(TREE)


PROGRAM = """
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
chain = ChatPromptTemplate.from_template("{q}") | FakeListChatModel(responses=["hello"])
print(chain.invoke({"q": "hi"}).content)
"""


def test_an_untouched_program_is_traced_by_opentelemetry_instrument(tmp_path: Path) -> None:
    """``opentelemetry-instrument python app.py`` ships the spans of a program without our name."""
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    if not command.exists():
        pytest.skip("opentelemetry-distro is not installed in this environment")
    program = tmp_path / "app.py"
    program.write_text(PROGRAM)
    with grpc_receiver() as receiver:
        environment = {
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_SERVICE_NAME": "untouched",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        }
        done = subprocess.run(
            [command, sys.executable, program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "hello\n"
        spans = receiver.receiver.spans
    by_id = {span.span_id: span for span in spans}
    names = {
        span.name: by_id[span.parent_id].name if span.parent_id in by_id else None for span in spans
    }
    assert names["invoke_workflow"] is None
    assert names["ChatPromptTemplate"] == "invoke_workflow"
    assert [name for name in names if name.startswith("chat")] != []
    assert {span.resource["service.name"] for span in spans} == {"untouched"}
