"""A backend that fails in every way it can, and a program that neither notices nor waits."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from lc_otel._pipeline import configure
from tests.e2e.jaeger import Jaeger
from tests.e2e.programs import wait_until
from tests.e2e.sending import PROTOCOLS, end_span, sending
from tests.receiver import RECEIVERS, Fault, dead_endpoint, grpc_receiver

pytest.importorskip("langchain_core", reason="the programs under test are LangChain's")
from langchain_core.runnables import RunnableLambda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lc_otel._pipeline import Pipeline
    from tests.e2e.programs import Launcher

RUNS = 50
SPANS = 3 * RUNS
"""A sequence of two steps is three runs."""
PROGRAM_TIMEOUT = 3.0  # seconds; without a backend it takes a twentieth of that
EXPORT_TIMEOUT = 3.0
SHUTDOWN_TIMEOUT = 1.0
"""Shorter than one export may take, so that shutting down must give up on it."""
GRACE = 1.0


@pytest.fixture(autouse=True)
def no_export_outlives_its_test() -> Iterator[None]:
    """Wait for exports that were given up, lest their warnings be heard in the next test."""
    yield
    wait_until(
        lambda: not any(thread.name.startswith("Otel") for thread in threading.enumerate()),
        "the exporters' threads end",
    )


def run_program(pipeline: Pipeline) -> None:
    """Run a traced program; AssertionError where its results or its pace suffer."""
    chain: Any = RunnableLambda(lambda number: number + 1) | RunnableLambda(
        lambda number: number * 2
    )
    begin = time.monotonic()
    results = [
        chain.invoke(number, config={"callbacks": [pipeline.handler]}) for number in range(RUNS)
    ]
    assert time.monotonic() - begin < PROGRAM_TIMEOUT
    assert results == [(number + 1) * 2 for number in range(RUNS)]


def said_by_us(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that lc_otel logged."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("lc_otel")]


@contextmanager
def nobody(_: str) -> Iterator[str]:
    """A port on which nobody listens."""
    yield dead_endpoint()


@contextmanager
def _refusing(protocol: str, code: grpc.StatusCode, status: int) -> Iterator[str]:
    """A backend that refuses, by gRPC code or HTTP status, and says when to come back."""
    with RECEIVERS[protocol]() as address:
        address.receiver.fault = Fault(grpc=code, http=status, headers={"retry-after": "30"})
        yield address.endpoint


def _garble(connection: socket.socket) -> None:
    """Answer anything with bytes of no protocol."""
    connection.recv(65536)
    connection.sendall(b"\x00\xffgarbage\r\n\r\n" * 100)
    connection.close()


def _reset(connection: socket.socket) -> None:
    """Read a little, then cut the connection so that the other side gets an RST."""
    connection.recv(16)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _hang(connection: socket.socket) -> None:
    """Take everything and never answer."""
    while connection.recv(65536):
        pass


@contextmanager
def _misbehaving(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    server = socket.create_server(("127.0.0.1", 0))

    def attend(connection: socket.socket) -> None:
        with connection:
            try:
                behave(connection)
            except OSError:
                return  # the client went first

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # closed at the end of the test
            threading.Thread(target=attend, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


FAULTS: dict[str, Callable[[str], AbstractContextManager[str]]] = {
    "nobody listens": nobody,
    "503 and Retry-After": lambda protocol: _refusing(protocol, grpc.StatusCode.UNAVAILABLE, 503),
    "429 and Retry-After": lambda protocol: _refusing(
        protocol, grpc.StatusCode.RESOURCE_EXHAUSTED, 429
    ),
    "garbage": lambda _: _misbehaving(_garble),
    "connection reset": lambda _: _misbehaving(_reset),
    "no answer": lambda _: _misbehaving(_hang),
}


@pytest.mark.logs_warnings
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_backend_that_fails_costs_the_program_nothing(
    fault: str, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Results and pace stay, shutdown ends in time, and one line tells that spans were lost."""
    with FAULTS[fault](protocol) as endpoint:
        pipeline = configure(endpoint, protocol, timeout=EXPORT_TIMEOUT, set_global=False)
        run_program(pipeline)
        begin = time.monotonic()
        delivered = pipeline.shutdown(SHUTDOWN_TIMEOUT)
        assert time.monotonic() - begin < SHUTDOWN_TIMEOUT + GRACE
        assert not delivered
        (said,) = said_by_us(caplog)
        assert endpoint in said
        assert "\n" not in said


@pytest.mark.logs_warnings
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_giving_up_says_how_much_is_lost(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where shutdown gives up on a backend that never answers, it tells how many spans."""
    with FAULTS["no answer"](protocol) as endpoint:
        pipeline = configure(endpoint, protocol, timeout=EXPORT_TIMEOUT, set_global=False)
        run_program(pipeline)
        pipeline.shutdown(SHUTDOWN_TIMEOUT)
        (said,) = said_by_us(caplog)
        assert f"{SPANS} of {SPANS} spans did not reach {endpoint}" in said


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_is_slow_to_wake_loses_nothing(launch: Launcher, protocol: str) -> None:
    """While the collector hangs the program goes on; what it made arrives when it wakes."""
    jaeger = launch.jaeger()
    collector = launch.collector(export_to=jaeger.addresses["grpc"])
    endpoint = f"http://{collector.addresses['grpc' if protocol == 'grpc' else 'http']}"
    with sending(endpoint, protocol, service_name=f"hung-{protocol[:4]}") as (pipeline, ended):
        collector.hang()
        run_program(pipeline)
        threading.Timer(1.0, collector.wake).start()
        assert pipeline.flush()
    assert pipeline.exported == SPANS == len(ended())
    query = Jaeger(jaeger.addresses["query"])
    wait_until(
        lambda: len(query.spans_of(f"hung-{protocol[:4]}")) == SPANS, "Jaeger shows all spans"
    )


@pytest.mark.logs_warnings
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_crashes_and_comes_back_gets_what_follows(
    launch: Launcher, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash in the middle loses at most what is counted; afterwards all is as before."""
    service = f"crashed-{protocol[:4]}"
    jaeger = launch.jaeger()
    collector = launch.collector(export_to=jaeger.addresses["grpc"])
    endpoint = f"http://{collector.addresses['grpc' if protocol == 'grpc' else 'http']}"
    query = Jaeger(jaeger.addresses["query"])
    with sending(endpoint, protocol, service_name=service, timeout=2) as (pipeline, ended):
        end_span(pipeline, "before")
        assert pipeline.flush()
        wait_until(lambda: len(query.spans_of(service)) == 1, "Jaeger shows the first span")
        collector.kill()
        run_program(pipeline)
        assert not pipeline.flush()
        collector.start()

        def arrives() -> bool:
            end_span(pipeline, "after")
            return pipeline.flush()

        wait_until(arrives, "spans arrive again", 60.0)  # gRPC waits before it connects anew
    made = len(ended())
    assert pipeline.exported + pipeline.failed == made > SPANS + 1
    wait_until(
        lambda: len(query.spans_of(service)) == pipeline.exported, "Jaeger shows what was accepted"
    )
    assert {"before", "after"} <= {span.name for span in query.spans_of(service)}
    lost = f"{pipeline.failed} of {made} spans did not reach {endpoint}"
    assert [record for record in caplog.records if lost in record.getMessage()]


def test_jaeger_away_for_a_while_is_the_collectors_concern(launch: Launcher) -> None:
    """While Jaeger restarts the collector keeps what the program sent, and delivers it after."""
    jaeger = launch.jaeger()
    collector = launch.collector(export_to=jaeger.addresses["grpc"])
    query = Jaeger(jaeger.addresses["query"])
    jaeger.kill()
    with sending(f"http://{collector.addresses['grpc']}", "grpc", service_name="kept") as (
        pipeline,
        _,
    ):
        run_program(pipeline)
        assert pipeline.flush()
    jaeger.start()
    wait_until(lambda: len(query.spans_of("kept")) == SPANS, "Jaeger shows all spans", 60.0)


def test_the_warnings_above_are_ours(caplog: pytest.LogCaptureFixture) -> None:
    """A program whose backend takes everything is told nothing."""
    with grpc_receiver() as address:
        with caplog.at_level(logging.WARNING):
            pipeline = configure(address.endpoint, "grpc", set_global=False)
            run_program(pipeline)
            assert pipeline.shutdown()
        assert len(address.receiver.spans) == SPANS
    assert not caplog.records
