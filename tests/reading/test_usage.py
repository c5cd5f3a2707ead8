"""Token counts as real providers return them, and what spans say of each."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from lc_otel._reading.ends import read_model_outcome
from lc_otel.conventions import genai, openinference


class Shape(NamedTuple):
    """How one provider's package reports usage, and what is expected of it."""

    name: str
    expected: dict[str, int]
    """By the last part of the attribute's name; `usage.` stands before it."""
    usage_metadata: dict[str, Any] | None = None
    response_metadata: dict[str, Any] = {}
    llm_output: dict[str, Any] | None = None


def _standard(total_in: int, total_out: int, **details: dict[str, int]) -> dict[str, Any]:
    return {
        "input_tokens": total_in,
        "output_tokens": total_out,
        "total_tokens": total_in + total_out,
        **details,
    }


IN, OUT = "input_tokens", "output_tokens"
READ, WRITE = "cache_read.input_tokens", "cache_write.input_tokens"
REASONING = "reasoning.output_tokens"

SHAPES = [
    Shape("openai", {IN: 12, OUT: 5}, _standard(12, 5)),
    Shape(
        "openai, cached and reasoning",
        {IN: 2006, OUT: 300, READ: 1920, REASONING: 192, "audio.input_tokens": 0},
        _standard(
            2006,
            300,
            input_token_details={"audio": 0, "cache_read": 1920},
            output_token_details={"reasoning": 192},
        ),
    ),
    Shape(
        "openai, audio in and out",
        {IN: 90, OUT: 60, "audio.input_tokens": 70, "audio.output_tokens": 40},
        _standard(90, 60, input_token_details={"audio": 70}, output_token_details={"audio": 40}),
    ),
    Shape(
        "openai, flex tier",
        {IN: 100, OUT: 20, READ: 64, REASONING: 8},
        _standard(
            100,
            20,
            input_token_details={"flex_cache_read": 64, "flex": 36},
            output_token_details={"flex_reasoning": 8, "flex": 12},
        ),
    ),
    Shape(
        "openai, priority tier",
        {IN: 100, OUT: 20, READ: 64},
        _standard(100, 20, input_token_details={"priority_cache_read": 64, "priority": 36}),
    ),
    Shape(
        "openai, only llm_output",
        {IN: 9, OUT: 3, READ: 4, REASONING: 1},
        llm_output={
            "token_usage": {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "total_tokens": 12,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 1},
            }
        },
    ),
    Shape(
        "openai, only response_metadata",
        {IN: 9, OUT: 3},
        response_metadata={"token_usage": {"prompt_tokens": 9, "completion_tokens": 3}},
    ),
    Shape("openai, streamed without usage", {}, response_metadata={"finish_reason": "stop"}),
    Shape(
        "openai, streamed with usage, which comes in the last chunk",
        {IN: 9, OUT: 3},
        _standard(9, 3),
        {"finish_reason": "stop"},
    ),
    Shape(
        "azure, with null details",
        {IN: 9, OUT: 3},
        response_metadata={
            "token_usage": {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "prompt_tokens_details": None,
                "completion_tokens_details": None,
            }
        },
    ),
    Shape(
        "anthropic, cache written and read",
        {IN: 2100, OUT: 50, READ: 1500, WRITE: 500},
        _standard(2100, 50, input_token_details={"cache_read": 1500, "cache_creation": 500}),
        {"usage": {"input_tokens": 100, "cache_read_input_tokens": 1500}},
    ),
    Shape(
        "anthropic, ephemeral caches beside a cache_creation set to 0",
        {IN: 1900, OUT: 50, READ: 0, WRITE: 1800},
        _standard(
            1900,
            50,
            input_token_details={
                "cache_read": 0,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 800,
                "ephemeral_1h_input_tokens": 1000,
            },
        ),
    ),
    Shape(
        "anthropic, ephemeral caches beside their sum",
        {IN: 1900, OUT: 50, WRITE: 1800},
        _standard(
            1900,
            50,
            input_token_details={
                "cache_creation": 1800,
                "ephemeral_5m_input_tokens": 800,
                "ephemeral_1h_input_tokens": 1000,
            },
        ),
    ),
    Shape(
        "anthropic, ephemeral caches alone",
        {IN: 900, OUT: 50, WRITE: 800},
        _standard(900, 50, input_token_details={"ephemeral_5m_input_tokens": 800}),
    ),
    Shape(
        "anthropic, only its own usage, whose input leaves the cached tokens out",
        {IN: 2100, OUT: 50, READ: 1500, WRITE: 500},
        response_metadata={
            "usage": {
                "input_tokens": 100,
                "output_tokens": 50,
                "cache_read_input_tokens": 1500,
                "cache_creation_input_tokens": 500,
            }
        },
    ),
    Shape(
        "bedrock converse",
        {IN: 70, OUT: 7, READ: 30, WRITE: 20},
        _standard(70, 7, input_token_details={"cache_read": 30, "cache_creation": 20}),
    ),
    Shape(
        "bedrock converse, only its own usage",
        {IN: 70, OUT: 7, READ: 30, WRITE: 20},
        response_metadata={
            "usage": {
                "inputTokens": 20,
                "outputTokens": 7,
                "totalTokens": 77,
                "cacheReadInputTokens": 30,
                "cacheWriteInputTokens": 20,
            }
        },
    ),
    Shape(
        "bedrock invoke, in llm_output",
        {IN: 20, OUT: 7},
        llm_output={"usage": {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}},
    ),
    Shape(
        "gemini",
        {IN: 40, OUT: 130, READ: 10, REASONING: 100},
        _standard(
            40,
            130,
            input_token_details={"cache_read": 10},
            output_token_details={"reasoning": 100},
        ),
    ),
    Shape(
        "gemini, only its own usage, whose candidates leave the thoughts out",
        {IN: 40, OUT: 130, READ: 10, REASONING: 100},
        response_metadata={
            "usage_metadata": {
                "prompt_token_count": 40,
                "candidates_token_count": 30,
                "thoughts_token_count": 100,
                "cached_content_token_count": 10,
                "total_token_count": 170,
            }
        },
    ),
    Shape(
        "gemini, by modality",
        {
            IN: 300,
            OUT: 20,
            "text.input_tokens": 42,
            "image.input_tokens": 258,
            "text.output_tokens": 20,
        },
        _standard(
            300,
            20,
            input_token_details={"text": 42, "image": 258},
            output_token_details={"text": 20},
        ),
    ),
    Shape("vertex ai", {IN: 40, OUT: 30}, _standard(40, 30), {"usage_metadata": {"x": 1}}),
    Shape(
        "mistral",
        {IN: 11, OUT: 6},
        _standard(11, 6),
        {"token_usage": {"prompt_tokens": 11, "completion_tokens": 6}},
        {"token_usage": {"prompt_tokens": 11, "completion_tokens": 6}},
    ),
    Shape(
        "groq, with times beside the counts",
        {IN: 11, OUT: 6},
        response_metadata={
            "token_usage": {
                "completion_time": 0.01,
                "completion_tokens": 6,
                "prompt_time": 0.002,
                "prompt_tokens": 11,
                "queue_time": None,
                "total_time": 0.012,
            }
        },
    ),
    Shape(
        "deepseek, cache hits among the prompt's tokens",
        {IN: 100, OUT: 9, READ: 64},
        response_metadata={
            "token_usage": {
                "prompt_tokens": 100,
                "completion_tokens": 9,
                "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36,
            }
        },
    ),
    Shape(
        "ollama",
        {IN: 26, OUT: 298},
        response_metadata={"prompt_eval_count": 26, "eval_count": 298, "eval_duration": 4709213000},
    ),
    Shape(
        "xai",
        {IN: 32, OUT: 9, READ: 6, REASONING: 0},
        _standard(
            32, 9, input_token_details={"cache_read": 6}, output_token_details={"reasoning": 0}
        ),
    ),
    Shape(
        "cohere, in floats",
        {IN: 12, OUT: 4},
        response_metadata={"token_count": {"input_tokens": 12.0, "output_tokens": 4.0}},
    ),
    Shape(
        "watsonx",
        {IN: 5, OUT: 8},
        llm_output={"token_usage": {"input_token_count": 5, "generated_token_count": 8}},
    ),
    Shape(
        "litellm: OpenAI's total has Anthropic's parts in it",
        {IN: 100, OUT: 8, READ: 80},
        llm_output={
            "token_usage": {
                "prompt_tokens": 100,
                "completion_tokens": 8,
                "cache_read_input_tokens": 80,
            }
        },
    ),
    Shape("none", {}),
    Shape("nonsense", {}, {"input_tokens": "many", "output_tokens": -1}, {"token_usage": "12"}),
    Shape("booleans are no counts", {}, {"input_tokens": True, "output_tokens": False}),
]


def _outcome(shape: Shape) -> Any:
    message = {
        "usage_metadata": shape.usage_metadata,
        "response_metadata": shape.response_metadata,
    }
    return read_model_outcome(
        {"generations": [[{"message": message}]], "llm_output": shape.llm_output}
    )


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_providers_usage_becomes_exactly_these_attributes(shape: Shape) -> None:
    """What a provider reports is told under the conventions' names, and nothing is made up."""
    usage = _outcome(shape).usage
    attributes = {} if usage is None else genai.usage_attributes(usage)
    assert attributes == {f"gen_ai.usage.{name}": n for name, n in shape.expected.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_no_part_is_larger_than_its_whole(shape: Shape) -> None:
    """Cached tokens are part of the input and reasoning of the output: nothing adds up twice."""
    usage = _outcome(shape).usage
    if usage is None:
        return
    assert (usage.cache_read or 0) + (usage.cache_write or 0) <= (usage.input_tokens or 0)
    assert (usage.reasoning or 0) <= (usage.output_tokens or 0)


def test_openinference_tells_the_same_counts() -> None:
    """OpenInference's prompt and completion are GenAI's input and output, with their sum."""
    shape = next(shape for shape in SHAPES if shape.name == "anthropic, cache written and read")
    assert openinference.usage_attributes(_outcome(shape).usage) == {
        "llm.token_count.prompt": 2100,
        "llm.token_count.completion": 50,
        "llm.token_count.total": 2150,
        "llm.token_count.prompt_details.cache_read": 1500,
        "llm.token_count.prompt_details.cache_write": 500,
    }
