"""Spans in, trace files out, and back: OTLP/JSON, one export request a line, ids in hex.

This is the format the Collector's file exporter writes and its otlpjsonfile receiver reads
(https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/).
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from google.protobuf.json_format import (  # type: ignore[import-untyped]  # ships no stubs
    MessageToDict,
)
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from lc_otel._errand import call_in_child
from lc_otel._trace import FinishedSpan, SpanEvent

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_logger = logging.getLogger(__name__)

MAX_BYTES = 100 * 1024 * 1024
"""The size at which a trace file is set aside, unless told otherwise."""

KEEP = 9
"""How many files set aside are kept, unless told otherwise."""

Request = dict[str, Any]
"""An ExportTraceServiceRequest as OTLP/JSON spells it."""

ResourceT = TypeVar("ResourceT")
SpanT = TypeVar("SpanT")

Warn = Callable[[str], None]
"""Told of each part of a file that is skipped, in one line that names the place."""

_ID_DIGITS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
"""The fields of a span and of a link that hold ids, with their lengths in hex digits."""

_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
"""By SpanKind number; 0 is unspecified, which OTLP says to take as internal."""

_STATUSES = ("unset", "ok", "error")
"""By StatusCode number."""

_IS_REMOTE = 0x200
"""The bit of a span's and a link's flags that says so of its parent and its target."""

_UINT64 = 2**64

_LINE_BYTES = 1_000_000
"""The Collector's receiver loses a line of more than 1 MiB, unless told a ``max_log_size``."""

_SIGNALS = frozenset({"resourceSpans", "resourceMetrics", "resourceLogs"})
"""What the top of an OTLP/JSON request may hold; only the first is ours to read."""

_MALFORMED = (
    AttributeError,
    KeyError,
    IndexError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading JSON of another shape than OTLP's may raise."""


class TraceFileExporter(SpanExporter):
    """Append spans to a trace file that several threads and processes may share.

    Nothing is held back: when `export` returns, the operating system has the spans. At
    ``max_bytes`` the file is set aside as ``NAME-<UTC time>.EXT`` and begun anew, and the oldest
    ones beyond ``keep`` are deleted. Writers take turns by a lock on ``.NAME.EXT.lock`` beside the
    file.

    Args:
        path: The file; its folder is made where it is missing.
        max_bytes: The size in bytes that a file does not exceed, unless one batch alone does.
        keep: How many files set aside to keep.

    Raises:
        OSError: The file cannot be opened for writing.
        ValueError: ``max_bytes`` or ``keep`` is out of range.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, keep: int = KEEP
    ) -> None:
        if max_bytes < 1 or keep < 0:
            msg = f"max_bytes must be at least 1 and keep at least 0, not {max_bytes} and {keep}"
            raise ValueError(msg)
        self.path = Path(path).absolute()  # a later chdir must not move the file
        self._lock = _Lock(self.path.with_name(f".{self.path.name}.lock"))
        self._max_bytes = max_bytes
        self._keep = keep
        self._failing = False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab"):
            pass

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write a line, or several short ones; of failures in a row only the first is logged."""
        try:
            self._append(b"".join(_lines(spans)))
        except (OSError, TypeError, ValueError) as error:  # full disk; a span that has no encoding
            if not self._failing:
                reason = getattr(error, "strerror", None) or error
                _logger.warning("%d spans lost: cannot write %s: %s", len(spans), self.path, reason)
            self._failing = True
            return SpanExportResult.FAILURE
        self._failing = False
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's name
        """Whether the last line was written; nothing is held back."""
        return not self._failing

    def shutdown(self) -> None:
        """Do nothing: no file stays open between two exports."""

    def _append(self, lines: bytes) -> None:
        with self._lock.held():
            size = self.path.stat().st_size if self.path.exists() else 0
            if size and size + len(lines) > self._max_bytes:
                self._set_aside()
            with self.path.open("a+b", buffering=0) as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # its writer was killed half-way: close that line
                        lines = b"\n" + lines
                while lines:
                    lines = lines[file.write(lines) :]

    def _set_aside(self) -> None:
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        self.path.rename(self.path.with_stem(f"{self.path.stem}-{now}"))
        name = re.compile(
            re.escape(self.path.stem) + r"-\d{8}T\d{6}\.\d{6}" + re.escape(self.path.suffix)
        )
        aside = sorted(path for path in self.path.parent.iterdir() if name.fullmatch(path.name))
        for path in aside[: max(len(aside) - self._keep, 0)]:
            path.unlink(missing_ok=True)


def _lines(spans: Sequence[ReadableSpan]) -> Iterator[bytes]:
    line = json.dumps(encode_request(spans), separators=(",", ":")).encode() + b"\n"
    if len(line) <= _LINE_BYTES or len(spans) == 1:
        yield line
    else:
        half = len(spans) // 2
        yield from _lines(spans[:half])
        yield from _lines(spans[half:])


def encode_request(spans: Sequence[ReadableSpan]) -> Request:
    """Encode SDK spans as OTLP/JSON.

    Raises:
        ValueError: A name or a status message has no UTF-8 encoding (a lone surrogate).
    """
    return _spell(encode_spans(spans))


def _spell(message: ExportTraceServiceRequest) -> Request:
    request: Request = MessageToDict(message, use_integers_for_enums=True)
    for _, _, span in _walk(request):
        for holder in (span, *span.get("links", ())):
            for name in _ID_DIGITS.keys() & holder.keys():
                holder[name] = base64.b64decode(holder[name]).hex()
    return request


class _Lock:
    """A lock that excludes other threads and processes; it falls when its holder dies.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: set[int] = set()
        call_in_child(self._let_go)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock, and hold it in the block."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
        self._opened.add(descriptor)
        try:
            _acquire(descriptor)
            try:
                yield
            finally:
                _release(descriptor)
        finally:
            self._opened.discard(descriptor)
            os.close(descriptor)

    def _let_go(self) -> None:
        """In a forked child: keep no part in what the parent's threads hold or wait for."""
        for descriptor in self._opened:
            os.close(descriptor)
        self._opened = set()


if sys.platform == "win32":

    def _acquire(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

    def _release(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def _acquire(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _release(descriptor: int) -> None:
        # said outright, since a child forked meanwhile may have the file open too
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class RequestLine(NamedTuple):
    """One line of a trace file."""

    number: int
    """The file's first line is 1."""
    start: int
    """The offset in bytes of its first byte."""
    end: int
    """The offset after its last byte."""
    request: Request


def read_requests(
    path: Path, warn: Warn, *, start: int = 0, number: int = 1
) -> Iterator[RequestLine]:
    """Read a trace file line by line; only one line is held at a time.

    A line that is no OTLP/JSON request is skipped with a warning; metrics, logs and empty lines are
    skipped without. A broken last line without its line break may be in the making: the warning
    says so.

    Args:
        path: The file.
        warn: Told of each line skipped.
        start: The offset to begin at, that of a line's first byte.
        number: The number of the line there.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        end = file.seek(start)
        for n, raw in enumerate(file, number):
            begin, end = end, end + len(raw)
            request = parse_line(path, n, raw, warn)
            if request is not None:
                yield RequestLine(n, begin, end, request)


def parse_line(path: Path, number: int, raw: bytes, warn: Warn) -> Request | None:
    """The request that a line of a trace file holds; None where it holds none with spans."""
    if not raw.strip():
        return None
    try:
        request = json.loads(raw)
    except _MALFORMED:
        half = "" if raw.endswith(b"\n") else "; its end is missing, is it being written?"
        warn(f"{path}:{number}: skipped a line that is no JSON{half}")
        return None
    if not isinstance(request, dict) or not _SIGNALS & request.keys():
        warn(f"{path}:{number}: skipped a line without resourceSpans; is this a trace file?")
        return None
    return request if "resourceSpans" in request else None


def read_spans(path: Path, warn: Warn) -> Iterator[FinishedSpan]:
    """Read the spans of a trace file in the order in which they stand there, line by line.

    Raises:
        OSError: The file cannot be read.
    """
    for line in read_requests(path, warn):
        yield from decode_line(path, line, warn)


def decode_line(path: Path, line: RequestLine, warn: Warn) -> Iterator[FinishedSpan]:
    """Decode the spans of a line of a file; a malformed one is skipped with a warning."""
    return _decode_each(path, line, warn, _decode_resource, _decode_span)


def restore_line(path: Path, line: RequestLine, warn: Warn) -> Iterator[ReadableSpan]:
    """Make the spans of a line into what an exporter takes, and encodes as they were."""
    return _decode_each(path, line, warn, _restore_resource, _restore_span)


def restore_request(message: ExportTraceServiceRequest) -> list[ReadableSpan]:
    """Make the spans of a request that `encode_spans` made into what it was made of."""
    resources: dict[int, Resource] = {}
    spans = []
    for resource_spans, scope_spans, span in _walk(_spell(message)):
        if id(resource_spans) not in resources:
            resources[id(resource_spans)] = _restore_resource(resource_spans)
        spans.append(_restore_span(span, resources[id(resource_spans)], scope_spans))
    return spans


def _decode_each(
    path: Path,
    line: RequestLine,
    warn: Warn,
    decode_resource: Callable[[Mapping[str, Any]], ResourceT],
    decode_span: Callable[[Mapping[str, Any], ResourceT, Mapping[str, Any]], SpanT],
) -> Iterator[SpanT]:
    where = f"{path}:{line.number}"
    try:
        found = list(_walk(line.request))
    except _MALFORMED:
        warn(f"{where}: skipped a line whose resourceSpans have another shape than OTLP/JSON")
        return
    resources: dict[int, ResourceT] = {}
    for resource_spans, scope_spans, span in found:
        try:
            resource = resources.get(id(resource_spans))
            if resource is None:
                resource = resources[id(resource_spans)] = decode_resource(resource_spans)
            decoded = decode_span(span, resource, scope_spans)
        except _MALFORMED as error:  # noqa: PERF203 - a broken span costs only itself
            warn(f"{where}: skipped a span: {error}")
        else:
            yield decoded


def _walk(request: Request) -> Iterator[tuple[Any, Any, Any]]:
    """Every span of a request, with the ResourceSpans and ScopeSpans that hold it."""
    for resource_spans in _elements(request.get("resourceSpans")):
        for scope_spans in _elements(resource_spans.get("scopeSpans")):
            for span in _elements(scope_spans.get("spans")):
                yield resource_spans, scope_spans, span


def _elements(array: Any) -> list[Any]:
    """A JSON array's; what is missing has none."""
    if array is not None and not isinstance(array, list):
        raise TypeError(f"expected an array, saw {type(array).__name__}")
    return array or []


def _decode_resource(resource_spans: Mapping[str, Any]) -> Mapping[str, Any]:
    return _attributes(resource_spans.get("resource") or {})


def _decode_span(
    span: Mapping[str, Any], resource: Mapping[str, Any], scope_spans: Mapping[str, Any]
) -> FinishedSpan:
    status = span.get("status") or {}
    return FinishedSpan(
        trace_id=_id(span, "traceId"),
        span_id=_id(span, "spanId"),
        parent_id=_id(span, "parentSpanId") if span.get("parentSpanId") else None,
        name=_text(span.get("name") or ""),
        kind=_KINDS[int(span.get("kind") or 0)],
        start_ns=_time(span, "startTimeUnixNano"),
        end_ns=_time(span, "endTimeUnixNano"),
        status=_STATUSES[int(status.get("code") or 0)],
        status_message=_text(status.get("message") or ""),
        attributes=_attributes(span),
        events=[
            SpanEvent(
                _text(event.get("name") or ""), _time(event, "timeUnixNano"), _attributes(event)
            )
            for event in span.get("events") or ()
        ],
        links=[(_id(link, "traceId"), _id(link, "spanId")) for link in span.get("links") or ()],
        resource=resource,
        scope=_text((scope_spans.get("scope") or {}).get("name") or ""),
    )


class _RestoredSpan(ReadableSpan):
    """A span from a file, which knows what the span it was had dropped."""

    _dropped: Mapping[str, int]

    @property
    def dropped_attributes(self) -> int:
        return self._dropped["Attributes"]

    @property
    def dropped_events(self) -> int:
        return self._dropped["Events"]

    @property
    def dropped_links(self) -> int:
        return self._dropped["Links"]


def _restore_resource(resource_spans: Mapping[str, Any]) -> Resource:
    schema = _text(resource_spans.get("schemaUrl") or "")
    return Resource(_decode_resource(resource_spans), schema)


def _restore_span(
    span: Mapping[str, Any], resource: Resource, scope_spans: Mapping[str, Any]
) -> ReadableSpan:
    known = _decode_span(span, {}, scope_spans)
    scope = scope_spans.get("scope") or {}
    parent = {"traceId": known.trace_id, "spanId": known.parent_id, "flags": span.get("flags")}
    restored = _RestoredSpan(
        name=known.name,
        context=_restore_context({**span, "flags": 0}),
        parent=_restore_context(parent) if known.parent_id else None,
        resource=resource,
        attributes=known.attributes,
        events=[Event(event.name, event.attributes, event.time_ns) for event in known.events],
        links=[Link(_restore_context(li), _attributes(li)) for li in span.get("links") or ()],
        kind=SpanKind[known.kind.upper()],
        status=Status(StatusCode[known.status.upper()], known.status_message or None),
        start_time=known.start_ns,
        end_time=known.end_ns,
        instrumentation_scope=InstrumentationScope(
            known.scope,
            _text(scope.get("version") or ""),
            _text(scope_spans.get("schemaUrl") or ""),
            _attributes(scope),
        ),
    )
    restored._dropped = {  # noqa: SLF001 - our own class
        what: int(span.get(f"dropped{what}Count") or 0)
        for what in ("Attributes", "Events", "Links")
    }
    return restored


def _restore_context(holder: Mapping[str, Any]) -> SpanContext:
    state = holder.get("traceState")
    return SpanContext(
        int(_id(holder, "traceId"), 16),
        int(_id(holder, "spanId"), 16),
        is_remote=bool(int(holder.get("flags") or 0) & _IS_REMOTE),
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([state]) if state else None,
    )


def _id(holder: Mapping[str, Any], name: str) -> str:
    value = str(holder.get(name, "")).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{_ID_DIGITS[name]}}}", value):
        msg = f"its {name} is {value[:40]!r}, not {_ID_DIGITS[name]} hex digits"
        raise ValueError(msg)
    return value


def _time(holder: Mapping[str, Any], name: str) -> int:
    value = int(holder.get(name) or 0)
    if not 0 <= value < _UINT64:
        msg = f"its {name} is {value}, not nanoseconds since 1970"
        raise ValueError(msg)
    return value


def _text(value: Any) -> str:
    """A text without lone surrogates, which JSON can spell and nothing else can carry."""
    return str(value).encode("utf-8", "replace").decode()


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return _decode_pairs(holder.get("attributes") or ())


def _decode_pairs(pairs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {_text(pair["key"]): _decode_value(pair.get("value") or {}) for pair in pairs}


def _decode_value(value: Mapping[str, Any]) -> Any:
    for kind, held in value.items():
        return _DECODERS[kind](held)
    return None


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": _text,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,  # also reads "NaN" and "Infinity", as protobuf's JSON spells them
    "bytesValue": base64.b64decode,
    "arrayValue": lambda array: [_decode_value(value) for value in array.get("values") or ()],
    "kvlistValue": lambda pairs: _decode_pairs(pairs.get("values") or ()),
}
"""By the name of AnyValue's one field."""
