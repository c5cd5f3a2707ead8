"""Any value in, the same as plain str, int, float, bool, None, lists and dicts out.

An allow-list: what is not known to be data (a model, a tool, a store, a client) tells its class.
"""

# ruff: noqa: SLF001 -- the tables are of Reader's own methods
from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

from lc_otel._reading import messages
from lc_otel._reading.ends import error_name
from lc_otel._reading.shapes import INT64, get

MAX_DEPTH = 32
MAX_ITEMS = 50_000  # of one piece, all levels together
_FEW = 8  # items of a list that are always read

_FRAMEWORK = ("langchain", "langgraph", "langsmith", "deepagents")
_FRAMEWORK_DATA = frozenset(
    # classes of LangChain's and LangGraph's packages whose fields are the program's data
    {
        "AgentAction",
        "AgentFinish",
        "Command",
        "Generation",
        "Interrupt",
        "LLMResult",
        "Overwrite",
        "StateSnapshot",
    }
)
_AS_TEXT = (date, time, timedelta, Decimal, PurePath, UUID)


class Wanted(NamedTuple):
    """How much of a piece of content is wanted."""

    binary: bool = False
    """Base64 payloads as they are, rather than their type and size."""
    limit: int | None = None
    """Bytes beyond which nothing more is wanted of a piece, so that it need not be read."""


class Reader:
    """Reads one piece of content; never raises, and ends however deep, wide or cyclic it is."""

    __slots__ = ("_around", "_left", "binary", "limit")

    def __init__(self, wanted: Wanted) -> None:
        self.binary, self.limit = wanted
        self._left = MAX_ITEMS
        self._around: list[int] = []

    def read(self, value: Any) -> Any:
        """The value as plain data."""
        kind: type = type(value)
        if kind is str:
            is_payload = value[:1] in _DATA and self._is_payload(value)
            return messages.data_url_size(value) if is_payload else value
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if value in INT64 else _name_integer(value)
        if kind is float:
            return value if math.isfinite(value) else str(value)
        try:
            read = _SHAPES.get(kind) or _shape_of(kind)
        except Exception:  # noqa: BLE001 -- a class may have any metaclass, even one without a hash
            return name_class(kind)
        return self._read_deeper(value, read)

    def _is_payload(self, text: str) -> bool:
        return not self.binary and messages.is_data_url(text) and ";base64," in text[:256].lower()

    def _read_deeper(self, value: Any, read: Callable[[Reader, Any], Any]) -> Any:
        if self._left < 0:
            return "[more items than are read]"
        identity = id(value)
        if identity in self._around:
            return "[cycle]"
        if len(self._around) >= MAX_DEPTH:
            return "[deeper than is read]"
        self._around.append(identity)
        try:
            return read(self, value)
        except Exception:  # noqa: BLE001 -- what cannot be read tells its class
            return name_class(type(value))
        finally:
            self._around.pop()

    def _read_mapping(self, fields: Mapping[Any, Any]) -> Any:
        if "configurable" in fields:
            return "[RunnableConfig]"  # a config's configurable holds what programs keep secret
        self._left -= len(fields)
        read = {
            key if key and type(key) is str else _name_key(key): self.read(item)
            for key, item in fields.items()
        }
        if not self.binary and not _PAYLOADS.isdisjoint(read):
            _measure_payloads(read)
        return read

    def _read_items(self, items: Any) -> list[Any]:
        limit = self.limit
        if limit is not None and len(items) > _FEW:
            items = [*items]
            first: type = type(items[0])
            if _shape_of(first) is Reader._read_message:
                return messages.read_messages(items, self)
            if len(items) * 2 > limit:
                head, tail = items[: limit // 8], items[-limit // 4 :]
                omitted = f"[{len(items) - len(head) - len(tail)} items omitted]"
                items = [*head, omitted, *tail]
        self._left -= len(items)
        return [self.read(item) for item in items]

    def _read_named_tuple(self, value: Any) -> dict[str, Any]:
        return {name: self.read(item) for name, item in zip(value._fields, value, strict=True)}

    def _read_object(self, value: Any) -> dict[str, Any]:
        cls: type = type(value)
        return {name: self.read(_field(value, name)) for name in _fields_of(cls)}

    def _read_document(self, document: Any) -> dict[str, Any]:
        return read_document(document, self)

    def _read_message(self, message: Any) -> dict[str, Any]:
        return messages.read_message(message, self)

    def _read_prompt(self, prompt: Any) -> Any:
        said = getattr(prompt, "messages", None)
        return self.read(prompt.text if said is None else said)

    def _read_send(self, send: Any) -> dict[str, Any]:
        return {"node": self.read(send.node), "arg": self.read(send.arg)}

    def _read_enum(self, member: Enum) -> Any:
        return self.read(member.value)

    def _read_bytes(self, value: Any) -> str:
        return f"[{len(value)} bytes]"

    def _read_text(self, value: Any) -> str:
        return str(value)

    def _read_str(self, value: str) -> Any:
        return self.read(str.__str__(value))

    def _read_number(self, value: Any) -> Any:
        return self.read(float(value) if isinstance(value, float) else int(value))

    def _read_error(self, error: BaseException) -> dict[str, Any]:
        return {"type": error_name(type(error)), "message": str(error)}

    def _read_secret(self, _: Any) -> str:
        return "**********"

    def _read_class(self, value: Any) -> str:
        return name_class(type(value))


_SHAPES: dict[type, Callable[[Reader, Any], Any]] = {
    dict: Reader._read_mapping,
    list: Reader._read_items,
    tuple: Reader._read_items,
}


_DATA = ("d", "D")  # how a data URL begins
_PAYLOADS = frozenset({"base64", "file_data", "data", "blob", "input_audio"})
"""Fields under which content blocks of any provider's hold base64."""
_SURE = frozenset({"base64", "file_data"})
_MIME_TYPES = ("mime_type", "media_type", "mimeType")
_PAYLOAD_TYPES = frozenset(
    {"base64", "image", "audio", "video", "input_audio", "redacted_thinking"}
)
_SOUNDS = frozenset({"wav", "mp3", "flac", "opus", "aac", "m4a", "ogg", "pcm16"})
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]*")


def _measure_payloads(block: dict[str, Any]) -> None:
    """Put the size in the place of base64, in what has the fields of a content block."""
    for key in _PAYLOADS.intersection(block):
        said = block[key]
        if (
            isinstance(said, str)
            and (key in _SURE or _holds_media(block))
            and _BASE64.fullmatch(said[:256])
        ):
            block[key] = messages.size_of_base64(said)


def _holds_media(block: Mapping[str, Any]) -> bool:
    if "base64" in (block.get("source_type"), block.get("type")):
        return True
    for key in _MIME_TYPES:
        mime = block.get(key)
        if isinstance(mime, str):
            return not mime.startswith("text/")
    return _is_in(_PAYLOAD_TYPES, block.get("type")) or _is_in(_SOUNDS, block.get("format"))


def _is_in(words: frozenset[str], word: Any) -> bool:
    return isinstance(word, str) and word in words


def read_documents(documents: Iterable[Any], reader: Reader) -> list[dict[str, Any]]:
    """Retrieved documents; one that cannot be read tells its class, and costs no other."""
    return [_read_or_name(document, reader) for document in documents]


def _read_or_name(document: Any, reader: Reader) -> dict[str, Any]:
    try:
        return read_document(document, reader)
    except Exception:  # noqa: BLE001 -- its metadata may be anything
        return {"content": name_class(type(document))}


def read_document(document: Any, reader: Reader) -> dict[str, Any]:
    """A retrieved document: its text, and id, score and metadata where it has them."""
    metadata = get(document, "metadata")
    read: dict[str, Any] = {}
    identity = get(document, "id")
    if isinstance(identity, (str, int, UUID)):
        read["id"] = str(identity)
    if isinstance(metadata, Mapping):
        score = _score(metadata)
        if score is not None:
            read["score"] = score
    read["content"] = reader.read(get(document, "page_content"))
    if metadata:
        read["metadata"] = reader.read(metadata)
    return read


def _score(metadata: Mapping[Any, Any]) -> float | None:
    for key in ("relevance_score", "score"):
        try:
            score = float(metadata[key])  # of numpy too
        except (KeyError, OverflowError, TypeError, ValueError):
            continue
        if math.isfinite(score):
            return score
    return None


def name_class(cls: type) -> str:
    """What stands for a value that is not data: its class."""
    return f"[{cls.__module__}.{cls.__qualname__}]"


def _name_integer(value: int) -> str:
    # Python refuses to spell integers of more than 4300 digits.
    bits = value.bit_length()
    return str(value) if bits <= 4096 else f"[integer of {bits} bits]"  # noqa: PLR2004


def _name_key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key) or "(empty)"  # which no attribute of a log event may be called
    if key is None or isinstance(key, (bool, float)):
        return str(key)
    if isinstance(key, int):
        return _name_integer(key)
    if isinstance(key, Enum):
        return str(key.value)
    if isinstance(key, tuple):
        return ",".join(_name_key(part) for part in key)
    return str(key) if isinstance(key, _AS_TEXT) else name_class(type(key))


def _field(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except Exception:  # noqa: BLE001 -- a property may do anything; the other fields are still told
        return "[unreadable]"


@lru_cache(maxsize=1024)
def _fields_of(cls: type) -> tuple[str, ...]:
    secrets = _secrets_of(cls)
    names = getattr(cls, "__dataclass_fields__", None)
    if names is None:
        names = {
            name: field
            for name, field in cls.__pydantic_fields__.items()  # type: ignore[attr-defined]
            if not field.exclude
        }
    return tuple(name for name in names if name not in secrets)


def _secrets_of(cls: type) -> frozenset[str]:
    """Fields that the class itself keeps out of its repr."""
    fields = getattr(cls, "__dataclass_fields__", None) or getattr(cls, "__pydantic_fields__", {})
    return frozenset(name for name, field in fields.items() if not field.repr)


@lru_cache(maxsize=1024)
def _shape_of(cls: type) -> Callable[[Reader, Any], Any]:
    """How to read values of a class: decided once, by its bases."""
    for base in cls.__mro__:
        read = _BY_BASE.get((str(base.__module__).partition(".")[0], base.__name__))
        if read is not None:
            return read
    for kinds, read in _BY_TYPE:
        if issubclass(cls, kinds):
            return read
    if any(str(base.__module__).startswith(_FRAMEWORK) for base in cls.__mro__) and (
        cls.__name__ not in _FRAMEWORK_DATA
    ):
        return Reader._read_class
    if issubclass(cls, tuple):
        return Reader._read_named_tuple if hasattr(cls, "_fields") else Reader._read_items
    if hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__pydantic_fields__"):
        return Reader._read_object
    return Reader._read_class


_BY_BASE: Mapping[tuple[str, str], Callable[[Reader, Any], Any]] = {
    # (package, name) of a base class -> how it is read; by name, since nothing here is installed
    # for certain
    ("langchain_core", "BaseMessage"): Reader._read_message,
    ("langchain_core", "BaseMedia"): Reader._read_document,
    ("langchain_core", "Document"): Reader._read_document,
    ("langchain_core", "PromptValue"): Reader._read_prompt,
    ("langgraph", "Send"): Reader._read_send,
    ("pydantic", "_SecretBase"): Reader._read_secret,
}
_BY_TYPE: tuple[tuple[Any, Callable[[Reader, Any], Any]], ...] = (
    (Enum, Reader._read_enum),
    (str, Reader._read_str),
    ((int, float), Reader._read_number),
    (Mapping, Reader._read_mapping),
    ((bytes, bytearray, memoryview), Reader._read_bytes),
    (_AS_TEXT, Reader._read_text),
    (BaseException, Reader._read_error),
    ((set, frozenset, deque, list), Reader._read_items),
)
