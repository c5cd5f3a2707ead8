"""Agents: which runs are one, what they are called, and what is summed on them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("langgraph")

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from tests.fakes import FakeChat, calls_tool
from tests.scenarios.ways import call as run
from tests.scenarios.ways import each_way, needs_task_contexts
from tests.versions import needs_create_agent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.scenarios.conftest import Oracle

ASKED = {"messages": [("user", "1+2?")]}
BUILDERS = {
    "create_agent": ("model", "model"),
    "create_react_agent": ("agent", "RunnableSequence"),
}
"""By the name of the function that builds an agent: its node for the model, and who opens that."""
SUMS = (
    "langchain.usage.input_tokens",
    "langchain.usage.output_tokens",
    "langchain.llm_calls",
    "langchain.tool_calls",
)

each_builder = pytest.mark.parametrize("builder", BUILDERS)


def build(builder: str, model: Any, tools: Sequence[Any], name: str | None = None) -> Any:
    """An agent by one of LangChain's functions, or a skip where this LangChain has it not."""
    if builder == "create_agent":
        needs_create_agent()
        from langchain.agents import create_agent

        return create_agent(model, tools, name=name)
    from langgraph.prebuilt import create_react_agent

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangGraph 1.0 would rather have the other
        return create_react_agent(model, tools, name=name)


def make_adder(oracle: Oracle, builder: str, name: str | None = "calc") -> Any:
    """An agent that calls two tools and answers."""

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        with oracle.tracer.start_as_current_span("sql"):
            return a + b

    calls = [calls_tool("add", {"a": 1, "b": 2}, "c1"), calls_tool("add", {"a": 3, "b": 4}, "c2")]
    return build(builder, FakeChat(tracer=oracle.tracer, script=[*calls, "seven"]), [add], name)


def make_caller(builder: str, called: Any, value: Any, name: str | None = "outer") -> Any:
    """An agent whose only tool invokes a runnable."""

    @tool
    def delegate() -> str:
        """Delegate."""
        return str(called.invoke(value))

    return build(builder, FakeChat(script=[calls_tool("delegate", {}), "done"]), [delegate], name)


def agents(oracle: Oracle) -> list[tuple[str, object]]:
    """The spans of agents, in the order in which they began: each one's parent, and its name."""
    began = sorted(oracle.spans, key=lambda span: span.start_ns)
    by_id = {span.span_id: span.name for span in began}
    return [
        (by_id.get(span.parent_id or "", ""), span.attributes.get("gen_ai.agent.name"))
        for span in began
        if span.attributes.get("gen_ai.operation.name") == "invoke_agent"
    ]


@each_builder
@each_way
async def test_agent_with_two_tool_calls(way: str, builder: str, oracle: Oracle) -> None:
    """Agent > model / tools > tool, with usage on each model span and sums on the agent's."""
    needs_task_contexts(way)
    await run(way, make_adder(oracle, builder), ASKED, oracle.config())
    root, (model, asking) = oracle.span("invoke_agent calc"), BUILDERS[builder]
    assert agents(oracle) == [("", "calc")]
    assert root.parent_id is None
    assert oracle.parent_name(model) == oracle.parent_name("tools") == "invoke_agent calc"
    assert oracle.parent_name("execute_tool add") == "tools"
    assert oracle.parent_name("sql") == "execute_tool add"
    assert oracle.parent_name("chat fake-1") == asking
    for call in oracle.llm_calls:
        assert call.attributes["gen_ai.usage.input_tokens"] == 7
    for tool_call in oracle.tool_calls:
        assert tool_call.span.attributes["gen_ai.agent.name"] == "calc"
    assert [root.attributes[key] for key in SUMS] == [21, 9, 3, 2]


@each_builder
@pytest.mark.parametrize("inner", BUILDERS)
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_agent_inside_a_tool_of_an_agent(
    way: str, inner: str, builder: str, oracle: Oracle
) -> None:
    """An agent called in another's tool is an agent of its own, with sums of its own."""
    needs_task_contexts(way)
    outer = make_caller(builder, make_adder(oracle, inner, "inner"), ASKED)
    await run(way, outer, ASKED, oracle.config())
    assert agents(oracle) == [("", "outer"), ("execute_tool delegate", "inner")]
    inner_span, outer_span = oracle.span("invoke_agent inner"), oracle.span("invoke_agent outer")
    assert [inner_span.attributes[key] for key in SUMS] == [21, 9, 3, 2]
    assert [outer_span.attributes[key] for key in SUMS] == [35, 15, 5, 3]
    assert oracle.tool("delegate").span.attributes["gen_ai.agent.name"] == "outer"
    adds = [each.span for each in oracle.tool_calls if each.span.name == "execute_tool add"]
    assert {span.attributes["gen_ai.agent.name"] for span in adds} == {"inner"}


@each_builder
@pytest.mark.parametrize("names", [("same", "same"), ("outer", None), (None, None)])
def test_an_agent_in_an_agent_may_have_its_name_or_none(
    names: tuple[str | None, str | None], builder: str, oracle: Oracle
) -> None:
    """Its name is its own: what the outer one hands down is not taken for it."""
    outer, inner = names
    make_caller(builder, make_adder(oracle, builder, inner), ASKED, outer).invoke(
        ASKED, oracle.config()
    )
    assert agents(oracle) == [("", outer), ("execute_tool delegate", inner)]


@each_builder
@pytest.mark.parametrize("given", ["handed down", "given again"])
@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_what_a_tool_of_an_agent_runs_is_no_agent(
    kind: str, given: str, builder: str, oracle: Oracle
) -> None:
    """A chain or a graph in a tool inherits the agent's metadata, and is none for that.

    Also where the tool gives it the callbacks anew, which leaves it without a parent.
    """
    called: Any = ChatPromptTemplate.from_messages([("user", "hi")]) | FakeChat()
    if kind == "graph":
        graph = StateGraph(MessagesState)
        graph.add_node("answer", lambda state: state)
        graph.add_edge(START, "answer")
        called = graph.compile(name="plain")
    if given == "given again":
        called = called.with_config(callbacks=oracle.callbacks)
    make_caller(builder, called, {"messages": []}).invoke(ASKED, oracle.config())
    assert agents(oracle) == [("", "outer")]
    assert len(oracle.traces) == 1


@each_builder
async def test_agent_as_a_node_of_a_graph(builder: str, oracle: Oracle) -> None:
    """One agent span: the graph around it is none, nor are its inner nodes."""
    graph = StateGraph(MessagesState)
    graph.add_node("expert", make_adder(oracle, builder))
    graph.add_edge(START, "expert")
    await graph.compile(name="g").ainvoke(ASKED, oracle.config())
    assert [name for _, name in agents(oracle)] == ["calc"]
    assert oracle.roots[0].name == "invoke_workflow g"


@each_builder
@pytest.mark.parametrize(("name", "shown"), [("calc", "calc"), (None, "of today")])
def test_a_runs_name_is_the_agents_only_where_it_has_none(
    name: str | None, shown: str, builder: str, oracle: Oracle
) -> None:
    """The name the agent was built with says what it is; the run's is about one run."""
    config = oracle.config(run_name="of today")
    make_adder(oracle, builder, name).invoke(ASKED, config)
    assert agents(oracle) == [("", shown)]
    assert oracle.roots[0].attributes["langchain.run.name"] == "of today"


async def test_deep_agent_traces_as_a_tree(oracle: Oracle) -> None:
    """A deep agent and its subagent: one trace, the subagent inside the task tool."""
    deepagents = pytest.importorskip("deepagents")

    model = FakeChat(
        script=[
            calls_tool("task", {"description": "look", "subagent_type": "helper"}),
            "from the helper",
            "done",
        ]
    )
    agent = deepagents.create_deep_agent(
        model=model,
        name="chief",
        subagents=[{"name": "helper", "description": "helps", "system_prompt": "help"}],
    )
    await agent.ainvoke({"messages": [("user", "hi")]}, oracle.config())
    assert len(oracle.traces) == 1
    assert agents(oracle) == [("", "chief"), ("execute_tool task", "helper")]


@each_way
@pytest.mark.parametrize("name", [None, "helper"])
async def test_an_executor_is_an_agent(way: str, name: str | None, oracle: Oracle) -> None:
    """The agents of before LangGraph, by whatever name they run."""
    needs_task_contexts(way)
    legacy = pytest.importorskip("langchain.agents")
    if not hasattr(legacy, "AgentExecutor"):
        legacy = pytest.importorskip("langchain_classic.agents")

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    model = FakeChat(script=[calls_tool("add", {"a": 1, "b": 2}), "three"])
    prompt = ChatPromptTemplate.from_messages(
        [("user", "{input}"), ("placeholder", "{agent_scratchpad}")]
    )
    planner = legacy.create_tool_calling_agent(model, [add], prompt)
    executor = legacy.AgentExecutor(agent=planner, tools=[add])
    named = {"run_name": name} if name else {}
    await run(way, executor, {"input": "1+2?"}, oracle.config(**named))
    assert agents(oracle) == [("", name or "AgentExecutor")]
    assert oracle.parent_name("execute_tool add") == oracle.roots[0].name
    assert [oracle.roots[0].attributes[key] for key in SUMS] == [14, 6, 2, 1]
