"""Chain groups and custom events."""

# ruff: noqa: D103 - a program's name says what it is about

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableLambda

from tests.callbacks.parity.recorder import (
    GIVEN_ID,
    Record,
    make_handler,
    make_manager,
    program,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace


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
        other = make_manager(cb, record)
        other.inheritable_metadata = {}
        merged = group.merge(other)
        record.state(merged)
        record.note(merged.parent_run_manager is group.parent_run_manager, merged.ended)

    _in_group(cb, record, use, tags=["g"])


@program
def merging_groups_with_metadata_to_inherit(cb: SimpleNamespace, record: Record) -> None:
    _in_group(cb, record, lambda group: record.state(group.merge(make_manager(cb, record))))


@program
def groups_with_a_manager(cb: SimpleNamespace, record: Record) -> None:
    with cb.trace_as_chain_group("group", callback_manager=make_manager(cb, record)) as group:
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
    run = make_manager(cb, record).on_chain_start({}, {})
    config = {"callbacks": run.get_child(), "tags": ["c"], "metadata": {"c": 1}}
    cb.dispatch_custom_event("name", {"data": 1}, config=config)
    record.attempt(lambda: cb.dispatch_custom_event("name", 1))
    record.attempt(lambda: cb.dispatch_custom_event("name", 1, config={"callbacks": []}))
    record.attempt(lambda: cb.CallbackManager(handlers=[]).on_custom_event("name", 1, extra=1))
    record.attempt(lambda: make_manager(cb, record).on_custom_event("name", 1, extra=1))
    make_manager(cb, record).on_custom_event("name", 1, run_id=GIVEN_ID)


@program
async def custom_events_async(cb: SimpleNamespace, record: Record) -> None:
    run = await make_manager(cb, record, kind="AsyncCallback").on_chain_start({}, {})
    await cb.adispatch_custom_event("name", 1, config={"callbacks": run.get_child()})
    await record.aattempt(lambda: cb.adispatch_custom_event("name", 1))
    manager = make_manager(cb, record, kind="AsyncCallback")
    await record.aattempt(lambda: manager.on_custom_event("name", 1, extra=1))


@program
def custom_events_inside_a_runnable(cb: SimpleNamespace, record: Record) -> None:
    def body(value: int) -> int:
        cb.dispatch_custom_event("name", {"data": value})
        return value

    handler = make_handler(cb, record, "a")
    RunnableLambda(body).invoke(1, {"callbacks": [handler], "tags": ["t"], "metadata": {"m": 1}})
