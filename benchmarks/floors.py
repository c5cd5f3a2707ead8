"""A tracer in, handlers that do the least a bridge can do out: what ours is held against."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from opentelemetry.sdk.trace import ReadableSpan

Attributes = dict[str, Any]


class Noop(BaseCallbackHandler):
    """Hears every event and does nothing: what LangChain itself spends on a handler."""

    run_inline = True
    raise_error = True

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Nothing; without it LangChain would print the messages for `on_llm_start`."""


class Floor(Noop):
    """Starts and ends a span with three attributes, under its parent's."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self.tracer = tracer
        self.spans: dict[UUID, trace.Span] = {}

    def start(
        self,
        kind: str,
        serialized: Any,
        payload: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None,
        **said: Any,
    ) -> None:
        """Start the span of a run."""
        name = said.get("name") or serialized["name"]
        self.open(
            run_id,
            parent_run_id,
            name,
            {
                "langchain.run.id": str(run_id),
                "langchain.run.type": kind,
                "langchain.run.name": name,
            },
        )

    def open(
        self, run_id: UUID, parent_run_id: UUID | None, name: str, attributes: Attributes
    ) -> None:
        """Start a span, under that of the parent run."""
        parent = None if parent_run_id is None else self.spans.get(parent_run_id)
        context = None if parent is None else trace.set_span_in_context(parent)
        self.spans[run_id] = self.tracer.start_span(name, context, attributes=attributes)

    def finish(self, payload: Any, run_id: UUID) -> None:
        """End the span of a run."""
        self.spans.pop(run_id).end()

    def on_chain_start(self, serialized: Any, inputs: Any, **said: Any) -> None:
        """Start."""
        self.start("chain", serialized, inputs, **said)

    def on_chat_model_start(self, serialized: Any, messages: Any, **said: Any) -> None:
        """Start."""
        self.start("chat_model", serialized, messages, **said)

    def on_tool_start(self, serialized: Any, text: Any, **said: Any) -> None:
        """Start."""
        self.start("tool", serialized, text, **said)

    def on_retriever_start(self, serialized: Any, query: Any, **said: Any) -> None:
        """Start."""
        self.start("retriever", serialized, query, **said)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """End."""
        self.finish(outputs, run_id)

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """End."""
        self.finish(response, run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """End."""
        self.finish(output, run_id)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """End."""
        self.finish(documents, run_id)


class ContentFloor(Floor):
    """Writes GenAI attributes, and one ``json.dumps`` for what goes in and what comes out."""

    def start(
        self,
        kind: str,
        serialized: Any,
        payload: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None,
        **said: Any,
    ) -> None:
        """Start the span of a run, with what it was given."""
        name = said.get("name") or serialized["name"]
        attributes: Attributes = {
            "langchain.run.id": str(run_id),
            "langchain.run.type": kind,
            "langchain.run.name": name,
        }
        if kind == "chat_model":
            params = said["invocation_params"]
            name = f"chat {params['model_name']}"
            attributes["gen_ai.operation.name"] = "chat"
            attributes["gen_ai.provider.name"] = said["metadata"]["ls_provider"]
            attributes["gen_ai.request.model"] = params["model_name"]
            attributes["gen_ai.request.temperature"] = params["temperature"]
            attributes["gen_ai.input.messages"] = json.dumps(
                [_message(message) for message in payload[0]]
            )
        else:
            attributes["input"] = json.dumps(payload, default=_plain)
        self.open(run_id, parent_run_id, name, attributes)

    def finish(self, payload: Any, run_id: UUID) -> None:
        """End the span of a run, with what it returned."""
        span = self.spans.pop(run_id)
        generations = getattr(payload, "generations", None)
        if generations is None:
            span.set_attribute("output", json.dumps(payload, default=_plain))
        else:
            message = generations[0][0].message
            said, usage = message.response_metadata, message.usage_metadata or {}
            attributes = {
                "gen_ai.response.id": message.id or "",
                "gen_ai.output.messages": json.dumps([_message(message)]),
            }
            if said:
                attributes["gen_ai.response.model"] = said["model_name"]
                attributes["gen_ai.response.finish_reasons"] = [said["finish_reason"]]
            if usage:
                attributes["gen_ai.usage.input_tokens"] = usage["input_tokens"]
                attributes["gen_ai.usage.output_tokens"] = usage["output_tokens"]
            span.set_attributes(attributes)
        span.end()


class FullFloor(Floor):
    """Writes the attributes ours would write, all of them known beforehand.

    Args:
        tracer: Starts the spans.
        written: What ours writes, by the type and name of a run.
    """

    def __init__(self, tracer: trace.Tracer, written: Mapping[tuple[str, str], Attributes]) -> None:
        super().__init__(tracer)
        self.written = written

    def start(
        self,
        kind: str,
        serialized: Any,
        payload: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None,
        **said: Any,
    ) -> None:
        """Start the span of a run, with all it will ever say."""
        name = said.get("name") or serialized["name"]
        self.open(run_id, parent_run_id, name, self.written[kind, name])


def _plain(value: Any) -> Any:
    """A prompt as its messages, a message by role and content, anything else by its class."""
    if hasattr(value, "messages"):
        return value.messages
    return _message(value) if hasattr(value, "content") else type(value).__name__


def _message(message: Any) -> dict[str, Any]:
    return {"role": message.type, "parts": [{"type": "text", "content": message.content}]}


class _Kept(SpanExporter):
    """Keeps what spans said, by the type and name of the run."""

    def __init__(self) -> None:
        self.written: dict[tuple[str, str], Attributes] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep."""
        for span in spans:
            said = dict(span.attributes or {})
            self.written[str(said["langchain.run.type"]), str(said["langchain.run.name"])] = said
        return SpanExportResult.SUCCESS


def attributes_of_ours(**options: Any) -> Mapping[tuple[str, str], Attributes]:
    """What ours writes in all workloads, by the type and name of a run.

    Args:
        options: Of ours' `Config`.
    """
    from benchmarks.workloads import WORKLOADS
    from lc_otel import Config, OTelCallbackHandler

    kept = _Kept()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    handler = OTelCallbackHandler(provider, config=Config(**options))
    for workload in WORKLOADS.values():
        workload.run({"callbacks": [handler]}, 1)
    return kept.written
