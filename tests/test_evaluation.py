"""Evaluations: the event that is told, on the right trace, whenever and wherever it is recorded."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from lc_otel.evaluation import record_evaluation, traceparent
from lc_otel.testing import Captured, capture
from tests.receiver import RECEIVERS
from tests.telemetry import InMemoryLogExporter
from tests.versions import STRICT

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Verdicts:
    """A logger provider in memory, and the records that came to it."""

    def __init__(self) -> None:
        self._exporter = InMemoryLogExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))

    @property
    def only(self) -> Any:
        """The only record."""
        (data,) = self._exporter.get_finished_logs()
        return data.log_record


@pytest.fixture
def verdicts() -> Verdicts:
    """Where evaluations go in these tests."""
    return Verdicts()


@pytest.fixture
def captured() -> Iterator[Captured]:
    """A handler that records runs."""
    with capture() as captured:
        yield captured


def run_chain(captured: Captured) -> UUID:
    """A run that has ended."""
    run_id = uuid4()
    captured.handler.on_chain_start({"name": "answer"}, {}, run_id=run_id)
    captured.handler.on_chain_end({}, run_id=run_id)
    return run_id


def where(record: Any) -> tuple[str, str]:
    """Trace id and span id of a record."""
    return trace.format_trace_id(record.trace_id), trace.format_span_id(record.span_id)


def test_the_event_says_what_the_conventions_name(captured: Captured, verdicts: Verdicts) -> None:
    """Name and attributes of gen_ai.evaluation.result, each with its type."""
    record_evaluation(
        run_chain(captured),
        "relevance",
        score=1,
        label="pass",
        explanation="It answers.",
        response_id="resp-1",
        logger_provider=verdicts.provider,
    )
    record = verdicts.only
    assert record.event_name == "gen_ai.evaluation.result"
    assert dict(record.attributes) == {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 1.0,
        "gen_ai.evaluation.score.label": "pass",
        "gen_ai.evaluation.explanation": "It answers.",
        "gen_ai.response.id": "resp-1",
    }
    assert type(record.attributes["gen_ai.evaluation.score.value"]) is float


def test_what_is_not_given_is_not_said(captured: Captured, verdicts: Verdicts) -> None:
    """A label alone is enough."""
    record_evaluation(run_chain(captured), "tone", label="kind", logger_provider=verdicts.provider)
    assert set(verdicts.only.attributes) == {
        "gen_ai.evaluation.name",
        "gen_ai.evaluation.score.label",
    }


@pytest.mark.parametrize("as_text", [False, True])
def test_a_run_that_ended_is_found(captured: Captured, verdicts: Verdicts, as_text: bool) -> None:
    """By its run_id, a string of it too, the event hangs under the run's span."""
    run_id = run_chain(captured)
    target = str(run_id) if as_text else run_id
    record_evaluation(target, "tone", 0.5, logger_provider=verdicts.provider)
    (span,) = captured.spans
    assert where(verdicts.only) == (span.trace_id, span.span_id)


def test_a_run_that_is_open_is_found(captured: Captured, verdicts: Verdicts) -> None:
    """An evaluator may speak while the run goes on."""
    run_id = uuid4()
    captured.handler.on_chain_start({"name": "answer"}, {}, run_id=run_id)
    record_evaluation(run_id, "tone", 0.5, logger_provider=verdicts.provider)
    captured.handler.on_chain_end({}, run_id=run_id)
    (span,) = captured.spans
    assert where(verdicts.only) == (span.trace_id, span.span_id)


def test_another_process_is_given_the_traceparent(captured: Captured, verdicts: Verdicts) -> None:
    """The string of a run, parsed where nothing is known of it, names the same span."""
    parent = traceparent(run_chain(captured))
    program = (
        "import sys; from lc_otel.evaluation import record_evaluation, traceparent\n"
        "from tests.test_evaluation import Verdicts, where\n"
        "verdicts = Verdicts()\n"
        "record_evaluation(sys.argv[1], 'tone', 0.5, logger_provider=verdicts.provider)\n"
        "print(*where(verdicts.only), traceparent(sys.argv[1]))"
    )
    done = subprocess.run(
        [*STRICT, "-c", program, parent],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    (span,) = captured.spans
    assert done.stdout.split() == [span.trace_id, span.span_id, parent]


@pytest.mark.parametrize(
    "target",
    [
        PARENT,
        SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, True, TraceFlags(1)),
        NonRecordingSpan(
            SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, True, TraceFlags(1))
        ),
    ],
    ids=["string", "context", "span"],
)
def test_a_span_is_named_in_any_form(target: Any, verdicts: Verdicts) -> None:
    """A traceparent, a span context and a span say the same, and give the same string."""
    record_evaluation(target, "tone", 0.5, logger_provider=verdicts.provider)
    assert where(verdicts.only) == (PARENT[3:35], PARENT[36:52])
    assert verdicts.only.trace_flags == 1
    assert traceparent(target) == PARENT


@pytest.mark.parametrize(
    "text", ["", "run-7", PARENT.upper(), PARENT[:-1], "ff" + PARENT[2:], "zz" + PARENT[2:]]
)
def test_a_string_that_names_nothing_is_refused(text: str) -> None:
    """The error shows what was seen, and says what was expected."""
    with pytest.raises(ValueError, match="neither a run_id nor a traceparent"):
        traceparent(text)


@pytest.mark.parametrize("target", [None, b"x", 7])
def test_a_target_of_another_kind_is_refused(target: Any) -> None:
    """None, as where a run_id was never set, is a ValueError that shows what was seen."""
    with pytest.raises(ValueError, match=f"{target!r} is neither a run_id nor a traceparent, nor"):
        record_evaluation(target, "tone", 0.5)


def test_an_invalid_span_is_refused() -> None:
    """Zero ids name no span, as where the run was suppressed."""
    with pytest.raises(ValueError, match="not recorded"):
        traceparent(trace.INVALID_SPAN)
    with pytest.raises(ValueError, match="not recorded"):
        traceparent(f"00-{'0' * 32}-{'0' * 16}-01")


def test_an_unknown_run_is_said_to_be_unknown() -> None:
    """With what to do about it."""
    with pytest.raises(LookupError, match=r"traceparent\(run_id\)"):
        record_evaluation(uuid4(), "tone", 0.5)


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("", {"score": 1.0}, "name is empty"),
        ("tone", {}, "says nothing"),
        ("tone", {"score": float("nan")}, "finite"),
        ("tone", {"score": float("inf")}, "finite"),
        ("tone", {"score": "0.5"}, "is '0.5', expected a finite number"),
        ("tone", {"score": [1]}, "finite"),
        ("tone", {"score": 10**5000}, "more than a float can hold"),
    ],
)
def test_what_cannot_be_told_is_refused(name: str, said: dict[str, Any], message: str) -> None:
    """At the call, where the mistake is."""
    with pytest.raises(ValueError, match=message):
        record_evaluation(PARENT, name, **said)


def test_text_that_otlp_cannot_carry_does_not_lose_the_event(verdicts: Verdicts) -> None:
    """A lone surrogate is replaced, an endless explanation cut."""
    explanation = "\ud800" + "x" * 100_000
    record_evaluation(PARENT, "tone", explanation=explanation, logger_provider=verdicts.provider)
    told = verdicts.only.attributes["gen_ai.evaluation.explanation"]
    assert len(told.encode("utf-8")) <= 16_384


@pytest.mark.parametrize("protocol", list(RECEIVERS))
def test_configure_is_all_it_takes_to_send_one(protocol: str) -> None:
    """The event arrives at the backend beside the span it judges."""
    program = (
        "import sys, uuid; from lc_otel import configure\n"
        "from lc_otel.evaluation import record_evaluation\n"
        "pipeline, run_id = configure(sys.argv[1], sys.argv[2]), uuid.uuid4()\n"
        "pipeline.handler.on_chain_start({'name': 'answer'}, {}, run_id=run_id)\n"
        "pipeline.handler.on_chain_end({}, run_id=run_id)\n"
        "record_evaluation(run_id, 'tone', 0.5)"
    )
    with RECEIVERS[protocol]() as backend:
        done = subprocess.run(
            [*STRICT, "-c", program, backend.endpoint, protocol],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        (span,) = backend.receiver.spans
        (request,) = backend.receiver.of("logs")
    (record,) = request.message.resource_logs[0].scope_logs[0].log_records
    assert record.event_name == "gen_ai.evaluation.result"
    assert (record.trace_id.hex(), record.span_id.hex()) == (span.trace_id, span.span_id)


@pytest.mark.logs_warnings("there is no logger provider")
def test_an_evaluation_that_goes_nowhere_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a logger provider the event would vanish in silence."""
    record_evaluation(PARENT, "tone", 0.5)
    assert "'tone' goes nowhere" in caplog.text
