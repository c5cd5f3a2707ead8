"""The handler is welcome wherever LangChain takes one, and hears every event there is."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import CallbackManager, dispatch_custom_event
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool, Tool

from lc_otel.config import Config
from lc_otel.testing import capture
from tests.fakes import FakeChat, FakeLLM, FakeRetriever

if TYPE_CHECKING:
    from tests.scenarios.conftest import Oracle


def test_prompt_model_parser_is_a_root_with_three_children(oracle: Oracle) -> None:
    """A chain of three steps gives one root with three children in order, usage on the model's."""
    chain = ChatPromptTemplate.from_template("{q}") | FakeChat() | StrOutputParser()
    chain.invoke({"q": "hi"}, oracle.config())
    oracle.assert_tree("""
        invoke_workflow
          ChatPromptTemplate
          chat fake-1
          StrOutputParser
    """)
    attributes = oracle.span("chat fake-1").attributes
    assert attributes["gen_ai.usage.input_tokens"] == 7
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert oracle.span("chat fake-1").kind == "client"
    assert oracle.span("invoke_workflow").kind == "internal"


@pytest.mark.parametrize("model", [FakeChat, FakeLLM])
def test_attached_to_a_model(model: Any) -> None:
    """A model takes the handler as a field of its own."""
    with capture() as captured:
        model(callbacks=[captured.handler]).invoke("hi")
    assert len(captured.llm_calls) == 1


@pytest.mark.parametrize("kind", [Tool, StructuredTool])
def test_attached_to_a_tool(kind: Any) -> None:
    """A tool takes the handler as a field of its own."""

    def look(x: str) -> str:
        return x

    with capture() as captured:
        if kind is Tool:
            tool: Any = Tool("look", look, "Look.", callbacks=[captured.handler])
        else:
            tool = StructuredTool.from_function(
                look, description="Look.", callbacks=[captured.handler]
            )
        tool.invoke({"x": "1"} if kind is StructuredTool else "1")
    assert captured.tool("look").span.kind == "internal"


def test_attached_to_a_retriever_by_config(oracle: Oracle) -> None:
    """A retriever, which has no field for handlers, tells how many documents it found."""
    FakeRetriever().invoke("q", oracle.config())
    assert oracle.span("retrieval").attributes["langchain.retrieval.document_count"] == 1


def test_attached_by_with_config_and_by_a_manager() -> None:
    """``with_config`` and a callback manager carry it to every run inside."""
    chain = RunnableLambda(lambda x: x, name="first") | FakeChat()
    tree = """
        invoke_workflow
          first
          chat fake-1
    """
    with capture() as captured:
        chain.with_config(callbacks=[captured.handler]).invoke("hi")
        captured.assert_tree(tree)
        captured.clear()
        manager = CallbackManager([captured.handler], [captured.handler])
        chain.invoke("hi", {"callbacks": manager})
        captured.assert_tree(tree)


def test_a_model_that_holds_it_can_be_copied_deeply() -> None:
    """Copying what holds a handler keeps the one handler."""
    with capture() as captured:
        model = FakeChat(callbacks=[captured.handler])
        twin = copy.deepcopy(model)
        assert twin.callbacks == [captured.handler]
        assert copy.copy(captured.handler) is captured.handler
        twin.invoke("hi")
    assert len(captured.llm_calls) == 1


def test_events_inside_a_run_are_events_of_its_span() -> None:
    """Text, retry, agent action and finish, and custom events are told on the run's span."""
    failures = [ValueError("secret")]

    def flaky(value: Any) -> Any:
        if failures:
            raise failures.pop()
        dispatch_custom_event("progress", {"secret": 1})
        return value

    with capture() as captured:
        chain = RunnableLambda(flaky).with_retry(
            stop_after_attempt=2, wait_exponential_jitter=False
        )
        chain.invoke("hi", {"callbacks": [captured.handler]})
        run = CallbackManager.configure([captured.handler]).on_chain_start({"name": "agent"}, {})
        run.on_text("secret")
        run.on_agent_action(AgentAction("look", "secret", "secret"))
        run.on_agent_finish(AgentFinish({"output": "secret"}, "secret"))
        run.on_chain_end({})
    events = {s.name: [event.name for event in s.events] for s in captured.spans if s.events}
    assert events["invoke_workflow agent"] == [
        "langchain.text",
        "langchain.agent.action",
        "langchain.agent.finish",
    ]
    assert ["progress"] in events.values()
    assert "secret" not in repr(captured.spans)


def test_a_retry_says_its_attempt_and_its_error() -> None:
    """Tenacity's retry state becomes an event with attempt, wait in seconds and error type."""
    import tenacity

    with capture() as captured:
        run = CallbackManager.configure([captured.handler]).on_chain_start({"name": "a"}, {})

        @tenacity.retry(
            stop=tenacity.stop_after_attempt(2),
            wait=tenacity.wait_fixed(0.001),
            before_sleep=run.on_retry,
        )
        def work() -> None:
            raise ValueError("secret")

        with pytest.raises(tenacity.RetryError):
            work()
        run.on_chain_end({})
    [event] = captured.spans[0].events
    assert event.name == "langchain.retry"
    assert event.attributes == {
        "langchain.retry.attempt": 1,
        "langchain.retry.wait": 0.001,
        "error.type": "ValueError",
    }


def test_start_attributes_are_there_for_samplers() -> None:
    """A sampler sees operation, provider, model, agent and tool at span creation."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

    from lc_otel import OTelCallbackHandler

    seen: dict[str, dict[str, Any]] = {}

    class Seeing(Sampler):
        def should_sample(self, parent_context: Any, trace_id: Any, name: str, *args: Any) -> Any:
            seen[name] = dict(args[1])
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "seeing"

    handler = OTelCallbackHandler(TracerProvider(sampler=Seeing(), shutdown_on_exit=False))
    chain = RunnableLambda(lambda x: x) | FakeChat()
    chain.invoke("hi", {"callbacks": [handler], "run_name": "main"})
    Tool("look", lambda x: x, "Look.").invoke("1", {"callbacks": [handler]})
    assert seen["chat fake-1"]["gen_ai.provider.name"] == "openai"
    assert seen["chat fake-1"]["gen_ai.request.model"] == "fake-1"
    assert seen["execute_tool look"]["gen_ai.tool.name"] == "look"
    assert seen["invoke_workflow main"]["gen_ai.workflow.name"] == "main"
    assert handler.open_runs == 0


def test_a_failing_tool_message_is_an_error() -> None:
    """A tool that returns ``ToolMessage(status="error")`` has error type tool_error."""
    from langchain_core.tools import ToolException, tool

    @tool
    def fail(x: int) -> int:
        """Fail."""
        raise ToolException("secret")

    fail.handle_tool_error = True
    call = {"name": "fail", "args": {"x": 1}, "id": "c1", "type": "tool_call"}
    with capture(Config()) as captured:
        fail.invoke(call, {"callbacks": [captured.handler]})
    span = captured.tool("fail").span
    assert (span.status, span.attributes["error.type"]) == ("error", "tool_error")
    assert "secret" not in repr(captured.spans)
