"""An event and its handlers in, calls out: the one place where a handler is called."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lc_otel.callbacks._messages import get_buffer_string

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from lc_otel.callbacks._shapes import AnyHandler

    _Call = tuple[AnyHandler, str, str | None, Sequence[Any], dict[str, Any]]

logger = logging.getLogger(__name__)

Func = TypeVar("Func", bound="Callable[..., Any]")

IGNORED_BY: dict[str, str | None] = {
    "on_llm_start": "ignore_llm",
    "on_chat_model_start": "ignore_chat_model",
    "on_llm_new_token": "ignore_llm",
    "on_llm_end": "ignore_llm",
    "on_llm_error": "ignore_llm",
    "on_stream_event": "ignore_llm",
    "on_chain_start": "ignore_chain",
    "on_chain_end": "ignore_chain",
    "on_chain_error": "ignore_chain",
    "on_agent_action": "ignore_agent",
    "on_agent_finish": "ignore_agent",
    "on_tool_start": "ignore_agent",
    "on_tool_end": "ignore_agent",
    "on_tool_error": "ignore_agent",
    "on_retriever_start": "ignore_retriever",
    "on_retriever_end": "ignore_retriever",
    "on_retriever_error": "ignore_retriever",
    "on_retry": "ignore_retry",
    "on_custom_event": "ignore_custom_event",
    "on_text": None,
}
"""The handler's flag that mutes each event."""


def handle_event(
    handlers: list[AnyHandler],
    event_name: str,
    ignore_condition_name: str | None,
    *args: Any,
    **kwargs: Any,
) -> None:
    """Call every handler's method for an event, the sync ones in order and then the coroutines.

    What a handler raises is logged. What must reach the caller (a BaseException, or any error of a
    sync handler with ``raise_error``) is raised once every other handler has had the event.

    Args:
        handlers: Who to call.
        event_name: The method to call, such as ``on_llm_start``.
        ignore_condition_name: The handler's attribute that, if true, keeps the event from it.
        *args: The event's positional arguments.
        **kwargs: The event's keyword arguments.
    """
    coroutines: list[Coroutine[Any, Any, Any]] = []
    failure: BaseException | None = None
    for handler in handlers:
        try:
            if ignore_condition_name is None or not getattr(handler, ignore_condition_name):
                result = getattr(handler, event_name)(*args, **kwargs)
                if result is not None and asyncio.iscoroutine(result):
                    if event_name == "on_chat_model_start":
                        result = _or_start_as_llm(result, handler, args, kwargs)
                    coroutines.append(result)
        except BaseException as error:  # noqa: BLE001, PERF203 - held until all handlers were called
            if event_name == "on_chat_model_start" and isinstance(error, NotImplementedError):
                failure = _graver(failure, _start_as_llm(handler, args, kwargs))
            else:
                failure = _graver(failure, _contain(handler, event_name, error))
    if coroutines:
        failure = _graver(failure, _run_from_sync(coroutines))
    if failure is not None:
        raise failure


async def ahandle_event(
    handlers: list[AnyHandler],
    event_name: str,
    ignore_condition_name: str | None,
    *args: Any,
    **kwargs: Any,
) -> None:
    """Call every handler's method for an event: the inline ones in order, the others together.

    A sync handler that is not inline runs in a thread, in a copy of the caller's context. What a
    handler raises is treated as by `handle_event`; here ``raise_error`` counts for coroutines too.

    Args:
        handlers: Who to call.
        event_name: The method to call, such as ``on_llm_start``.
        ignore_condition_name: The handler's attribute that, if true, keeps the event from it.
        *args: The event's positional arguments.
        **kwargs: The event's keyword arguments.
    """
    await ahandle_events(handlers, event_name, ignore_condition_name, [(args, kwargs)])


async def ahandle_events(
    handlers: list[AnyHandler],
    event_name: str,
    ignore_condition_name: str | None,
    events: Sequence[tuple[Sequence[Any], dict[str, Any]]],
) -> None:
    """Handle several events of one name as `ahandle_event` handles one: all inline calls first.

    `events` holds the positional and keyword arguments of each. A handler that an inline one adds
    to `handlers` has the event too, unless it is inline itself.
    """

    def calls(*, inline: bool) -> list[_Call]:
        return [
            (handler, event_name, ignore_condition_name, args, kwargs)
            for args, kwargs in events
            for handler in handlers
            if bool(getattr(handler, "run_inline", False)) is inline
        ]

    failure: BaseException | None = None
    for call in calls(inline=True):
        failure = _graver(failure, await _acall(*call))
    if others := calls(inline=False):
        outcomes = await asyncio.gather(*(_acall(*call) for call in others), return_exceptions=True)
        for outcome in outcomes:
            failure = _graver(failure, outcome)
    if failure is not None:
        raise failure


async def _acall(
    handler: AnyHandler,
    event_name: str,
    ignore_condition_name: str | None,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> BaseException | None:
    """Call one handler; return what it raised if that must reach the caller."""
    try:
        if ignore_condition_name is None or not getattr(handler, ignore_condition_name):
            method = getattr(handler, event_name)
            if inspect.iscoroutinefunction(method) or getattr(handler, "run_inline", False):
                result = method(*args, **kwargs)
            else:
                result = await asyncio.get_running_loop().run_in_executor(
                    None, functools.partial(copy_context().run, method, *args, **kwargs)
                )
            if result is not None and asyncio.iscoroutine(result):
                await result
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - the caller raises it, after the other handlers
        if event_name == "on_chat_model_start" and isinstance(error, NotImplementedError):
            return await _acall(handler, "on_llm_start", "ignore_llm", _llm_start(args), kwargs)
        return _contain(handler, event_name, error)
    return None


def _contain(handler: AnyHandler, event_name: str, error: BaseException) -> BaseException | None:
    """Log what a handler raised; return it if it must reach the caller."""
    if not isinstance(error, Exception):
        return error
    missing = isinstance(error, NotImplementedError)
    logger.warning(
        "%s in %s.%s callback: %s",
        "NotImplementedError" if missing else "Error",
        type(handler).__name__,
        event_name,
        _spell(error),
    )
    return error if getattr(handler, "raise_error", False) and not missing else None


def _spell(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception:  # noqa: BLE001 - a broken exception must not break the observed code
        return object.__repr__(error)


def _graver(held: BaseException | None, new: BaseException | None) -> BaseException | None:
    """Of two failures the one to raise: the first, though a BaseException before any Exception."""
    if new is None or (held is not None and not isinstance(held, Exception)):
        return held
    return new if held is None or not isinstance(new, Exception) else held


def _llm_start(args: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of `on_llm_start` for those of an unhandled `on_chat_model_start`."""
    return (args[0], [get_buffer_string(messages) for messages in args[1]], *args[2:])


def _start_as_llm(
    handler: AnyHandler, args: Sequence[Any], kwargs: dict[str, Any]
) -> BaseException | None:
    try:
        handle_event([handler], "on_llm_start", "ignore_llm", *_llm_start(args), **kwargs)
    except BaseException as error:  # noqa: BLE001 - held until every handler was called
        return error
    return None


async def _or_start_as_llm(
    start: Coroutine[Any, Any, Any],
    handler: AnyHandler,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> None:
    """Await an async handler's `on_chat_model_start`, with the same fallback as for a sync one."""
    try:
        await start
    except NotImplementedError:
        failure = await _acall(handler, "on_llm_start", "ignore_llm", _llm_start(args), kwargs)
        if failure is not None and not isinstance(failure, Exception):
            raise failure  # noqa: B904 - a KeyboardInterrupt or the like, no error of the fallback


def _run_from_sync(coroutines: list[Coroutine[Any, Any, Any]]) -> BaseException | None:
    """Run the coroutines of async handlers to their end; return what must reach the caller.

    An error is logged and never raised, even with ``raise_error``, as in LangChain.
    """
    try:
        if _in_loop():
            # The running loop waits for this very call, so the coroutines need another thread's.
            _executor().submit(copy_context().run, _run_in_thread, coroutines).result()
        else:
            asyncio.run(_run_all(coroutines))
    except RuntimeError as error:  # no new thread or loop: the interpreter is shutting down
        logger.warning("Error in callback coroutine: %s", _spell(error))
        for coroutine in coroutines:
            coroutine.close()
    except BaseException as error:  # noqa: BLE001 - raised by the caller
        return error
    return None


def _in_loop() -> bool:
    """Whether an event loop runs in this thread.

    A function of its own: what runs in the block of an exception has that for its context.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_in_thread(coroutines: list[Coroutine[Any, Any, Any]]) -> None:
    asyncio.run(_run_all(coroutines))


async def _run_all(coroutines: list[Coroutine[Any, Any, Any]]) -> None:
    failure: BaseException | None = None
    for coroutine in coroutines:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001, PERF203 - one handler's, not the others'
            logger.warning("Error in callback coroutine: %s", _spell(error))
        except BaseException as error:  # noqa: BLE001 - held until every handler was called
            failure = failure or error
    while spawned := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(spawned)
    if failure is not None:
        raise failure


@functools.lru_cache(maxsize=1)
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=10, thread_name_prefix="lc_otel-callbacks")


if hasattr(os, "register_at_fork"):
    # A forked child inherits the pool without its threads and would wait for them forever.
    os.register_at_fork(after_in_child=_executor.cache_clear)


def shielded(func: Func) -> Func:
    """Let a coroutine function run to its end even if who awaits it is cancelled."""

    @functools.wraps(func)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        # A new task runs in a copy of the current context, so context variables reach it.
        task = asyncio.create_task(func(*args, **kwargs))
        _shielded_tasks.add(task)
        task.add_done_callback(_shielded_tasks.discard)
        return await asyncio.shield(task)

    return cast("Func", wrapped)


_shielded_tasks: set[asyncio.Task[Any]] = set()
"""The event loop itself refers to tasks weakly; one whose awaiter is gone must not be collected."""
