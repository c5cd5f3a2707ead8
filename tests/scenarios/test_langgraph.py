"""Graphs: the right parents, names and outcomes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest

pytest.importorskip("langgraph")

from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from tests.fakes import FakeChat
from tests.scenarios.ways import call as run
from tests.scenarios.ways import each_way, needs_task_contexts

if TYPE_CHECKING:
    from tests.scenarios.conftest import Oracle


class State(TypedDict, total=False):
    """What the graphs of these tests hold."""

    value: str
    seen: Annotated[list[str], operator.add]


def build(nodes: dict[str, Any], edges: list[tuple[str, str]], **compile_args: Any) -> Any:
    """A compiled graph of named functions."""
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    for start, end in edges:
        graph.add_edge(start, end)
    return graph.compile(**compile_args)


@each_way
async def test_nodes_nest_and_tell_where_they_stand(way: str, oracle: Oracle) -> None:
    """A named root graph is a workflow; its nodes are its children, with node, step, namespace."""
    needs_task_contexts(way)
    model = FakeChat(tracer=oracle.tracer)

    def ask(state: State) -> State:
        return {"value": str(model.invoke("hi").content)}

    graph = build({"first": ask, "second": ask}, [(START, "first"), ("first", "second")], name="g")
    await run(way, graph, {"value": "x"}, oracle.config(configurable={"thread_id": "t7"}))
    root = oracle.span("invoke_workflow g")
    assert root.attributes["gen_ai.workflow.name"] == "g"
    assert root.attributes["gen_ai.conversation.id"] == "t7"
    first, second = oracle.span("first"), oracle.span("second")
    assert (first.parent_id, second.parent_id) == (root.span_id, root.span_id)
    assert first.attributes["langgraph.node"] == "first"
    assert second.attributes["langgraph.step"] == first.attributes["langgraph.step"] + 1
    assert first.attributes["langgraph.checkpoint_ns"].startswith("first:")
    assert oracle.parent_name("http") == "chat fake-1"
    for call in (span for span in oracle.spans if span.name == "chat fake-1"):
        assert call.attributes["gen_ai.conversation.id"] == "t7"


@each_way
async def test_subgraph_nests_under_its_node(way: str, oracle: Oracle) -> None:
    """A subgraph hangs under the node it is; its own nodes under it."""
    inner = build({"leaf": lambda state: {"value": "y"}}, [(START, "leaf")], name="inner")
    graph = build({"sub": inner, "after": lambda state: state}, [(START, "sub"), ("sub", "after")])
    await run(way, graph, {"value": "x"}, oracle.config())
    assert oracle.parent_name("leaf") in {"sub", "inner"}


@each_way
async def test_parallel_branches_and_send_fan_out(way: str, oracle: Oracle) -> None:
    """Branches of one step and tasks sent by hand are siblings; their spans stay in their own."""

    def worker(state: Any) -> Any:
        with oracle.tracer.start_as_current_span(f"work {state['value']}"):
            return {"seen": [state["value"]]}

    def spread(state: State) -> list[Send]:
        return [Send("worker", {"value": name}) for name in "pqr"]

    graph = StateGraph(State)
    graph.add_node("plan", lambda state: {"seen": []})
    graph.add_node("worker", worker)
    for name in "ab":
        graph.add_node(name, lambda state, name=name: worker({"value": name}))
        graph.add_edge(START, name)
        graph.add_edge(name, "plan")
    graph.add_conditional_edges("plan", spread, ["worker"])
    await run(way, graph.compile(name="g"), {"value": "x"}, oracle.config())
    for name in "ab":
        assert oracle.parent_name(f"work {name}") == name
        assert oracle.parent_name(name) == "invoke_workflow g"
    for name in "pqr":
        assert oracle.parent_name(f"work {name}") == "worker"
    assert oracle.parent_name("worker") == "invoke_workflow g"


def pausing_graph(oracle: Oracle, where: str) -> Any:
    """A graph that asks a person, in a node or in a tool that a node calls."""

    @tool
    def ask_tool(question: str) -> str:
        """Ask."""
        return str(interrupt(question))

    def ask(state: State) -> State:
        if where == "tool":
            return {"value": ask_tool.invoke({"question": "sure?"})}
        return {"value": interrupt("sure?")}

    nodes: dict[str, Any] = {"ask": ask, "done": lambda state: {"seen": [state["value"]]}}
    if where == "subgraph":
        nodes["ask"] = build({"inner_ask": ask}, [(START, "inner_ask")], name="inner")
    return build(
        nodes, [(START, "ask"), ("ask", "done")], checkpointer=InMemorySaver(), name="pausing"
    )


@each_way
@pytest.mark.parametrize("where", ["node", "tool", "subgraph"])
async def test_interrupt_is_no_error_and_resume_is_linked(
    way: str, where: str, oracle: Oracle
) -> None:
    """interrupt() is outcome interrupted and no error; the resumed run links to it."""
    needs_task_contexts(way)
    graph = pausing_graph(oracle, where)
    config = oracle.config(configurable={"thread_id": "t1"})
    await run(way, graph, {"value": "x"}, config)
    paused = oracle.span("invoke_workflow pausing")
    assert paused.attributes["langchain.run.outcome"] == "interrupted"
    assert oracle.span("ask").attributes["langchain.run.outcome"] == "interrupted"
    if where == "tool":
        name = "execute_tool ask_tool"
        assert oracle.span(name).attributes["langchain.run.outcome"] == "interrupted"
    assert not oracle.errors
    assert not [e for span in oracle.spans for e in span.events if e.name == "exception"]
    await run(way, graph, Command(resume="yes"), config)
    assert not oracle.errors
    resumed = [span for span in oracle.spans if span.name == paused.name][1]
    assert resumed.links == ((paused.trace_id, paused.span_id),)
    assert resumed.attributes["langchain.run.outcome"] == "ok"


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_lifecycle_events_reach_us(way: str, oracle: Oracle) -> None:
    """LangGraph's on_interrupt and on_resume are events on the graph's span."""
    needs_task_contexts(way)
    callbacks = pytest.importorskip(
        "langgraph.callbacks", reason="this langgraph sends no lifecycle events"
    )
    assert callbacks
    graph = pausing_graph(oracle, "node")
    config = oracle.config(configurable={"thread_id": "t1"})
    await run(way, graph, {"value": "x"}, config)
    await run(way, graph, Command(resume="yes"), config)
    paused, resumed = (s for s in oracle.spans if s.name == "invoke_workflow pausing")
    assert [event.name for event in paused.events] == ["langgraph.interrupt"]
    assert paused.events[0].attributes["langgraph.interrupts"] == 1
    assert [event.name for event in resumed.events] == ["langgraph.resume"]


@each_way
async def test_handoff_to_the_parent_graph_is_no_error(way: str, oracle: Oracle) -> None:
    """Command(graph=PARENT) is outcome handoff: no error, no exception event."""

    def hand_off(state: State) -> Command[Any]:
        return Command(goto="other", graph=Command.PARENT)

    inner = build({"leaf": hand_off}, [(START, "leaf")], name="inner")
    graph = StateGraph(State)
    graph.add_node("sub", inner, destinations=("other",))
    graph.add_node("other", lambda state: {"seen": ["other"]})
    graph.add_edge(START, "sub")
    graph.add_edge("other", END)
    await run(way, graph.compile(name="g"), {"value": "x"}, oracle.config())
    assert oracle.span("leaf").attributes["langchain.run.outcome"] == "handoff"
    assert oracle.span("invoke_workflow g").attributes["langchain.run.outcome"] == "ok"
    assert not oracle.errors
    assert not [e for span in oracle.spans for e in span.events if e.name == "exception"]


@each_way
async def test_error_in_a_node_fails_its_ancestors(way: str, oracle: Oracle) -> None:
    """A node that raises: status and type up to the root, the exception on the node alone."""

    def fail(state: State) -> State:
        raise ValueError("secret")

    graph = build({"bad": fail}, [(START, "bad")], name="g")
    with pytest.raises(ValueError, match="secret"):
        await run(way, graph, {"value": "x"}, oracle.config())
    assert {span.name for span in oracle.errors} == {"bad", "invoke_workflow g"}
    told = [s.name for s in oracle.spans if any(e.name == "exception" for e in s.events)]
    assert told == ["bad"]


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_early_break_of_a_graph_is_no_error(way: str, oracle: Oracle) -> None:
    """Leaving a graph's stream after the first step ends all without an error."""
    nodes = {name: (lambda state: {"value": "y"}) for name in ("one", "two", "three")}
    graph = build(nodes, [(START, "one"), ("one", "two"), ("two", "three")], name="g")
    if way == "stream":
        stream = graph.stream({"value": "x"}, oracle.config())
        next(stream)
        stream.close()
    else:
        stream = graph.astream({"value": "x"}, oracle.config())
        await anext(stream)
        await stream.aclose()
    assert oracle.span("invoke_workflow g").attributes["langchain.run.outcome"] == "abandoned"
    assert not oracle.errors


async def test_tool_node_runs_tools_in_threads(oracle: Oracle) -> None:
    """A ToolNode with several calls: each tool under the node, its spans inside it."""
    prebuilt = pytest.importorskip("langgraph.prebuilt")

    @tool
    def look(x: int) -> int:
        """Look."""
        with oracle.tracer.start_as_current_span("sql"):
            return x

    from langchain_core.messages import AIMessage
    from langgraph.graph import MessagesState

    calls = [{"name": "look", "args": {"x": i}, "id": f"c{i}"} for i in range(4)]
    graph = StateGraph(MessagesState)
    graph.add_node("tools", prebuilt.ToolNode([look]))
    graph.add_edge(START, "tools")
    app = graph.compile(name="g")
    app.invoke({"messages": [AIMessage("", tool_calls=calls)]}, oracle.config())
    await app.ainvoke({"messages": [AIMessage("", tool_calls=calls)]}, oracle.config())
    assert oracle.parent_name("sql") == "execute_tool look"
    assert oracle.parent_name("execute_tool look") == "tools"
    assert len(oracle.tool_calls) == 8


async def test_resumed_and_new_runs_of_a_thread_are_linked_only_once(oracle: Oracle) -> None:
    """A new question on the same thread after the resume carries no link."""
    graph = pausing_graph(oracle, "node")
    config = oracle.config(configurable={"thread_id": "t1"})
    graph.invoke({"value": "x"}, config)
    graph.invoke(Command(resume="yes"), config)
    graph.invoke({"value": "again"}, config)
    links = [s.links for s in oracle.spans if s.name == "invoke_workflow pausing"]
    assert [len(one) for one in links] == [0, 1, 0]
