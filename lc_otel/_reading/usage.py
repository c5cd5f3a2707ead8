"""Token counts as LangChain and its providers spell them in, `Usage` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lc_otel._reading.shapes import count, get
from lc_otel.run import Usage

_TIERS = ("flex_", "priority_")  # langchain-openai prefixes detail keys by service tier

HOLDERS = ("token_usage", "usage", "usage_metadata", "token_count")
"""Keys of ``response_metadata`` and ``llm_output`` under which providers report usage."""

RAW: Mapping[str, tuple[str, ...]] = {
    # field of Usage -> the providers' keys; each key stands in one provider's API reference
    "input_tokens": (
        "prompt_tokens",  # OpenAI, Azure, Mistral, Groq, DeepSeek, xAI, Fireworks, Together
        "input_tokens",  # Anthropic, Cohere, OpenAI's Responses
        "inputTokens",  # Bedrock Converse
        "prompt_token_count",  # Gemini, Vertex AI
        "input_token_count",  # watsonx
        "prompt_eval_count",  # Ollama
    ),
    "output_tokens": (
        "completion_tokens",
        "output_tokens",
        "outputTokens",
        "candidates_token_count",
        "generated_token_count",
        "eval_count",
    ),
    "cache_read": (
        "cache_read_input_tokens",  # Anthropic
        "cacheReadInputTokens",  # Bedrock Converse
        "cached_content_token_count",  # Gemini
        "prompt_cache_hit_tokens",  # DeepSeek
    ),
    "cache_write": ("cache_creation_input_tokens", "cacheWriteInputTokens"),
    "reasoning": ("thoughts_token_count",),  # Gemini
}

BESIDE_INPUT = frozenset(
    # keys of cached tokens that their provider does not count as input; the conventions do
    {
        "cache_read_input_tokens",
        "cacheReadInputTokens",
        "cache_creation_input_tokens",
        "cacheWriteInputTokens",
    }
)
BESIDE_OUTPUT = frozenset({"thoughts_token_count"})
"""Keys of reasoning tokens that their provider does not count as output."""


def read_usage(usage: Any) -> Usage | None:
    """LangChain's own `UsageMetadata`; None where it reports no total."""
    incoming, outgoing = count(usage, "input_tokens"), count(usage, "output_tokens")
    if incoming is None and outgoing is None:
        return None
    into = _details(get(usage, "input_token_details"))
    out = _details(get(usage, "output_token_details"))
    # Anthropic's ephemeral caches are the parts of cache_creation: it or their sum, never both.
    # langchain-anthropic sets it to 0 where it gives the parts.
    write = into.get("cache_creation")
    if not write:
        parts = [into[key] for key in into if key.startswith("ephemeral_")]
        write = sum(parts) if parts else write
    return Usage(
        incoming,
        outgoing,
        into.get("cache_read"),
        write,
        out.get("reasoning"),
        into.get("text"),
        into.get("image"),
        into.get("audio"),
        out.get("text"),
        out.get("image"),
        out.get("audio"),
    )


def read_raw_usage(holder: Mapping[Any, Any]) -> Usage | None:
    """Usage as a provider spells it, in ``response_metadata`` or ``llm_output``."""
    for raw in (*(holder.get(key) for key in HOLDERS), holder):
        if raw:
            usage = _read_raw(raw)
            if usage is not None:
                return usage
    return None


def _read_raw(raw: Any) -> Usage | None:
    found = {field: _find(raw, keys) for field, keys in RAW.items()}
    total_key, incoming = found["input_tokens"]
    outgoing = found["output_tokens"][1]
    if incoming is None and outgoing is None:
        return None
    for field in ("cache_read", "cache_write"):
        key, tokens = found[field]
        # LiteLLM gives OpenAI's total with Anthropic's parts, which it has added up
        if key in BESIDE_INPUT and tokens is not None and total_key != "prompt_tokens":
            incoming = (incoming or 0) + tokens
    key, reasoning = found["reasoning"]
    if key in BESIDE_OUTPUT and reasoning is not None:
        outgoing = (outgoing or 0) + reasoning
    into = _details(get(raw, "prompt_tokens_details") or get(raw, "input_tokens_details"))
    out = _details(get(raw, "completion_tokens_details") or get(raw, "output_tokens_details"))
    read, write = found["cache_read"][1], found["cache_write"][1]
    return Usage(
        incoming,
        outgoing,
        into.get("cached_tokens") if read is None else read,
        write,
        out.get("reasoning_tokens") if reasoning is None else reasoning,
        input_audio=into.get("audio_tokens"),
        output_audio=out.get("audio_tokens"),
    )


def _find(raw: Any, keys: tuple[str, ...]) -> tuple[str, int | None]:
    for key in keys:
        tokens = count(raw, key)
        if tokens is not None:
            return key, tokens
    return "", None


def _details(details: Any) -> dict[str, int]:
    if not details:
        return {}
    if not isinstance(details, Mapping):
        details = getattr(details, "__dict__", {})
    counts: dict[str, int] = {}
    for key, value in details.items():
        if type(value) is not int or value < 0 or not isinstance(key, str):
            continue
        for tier in _TIERS:
            key = key.removeprefix(tier)  # noqa: PLW2901 -- the key without its tier
        counts[key] = counts.get(key, 0) + value
    return counts
