"""Spans through rotel, a collector that is no relative of the OpenTelemetry Collector."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.programs import accepts, free_addresses, miss
from tests.e2e.sending import PROTOCOLS, sending
from tests.receiver import RECEIVERS
from tests.versions import needs_create_agent

needs_create_agent()
from lc_otel._commands._agent import QUESTION, build_agent

if TYPE_CHECKING:
    from tests.e2e.programs import Launcher

# rotel's names of the protocols
EXPORT_PROTOCOLS = {"grpc": "grpc", "http/protobuf": "http"}


def find_rotel() -> str:
    """Return the path of the program in the PyPI package."""
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        miss("rotel", "pip install rotel (Linux and macOS, Python 3.10 to 3.13)")
    return str(Path(found.origin).parent / "rotel-agent")


@pytest.mark.parametrize("onward", PROTOCOLS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_demo_agents_trace_passes_through(launch: Launcher, protocol: str, onward: str) -> None:
    """What rotel takes over either protocol it sends on whole over either."""
    grpc, http = free_addresses(2)
    with RECEIVERS[onward]() as backend:
        rotel = launch.launch(
            "rotel",
            [
                find_rotel(),
                "start",
                f"--otlp-grpc-endpoint={grpc}",
                f"--otlp-http-endpoint={http}",
                "--exporter=otlp",
                f"--otlp-exporter-endpoint={backend.endpoint}",
                f"--otlp-exporter-protocol={EXPORT_PROTOCOLS[onward]}",
            ],
            {},
            lambda: accepts(grpc) and accepts(http),
            {"grpc": grpc, "http/protobuf": http},
        )
        with sending(f"http://{rotel.addresses[protocol]}", protocol) as (pipeline, ended):
            build_agent().invoke(
                {"messages": [("user", QUESTION)]}, config={"callbacks": [pipeline.handler]}
            )
            assert pipeline.flush()
        sent = {span.span_id: span for span in ended()}
        assert len(sent) > 10
        passed_on = backend.receiver.wait_for_spans(len(sent))
        assert {span.span_id: span for span in passed_on} == sent
