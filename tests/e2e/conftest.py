"""The backends of the end-to-end tests: an endpoint that is given, docker compose, or natively."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.jaeger import Jaeger
from tests.e2e.programs import LAUNCHERS, ROOT, Launcher

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

GIVEN = ("LC_OTEL_E2E_GRPC", "LC_OTEL_E2E_HTTP", "LC_OTEL_E2E_JAEGER")
"""Host and port of a collector's OTLP/gRPC and OTLP/HTTP, and of Jaeger's query API."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "phoenix: needs Arize Phoenix, a large installation")


@dataclass(frozen=True)
class Backend:
    """A collector in front of Jaeger."""

    grpc: str
    http: str
    jaeger: Jaeger

    def endpoint(self, protocol: str) -> str:
        """The collector's address for an OTLP protocol."""
        return f"http://{self.grpc if protocol == 'grpc' else self.http}"


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A collector with the repository's config in front of Jaeger, one for all tests."""
    given = [os.environ.get(name, "") for name in GIVEN]
    if all(given):
        grpc, http, query = given
        yield Backend(grpc, http, Jaeger(query))
    elif _compose("ps"):
        assert _compose("up", "--detach", "--wait"), "docker compose up failed"
        yield Backend("127.0.0.1:4317", "127.0.0.1:4318", Jaeger("127.0.0.1:16686"))
        _compose("down")
    else:
        with Launcher(tmp_path_factory.mktemp("backend")) as launch:
            jaeger = launch.jaeger()
            collector = launch.collector(export_to=jaeger.addresses["grpc"])
            yield Backend(
                collector.addresses["grpc"],
                collector.addresses["http"],
                Jaeger(jaeger.addresses["query"]),
            )


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launcher]:
    """Starts backends for one test alone, natively: they are stopped, hung and refused at will."""
    with Launcher(tmp_path) as launch:
        yield launch


def _compose(*arguments: str) -> bool:
    """Whether docker compose did this; False too where there is no docker."""
    command = ["docker", "compose", "--project-name", "lc-otel-e2e", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the running backends logged beside a failure."""
    report = yield
    if report.failed:
        for program in (program for launcher in LAUNCHERS for program in launcher.programs):
            report.sections.append((f"log of {program.name}", program.tail()))
    return report
