"""A handler that misbehaves costs one clear warning or error, and the others no event."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import multiprocessing
import sys
import threading
from typing import Any
from uuid import uuid4

import pytest

from lc_otel.callbacks import _dispatch
from lc_otel.callbacks.base import AsyncCallbackHandler, BaseCallbackHandler
from lc_otel.callbacks.manager import (
    AsyncCallbackManager,
    CallbackManager,
    ahandle_event,
    handle_event,
    shielded,
)
from tests.callbacks.fakes import events, listener

provoked = pytest.mark.logs_warnings("a handler misbehaves")


class StopError(BaseException):
    """What no handler may swallow."""


def start(*handlers: Any) -> Any:
    """Start a chain with these handlers, in the sync manager."""
    return CallbackManager(handlers=list(handlers)).on_chain_start({}, {})


async def astart(*handlers: Any) -> Any:
    """Start a chain with these handlers, in the async manager."""
    return await AsyncCallbackManager(handlers=list(handlers)).on_chain_start({}, {})


async def tell(asynchronous: bool, *handlers: Any) -> None:
    """Start a chain with these handlers, in the one manager or the other."""
    if asynchronous:
        await astart(*handlers)
    else:
        start(*handlers)


LINE_UPS = {
    "sync": {},
    "inline": {"run_inline": True},
    "async": {"base": AsyncCallbackHandler},
}


@provoked
@pytest.mark.parametrize("kind", LINE_UPS)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_what_a_handler_raises_is_one_warning(
    kind: str, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing handler is named with its event and error; the next handler has the event."""
    bad, good = listener(**LINE_UPS[kind], raises=ValueError("no")), listener(**LINE_UPS[kind])
    await tell(asynchronous, bad, good)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.name.startswith("lc_otel.callbacks")
    expected = "Error in Listener.on_chain_start callback: ValueError('no')"
    if kind == "async" and not asynchronous:
        expected = "Error in callback coroutine: ValueError('no')"
    assert record.getMessage() == expected
    assert events(good) == ["on_chain_start"]


@pytest.mark.parametrize("kind", ["sync", "inline", "async"])
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("first", [False, True])
async def test_a_base_exception_propagates_after_all_were_told(
    kind: str, asynchronous: bool, first: bool
) -> None:
    """KeyboardInterrupt and its like reach the caller, and no other handler misses the event."""
    bad = listener(**LINE_UPS[kind], raises=StopError())
    good = [listener(**options) for options in LINE_UPS.values()]
    handlers = [bad, *good] if first else [*good, bad]
    with pytest.raises(StopError):
        await tell(asynchronous, *handlers)
    assert [events(one) for one in good] == [["on_chain_start"]] * 3


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_cancelled_handler_cancels_the_caller_after_all_were_told(
    asynchronous: bool,
) -> None:
    """A handler that raises CancelledError is no reason to keep the event from the others."""
    bad = listener(AsyncCallbackHandler, raises=asyncio.CancelledError())
    good = listener(AsyncCallbackHandler)
    with pytest.raises(asyncio.CancelledError):
        await tell(asynchronous, bad, good)
    assert events(good) == ["on_chain_start"]


@provoked
def test_a_base_exception_outweighs_an_error_that_would_be_raised() -> None:
    """Of several failures the gravest reaches the caller."""
    with pytest.raises(StopError):
        start(
            listener(raises=ValueError("no"), raise_error=True),
            listener(raises=StopError()),
            listener(raises=ValueError("no"), raise_error=True),
        )


@provoked
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_raise_error_raises_after_all_were_told(asynchronous: bool) -> None:
    """`raise_error` lets an error through, and no other handler misses the event."""
    bad, good = listener(raises=ValueError("no"), raise_error=True), listener()
    with pytest.raises(ValueError, match="no"):
        await tell(asynchronous, bad, good)
    assert events(good) == ["on_chain_start"]


@provoked
@pytest.mark.parametrize("bad", [None, object(), "handler"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_what_is_no_handler_is_one_warning(
    bad: Any, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """None, or an object without the methods, is named by its class and passed over."""
    good = listener()
    await tell(asynchronous, bad, good)
    [record] = caplog.records
    assert f"Error in {type(bad).__name__}.on_chain_start callback" in record.getMessage()
    assert "AttributeError" in record.getMessage()
    assert events(good) == ["on_chain_start"]


@provoked
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_error_whose_repr_fails_is_still_contained(
    asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Logging a broken exception names its class and does not break the observed code."""

    class Broken(Exception):  # noqa: N818 - its repr is
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    good = listener()
    await tell(asynchronous, listener(raises=Broken()), good)
    assert events(good) == ["on_chain_start"]
    assert "Broken object" in caplog.text


async def test_inline_handlers_keep_no_text_model_from_the_others() -> None:
    """The async on_llm_start tells every handler of every prompt, beside inline ones too."""
    order: list[tuple[str, str]] = []

    class Ordered(BaseCallbackHandler):
        def __init__(self, name: str, inline: bool) -> None:
            self.name, self.run_inline = name, inline

        def on_llm_start(self, serialized: Any, prompts: list[str], **kwargs: Any) -> None:
            order.append((self.name, prompts[0]))

    handlers = [Ordered("other", False), Ordered("inline", True)]
    runs = await AsyncCallbackManager(handlers=handlers).on_llm_start({}, ["a", "b"])
    assert len({run.run_id for run in runs}) == 2
    assert order[:2] == [("inline", "a"), ("inline", "b")]
    assert sorted(order[2:]) == [("other", "a"), ("other", "b")]


async def test_inline_handlers_run_in_the_callers_context() -> None:
    """What an inline handler sets at a start is seen by the code after it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")

    class Setting(BaseCallbackHandler):
        run_inline = True

        def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            variable.set(threading.current_thread().name)

    await astart(Setting())
    assert variable.get() == threading.current_thread().name


async def test_a_function_that_returns_a_coroutine_is_awaited() -> None:
    """A handler's method may be any function that makes a coroutine."""
    reached = []

    class Wrapped(BaseCallbackHandler):
        def on_chain_start(self, *args: Any, **kwargs: Any) -> Any:
            async def later() -> None:
                reached.append(True)

            return later()

    await astart(Wrapped())
    start(Wrapped())
    assert reached == [True, True]


def test_shielded_keeps_what_it_wraps() -> None:
    """The wrapper has the name and docstring of the function."""

    async def ends() -> None:
        """End."""

    assert shielded(ends).__name__ == "ends"
    assert shielded(ends).__doc__ == "End."


async def test_shielded_runs_on_when_its_caller_is_cancelled() -> None:
    """Nobody holds the inner task any more, and still it ends."""
    done = asyncio.Event()

    @shielded
    async def slow() -> None:
        await asyncio.sleep(0.01)
        done.set()

    task = asyncio.create_task(slow())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(done.wait(), 5)


async def test_cancelling_the_caller_is_not_delayed_by_handlers() -> None:
    """A task cancelled while a handler runs is cancelled, not logged."""

    class Slow(AsyncCallbackHandler):
        async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(60)

    for inline in (False, True):
        handler = Slow()
        handler.run_inline = inline
        task = asyncio.create_task(astart(handler))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)


@provoked
async def test_a_pool_that_is_shut_down_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """While the interpreter shuts down, async handlers under a sync manager cannot run."""
    _dispatch._executor().shutdown()
    try:
        good = listener()
        start(listener(AsyncCallbackHandler), good)
    finally:
        _dispatch._executor.cache_clear()
    assert [record.getMessage()[:27] for record in caplog.records] == [
        "Error in callback coroutine"
    ]
    assert events(good) == ["on_chain_start"]


def _tell_in_a_child(connection: Any) -> None:
    handler = listener(AsyncCallbackHandler)

    async def in_loop() -> None:
        start(handler)

    asyncio.run(in_loop())
    connection.send(events(handler))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    """The pool's threads do not survive a fork; the child does not wait for them."""
    ours, theirs = multiprocessing.Pipe()

    async def use_the_pool() -> None:
        start(listener(AsyncCallbackHandler))

    asyncio.run(use_the_pool())
    child = multiprocessing.get_context("fork").Process(target=_tell_in_a_child, args=(theirs,))
    child.start()
    try:
        assert ours.poll(30), "the child hangs"
        assert ours.recv() == ["on_chain_start"]
    finally:
        child.kill()
        child.join()


def test_events_by_hand() -> None:
    """`handle_event` serves events and flags of an application's own."""
    seen = []

    class Custom:
        ignore_mine = False

        def on_mine(self, value: int, *, key: str) -> None:
            seen.append((value, key))

    class Ignoring(Custom):
        ignore_mine = True

    handle_event([Custom(), Ignoring()], "on_mine", "ignore_mine", 1, key="k")
    asyncio.run(ahandle_event([Custom(), Ignoring()], "on_mine", None, 2, key="k"))
    assert seen[0] == (1, "k")
    assert seen[1:] == [(2, "k")] * 2


@provoked
def test_events_by_hand_need_no_run_inline(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown event is one warning for each handler, and nothing else."""
    handle_event([listener(), listener()], "on_unheard_of", None, run_id=uuid4())
    assert len(caplog.records) == 2
