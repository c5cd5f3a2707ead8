"""What is read of a run's end: why a model stopped, whose call a tool answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from lc_otel import Config
from lc_otel._reading.ends import read_model_outcome
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


def responses(status: str, **more: Any) -> Any:
    """An answer of OpenAI's Responses API, which has a status where others have a reason."""
    said = {"status": status, **more}
    message = {"type": "ai", "content": "Bir", "response_metadata": said}
    return {"generations": [[{"message": message}]]}


@pytest.mark.parametrize(
    ("said", "reason", "shown"),
    [
        (responses("completed"), "completed", "stop"),
        (
            responses("incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "max_output_tokens",
            "length",
        ),
        (
            responses("incomplete", incomplete_details={"reason": "content_filter"}),
            "content_filter",
            "content_filter",
        ),
        (responses("incomplete"), "incomplete", "incomplete"),
    ],
)
def test_a_responses_status_is_its_reason(said: Any, reason: str, shown: str) -> None:
    """A cut answer is not told as one that was finished."""
    telemetry = Telemetry(Config(capture_content=True))
    telemetry.chat([], said)
    assert telemetry.attributes["gen_ai.response.finish_reasons"] == (reason,)
    (message,) = json.loads(telemetry.attributes["gen_ai.output.messages"])
    assert message["finish_reason"] == shown


@pytest.mark.parametrize(
    "info",
    [
        {"model": "m-2", "prompt_eval_count": 5, "eval_count": 8},  # Ollama
        {"model_name": "m-2", "usage_metadata": {"input_tokens": 5, "output_tokens": 8}},  # Gemini
    ],
)
def test_a_text_model_tells_tokens_and_model_with_its_text(info: Any) -> None:
    """Completion models have no message: what they report stands in generation_info."""
    outcome = read_model_outcome({"generations": [[{"text": "Bird", "generation_info": info}]]})
    assert outcome.usage is not None
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (5, 8)
    assert outcome.response_model == "m-2"


@pytest.mark.parametrize(("cost", "cached"), [(0, True), (0.0, False), (None, False), ("0", False)])
def test_a_free_model_is_no_cache_hit(cost: Any, cached: bool) -> None:
    """LangChain marks a hit by an integer; what a provider charges is a float."""
    message = {"usage_metadata": {"input_tokens": 5, "output_tokens": 8, "total_cost": cost}}
    assert read_model_outcome({"generations": [[{"message": message}]]}).cached is cached


class CursedError(Exception):
    """An error of which nothing can be read."""

    __module__ = None  # type: ignore[assignment]

    @property
    def code(self) -> str:
        """Its code, which is not to be had."""
        raise RuntimeError


@pytest.mark.parametrize("response", [None, {"generations": [[{"generation_info": 3}]]}, object()])
def test_an_error_that_cannot_be_read_is_still_one(response: Any) -> None:
    """Whatever it holds, and whatever came before it."""
    telemetry = Telemetry()
    telemetry.chat([], response, error=CursedError("x"))
    assert telemetry.attributes["langchain.run.outcome"] == "error"
    assert telemetry.attributes["error.type"] == "CursedError"
    assert telemetry.span.status.status_code is StatusCode.ERROR


class Hashless(type):
    """Makes classes that no table can hold."""

    __hash__ = None  # type: ignore[assignment]


class UnknowableError(Exception, metaclass=Hashless):
    """An error whose very class cannot be looked up."""


@pytest.mark.logs_warnings("its end cannot be read")
def test_an_error_of_an_impossible_class_is_still_one() -> None:
    """It has the conventions' type for what is not known."""
    telemetry = Telemetry()
    telemetry.chain({}, error=UnknowableError("x"))
    assert telemetry.attributes["langchain.run.outcome"] == "error"
    assert telemetry.attributes["error.type"] == "_OTHER"
    assert telemetry.span.status.status_code is StatusCode.ERROR
