"""The stack at a start event in, the frame that opened the run and what it tells out."""

from __future__ import annotations

import inspect
import sys
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_HANDLER = 4  # frames from here to who called the handler: its boundary, the event and `_start`
_MACHINERY = frozenset(
    # modules between the code that opens a run and the handler that hears of it
    {"contextlib", "langchain_core.callbacks.manager"}
)
_OUR_MACHINERY = "lc_otel.callbacks."
_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def find_opener() -> FrameType:
    """The first frame above the callback machinery: the function that opened the run."""
    frame = sys._getframe(_HANDLER)  # noqa: SLF001 -- the documented way; inspect.currentframe is this
    while (back := frame.f_back) is not None:
        name = frame.f_globals.get("__name__", "")
        if name not in _MACHINERY and not name.startswith(_OUR_MACHINERY):
            function = frame.f_code.co_name
            # a comprehension belongs to the function around it
            if not function.startswith("<") or function == "<module>":
                break
        frame = back
    return frame


def would_silence_others(caller: FrameType) -> bool:
    """Whether ``caller`` is LangChain's async ``on_llm_start`` with handlers that are not inline.

    That method forgets all of them where it finds one handler that is (langchain-core 0.3 to 1.8).
    """
    if caller.f_code.co_name.startswith("<"):  # a comprehension's own frame, before Python 3.12
        caller = caller.f_back or caller
    if caller.f_code.co_name != "on_llm_start":
        return False
    handlers = getattr(caller.f_locals.get("self"), "handlers", ())
    others = [handler.run_inline for handler in handlers if not _is_ours(handler)]
    # Beside another inline one they are lost whatever ours answers, and ours with them if it is no.
    return bool(others) and not any(others)


def _is_ours(handler: object) -> bool:
    """Whether it is a handler of lc_otel, which answers anew each time it is asked."""
    answer = getattr(type(handler), "run_inline", None)
    asks = getattr(answer, "fget", None)  # what a property calls
    return getattr(asks, "__module__", None) == f"{__package__}._handler"


def module_of(frame: FrameType) -> str:
    """Name of the module whose code opened the run."""
    return str(frame.f_globals.get("__name__", ""))


def is_graphs(module: str) -> bool:
    """Whether it is the module in which LangGraph runs graphs."""
    return module.startswith("langgraph.pregel")


def is_langchains(frame: FrameType) -> bool:
    """Whether LangChain's own code opened the run, and not a program's with managers of its own."""
    return module_of(frame).startswith("langchain")


def is_stream(frame: FrameType) -> bool:
    """Whether the run was opened by a generator, whose consumer runs between two of its chunks.

    A generator made into a context manager is none: its body is the ``with`` block.
    """
    if not frame.f_code.co_flags & _GENERATOR:
        return False
    back = frame.f_back
    return back is None or back.f_globals.get("__name__") != "contextlib"


def when_gone(frame: FrameType, act: Callable[[], object]) -> weakref.ref[Any] | None:
    """Have ``act`` called when a generator or coroutine of LangChain's is closed or collected.

    Some never report that: a stream with fallbacks, a model that is cancelled. A frame cannot be
    watched, but the callback manager that each keeps in a variable can: nothing else holds it.

    Returns:
        What must be kept for as long as it is of interest; None where there is nothing to watch.
    """
    manager = frame.f_locals.get("callback_manager")
    return None if manager is None else weakref.ref(manager, lambda _: act())


def is_coroutine(frame: FrameType) -> bool:
    """Whether the run was opened by a coroutine, which lives no longer than its task."""
    return bool(frame.f_code.co_flags & inspect.CO_COROUTINE)


def opened_for(frame: FrameType) -> str:
    """Class name of the object whose method opened the run, "" where it was none."""
    owner = frame.f_locals.get("self")
    return "" if owner is None else type(owner).__name__


def is_on_stack(frame_id: int, frame: FrameType | None) -> bool:
    """Whether the frame of this id is ``frame`` or one of its callers."""
    while frame is not None:
        if id(frame) == frame_id:
            return True
        frame = frame.f_back
    return False
