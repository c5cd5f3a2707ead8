"""The handler with a tracer provider the program has already: nothing is configured twice."""

from langchain_core.language_models import FakeListChatModel
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lc_otel import OTelCallbackHandler


def main() -> None:
    """Run a model inside a span of the program's own, and show who is whose parent."""
    exporter = InMemorySpanExporter()  # in its place: whatever the program exports with
    provider = TracerProvider(resource=Resource.create({"service.name": "existing-service"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    handler = OTelCallbackHandler()  # takes the global provider
    model = FakeListChatModel(responses=["hello"])
    with trace.get_tracer("existing").start_as_current_span("handle request"):
        model.invoke("hi", {"callbacks": [handler]})

    names = {span.context.span_id: span.name for span in exporter.get_finished_spans()}
    for span in exporter.get_finished_spans():
        parent = names[span.parent.span_id] if span.parent else "nobody"
        print(f"{span.name!r} is a child of {parent!r}")


if __name__ == "__main__":
    main()
