"""Any event in any order with any argument: nothing reaches the program, no span is lost."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry import trace

from lc_otel import Config
from tests.content.test_hostile import VALUES
from tests.telemetry import Telemetry

pytestmark = pytest.mark.logs_warnings("what cannot be read is said")


class Hostile:
    """Raises whatever is done with it."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("hostile")

    __str__ = __len__ = __bool__ = __iter__ = __getitem__ = __contains__ = _refuse
    __eq__ = __lt__ = __int__ = __float__ = __index__ = __call__ = _refuse
    __hash__ = _refuse  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Hostile()"  # hypothesis shows it

    def __getattr__(self, name: str) -> Any:
        # AttributeError of private names, so that hypothesis can work with it
        raise AttributeError(name) if name.startswith("_") else RuntimeError(f"no {name}")


class HostileDict(dict):  # type: ignore[type-arg]
    """A dict by its type, whose lookups raise."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("hostile")

    get = items = keys = values = __getitem__ = __contains__ = __iter__ = _refuse


class HostileText(str):
    """A string by its type, whose methods raise."""

    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("hostile")

    lower = strip = split = startswith = encode = partition = _refuse


class Endless(Mapping):  # type: ignore[type-arg]
    """A mapping that answers every key with itself."""

    def __getitem__(self, key: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(("a", "messages"))

    def __len__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return "Endless()"


ANYTHING = (
    VALUES
    | st.builds(Hostile)
    | st.builds(lambda: HostileDict(a=1))
    | st.builds(lambda: HostileText("text"))
    | st.builds(Endless)
    | st.sampled_from([type, len])
)

NAMES = [
    *("name", "metadata", "tags", "invocation_params", "inputs", "options", "batch_size"),
    *("run_type", "tool_call_id", "response", "chunk", "color", "verbose"),
]
"""Keyword arguments LangChain passes, or may one day."""

KEYS = st.sampled_from(
    [
        *("ls_provider", "ls_model_name", "ls_temperature", "ls_max_tokens", "ls_integration"),
        *("lc_agent_name", "thread_id", "langgraph_node", "langgraph_step", "model", "n", "seed"),
        *("stop", "tools", "response_format", "stream", "base_url", "kwargs", "id", "name"),
        *("generations", "llm_output", "token_usage", "usage", "message", "usage_metadata"),
        *("response_metadata", "content", "additional_kwargs", "page_content", "metadata"),
    ]
)
SHAPED = st.dictionaries(KEYS, ANYTHING | st.dictionaries(KEYS, ANYTHING, max_size=4), max_size=6)
ARGUMENTS = (
    ANYTHING | SHAPED | st.lists(SHAPED, max_size=3) | st.lists(st.lists(SHAPED), max_size=2)
)

STARTS = ("chain", "chat_model", "llm", "tool", "retriever")
ENDS = ("chain_end", "llm_end", "tool_end", "retriever_end")
ERRORS = ("chain_error", "llm_error", "tool_error", "retriever_error")
INSIDE = ("text", "retry", "agent_action", "agent_finish", "llm_new_token")

RUNS = [UUID(int=number) for number in range(1, 6)]


class Event(NamedTuple):
    """One call of the handler."""

    name: str
    run: UUID
    parent: UUID | None
    payload: Any
    serialized: Any
    extra: dict[str, Any]

    @property
    def starts(self) -> bool:
        """Whether it may open a run."""
        return self.name in STARTS

    def happen(self, handler: Any) -> None:
        """Call the handler as LangChain would, but with these arguments."""
        if self.starts:
            extra = dict(self.extra)
            if self.name == "chain":
                extra.pop("inputs", None)  # its own name for the payload
            getattr(handler, f"on_{self.name}_start")(
                self.serialized,
                self.payload,
                run_id=self.run,
                parent_run_id=self.parent,
                **extra,
            )
        elif self.name == "custom_event":
            handler.on_custom_event(self.serialized, self.payload, run_id=self.run, **self.extra)
        elif self.name in {"interrupt", "resume"}:
            getattr(handler, f"on_{self.name}")(self.payload)
        else:
            payload = self.payload
            if self.name in ERRORS and not isinstance(payload, BaseException):
                payload = ValueError(payload)
            getattr(handler, f"on_{self.name}")(payload, run_id=self.run, **self.extra)


EVENTS = st.builds(
    Event,
    st.sampled_from((*STARTS, *ENDS, *ERRORS, *INSIDE, "custom_event", "interrupt", "resume")),
    st.sampled_from(RUNS),
    st.none() | st.sampled_from(RUNS),
    ARGUMENTS,
    ARGUMENTS,
    st.dictionaries(st.sampled_from(NAMES), ARGUMENTS, max_size=4),
)

CONFIGS: dict[str, Callable[[], Config]] = {
    "default": lambda: Config(capture_content=False),
    "content": lambda: Config(capture_content="both", conventions=("genai", "openinference")),
    "semantic": lambda: Config(capture_content=True, detail="semantic", max_open_runs=2),
}

BAD = Event(
    "chain", RUNS[0], None, Hostile(), Hostile(), {"metadata": Hostile(), "tags": Hostile()}
)


@pytest.mark.parametrize("config", CONFIGS)
@example(events=[BAD])
@example(events=[BAD._replace(name=name) for name in (*STARTS, *ENDS, *ERRORS, *INSIDE)])
@example(events=[BAD._replace(name=name, extra={"name": HostileText("n")}) for name in STARTS])
@given(events=st.lists(EVENTS, max_size=8))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_event_harms_the_program_or_loses_a_span(config: str, events: list[Event]) -> None:
    """Every run that was started is one finished span in the end, whatever it was told."""
    contextvars.copy_context().run(
        hold_to_it, CONFIGS[config](), events, hides=config == "semantic"
    )


def hold_to_it(config: Config, events: list[Event], *, hides: bool) -> None:
    """Let the events happen; AssertionError where that leaves anything but its spans."""
    logging.getLogger("lc_otel").setLevel(logging.CRITICAL)
    try:
        telemetry = Telemetry(config)
        started = 0
        open_runs: set[UUID] = set()
        for event in events:
            before = telemetry.handler.open_runs
            event.happen(telemetry.handler)
            if event.starts and event.run not in open_runs:
                started += 1
            open_runs = set(telemetry.handler._recorder.table.open)
            assert telemetry.handler.open_runs <= max(before + 1, 2)
        telemetry.handler.end_open_runs()
        assert telemetry.handler.open_runs == 0
        assert not trace.get_current_span().get_span_context().is_valid
        if not hides:
            assert len(telemetry.spans) == started
        telemetry.encoded()
    finally:
        logging.getLogger("lc_otel").setLevel(logging.NOTSET)


@pytest.mark.parametrize("kind", STARTS)
def test_what_is_wholly_unreadable_is_still_a_span(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its kind, its place and its end are told; what could not be read is said in the log."""
    telemetry = Telemetry(Config(capture_content=True))
    handler, run = telemetry.handler, uuid4()
    BAD._replace(name=kind, run=run).happen(handler)
    end = "llm" if kind == "chat_model" else kind
    getattr(handler, f"on_{end}_end")(Hostile(), run_id=run)
    assert telemetry.attributes["langchain.run.type"] == kind
    assert telemetry.attributes["langchain.run.id"] == str(run)
    assert "langchain.run.outcome" in telemetry.attributes
    assert all(record.levelno == logging.WARNING for record in caplog.records)
