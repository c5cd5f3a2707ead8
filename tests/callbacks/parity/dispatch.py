"""How handlers are called, and what becomes of what they raise, write and spawn."""

# ruff: noqa: D103 - a program's name says what it is about

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
)

from tests.callbacks.parity.recorder import (
    GIVEN_ID,
    Record,
    make_handler,
    messages,
    program,
    written,
)


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
def what_async_handlers_see_of_errors(cb: SimpleNamespace, record: Record) -> None:
    class Looking(cb.AsyncCallbackHandler):  # type: ignore[name-defined,misc]
        async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            record.note("handled just now", sys.exc_info()[1])
            try:
                int("no number")
            except ValueError as error:
                record.note("the context of its own", error.__context__)

        async def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
            record.note("handled just now", sys.exc_info()[1] is error)

        async def on_chain_end(self, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    run = cb.CallbackManager(handlers=[Looking()]).on_chain_start({}, {})
    try:
        {}["no key"]
    except KeyError as error:
        run.on_chain_error(error)
    try:
        run.on_chain_end({})
    except KeyboardInterrupt as error:
        record.note("the context of what it raised", error.__context__)


@program
async def handlers_added_by_an_inline_one(cb: SimpleNamespace, record: Record) -> None:
    handlers: list[Any] = []

    class Adding(cb.BaseCallbackHandler):  # type: ignore[name-defined,misc]
        run_inline = True

        def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            handlers.append(make_handler(cb, record, "other", asynchronous=True))
            handlers.append(make_handler(cb, record, "inline", inline=True))

    handlers.append(Adding())
    await cb.AsyncCallbackManager(handlers=handlers).on_chain_start({}, {})


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
    """`shielded`: the handler of an end runs on, in the context of the caller that is gone."""
    reached, done = asyncio.Event(), asyncio.Event()

    class Slow(cb.AsyncCallbackHandler):  # type: ignore[name-defined,misc]
        async def _slow(self, *args: Any, **kwargs: Any) -> None:
            reached.set()
            try:
                await asyncio.sleep(0.01)
                record.note("told to the end", args, written.get())
            except asyncio.CancelledError:
                record.note("cancelled", args)
                raise
            finally:
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
        reached.clear()
        done.clear()
        written.set(value)
        task = asyncio.create_task(end(value))
        await reached.wait()
        task.cancel()
        await record.aattempt(lambda task=task: task)
        await asyncio.wait_for(done.wait(), 10)


def _prompt_of(cb: SimpleNamespace, record: Record, conversation: list[Any]) -> None:
    handler = make_handler(cb, record, "a", chat=False)
    cb.CallbackManager(handlers=[handler]).on_chat_model_start({}, [conversation])


@program
def a_conversation_as_a_prompt(cb: SimpleNamespace, record: Record) -> None:
    _prompt_of(cb, record, [])
    _prompt_of(cb, record, [*messages(), ChatMessage("hm", role="critic")])
    _prompt_of(cb, record, [FunctionMessage("42", name="f"), HumanMessageChunk("a\nb")])
    call = {"name": "f", "arguments": "{}"}
    _prompt_of(cb, record, [AIMessage("", additional_kwargs={"function_call": call})])


@program
def a_conversation_with_roles_as_a_prompt(cb: SimpleNamespace, record: Record) -> None:
    for role in ("user", "assistant", "ai", "AI", "system", "tool", ""):
        _prompt_of(cb, record, [ChatMessage("hm", role=role), ChatMessageChunk("hm", role=role)])
    call = {"name": "f", "arguments": "{}"}
    asking = {"additional_kwargs": {"function_call": call}}
    _prompt_of(cb, record, [ChatMessage("hm", role="assistant", **asking)])
    _prompt_of(cb, record, [HumanMessage("hi", role="model"), SystemMessage("hi", role="user")])
    _prompt_of(cb, record, [AIMessage("hi", role="model", **asking)])
    _prompt_of(cb, record, [AIMessage("hi", additional_kwargs={"function_call": {}})])


@program
def a_conversation_of_blocks_as_a_prompt(cb: SimpleNamespace, record: Record) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    _prompt_of(cb, record, [HumanMessage(["see ", image, {"type": "text", "text": "this"}])])


@program
def a_conversation_with_tool_calls_as_a_prompt(cb: SimpleNamespace, record: Record) -> None:
    call = {"name": "add", "args": {"a": 1}, "id": "1"}
    _prompt_of(cb, record, [AIMessage("hi", tool_calls=[call]), AIMessageChunk("ho")])
