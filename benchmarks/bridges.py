"""An exporter in, a bridge at work and the handlers for LangChain out: ours, floors, peers."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENVIRONMENTS: Mapping[str, Sequence[str]] = {
    # name -> what is installed beside `COMMON`; the floors live with ours
    "ours": ("pydantic", "matplotlib"),
    "openinference": ("openinference-instrumentation-langchain==0.1.80",),
    "traceloop": ("opentelemetry-instrumentation-langchain==0.62.4",),
    "official": ("opentelemetry-instrumentation-genai-langchain==1.3b0",),
    "langfuse": ("langfuse==5.0.4",),
}
COMMON = (
    "langchain-core==1.7.2",
    "langchain==1.4.7",
    "langgraph==1.2.22",
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp==1.45.2",
)
"""The same in every environment."""


class Setting(NamedTuple):
    """Where spans go: to an exporter of the harness, one by one, as soon as each has ended."""

    exporter: SpanExporter
    sampler: Sampler

    def provider(self) -> TracerProvider:
        """A provider that exports at once, in the thread that ends the span."""
        provider = TracerProvider(self.sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        return provider


class Bridge(NamedTuple):
    """One way to make spans of LangChain's runs."""

    title: str
    attach: Callable[[Setting], Sequence[Any]]
    """Imports the bridge and sets it up; what it returns goes into LangChain's ``callbacks``."""
    environment: str = "ours"
    sampler: Sampler = ALWAYS_ON


def _none(_: Setting) -> Sequence[Any]:
    return ()


def _noop(_: Setting) -> Sequence[Any]:
    from benchmarks.floors import Noop

    return (Noop(),)


def _floor(kind: str, setting: Setting) -> Sequence[Any]:
    from benchmarks import floors

    return (getattr(floors, kind)(setting.provider().get_tracer("floor")),)


def _full_floor(content: bool, setting: Setting) -> Sequence[Any]:
    from benchmarks.floors import FullFloor, attributes_of_ours

    written = attributes_of_ours(capture_content=content)
    return (FullFloor(setting.provider().get_tracer("floor"), written),)


def _ours(options: Mapping[str, Any], setting: Setting) -> Sequence[Any]:
    from lc_otel import Config, OTelCallbackHandler

    return (OTelCallbackHandler(setting.provider(), config=Config(**options)),)


def _openinference(setting: Setting) -> Sequence[Any]:
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=setting.provider())
    return ()


def _traceloop(setting: Setting) -> Sequence[Any]:
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    LangchainInstrumentor().instrument(tracer_provider=setting.provider())
    return ()


def _official(capture: str, setting: Setting) -> Sequence[Any]:
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = capture
    from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=setting.provider())
    return ()


def _langfuse(setting: Setting) -> Sequence[Any]:
    from langfuse import Langfuse
    from langfuse.langchain import CallbackHandler

    # It brings a batch processor of its own, which takes the exporter but no provider's processor.
    Langfuse(
        public_key="pk-lf-none",
        secret_key="sk-lf-none",  # noqa: S106 -- nothing is sent
        base_url="http://127.0.0.1:9",
        tracer_provider=TracerProvider(setting.sampler),
        span_exporter=setting.exporter,
    )
    return (CallbackHandler(),)


_BOTH = {"conventions": ("genai", "openinference")}

BRIDGES: Mapping[str, Bridge] = {
    "none": Bridge("no handler", _none),
    "noop": Bridge("a handler that does nothing", _noop),
    "floor": Bridge("floor", partial(_floor, "Floor")),
    "content floor": Bridge("content floor", partial(_floor, "ContentFloor")),
    "full floor": Bridge("full floor", partial(_full_floor, False)),
    "full content floor": Bridge("full floor, content on", partial(_full_floor, True)),
    "ours": Bridge("lc_otel", partial(_ours, {"capture_content": False})),
    "ours content": Bridge("lc_otel, content on", partial(_ours, {"capture_content": True})),
    "ours both": Bridge(
        "lc_otel, content on, both conventions", partial(_ours, {"capture_content": True, **_BOTH})
    ),
    "ours sampled out": Bridge("lc_otel, sampled out", partial(_ours, {}), sampler=ALWAYS_OFF),
    "official": Bridge("official", partial(_official, "NO_CONTENT"), "official"),
    "official content": Bridge("official, content on", partial(_official, "SPAN_ONLY"), "official"),
    "traceloop": Bridge("Traceloop", _traceloop, "traceloop"),
    "langfuse": Bridge("langfuse", _langfuse, "langfuse"),
    "openinference": Bridge("OpenInference", _openinference, "openinference"),
}
"""By name."""
