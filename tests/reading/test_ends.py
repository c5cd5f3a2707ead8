"""What is read of a run's end: why a model stopped, whose call a tool answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lc_otel import Config
from tests.telemetry import Telemetry


def choices(*reasons: str | None) -> dict[str, Any]:
    """An ``LLMResult`` of several choices, some without a reason."""
    said = [{"finish_reason": reason} if reason else {} for reason in reasons]
    return {
        "generations": [
            [{"message": {"type": "ai", "content": "", "response_metadata": one}} for one in said]
        ]
    }


@pytest.mark.parametrize(
    ("told", "attribute"),
    [
        (["stop"], ("stop",)),
        (["stop", "length"], ("stop", "length")),
        ([None, "length", None], ("", "length", "")),
        ([None, None], None),
        ([], None),
    ],
)
def test_each_choice_has_its_reason(told: list[str | None], attribute: Any) -> None:
    """The n-th entry is of the n-th choice: empty where none was given for that one alone."""
    telemetry = Telemetry()
    telemetry.chat([], choices(*told))
    assert telemetry.attributes.get("gen_ai.response.finish_reasons") == attribute


def test_a_choice_without_a_reason_takes_no_other_ones() -> None:
    """In captured content, and in OpenInference's only reason, which is of the first choice."""
    telemetry = Telemetry(Config(capture_content=True, conventions=("genai", "openinference")))
    telemetry.chat([], choices(None, "length"))
    messages = json.loads(telemetry.attributes["gen_ai.output.messages"])
    assert [message["finish_reason"] for message in messages] == ["stop", "length"]
    assert "llm.finish_reason" not in telemetry.attributes


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ({"type": "tool", "content": "3", "tool_call_id": "c1"}, "c1"),
        ({"role": "tool", "content": "3", "tool_call_id": "c1", "status": "error"}, "c1"),
        ({"tool_call_id": "of the program's own"}, None),
        ({"type": "tool", "tool_call_id": 7}, None),
        ("3", None),
    ],
)
def test_a_tools_message_tells_whose_call_it_answers(output: Any, told: str | None) -> None:
    """langchain-core before 1.2 does not tell the call's id at the start."""
    telemetry = Telemetry(Config(conventions=("genai", "openinference")))
    telemetry.tool({"a": 1}, output)
    assert telemetry.attributes.get("gen_ai.tool.call.id") == told
    assert telemetry.attributes.get("tool.id") == told
