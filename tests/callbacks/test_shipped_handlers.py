"""The shipped handlers print, write and add up, without LangChain as with it."""

from __future__ import annotations

import threading
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lc_otel.callbacks import (
    CallbackManager,
    FileCallbackHandler,
    StdOutCallbackHandler,
    StreamingStdOutCallbackHandler,
    UsageMetadataCallbackHandler,
    file,
    get_usage_metadata_callback,
    usage,
)

if TYPE_CHECKING:
    from pathlib import Path


def run_a_chain(handler: Any) -> None:
    """An agent with one tool, told to one handler."""
    manager = CallbackManager(handlers=[handler], inheritable_handlers=[handler])
    run = manager.on_chain_start({"id": ["my", "Agent"]}, {})
    run.on_agent_action(SimpleNamespace(log="I add"))
    run.get_child().on_tool_start({"name": "add"}, "1, 2").on_tool_end(
        3, observation_prefix="Saw: ", llm_prefix="Thought: "
    )
    run.on_text("text", color="green", end="\n")
    run.on_agent_finish(SimpleNamespace(log="done"))
    run.on_chain_end({})


def test_stdout_prints_in_bold_and_color(capsys: pytest.CaptureFixture[str]) -> None:
    """Chains in bold, texts in their color, as LangChain prints them."""
    run_a_chain(StdOutCallbackHandler(color="yellow"))
    yellow = "\x1b[33;1m\x1b[1;3m{}\x1b[0m"
    assert capsys.readouterr().out == (
        "\n\n\x1b[1m> Entering new Agent chain...\x1b[0m\n"
        + yellow.format("I add")
        + "\nSaw: "
        + yellow.format("3")
        + "\nThought: "
        + "\x1b[32;1m\x1b[1;3mtext\x1b[0m\n"
        + yellow.format("done")
        + "\n"
        + "\n\x1b[1m> Finished chain.\x1b[0m\n"
    )


def test_a_file_has_terminal_codes_only_where_a_color_is_asked_for(tmp_path: Path) -> None:
    """The file holds the same words, not bold, and is closed at the end of the block."""
    path = tmp_path / "log.txt"
    with FileCallbackHandler(str(path)) as handler:
        run_a_chain(handler)
    assert handler.file.closed
    assert path.read_text(encoding="utf-8") == (
        "\n\n> Entering new Agent chain...\nI add\nSaw: 3\nThought: "
        "\x1b[32;1m\x1b[1;3mtext\x1b[0m\ndone\n\n> Finished chain.\n"
    )


def test_a_file_outside_a_with_block_warns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first use without `with` in a process says what to do; later ones are silent."""
    monkeypatch.setattr(file, "_warned_outside_with", False)
    for name in ("a.txt", "b.txt"):
        handler = FileCallbackHandler(str(tmp_path / name), mode="w")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            handler.on_text("text")
            handler.on_text("text")
        handler.close()
        handler.close()
        assert [one.category for one in caught] == (
            [PendingDeprecationWarning] if name == "a.txt" else []
        )
        assert (tmp_path / name).read_text(encoding="utf-8") == "texttext"


def test_a_closed_file_is_an_error(tmp_path: Path) -> None:
    """Writing after the end of the block says how the handler is meant to be used."""
    with FileCallbackHandler(str(tmp_path / "log.txt")) as handler:
        pass
    with pytest.raises(RuntimeError, match="Use FileCallbackHandler as a context manager"):
        handler.on_text("late")


def test_a_file_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    """The error is that of `open`, and nothing more comes when the handler is collected."""
    with pytest.raises(FileNotFoundError):
        FileCallbackHandler(str(tmp_path / "no" / "folder.txt"))


def test_tokens_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but the tokens is printed; a list of blocks as Python writes it."""
    manager = CallbackManager(handlers=[StreamingStdOutCallbackHandler()])
    [run] = manager.on_chat_model_start({}, [[{"role": "user", "content": "hello"}]])
    run.on_llm_new_token("one ")
    run.on_llm_new_token(["two"])
    run.on_llm_end({})
    run_a_chain(manager.handlers[0])
    assert capsys.readouterr().out == "one ['two']"


def answer(model: str | None, shape: type = dict, **counts: Any) -> Any:
    """An answer of a chat model, made of dicts or of plain objects."""
    metadata = {"model_name": model} if model else {}
    message = shape(usage_metadata=counts, response_metadata=metadata)
    return shape(generations=[[shape(message=message)]])


@pytest.mark.parametrize("shape", [dict, SimpleNamespace])
def test_usage_is_read_by_shape(shape: type) -> None:
    """Dicts and plain objects are read as LangChain's messages are."""
    handler = UsageMetadataCallbackHandler()
    handler.on_llm_end(answer("m", shape, input_tokens=1, input_token_details={"cache_read": 1}))
    handler.on_llm_end(answer("m", shape, input_tokens=2, output_tokens=None))
    handler.on_llm_end(answer("m", shape, input_tokens=4, input_token_details={"cache_read": 8}))
    handler.on_llm_end(answer("n", shape, input_tokens=3))
    handler.on_llm_end(answer(None, shape, input_tokens=9))
    assert handler.usage_metadata == {
        "m": {"input_tokens": 7, "output_tokens": 0, "input_token_details": {"cache_read": 9}},
        "n": {"input_tokens": 3},
    }
    assert repr(handler) == str(handler.usage_metadata)


def test_what_is_no_count_loses_no_count() -> None:
    """Beside a count anything else gives way; of two others the first stays."""
    handler = UsageMetadataCallbackHandler()
    for counts in [
        {"input_tokens": 1, "tier": "flex", "kinds": ["text"], "late": "n/a", "cached": {"a": 1}},
        {"input_tokens": 2, "tier": "default", "late": 3, "cached": "n/a", "region": "eu"},
        {"input_tokens": "n/a", "tier": None, "kinds": 4, "late": {"a": 1}, "cached": {"a": 2}},
    ]:
        handler.on_llm_end(answer("m", **counts))
    assert handler.usage_metadata == {
        "m": {
            "input_tokens": 3,
            "tier": "flex",
            "kinds": 4,
            "late": 3,
            "cached": {"a": 3},
            "region": "eu",
        }
    }


@pytest.mark.parametrize("response", [None, "text", {}, {"generations": []}, {"generations": [[]]}])
def test_an_answer_without_usage_counts_nothing(response: Any) -> None:
    """Whatever an `on_llm_end` is told, the sum stays a sum."""
    handler = UsageMetadataCallbackHandler()
    handler.on_llm_end(response)
    assert handler.usage_metadata == {}


def test_usage_is_summed_under_a_lock() -> None:
    """Models that answer in several threads lose no token."""
    handler = UsageMetadataCallbackHandler()

    def add() -> None:
        for _ in range(500):
            handler.on_llm_end(answer("m", input_tokens=1, details={"x": 1}))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.usage_metadata == {"m": {"input_tokens": 2000, "details": {"x": 2000}}}


def call_a_model() -> None:
    """One run of a model that uses one token."""
    [run] = CallbackManager.configure().on_llm_start({}, ["prompt"])
    run.on_llm_end(answer("m", input_tokens=1))


def test_usage_blocks_nest() -> None:
    """An inner block counts its own calls; the outer one counts them as well."""
    with get_usage_metadata_callback() as outer:
        call_a_model()
        with get_usage_metadata_callback() as inner:
            call_a_model()
        call_a_model()
    call_a_model()
    assert inner.usage_metadata == {"m": {"input_tokens": 1}}
    assert outer.usage_metadata == {"m": {"input_tokens": 3}}


def test_usage_blocks_register_no_hook_for_each_use() -> None:
    """The number of hooks is the depth of nesting, however often blocks are entered."""
    for _ in range(10):
        with get_usage_metadata_callback("counted"), get_usage_metadata_callback("counted"):
            call_a_model()
    assert len(usage._slots["counted"]) == 2
