"""LangChain's callbacks, told as OpenTelemetry spans."""

from lc_otel._handler import OTelCallbackHandler
from lc_otel._pipeline import Pipeline, configure
from lc_otel._version import __version__
from lc_otel.config import Config, ConfigurationError
from lc_otel.evaluation import record_evaluation, traceparent
from lc_otel.instrumentation import instrument, uninstrument

__all__ = [
    "Config",
    "ConfigurationError",
    "OTelCallbackHandler",
    "Pipeline",
    "__version__",
    "configure",
    "instrument",
    "record_evaluation",
    "traceparent",
    "uninstrument",
]
