"""Anything in, the value asked for or None out: how arguments of unknown shape are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

INT64 = range(-(2**63), 2**63)
"""The integers that OTLP can carry."""

# Remembered a class, for asking an abstract base class costs more than all the rest of a reading.
_is_mapping: Callable[[type], bool] = lru_cache(maxsize=512)(lambda cls: issubclass(cls, Mapping))


def get(holder: Any, key: str) -> Any:
    """``holder[key]`` of a mapping, ``holder.key`` of an object, else None."""
    if holder is None:
        return None
    try:
        return holder.get(key) if _is_mapping(type(holder)) else getattr(holder, key, None)
    except Exception:  # noqa: BLE001 -- a property may do anything
        return None


def mapping(value: Any) -> Mapping[Any, Any]:
    return value if _is_mapping(type(value)) else {}


def sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if sequence(values) else []


def first_text(holder: Mapping[Any, Any], *keys: str) -> str | None:
    for key in keys:
        value = holder.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def number(value: Any, kind: type) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int):
        return kind(value) if value in INT64 else None
    if not math.isfinite(value):
        return None
    return value if kind is float else int(value) if value.is_integer() else None


def count(holder: Any, *keys: str) -> int | None:
    for key in keys:
        value = get(holder, key)
        if type(value) is float and value.is_integer():  # Cohere counts in floats
            value = int(value)
        if type(value) is int and value >= 0:
            return value
    return None
