"""Inside LangChain, handlers and managers of ours are taken as its own, and its as ours."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.callbacks import AsyncCallbackHandler as TheirAsyncHandler
from langchain_core.callbacks import AsyncCallbackManager as TheirAsyncManager
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun as TheirAsyncLLMRun
from langchain_core.callbacks import BaseCallbackHandler as TheirHandler
from langchain_core.callbacks import BaseCallbackManager as TheirBaseManager
from langchain_core.callbacks import CallbackManager as TheirManager
from langchain_core.callbacks import StdOutCallbackHandler as TheirStdOut
from langchain_core.language_models import (
    FakeListLLM,
    GenericFakeChatModel,
)
from langchain_core.language_models.llms import create_base_retry_decorator
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool, Tool
from langchain_core.tracers.context import collect_runs
from pydantic import TypeAdapter
from tenacity import wait_none

from lc_otel.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    BaseCallbackManager,
    CallbackManager,
    Callbacks,
    StdOutCallbackHandler,
    UsageMetadataCallbackHandler,
    adispatch_custom_event,
    atrace_as_chain_group,
    dispatch_custom_event,
    get_usage_metadata_callback,
    trace_as_chain_group,
)
from tests.callbacks.fakes import events, listener

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}


def chat_model(**fields: Any) -> Any:
    """A chat model that answers "hello there", with usage."""
    message = AIMessage(
        "hello there", usage_metadata=USAGE, response_metadata={"model_name": "fake"}
    )

    def answers() -> Iterator[AIMessage]:
        while True:
            yield message

    return GenericFakeChatModel(messages=answers(), **fields)


def retriever() -> Any:
    """A retriever that finds nothing."""

    class Nothing(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
            return []

    return Nothing()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def program() -> Any:
    """A chain with every kind of run below it."""
    model = chat_model()
    text_model = FakeListLLM(responses=["text"])
    tool = StructuredTool.from_function(add)
    found = retriever()

    def body(value: str) -> Any:
        found.invoke(value)
        text_model.invoke(value)
        tool.invoke({"a": 1, "b": 2})
        return model.invoke([HumanMessage(value)])

    async def abody(value: str) -> Any:
        await found.ainvoke(value)
        await text_model.ainvoke(value)
        await tool.ainvoke({"a": 1, "b": 2})
        return await model.ainvoke([HumanMessage(value)])

    return RunnableLambda(body, afunc=abody)


WHOLE = [
    "on_chain_start",
    "on_retriever_start",
    "on_retriever_end",
    "on_llm_start",
    "on_llm_end",
    "on_tool_start",
    "on_tool_end",
    "on_chat_model_start",
    "on_llm_end",
    "on_chain_end",
]

propagates = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="LangChain hands no config to coroutines before 3.11"
)


def parents(handler: Any) -> list[Any]:
    """The parent of each run that started, by the parent's number in order of start."""
    started = [one for one in handler.told if one.event.endswith("_start")]
    ids = [one.kwargs["run_id"] for one in started]
    known = {None: None, **{run_id: number for number, run_id in enumerate(ids)}}
    return [known[one.kwargs["parent_run_id"]] for one in started]


@pytest.mark.parametrize("kind", ["list", "manager", "child"])
@pytest.mark.parametrize("base", [None, AsyncCallbackHandler])
def test_a_chain_of_all_kinds_of_run(kind: str, base: Any) -> None:
    """A handler of ours sees every run of a real program, whichever way it is given."""
    handler = listener(base) if base else listener()
    manager = CallbackManager(handlers=[handler], inheritable_handlers=[handler])
    if kind == "list":
        program().invoke("hi", {"callbacks": [handler]})
    elif kind == "manager":
        program().invoke("hi", {"callbacks": manager})
    else:
        run = manager.on_chain_start({"name": "my agent"}, {})
        program().invoke("hi", {"callbacks": run.get_child()})
        run.on_chain_end({})
    wrapped = ["on_chain_start", *WHOLE, "on_chain_end"] if kind == "child" else WHOLE
    assert events(handler) == wrapped
    assert parents(handler) == ([None, 0, 1, 1, 1, 1] if kind == "child" else [None, 0, 0, 0, 0])


@propagates
@pytest.mark.parametrize("kind", ["list", "manager", "child"])
@pytest.mark.parametrize("base", [None, AsyncCallbackHandler])
async def test_an_async_chain_of_all_kinds_of_run(kind: str, base: Any) -> None:
    """The same, with coroutines and our async manager."""
    handler = listener(base) if base else listener()
    manager = AsyncCallbackManager(handlers=[handler], inheritable_handlers=[handler])
    if kind == "list":
        await program().ainvoke("hi", {"callbacks": [handler]})
    elif kind == "manager":
        await program().ainvoke("hi", {"callbacks": manager})
    else:
        run = await manager.on_chain_start({"name": "my agent"}, {})
        await program().ainvoke("hi", {"callbacks": run.get_child()})
        await run.on_chain_end({})
    wrapped = ["on_chain_start", *WHOLE, "on_chain_end"] if kind == "child" else WHOLE
    assert events(handler) == wrapped
    assert parents(handler) == ([None, 0, 1, 1, 1, 1] if kind == "child" else [None, 0, 0, 0, 0])


def test_our_classes_are_langchains() -> None:
    """`isinstance` finds what LangChain asks for by class to be its own; our methods win."""
    handler = listener()
    assert isinstance(handler, TheirHandler)
    assert isinstance(CallbackManager([]), TheirManager)
    assert isinstance(AsyncCallbackManager([]), TheirAsyncManager)
    assert isinstance(BaseCallbackManager([]), TheirBaseManager)
    assert issubclass(StdOutCallbackHandler, TheirStdOut)
    assert issubclass(AsyncCallbackManagerForLLMRun, TheirAsyncLLMRun)
    for ours, theirs in [
        (CallbackManager, TheirBaseManager),
        (AsyncCallbackManager, TheirBaseManager),
        (StdOutCallbackHandler, TheirStdOut),
        (AsyncCallbackManagerForLLMRun, TheirAsyncLLMRun),
    ]:
        for name in dir(theirs):
            if not name.startswith("_"):
                module = getattr(getattr(ours, name), "__module__", "lc_otel")
                assert module.startswith("lc_otel"), name


@pytest.mark.parametrize("given", [lambda one: [one], lambda one: CallbackManager([one])])
def test_models_and_tools_take_ours_as_fields(given: Any) -> None:
    """The pydantic fields that refuse any other object take handlers and managers of ours."""
    handler = listener()
    chat_model(callbacks=given(handler)).invoke("hi")
    FakeListLLM(responses=["text"], callbacks=given(handler)).invoke("hi")
    Tool(name="add", func=lambda text: text, description="add", callbacks=given(handler)).invoke(
        "1"
    )
    assert [name for name in events(handler) if name.endswith("_start")] == [
        "on_chat_model_start",
        "on_llm_start",
        "on_tool_start",
    ]


async def test_streams_and_events_take_our_managers() -> None:
    """The tokens of a model, a text model, and `astream_events`, with a manager of ours."""
    handler = listener(AsyncCallbackHandler)
    manager = AsyncCallbackManager(handlers=[handler], inheritable_handlers=[handler])
    tokens = [chunk.content async for chunk in chat_model().astream("hi", {"callbacks": manager})]
    assert "".join(tokens) == "hello there"
    told = [one.args[0] for one in handler.told if one.event == "on_llm_new_token"]
    assert "".join(told) == "hello there"
    text_model = FakeListLLM(responses=["abc"])
    assert [chunk async for chunk in text_model.astream("hi", {"callbacks": manager})] == ["abc"]
    assert "on_llm_start" in events(handler)
    seen = [
        one["event"]
        async for one in RunnableLambda(add_one).astream_events(
            1, {"callbacks": manager}, version="v2"
        )
    ]
    assert seen[0] == "on_chain_start"
    assert seen[-1] == "on_chain_end"
    assert events(handler)[-1] == "on_chain_end"


def add_one(value: int) -> int:
    """Add one."""
    return value + 1


def test_a_run_of_langchains_goes_on_in_our_managers() -> None:
    """What LangChain hands to a body is a manager that our `configure` continues."""
    handler = listener()

    def body(value: int, config: Any) -> int:
        child = CallbackManager.configure(config["callbacks"])
        child.on_tool_start({"name": "mine"}, "input").on_tool_end("output")
        return value

    RunnableLambda(body).invoke(1, {"callbacks": [handler]})
    assert events(handler) == ["on_chain_start", "on_tool_start", "on_tool_end", "on_chain_end"]
    assert parents(handler) == [None, 0]


@pytest.mark.parametrize("base", [TheirHandler, TheirAsyncHandler])
async def test_langchains_handlers_work_in_our_managers(base: Any) -> None:
    """A handler derived from LangChain's class is told by ours as by LangChain."""
    told = []

    if base is TheirAsyncHandler:

        class Theirs(TheirAsyncHandler):
            async def on_llm_start(self, serialized: Any, prompts: Any, **kwargs: Any) -> None:
                told.append(prompts)

    else:

        class Theirs(TheirHandler):  # type: ignore[no-redef]
            def on_llm_start(self, serialized: Any, prompts: Any, **kwargs: Any) -> None:
                told.append(prompts)

    CallbackManager([Theirs()]).on_chat_model_start({}, [[HumanMessage("hi")]])
    await AsyncCallbackManager([Theirs()]).on_chat_model_start({}, [[HumanMessage("ho")]])
    assert told == [["Human: hi"], ["Human: ho"]]


async def test_an_inline_handler_hears_of_async_text_models_beside_another() -> None:
    """The documented way round LangChain's fault: both handlers inline, both are told."""
    other, mine = listener(run_inline=True), listener(AsyncCallbackHandler, run_inline=True)
    await FakeListLLM(responses=["text"]).ainvoke("hi", {"callbacks": [other, mine]})
    assert events(other) == events(mine) == ["on_llm_start", "on_llm_end"]


@pytest.mark.parametrize("handler", [StdOutCallbackHandler, TheirStdOut])
@pytest.mark.parametrize("kind", [CallbackManager, TheirManager])
def test_a_verbose_run_is_printed_once(
    kind: Any, handler: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Either manager knows the other's printing handler and adds none of its own."""
    kind.configure([handler()], verbose=True).on_chain_start({"name": "mine"}, {})
    assert capsys.readouterr().out == "\n\n\x1b[1m> Entering new mine chain...\x1b[0m\n"


@pytest.mark.parametrize("kind", [AsyncCallbackManager, TheirAsyncManager])
async def test_langchains_retries_tell_our_run_managers(kind: Any) -> None:
    """`on_retry` of an async run reaches the handlers, through LangChain's retry decorator."""
    handler = listener(AsyncCallbackHandler)
    [run] = await kind([handler]).on_llm_start({}, ["prompt"])
    outcomes = iter([ValueError("first"), None])

    @create_base_retry_decorator([ValueError], max_retries=2, run_manager=run)
    async def call() -> None:
        if error := next(outcomes):
            raise error

    call.retry.wait = wait_none()
    await call()
    await asyncio.sleep(0)
    assert events(handler) == ["on_llm_start", "on_retry"]


@pytest.mark.parametrize("kind", [TheirManager, TheirAsyncManager])
def test_a_field_of_our_callbacks_takes_langchains_managers(kind: Any) -> None:
    """The alias `Callbacks` means either's managers when pydantic reads it, too."""
    field = TypeAdapter(Callbacks, config={"arbitrary_types_allowed": True})
    given = kind([])
    assert field.validate_python(given) is given


def test_managers_of_both_kinds_merge() -> None:
    """A config with our manager over one with LangChain's, and the other way round."""
    ours, theirs = listener(), listener()
    chain = RunnableLambda(add_one)
    chain.with_config({"callbacks": [ours]}).invoke(
        1, {"callbacks": TheirManager([theirs], [theirs])}
    )
    assert events(ours) == events(theirs) == ["on_chain_start", "on_chain_end"]
    chain.with_config({"callbacks": TheirManager([theirs], [theirs])}).invoke(
        1, {"callbacks": CallbackManager([ours], [ours])}
    )
    assert len(ours.told) == len(theirs.told) == 4


def test_groups_hold_langchains_runs() -> None:
    """What runs with the group's manager is a child of the group, batches included."""
    handler = listener()
    with trace_as_chain_group("group", CallbackManager([handler], [handler])) as group:
        RunnableLambda(add_one).invoke(1, {"callbacks": group})
        RunnableLambda(add_one).batch([1, 2], {"callbacks": group})
        chat_model().invoke("hi", {"callbacks": group})
    assert parents(handler) == [None, 0, 0, 0, 0]


async def test_async_groups_hold_langchains_runs() -> None:
    """The same, with coroutines."""
    handler = listener()
    manager = AsyncCallbackManager([handler], [handler])
    async with atrace_as_chain_group("group", manager) as group:
        await RunnableLambda(add_one).abatch([1, 2], {"callbacks": group})
        await FakeListLLM(responses=["text"]).ainvoke("hi", {"callbacks": group})
    assert parents(handler) == [None, 0, 0, 0]


@propagates
async def test_custom_events_find_the_runnable_they_are_in() -> None:
    """Inside a body, sync or async, and inside a tool, no config is needed."""
    handler = listener()

    def body(value: int) -> int:
        dispatch_custom_event("sync", value)
        return value

    async def abody(value: int) -> int:
        await adispatch_custom_event("async", value)
        return value

    RunnableLambda(body).invoke(1, {"callbacks": [handler], "tags": ["t"], "metadata": {"m": 1}})
    await RunnableLambda(abody).ainvoke(2, {"callbacks": [handler]})
    Tool(name="tool", func=body, description="").invoke("3", {"callbacks": [handler]})
    custom = [one for one in handler.told if one.event == "on_custom_event"]
    starts = [one for one in handler.told if one.event.endswith("_start")]
    assert [one.args for one in custom] == [("sync", 1), ("async", 2), ("sync", "3")]
    assert [one.kwargs["run_id"] for one in custom] == [one.kwargs["run_id"] for one in starts]
    assert custom[0].kwargs["tags"] == ["t"]
    assert custom[0].kwargs["metadata"]["m"] == 1


def test_usage_blocks_count_langchains_models() -> None:
    """`get_usage_metadata_callback` sees models called through LangChain, each once."""
    with get_usage_metadata_callback() as outer:
        chat_model().invoke("hi")
        with get_usage_metadata_callback() as inner:
            (RunnableLambda(lambda text: text) | chat_model()).invoke("hi")
    chat_model().invoke("hi")
    assert inner.usage_metadata == {"fake": USAGE}
    assert outer.usage_metadata["fake"]["input_tokens"] == 6


def test_usage_handlers_read_langchains_answers() -> None:
    """As a plain handler in a config, too."""
    handler = UsageMetadataCallbackHandler()
    chat_model().invoke("hi", {"callbacks": [handler]})
    assert handler.usage_metadata == {"fake": USAGE}


def test_langchains_hooks_count_in_our_managers() -> None:
    """A run collector of LangChain's collects the runs of our managers."""
    with collect_runs() as collected:
        CallbackManager.configure().on_chain_start({"name": "mine"}, {}).on_chain_end({})
    CallbackManager.configure().on_chain_start({"name": "later"}, {}).on_chain_end({})
    assert [run.name for run in collected.traced_runs] == ["mine"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_langgraph_takes_a_manager_of_ours(asynchronous: bool) -> None:
    """A graph is a child of the run whose manager it is given, and its nodes are the graph's."""
    graphs = pytest.importorskip("langgraph.graph")
    handler = listener()
    builder = graphs.StateGraph(dict)
    builder.add_node("node", lambda state: {"value": state["value"] + 1})
    builder.add_edge(graphs.START, "node")
    builder.add_edge("node", graphs.END)
    graph = builder.compile()
    if asynchronous:
        manager = AsyncCallbackManager([handler], [handler])
        run = await manager.on_chain_start({"name": "mine"}, {})
        result = await graph.ainvoke({"value": 1}, {"callbacks": run.get_child()})
        await run.on_chain_end(result)
    else:
        sync_run = CallbackManager([handler], [handler]).on_chain_start({"name": "mine"}, {})
        result = graph.invoke({"value": 1}, {"callbacks": sync_run.get_child()})
        sync_run.on_chain_end(result)
    assert result == {"value": 2}
    assert parents(handler)[:3] == [None, 0, 1]
    assert events(handler)[0] == "on_chain_start"
    assert events(handler)[-1] == "on_chain_end"


def test_a_hook_of_ours_reaches_both_kinds_of_manager_once() -> None:
    """One registration serves LangChain's managers and ours, and no handler comes twice."""
    with get_usage_metadata_callback() as handler:
        for kind in (CallbackManager, TheirManager):
            assert kind.configure().handlers.count(handler) == 1
            assert kind.configure(kind.configure()).handlers.count(handler) == 1
        assert CallbackManager.configure(TheirManager.configure()).handlers.count(handler) == 1
        assert TheirManager.configure(CallbackManager.configure()).handlers.count(handler) == 1
