"""A list of chat messages, LangChain's or of that shape, in; one string of prefixed lines out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# The prefixes of langchain_core.messages.get_buffer_string, by LangChain's `type` or a `role`.
_PREFIXES = {
    "human": "Human",
    "HumanMessageChunk": "Human",
    "user": "Human",
    "ai": "AI",
    "AIMessageChunk": "AI",
    "assistant": "AI",
    "system": "System",
    "SystemMessageChunk": "System",
    "developer": "System",
    "function": "Function",
    "FunctionMessageChunk": "Function",
    "tool": "Tool",
    "ToolMessageChunk": "Tool",
}


def get_buffer_string(messages: Iterable[Any]) -> str:
    """One line a message, `Role: text`, followed by the calls of a message that asks for tools.

    Unlike LangChain's function of this name it takes dicts and plain objects, and never raises on
    a message of unknown shape: that is written as `str` writes it.
    """
    return "\n".join(_line(message) for message in messages)


def _line(message: Any) -> str:
    if isinstance(message, str):
        return f"Human: {message}"
    if isinstance(message, (tuple, list)) and len(message) == 2:  # noqa: PLR2004 - (role, content)
        message = {"role": message[0], "content": message[1]}
    kind = get(message, "role") or get(message, "type")
    if kind is None:
        return str(message)
    prefix = _PREFIXES.get(str(kind), str(kind))
    return f"{prefix}: {_text(get(message, 'content'))}{_calls(message) if prefix == 'AI' else ''}"


def _text(content: Any) -> str:
    """The text of a message's content; of a list of blocks, that of its text blocks."""
    if content is None:
        return ""
    if not isinstance(content, list):
        return str(content)
    texts = (
        block if isinstance(block, str) else get(block, "text")
        for block in content
        if isinstance(block, str) or get(block, "type") == "text"
    )
    return "".join(text for text in texts if isinstance(text, str))


def _calls(message: Any) -> str:
    calls = get(message, "tool_calls") or get(
        get(message, "additional_kwargs") or {}, "function_call"
    )
    return str(calls) if calls else ""


def get(holder: Any, name: str) -> Any:
    """A dict's value or an object's attribute, None where there is none."""
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
