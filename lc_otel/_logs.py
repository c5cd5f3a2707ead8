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

_LEVELS = 24
"""Of dicts and lists. A level of dicts is three of protobuf messages, and protobuf decoders, the
exporter's own among them, refuse a whole request over one that is more than 100 deep."""

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
        self._logger.emit(
            LogRecord(
                timestamp=timestamp,
                context=context,
                severity_number=SeverityNumber.DEBUG,  # as the conventions ask (events.yaml)
                attributes={key: _plain(value, _LEVELS) for key, value in attributes.items()},
                event_name=INFERENCE_DETAILS,
            )
        )


def _plain(value: Any, levels: int) -> Any:
    """The value as a log record can carry it: what lies deeper is JSON.

    So is, before 1.45 of the API, a list of items of several types, which it would drop.
    """
    if not isinstance(value, (dict, list)):
        return value
    if not levels:
        return to_json(value).decode()
    if isinstance(value, dict):
        return {key: _plain(item, levels - 1) for key, item in value.items()}
    items = [_plain(item, levels - 1) for item in value]
    if _TAKES_MIXED_LISTS or len({type(item) for item in items if item is not None}) <= 1:
        return items
    return to_json(value).decode()
