"""Pieces of content in, what of them may leave out: redacted, encodable, within budget, as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import PydanticSerializationError, from_json, to_json

Redact = Callable[[str, Any], Any]

REDACTION_FAILED = "[redaction failed]"
"""Stands for a piece whose redaction raised."""

SMALLEST = 48
"""Bytes below which a piece says nothing: it is left out, and so is what a list has no room for."""

MAX_NAME = 1024
"""Bytes of a text that is no content: a name, an id, a tag, a type."""

MAX_ITEMS = 128
"""Texts that a list which is no content may hold: tags, stop sequences, finish reasons."""

_MAX_KEY = 128
_OMISSION = 112  # bytes at most that the marker of omitted items takes
_INT64 = range(-(2**63), 2**63)


class Piece(NamedTuple):
    """A piece of content that may leave: what it says, and that as JSON."""

    value: Any
    """Nothing but str, int, float, bool, None, and lists and dicts of these."""
    json: str

    @property
    def text(self) -> str:
        """A text as it is, anything else as JSON."""
        return self.value if isinstance(self.value, str) else self.json


class ContentPolicy:
    """What may be captured, and how much of it; one for spans and log events alike.

    Args:
        redact: Called as ``redact(kind, value)`` once for every piece; what it returns is captured
            in the piece's place, and None means that nothing is. Where it raises, a marker is.
        max_attribute: Bytes one attribute may hold.
        max_span: Bytes the content of one span may hold.
        copies: By kind, how many attributes say the same piece, which counts towards ``max_span``
            each time; one where a kind is not named.
        late: The kinds that come at a run's end: half of ``max_span`` is kept for them.
        binary: Whether base64 payloads are captured, rather than their type and size.
    """

    def __init__(
        self,
        redact: Redact | None = None,
        *,
        max_attribute: int = 16_384,
        max_span: int = 131_072,
        copies: Mapping[str, int] | None = None,
        late: Collection[str] = (),
        binary: bool = False,
    ) -> None:
        self.redact = redact
        self.max_attribute = max_attribute
        self.max_span = max_span
        self.copies = copies or {}
        self.late = late
        self.binary = binary


class Content:
    """What one span has captured, by kind."""

    __slots__ = ("_left", "pieces", "policy")

    def __init__(self, policy: ContentPolicy) -> None:
        self.policy = policy
        self.pieces: dict[str, Piece] = {}
        self._left = policy.max_span

    def capture(self, kind: str, value: Any) -> Piece | None:
        """Capture one piece, and keep it under its kind; None where nothing of it may leave.

        Args:
            kind: What the piece is; a key of ``KINDS`` in `lc_otel._reading.contents`.
            value: As `lc_otel._reading.values` reads it.
        """
        policy = self.policy
        if policy.redact is not None:
            value = _redacted(policy.redact, kind, value)
        copies = policy.copies.get(kind, 1)
        left = self._left
        if policy.late and kind not in policy.late:
            left -= policy.max_span // 2
        budget = min(policy.max_attribute, left // copies)
        if value is None or budget < SMALLEST:
            return None
        piece = fit(value, budget)
        self._left -= _size(piece.json) * copies
        self.pieces[kind] = piece
        return piece


def fit(value: Any, budget: int) -> Piece:
    """The value, made encodable, and shortened where its JSON has more than ``budget`` bytes.

    What is cut says what size it had. Of a list the first item and the last ones are kept.
    """
    if _length(value) <= budget:
        short, data = _encode(value)
        if len(data) <= budget:
            return Piece(short, data.decode())
    weights: Weights = {}
    size = _weigh(value, weights)
    target = budget
    while target >= SMALLEST:
        short, data = _encode(_shorten(value, target, weights))
        if len(data) <= budget:
            return Piece(short, data.decode())
        # The weights are not exact: aim lower by as much as this was over.
        target = min(target * budget // len(data), target * 19 // 20)
    return Piece(f"[{size} bytes]", f'"[{size} bytes]"')


def cut(text: str, budget: int) -> str:
    """The beginning of a text that is too long, then its size in bytes."""
    size = _size(text)
    if size + 2 <= budget:
        return text
    marker = f"… [{size} bytes]"
    room = max(budget - 2 - _size(marker), 0)
    return text[:room].encode(errors="replace")[:room].decode(errors="ignore") + marker


def clean_text(text: str, limit: int = MAX_NAME) -> str:
    """A text that OTLP can encode, of at most ``limit`` bytes.

    A lone surrogate in a span's name or status costs the whole batch, anywhere else the attribute.
    """
    if text.isascii():
        return text if len(text) <= limit else cut(text, limit)
    return cut(_encodable(text), limit)


def clean_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes that are no content, each within what OTLP can encode; what cannot be is left out.

    Changes ``attributes``, and returns them.
    """
    for key, value in [*attributes.items()]:
        kind = type(value)
        if kind is str:
            if not value.isascii() or len(value) > MAX_NAME:
                attributes[key] = clean_text(value)
        elif kind is int:
            if value not in _INT64:
                del attributes[key]
        elif kind is not bool:
            cleaned = _clean_other(value)
            if cleaned is None:
                del attributes[key]
            else:
                attributes[key] = cleaned
    return attributes


def _clean_other(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):  # an enum's member, say
        return clean_text(str.__str__(value))
    if isinstance(value, int):
        return int(value) if value in _INT64 else None
    if isinstance(value, (list, tuple)):
        texts = [item for item in value[:MAX_ITEMS] if isinstance(item, str)]
        return [clean_text(str.__str__(item)) for item in texts]
    return None


def _redacted(redact: Redact, kind: str, value: Any) -> Any:
    try:
        changed = redact(kind, value)
        # What comes back is the program's: made plain by way of JSON, unless it is a text.
        return changed if changed is None or type(changed) is str else _plain(changed)
    except Exception:  # noqa: BLE001 -- a redaction that fails must not let the piece through
        return REDACTION_FAILED


def _plain(value: Any) -> Any:
    try:
        data = to_json(value, inf_nan_mode="strings", serialize_unknown=True)
    except PydanticSerializationError:
        data = to_json(
            scrub(value), inf_nan_mode="strings", serialize_unknown=True, bytes_mode="base64"
        )
    return scrub(from_json(data))


def _encode(value: Any) -> tuple[Any, bytes]:
    try:
        return value, to_json(value)
    except PydanticSerializationError:
        value = scrub(value)
        return value, to_json(value)


def scrub(value: Any) -> Any:
    """The same value without lone surrogates and integers that OTLP cannot encode."""
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, (list, tuple)):
        return [scrub(item) for item in value]
    if isinstance(value, dict):
        return {scrub(key) or "(empty)": scrub(item) for key, item in value.items()}
    if type(value) is int and value not in _INT64:
        return str(value)
    return value


def _encodable(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _length(value: Any) -> int:
    """At least how many bytes the value's JSON has: what is longer need not be encoded to know."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_length, value))
    if isinstance(value, dict):
        return sum(map(_length, value.values())) + 5 * len(value)
    return 1


# -- shortening

_SAMPLE = 256
_ESCAPED = '"\n\\'

Weights = dict[int, int]
"""By id of a list or dict: about how many bytes its JSON has."""


def _weigh(value: Any, weights: Weights) -> int:
    """About how many bytes the value's JSON has; remembers it of lists and dicts."""
    if isinstance(value, str):
        return _size(value) + _escapes(value) + 2
    weight = 20  # no number has more digits
    if isinstance(value, list):
        for item in value:
            weight += _weigh(item, weights) + 1
        weights[id(value)] = weight
    elif isinstance(value, dict):
        for key, item in value.items():
            weight += len(key) + 4 + _weigh(item, weights)
        weights[id(value)] = weight
    return weight


def _weight_of(value: Any, weights: Weights) -> int:
    weight = weights.get(id(value)) if isinstance(value, (list, dict)) else None
    return _weigh(value, weights) if weight is None else weight


def _escapes(text: str) -> int:
    """About how many of a text's usual characters JSON escapes, by those at its beginning."""
    size = len(text)
    sample = text[:_SAMPLE] if size > _SAMPLE else text
    found = sum(map(sample.count, _ESCAPED))
    return found if size <= _SAMPLE else found * size // _SAMPLE


def _shorten(value: Any, budget: int, weights: Weights) -> Any:
    """About ``budget`` bytes of a value; what is left out is marked."""
    if isinstance(value, str):
        beginning = value[:budget]
        escapes = sum(map(beginning.count, _ESCAPED))
        return cut(value, budget * len(beginning) // (len(beginning) + escapes))
    if isinstance(value, list):
        return _shorten_list(value, budget, weights)
    if isinstance(value, dict):
        return _shorten_dict(value, budget, weights)
    return value


def _shorten_list(items: list[Any], budget: int, weights: Weights) -> list[Any]:
    if not items:
        return items
    sizes = [_weight_of(item, weights) for item in items]
    room = budget - 2
    if sum(sizes) + len(items) > room:
        room -= _OMISSION
    widest = max(room // 4, SMALLEST)  # so much of every item that is kept
    # The first item is often the system's instructions; the last ones are why it was asked.
    kept: list[int] = []
    spent = 0
    for index in (0, *range(len(items) - 1, 0, -1)):
        spent += min(sizes[index], widest) + 1
        if spent > room:
            break
        kept.append(index)
    kept = [*kept[:1], *reversed(kept[1:])]
    limit = _share([sizes[index] for index in kept], room - len(kept))
    shortened = [
        items[index] if sizes[index] <= limit else _shorten(items[index], limit, weights)
        for index in kept
    ]
    omitted = len(items) - len(kept)
    if omitted:
        size = sum(sizes) - sum(sizes[index] for index in kept)
        shortened.insert(1, _omission(items[0], omitted, size))
    return shortened


def _omission(like: Any, count: int, size: int) -> Any:
    """What stands for omitted items: of the shape of the others, so that a reader takes it."""
    if not isinstance(like, dict):
        return f"[{count} items, {size} bytes omitted]"
    marker = {"type": "omitted", "items": count, "bytes": size}
    return {"role": "omitted", "parts": [marker]} if "parts" in like else marker


def _shorten_dict(fields: dict[str, Any], budget: int, weights: Weights) -> dict[str, Any]:
    if any(len(key) > _MAX_KEY for key in fields):
        fields = {cut(key, _MAX_KEY): value for key, value in fields.items()}
    sizes = {key: _weight_of(value, weights) for key, value in fields.items()}
    room = budget - 2
    kept: list[str] = []
    for key, size in sizes.items():
        least = _size(key) + 5 + min(size, SMALLEST)
        rest = _OMISSION if len(kept) + 1 < len(fields) else 0
        if least + rest > room and kept:
            break
        room -= least
        kept.append(key)
    room += sum(min(sizes[key], SMALLEST) for key in kept)
    limit = max(_share([sizes[key] for key in kept], room), SMALLEST)
    shortened = {
        key: fields[key] if sizes[key] <= limit else _shorten(fields[key], limit, weights)
        for key in kept
    }
    omitted = len(fields) - len(kept)
    if omitted:
        size = sum(sizes.values()) - sum(sizes[key] for key in kept)
        shortened["…"] = f"[{omitted} items, {size} bytes omitted]"
    return shortened


def _share(sizes: Sequence[int], room: int) -> int:
    """The limit under which everything fits: small things are kept whole, large ones share."""
    waiting = len(sizes)
    for size in sorted(sizes):
        fair = room // waiting
        if size > fair:
            return max(fair, 0)
        room -= size
        waiting -= 1
    return max(sizes, default=0)
