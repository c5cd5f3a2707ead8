"""The ways in which LangChain runs a runnable, all of them to the end."""

from __future__ import annotations

from typing import Any


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
