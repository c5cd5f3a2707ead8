"""Runs and outcomes in, measurements out; of sampled and unsampled runs alike."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from opentelemetry import metrics

from lc_otel._content import clean_attributes
from lc_otel._version import __version__
from lc_otel.conventions import _names as names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider

    from lc_otel.run import Operation, Outcome, Run, Streaming, Usage

Names = Literal["current", "draft"]


class Instrument(NamedTuple):
    """One histogram."""

    current: str
    """What OpenTelemetry's own instrumentations send (opentelemetry-util-genai 1.3b0)."""
    draft: str
    """What the newest draft of the conventions calls it."""
    unit: str
    buckets: Sequence[float]
    description: str


_SECONDS = tuple(0.01 * 2**power for power in range(14))
_TOKENS = tuple(4**power for power in range(14))

INSTRUMENTS: Mapping[str, Instrument] = {
    # gen-ai-metrics.md; the buckets are the conventions', of agents and workflows util-genai's
    "inference": Instrument(
        "gen_ai.client.operation.duration",
        "gen_ai.client.inference.duration",
        "s",
        _SECONDS,
        "Duration of a model call.",
    ),
    "retrieval": Instrument(
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.duration",
        "s",
        _SECONDS,
        "Duration of a model call.",
    ),
    "input_tokens": Instrument(
        "gen_ai.client.token.usage",
        "gen_ai.client.inference.usage.input_tokens",
        "{token}",
        _TOKENS,
        "Tokens of a model call.",
    ),
    "output_tokens": Instrument(
        "gen_ai.client.token.usage",
        "gen_ai.client.inference.usage.output_tokens",
        "{token}",
        _TOKENS,
        "Tokens of a model call.",
    ),
    "first_chunk": Instrument(
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.inference.time_to_first_chunk",
        "s",
        _SECONDS,
        "From the request to the first chunk of a streamed answer.",
    ),
    "next_chunk": Instrument(
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "s",
        _SECONDS,
        "From one chunk of a streamed answer to the next.",
    ),
    "tool": Instrument(
        "gen_ai.execute_tool.duration",
        "gen_ai.execute_tool.duration",
        "s",
        _SECONDS,
        "Duration of a tool call.",
    ),
    "agent": Instrument(
        "gen_ai.invoke_agent.duration",
        "gen_ai.invocation.duration",
        "s",
        tuple(0.1 * 2**power for power in range(13)),
        "Duration of an agent's, or workflow's, run.",
    ),
    "workflow": Instrument(
        "gen_ai.invoke_workflow.duration",
        "gen_ai.invocation.duration",
        "s",
        (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200),
        "Duration of an agent's, or workflow's, run.",
    ),
}

DURATIONS: Mapping[Operation, str] = {
    # operation -> key in INSTRUMENTS of what measures it
    "chat": "inference",
    "text_completion": "inference",
    "retrieval": "retrieval",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "invoke_workflow": "workflow",
}

_CLIENT = (
    ("operation", names.OPERATION_NAME),
    ("provider", names.PROVIDER_NAME),
    ("model", names.REQUEST_MODEL),
    ("server_address", names.SERVER_ADDRESS),
    ("server_port", names.SERVER_PORT),
)

ATTRIBUTES: Mapping[str, tuple[tuple[str, str], ...]] = {
    # key in INSTRUMENTS -> (field of Run, attribute); data source and conversation are left out,
    # since their values are without number
    "inference": _CLIENT,
    "retrieval": _CLIENT,
    "tool": (("tool_name", names.TOOL_NAME), ("agent_name", names.AGENT_NAME)),
    "agent": (("agent_name", names.AGENT_NAME),),
    "workflow": (("workflow_name", names.WORKFLOW_NAME),),
}

TOKEN_TYPES: Mapping[str, str] = {
    # field of Usage, and key in INSTRUMENTS -> gen_ai.token.type
    "input_tokens": "input",
    "output_tokens": "output",
}


class Meter:
    """Measures runs, where a meter provider is there to take it.

    Args:
        provider: Where measurements go; the global provider where None, once one is set.
        spelling: Which names the instruments have.
        report: Told what failed; a broken meter costs measurements, never the span.
    """

    def __init__(
        self,
        provider: MeterProvider | None,
        spelling: Names,
        report: Callable[[str, Exception], None],
    ) -> None:
        self._provider = provider
        self._spelling = spelling
        self._report = report
        self._instruments: dict[str, Histogram] | None = None

    @property
    def is_on(self) -> bool:
        """Whether measurements are taken; without a meter provider nothing is spent on them."""
        if self._instruments is None:
            provider = self._provider or metrics.get_meter_provider()
            if not _takes_measurements(provider):
                return False
            try:
                self._instruments = _create(provider, self._spelling)
            except Exception as error:  # noqa: BLE001 -- a provider is anybody's
                self._report("metrics", error)
                return False
        return True

    def measures(self, operation: Operation) -> bool:
        """Whether runs that do this are measured."""
        return operation in DURATIONS and self.is_on

    def record(
        self,
        run: Run,
        outcome: Outcome,
        seconds: float,
        streaming: Streaming | None,
        chunk_times: Sequence[int],
        context: Context,
    ) -> None:
        """Measure a run that has ended, of an operation that `measures` says is measured.

        An answer of LangChain's own LLM cache is not measured: no model was called. Nor is a run
        that nobody ended: how long it took is not known.

        Args:
            run: The run.
            outcome: How it ended.
            seconds: How long it took.
            streaming: How its answer came in pieces.
            chunk_times: Nanoseconds of the monotonic clock at which each piece came.
            context: Of the run's span, for exemplars.
        """
        if outcome.cached or outcome.kind == "incomplete":
            return
        key = DURATIONS[run.operation]
        try:
            self._record(key, run, outcome, seconds, streaming, chunk_times, context)
        except Exception as error:  # noqa: BLE001 -- a provider is anybody's
            self._report("metrics", error)

    def _record(
        self,
        key: str,
        run: Run,
        outcome: Outcome,
        seconds: float,
        streaming: Streaming | None,
        chunk_times: Sequence[int],
        context: Context,
    ) -> None:
        instruments: Any = self._instruments
        attributes = {
            attribute: value
            for field, attribute in ATTRIBUTES[key]
            if (value := getattr(run, field)) is not None
        }
        if self._spelling == "draft" and key in {"agent", "workflow"}:
            attributes[names.OPERATION_NAME] = run.operation
            attributes[names.IS_NESTED] = run.parent_run_id is not None
        if outcome.response_model is not None:
            attributes[names.RESPONSE_MODEL] = outcome.response_model
        clean_attributes(attributes)
        failure = clean_attributes(
            {} if outcome.error_type is None else {names.ERROR_TYPE: outcome.error_type}
        )
        instruments[key].record(seconds, {**attributes, **failure}, context)
        if outcome.usage is not None:
            self._record_tokens(instruments, outcome.usage, attributes, context)
        if streaming is not None:
            instruments["first_chunk"].record(streaming.time_to_first_chunk, attributes, context)
            for earlier, later in pairwise(chunk_times):
                instruments["next_chunk"].record((later - earlier) / 1e9, attributes, context)

    def _record_tokens(
        self, instruments: Any, usage: Usage, attributes: dict[str, Any], context: Context
    ) -> None:
        for field, token_type in TOKEN_TYPES.items():
            count = getattr(usage, field)
            if count is not None:
                if self._spelling == "current":
                    attributes = {**attributes, names.TOKEN_TYPE: token_type}
                instruments[field].record(count, attributes, context)


def _takes_measurements(provider: MeterProvider) -> bool:
    # The API's stand-in for a global provider that is not set yet has no public name.
    return not isinstance(provider, metrics.NoOpMeterProvider) and (
        type(provider).__name__ != "_ProxyMeterProvider"
    )


def _create(provider: MeterProvider, spelling: Names) -> dict[str, Histogram]:
    meter = provider.get_meter("lc_otel", __version__)
    by_name: dict[str, Histogram] = {}
    instruments = {}
    for key, row in INSTRUMENTS.items():
        name = row.draft if spelling == "draft" else row.current
        if name not in by_name:
            by_name[name] = meter.create_histogram(
                name,
                row.unit,
                row.description,
                explicit_bucket_boundaries_advisory=row.buckets,
            )
        instruments[key] = by_name[name]
    return instruments
