"""Run ids: UUIDs of version 7 (RFC 9562), which sort in the order in which they were made."""

from __future__ import annotations

import os
import time
from threading import Lock
from uuid import UUID

_COUNTER_BITS = 42
_TAIL_BITS = 32
_VERSION_AND_VARIANT = (7 << 76) | (2 << 62)

_lock = Lock()
_last_ms = -1
_counter = 0


def uuid7() -> UUID:
    """Make a UUID that is greater than all that this process made before.

    48 bits of Unix time in milliseconds, then a counter of 42 bits that starts at random in each
    millisecond (RFC 9562 section 6.2, method 1), then 32 random bits. A clock that stands still or
    goes back counts on; a counter that runs over takes the next millisecond.
    """
    global _last_ms, _counter  # noqa: PLW0603 - the state of the one generator, under its lock
    random = int.from_bytes(os.urandom(10), "big")
    with _lock:
        now = time.time_ns() // 1_000_000
        _counter += 1
        if now > _last_ms or _counter >> _COUNTER_BITS:
            _last_ms = max(now, _last_ms + 1)
            _counter = (random >> _TAIL_BITS) & ((1 << (_COUNTER_BITS - 1)) - 1)
        milliseconds, counter = _last_ms, _counter
    return UUID(
        int=(milliseconds << 80)
        | _VERSION_AND_VARIANT
        | (counter >> 30) << 64
        | (counter & ((1 << 30) - 1)) << _TAIL_BITS
        | random & ((1 << _TAIL_BITS) - 1)
    )
