"""Ship trace files to a backend, and remember beside each file how far that came."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from lc_otel._commands import CommandError
from lc_otel._commands._backend import add_backend_arguments, quiet
from lc_otel._commands._skipped import Skipped, say
from lc_otel._commands._whole import write_whole
from lc_otel._pipeline import build_span_exporter
from lc_otel._queue import REQUEST_BYTES
from lc_otel._redelivery import REFUSED
from lc_otel._tracefile import read_requests, restore_line
from lc_otel.config import read_export_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan  # noqa: TID251 - passed on, never looked into
    from typing_extensions import Self

    from lc_otel._delivery import CountedExporter

_REQUEST_BYTES = 1024 * 1024
"""JSON that goes into one request; its encoding is smaller, and receivers take 4 MiB by default."""

_REFUSALS = 20  # with nothing taken, until the backend is at fault and not the spans
_FINGERPRINT_BYTES = 4096
_REMEMBERED = 20  # files that had one name, one after another
_BAR_WIDTH = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which files go where."""
    parser.add_argument(
        "file", nargs="+", type=Path, metavar="FILE", help="OTLP/JSON lines, as configure(file=...)"
    )
    add_backend_arguments(parser)
    parser.add_argument(
        "--restart", action="store_true", help="send from the start, whatever was sent before"
    )


def run(arguments: argparse.Namespace) -> int:
    """Send what was not sent to that backend before."""
    settings = read_export_settings(
        endpoint=arguments.endpoint,
        protocol=arguments.protocol,
        headers=dict(arguments.header) or None,
    )
    if settings.traces is None:
        raise CommandError("OTEL_TRACES_EXPORTER says to send nothing; name an --endpoint")
    address = settings.traces.address
    with quiet("opentelemetry", "lc_otel"):
        exporter = build_span_exporter(settings.traces, settings)
        exporter.closing = True  # this command says by itself what went wrong
        delivery = _Delivery(exporter)
        try:
            for path in arguments.file:
                _send(path, delivery, address, restart=arguments.restart)
        except OSError as error:
            raise CommandError(f"{error.filename or 'a file'}: {error.strerror or error}") from None
        finally:
            exporter.shutdown()
    return int(delivery.refused > 0)


def _send(path: Path, delivery: _Delivery, address: str, *, restart: bool) -> None:
    sent_before, refused_before = delivery.sent, delivery.refused
    with _Progress(path, address) as progress, _Bar(path) as bar:
        if restart:
            progress.forget(bar.say)
        begin = _Position() if restart else progress.read()
        skipped, refused = Skipped(bar.say), Skipped(bar.say)
        for batch in _batches(path, begin, skipped):
            for piece in batch.pieces():
                not_taken = delivery.send(piece, path, refused)
                if not_taken is not None:
                    raise CommandError(
                        f"{address} did not take the spans: {not_taken}; "
                        f"{delivery.sent - sent_before:,} spans of {path} were sent, the same "
                        "command goes on from there"
                    )
            progress.write(batch.end, bar.say)
            bar.draw(batch.end.offset, delivery.sent - sent_before)
        skipped.close()
        refused.close()
    sent, lost = delivery.sent - sent_before, delivery.refused - refused_before
    if skipped.count and not sent and not lost and not begin.offset:
        raise CommandError(f"no spans in {path}")
    not_sent = f", {lost:,} cannot be sent" if lost else ""
    before = " (the rest was sent before)" if begin.offset else ""
    print(f"sent {sent:,} spans of {path} to {address}{not_sent}{before}")


class _Line(NamedTuple):
    """A span, and the number of its line."""

    span: ReadableSpan
    number: int


class _Delivery:
    """Sends spans, and tells those that cannot be sent from a backend that takes none."""

    def __init__(self, exporter: CountedExporter) -> None:
        self._exporter = exporter
        self.sent = 0
        self.refused = 0

    def send(self, spans: Sequence[_Line], path: Path, say: Callable[[str], None]) -> str | None:
        """Send spans; those that would be refused the next time too are said and left out.

        Returns:
            None, or why the backend takes none now; it may later.
        """
        left = [spans]
        while left:
            some = left.pop()
            reason = self._exporter.attempt([line.span for line in some])
            if reason is None:
                self.sent += len(some)
            elif not self._are_at_fault(some, reason):
                return reason
            elif len(some) > 1:
                left += [some[len(some) // 2 :], some[: len(some) // 2]]
            else:
                self.refused += 1
                say(f"{path}:{some[0].number}: skipped a span that cannot be sent: {reason}")
        return None

    def _are_at_fault(self, spans: Sequence[_Line], reason: str) -> bool:
        if REFUSED.match(reason):
            return self.sent > 0 or self.refused < _REFUSALS
        try:
            size = encode_spans([line.span for line in spans]).ByteSize()
        except Exception:  # noqa: BLE001  # protobuf has many
            return True
        # older exporters say no more, whether the request is too large or the backend is busy
        return reason == "RESOURCE_EXHAUSTED" and size > REQUEST_BYTES


class _Position(NamedTuple):
    """A place between two lines of a file."""

    offset: int = 0
    """In bytes."""
    line: int = 1
    """The number of the line that begins there."""


class _Batch(NamedTuple):
    """The spans of some lines in a row."""

    spans: list[_Line]
    size: int
    """Of the lines, in bytes."""
    end: _Position

    def pieces(self) -> Iterator[list[_Line]]:
        """Cut a single line that is too long for one request."""
        length = max(len(self.spans) * _REQUEST_BYTES // max(self.size, 1), 1)
        for begin in range(0, len(self.spans), length):
            yield self.spans[begin : begin + length]


def _batches(path: Path, begin: _Position, warn: Any) -> Iterator[_Batch]:
    """Gather lines until they fill a request."""
    spans: list[_Line] = []
    size = 0
    end = begin
    for line in read_requests(path, warn, start=begin.offset, number=begin.line):
        length = line.end - line.start
        if spans and size + length > _REQUEST_BYTES:
            yield _Batch(spans, size, end)
            spans, size = [], 0
        spans.extend(_Line(span, line.number) for span in restore_line(path, line, warn))
        size += length
        end = _Position(line.end, line.number + 1)
    if end != begin:
        yield _Batch(spans, size, end)


class _Progress:
    """How far a file has come at a backend; kept in ``.NAME.sent`` beside it.

    A file is known by how it begins and by what stands before the place that was reached, whatever
    it is called: one that was set aside is remembered under the name it had.
    """

    def __init__(self, path: Path, address: str) -> None:
        self._folder = path.parent
        self._address = address
        self._memory = path.with_name(f".{path.name}.sent")
        self._is_kept = True
        self._file: IO[bytes] = path.open("rb")  # stays the same though it be set aside

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def read(self) -> _Position:
        """Where to go on; the start if nothing was sent yet."""
        known = (
            _Position(entry["offset"], entry["line"])
            for memory in {self._memory, *self._folder.glob(".*.sent")}
            for entry in self._entries(_read_memory(memory))
            if self._is_ours(entry)
        )
        return max(known, default=_Position())

    def forget(self, say: Callable[[str], None]) -> None:
        """Start anew, whatever names the file had."""
        for path in self._folder.glob(".*.sent"):
            memory = _read_memory(path)
            entries = self._entries(memory)
            others = [entry for entry in entries if not self._is_ours(entry)]
            if len(others) < len(entries):
                self._keep(path, {**memory, self._address: others}, say)

    def write(self, position: _Position, say: Callable[[str], None]) -> None:
        """Remember that everything before a position has arrived, or say that this cannot be."""
        memory = _read_memory(self._memory)
        others = [entry for entry in self._entries(memory) if not self._is_ours(entry)]
        entry = {**position._asdict(), "hash": self._fingerprint(position.offset)}
        self._keep(self._memory, {**memory, self._address: [entry, *others[:_REMEMBERED]]}, say)

    def _keep(self, path: Path, memory: dict[str, Any], say: Callable[[str], None]) -> None:
        try:
            write_whole(path, [json.dumps(memory)])
        except OSError as error:  # traces on a volume that is mounted to be read
            if self._is_kept:
                say(f"cannot keep {path}: {error.strerror}; next time all is sent again")
            self._is_kept = False

    def _entries(self, memory: dict[str, Any]) -> list[dict[str, Any]]:
        """What is remembered of files at this backend."""
        entries = memory.get(self._address)
        return [
            entry
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, dict)
            and isinstance(entry.get("offset"), int)
            and isinstance(entry.get("line"), int)
        ]

    def _is_ours(self, entry: dict[str, Any]) -> bool:
        return bool(entry.get("hash") == self._fingerprint(entry["offset"]))

    def _fingerprint(self, offset: int) -> str:
        """A hash of how the file begins, and of what stands before an offset it must reach."""
        if not 0 <= offset <= self._file.seek(0, 2):
            return "shorter"
        self._file.seek(0)
        start = self._file.read(min(offset, _FINGERPRINT_BYTES))
        self._file.seek(max(offset - _FINGERPRINT_BYTES, 0))
        end = self._file.read(min(offset, _FINGERPRINT_BYTES))
        return hashlib.sha256(start + end).hexdigest()


def _read_memory(path: Path) -> dict[str, Any]:
    """Positions by backend; none where there is no memory, or it cannot be read."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


class _Bar:
    """A progress bar on stderr, where that is a terminal."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._size = path.stat().st_size
        self._shown = sys.stderr.isatty()

    def draw(self, offset: int, spans: int) -> None:
        """Show how much of the file has been sent."""
        if not self._shown:
            return
        share = min(offset / max(self._size, 1), 1.0)
        bar = ("#" * round(share * _BAR_WIDTH)).ljust(_BAR_WIDTH, ".")
        line = f"{self._name} [{bar}] {share:4.0%} {spans:,} spans"
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def say(self, what: str) -> None:
        """Say something above the bar."""
        self._clear()
        say(what)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
