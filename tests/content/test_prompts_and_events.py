"""Prompts on the next model call, and what happens inside a run, under the content policy."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

pytest.importorskip("langchain_core")

from langchain_core.callbacks import dispatch_custom_event
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel

from lc_otel import Config
from lc_otel.testing import capture
from tests.fakes import FakeChat
from tests.telemetry import Telemetry

GREETING = ChatPromptTemplate([("system", "be {mood}"), ("human", "hi")])


def test_a_prompts_name_and_variables_stand_on_the_call_it_fills() -> None:
    """The name is no content; the values it was filled with are."""
    prompt = GREETING.with_config(run_name="greeting", metadata={"lc_hub_commit_hash": "a1b2"})
    for content in (False, True):
        with capture(Config(capture_content=content)) as captured:
            (prompt | FakeChat()).invoke({"mood": "kind"}, {"callbacks": [captured.handler]})
        (call,) = captured.llm_calls
        assert call.attributes["gen_ai.prompt.name"] == "greeting"
        assert call.attributes["gen_ai.prompt.version"] == "a1b2"
        variables = call.attributes.get("langchain.prompt.variables")
        assert variables == ('{"mood":"kind"}' if content else None)


def test_a_prompt_from_the_hub_is_told_by_its_repository() -> None:
    """LangSmith's hub says which prompt it was."""
    prompt = GREETING.with_config(metadata={"lc_hub_repo": "greet", "lc_hub_commit_hash": "c"})
    with capture() as captured:
        (prompt | FakeChat()).invoke({"mood": "kind"}, {"callbacks": [captured.handler]})
    assert captured.llm_calls[0].attributes["gen_ai.prompt.name"] == "greet"


def test_a_prompt_is_told_on_one_call_only() -> None:
    """The second call of the same chain was not filled by it."""
    model = FakeChat()
    with capture(Config(capture_content=True)) as captured:
        (GREETING | model | StrOutputParser() | model).invoke(
            {"mood": "kind"}, {"callbacks": [captured.handler]}
        )
    told = ["langchain.prompt.variables" in call.attributes for call in captured.llm_calls]
    assert told == [True, False]


def test_a_prompt_without_a_name_of_its_own_has_none() -> None:
    """A class name says nothing of which prompt it is."""
    with capture() as captured:
        (GREETING | FakeChat()).invoke({"mood": "kind"}, {"callbacks": [captured.handler]})
    assert "gen_ai.prompt.name" not in captured.llm_calls[0].attributes


def test_branches_keep_their_prompts_apart() -> None:
    """Each branch's call has the variables of its own prompt."""

    def branch(word: str) -> Any:
        return ChatPromptTemplate([("human", "{" + word + "}")]) | FakeChat()

    both = RunnableParallel(a=branch("x"), b=branch("y"))
    with capture(Config(capture_content=True)) as captured:
        both.invoke({"x": "1", "y": "2"}, {"callbacks": [captured.handler]})
    for call in captured.llm_calls:
        said = json.loads(call.attributes["gen_ai.input.messages"])[0]["parts"][0]["content"]
        assert said in {"1", "2"}
        assert json.loads(call.attributes["langchain.prompt.variables"]) == {"x": "1", "y": "2"}


@pytest.mark.parametrize("content", [False, True])
def test_a_custom_event_tells_its_name_always_and_its_data_on_demand(content: bool) -> None:
    """The name is the program's own; the data is content."""

    def work(value: Any) -> Any:
        dispatch_custom_event("progress", {"done": 3})
        return value

    with capture(Config(capture_content=content)) as captured:
        RunnableLambda(work).invoke("x", {"callbacks": [captured.handler]})
    (event,) = captured.spans[0].events
    assert event.name == "progress"
    assert dict(event.attributes) == ({"langchain.event.data": '{"done":3}'} if content else {})


def test_an_event_inside_a_hidden_run_is_told_with_its_data() -> None:
    """Its nearest shown ancestor tells it, under the same policy."""

    def work(value: Any) -> Any:
        dispatch_custom_event("progress", {"done": 3})
        return value

    with capture(Config(capture_content=True, detail="semantic")) as captured:
        chain = RunnableLambda(lambda value: value) | RunnableLambda(work)
        chain.invoke("x", {"callbacks": [captured.handler]})
    (span,) = captured.spans
    assert [dict(event.attributes) for event in span.events] == [
        {"langchain.event.data": '{"done":3}'}
    ]


def test_retries_and_agent_steps_are_events() -> None:
    """That an agent chose is told; what it chose, on demand."""
    telemetry = Telemetry(Config(capture_content=True))
    handler, run_id = telemetry.handler, uuid4()
    handler.on_chain_start({}, {}, run_id=run_id, name="AgentExecutor")
    handler.on_agent_action({"tool": "add", "tool_input": {"a": 1}}, run_id=run_id)
    handler.on_retry({"attempt_number": 2, "next_action": {"sleep": 0.5}}, run_id=run_id)
    handler.on_text("thinking", run_id=run_id)
    handler.on_agent_finish({"return_values": {"output": "3"}}, run_id=run_id)
    handler.on_chain_end({}, run_id=run_id)
    told = [(event.name, dict(event.attributes or {})) for event in telemetry.span.events]
    assert told == [
        (
            "langchain.agent.action",
            {"langchain.event.data": '{"tool":"add","tool_input":{"a":1}}'},
        ),
        ("langchain.retry", {"langchain.retry.attempt": 2, "langchain.retry.wait": 0.5}),
        ("langchain.text", {"langchain.event.data": "thinking"}),
        ("langchain.agent.finish", {"langchain.event.data": '{"output":"3"}'}),
    ]


def test_an_agents_messages_are_told_as_messages() -> None:
    """What an agent is given, and its answer, in the conventions' shape beside the state."""
    telemetry = Telemetry(Config(capture_content=True))
    mark = {"ls_integration": "langchain_create_agent", "lc_agent_name": "helper"}
    telemetry.chain(
        {"messages": [("user", "hi")]},
        {"messages": [("user", "hi"), ("assistant", "ho")], "steps": 2},
        metadata=mark,
    )
    told = telemetry.attributes
    user = {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    reply = {"role": "assistant", "parts": [{"type": "text", "content": "ho"}]}
    assert json.loads(told["gen_ai.input.messages"]) == [user]
    assert json.loads(told["gen_ai.output.messages"]) == [{**reply, "finish_reason": "stop"}]
    assert json.loads(told["langchain.output"]) == {"messages": [user, reply], "steps": 2}
