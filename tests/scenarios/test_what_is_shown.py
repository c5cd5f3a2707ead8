"""Detail, sums, suppression: which runs have a span, and what the shown ones add up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

from lc_otel.config import Config
from lc_otel.testing import capture
from tests.fakes import FakeChat, FakeRetriever, StreamingChat

if TYPE_CHECKING:
    from lc_otel.testing import Captured


def program(captured: Captured) -> Any:
    """A chain of everything: prompt, model, parser, a lambda that calls a tool and a model."""
    tracer = captured.tracer_provider.get_tracer("test")
    model = FakeChat(tracer=tracer)

    @tool
    def look(x: str) -> str:
        """Look."""
        with tracer.start_as_current_span("by hand"):
            return str(model.invoke(x).content)

    def use(value: str) -> str:
        with tracer.start_as_current_span("sql"):
            FakeRetriever().invoke(value)
        return str(look.invoke({"x": value}))

    prompt = ChatPromptTemplate.from_template("{q}")
    inner = (RunnableLambda(use) | RunnableLambda(lambda x: x, name="done")).with_config(
        run_name="inner"
    )
    return (prompt | model | StrOutputParser() | inner).with_config(run_name="main")


EXPECTED = {
    "all": """
        invoke_workflow main
          ChatPromptTemplate
          chat fake-1
            http
          StrOutputParser
          inner
            use
              sql
                retrieval
              execute_tool look
                by hand
                  chat fake-1
                    http
            done
    """,
    "steps": """
        invoke_workflow main
          chat fake-1
            http
          inner
            sql
              retrieval
            execute_tool look
              by hand
                chat fake-1
                  http
    """,
    "semantic": """
        invoke_workflow main
          chat fake-1
            http
          sql
            retrieval
          execute_tool look
            by hand
              chat fake-1
                http
    """,
}


@pytest.mark.parametrize("detail", ["all", "steps", "semantic"])
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
async def test_children_of_a_hidden_run_hang_under_its_nearest_shown_ancestor(
    detail: Any, way: str
) -> None:
    """Detail hides steps; what lies below them, ours or not, moves up to what is shown."""
    with capture(Config(detail=detail)) as captured:
        chain = program(captured)
        config: Any = {"callbacks": [captured.handler]}
        if way == "invoke":
            chain.invoke({"q": "hi"}, config)
        elif way == "ainvoke":
            await chain.ainvoke({"q": "hi"}, config)
        else:
            list(chain.stream({"q": "hi"}, config))
        assert captured.handler.open_runs == 0
    if way == "stream":  # a streamed chain starts its steps in the order they receive their input
        seen = sorted(line.strip() for line in captured.tree().splitlines())
        assert seen == sorted(line.strip() for line in EXPECTED[detail].strip().splitlines())
    else:
        captured.assert_tree(EXPECTED[detail])


def test_error_in_a_hidden_run_is_told_by_its_shown_ancestor() -> None:
    """The exception of a hidden lambda stands on the nearest shown span."""

    def fail(value: Any) -> Any:
        raise ValueError("secret")

    with capture(Config(detail="semantic")) as captured:
        chain = RunnableLambda(lambda x: x) | RunnableLambda(fail)
        with pytest.raises(ValueError, match="secret"):
            chain.invoke(1, {"callbacks": [captured.handler]})
    [root] = captured.spans
    assert [event.name for event in root.events] == ["exception"]
    assert root.attributes["error.type"] == "ValueError"


def test_what_langsmith_hides_is_hidden_in_steps() -> None:
    """Runs tagged ``langsmith:hidden`` have no span in detail "steps"."""
    hidden = RunnableLambda(lambda x: x, name="secret").with_config(tags=["langsmith:hidden"])
    with capture(Config(detail="steps")) as captured:
        (hidden | FakeChat()).invoke("x", {"callbacks": [captured.handler]})
    captured.assert_tree("""
        invoke_workflow
          chat fake-1
    """)


def sums(span: Any) -> tuple[int, ...]:
    """Input tokens, output tokens, model calls, tool calls of a subtree."""
    keys = ("usage.input_tokens", "usage.output_tokens", "llm_calls", "tool_calls")
    return tuple(span.attributes[f"langchain.{key}"] for key in keys)


@pytest.mark.parametrize("detail", ["all", "steps", "semantic"])
def test_a_root_adds_up_its_subtree(detail: Any) -> None:
    """A root carries the sums of everything inside it, in every detail; steps carry none."""
    with capture(Config(detail=detail)) as captured:
        program(captured).invoke({"q": "hi"}, {"callbacks": [captured.handler]})
    assert sums(captured.span("invoke_workflow main")) == (14, 6, 2, 1)
    carrying = [s.name for s in captured.spans if "langchain.llm_calls" in s.attributes]
    assert carrying == ["invoke_workflow main"]


def test_sums_are_exact_across_threads() -> None:
    """Branches that end at once in many threads are all counted."""
    with capture() as captured:
        chain = RunnableLambda(lambda x: x) | {
            f"b{i}": RunnableLambda(lambda x: x) | FakeChat() for i in range(40)
        }
        chain.invoke("hi", {"callbacks": [captured.handler], "max_concurrency": 8})
    assert sums(captured.roots[0]) == (280, 120, 40, 0)


def test_a_cache_hit_is_marked_and_counted_nowhere() -> None:
    """An answer from LangChain's LLM cache is marked; its tokens are in no sum."""
    from langchain_core import __version__
    from langchain_core.caches import InMemoryCache

    if __version__.startswith("0.3."):
        pytest.skip("langchain-core 0.3 hands a cached answer back without a mark")
    model = FakeChat(cache=InMemoryCache())
    chain = RunnableLambda(lambda x: x) | model
    with capture() as captured:
        chain.invoke("hi", {"callbacks": [captured.handler]})
        chain.invoke("hi", {"callbacks": [captured.handler]})
    first, second = captured.roots
    assert sums(first) == (7, 3, 1, 0)
    assert sums(second) == (0, 0, 0, 0)
    marks = [s.attributes.get("langchain.llm.cached") for s in captured.llm_calls]
    assert marks == [None, True]


async def test_suppressed_runs_have_no_span() -> None:
    """While instrumentation is suppressed a run starts no span, nor do its children."""
    with capture() as captured:
        chain = program(captured)
        with suppress_instrumentation():
            chain.invoke({"q": "hi"}, {"callbacks": [captured.handler]})
            await chain.ainvoke({"q": "hi"}, {"callbacks": [captured.handler]})
        assert captured.handler.open_runs == 0
    ours = [span for span in captured.spans if "langchain.run.id" in span.attributes]
    assert ours == []


def test_suppression_is_decided_at_the_start() -> None:
    """A run that started before suppression ends its span; one that started under it has none."""
    with capture() as captured:
        config: Any = {"callbacks": [captured.handler]}
        stream = StreamingChat(script=["a b c"]).stream("hi", config)
        next(stream)
        with suppress_instrumentation():
            list(stream)
        with suppress_instrumentation():
            stream = StreamingChat(script=["a b c"]).stream("hi", config)
            next(stream)
        list(stream)
    captured.assert_tree("chat fake-1")


def test_children_of_a_suppressed_run_that_start_later_have_no_span() -> None:
    """Lifting the suppression in the middle of a run does not let its children appear as roots."""

    def lift(value: Any) -> Any:
        from opentelemetry import context

        token = context.attach(context.Context())
        try:
            return FakeChat().invoke("hi")
        finally:
            context.detach(token)

    with capture() as captured:
        chain = RunnableLambda(lift) | RunnableLambda(lambda x: x)
        with suppress_instrumentation():
            chain.invoke(1, {"callbacks": [captured.handler]})
    assert captured.spans == []


async def test_sampled_out_runs_keep_the_context_and_cost_no_span() -> None:
    """Under a sampler that drops, the body's own spans are dropped with their run."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

    from lc_otel._handler import OTelCallbackHandler

    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = OTelCallbackHandler(provider)
    seen: list[Any] = []

    def look(value: Any) -> Any:
        seen.append(trace.get_current_span().get_span_context())
        with provider.get_tracer("test").start_as_current_span("sql"):
            return value

    await (RunnableLambda(look) | FakeChat()).ainvoke("hi", {"callbacks": [handler]})
    await asyncio.sleep(0)
    assert exporter.get_finished_spans() == ()
    assert handler.open_runs == 0
    assert seen[0].is_valid
    assert not seen[0].trace_flags.sampled
