"""What managers hold: copies, merges, changes, children and configure."""

# ruff: noqa: D103 - a program's name says what it is about

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.callbacks.parity.recorder import (
    GIVEN_ID,
    Record,
    make_handler,
    make_manager,
    messages,
    program,
)

if TYPE_CHECKING:
    from types import SimpleNamespace


@program
def copies_share_nothing(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record)
    copy = manager.copy()
    copy.add_handler(make_handler(cb, record, "new"))
    copy.add_tags(["new"])
    copy.add_metadata({"new": 1})
    record.state(manager)
    record.state(copy)


@program
def merging_managers(cb: SimpleNamespace, record: Record) -> None:
    left, right = make_manager(cb, record, "a"), make_manager(cb, record, "b")
    right.parent_run_id = None
    record.state(left.merge(right))
    record.state(right.merge(left))
    record.state(left)


@program
def changing_handlers(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record)
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
    manager = make_manager(cb, record)
    manager.add_tags(["x", "t"])
    record.note(manager.tags, manager.inheritable_tags)
    manager.add_tags(["local"], inherit=False)
    manager.remove_tags(["x"])
    record.note(manager.tags, manager.inheritable_tags)


@program
def removing_unknown_tags(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record)
    record.attempt(lambda: manager.remove_tags(["a", "never there"]))
    record.note(manager.tags, manager.inheritable_tags)


@program
def changing_metadata(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record)
    manager.add_metadata({"who": "else", "x": {"deep": 1}})
    manager.add_metadata({"x": {"other": 1}}, inherit=False)
    record.note(manager.metadata, manager.inheritable_metadata)
    manager.remove_metadata(["x"])
    record.note(manager.metadata, manager.inheritable_metadata)


@program
def metadata_handed_out_stays(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record)
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
    manager = make_manager(cb, record)
    record.attempt(lambda: manager.remove_metadata(["never there", "who"]))
    record.note(manager.metadata, manager.inheritable_metadata)


@program
def children_of_children(cb: SimpleNamespace, record: Record) -> None:
    run = make_manager(cb, record).on_chain_start({}, {})
    record.state(run.get_child("seq:step:1"))
    grandchild = run.get_child("seq:step:1").on_tool_start({}, "x", inputs={"x": 1}).get_child()
    record.state(grandchild)


@program
def runs_without_prompts(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record)
    record.note(manager.on_llm_start({}, []), manager.on_chat_model_start({}, []))


@program
async def runs_without_prompts_async(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record, kind="AsyncCallback")
    record.note(await manager.on_llm_start({}, []), await manager.on_chat_model_start({}, []))


@program
async def several_prompts_async(cb: SimpleNamespace, record: Record) -> None:
    manager = cb.AsyncCallbackManager(handlers=[make_handler(cb, record, "one", inline=True)])
    for run in await manager.on_llm_start({}, ["a", "b", "c"], run_id=GIVEN_ID):
        record.state(run)
    for run in await manager.on_chat_model_start({}, [messages(), messages()], run_id=GIVEN_ID):
        record.state(run)


@program
async def prompts_that_are_no_list(cb: SimpleNamespace, record: Record) -> None:
    for kind in ("Callback", "AsyncCallback"):
        manager = make_manager(cb, record, kind=kind)
        for start in (manager.on_llm_start, manager.on_chat_model_start):
            runs = start({}, iter(["a", "b"]), run_id=GIVEN_ID)
            for run in await runs if kind == "AsyncCallback" else runs:
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
    run = make_manager(cb, record).on_chain_start({}, {})
    run.on_chain_end({})
    run.on_chain_end({})
    run.on_chain_error(ValueError)
    run.get_child().on_tool_start({}, "late")


@program
def stream_events(cb: SimpleNamespace, record: Record) -> None:
    [run] = make_manager(cb, record).on_llm_start({}, ["p"])
    record.attempt(lambda: run.on_stream_event({"event": "message-start"}))


@program
async def stream_events_async(cb: SimpleNamespace, record: Record) -> None:
    [run] = await make_manager(cb, record, kind="AsyncCallback").on_llm_start({}, ["p"])
    await record.aattempt(lambda: run.on_stream_event({"event": "message-start"}))


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
        record.state(kind.configure(make_manager(cb, record), make_manager(cb, record, "m")))
        record.state(
            kind.configure(
                make_manager(cb, record),
                inheritable_tags=["t", "u"],
                local_tags=["l"],
                inheritable_metadata={"who": "x"},
                local_metadata={"who": "y"},
            )
        )
    record.note(given)


@program
def configuring_with_what_is_false(cb: SimpleNamespace, record: Record) -> None:
    a = make_handler(cb, record, "a")
    for kind in (cb.CallbackManager, cb.AsyncCallbackManager):
        for nothing in ((), {}, False, 0, ""):
            record.state(kind.configure(nothing))
            record.state(kind.configure(None, nothing))
            record.state(kind.configure([a], nothing))


@program
def configuring_leaves_the_given_manager(cb: SimpleNamespace, record: Record) -> None:
    manager = make_manager(cb, record)
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
