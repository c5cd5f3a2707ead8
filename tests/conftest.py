"""What every test is held to: nothing of ours, or of OpenTelemetry's, warns behind its back."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

WATCHED = ("lc_otel", "opentelemetry")
THREADS = ("lc-otel", "Otel")
"""How the names of our threads begin, and of OpenTelemetry's."""
PATIENCE = 20.0
"""Seconds a thread may take to end after its test."""


class _Heard(logging.Handler):
    """Keeps the messages of warnings and worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def no_warning_is_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which a warning was logged, unless it is marked ``logs_warnings``."""
    heard = _Heard()
    for name in WATCHED:
        logging.getLogger(name).addHandler(heard)
    yield
    for name in WATCHED:
        logging.getLogger(name).removeHandler(heard)
    if heard.messages and request.node.get_closest_marker("logs_warnings") is None:
        pytest.fail("warnings were logged:\n" + "\n".join(heard.messages))


@pytest.fixture(autouse=True)
def no_thread_is_left(no_warning_is_logged: None) -> Iterator[None]:
    """Fail a test that leaves a thread running, and keep what the thread logs out of the next."""
    before = set(threading.enumerate())
    yield
    begun = [each for each in threading.enumerate() if each not in before]
    left = [each for each in begun if each.name.startswith(THREADS)]
    end = time.monotonic() + PATIENCE
    for thread in left:
        thread.join(max(end - time.monotonic(), 0))
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.fixture(autouse=True)
def no_otel_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's environment would tell OpenTelemetry."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
