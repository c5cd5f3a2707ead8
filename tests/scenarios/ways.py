"""The ways in which LangChain runs a runnable, all of them to the end."""

from __future__ import annotations

import sys
from typing import Any

import pytest

each_way = pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])


def needs_task_contexts(way: str = "async") -> None:
    """Skip an async way before Python 3.11, whose tasks take no context.

    LangChain then loses its config, and with it handlers and parents, in nodes and later chunks.
    """
    if way.startswith("a") and sys.version_info < (3, 11):
        pytest.skip("before Python 3.11 asyncio tasks take no context (docs/context.md, limits)")


async def call(way: str, runnable: Any, value: Any, config: Any) -> Any:
    """Run a runnable by the method called ``way``; what streams is given back as a list."""
    if way == "astream_events":
        return [event async for event in runnable.astream_events(value, config, version="v2")]
    given = [value] if way.endswith("batch") else value
    answer = getattr(runnable, way)(given, config)
    if way == "stream":
        return list(answer)
    if way == "astream":
        return [chunk async for chunk in answer]
    return await answer if way.startswith("a") else answer
