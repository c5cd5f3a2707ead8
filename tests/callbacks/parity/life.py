"""Every event of every kind of run, under every kind of handler."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.callbacks.parity.recorder import (
    FLAGS,
    GIVEN_ID,
    PROGRAMS,
    Record,
    make_handler,
    messages,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

SERIALIZED = {"name": "thing", "id": ["a", "b"]}

LINE_UPS: dict[str, Callable[[SimpleNamespace, Record], list[Any]]] = {}


def _line_up(name: str, *handlers: dict[str, Any]) -> None:
    LINE_UPS[name] = lambda cb, record: [
        make_handler(cb, record, f"h{position}", **options)
        for position, options in enumerate(handlers)
    ]


class MishapError(Exception):
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
_line_up("raising", {"raises": _raises(MishapError)}, {})
_line_up("raising_async", {"raises": _raises(MishapError), "asynchronous": True}, {})
_line_up("raising_not_implemented", {"raises": _raises(NotImplementedError)}, {})
_line_up("raising_through", {}, {"raises": _raises(MishapError), "raise_error": True})
_line_up("raising_through_first", {"raises": _raises(MishapError), "raise_error": True}, {})
_line_up(
    "raising_through_first_inline",
    {"raises": _raises(MishapError), "raise_error": True, "inline": True},
    {"inline": True},
)
_line_up(
    "raising_through_async",
    {"raises": _raises(MishapError), "raise_error": True, "asynchronous": True},
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


RACING = {
    "raising_through",
    "raising_through_first",
    "raising_base_exception",
    "raising_base_exception_first",
}
"""With these LangChain's async manager raises while other handlers still run in threads."""

for _name in LINE_UPS:
    PROGRAMS[f"life[{_name}]"] = partial(life, _name)
    PROGRAMS[f"life_in_a_loop[{_name}]"] = partial(life_in_a_loop, _name)
    if _name not in RACING:
        PROGRAMS[f"alife[{_name}]"] = partial(alife, _name)
