"""The markers of what takes long, and programs of their own."""

from __future__ import annotations

import subprocess
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.receiver import RECEIVERS
from tests.versions import STRICT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.receiver import Address

LONG = {
    "load": "the full size of a load test, minutes on a small machine",
    "soak": "ten minutes of work, for its memory",
}
"""Run with ``pytest -m load`` and ``pytest -m soak``."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for name, meaning in LONG.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes long unless it was asked for by its marker."""
    for item in items:
        for name in LONG:
            if item.get_closest_marker(name) and name not in config.getoption("markexpr"):
                item.add_marker(pytest.mark.skip(reason=f"takes long; run with -m {name}"))


@pytest.fixture(params=list(RECEIVERS))
def backend(request: pytest.FixtureRequest) -> Iterator[Address]:
    """A receiver, once for each protocol."""
    with RECEIVERS[request.param]() as address:
        yield address


@pytest.fixture
def http_backend() -> Iterator[Address]:
    """A receiver over HTTP, for what is the same over both protocols."""
    with RECEIVERS["http/protobuf"]() as address:
        yield address


def start_program(source: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program of its own, warnings as errors."""
    return subprocess.Popen(
        [*STRICT, "-c", textwrap.dedent(source), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_program(source: str, *arguments: str, timeout: float = 60) -> tuple[int, str, str]:
    """Run a program of its own; its return code, output and error output."""
    with start_program(source, *arguments) as program:
        try:
            out, err = program.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            program.kill()
            raise
    return program.returncode, out, err
