"""No code in, every LangChain run traced out: `instrument`, and OpenTelemetry's instrumentor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lc_otel._handler import OTelCallbackHandler
from lc_otel._install import install, installed, uninstall

try:
    from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]  # it is
        BaseInstrumentor,
    )
except ImportError as error:  # the package is for those who use it; what it needs is said on use
    _missing = error

    class BaseInstrumentor:  # type: ignore[no-redef]  # stands in for the one that is missing
        """Says what to install."""

        def __init__(self) -> None:
            raise ImportError(
                "LangChainInstrumentor needs opentelemetry-instrumentation; "
                "install it with: pip install opentelemetry-distro"
            ) from _missing


if TYPE_CHECKING:
    from collections.abc import Collection

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from lc_otel.config import Config

__all__ = ["LangChainInstrumentor", "instrument", "uninstrument"]


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    config: Config | None = None,
) -> OTelCallbackHandler:
    """Trace every LangChain run of the process, in every thread, without touching the program.

    Nothing is patched: LangChain itself asks for the handler whenever it configures callbacks.
    Where an `OTelCallbackHandler` is attached by hand as well, that one is used and no run is told
    twice.
    Called again while in force, it changes nothing and gives back the handler in force.

    Args:
        tracer_provider: Where spans go; the global provider where None.
        meter_provider: Where metrics go; the global provider where None.
        logger_provider: Where log events go; the global provider where None.
        config: What is recorded.

    Returns:
        The handler to which all runs are told.
    """
    handler = installed()
    if handler is None:
        handler = OTelCallbackHandler(tracer_provider, meter_provider, logger_provider, config)
        install(handler)
    return handler


def uninstrument() -> None:
    """Stop tracing runs that start from now on; `instrument` may be called again."""
    uninstall()


class LangChainInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped where it is missing
    """`instrument` as ``opentelemetry-instrument python app.py`` calls it.

    Keyword arguments of ``instrument()`` are those of `instrument`.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions of LangChain it works with."""
        return ["langchain-core >= 0.3.61, < 2"]

    def _instrument(self, **kwargs: Any) -> None:
        instrument(
            kwargs.get("tracer_provider"),
            kwargs.get("meter_provider"),
            kwargs.get("logger_provider"),
            kwargs.get("config"),
        )

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 -- the base class's signature
        uninstrument()
