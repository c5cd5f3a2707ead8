"""Show the traces of trace files: as trees on the terminal, or on a page for the browser."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from lc_otel._commands import CommandError
from lc_otel._commands._skipped import Skipped
from lc_otel._commands._whole import write_whole
from lc_otel._console import render_for
from lc_otel._page import build_page
from lc_otel._trace import Trace
from lc_otel._tracefile import RequestLine, decode_line, parse_line, read_requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Self

    from lc_otel._trace import FinishedSpan

_TREES = 20
_TRACES_ON_A_PAGE = 500
_OPEN_FILES = 64  # a process may have some hundreds open


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which traces of which files to show, and how."""
    parser.add_argument(
        "file", nargs="+", type=Path, metavar="FILE", help="OTLP/JSON lines, as configure(file=...)"
    )
    parser.add_argument("--trace", metavar="ID", help="only the traces whose id begins like this")
    parser.add_argument("--errors", action="store_true", help="only traces in which a span failed")
    parser.add_argument(
        "--slowest", type=_positive, metavar="N", help="the N slowest traces, slowest first"
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help=f"show at most N traces (default: {_TREES}, on a page {_TRACES_ON_A_PAGE})",
    )
    parser.add_argument(
        "--html", type=Path, metavar="OUT", help="write one self-contained page instead"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the newest traces first."""
    if arguments.html and arguments.html.is_dir():
        raise CommandError(f"{arguments.html} is a folder; name a file for the page")
    if arguments.html and any(_is_same(arguments.html, path) for path in arguments.file):
        raise CommandError(
            f"{arguments.html} is the trace file itself; name another file for the page"
        )
    with _Files() as files:
        return _show(arguments, files)


def _show(arguments: argparse.Namespace, files: _Files) -> int:
    skipped = Skipped()
    found = _summarise(arguments.file, files, skipped)
    skipped.close()
    if not found:
        raise CommandError(f"no spans in {', '.join(map(str, arguments.file))}")
    chosen = _choose(found, arguments)
    if not chosen:
        raise CommandError(_nothing(found, arguments))
    limit = arguments.limit or (_TRACES_ON_A_PAGE if arguments.html else _TREES)
    gone = Skipped()
    traces = _load_all(chosen[:limit], files, gone)
    if arguments.html:
        source = ", ".join(path.name for path in arguments.file)
        if len(chosen) > limit:
            source += f" ({limit:,} of {len(chosen):,} traces)"
        _write_page(arguments.html, traces, source)
    else:
        for trace in traces:
            print(render_for(sys.stdout, trace), end="\n\n")
    gone.close()
    if len(chosen) > limit:
        left = len(chosen) - limit
        print(f"{left:,} more not shown; --limit {len(chosen)} shows all", file=sys.stderr)
    return 0


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


class _Place(NamedTuple):
    """A line of a file."""

    path: Path
    offset: int


class _Files:
    """Files that stay open from the first reading to the last, though they be set aside meanwhile.

    A writer renames a trace file that is full, and begins another of the same name.
    """

    def __init__(self) -> None:
        self._open: dict[Path, IO[bytes]] = {}
        self._closing = ExitStack()

    def keep(self, path: Path) -> None:
        """Keep a file open, unless there are too many."""
        if path not in self._open and len(self._open) < _OPEN_FILES:
            self._open[path] = self._closing.enter_context(path.open("rb"))

    def read_line(self, place: _Place) -> bytes:
        """Read the line that begins at a place."""
        if file := self._open.get(place.path):
            file.seek(place.offset)
            return file.readline()
        with place.path.open("rb") as file:
            file.seek(place.offset)
            return file.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._closing.close()


@dataclass
class _Summary:
    """What choosing among traces needs to know of one; its spans stay in the files."""

    trace_id: str
    start_ns: int
    end_ns: int
    failed: bool = False
    places: list[_Place] = field(default_factory=list)

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns

    def add(self, span: FinishedSpan, place: _Place) -> None:
        self.start_ns = min(self.start_ns, span.start_ns)
        self.end_ns = max(self.end_ns, span.end_ns)
        self.failed = self.failed or span.status == "error"
        if not self.places or self.places[-1] != place:
            self.places.append(place)


def _summarise(paths: Sequence[Path], files: _Files, warn: Skipped) -> list[_Summary]:
    """Read every file once, a line at a time; the newest trace first."""
    found: dict[str, _Summary] = {}
    for path in paths:
        try:
            files.keep(path)
            for line in read_requests(path, warn):
                place = _Place(path, line.start)
                for span in decode_line(path, line, warn):
                    known = found.get(span.trace_id)
                    if known is None:
                        known = _Summary(span.trace_id, span.start_ns, span.end_ns)
                        found[span.trace_id] = known
                    known.add(span, place)
        except OSError as error:  # noqa: PERF203 - the message names the file
            raise CommandError(f"cannot read {path}: {error.strerror or error}") from None
    return sorted(found.values(), key=lambda summary: summary.start_ns, reverse=True)


def _choose(found: Sequence[_Summary], arguments: argparse.Namespace) -> list[_Summary]:
    wanted = (arguments.trace or "").lower()
    chosen = [
        summary
        for summary in found
        if summary.trace_id.startswith(wanted) and (summary.failed or not arguments.errors)
    ]
    if arguments.slowest:
        chosen.sort(key=lambda summary: summary.duration_ns, reverse=True)
        del chosen[arguments.slowest :]
    return chosen


def _nothing(found: Sequence[_Summary], arguments: argparse.Namespace) -> str:
    """Why nothing was chosen."""
    if arguments.trace and not any(s.trace_id.startswith(arguments.trace.lower()) for s in found):
        newest = found[0].trace_id
        return (
            f"no trace id begins with {arguments.trace!r}; the newest of {len(found)} is {newest}"
        )
    return "no span failed"


def _load_all(chosen: Sequence[_Summary], files: _Files, gone: Skipped) -> Iterator[Trace]:
    """Read the spans of some traces; one whose file was emptied or deleted since is said."""
    for summary in chosen:
        trace = _load(summary, files)
        if trace.spans:
            yield trace
        else:
            names = ", ".join(sorted({str(place.path) for place in summary.places}))
            gone(f"{names}: changed while it was read, trace {summary.trace_id} is gone")


def _load(summary: _Summary, files: _Files) -> Trace:
    """Read the spans of one trace; one that was written twice counts once."""
    spans: dict[str, FinishedSpan] = {}
    for place in summary.places:
        try:
            request = parse_line(place.path, 0, files.read_line(place), _ignore)
        except OSError:
            continue  # it was there when it was read for the first time
        if request is None:
            continue
        line = RequestLine(0, place.offset, place.offset, request)
        for span in decode_line(place.path, line, _ignore):
            if span.trace_id == summary.trace_id:
                spans[span.span_id] = span
    return Trace.of(spans.values())


def _ignore(_: str) -> None:
    """Said already when the file was read for the first time."""


def _write_page(out: Path, traces: Iterator[Trace], source: str) -> None:
    try:
        write_whole(out, build_page(traces, source))
    except OSError as error:
        raise CommandError(f"cannot write {out}: {error.strerror or error}") from None
    if out.is_file():  # and no pipe, whose reader wants the page alone
        print(f"wrote {out}; open {out.absolute().as_uri()}")


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, not {text!r}")
    return number
