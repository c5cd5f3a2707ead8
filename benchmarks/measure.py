"""A figure's name and a bridge's name in, that figure out as JSON: one process, one bridge.

python -m benchmarks.measure {instructions,speed,spans,growth,imports} BRIDGE [WORKLOAD ...]
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bridges import BRIDGES, Bridge, Setting
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

WARM_UP = 3
CHAINS = 50_000
"""After so many chains nothing may have grown."""


class Counted(SpanExporter):
    """Drops spans, and counts them."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Count."""
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


class Weighed(Counted):
    """Encodes spans as OTLP before it drops them, and adds up the bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encode and count."""
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        self.bytes += encode_spans(spans).ByteSize()
        return super().export(spans)


def attach(bridge: Bridge, exporter: SpanExporter) -> dict[str, Any]:
    """Set a bridge up; the config that runs are to have."""
    handlers = bridge.attach(Setting(exporter, bridge.sampler))
    return {"callbacks": [*handlers]} if handlers else {}


def measure_instructions(bridge: Bridge, names: Sequence[str]) -> Mapping[str, Any]:
    """Mark where each workload's short and long run begin and end, for callgrind.

    Callgrind is told by ``--dump-before=getloadavg`` to write what it has counted so far and to
    begin anew; nothing else asks for the load.
    """
    from benchmarks.workloads import WORKLOADS

    config = attach(bridge, Counted())
    for name in names:
        WORKLOADS[name].run(config, WARM_UP)
    gc.collect()
    gc.freeze()
    switch = ["callgrind_control", "--instr=on", str(os.getpid())]
    subprocess.run(switch, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in names:
        workload = WORKLOADS[name]
        workload.run(config, WARM_UP)
        os.getloadavg()
        workload.run(config, workload.short)
        os.getloadavg()
        workload.run(config, workload.long)
        os.getloadavg()
    return {name: [WORKLOADS[name].short, WORKLOADS[name].long] for name in names}


def measure_speed(bridge: Bridge, names: Sequence[str]) -> Mapping[str, Any]:
    """CPU time a unit in microseconds, of all threads; and the most memory the process had."""
    from benchmarks.workloads import WORKLOADS

    config = attach(bridge, Counted())
    times: dict[str, float] = {}
    for name in names:
        workload = WORKLOADS[name]
        workload.run(config, WARM_UP)
        gc.collect()
        before = time.process_time()
        workload.run(config, workload.many)
        spent = time.process_time() - before
        times[name] = spent * 1e6 / workload.many / workload.units
    return {"cpu_us": times, "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def measure_spans(bridge: Bridge, names: Sequence[str]) -> Mapping[str, Any]:
    """Spans, and their bytes as OTLP, of each workload done once (a stream: 1,000 tokens)."""
    from benchmarks.workloads import WORKLOADS

    exporter = Weighed()
    config = attach(bridge, exporter)
    told: dict[str, Any] = {}
    for name in names:
        spans, size = exporter.spans, exporter.bytes
        WORKLOADS[name].run(config, WORKLOADS[name].many if name == "stream" else 1)
        _flush()
        told[name] = {"spans": exporter.spans - spans, "bytes": exporter.bytes - size}
    return told


def _flush() -> None:
    """Let a bridge that exports in the background do so now."""
    if "langfuse" in sys.modules:
        sys.modules["langfuse"].get_client().flush()


def measure_growth(bridge: Bridge, names: Sequence[str]) -> Mapping[str, Any]:
    """What the process has kept after `CHAINS` chains: memory, and objects of the collector's."""
    from benchmarks.workloads import WORKLOADS

    config = attach(bridge, Counted())
    chain = WORKLOADS["chain"]
    chain.run(config, CHAINS // 10)
    before = _held()
    chain.run(config, CHAINS)
    return {name: value - before[name] for name, value in _held().items()} | {"chains": CHAINS}


def resident(process: int | str = "self") -> int:
    """Bytes of memory that a process holds, by its id."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _held() -> dict[str, int]:
    _flush()
    gc.collect()
    return {
        "rss_kb": resident() // 1024,
        "blocks": sys.getallocatedblocks(),
        "objects": len(gc.get_objects()),
    }


def measure_imports(bridge: Bridge, names: Sequence[str]) -> Mapping[str, Any]:
    """CPU milliseconds to import and set up a bridge, beyond langchain_core and the SDK."""
    import langchain_core.language_models
    import langchain_core.output_parsers
    import langchain_core.prompts
    import langchain_core.retrievers
    import langchain_core.runnables
    import langchain_core.tools  # noqa: F401 -- what every LangChain program has imported

    exporter = Counted()
    before = time.process_time()
    attach(bridge, exporter)
    return {"cpu_ms": (time.process_time() - before) * 1e3}


FIGURES: Mapping[str, Callable[[Bridge, Sequence[str]], Mapping[str, Any]]] = {
    "instructions": measure_instructions,
    "speed": measure_speed,
    "spans": measure_spans,
    "growth": measure_growth,
    "imports": measure_imports,
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("bridge", choices=BRIDGES)
    parser.add_argument("workloads", nargs="*")
    arguments = parser.parse_args()
    logging.disable()  # a bridge that complains must not be slower for it
    measured = FIGURES[arguments.figure](BRIDGES[arguments.bridge], arguments.workloads)
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
