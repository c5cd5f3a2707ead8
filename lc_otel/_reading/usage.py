"""Token counts as LangChain and its providers spell them in, `Usage` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lc_otel._reading.shapes import count, get
from lc_otel.run import Usage

_TIERS = ("flex_", "priority_")  # langchain-openai prefixes detail keys by service tier


def read_usage(usage: Any) -> Usage | None:
    """LangChain's own `UsageMetadata`; None where it reports no total."""
    incoming, outgoing = count(usage, "input_tokens"), count(usage, "output_tokens")
    if incoming is None and outgoing is None:
        return None
    into = _details(get(usage, "input_token_details"))
    out = _details(get(usage, "output_token_details"))
    write = into.get("cache_creation")
    if write is None:
        # Anthropic's ephemeral caches are the parts of cache_creation: their sum or it, never both.
        parts = [into[key] for key in into if key.startswith("ephemeral_")]
        write = sum(parts) if parts else None
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
    for key in ("token_usage", "usage", "usage_metadata"):
        raw = holder.get(key)
        if not raw:
            continue
        incoming = count(raw, "prompt_tokens", "input_tokens", "inputTokens", "prompt_token_count")
        outgoing = count(
            raw, "completion_tokens", "output_tokens", "outputTokens", "candidates_token_count"
        )
        if incoming is None and outgoing is None:
            continue
        into = _details(get(raw, "prompt_tokens_details") or get(raw, "input_tokens_details"))
        out = _details(get(raw, "completion_tokens_details") or get(raw, "output_tokens_details"))
        return Usage(
            incoming,
            outgoing,
            into.get("cached_tokens"),
            None,
            out.get("reasoning_tokens"),
            input_audio=into.get("audio_tokens"),
            output_audio=out.get("audio_tokens"),
        )
    return None


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
