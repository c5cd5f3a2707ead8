"""Arbitrary values through every point where content is captured: what leaves can be encoded."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from lc_otel import Config
from tests.telemetry import Telemetry, answer

BUDGET = 400
SPAN_BUDGET = 1500

JSON_ATTRIBUTES = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.retrieval.documents",
}
CONTENT_ATTRIBUTES = JSON_ATTRIBUTES | {
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.query.text",
    "langchain.input",
    "langchain.output",
    "langchain.event.data",
    "input.value",
    "output.value",
}


class Colour(Enum):
    RED = "red"


class Unprintable:
    """Whatever is asked of it, it raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __getattr__(self, name: str) -> Any:
        # AttributeError of private names, so that hypothesis can work with it
        raise AttributeError(name) if name.startswith("_") else RuntimeError(f"no {name}")


@dataclasses.dataclass
class State:
    inner: Any


class Model(BaseModel):
    inner: Any
    key: SecretStr = SecretStr("s3cret")


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(2**5000)
    | st.floats()
    | st.text(st.characters(), max_size=300)
    | st.binary(max_size=20)
    | st.builds(Unprintable)
    | st.sampled_from(
        [
            object(),
            Colour.RED,
            Decimal("1.5"),
            PurePosixPath("/a"),
            UUID(int=7),
            datetime(2026, 1, 1, tzinfo=timezone.utc),
            ValueError("v"),
            int,
            "data:image/png;base64," + "A" * 400,
        ]
    )
)
KEYS = (
    st.sampled_from(
        ["role", "type", "content", "text", "messages", "tool_calls", "image_url", "source", "name"]
    )
    | st.text(st.characters(), max_size=200)
    | st.integers()
    | st.none()
    | st.tuples(st.integers())
    | st.floats()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(KEYS, inner, max_size=6)
        | st.tuples(inner, inner)
        | st.builds(State, inner)
        | st.builds(Model, inner=inner)
        | st.builds(deque, st.lists(inner, max_size=3))
    ),
    max_leaves=25,
)


def told_of(value: Any, config: Config) -> Telemetry:
    """The value through every point of capture."""
    telemetry = Telemetry(config)
    telemetry.chat(value if isinstance(value, list) else [value], answer(value))
    telemetry.chat(
        [],
        {"generations": value, "llm_output": value},
        invocation_params={"tools": value, "instructions": value, "stop": value, "seed": value},
        metadata={"thread_id": value, "user_id": value, "ls_model_name": value},
        tags=[value, "t"],
    )
    telemetry.chain(value, value)
    telemetry.chain({"messages": value}, {"messages": value})
    telemetry.tool(value, value)
    telemetry.retriever(value, [value])
    telemetry.retriever(value, value)
    run_id = UUID(int=1)
    handler = telemetry.handler
    handler.on_chain_start({"name": value}, value, run_id=run_id, name=value)
    handler.on_custom_event("event\ud800", value, run_id=run_id)
    handler.on_text(value, run_id=run_id)
    handler.on_agent_action(value, run_id=run_id)
    handler.on_agent_finish(value, run_id=run_id)
    handler.on_retry(value, run_id=run_id)
    handler.on_chain_error(ValueError(value), run_id=run_id)
    assert handler.open_runs == 0
    return telemetry


@pytest.mark.parametrize(
    "conventions", [("genai",), ("openinference",), ("genai", "openinference")]
)
@given(value=VALUES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_whatever_is_captured_can_be_encoded_within_its_budgets(
    conventions: tuple[str, ...], value: Any
) -> None:
    """OTLP encoding succeeds, budgets hold, every JSON attribute parses, secrets stay."""
    telemetry = told_of(
        value,
        Config(
            capture_content="both",
            conventions=conventions,
            max_content_length=BUDGET,
            max_span_content=SPAN_BUDGET,
        ),
    )
    assert b"s3cret" not in telemetry.encoded()
    assert len(telemetry.spans) == 8
    for span in telemetry.spans:
        attributes = dict(span.attributes or {})
        assert "langchain.run.outcome" in attributes
        spent = 0
        for name, said in attributes.items():
            if name in JSON_ATTRIBUTES:
                json.loads(said)
            if name in CONTENT_ATTRIBUTES:
                assert len(said.encode()) <= BUDGET, name
                spent += len(said.encode())
        for event in span.events:
            spent += sum(
                len(str(said).encode())
                for name, said in (event.attributes or {}).items()
                if name in {"exception.message", "exception.stacktrace", "langchain.event.data"}
            )
        assert spent <= SPAN_BUDGET
        span.name.encode()
        (span.status.description or "").encode()


def test_a_cycle_and_a_deep_nest_end() -> None:
    """A value that holds itself, or is nested a thousand deep, is told as far as it goes."""
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = "bottom"
    for _ in range(1000):
        deep = [deep]
    telemetry = Telemetry(Config(capture_content=True))
    telemetry.chain(cycle, deep)
    assert telemetry.attributes["langchain.input"] == '["[cycle]"]'
    assert "[deeper than is read]" in telemetry.attributes["langchain.output"]


def test_a_million_items_are_not_all_read() -> None:
    """An embedding or a table in a chain's input costs no more than what is kept of it."""
    telemetry = Telemetry(Config(capture_content=True))
    telemetry.chain({"vector": [0.5] * 1_000_000}, None)
    said = json.loads(telemetry.attributes["langchain.input"])
    assert said["vector"][0] == 0.5
    assert any("omitted" in str(item) for item in said["vector"])


def test_objects_that_are_no_data_tell_their_class() -> None:
    """A client, a model or a lock in a chain's input is named, never looked into."""

    class Client:
        def __init__(self) -> None:
            self.api_key = "s3cret"

    telemetry = Telemetry(Config(capture_content=True))
    telemetry.chain({"client": Client()}, None)
    said = json.loads(telemetry.attributes["langchain.input"])["client"]
    assert said.startswith("[")
    assert said.endswith("Client]")
