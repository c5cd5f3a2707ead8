"""LangChain's callbacks, told as OpenTelemetry spans."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lc_otel._version import __version__

if TYPE_CHECKING:
    from lc_otel._errors import ConfigurationError
    from lc_otel._handler import OTelCallbackHandler
    from lc_otel._pipeline import Pipeline, configure
    from lc_otel.config import Config
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

_HOMES = {
    "Config": "lc_otel.config",
    "ConfigurationError": "lc_otel._errors",
    "OTelCallbackHandler": "lc_otel._handler",
    "Pipeline": "lc_otel._pipeline",
    "configure": "lc_otel._pipeline",
    "instrument": "lc_otel.instrumentation",
    "record_evaluation": "lc_otel.evaluation",
    "traceparent": "lc_otel.evaluation",
    "uninstrument": "lc_otel.instrumentation",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for.

    The pytest plugin is loaded into every session of every project, and ``lc-otel view`` reads
    files: neither needs LangChain, pydantic and the exporters.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
