"""LangChain's callbacks, told as OpenTelemetry spans."""

from lc_otel._version import __version__

__all__ = ["__version__"]
