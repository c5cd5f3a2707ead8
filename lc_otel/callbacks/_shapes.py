"""Names for what LangChain types and we read by shape, by attribute or dict key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

# Any, not LangChain's classes: a loop without LangChain passes dicts and objects of its own, and an
# override may narrow any of these to LangChain's class.
AgentAction: TypeAlias = Any
AgentAddress: TypeAlias = Any
AgentFinish: TypeAlias = Any
BaseMessage: TypeAlias = Any
ChatGenerationChunk: TypeAlias = Any
Document: TypeAlias = Any
GenerationChunk: TypeAlias = Any
LLMResult: TypeAlias = Any
MessagesData: TypeAlias = Any
RetryCallState: TypeAlias = Any
UsageMetadata: TypeAlias = Any

RunnableConfig: TypeAlias = Mapping[str, Any]
"""LangChain's config: ``callbacks``, ``tags`` and ``metadata`` are the keys read here."""

AnyHandler: TypeAlias = Any
"""A handler of ours, of LangChain's, or any object with the same methods."""

AnyManager: TypeAlias = Any
"""A callback manager of ours or of LangChain's."""
