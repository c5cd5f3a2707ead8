"""A list of chat messages, LangChain's or of that shape, in; one string of prefixed lines out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_PREFIXES = {
    # LangChain's message type -> the prefix of langchain_core.messages.get_buffer_string
    "human": "Human",
    "HumanMessageChunk": "Human",
    "ai": "AI",
    "AIMessageChunk": "AI",
    "system": "System",
    "SystemMessageChunk": "System",
    "function": "Function",
    "FunctionMessageChunk": "Function",
    "tool": "Tool",
    "ToolMessageChunk": "Tool",
}
_ROLES = {
    # the role of a message that says no such type, as providers' dicts do not -> its prefix
    **_PREFIXES,
    "user": "Human",
    "assistant": "AI",
    "developer": "System",
}
_OWN_ROLE = frozenset({"chat", "ChatMessageChunk"})  # LangChain writes the role as it is

_TEXT_BLOCKS = ("text", "input_text", "output_text", None)
"""The blocks that hold text: OpenAI's, and those of Bedrock and Gemini, which have no type."""


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
    elif isinstance(message, Mapping) and "content" not in message:
        held = message.get("data")  # of LangChain's messages_to_dict
        message = {**message, **held} if isinstance(held, Mapping) else message
    kind, role = get(message, "type"), get(message, "role")
    if kind is None and role is None:
        return str(message)
    kind, role = str(kind), str(kind if role is None else role)
    prefix = _PREFIXES.get(kind) or (role if kind in _OWN_ROLE else _ROLES.get(role, role))
    calls = _calls(message) if prefix == "AI" and kind not in _OWN_ROLE else ""
    langchains = not isinstance(message, Mapping) and (kind in _PREFIXES or kind in _OWN_ROLE)
    return f"{prefix}: {_text(message, ('text',) if langchains else _TEXT_BLOCKS)}{calls}"


def _text(message: Any, kinds: tuple[str | None, ...]) -> str:
    """The text of a message's content; of a list of blocks, that of the blocks of these kinds."""
    content = get(message, "content")
    if content is None:
        content = get(message, "parts")  # Gemini's word for it
    if content is None:
        return ""
    if not isinstance(content, list):
        return str(content)
    texts = (
        block if isinstance(block, str) else get(block, "text")
        for block in content
        if isinstance(block, str) or get(block, "type") in kinds
    )
    return "".join(text for text in texts if isinstance(text, str))


def _calls(message: Any) -> str:
    if calls := get(message, "tool_calls"):
        return str(calls)
    extra = get(message, "additional_kwargs")
    called = isinstance(extra, Mapping) and "function_call" in extra
    return str(extra["function_call"]) if called else ""


def get(holder: Any, name: str) -> Any:
    """A dict's value or an object's attribute, None where there is none."""
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
