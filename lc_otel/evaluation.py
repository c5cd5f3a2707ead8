"""A verdict on a run in, the conventions' event that tells it on the run's trace out."""

from __future__ import annotations

import logging
import math
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from opentelemetry import _logs, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

from lc_otel._content import clean_text
from lc_otel._runs import tables
from lc_otel._version import __version__
from lc_otel.conventions import evaluation

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

__all__ = ["record_evaluation", "traceparent"]

_logger = logging.getLogger(__name__)

_LONGEST = 16_384  # bytes of an explanation, as Config.max_content_length has it

# https://www.w3.org/TR/trace-context/#traceparent-header-field-values
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")

Target = UUID | str | SpanContext | Span
"""A run or its span: a run_id (also as a string), a traceparent, a span context or a span."""


def traceparent(target: Target) -> str:
    """Say where a run's span is in a string that can be stored, and given back in any process.

    Args:
        target: The run. By its run_id it is known while it is open, and after it ended as long as
            it is among the last thousand of the process.

    Returns:
        The span context as a W3C ``traceparent``.

    Raises:
        LookupError: No run of this id is known to this process.
        ValueError: It is neither a run_id nor a traceparent nor of a span, or there is no such
            span.
    """
    context = _read(target)
    return (
        f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}"
        f"-{context.trace_flags:02x}"
    )


def record_evaluation(
    target: Target,
    name: str,
    score: float | None = None,
    label: str | None = None,
    explanation: str | None = None,
    *,
    response_id: str | None = None,
    logger_provider: LoggerProvider | None = None,
) -> None:
    """Tell what an evaluator found: the log event ``gen_ai.evaluation.result``, on the run's trace.

    It may come from anywhere: inside the run, after it ended, or from another process that was
    given its `traceparent`. That is why it is a log event, as the conventions have it, and not an
    event of the span: a span that has ended takes none.

    Args:
        target: The run that was evaluated; see `traceparent`.
        name: The metric, such as ``"relevance"``.
        score: Its value; neither infinite nor NaN.
        label: What the score means, one of a few words, such as ``"pass"``.
        explanation: Why; free text that leaves the process as it is.
        response_id: The provider's id of the completion, where it is at hand.
        logger_provider: Where the event goes; the global provider where None.

    Raises:
        LookupError: No run of this id is known to this process.
        ValueError: There is neither score, label nor explanation; or one cannot be told.
    """
    if not name:
        raise ValueError("name is empty; name the metric that was evaluated.")
    if score is None and label is None and explanation is None:
        raise ValueError(f"evaluation {name!r} says nothing; give a score, label or explanation.")
    if score is not None:
        _check_score(name, score)
    span = NonRecordingSpan(_read(target))
    provider = _logs.get_logger_provider() if logger_provider is None else logger_provider
    if type(provider).__module__.startswith("opentelemetry._logs"):  # the API's stand-ins
        _logger.warning(
            "Evaluation %r goes nowhere: there is no logger provider. configure() with "
            "an endpoint makes one; so may you, globally or as logger_provider.",
            name,
        )
    said = evaluation.attributes(name, score, label, explanation, response_id)
    _logs.get_logger("lc_otel", __version__, logger_provider=provider).emit(
        LogRecord(
            context=trace.set_span_in_context(span),
            severity_number=SeverityNumber.INFO,  # the conventions leave it open
            attributes={
                key: clean_text(value, _LONGEST) if isinstance(value, str) else value
                for key, value in said.items()
            },
            event_name=evaluation.EVENT,
        )
    )


def _check_score(name: str, score: Any) -> None:
    """Refuse what is no finite number; a string of digits is none."""
    try:
        finite = math.isfinite(score)
    except OverflowError:
        raise ValueError(f"the score of {name!r} is more than a float can hold.") from None
    except (TypeError, ValueError):  # of what is no number, such as an array
        finite = False
    if not finite:
        raise ValueError(f"the score of {name!r} is {score!r:.80}, expected a finite number.")


def _read(target: Target) -> SpanContext:
    """Find the span context that is meant."""
    if isinstance(target, Span):
        target = target.get_span_context()
    if isinstance(target, str):
        target = _parse(target)
    if isinstance(target, UUID):
        return _look_up(target)
    if not isinstance(target, SpanContext):
        raise ValueError(  # noqa: TRY004  # as for a string that names nothing
            f"{target!r:.80} is neither a run_id nor a traceparent, nor a span or its context."
        )
    if not target.is_valid:
        raise ValueError("the span context is invalid: the run was not recorded.")
    return target


def _parse(text: str) -> UUID | SpanContext:
    """Read a traceparent, or a run_id."""
    parts = _TRACEPARENT.fullmatch(text)
    if parts is None:
        try:
            return UUID(text)
        except ValueError:
            raise ValueError(f"{text!r:.80} is neither a run_id nor a traceparent.") from None
    trace_id, span_id, flags = (int(part, 16) for part in parts.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def _look_up(run_id: UUID) -> SpanContext:
    """Find a run among those that any handler of the process knows."""
    for table in tables:
        entry = table.open.get(run_id)
        context = table.ended.get(run_id) if entry is None else entry.span.get_span_context()
        if context is not None and context.is_valid:
            return context
    raise LookupError(
        f"no run {run_id} is known to this process; runs that ended long ago, and those of other "
        "processes, are named by their traceparent(run_id), taken while they were known."
    )
