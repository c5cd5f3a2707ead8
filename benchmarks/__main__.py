"""Names of bridges in, every figure of theirs out: results.json, and the tables and plot of docs.

    python -m benchmarks [--bridges NAME ...] [--figures NAME ...]

What is not measured anew is kept from the last time. Each bridge runs in a virtual environment of
its own, made at first use under ``${LC_OTEL_CACHE:-~/.cache/lc-otel}/benchmarks``. Instructions
need valgrind. Everything takes an hour or two on two cores.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bridges import BRIDGES, COMMON, ENVIRONMENTS
from benchmarks.counting import ROOT, count_instructions, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RESULTS = ROOT / "benchmarks" / "results.json"
WORKLOADS = ("chat", "chain", "tree", "graph", "concurrent", "large", "stream")
ROUNDS = 3
"""How often CPU times are taken, bridge after bridge, so that a busy minute hits all alike."""

Results = dict[str, dict[str, Any]]
"""By figure, then by bridge."""


def main() -> None:
    """Measure what is asked for, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--bridges", nargs="+", choices=BRIDGES, default=[*BRIDGES])
    parser.add_argument("--figures", nargs="+", choices=FIGURES, default=[*FIGURES])
    arguments = parser.parse_args()
    for figure in arguments.figures:
        FIGURES[figure](arguments.bridges)
    _run(python_of("ours"), "benchmarks.report")


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made if it is not there."""
    cache = Path(os.environ.get("LC_OTEL_CACHE", Path.home() / ".cache" / "lc-otel"))
    folder = cache / "benchmarks" / name
    python = folder / "bin" / "python"
    wanted = "\n".join([*COMMON, *ENVIRONMENTS[name]])
    made = folder / "requirements.txt"
    if not made.exists() or made.read_text() != wanted:
        print(f"installing the environment {name}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        packages = wanted.splitlines()
        command = [python, "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(command, check=True)
        made.write_text(wanted)
    return python


def _run(python: Path, *arguments: str) -> str:
    command = [os.fspath(python), "-W", "ignore", "-m", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _measure(figure: str, bridge: str) -> Any:
    python = python_of(BRIDGES[bridge].environment)
    return json.loads(_run(python, "benchmarks.measure", figure, bridge, *WORKLOADS))


def _keep(figure: str, bridge: str, value: Any) -> None:
    results: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results.setdefault(figure, {})[bridge] = value
    results["made"] = {
        "date": dt.datetime.now(tz=dt.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "machine": _machine(),
        "installed": {**results.get("made", {}).get("installed", {}), bridge: _installed(bridge)},
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{figure} of {bridge}: {json.dumps(value)}", file=sys.stderr)


def _machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.machine()}"


def _installed(bridge: str) -> Mapping[str, str]:
    python = python_of(BRIDGES[bridge].environment)
    said = json.loads(_run(python, "pip", "list", "--format=json", "--disable-pip-version-check"))
    telling = ("langchain", "langgraph", "opentelemetry-sdk", "openinference", "langfuse")
    return {
        package["name"]: package["version"]
        for package in said
        if package["name"].startswith(telling) or "langchain" in package["name"]
    }


def _instructions(bridges: Sequence[str]) -> None:
    for bridge in bridges:
        python = python_of(BRIDGES[bridge].environment)
        spent = count_instructions(python, bridge, WORKLOADS)
        _keep("instructions", bridge, spent)


def _speed(bridges: Sequence[str]) -> None:
    rounds = [{bridge: _measure("speed", bridge) for bridge in bridges} for _ in range(ROUNDS)]
    for bridge in bridges:
        taken = [each[bridge] for each in rounds]
        _keep(
            "speed",
            bridge,
            {
                "cpu_us": {
                    name: statistics.median(one["cpu_us"][name] for one in taken)
                    for name in WORKLOADS
                },
                "peak_kb": statistics.median(one["peak_kb"] for one in taken),
            },
        )


def _spans(bridges: Sequence[str]) -> None:
    for bridge in bridges:
        _keep("spans", bridge, _measure("spans", bridge))


def _imports(bridges: Sequence[str]) -> None:
    for bridge in bridges:
        times = [_measure("imports", bridge)["cpu_ms"] for _ in range(2 * ROUNDS + 1)]
        _keep("imports", bridge, {"cpu_ms": statistics.median(times)})


def _growth(bridges: Sequence[str]) -> None:
    for bridge in bridges:
        _keep("growth", bridge, _measure("growth", bridge))


FIGURES: Mapping[str, Callable[[Sequence[str]], None]] = {
    "spans": _spans,
    "imports": _imports,
    "speed": _speed,
    "instructions": _instructions,
    "growth": _growth,
}

if __name__ == "__main__":
    main()
