"""Tool definitions as providers take them in, those of the conventions out."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from lc_otel import Config
from lc_otel.testing import capture

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
WHOLE = {"type": "function", "name": "look", "description": "Look.", "parameters": SCHEMA}
NAMED = {"name": "look", "description": "Look."}


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
        (None, [{"type": "function", "name": "function"}]),
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
