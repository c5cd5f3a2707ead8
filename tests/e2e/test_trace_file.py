"""Trace files and the real Collector: each reads what the other writes."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from lc_otel._tracefile import TraceFileExporter, _spell, read_spans
from lc_otel.cli import main
from tests.agent_trace import Node, build, weather_agent
from tests.e2e.programs import wait_until
from tests.receiver import grpc_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.programs import Launcher, Program

TO_A_FILE = """
exporters:
  file:
    path: {path}
service:
  pipelines:
    traces:
      exporters: [file]
"""

ODD = {
    "text": "naïve 🐍 \u2028 </script>",
    "big": 2**62,
    "small": -(2**63),
    "float": 0.1,
    "infinite": float("inf"),
    "flag": False,
    "list": ["a", ""],
    "empty": "",
}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A trace file of ours, with values of every type."""
    path = tmp_path / "ours.jsonl"
    exporter = TraceFileExporter(path)
    exporter.export(build(weather_agent()))
    exporter.export(build(Node("odd", 0, 1, ODD), seed=2))
    return path


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Where the Collector writes."""
    return tmp_path / "theirs.jsonl"


@pytest.fixture
def collector(launch: Launcher, tmp_path: Path, theirs: Path) -> Program:
    """A Collector with the repository's config, but that it writes a file."""
    config = tmp_path / "to-a-file.yaml"
    config.write_text(TO_A_FILE.format(path=theirs))
    return launch.collector("collector.yaml", str(config), export_to="unused:4317")


def spans_of(path: Path) -> dict[str, Any]:
    """The spans of a file by their ids; none where it is not there yet."""
    if not path.exists():
        return {}
    return {span.span_id: span for span in read_spans(path, pytest.fail)}


def test_the_collector_reads_our_files(launch: Launcher, ours: Path, tmp_path: Path) -> None:
    """Its otlpjsonfile receiver passes on each span unchanged, of long lines and new ones too."""
    passed_on = tmp_path / "passed-on.jsonl"
    exporter = TraceFileExporter(ours)
    exporter.export(build(Node("long", 0, 1, {"text": "x" * 3_000_000}), seed=3))
    with grpc_receiver() as backend:
        launch.collector(
            "collector.yaml",
            "collector-file.yaml",
            export_to=backend.endpoint.removeprefix("http://"),
            environment={"TRACE_FILES": str(ours)},
        )
        backend.receiver.wait_for_spans(len(spans_of(ours)), timeout=30)
        exporter.export(build(Node("late", 0, 1), seed=4))
        backend.receiver.wait_for_spans(len(spans_of(ours)), timeout=30)
        requests = [_spell(request.message) for request in backend.receiver.of("traces")]
    passed_on.write_text("".join(json.dumps(request) + "\n" for request in requests))
    assert len(backend.receiver.spans) == len(spans_of(ours))
    assert spans_of(passed_on) == spans_of(ours)


def test_the_collector_reads_our_lines(collector: Program, ours: Path, theirs: Path) -> None:
    """Posted as OTLP/JSON just as they are, our lines come out of the Collector unchanged."""
    for line in ours.read_bytes().splitlines():
        request = urllib.request.Request(
            f"http://{collector.addresses['http']}/v1/traces",
            data=line,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # ours, on loopback
            assert answer.status == 200
    written = spans_of(ours)
    wait_until(lambda: len(spans_of(theirs)) == len(written), "the Collector writes all spans")
    assert spans_of(theirs) == written


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_what_is_sent_comes_back(
    collector: Program, ours: Path, theirs: Path, protocol: str
) -> None:
    """``lc-otel send`` and the Collector's file exporter together change nothing in a file."""
    endpoint = f"http://{collector.addresses[protocol]}"
    kind = {"grpc": "grpc", "http": "http/protobuf"}[protocol]
    assert main(["send", str(ours), "--endpoint", endpoint, "--protocol", kind]) == 0
    written = spans_of(ours)
    wait_until(lambda: len(spans_of(theirs)) == len(written), "the Collector writes all spans")
    assert spans_of(theirs) == written
