"""A handler with in-memory providers of every signal, and what a backend would be sent of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lc_otel import Config, OTelCallbackHandler

InMemoryLogExporter: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or (
    log_export.InMemoryLogExporter  # its name before OpenTelemetry 1.39
)


class Telemetry:
    """What one handler sends, kept in memory."""

    def __init__(self, config: Config | None = None, sampler: Any = None) -> None:
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogExporter()
        self._metrics = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        logger_provider = LoggerProvider(shutdown_on_exit=False)
        logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        meter_provider = MeterProvider([self._metrics], shutdown_on_exit=False)
        self.handler = OTelCallbackHandler(
            self.tracer_provider, meter_provider, logger_provider, config
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Finished spans, in order of their end."""
        return self._spans.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        """The only finished span."""
        (span,) = self.spans
        return span

    @property
    def attributes(self) -> dict[str, Any]:
        """Those of the only finished span."""
        return dict(self.span.attributes or {})

    @property
    def logs(self) -> list[Any]:
        """Log records, in order."""
        return [data.log_record for data in self._logs.get_finished_logs()]

    @property
    def points(self) -> dict[str, list[Any]]:
        """Data points by metric name."""
        data = self._metrics.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics by name."""
        data = self._metrics.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def encoded(self) -> bytes:
        """Spans and log records as OTLP; raises where one cannot be encoded."""
        logs = self._logs.get_finished_logs()
        return encode_spans(self.spans).SerializeToString() + (
            encode_logs(logs).SerializeToString() if logs else b""
        )

    # -- runs told by hand, as LangChain's managers tell them

    def chat(self, messages: Any, response: Any = None, **told: Any) -> UUID:
        """A chat model's run, ended with ``response``."""
        run_id = uuid4()
        error = told.pop("error", None)
        serialized = told.pop("serialized", {"name": "ChatOpenAI"})
        self.handler.on_chat_model_start(serialized, [messages], run_id=run_id, **told)
        if error is None:
            self.handler.on_llm_end(response, run_id=run_id)
        else:
            self.handler.on_llm_error(error, run_id=run_id, response=response)
        return run_id

    def chain(self, inputs: Any, outputs: Any = None, **told: Any) -> UUID:
        """A chain's run, ended with ``outputs``."""
        run_id = uuid4()
        error = told.pop("error", None)
        self.handler.on_chain_start({"name": "flow"}, inputs, run_id=run_id, **told)
        if error is None:
            self.handler.on_chain_end(outputs, run_id=run_id)
        else:
            self.handler.on_chain_error(error, run_id=run_id)
        return run_id

    def tool(self, inputs: Any, output: Any = None, **told: Any) -> UUID:
        """A tool's run, ended with ``output``."""
        run_id = uuid4()
        self.handler.on_tool_start(
            {"name": "add", "description": "adds"},
            str(type(inputs)),
            inputs=inputs,
            run_id=run_id,
            **told,
        )
        self.handler.on_tool_end(output, run_id=run_id)
        return run_id

    def retriever(self, query: Any, documents: Any = None, **told: Any) -> UUID:
        """A retriever's run, ended with ``documents``."""
        run_id = uuid4()
        self.handler.on_retriever_start({"name": "store"}, query, run_id=run_id, **told)
        self.handler.on_retriever_end(documents, run_id=run_id)
        return run_id


def answer(message: Any, **llm_output: Any) -> dict[str, Any]:
    """An ``LLMResult`` of one choice, as the managers pass it."""
    return {"generations": [[{"message": message}]], "llm_output": llm_output}
