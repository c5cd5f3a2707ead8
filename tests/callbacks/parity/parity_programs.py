"""Programs against a callback implementation, each of which leaves a record."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from parity_recorder import FLAGS, Record, make_handler, written

Programs = dict[str, Callable[[SimpleNamespace, Record], Any]]

PROGRAMS: Programs = {}
SERIALIZED = {"name": "thing", "id": ["a", "b"]}
GIVEN_ID = UUID("01234567-89ab-7def-8123-456789abcdef")


def program(function: Callable[[SimpleNamespace, Record], Any]) -> Any:
    """Have this run under both implementations."""
    PROGRAMS[function.__name__] = function
    return function


def messages() -> list[Any]:
    """A short conversation of LangChain's own messages."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    return [
        SystemMessage("be kind"),
        HumanMessage("hello"),
        AIMessage("hi"),
        ToolMessage("42", tool_call_id="1"),
    ]


# --- every event of every run, under every kind of handler ---------------------------------------

LINE_UPS: dict[str, Callable[[SimpleNamespace, Record], list[Any]]] = {}


def _line_up(name: str, *handlers: dict[str, Any]) -> None:
    LINE_UPS[name] = lambda cb, record: [
        make_handler(cb, record, f"h{position}", **options)
        for position, options in enumerate(handlers)
    ]


class Mishap(Exception):
    """What a handler raises here."""


class Stop(BaseException):
    """What no handler may swallow."""


def _raises(error: type[BaseException]) -> Callable[[], BaseException]:
    return lambda: error("on purpose")


_line_up("none")
_line_up("sync", {})
_line_up("async", {"asynchronous": True})
_line_up("inline", {"inline": True})
_line_up("async_inline", {"asynchronous": True, "inline": True})
_line_up("mixed", {"asynchronous": True}, {}, {"inline": True}, {"asynchronous": True})
_line_up("no_chat_start", {"chat": False}, {"chat": False, "asynchronous": True})
_line_up("no_chat_start_ignoring_llm", {"chat": False, "ignore": "llm"}, {})
_line_up("raising", {"raises": _raises(Mishap)}, {})
_line_up("raising_async", {"raises": _raises(Mishap), "asynchronous": True}, {})
_line_up("raising_not_implemented", {"raises": _raises(NotImplementedError)}, {})
_line_up("raising_through", {}, {"raises": _raises(Mishap), "raise_error": True})
_line_up("raising_through_first", {"raises": _raises(Mishap), "raise_error": True}, {})
_line_up(
    "raising_through_first_inline",
    {"raises": _raises(Mishap), "raise_error": True, "inline": True},
    {"inline": True},
)
_line_up(
    "raising_through_async",
    {"raises": _raises(Mishap), "raise_error": True, "asynchronous": True},
)
_line_up("raising_base_exception", {}, {"raises": _raises(Stop)})
_line_up("raising_base_exception_first", {"raises": _raises(Stop)}, {})
for _flag in FLAGS:
    _line_up(f"ignoring_{_flag}", {"ignore": _flag}, {"ignore": _flag, "asynchronous": True})


def _run_calls(run: Any, kind: str) -> list[Callable[[], Any]]:
    """The calls that a run manager of this kind takes."""
    calls: dict[str, list[tuple[str, Any, dict[str, Any]]]] = {
        "chain": [
            ("on_agent_action", "action", {}),
            ("on_agent_finish", "finish", {"extra": 1}),
            ("on_chain_end", {"out": 1}, {}),
            ("on_chain_error", ValueError("v"), {"extra": 1}),
        ],
        "llm": [
            ("on_llm_new_token", "token", {}),
            ("on_llm_new_token", "token", {"chunk": "chunk", "extra": 1}),
            ("on_llm_end", "response", {}),
            ("on_llm_error", ValueError("v"), {"response": "part"}),
        ],
        "tool": [("on_tool_end", "output", {}), ("on_tool_error", KeyError("k"), {"extra": 1})],
        "retriever": [
            ("on_retriever_end", ["document"], {}),
            ("on_retriever_error", KeyError("k"), {}),
        ],
        "any": [("on_text", "text", {"color": "red"}), ("on_retry", "state", {})],
    }
    return [
        partial(getattr(run, event), value, **kwargs)
        for event, value, kwargs in calls[kind] + calls["any"]
    ]


def _starts(manager: Any) -> list[tuple[str, Callable[[], Any]]]:
    """The starts of all kinds of run."""
    return [
        ("chain", lambda: manager.on_chain_start(SERIALIZED, {"in": 1}, name="named")),
        ("llm", lambda: manager.on_llm_start(SERIALIZED, ["one", "two"], run_id=GIVEN_ID, k=1)),
        ("llm", lambda: manager.on_chat_model_start(SERIALIZED, [messages()], k=1)),
        ("tool", lambda: manager.on_tool_start(SERIALIZED, "input", parent_run_id=GIVEN_ID)),
        ("retriever", lambda: manager.on_retriever_start(SERIALIZED, "query", run_id=GIVEN_ID)),
    ]


def _managed(cb: SimpleNamespace, record: Record, line_up: str, kind: str) -> Any:
    handlers = LINE_UPS[line_up](cb, record)
    return getattr(cb, kind)(
        handlers=handlers,
        inheritable_handlers=handlers[:1],
        tags=["tag"],
        inheritable_tags=["handed down"],
        metadata={"m": 1},
        inheritable_metadata={"i": 2},
    )


def life(line_up: str, cb: SimpleNamespace, record: Record) -> None:
    """Every event of every kind of run, and of one child, through the sync manager."""
    manager = _managed(cb, record, line_up, "CallbackManager")
    for kind, start in _starts(manager):
        runs = record.attempt(start)
        for run in runs if isinstance(runs, list) else [runs]:
            if run is None:
                continue
            record.state(run)
            if kind != "llm":
                child = run.get_child("step")
                record.state(child)
                record.attempt(partial(child.on_chain_start, None, "any input"))
            for call in _run_calls(run, kind):
                record.attempt(call)
    record.attempt(lambda: manager.on_custom_event("name", {"data": 1}))


async def alife(line_up: str, cb: SimpleNamespace, record: Record) -> None:
    """The same, through the async manager."""
    manager = _managed(cb, record, line_up, "AsyncCallbackManager")
    for kind, start in _starts(manager):
        runs = await record.aattempt(start)
        for run in runs if isinstance(runs, list) else [runs]:
            if run is None:
                continue
            record.state(run)
            record.state(run.get_sync())
            if kind != "llm":
                child = run.get_child("step")
                record.state(child)
                await record.aattempt(partial(child.on_chain_start, None, "any input"))
            for call in _run_calls(run, kind):
                await record.aattempt(call)
    await record.aattempt(lambda: manager.on_custom_event("name", {"data": 1}))


async def life_in_a_loop(line_up: str, cb: SimpleNamespace, record: Record) -> None:
    """The sync manager, called while a loop runs."""
    life(line_up, cb, record)


for _name in LINE_UPS:
    PROGRAMS[f"life[{_name}]"] = partial(life, _name)
    PROGRAMS[f"alife[{_name}]"] = partial(alife, _name)
    PROGRAMS[f"life_in_a_loop[{_name}]"] = partial(life_in_a_loop, _name)


# --- managers -------------------------------------------------------------------------------------


def _manager(cb: SimpleNamespace, record: Record, name: str = "a", kind: str = "Callback") -> Any:
    handler, local = make_handler(cb, record, name), make_handler(cb, record, f"{name} local")
    return getattr(cb, f"{kind}Manager")(
        handlers=[handler, local],
        inheritable_handlers=[handler],
        parent_run_id=GIVEN_ID,
        tags=["t", name],
        inheritable_tags=["t"],
        metadata={"who": name, name: 1},
        inheritable_metadata={"who": name},
    )


@program
def copies_share_nothing(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    copy = manager.copy()
    copy.add_handler(make_handler(cb, record, "new"))
    copy.add_tags(["new"])
    copy.add_metadata({"new": 1})
    record.state(manager)
    record.state(copy)


@program
def merging_managers(cb: SimpleNamespace, record: Record) -> None:
    left, right = _manager(cb, record, "a"), _manager(cb, record, "b")
    right.parent_run_id = None
    record.state(left.merge(right))
    record.state(right.merge(left))
    record.state(left)


@program
def changing_handlers(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    new = make_handler(cb, record, "new")
    manager.add_handler(new, inherit=False)
    manager.add_handler(new)
    manager.add_handler(new)
    record.state(manager)
    manager.remove_handler(new)
    manager.remove_handler(new)
    record.state(manager)
    manager.set_handlers([new, new], inherit=False)
    record.state(manager)
    manager.set_handler(new)
    record.state(manager)
    record.note(manager.is_async, cb.AsyncCallbackManager(handlers=[]).is_async)


@program
def the_constructor_keeps_its_list(cb: SimpleNamespace, record: Record) -> None:
    handlers: list[Any] = []
    manager = cb.CallbackManager(handlers=handlers)
    record.note(manager.handlers is handlers)
    manager.add_handler(make_handler(cb, record, "new"))
    record.note(handlers)


@program
def changing_tags(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    manager.add_tags(["x", "t"])
    record.note(manager.tags, manager.inheritable_tags)
    manager.add_tags(["local"], inherit=False)
    manager.remove_tags(["x"])
    record.note(manager.tags, manager.inheritable_tags)


@program
def removing_unknown_tags(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    record.attempt(lambda: manager.remove_tags(["a", "never there"]))
    record.note(manager.tags, manager.inheritable_tags)


@program
def changing_metadata(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    manager.add_metadata({"who": "else", "x": {"deep": 1}})
    manager.add_metadata({"x": {"other": 1}}, inherit=False)
    record.note(manager.metadata, manager.inheritable_metadata)
    manager.remove_metadata(["x"])
    record.note(manager.metadata, manager.inheritable_metadata)


@program
def metadata_handed_out_stays(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    handed_out = manager.metadata
    manager.add_metadata({"x": 1})
    record.note(handed_out)


@program
def versions_in_metadata(cb: SimpleNamespace, record: Record) -> None:
    manager = cb.CallbackManager(handlers=[], metadata={"lc_versions": {"core": "1"}})
    manager.add_metadata({"lc_versions": {"langchain": "2"}})
    record.note(manager.metadata, manager.inheritable_metadata)
    manager.add_metadata({"other": 1})
    manager.add_metadata({"lc_versions": None})
    record.note(manager.metadata)


@program
def removing_unknown_metadata(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    record.attempt(lambda: manager.remove_metadata(["never there", "who"]))
    record.note(manager.metadata, manager.inheritable_metadata)


@program
def children_of_children(cb: SimpleNamespace, record: Record) -> None:
    run = _manager(cb, record).on_chain_start({}, {})
    record.state(run.get_child("seq:step:1"))
    grandchild = run.get_child("seq:step:1").on_tool_start({}, "x", inputs={"x": 1}).get_child()
    record.state(grandchild)


@program
def runs_without_prompts(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    record.note(manager.on_llm_start({}, []), manager.on_chat_model_start({}, []))


@program
async def runs_without_prompts_async(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record, kind="AsyncCallback")
    record.note(await manager.on_llm_start({}, []), await manager.on_chat_model_start({}, []))


@program
async def several_prompts_async(cb: SimpleNamespace, record: Record) -> None:
    manager = cb.AsyncCallbackManager(handlers=[make_handler(cb, record, "one", inline=True)])
    for run in await manager.on_llm_start({}, ["a", "b", "c"], run_id=GIVEN_ID):
        record.state(run)
    for run in await manager.on_chat_model_start({}, [messages(), messages()], run_id=GIVEN_ID):
        record.state(run)


@program
async def prompts_beside_an_inline_handler(cb: SimpleNamespace, record: Record) -> None:
    inline = make_handler(cb, record, "inline", inline=True)
    other = make_handler(cb, record, "other", asynchronous=True)
    await cb.AsyncCallbackManager(handlers=[other, inline]).on_llm_start({}, ["a", "b"])


@program
def noop_managers(cb: SimpleNamespace, record: Record) -> None:
    for kind in ("LLM", "Chain", "Tool", "Retriever"):
        for name in (f"CallbackManagerFor{kind}Run", f"AsyncCallbackManagerFor{kind}Run"):
            record.state(getattr(cb, name).get_noop_manager())


@program
def abstract_managers(cb: SimpleNamespace, record: Record) -> None:
    for name in ("AsyncRunManager", "AsyncParentRunManager", "RunManager", "ParentRunManager"):
        kind = getattr(cb, name)
        record.attempt(partial(kind, run_id=GIVEN_ID, handlers=[], inheritable_handlers=[]))


@program
def a_run_after_its_end(cb: SimpleNamespace, record: Record) -> None:
    run = _manager(cb, record).on_chain_start({}, {})
    run.on_chain_end({})
    run.on_chain_end({})
    run.on_chain_error(ValueError)
    run.get_child().on_tool_start({}, "late")


@program
def stream_events(cb: SimpleNamespace, record: Record) -> None:
    [run] = _manager(cb, record).on_llm_start({}, ["p"])
    record.attempt(lambda: run.on_stream_event({"event": "message-start"}))


@program
async def stream_events_async(cb: SimpleNamespace, record: Record) -> None:
    [run] = await _manager(cb, record, kind="AsyncCallback").on_llm_start({}, ["p"])
    await record.aattempt(lambda: run.on_stream_event({"event": "message-start"}))


# --- dispatch -------------------------------------------------------------------------------------


@program
def handle_event_by_hand(cb: SimpleNamespace, record: Record) -> None:
    handlers = [make_handler(cb, record, "a", ignore="llm"), make_handler(cb, record, "b")]
    cb.handle_event(handlers, "on_llm_end", "ignore_llm", "response", run_id=GIVEN_ID)
    cb.handle_event(handlers, "on_llm_end", None, "response", run_id=GIVEN_ID)
    cb.handle_event(handlers, "on_unheard_of", None)


@program
async def ahandle_event_by_hand(cb: SimpleNamespace, record: Record) -> None:
    handlers = [make_handler(cb, record, "a", ignore="llm"), make_handler(cb, record, "b")]
    await cb.ahandle_event(handlers, "on_llm_end", "ignore_llm", "response", run_id=GIVEN_ID)
    await cb.ahandle_event(handlers, "on_unheard_of", None)


@program
def a_handler_without_the_method(cb: SimpleNamespace, record: Record) -> None:
    bare = SimpleNamespace(ignore_chain=False, raise_error=False, run_inline=False)
    cb.CallbackManager(handlers=[bare, make_handler(cb, record, "b")]).on_chain_start({}, {})


@program
async def a_handler_without_the_method_async(cb: SimpleNamespace, record: Record) -> None:
    bare = SimpleNamespace(ignore_chain=False, raise_error=False, run_inline=False)
    handlers = [bare, make_handler(cb, record, "b")]
    await cb.AsyncCallbackManager(handlers=handlers).on_chain_start({}, {})


@program
def none_among_the_handlers(cb: SimpleNamespace, record: Record) -> None:
    manager = cb.CallbackManager(handlers=[None, make_handler(cb, record, "b")])
    record.attempt(lambda: manager.on_chain_start({}, {}))


@program
async def none_among_the_handlers_async(cb: SimpleNamespace, record: Record) -> None:
    manager = cb.AsyncCallbackManager(handlers=[None, make_handler(cb, record, "b")])
    await record.aattempt(lambda: manager.on_chain_start({}, {}))


@program
def a_closed_loop_is_set(cb: SimpleNamespace, record: Record) -> None:
    closed = asyncio.new_event_loop()
    closed.close()
    asyncio.set_event_loop(closed)
    try:
        handler = make_handler(cb, record, "a", asynchronous=True)
        record.attempt(lambda: cb.CallbackManager(handlers=[handler]).on_chain_start({}, {}))
    finally:
        asyncio.set_event_loop(None)


@program
def what_handlers_spawn_is_awaited(cb: SimpleNamespace, record: Record) -> None:
    class Spawning(cb.AsyncCallbackHandler):  # type: ignore[name-defined,misc]
        async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            async def later() -> None:
                await asyncio.sleep(0.01)
                record.note("later")

            self.task = asyncio.create_task(later())

    cb.CallbackManager(handlers=[Spawning()]).on_chain_start({}, {})
    record.note("returned")


@program
def what_sync_handlers_write(cb: SimpleNamespace, record: Record) -> None:
    written.set("")
    handlers = [
        make_handler(cb, record, "a"),
        make_handler(cb, record, "b", asynchronous=True),
        make_handler(cb, record, "c", asynchronous=True),
    ]
    cb.CallbackManager(handlers=handlers).on_chain_start({}, {})
    record.note("seen by the caller", written.get())


@program
async def what_async_handlers_write(cb: SimpleNamespace, record: Record) -> None:
    for options in ({}, {"inline": True}, {"asynchronous": True}):
        for inline in (False, True):
            written.set("")
            handler = make_handler(cb, record, "a", **{"inline": inline, **options})
            await cb.AsyncCallbackManager(handlers=[handler]).on_chain_start({}, {})
            record.note("seen by the caller", written.get())


@program
async def ends_survive_cancellation(cb: SimpleNamespace, record: Record) -> None:
    """`shielded`: the handler of an end runs on, in the caller's context, when the caller is gone."""
    done = asyncio.Event()

    class Slow(cb.AsyncCallbackHandler):  # type: ignore[name-defined,misc]
        async def _slow(self, *args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0.01)
            record.note("reached", args, written.get())
            done.set()

        on_chain_end = on_chain_error = on_llm_end = on_llm_error = _slow
        on_retriever_end = on_retriever_error = on_tool_end = on_tool_error = _slow

    manager = cb.AsyncCallbackManager(handlers=[Slow()])
    chain = await manager.on_chain_start({}, {})
    [llm] = await manager.on_llm_start({}, ["p"])
    tool = await manager.on_tool_start({}, "i")
    retriever = await manager.on_retriever_start({}, "q")
    for end, value in [
        (chain.on_chain_end, "chain"),
        (chain.on_chain_error, "chain error"),
        (llm.on_llm_end, "llm"),
        (llm.on_llm_error, "llm error"),
        (retriever.on_retriever_end, "retriever"),
        (retriever.on_retriever_error, "retriever error"),
        (tool.on_tool_end, "tool"),
        (tool.on_tool_error, "tool error"),
    ]:
        done.clear()
        written.set(value)
        task = asyncio.create_task(end(value))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await record.aattempt(lambda task=task: task)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(done.wait(), 0.1)


# --- configure ------------------------------------------------------------------------------------


@program
def configuring(cb: SimpleNamespace, record: Record) -> None:
    a, b = make_handler(cb, record, "a"), make_handler(cb, record, "b")
    given = [a]
    for kind in (cb.CallbackManager, cb.AsyncCallbackManager):
        record.state(kind.configure())
        record.state(kind.configure(given))
        record.state(kind.configure(given, [b]))
        record.state(kind.configure(None, [b]))
        record.state(kind.configure([], []))
        record.state(kind.configure(given, [a, b], False, ["t"], ["l"], {"i": 1}, {"l": 2}))
        record.state(kind.configure(_manager(cb, record), _manager(cb, record, "m")))
        record.state(
            kind.configure(
                _manager(cb, record),
                inheritable_tags=["t", "u"],
                local_tags=["l"],
                inheritable_metadata={"who": "x"},
                local_metadata={"who": "y"},
            )
        )
    record.note(given)


@program
def configuring_leaves_the_given_manager(cb: SimpleNamespace, record: Record) -> None:
    manager = _manager(cb, record)
    configured = cb.CallbackManager.configure(manager, verbose=True, inheritable_tags=["new"])
    configured.add_handler(make_handler(cb, record, "new"))
    record.state(manager)


@program
def configuring_verbosely(cb: SimpleNamespace, record: Record) -> None:
    record.state(cb.CallbackManager.configure(verbose=True))
    record.state(cb.CallbackManager.configure([cb.StdOutCallbackHandler()], verbose=True))


@program
def configuring_for_langsmith(cb: SimpleNamespace, record: Record) -> None:
    record.attempt(
        lambda: record.state(
            cb.CallbackManager.configure(
                langsmith_inheritable_metadata={"a": 1}, langsmith_inheritable_tags=["b"]
            )
        )
    )


@program
def hooks_with_a_handler(cb: SimpleNamespace, record: Record) -> None:
    variable: ContextVar[Any] = ContextVar("variable", default=None)
    local: ContextVar[Any] = ContextVar("local", default=None)
    cb.register_configure_hook(variable, True)
    cb.register_configure_hook(local, inheritable=False)
    cb.register_configure_hook(variable, True)
    record.state(cb.CallbackManager.configure())
    handler = make_handler(cb, record, "hooked")
    variable.set(handler)
    local.set(make_handler(cb, record, "hooked locally"))
    record.state(cb.CallbackManager.configure())
    record.state(cb.CallbackManager.configure([handler, make_handler(cb, record, "a")]))
    record.state(cb.AsyncCallbackManager.configure(local_callbacks=[handler]))


@program
def hooks_with_a_class(cb: SimpleNamespace, record: Record) -> None:
    class Hooked(cb.BaseCallbackHandler):  # type: ignore[name-defined,misc]
        pass

    variable: ContextVar[Any] = ContextVar("variable", default=None)
    name = f"PARITY_{cb.package.replace('.', '_')}"
    cb.register_configure_hook(variable, True, Hooked, name)
    for value in ("", "0", "false", "False", "true", "no"):
        os.environ[name] = value
        record.state(cb.CallbackManager.configure())
    record.state(cb.CallbackManager.configure([Hooked()]))
    variable.set(make_handler(cb, record, "of another class"))
    record.state(cb.CallbackManager.configure())
    variable.set(None)
    del os.environ[name]
    record.state(cb.CallbackManager.configure())
    record.attempt(lambda: cb.register_configure_hook(variable, True, env_var=name))


# --- groups and custom events -----------------------------------------------------------------------


def _in_group(
    cb: SimpleNamespace, record: Record, use: Callable[[Any], Any], **kwargs: Any
) -> None:
    """A group whose handlers come by a hook, since LangChain's takes no manager."""
    variable: ContextVar[Any] = ContextVar("variable", default=None)
    cb.register_configure_hook(variable, True)
    variable.set(make_handler(cb, record, "hooked"))

    def run() -> None:
        with cb.trace_as_chain_group("group", **kwargs) as group:
            record.state(group)
            use(group)

    try:
        record.attempt(run)
    finally:
        variable.set(None)


async def _in_agroup(
    cb: SimpleNamespace, record: Record, use: Callable[[Any], Any], **kwargs: Any
) -> None:
    variable: ContextVar[Any] = ContextVar("variable", default=None)
    cb.register_configure_hook(variable, True)
    variable.set(make_handler(cb, record, "hooked"))

    async def run() -> None:
        async with cb.atrace_as_chain_group("group", **kwargs) as group:
            record.state(group)
            await use(group)

    try:
        await record.aattempt(run)
    finally:
        variable.set(None)


def _raise(error: BaseException) -> None:
    raise error


@program
def groups(cb: SimpleNamespace, record: Record) -> None:
    _in_group(cb, record, lambda _: None)
    _in_group(cb, record, lambda group: group.on_tool_start({}, "inside").on_tool_end("o"))
    _in_group(
        cb,
        record,
        lambda _: None,
        inputs={"x": 1},
        run_id=GIVEN_ID,
        tags=["t"],
        metadata={"m": 1},
        project_name="p",
        example_id="e",
    )
    _in_group(cb, record, lambda group: group.on_chain_end({"out": 1}, extra=1))
    _in_group(cb, record, lambda group: group.on_chain_error(ValueError("v")))
    _in_group(cb, record, lambda _: _raise(ValueError("v")))
    _in_group(cb, record, lambda group: group.copy().on_chain_end({"by the copy": 1}))
    _in_group(cb, record, lambda group: record.note(group.ended, group.on_chain_end({})))


@program
def groups_left_by_a_base_exception(cb: SimpleNamespace, record: Record) -> None:
    _in_group(cb, record, lambda _: _raise(KeyboardInterrupt()))


@program
def merging_groups(cb: SimpleNamespace, record: Record) -> None:
    def use(group: Any) -> None:
        other = _manager(cb, record)
        other.inheritable_metadata = {}
        merged = group.merge(other)
        record.state(merged)
        record.note(merged.parent_run_manager is group.parent_run_manager, merged.ended)

    _in_group(cb, record, use, tags=["g"])


@program
def merging_groups_with_metadata_to_inherit(cb: SimpleNamespace, record: Record) -> None:
    _in_group(cb, record, lambda group: record.state(group.merge(_manager(cb, record))))


@program
def groups_with_a_manager(cb: SimpleNamespace, record: Record) -> None:
    with cb.trace_as_chain_group("group", callback_manager=_manager(cb, record)) as group:
        record.state(group)


@program
async def groups_async(cb: SimpleNamespace, record: Record) -> None:
    async def nothing(group: Any) -> None:
        pass

    async def inside(group: Any) -> None:
        await (await group.on_tool_start({}, "inside")).on_tool_end("o")

    async def ends(group: Any) -> None:
        await group.on_chain_end({"out": 1})

    async def errs(group: Any) -> None:
        await group.on_chain_error(ValueError("v"))

    async def fails(group: Any) -> None:
        raise ValueError("v")

    async def merges(group: Any) -> None:
        record.state(group.copy())

    for use in (nothing, inside, ends, errs, fails, merges):
        await _in_agroup(cb, record, use, tags=["t"], metadata={"m": 1}, inputs={"i": 1})


@program
def custom_events(cb: SimpleNamespace, record: Record) -> None:
    run = _manager(cb, record).on_chain_start({}, {})
    config = {"callbacks": run.get_child(), "tags": ["c"], "metadata": {"c": 1}}
    cb.dispatch_custom_event("name", {"data": 1}, config=config)
    record.attempt(lambda: cb.dispatch_custom_event("name", 1))
    record.attempt(lambda: cb.dispatch_custom_event("name", 1, config={"callbacks": []}))
    record.attempt(lambda: cb.CallbackManager(handlers=[]).on_custom_event("name", 1, extra=1))
    record.attempt(lambda: _manager(cb, record).on_custom_event("name", 1, extra=1))
    _manager(cb, record).on_custom_event("name", 1, run_id=GIVEN_ID)


@program
async def custom_events_async(cb: SimpleNamespace, record: Record) -> None:
    run = await _manager(cb, record, kind="AsyncCallback").on_chain_start({}, {})
    await cb.adispatch_custom_event("name", 1, config={"callbacks": run.get_child()})
    await record.aattempt(lambda: cb.adispatch_custom_event("name", 1))
    manager = _manager(cb, record, kind="AsyncCallback")
    await record.aattempt(lambda: manager.on_custom_event("name", 1, extra=1))


@program
def custom_events_inside_a_runnable(cb: SimpleNamespace, record: Record) -> None:
    from langchain_core.runnables import RunnableLambda

    def body(value: int) -> int:
        cb.dispatch_custom_event("name", {"data": value})
        return value

    handler = make_handler(cb, record, "a")
    RunnableLambda(body).invoke(1, {"callbacks": [handler], "tags": ["t"], "metadata": {"m": 1}})


# --- shipped handlers -------------------------------------------------------------------------------


def _write_with(handler: Any) -> None:
    action = SimpleNamespace(log="chose")
    handler.on_chain_start({"name": "thing"}, {})
    handler.on_chain_start({"id": ["a", "thing"]}, {}, name="named")
    handler.on_chain_start({"id": ["a", "thing"]}, {})
    handler.on_chain_start({"other": 1}, {})
    handler.on_agent_action(action)
    handler.on_agent_action(action, color="green")
    handler.on_tool_end("output")
    handler.on_tool_end("output", color="blue", observation_prefix="saw: ", llm_prefix="so: ")
    handler.on_text("text", end="!")
    handler.on_text("text", color="pink")
    handler.on_agent_finish(action, color="yellow")
    handler.on_chain_end({})


def _printed(write: Callable[[], None]) -> str:
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        write()
    return stream.getvalue()


@program
def printing(cb: SimpleNamespace, record: Record) -> None:
    record.note(_printed(lambda: _write_with(cb.StdOutCallbackHandler())))
    record.note(_printed(lambda: _write_with(cb.StdOutCallbackHandler("red"))))
    record.note(_printed(lambda: cb.StdOutCallbackHandler().on_chain_start(None, {})))
    record.note(_printed(lambda: cb.StdOutCallbackHandler().on_tool_end({"an": "object"})))
    record.attempt(lambda: cb.StdOutCallbackHandler().on_text("text", color="no color"))


@program
def printing_tokens(cb: SimpleNamespace, record: Record) -> None:
    handler = cb.StreamingStdOutCallbackHandler()
    manager = cb.CallbackManager(handlers=[handler])

    def write() -> None:
        [run] = manager.on_chat_model_start({}, [messages()])
        run.on_llm_new_token("one ")
        run.on_llm_new_token("two")
        run.on_llm_end("response")

    record.note(_printed(write))


@program
def printing_lists_of_blocks(cb: SimpleNamespace, record: Record) -> None:
    handler = cb.StreamingStdOutCallbackHandler()
    record.attempt(lambda: record.note(_printed(lambda: handler.on_llm_new_token(["a", {"b": 1}]))))


@program
def writing_to_a_file(cb: SimpleNamespace, record: Record) -> None:
    def write(path: Path, mode: str) -> None:
        with cb.FileCallbackHandler(str(path), mode=mode, color="green") as handler:
            _write_with(handler)
        record.note(path.read_text(encoding="utf-8"))
        handler.close()
        record.note(handler.mode, Path(handler.filename).name, handler.color)
        record.attempt(lambda: handler.on_text("late"))

    with tempfile.TemporaryDirectory() as folder:
        for mode in ("a", "a", "w"):
            record.attempt(partial(write, Path(folder) / "log.txt", mode))


def _answer(model: str | None, usage: dict[str, Any] | None, generations: int = 1) -> Any:
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, LLMResult

    message = AIMessage(
        "answer",
        usage_metadata=usage,
        response_metadata={"model_name": model} if model else {},
    )
    return LLMResult(generations=[[ChatGeneration(message=message)]] * generations)


def _usage(tokens: int, **details: Any) -> dict[str, Any]:
    return {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1, **details}


@program
def adding_up_usage(cb: SimpleNamespace, record: Record) -> None:
    from langchain_core.outputs import Generation, LLMResult

    handler = cb.UsageMetadataCallbackHandler()
    for answer in [
        _answer("a", _usage(1)),
        _answer("a", _usage(2, input_token_details={"cache_read": 3})),
        _answer("a", _usage(4, input_token_details={"cache_read": 5, "audio": 6})),
        _answer("b", _usage(7), generations=2),
        _answer(None, _usage(8)),
        _answer("c", None),
        LLMResult(generations=[]),
        LLMResult(generations=[[]]),
        LLMResult(generations=[[Generation(text="t")]]),
    ]:
        handler.on_llm_end(answer)
    record.note(handler.usage_metadata, repr(cb.UsageMetadataCallbackHandler()))


@program
def usage_blocks(cb: SimpleNamespace, record: Record) -> None:
    def call() -> None:
        [run] = cb.CallbackManager.configure().on_llm_start({}, ["p"])
        run.on_llm_end(_answer("a", _usage(1)))

    with cb.get_usage_metadata_callback() as outer:
        call()
        with cb.get_usage_metadata_callback() as inner:
            call()
        with cb.get_usage_metadata_callback("another name") as named:
            call()
        call()
    call()
    record.note(outer.usage_metadata, inner.usage_metadata, named.usage_metadata)


@program
def usage_blocks_left_by_an_error(cb: SimpleNamespace, record: Record) -> None:
    with contextlib.suppress(ValueError), cb.get_usage_metadata_callback() as block:
        raise ValueError
    [run] = cb.CallbackManager.configure().on_llm_start({}, ["p"])
    run.on_llm_end(_answer("a", _usage(1)))
    record.note(block.usage_metadata)
