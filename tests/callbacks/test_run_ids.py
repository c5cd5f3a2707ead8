"""Run ids are UUIDs of version 7, unique and in order."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from lc_otel.callbacks import _uuid7
from lc_otel.callbacks._uuid7 import uuid7


def milliseconds(one: uuid.UUID) -> int:
    """The Unix time that the id carries."""
    return one.int >> 80


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that has made nothing yet."""
    monkeypatch.setattr(_uuid7, "_last_ms", -1)
    monkeypatch.setattr(_uuid7, "_counter", 0)


def test_version_variant_and_time() -> None:
    """Version 7, the variant of RFC 9562, and the time in milliseconds."""
    before = time.time_ns() // 1_000_000
    one = uuid7()
    assert one.version == 7
    assert one.variant == uuid.RFC_4122
    assert before <= milliseconds(one) <= time.time_ns() // 1_000_000


def test_ids_are_in_order_and_unique_across_threads() -> None:
    """Each id is greater than all that its thread saw before; none comes twice."""
    made: list[list[uuid.UUID]] = []

    def make() -> None:
        made.append([uuid7() for _ in range(5_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ids == sorted(ids) for ids in made)
    assert len({one for ids in made for one in ids}) == 20_000


@pytest.mark.usefixtures("fresh")
def test_a_clock_that_goes_back_is_counted_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids stay in order when the clock stands still or is set back."""
    clock = iter([5_000_000, 5_000_000, 4_000_000, 1_000_000, 6_000_000])
    monkeypatch.setattr(_uuid7.time, "time_ns", lambda: next(clock))
    ids = [uuid7() for _ in range(5)]
    assert ids == sorted(ids)
    assert [milliseconds(one) for one in ids] == [5, 5, 5, 5, 6]


@pytest.mark.usefixtures("fresh")
def test_a_counter_that_runs_over_takes_the_next_millisecond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the last value of the counter comes the next millisecond, not a smaller id."""
    monkeypatch.setattr(_uuid7.time, "time_ns", lambda: 5_000_000)
    first = uuid7()
    monkeypatch.setattr(_uuid7, "_counter", (1 << 42) - 1)
    second = uuid7()
    assert (milliseconds(first), milliseconds(second)) == (5, 6)
    assert second.version == 7
    assert second.variant == uuid.RFC_4122


@pytest.mark.usefixtures("fresh")
def test_the_counter_starts_at_random_below_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9562, 6.2, method 1: the top bit is clear at first, the others are random."""
    monkeypatch.setattr(_uuid7.os, "urandom", lambda size: b"\xff" * size)
    assert uuid7().int & ((1 << 62) - 1) == (1 << 62) - 1
    assert _uuid7._counter == (1 << 41) - 1
