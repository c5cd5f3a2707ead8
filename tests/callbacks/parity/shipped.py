"""The handlers that are shipped: printing, writing and adding up."""

# ruff: noqa: D103 - a program's name says what it is about

from __future__ import annotations

import contextlib
import io
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from tests.callbacks.parity.recorder import (
    Record,
    messages,
    program,
)

if TYPE_CHECKING:
    from collections.abc import Callable


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


@program
def writing_to_no_file(cb: SimpleNamespace, record: Record) -> None:
    with tempfile.TemporaryDirectory() as folder:
        handler = cb.FileCallbackHandler(str(Path(folder) / "log.txt"))
        file, handler.file = handler.file, None
        record.attempt(lambda: handler.on_text("text"))
        record.attempt(handler.__del__)
        handler.file = file


def _answer(model: str | None, usage: dict[str, Any] | None, generations: int = 1) -> Any:
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
def usage_with_more_than_counts(cb: SimpleNamespace, record: Record) -> None:
    for more in ({"tier": "flex"}, {"modalities": ["text"]}, {"cost": 0.5}, {"cached": None}):
        handler = cb.UsageMetadataCallbackHandler()
        handler.on_llm_end(_answer("a", _usage(1, **more, details={"cache_read": 1, **more})))
        record.note(handler.usage_metadata)


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
