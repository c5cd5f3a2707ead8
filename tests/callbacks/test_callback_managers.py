"""A loop of one's own tells of its runs through the managers, with plain dicts and objects."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import TypeAdapter, ValidationError

from lc_otel.callbacks import (
    AsyncCallbackManager,
    BaseCallbackHandler,
    CallbackManager,
    Callbacks,
    adispatch_custom_event,
    atrace_as_chain_group,
    dispatch_custom_event,
    trace_as_chain_group,
)
from lc_otel.callbacks._hooks import register_configure_hook
from lc_otel.callbacks._messages import get_buffer_string
from tests.callbacks.fakes import events, listener

hooked: ContextVar[Any] = ContextVar("hooked", default=None)
register_configure_hook(hooked, inheritable=True)


@pytest.fixture
def told() -> Any:
    """A handler that every `configure` of the test adds."""
    handler = listener()
    token = hooked.set(handler)
    yield handler
    hooked.reset(token)


def test_a_loop_of_ones_own_is_told_as_nested_runs(told: Any) -> None:
    """The documented loop: an agent, a chat model with dict messages, a tool; children know it."""
    run = CallbackManager.configure().on_chain_start({"name": "my agent"}, {"question": "?"})
    [llm] = run.get_child().on_chat_model_start(
        {"name": "gpt"}, [[{"role": "user", "content": "?"}]]
    )
    llm.on_llm_end({"generations": []})
    tool = run.get_child().on_tool_start({"name": "add"}, "1, 2", inputs={"a": 1, "b": 2})
    tool.on_tool_end(3)
    run.on_chain_end({"answer": 3})
    assert events(told) == [
        "on_chain_start",
        "on_chat_model_start",
        "on_llm_end",
        "on_tool_start",
        "on_tool_end",
        "on_chain_end",
    ]
    assert [one.kwargs["parent_run_id"] for one in told.told] == [
        None,
        run.run_id,
        run.run_id,
        run.run_id,
        run.run_id,
        None,
    ]
    assert len({one.kwargs["run_id"] for one in told.told}) == 3


async def test_the_same_loop_with_coroutines(told: Any) -> None:
    """The async managers tell the same."""
    run = await AsyncCallbackManager.configure().on_chain_start({"name": "my agent"}, {})
    [llm] = await run.get_child().on_chat_model_start({}, [[{"role": "user", "content": "?"}]])
    await llm.on_llm_new_token("a")
    await llm.on_llm_error(ValueError("no"))
    await run.on_chain_error(ValueError("no"))
    assert events(told) == [
        "on_chain_start",
        "on_chat_model_start",
        "on_llm_new_token",
        "on_llm_error",
        "on_chain_error",
    ]


def test_dict_messages_become_a_prompt_for_handlers_of_text_models() -> None:
    """A handler without `on_chat_model_start` gets the conversation as one string."""
    prompts = []

    class TextOnly(BaseCallbackHandler):
        def on_llm_start(self, serialized: Any, prompts_: list[str], **kwargs: Any) -> None:
            prompts.extend(prompts_)

    call = {"id": "1", "function": {"name": "add"}}
    CallbackManager(handlers=[TextOnly()]).on_chat_model_start(
        {},
        [
            [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": [{"type": "text", "text": "he"}, "llo"]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "content": "42"},
                {"role": "critic", "content": "hm"},
            ]
        ],
    )
    assert prompts == [
        f"System: be kind\nHuman: hello\nAI: {[call]}\nTool: 42\ncritic: hm",
    ]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("plain text", "Human: plain text"),
        (("user", "a pair"), "Human: a pair"),
        (SimpleNamespace(type="ai", content="an object"), "AI: an object"),
        (SimpleNamespace(type="chat", role="critic", content="hm"), "critic: hm"),
        (SimpleNamespace(type="human", role="model", content="hi"), "Human: hi"),
        (SimpleNamespace(type="chat", role="user", content="hi"), "user: hi"),
        (SimpleNamespace(type="chat", content="hi"), "chat: hi"),
        (
            SimpleNamespace(
                type="message",
                role="assistant",
                content=[SimpleNamespace(type="output_text", text="hi")],
            ),
            "AI: hi",
        ),
        ({"type": "message", "role": "user", "content": "hi"}, "Human: hi"),
        ({"type": "human", "data": {"content": "hi", "type": "human"}}, "Human: hi"),
        ({"type": "chat", "data": {"content": "hi", "role": "user"}}, "user: hi"),
        ({"role": "user", "content": "hi", "data": {"content": "no"}}, "Human: hi"),
        ({"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, "Human: hi"),
        ({"role": "user", "content": [{"text": "hi"}, {"type": [], "text": "no"}]}, "Human: hi"),
        ({"role": "model", "parts": [{"text": "hi"}]}, "model: hi"),
        ({"role": "user"}, "Human: "),
        ({"role": "user", "content": [{"type": "image"}, {"type": "text", "text": 1}]}, "Human: "),
        ({"no": "role"}, "{'no': 'role'}"),
        (None, "None"),
        (42, "42"),
    ],
)
def test_a_message_of_any_shape_becomes_a_line(message: Any, line: str) -> None:
    """The prompt never fails to be made: a message of unknown shape is written as it is."""
    assert get_buffer_string([message]) == line


def test_a_group_is_a_run_with_everything_inside_below_it(told: Any) -> None:
    """Runs started through the group are its children, grandchildren keep their own parent."""
    given = uuid4()
    with trace_as_chain_group("group", inputs={"x": 1}, run_id=given, tags=["t"]) as group:
        chain = group.on_chain_start({}, {})
        chain.get_child().on_tool_start({}, "input").on_tool_end("output")
        chain.on_chain_end({})
    start, end = told.told[0], told.told[-1]
    assert start.args == ({"name": "group"}, {"x": 1})
    assert (end.event, end.args) == ("on_chain_end", ({},))
    assert start.kwargs["run_id"] == end.kwargs["run_id"] == given
    assert [one.kwargs["parent_run_id"] for one in told.told] == [
        None,
        given,
        chain.run_id,
        chain.run_id,
        given,
        None,
    ]
    assert all(one.kwargs["tags"] == ["t"] for one in told.told)


async def test_an_async_group_ends_with_what_was_raised(told: Any) -> None:
    """A BaseException, such as a cancellation, ends the group's run as well."""

    async def work() -> None:
        async with atrace_as_chain_group("group"):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events(told) == ["on_chain_start", "on_chain_error"]
    assert isinstance(told.told[-1].args[0], asyncio.CancelledError)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_group_takes_over_the_manager_it_is_given(asynchronous: bool) -> None:
    """`callback_manager` gives the group its handlers, tags, metadata and parent."""
    handler, parent = listener(), uuid4()
    given: dict[str, Any] = {
        "handlers": [handler],
        "inheritable_handlers": [handler],
        "parent_run_id": parent,
        "inheritable_tags": ["handed down"],
        "inheritable_metadata": {"m": 1},
    }
    if asynchronous:
        async with atrace_as_chain_group("group", AsyncCallbackManager(**given)) as agroup:
            await agroup.on_tool_start({}, "input")
    else:
        with trace_as_chain_group("group", CallbackManager(**given)) as group:
            group.on_tool_start({}, "input")
    start, tool, end = handler.told
    assert start.kwargs["parent_run_id"] == end.kwargs["parent_run_id"] == parent
    assert tool.kwargs["parent_run_id"] == start.kwargs["run_id"]
    assert tool.kwargs["tags"] == ["handed down"]
    assert tool.kwargs["metadata"] == {"m": 1}


def test_a_merged_group_keeps_what_its_runs_inherit() -> None:
    """Metadata to inherit survives a merge, and so does the group's own run."""
    other = CallbackManager(handlers=[], inheritable_metadata={"theirs": 1})
    with trace_as_chain_group("group", metadata={"ours": 1}) as group:
        merged = group.merge(other)
        assert merged.inheritable_metadata == {"ours": 1, "theirs": 1}
        assert merged.parent_run_manager is group.parent_run_manager


def test_merging_keeps_the_order_and_needs_no_hash() -> None:
    """Handlers and tags come in the order in which they were given."""

    class Unhashable(BaseCallbackHandler):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return self is other

    a, b, c = Unhashable(), Unhashable(), Unhashable()
    left = CallbackManager(handlers=[b, a], tags=["y", "x"])
    merged = left.merge(CallbackManager(handlers=[a, c], tags=["x", "a"]))
    assert merged.handlers == [b, a, c]
    assert merged.tags == ["y", "x", "a"]


def test_a_field_of_callbacks_takes_managers_and_lists() -> None:
    """Pydantic reads the alias as a type checker does: a single handler is neither."""
    field = TypeAdapter(Callbacks, config={"arbitrary_types_allowed": True})
    for given in (None, [BaseCallbackHandler()], CallbackManager([]), AsyncCallbackManager([])):
        assert field.validate_python(given) == given
    with pytest.raises(ValidationError):
        field.validate_python(BaseCallbackHandler())


@pytest.mark.parametrize("given", [BaseCallbackHandler(), object(), "handler"])
@pytest.mark.parametrize("kind", [CallbackManager, AsyncCallbackManager])
def test_a_handler_outside_a_list_is_an_error_that_says_so(kind: Any, given: Any) -> None:
    """The error names what was given and what to do."""
    with pytest.raises(TypeError, match="put a single handler into a list"):
        kind.configure(given)
    with pytest.raises(TypeError, match=type(given).__name__):
        kind.configure(None, given)


def test_a_run_after_its_end_still_tells() -> None:
    """A manager does not judge: what is told after the end reaches the handlers."""
    handler = listener()
    run = CallbackManager(handlers=[handler], inheritable_handlers=[handler]).on_chain_start({}, {})
    run.on_chain_end({})
    run.on_text("late")
    run.get_child().on_tool_start({}, "later")
    assert events(handler) == ["on_chain_start", "on_chain_end", "on_text", "on_tool_start"]


def test_a_manager_works_while_a_closed_loop_is_set() -> None:
    """A closed event loop left behind by other code keeps no event from an async handler."""
    from lc_otel.callbacks import AsyncCallbackHandler

    handler = listener(AsyncCallbackHandler)
    closed = asyncio.new_event_loop()
    closed.close()
    asyncio.set_event_loop(closed)
    try:
        CallbackManager(handlers=[handler]).on_chain_start({}, {})
    finally:
        asyncio.set_event_loop(None)
    assert events(handler) == ["on_chain_start"]


def test_custom_events_need_a_run() -> None:
    """Outside a run the error says how to name one."""
    with pytest.raises(RuntimeError, match=r"config=\{'callbacks': run.get_child\(\)\}"):
        dispatch_custom_event("progress", 1)


async def test_custom_events_reach_the_runs_handlers() -> None:
    """A custom event carries the run's id, tags and metadata, and no parent."""
    handler = listener()
    manager = CallbackManager(
        handlers=[handler],
        inheritable_handlers=[handler],
        inheritable_tags=["t"],
        inheritable_metadata={"m": 1},
    )
    run = manager.on_chain_start({}, {})
    dispatch_custom_event("progress", {"done": 1}, config={"callbacks": run.get_child()})
    await adispatch_custom_event("progress", {"done": 2}, config={"callbacks": run.get_child()})
    for number, one in enumerate(handler.told[1:], start=1):
        assert (one.event, one.args) == ("on_custom_event", ("progress", {"done": number}))
        assert one.kwargs == {"run_id": run.run_id, "tags": ["t"], "metadata": {"m": 1}}


def test_a_hook_needs_a_class_for_its_variable_in_the_environment() -> None:
    """Without a class there is nothing that the environment variable could stand for."""
    with pytest.raises(ValueError, match="handle_class must also be set"):
        register_configure_hook(hooked, inheritable=True, env_var="SET")


def test_a_hook_by_default_value_reaches_every_context() -> None:
    """A handler that is the variable's default is found in a context that never set it."""
    handler = listener()
    register_configure_hook(ContextVar("by default", default=handler), inheritable=True)
    try:
        manager = contextvars.Context().run(CallbackManager.configure)
        assert manager.inheritable_handlers.count(handler) == 1
        again = CallbackManager.configure(manager)
        assert again.handlers.count(handler) == 1
    finally:
        from lc_otel.callbacks import _hooks

        _hooks._hooks.pop()
        registry = sys.modules.get("langchain_core.tracers.context")
        if registry is not None:
            registry._configure_hooks.pop()


def test_run_ids_are_uuids_of_version_7() -> None:
    """Every run of ours has an id that sorts by its start."""
    manager = CallbackManager(handlers=[])
    ids = [
        manager.on_chain_start({}, {}).run_id,
        manager.on_tool_start({}, "").run_id,
        manager.on_retriever_start({}, "").run_id,
        *[run.run_id for run in manager.on_llm_start({}, ["a", "b"])],
    ]
    assert all(isinstance(one, UUID) and one.version == 7 for one in ids)
    assert ids == sorted(ids)
