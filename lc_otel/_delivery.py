"""Spans on their way to a backend in, how many it took, and why not all, out."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lc_otel._errand import call_around_fork, call_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from typing_extensions import Self

_logger = logging.getLogger(__name__)


FORK_PATIENCE = 0.1
"""Seconds a fork waits at most for an export under way."""


class OwnExporter:
    """An exporter of any signal that a forked child makes anew: a connection has one user.

    Two processes that write to one connection garble each other's requests. And a process that
    forks while a thread of its own looks up a host name leaves the child the C library's lock held
    for ever (glibc does, in ``getaddrinfo``): so a fork waits a moment for an export under way.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = make()
        self._exporting = threading.Lock()
        self._forking: set[int] = set()
        call_in_child(self._forget)
        call_around_fork(self._pause, self._resume)

    def _forget(self) -> None:
        self._made = None
        self._exporting = threading.Lock()
        self._forking = set()

    def _pause(self) -> None:
        if self._exporting.acquire(timeout=FORK_PATIENCE):
            self._forking.add(threading.get_ident())

    def _resume(self) -> None:
        if threading.get_ident() in self._forking:
            self._forking.discard(threading.get_ident())
            self._exporting.release()

    @property
    def made(self) -> Any:
        """The exporter of this process."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """Export; one at a time, and never while the process forks."""
        with self._exporting:
            return self.made.export(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made, name)


class CountedExporter(SpanExporter):
    """Passes spans on, and remembers how many the backend took: `force_flush` will not tell.

    Args:
        inner: The exporter that does the work.
        address: Its backend, for the log.
    """

    def __init__(self, inner: SpanExporter | OwnExporter, address: str) -> None:
        self._inner = inner
        self._address = address
        self._reason = _ReasonHeard(inner.made if isinstance(inner, OwnExporter) else inner)
        self.closing = False
        """The pipeline is shutting down, and will say what was lost by itself."""
        self._begin()
        call_in_child(self._begin)

    def _begin(self) -> None:
        self._counting = threading.Lock()
        self.exported = 0
        self.failed = 0
        self.last_error: str | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, count, and log the first failure."""
        reason = self.attempt(spans)
        if reason is None:
            with self._counting:
                self.exported += len(spans)
            return SpanExportResult.SUCCESS
        self._lose(len(spans), reason)
        return SpanExportResult.FAILURE

    def attempt(self, spans: Sequence[ReadableSpan]) -> str | None:
        """Send spans; None where the backend took them, else why not."""
        with self._reason as heard:
            try:
                if self._inner.export(spans) is SpanExportResult.SUCCESS:
                    return None
            except Exception as error:  # noqa: BLE001  # a broken exporter loses no count
                return repr(error)
        return heard.cause or "no reason given"

    def _lose(self, count: int, reason: str) -> None:
        """Count spans that are given up, and say so the first time."""
        with self._counting:
            first = not self.failed
            self.failed += count
            self.last_error = reason
        if first and not self.closing:
            _logger.warning(
                "%d span(s) did not reach %s: %s (later ones are counted, and said at shutdown)",
                count,
                self._address,
                reason,
            )

    @property
    def kept(self) -> int:
        """Spans that were not delivered yet, and will be."""
        return 0

    def close_within(self, seconds: float) -> None:  # noqa: ARG002 - for who keeps what is left
        """The pipeline is shutting down, and has so long."""
        self.closing = True

    def shutdown(self) -> None:
        """Shut the inner exporter down, which also ends a retry it waits in."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Ask the inner exporter."""
        return self._inner.force_flush(timeout_millis)


class SideExporter:
    """Passes metrics or log events on to a backend that may take nothing but spans.

    Such a backend (Jaeger, Phoenix) refuses each export; the SDK's exporters would log an error a
    minute. After the first refusal nothing more is sent, and one line says so.

    Args:
        inner: The exporter that does the work.
        signal: What it sends, for the log.
        address: Its backend, for the log.
        is_known: Whether spans fail too; then the reason has been said.
    """

    _REFUSED = re.compile(r"UNIMPLEMENTED|\b(?:404|405|501)\b")

    def __init__(
        self, inner: OwnExporter, signal: str, address: str, is_known: Callable[[], bool]
    ) -> None:
        self._inner = inner
        self._is_known = is_known
        self._signal = signal
        self._address = address
        self._reason = _ReasonHeard(inner.made, silently=True)
        self._success: Any = None
        self._failed = False

    def export(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Export, unless the backend has refused; a refusal counts as success: nothing is amiss."""
        if self._success is not None:
            return self._success
        with self._reason as heard:
            result = self._inner.export(batch, *args, **kwargs)
        if result.name == "SUCCESS":
            return result
        reason = heard.cause or "no reason given"
        if self._REFUSED.search(reason):
            _logger.info(
                "%s takes no %s (%s): they are not sent.", self._address, self._signal, reason
            )
            self._success = type(result).SUCCESS
            return self._success
        if not self._failed and not self._is_known():
            self._failed = True
            _logger.warning(
                "%s did not reach %s: %s (said once)", self._signal, self._address, reason
            )
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _ReasonHeard(logging.Filter):
    """Hears in an exporter's own log why an export failed; its result says only that it did.

    A filter and not a handler, since it changes nothing about where the records go.

    Args:
        exporter: Whose log is heard.
        silently: Keep what is heard out of the log, for a caller that says it better.
    """

    _CAUSES = (
        re.compile(r"Failed to establish a new connection: (?P<cause>[^\"')]+)"),  # urllib3
        re.compile(r"Transient error (?P<cause>.+) encountered while"),
        re.compile(r"error code: (?:StatusCode\.)?(?P<cause>.+)", re.DOTALL),  # gRPC
        re.compile(r"batch code: (?P<cause>.+)", re.DOTALL),  # HTTP
    )

    def __init__(self, exporter: Any, *, silently: bool = False) -> None:
        super().__init__()
        self._silently = silently
        modules = {base.__module__ for base in type(exporter).__mro__}
        self._loggers = [logging.getLogger(module) for module in modules]
        self._thread: int | None = None
        self.cause: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Remember the cause, and let the record pass unless that is not wanted."""
        if record.thread == self._thread and record.levelno >= logging.WARNING:
            message = record.getMessage()
            found = next(filter(None, (cause.search(message) for cause in self._CAUSES)), None)
            if found:
                self.cause = " ".join(found["cause"].split())
            elif self.cause is None:
                self.cause = " ".join(message.split())
            return not self._silently
        return True

    def __enter__(self) -> Self:
        self._thread, self.cause = threading.get_ident(), None
        # first, since the exporters' own DuplicateFilter hides a reason that was given just before
        for logger in self._loggers:
            logger.filters.insert(0, self)
        return self

    def __exit__(self, *raised: object) -> None:
        for logger in self._loggers:
            logger.removeFilter(self)
