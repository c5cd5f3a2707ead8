"""What a model call says in, the log event that tells it with its content out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import _logs
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.version import __version__ as api_version
from pydantic_core import to_json

from lc_otel._version import __version__
from lc_otel.conventions._names import INFERENCE_DETAILS

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context

_TAKES_MIXED_LISTS = tuple(map(int, api_version.split(".")[:2])) >= (1, 45)


class DetailsLog:
    """Emits ``gen_ai.client.inference.operation.details`` (GenAI conventions, events).

    Args:
        provider: Where log events go; the global provider where None.
    """

    def __init__(self, provider: LoggerProvider | None) -> None:
        self._logger = _logs.get_logger("lc_otel", __version__, logger_provider=provider)

    def emit(self, attributes: dict[str, Any], timestamp: int, context: Context) -> None:
        """Emit one event.

        Args:
            attributes: What it says.
            timestamp: Nanoseconds since the epoch.
            context: Of the model call's span, so that the two are found together.
        """
        if not _TAKES_MIXED_LISTS:
            attributes = _unmixed(attributes)
        self._logger.emit(
            LogRecord(
                timestamp=timestamp,
                context=context,
                severity_number=SeverityNumber.DEBUG,  # as the conventions ask (events.yaml)
                attributes=attributes,
                event_name=INFERENCE_DETAILS,
            )
        )


def _unmixed(value: Any) -> Any:
    """The value with each list of items of several types as JSON: before 1.45 the API drops it."""
    if isinstance(value, dict):
        return {key: _unmixed(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    items = [_unmixed(item) for item in value]
    kinds = {type(item) for item in items if item is not None}
    return items if len(kinds) <= 1 else to_json(value).decode()
