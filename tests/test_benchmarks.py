"""The benchmarks run, count what they say they count, and notice growth; no time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="the workloads are LangChain's")
pytest.importorskip("langgraph", reason="one workload is a graph")

from benchmarks.bridges import BRIDGES
from benchmarks.check import CHECKED, RECORD, compare
from benchmarks.check import WORKLOADS as CHECKED_WORKLOADS
from benchmarks.counting import ROOT, environment, read_total
from benchmarks.measure import Counted, attach
from benchmarks.workloads import WORKLOADS

HANDLERS = [name for name, bridge in BRIDGES.items() if bridge.environment == "ours"]
RECORDING = [name for name in HANDLERS if name not in {"none", "noop", "ours sampled out"}]


def run(bridge: str, workload: str) -> int:
    """Run a workload once; the spans that were exported."""
    exporter = Counted()
    WORKLOADS[workload].run(attach(BRIDGES[bridge], exporter), 1)
    return exporter.spans


@pytest.mark.parametrize("bridge", RECORDING)
def test_every_run_of_the_chain_is_a_span_under_every_bridge_of_ours(bridge: str) -> None:
    """Floors and ours make the same spans, so that their costs can be held against each other."""
    assert run(bridge, "chain") == WORKLOADS["chain"].units


@pytest.mark.parametrize("workload", [name for name in WORKLOADS if name != "stream"])
def test_a_workload_has_as_many_runs_as_its_cost_is_divided_by(workload: str) -> None:
    """The units of a workload are the spans it makes."""
    assert run("ours", workload) == WORKLOADS[workload].units


@pytest.mark.parametrize("bridge", ["none", "noop", "ours sampled out"])
def test_nothing_is_exported_where_nothing_is_recorded(bridge: str) -> None:
    """Without a handler, with one that does nothing, and sampled out, there are no spans."""
    assert run(bridge, "chain") == 0


@pytest.mark.parametrize("figure", ["spans", "imports"])
def test_a_measurement_is_one_line_of_json(figure: str) -> None:
    """The process that measures prints what the harness reads."""
    command = [sys.executable, "-m", "benchmarks.measure", figure, "ours", "chain"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["chain"]["spans"] == 4 if figure == "spans" else told["cpu_ms"] > 0


def test_callgrinds_total_is_read_from_its_output() -> None:
    """The line of totals is the count; a part without one is an error."""
    assert read_total("summary: 1\ntotals: 209725265\n") == 209_725_265
    with pytest.raises(RuntimeError, match="totals"):
        read_total("events: Ir\n")


def test_growth_beyond_a_tenth_is_noticed_and_less_is_not() -> None:
    """The check fails at more than 10 % over the recorded cost, and names what grew."""
    record = {"ours": {"chat": 2.0, "chain": 2.0}}
    assert compare(record, {"ours": {"chat": 2.19, "chain": 1.0}})[1] is False
    lines, grown = compare(record, {"ours": {"chat": 2.0, "chain": 2.21}})
    assert grown
    assert [line for line in lines if "over" in line] == [
        "ours, chain: 2.21 times the floor, more than 10% over 2.00"
    ]


def test_what_is_checked_is_recorded() -> None:
    """The committed record has a cost for everything the check measures."""
    record = json.loads(RECORD.read_text())["times_the_floor"]
    assert {name: set(costs) for name, costs in record.items()} == {
        name: set(CHECKED_WORKLOADS) for name in CHECKED
    }
