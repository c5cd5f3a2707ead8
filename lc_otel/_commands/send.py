"""Ship trace files to a backend, and remember beside each file how far that came."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lc_otel._commands import CommandError
from lc_otel._commands._backend import add_backend_arguments, quiet
from lc_otel._commands._skipped import Skipped, say
from lc_otel._commands._whole import write_whole
from lc_otel._pipeline import build_span_exporter
from lc_otel._tracefile import read_requests, restore_line
from lc_otel.config import read_export_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan  # noqa: TID251 - passed on, never looked into
    from typing_extensions import Self

    from lc_otel._delivery import CountedExporter

_REQUEST_BYTES = 1024 * 1024
"""JSON that goes into one request; its encoding is smaller, and receivers take 4 MiB by default."""

_FINGERPRINT_BYTES = 4096
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
    with quiet("opentelemetry", "lc_otel"):
        exporter = build_span_exporter(settings.traces, settings)
        exporter.closing = True  # this command says by itself what went wrong
        try:
            for path in arguments.file:
                _send(path, exporter, settings.traces.address, restart=arguments.restart)
        except OSError as error:
            raise CommandError(f"{error.filename or 'a file'}: {error.strerror or error}") from None
        finally:
            exporter.shutdown()
    return 0


def _send(path: Path, exporter: CountedExporter, address: str, *, restart: bool) -> None:
    progress = _Progress(path, address)
    begin = _Position() if restart else progress.read()
    sent = 0
    with _Bar(path) as bar:
        skipped = Skipped(bar.say)
        for batch in _batches(path, begin, skipped):
            for piece in batch.pieces():
                failed = exporter.failed
                exporter.export(piece)
                if exporter.failed > failed:
                    raise CommandError(
                        f"{address} did not take the spans: {exporter.last_error}; {sent:,} spans "
                        f"of {path} were sent, the same command goes on from there"
                    )
                sent += len(piece)
            progress.write(batch.end, bar.say)
            bar.draw(batch.end.offset, sent)
        skipped.close()
    if skipped.count and not sent and not begin.offset:
        raise CommandError(f"no spans in {path}")
    before = " (the rest was sent before)" if begin.offset else ""
    print(f"sent {sent:,} spans of {path} to {address}{before}")


class _Position(NamedTuple):
    """A place between two lines of a file."""

    offset: int = 0
    """In bytes."""
    line: int = 1
    """The number of the line that begins there."""


class _Batch(NamedTuple):
    """The spans of some lines in a row."""

    spans: list[ReadableSpan]
    size: int
    """Of the lines, in bytes."""
    end: _Position

    def pieces(self) -> Iterator[list[ReadableSpan]]:
        """Cut a single line that is too long for one request."""
        length = max(len(self.spans) * _REQUEST_BYTES // max(self.size, 1), 1)
        for begin in range(0, len(self.spans), length):
            yield self.spans[begin : begin + length]


def _batches(path: Path, begin: _Position, warn: Any) -> Iterator[_Batch]:
    """Gather lines until they fill a request."""
    spans: list[ReadableSpan] = []
    size = 0
    end = begin
    for line in read_requests(path, warn, start=begin.offset, number=begin.line):
        length = line.end - line.start
        if spans and size + length > _REQUEST_BYTES:
            yield _Batch(spans, size, end)
            spans, size = [], 0
        spans.extend(restore_line(path, line, warn))
        size += length
        end = _Position(line.end, line.number + 1)
    if end != begin:
        yield _Batch(spans, size, end)


class _Progress:
    """How far a file has come at each backend; kept in ``.NAME.sent`` beside it.

    A file that no longer begins as it did is another one, and is sent from its start.
    """

    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = address
        self._memory = path.with_name(f".{path.name}.sent")
        self._is_kept = True

    def read(self) -> _Position:
        """Where to go on; the start if nothing was sent yet."""
        known: Any = self._all().get(self._address)
        try:
            position = _Position(int(known["offset"]), int(known["line"]))
            is_same = known["begins"] == self._fingerprint(position.offset)
        except (KeyError, TypeError, ValueError):
            return _Position()
        return position if is_same else _Position()

    def write(self, position: _Position, say: Callable[[str], None]) -> None:
        """Remember that everything before a position has arrived, or say that this cannot be."""
        known = {"offset": position.offset, "line": position.line}
        known_by = {
            **self._all(),
            self._address: {**known, "begins": self._fingerprint(position.offset)},
        }
        try:
            write_whole(self._memory, [json.dumps(known_by)])
        except OSError as error:  # traces on a volume that is mounted to be read
            if self._is_kept:
                say(f"cannot keep {self._memory}: {error.strerror}; next time all is sent again")
            self._is_kept = False

    def _all(self) -> dict[str, Any]:
        try:
            known = json.loads(self._memory.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _fingerprint(self, offset: int) -> str:
        """A hash of how the file begins, up to an offset that it must reach."""
        with self._path.open("rb") as file:
            start = file.read(min(offset, _FINGERPRINT_BYTES))
            reaches = file.seek(0, 2) >= offset
        return hashlib.sha256(start).hexdigest() if reaches else "shorter"


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
