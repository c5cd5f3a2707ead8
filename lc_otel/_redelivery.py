"""Spans in; to the backend while it answers, else to the spool, and from there once it does."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no stubs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lc_otel._delivery import CountedExporter, OwnExporter
from lc_otel._errand import Runner
from lc_otel._spool import CorruptEntryError, Entry, Spool
from lc_otel._tracefile import restore_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

_logger = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds between two looks at what is kept."""

_TICK = 0.02  # seconds; how soon a shutdown is noticed by who waits for a backend

REFUSED = re.compile(r"INVALID_ARGUMENT|(400|413|422)\b|.*larger than max", re.DOTALL)
"""Answers that will be the same the next time: the request itself is at fault. All others, a wrong
API key among them, are about the backend and may pass."""


class SpooledExporter(CountedExporter):
    """Keeps on disk what the backend does not take, and delivers it, oldest first, when it does.

    Nothing overtakes: while anything is kept, new spans are kept as well. One process of those that
    share a spool delivers at a time.

    Args:
        inner: The exporter that does the work.
        address: Its backend, for the log.
        spool: Where undelivered requests are kept.
        retry: Seconds between two looks at what is kept.
    """

    def __init__(
        self,
        inner: SpanExporter | OwnExporter,
        address: str,
        spool: Spool,
        retry: float = RETRY,
    ) -> None:
        self._spool = spool
        self._retry = retry
        self._stopping = threading.Event()
        self._runner = Runner("lc-otel-send")
        super().__init__(inner, address)

    def _begin(self) -> None:
        super()._begin()
        self._deadline: float | None = None
        self._own: dict[Path, int] = {}
        """Files of this process, with the spans in each."""
        self._delivering = threading.Lock()
        self._away = False
        self._stopping = threading.Event()
        threading.Thread(target=self._work, name="lc-otel-spool", daemon=True).start()

    @property
    def kept(self) -> int:
        """Spans of this process that wait in the spool."""
        self._settle()
        with self._counting:
            return sum(self._own.values())

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver spans or keep them; a failure only where neither can be."""
        sending = _Sending(self, spans)
        if self._is_clear() and self._send(sending):
            if sending.reason is None:
                with self._counting:
                    self.exported += len(spans)
                return SpanExportResult.SUCCESS
            if REFUSED.match(sending.reason):
                self._lose(len(spans), sending.reason)
                return SpanExportResult.FAILURE
        return self._keep(sending)

    def _is_clear(self) -> bool:
        """Whether nothing older waits; a spool that cannot be read holds nobody up."""
        try:
            return self._spool.is_empty()
        except OSError:
            return True

    def _send(self, sending: _Sending) -> bool:
        """Try to send; whether there was an answer before a shutdown had to go on without."""
        if self._is_too_late():
            return False
        self._runner.run(sending.run, 0)
        while not sending.done.wait(_TICK):
            if self._is_too_late():
                return False
        return True

    def _is_too_late(self) -> bool:
        return self._runner.closed or (
            self._deadline is not None and time.monotonic() > self._deadline
        )

    def _keep(self, sending: _Sending) -> SpanExportResult:
        count = len(sending.spans)
        try:
            request = encode_spans(sending.spans).SerializeToString()
            path, evicted = self._spool.put(request, count)
        except (OSError, TypeError, ValueError) as error:  # full disk; a span without an encoding
            reason = getattr(error, "strerror", None) or error
            self._lose(count, f"{sending.reason or 'not sent'}, nor kept in the spool: {reason}")
            return SpanExportResult.FAILURE
        with self._counting:
            self._own[path] = count
        sending.keep(path)
        if evicted:
            with self._counting:
                for entry in evicted:
                    self._own.pop(entry.path, None)
            self._lose(sum(entry.spans for entry in evicted), "the spool is full, the oldest went")
        if sending.reason is not None:
            self.last_error = sending.reason
            if not self._away and not self.closing:
                _logger.warning(
                    "%d span(s) did not reach %s: %s (they and what follows are kept in %s until "
                    "it answers)",
                    count,
                    self._address,
                    sending.reason,
                    self._spool.path,
                )
            self._away = True
        elif self.closing:
            self.last_error = self.last_error or "no answer in time"
        return SpanExportResult.SUCCESS

    def delivered_late(self, path: Path) -> None:
        """A backend that was not waited for any longer took its spans after all."""
        path.unlink(missing_ok=True)
        self._account(path)

    def _account(self, path: Path) -> None:
        with self._counting:
            self.exported += self._own.pop(path, 0)

    def _settle(self) -> None:
        """Count what another process delivered for this one."""
        for path in list(self._own):
            if not path.exists():
                self._account(path)

    # -- delivering what is kept

    def _work(self) -> None:
        stopping, pause, readable = self._stopping, 0.0, True
        while not stopping.wait(pause):  # at first at once: a process before may have left some
            pause = self._retry
            try:
                self._deliver()
                readable = True
            except OSError as error:
                if readable:
                    _logger.warning("The spool %s: %s.", self._spool.path, error.strerror)
                readable = False

    def _deliver(self) -> bool:
        """Send what is kept, oldest first, until something fails; whether nothing is left."""
        if self._spool.is_empty():
            return True
        with self._delivering, self._spool.turn() as is_ours:
            if not is_ours:
                return False
            for path in self._spool.half_written():
                self._set_aside(path)
            count = 0
            for entry in self._spool.entries():
                if not self._deliver_one(entry):
                    return False
                count += entry.spans
            if self._away:
                self._away = False
                _logger.info(
                    "%s answers again: %d span(s) delivered from %s.",
                    self._address,
                    count,
                    self._spool.path,
                )
        return True

    def _deliver_one(self, entry: Entry) -> bool:
        """Send one entry; False where the backend did not take it and may later."""
        try:
            message = ExportTraceServiceRequest.FromString(self._spool.read(entry))
            spans = restore_request(message)
        except FileNotFoundError:
            return True  # it had to make room
        except (CorruptEntryError, DecodeError, LookupError, OSError, TypeError, ValueError):
            self._set_aside(entry.path)
            return True
        sending = _Sending(self, spans, entry.path)
        if not self._send(sending):
            return False
        if sending.reason is None:
            return True
        if not REFUSED.match(sending.reason):
            self.last_error = sending.reason
            return False
        entry.path.unlink(missing_ok=True)
        with self._counting:
            self._own.pop(entry.path, None)
        self._lose(entry.spans, sending.reason)
        return True

    def _set_aside(self, path: Path) -> None:
        with self._counting:
            self.failed += self._own.pop(path, 0)
        try:
            aside = self._spool.set_aside(path)
        except OSError:
            return  # another process did
        _logger.warning("%s cannot be read and is set aside as %s.", path, aside.name)

    # -- the end

    def close_within(self, seconds: float) -> None:
        """Wait for the backend no longer than this, or than was said before; keep the rest."""
        super().close_within(seconds)
        if self._deadline is None:
            self._deadline = time.monotonic() + seconds

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's name
        """Deliver what is kept; whether nothing of this process is left."""
        self._deliver()
        return not self.kept

    def shutdown(self) -> None:
        """Try once more to deliver what is kept, and stop."""
        self._stopping.set()
        try:
            self._deliver()
        finally:
            self._runner.close()
            super().shutdown()


class _Sending:
    """Spans on their way to the backend, which may be kept before it has answered."""

    def __init__(
        self, exporter: SpooledExporter, spans: Sequence[ReadableSpan], path: Path | None = None
    ) -> None:
        self.spans = spans
        self.reason: str | None = None
        """Why they were not taken; None also before that is known."""
        self.done = threading.Event()
        self._exporter = exporter
        self._path = path
        self._taken = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Send."""
        reason = self._exporter.attempt(self.spans)
        with self._lock:
            self.reason = reason
            self._taken = reason is None
            if self._taken and self._path is not None:
                self._exporter.delivered_late(self._path)
        self.done.set()

    def keep(self, path: Path) -> None:
        """Their file, which is of no use once they are taken."""
        with self._lock:
            self._path = path
            if self._taken:
                self._exporter.delivered_late(path)
