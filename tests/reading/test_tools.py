"""Tool definitions as providers take them in, those of the conventions out."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from lc_otel import Config
from lc_otel.testing import capture

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
WHOLE = {"type": "function", "name": "look", "description": "Look.", "parameters": SCHEMA}
NAMED = {"name": "look", "description": "Look."}


def look(x: int) -> int:
    """Look."""
    return x


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"type": "function", "function": {**NAMED, "parameters": SCHEMA}}, [WHOLE]),  # OpenAI
        ({"type": "function", **NAMED, "parameters": SCHEMA}, [WHOLE]),  # OpenAI Responses
        ({**NAMED, "input_schema": SCHEMA}, [WHOLE]),  # Anthropic
        ({"type": "custom", **NAMED, "input_schema": SCHEMA}, [WHOLE]),  # Anthropic
        ({"toolSpec": {**NAMED, "inputSchema": SCHEMA}}, [WHOLE]),  # Bedrock Converse
        ({"function_declarations": [{**NAMED, "parameters": SCHEMA}]}, [WHOLE]),  # Gemini
        ("look", [{"type": "function", "name": "look"}]),
        ({"type": "web_search"}, [{"type": "web_search", "name": "web_search"}]),
        ({"type": "mcp", "server_url": "https://x", "headers": {"Authorization": "sk-1"}}, None),
        ({"toolSpec": {**NAMED, "inputSchema": {"json": SCHEMA}}}, [WHOLE]),  # Bedrock Converse
        ({"google_search": {}, "code": None}, [{"type": "google_search", "name": "google_search"}]),
        ({"type": "custom", "custom": {"name": "look"}}, [{"type": "custom", "name": "look"}]),
        (
            {**NAMED, "parameters": {**SCHEMA, "title": None, "items": [{"enum": None}]}},  # Gemini
            [{**WHOLE, "parameters": {**SCHEMA, "items": [{}]}}],
        ),
        (look, [{"type": "function", **NAMED}]),  # langchain-aws hands tools on as they are
        (SimpleNamespace(**NAMED, input_schema=dict), [{"type": "function", **NAMED}]),
    ],
)
def test_a_tool_definition_is_told_by_an_allow_list(given: Any, told: Any) -> None:
    """Type, name, description and parameters are told, in whatever form the provider takes them."""
    run_id = uuid4()
    with capture(Config(capture_content=True)) as captured:
        captured.handler.on_chat_model_start(
            {"name": "m"}, [[]], run_id=run_id, invocation_params={"tools": [given]}
        )
        captured.handler.on_llm_end({"generations": [[]]}, run_id=run_id)
    said = str(captured.llm_calls[0].attributes["gen_ai.tool.definitions"])
    assert "sk-1" not in said
    assert json.loads(said) == (told or [{"type": "mcp", "name": "mcp"}])


@pytest.mark.parametrize("given", [None, {"cachePoint": {"type": "default"}}, 3])
def test_what_is_no_tool_is_not_told_as_one(given: Any) -> None:
    """A mark among Bedrock's tools, or nonsense, makes no function."""
    run_id = uuid4()
    with capture(Config(capture_content=True)) as captured:
        captured.handler.on_chat_model_start(
            {"name": "m"}, [[]], run_id=run_id, invocation_params={"toolConfig": {"tools": [given]}}
        )
        captured.handler.on_llm_end({"generations": [[]]}, run_id=run_id)
    assert "gen_ai.tool.definitions" not in captured.llm_calls[0].attributes
