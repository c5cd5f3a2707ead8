"""Beside ours, other people's handlers hear what they would hear without it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler

from lc_otel.testing import capture
from tests.fakes import FakeChat, FakeLLM


class Plain(BaseCallbackHandler):
    """A handler as users write them, not inline."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("on_llm_start")

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("on_llm_end")


class Async(AsyncCallbackHandler):
    """The same with coroutines."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("on_llm_start")

    async def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("on_llm_end")


@pytest.mark.parametrize("model", [FakeLLM, FakeChat])
@pytest.mark.parametrize("other", [Plain, Async])
async def test_handlers_that_are_not_inline_hear_of_awaited_models(model: Any, other: Any) -> None:
    """LangChain forgets such handlers beside an inline one; ours spares them that."""
    with capture() as captured:
        handler = other()
        await model().ainvoke("hi", {"callbacks": [handler, captured.handler]})
    assert handler.heard == ["on_llm_start", "on_llm_end"]
    assert len(captured.llm_calls) == 1


async def test_ours_is_called_in_the_loops_own_thread_all_the_same() -> None:
    """Also then our handler runs where the model was called: its span has the right parent."""
    threads: set[int] = set()
    with capture() as captured:
        tracer = captured.tracer_provider.get_tracer("test")
        start = captured.handler.on_llm_start

        def on_llm_start(*args: Any, **kwargs: Any) -> None:
            threads.add(threading.get_ident())
            start(*args, **kwargs)

        captured.handler.on_llm_start = on_llm_start  # type: ignore[method-assign]
        with tracer.start_as_current_span("request"):
            await FakeLLM().ainvoke("hi", {"callbacks": [Plain(), captured.handler]})
    assert threads == {threading.get_ident()}
    captured.assert_tree("""
        request
          text_completion
    """)
