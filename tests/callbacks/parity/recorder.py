"""Handlers that write down what they are called with, in a form two implementations can share."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EVENTS = [
    "on_llm_start",
    "on_chat_model_start",
    "on_llm_new_token",
    "on_llm_end",
    "on_llm_error",
    "on_stream_event",
    "on_chain_start",
    "on_chain_end",
    "on_chain_error",
    "on_agent_action",
    "on_agent_finish",
    "on_tool_start",
    "on_tool_end",
    "on_tool_error",
    "on_retriever_start",
    "on_retriever_end",
    "on_retriever_error",
    "on_text",
    "on_retry",
    "on_custom_event",
]
FLAGS = ["llm", "chain", "agent", "retriever", "chat_model", "retry", "custom_event"]

GIVEN_ID = UUID("01234567-89ab-7def-8123-456789abcdef")

PROGRAMS: dict[str, Callable[[SimpleNamespace, Record], Any]] = {}
"""What runs under both implementations, by name; each leaves a record."""

written = ContextVar("written", default="")
"""What handlers write, to see in whose context they ran."""


def program(function: Any) -> Any:
    """Have this run under both implementations."""
    PROGRAMS[function.__name__] = function
    return function


def messages() -> list[Any]:
    """A short conversation of LangChain's own messages."""
    return [
        SystemMessage("be kind"),
        HumanMessage("hello"),
        AIMessage("hi"),
        ToolMessage("42", tool_call_id="1"),
    ]


def implementation(package: str) -> SimpleNamespace:
    """All names of a callback package, whichever of its modules has them."""
    names: dict[str, Any] = {"package": package}
    for module in ("base", "manager", "file", "stdout", "streaming_stdout", "usage"):
        names.update(vars(import_module(f"{package}.{module}")))
    hooks = {
        "langchain_core.callbacks": "langchain_core.tracers.context",
        "lc_otel.callbacks": "lc_otel.callbacks._hooks",
    }[package]
    names["register_configure_hook"] = import_module(hooks).register_configure_hook
    return SimpleNamespace(**names)


class Record:
    """What one program did under one implementation."""

    def __init__(self) -> None:
        self._lines: list[tuple[bool, Any]] = []
        self._thread = threading.get_ident()
        self._loop: Any = None
        self._lock = threading.Lock()

    def note(self, *values: Any, by_handler: bool = False) -> None:
        """Write a line: what the program saw, or what a handler was called with."""
        line = tuple(self.plain(value) for value in values)
        with self._lock:
            self._lines.append((by_handler, line))

    def lines(self) -> list[Any]:
        """All lines, with run ids as the order in which they appear.

        What the program saw counts first: handlers that run in threads may come in any order.
        """
        names: dict[UUID, str] = {}

        def named(value: Any) -> Any:
            if isinstance(value, UUID):
                return names.setdefault(value, f"run {len(names)}")
            if isinstance(value, dict):
                return {key: named(one) for key, one in value.items()}
            return [named(one) for one in value] if isinstance(value, (list, tuple)) else value

        for by_handler in (False, True):
            named([line for handlers, line in self._lines if handlers is by_handler])
        return [named(line) for _, line in self._lines]

    def plain(self, value: Any) -> Any:
        """A copy of a value without what differs between two runs of one program, but for ids."""
        if isinstance(value, dict):
            return {key: self.plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(one) for one in value]
        if isinstance(value, BaseException):
            return repr(value)
        label = getattr(value, "label", None)
        return f"<{label or type(value).__name__}>" if hasattr(value, "ignore_llm") else value

    def where(self) -> str:
        """Which thread and event loop this is, told from the program's."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        thread = "own thread" if threading.get_ident() == self._thread else "other thread"
        if loop is None:
            return f"{thread}, no loop"
        return f"{thread}, {'own' if loop is self._loop else 'other'} loop"

    def state(self, manager: Any) -> None:
        """Write down all that a manager or run manager holds; of sets, sorted."""
        self.note(
            type(manager).__name__,
            getattr(manager, "run_id", None),
            manager.parent_run_id,
            sorted(self.plain(manager.handlers)),
            sorted(self.plain(manager.inheritable_handlers)),
            sorted(manager.tags),
            sorted(manager.inheritable_tags),
            manager.metadata,
            manager.inheritable_metadata,
        )

    def attempt(self, call: Callable[[], Any]) -> Any:
        """Call, and write down the class of what was raised."""
        try:
            return call()
        except BaseException as error:  # noqa: BLE001 - the record is of all that is raised
            self.note("raised", type(error).__name__)
            return None

    async def aattempt(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Await, and write down the class of what was raised."""
        try:
            return await call()
        except BaseException as error:  # noqa: BLE001 - the record is of all that is raised
            self.note("raised", type(error).__name__)
            return None

    def enter_loop(self) -> None:
        """Take the running loop for the program's own."""
        self._loop = asyncio.get_running_loop()

    @contextmanager
    def warnings(self) -> Any:
        """Write down what the implementation logs meanwhile."""
        note = self.note

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                note("logged", record.levelname, record.getMessage())

        listener, root = Listener(), logging.getLogger()
        root.addHandler(listener)
        try:
            yield
        finally:
            root.removeHandler(listener)


def make_handler(
    cb: SimpleNamespace,
    record: Record,
    label: str,
    *,
    asynchronous: bool = False,
    inline: bool = False,
    ignore: str | None = None,
    raises: Callable[[], BaseException] | None = None,
    raise_error: bool = False,
    chat: bool = True,
) -> Any:
    """A handler of this implementation that records every event.

    Args:
        cb: Whose base class it derives from.
        record: Where it writes to.
        label: What it is called there.
        asynchronous: Whether its methods are coroutine functions.
        inline: Its `run_inline`.
        ignore: The flag, without prefix, that it sets.
        raises: What each of its methods raises after recording.
        raise_error: Its `raise_error`.
        chat: Whether it has an `on_chat_model_start`.
    """

    def method(event: str) -> Any:
        def called(args: Any, kwargs: Any) -> None:
            place, seen = record.where(), written.get()
            record.note(label, event, args, kwargs, place, seen, by_handler=True)
            written.set(label)
            if raises is not None:
                raise raises()

        def on_event(self: Any, *args: Any, **kwargs: Any) -> None:
            called(args, kwargs)

        async def on_event_async(self: Any, *args: Any, **kwargs: Any) -> None:
            called(args, kwargs)

        return on_event_async if asynchronous else on_event

    members: dict[str, Any] = {
        event: method(event) for event in EVENTS if chat or event != "on_chat_model_start"
    }
    members |= {"label": label, "run_inline": inline, "raise_error": raise_error}
    if ignore:
        members[f"ignore_{ignore}"] = True
    base = cb.AsyncCallbackHandler if asynchronous else cb.BaseCallbackHandler
    return type("Recorder", (base,), members)()


def make_manager(
    cb: SimpleNamespace, record: Record, name: str = "a", kind: str = "Callback"
) -> Any:
    """A manager with a handler that is inherited and one that is not, and with all the rest."""
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
