"""The demo agent's trace in, many times over; what it costs the Collector and Jaeger out.

    python -m benchmarks.scaling

Prints the rows of the table in docs/scaling.md in two or three minutes. It needs the extra demo and
what `scripts/build-backends collector jaeger` builds, and reads CPU time and memory from /proc.
"""

from __future__ import annotations

import gzip
import itertools
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import grpc
from benchmarks.measure import resident
from lc_otel import Config
from lc_otel._commands._agent import QUESTION, build_agent
from lc_otel.testing import capture
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.e2e.programs import Launcher, free_addresses, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.e2e.programs import Program

RUNS_A_REQUEST = 42  # of 12 spans: about the 512 that a program's batch holds
SENDERS = 4
REQUESTS = 30  # of each sender
RUNS = RUNS_A_REQUEST * REQUESTS * SENDERS
"""How many traces each figure is taken over; fewer than Jaeger keeps."""
IDLE = 0.05
"""The share of a core that programs use at most when they have nothing to do."""
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BUSY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Way(NamedTuple):
    """What stands between sender and store, all of it running."""

    first: Program
    """Where to send to."""
    collectors: Sequence[Program]
    jaeger: Program


def main() -> None:
    """Measure both kinds of traces on every way."""
    columns = [measure(record(content)) for content in (False, True)]
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{column[name]:,.0f}" for column in columns) + " |")


def record(content: bool) -> ExportTraceServiceRequest:
    """One run of the demo agent, as a program sends it."""
    agent = build_agent()
    with capture(Config(capture_content=content)) as captured:
        agent.invoke({"messages": [("user", QUESTION)]}, {"callbacks": [captured.handler]})
    return encode_spans(captured.sdk_spans)


def measure(run: ExportTraceServiceRequest) -> dict[str, float]:
    """Every row of the table for one kind of trace."""
    encoded = run.SerializeToString()
    spans = len(run.resource_spans[0].scope_spans[0].spans)
    made = RUNS * spans
    rows = {
        "bytes a span, uncompressed": len(encoded) / spans,
        "bytes a span, one run in gzip": len(gzip.compress(encoded)) / spans,
    }
    with launcher() as launch:
        way = straight(launch)
        before = cpu(way.collectors), cpu([way.jaeger]), resident(way.jaeger.pid)
        seconds = pass_through(way, run)
        rows["collector, CPU µs a span"] = (cpu(way.collectors) - before[0]) / made * 1e6
        rows["Jaeger in memory, CPU µs a span"] = (cpu([way.jaeger]) - before[1]) / made * 1e6
        rows["Jaeger in memory, bytes a span"] = (resident(way.jaeger.pid) - before[2]) / made
        rows["spans a second that one collector takes, Jaeger behind it"] = made / seconds
    with launcher() as launch:
        way = tier(launch, "5s")
        used = cpu(way.collectors)
        seconds = pass_through(way, run)
        rows["agent + gateway + samplers, CPU µs a span"] = (
            (cpu(way.collectors) - used) / made * 1e6
        )
        rows["spans a second that the tier takes"] = made / seconds
    with launcher() as launch:
        way = tier(launch, "120s")
        samplers = way.collectors[2:]
        used = sum(resident(sampler.pid) for sampler in samplers)
        pass_through(way, run)
        rows["samplers that have not decided, bytes a span"] = (
            sum(resident(sampler.pid) for sampler in samplers) - used
        ) / made
    with launcher() as launch:
        (nobody,) = free_addresses(1)
        collector = launch.collector(export_to=nobody)
        rows["spans one collector holds while its backend is away"] = send(
            collector, copies(run), patient=False
        ) * (RUNS_A_REQUEST * spans)
    return rows


def launcher() -> Launcher:
    """Starts programs that log into a folder of their own."""
    return Launcher(Path(tempfile.mkdtemp(prefix="scaling-")))


def straight(launch: Launcher) -> Way:
    """One collector in front of Jaeger."""
    jaeger = launch.jaeger()
    collector = launch.collector(export_to=jaeger.addresses["grpc"])
    return Way(collector, [collector], jaeger)


def tier(launch: Launcher, decision_wait: str) -> Way:
    """An agent, a gateway and two samplers, the last of the collectors."""
    jaeger = launch.jaeger()
    samplers = [
        launch.collector(
            "sampler.yaml",
            export_to=jaeger.addresses["grpc"],
            environment={"DECISION_WAIT": decision_wait},
        )
        for _ in range(2)
    ]
    addresses = ", ".join(sampler.addresses["grpc"] for sampler in samplers)
    gateway = launch.collector("gateway.yaml", environment={"SAMPLERS": f"[{addresses}]"})
    agent = launch.collector(export_to=gateway.addresses["grpc"])
    return Way(agent, [agent, gateway, *samplers], jaeger)


def pass_through(way: Way, run: ExportTraceServiceRequest) -> float:
    """Send every run, wait until nobody works on one any more; the seconds to the last answer.

    A collector answers as soon as its queue has taken the spans.
    """
    requests = [[*itertools.islice(copies(run), REQUESTS)] for _ in range(SENDERS)]
    began = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as pool:
        sent = sum(pool.map(lambda share: send(way.first, share), requests))
    assert sent == REQUESTS * SENDERS
    seconds = time.monotonic() - began
    time.sleep(7)  # the samplers decide
    everybody = [*way.collectors, way.jaeger]
    wait_until(lambda: rests(everybody), "all is stored", 120)
    return seconds


def copies(run: ExportTraceServiceRequest) -> Iterator[bytes]:
    """Encoded requests without end; each run in them is a trace of its own."""
    model = list(run.resource_spans[0].scope_spans[0].spans)
    while True:
        request = ExportTraceServiceRequest()
        request.CopyFrom(run)
        spans = request.resource_spans[0].scope_spans[0].spans
        del spans[:]
        for _ in range(RUNS_A_REQUEST):
            trace_id = os.urandom(16)
            for span in model:
                copy = spans.add()
                copy.CopyFrom(span)
                copy.trace_id = trace_id
        yield request.SerializeToString()


def send(collector: Program, requests: Iterable[bytes], *, patient: bool = True) -> int:
    """Send requests one after the other; how many were taken.

    Args:
        collector: Where to.
        requests: Encoded.
        patient: Try again what is refused for now; otherwise that is the end.
    """
    taken = 0
    with grpc.insecure_channel(collector.addresses["grpc"]) as channel:
        export: Callable[..., bytes] = channel.unary_unary(EXPORT)
        for request in requests:
            while not _is_taken(export, request):
                if not patient:
                    return taken
                time.sleep(0.05)
            taken += 1
    return taken


def _is_taken(export: Callable[..., bytes], request: bytes) -> bool:
    try:
        export(request, timeout=30)
    except grpc.RpcError as error:
        if error.code() not in BUSY:
            raise
        return False
    return True


def cpu(programs: Sequence[Program]) -> float:
    """Seconds of CPU that programs have used."""
    ticks = 0
    for program in programs:
        fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime, stime
    return ticks * TICK_S


def rests(programs: Sequence[Program]) -> bool:
    """Whether programs use next to no CPU for a second."""
    before = cpu(programs)
    time.sleep(1)
    return cpu(programs) - before < IDLE


if __name__ == "__main__":
    main()
