"""The recorded cost of a span in, its cost now held against it out: fails where it has grown.

    python -m benchmarks.check            after a change; needs valgrind
    python -m benchmarks.check --record   where the growth is meant: writes record.json anew

The cost is counted in instructions and told as a multiple of the floor's (a span started and ended
with three attributes), counted in the same run: so neither the machine nor another version of
LangChain or of the SDK counts as growth.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.counting import count_instructions

RECORD = Path(__file__).with_name("record.json")
CHECKED = ("ours", "ours content", "ours sampled out")
WORKLOADS = ("chat", "chain")
LIMIT = 1.10
"""Growth beyond this fails."""

Costs = Mapping[str, Mapping[str, float]]
"""By bridge and workload: how many times the floor."""


def main() -> int:
    """Check or record; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.add_argument("--record", action="store_true", help="take today's cost for the measure")
    arguments = parser.parse_args()
    python = ".".join(platform.python_version_tuple()[:2])
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if not arguments.record and record["python"] != python:
        print(f"recorded with Python {record['python']}, this is {python}: they cannot be compared")
        return 1
    now = measure()
    if arguments.record:
        RECORD.write_text(json.dumps({"python": python, "times_the_floor": now}, indent=1) + "\n")
        return 0
    lines, grown = compare(record["times_the_floor"], now)
    print("\n".join(lines))
    if grown:
        print(
            "the cost of a span has grown; where that is meant: python -m benchmarks.check --record"
        )
    return 1 if grown else 0


def measure() -> Costs:
    """Today's cost, with this interpreter."""
    counts = {
        bridge: count_instructions(sys.executable, bridge, WORKLOADS)
        for bridge in ("none", "floor", *CHECKED)
    }

    def added(bridge: str, workload: str) -> float:
        return counts[bridge][workload] - counts["none"][workload]

    return {
        bridge: {
            workload: round(added(bridge, workload) / added("floor", workload), 3)
            for workload in WORKLOADS
        }
        for bridge in CHECKED
    }


def compare(record: Costs, now: Costs) -> tuple[list[str], bool]:
    """Each cost beside the recorded one, and whether any has grown beyond the limit."""
    lines, grown = [], False
    for bridge, costs in now.items():
        for workload, cost in costs.items():
            before = record[bridge][workload]
            too_much = cost > before * LIMIT
            grown = grown or too_much
            verdict = f", more than {LIMIT - 1:.0%} over" if too_much else "; recorded:"
            lines.append(f"{bridge}, {workload}: {cost:.2f} times the floor{verdict} {before:.2f}")
    return lines, grown


if __name__ == "__main__":
    sys.exit(main())
