"""Finished spans in, a text tree out: names, durations, tokens, errors in aligned columns."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lc_otel._trace import FinishedSpan, Trace


class TokenSums(NamedTuple):
    """What the model calls of a trace took in and gave out."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    """Of the input, read from the provider's cache."""


class _Guides(NamedTuple):
    branch: str
    last: str
    trunk: str
    gap: str
    arrow: str
    error: str
    dot: str
    cut: str


_UNICODE = _Guides("├─ ", "└─ ", "│  ", "   ", "→", "✗", "·", "…")
_ASCII = _Guides("|- ", "`- ", "|  ", "   ", ">", "!", "-", "~")

_DIM, _BOLD, _RED, _RESET = "\x1b[2m", "\x1b[1m", "\x1b[31m", "\x1b[0m"

# a model call under either convention: only these carry tokens of their own, agents carry sums
_MODEL_CALLS = {
    ("gen_ai.operation.name", "chat"),
    ("gen_ai.operation.name", "text_completion"),
    ("openinference.span.kind", "LLM"),
}
_INPUT = ("gen_ai.usage.input_tokens", "llm.token_count.prompt")
_OUTPUT = ("gen_ai.usage.output_tokens", "llm.token_count.completion")
_CACHED = ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LEAST_NAME_WIDTH = 16
_LEAST_SHOWN = 5e-6  # seconds; less is 0.00 ms

_MARKS = {"Mn", "Me"}  # categories of what is drawn over the character before
_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff"  # spaces without width, and joiners
_WIDENS = "\N{VARIATION SELECTOR-16}"  # makes an emoji of the character before


def guides_fit(encoding: str | None) -> bool:
    """Whether an output encoding can carry the tree's line drawing; None is text in memory."""
    try:
        "".join(_UNICODE).encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def sum_tokens(spans: Sequence[FinishedSpan]) -> TokenSums:
    """Add up the model calls; spans that carry sums of others are left out."""
    calls = [span for span in spans if _is_model_call(span)]
    return TokenSums(
        len(calls),
        sum(_first(span, _INPUT) or 0 for span in calls),
        sum(_first(span, _OUTPUT) or 0 for span in calls),
        sum(_first(span, _CACHED) or 0 for span in calls),
    )


def render_tree(
    trace: Trace, *, width: int = 80, unicode: bool = True, color: bool = False, note: str = ""
) -> str:
    """Draw one trace, a line a span, without a trailing newline.

    Args:
        trace: The spans to draw.
        width: Columns no line may exceed; long names are cut, and where that is not enough the
            figures are left out, tokens first.
        unicode: Draw with box characters, else with ASCII.
        color: Add ANSI colours.
        note: Said in the header, for a trace that is not whole.
    """
    guides = _UNICODE if unicode else _ASCII
    rows = [_Row.of(span, prefix, guides) for prefix, span in _walk(trace, guides)]
    longest = max((_count_cells(row.label) for row in rows), default=0)
    least = min(longest, _LEAST_NAME_WIDTH)
    columns = [max((len(row.figures[i]) for row in rows), default=0) for i in range(2)]
    while columns and least + _sum_columns(columns) > width:
        columns.pop()
    room = width - _sum_columns(columns)
    detail_width = max((_count_cells(row.detail) for row in rows), default=0)
    detail_width = detail_width + 2 if detail_width else 0
    name_width = max(min(longest, room - detail_width), min(_LEAST_NAME_WIDTH, room))
    lines = _header(trace, guides, width, note)
    if color:
        lines = [f"{_DIM}{line}{_RESET}" for line in lines]
    for row in rows:
        label = _cut(row.label, name_width, guides)
        label += " " * (name_width - _count_cells(label))
        figures = "".join(
            f"  {text:>{column}}"
            for text, column in zip(row.figures, columns, strict=False)  # some may be left out
            if column
        )
        detail = _cut(row.detail, max(room - name_width - 2, 0), guides)
        if color:
            label = f"{_BOLD}{label}{_RESET}" if not row.prefix_width else label
            figures = f"{_DIM}{figures}{_RESET}"
            detail = f"{_RED}{detail}{_RESET}" if row.failed and detail else detail
        line = f"{label}{figures}  {detail}" if detail else f"{label}{figures}"
        lines.append(line if color else line.rstrip())
    return "\n".join(lines)


def _sum_columns(columns: Sequence[int]) -> int:
    """How much room figures take, each two cells from what stands before it."""
    return sum(column + 2 for column in columns if column)


class _Row(NamedTuple):
    label: str
    prefix_width: int
    figures: tuple[str, str]
    detail: str
    failed: bool

    @classmethod
    def of(cls, span: FinishedSpan, prefix: str, guides: _Guides) -> _Row:
        name = _CONTROL.sub(" ", span.name)
        failed = span.status == "error"
        return cls(
            prefix + name,
            len(prefix),
            (_duration(span.duration_s), _tokens(span, guides)),
            _detail(span, guides),
            failed,
        )


def _walk(trace: Trace, guides: _Guides) -> Iterator[tuple[str, FinishedSpan]]:
    """Every span with what is drawn before its name, parents before children."""
    stack = [("", "", span) for span in reversed(trace.roots)]
    while stack:
        drawn, below, span = stack.pop()
        yield drawn, span
        children = trace.children(span)
        for child in reversed(children):
            last = child is children[-1]
            stack.append(
                (
                    below + (guides.last if last else guides.branch),
                    below + (guides.gap if last else guides.trunk),
                    child,
                )
            )


def _header(trace: Trace, guides: _Guides, width: int, note: str) -> list[str]:
    """The trace id and what the spans add up to, on more than one line where one is too short."""
    spans = trace.spans
    parts = [f"trace {trace.trace_id}", counted(len(spans), "span")]
    if spans:
        first, last = min(s.start_ns for s in spans), max(s.end_ns for s in spans)
        parts.append(_duration((last - first) / 1e9))
    sums = sum_tokens(spans)
    if sums.input or sums.output:
        parts.append(f"{sums.input:,}{guides.arrow}{sums.output:,} tokens")
    errors = len(trace.errors)
    if errors:
        parts.append(counted(errors, "error"))
    if note:
        parts.append(note)
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]} {guides.dot} {part}"
        if _count_cells(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(f"  {part}")
    return [_cut(line, width, guides) for line in lines]


def _detail(span: FinishedSpan, guides: _Guides) -> str:
    """What stands behind the figures: the error, an outcome out of the ordinary, the model."""
    if span.status == "error":
        return (
            f"{guides.error} {_CONTROL.sub(' ', str(span.attributes.get('error.type', 'error')))}"
        )
    outcome = span.attributes.get("langchain.run.outcome", "ok")
    if outcome != "ok":
        return str(outcome)
    model = span.attributes.get("gen_ai.response.model") or span.attributes.get("llm.model_name")
    if model and str(model) not in span.name:
        return _CONTROL.sub(" ", str(model))
    return ""


def _tokens(span: FinishedSpan, guides: _Guides) -> str:
    if not _is_model_call(span):
        return ""
    taken, given = _first(span, _INPUT), _first(span, _OUTPUT)
    if taken is None and given is None:
        return ""
    return f"{taken or 0:,}{guides.arrow}{given or 0:,} tok"


def _is_model_call(span: FinishedSpan) -> bool:
    return any(span.attributes.get(key) == value for key, value in _MODEL_CALLS)


def _first(span: FinishedSpan, keys: Sequence[str]) -> int | None:
    """The first of several attributes that holds a number."""
    for key in keys:
        value = span.attributes.get(key)
        if isinstance(value, int):
            return value
    return None


def _duration(seconds: float) -> str:
    """Three significant figures at most: 4.21 ms, 312 ms, 1.20 s, 2 m 05 s."""
    if seconds <= -_LEAST_SHOWN:  # of a clock that was set back
        return f"-{_duration(-seconds)}"
    rounded = abs(float(f"{seconds:.3g}"))  # before the unit is chosen: 999.9 ms are a second
    if rounded >= 60:  # noqa: PLR2004  # seconds in a minute
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} m {rest:02} s"
    scale, unit = (1, "s") if rounded >= 1 else (1e3, "ms")
    shown = rounded * scale
    digits = 0 if shown >= 100 else 1 if shown >= 10 else 2  # noqa: PLR2004  # significant figures
    return f"{abs(seconds) * scale:.{digits}f} {unit}"


def counted(number: int, noun: str) -> str:
    """Say how many there are: 1 span, 2 spans."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _count_cells(text: str) -> int:
    """How many cells a terminal gives a text, at most: some join emoji, and need fewer."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if character in _UNSEEN:
        return 0
    if unicodedata.category(character) in _MARKS:
        return int(character == _WIDENS)
    wide = unicodedata.east_asian_width(character) in {"W", "F"}
    return 2 if wide or "\U0001f000" <= character <= "\U0001faff" else 1  # emoji newer than Python


def _cut(text: str, width: int, guides: _Guides) -> str:
    if _count_cells(text) <= width:
        return text
    room, kept = width - 1, 0
    for character in text:
        room -= _cells_of(character)
        if room < 0:
            break
        kept += 1
    return text[:kept] + guides.cut if width > 0 else ""
