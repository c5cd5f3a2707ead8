"""OTLP requests in over gRPC or HTTP on loopback, what they carried out: a backend for tests."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from lc_otel._trace import FinishedSpan, SpanEvent

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

SIGNALS: dict[str, tuple[str, Any, Any]] = {
    "traces": (
        "opentelemetry.proto.collector.trace.v1.TraceService",
        traces.ExportTraceServiceRequest,
        traces.ExportTraceServiceResponse,
    ),
    "metrics": (
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        metrics.ExportMetricsServiceRequest,
        metrics.ExportMetricsServiceResponse,
    ),
    "logs": (
        "opentelemetry.proto.collector.logs.v1.LogsService",
        logs.ExportLogsServiceRequest,
        logs.ExportLogsServiceResponse,
    ),
}
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    signal: str
    body: bytes
    """The encoded message, decompressed."""
    headers: Mapping[str, str]
    """By lower-case name."""
    encoding: str
    """gzip, or identity."""
    time: float
    """Of arrival, by time.monotonic."""

    @property
    def message(self) -> Any:
        """The decoded request."""
        return SIGNALS[self.signal][1].FromString(self.body)


@dataclass
class Fault:
    """What the receiver does instead of accepting; with times left."""

    grpc: grpc.StatusCode | None = None
    http: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with the refusal, such as Retry-After; trailing metadata over gRPC."""
    delay: float = 0.0
    """Seconds before the answer."""
    garbage: bytes | None = None
    """Sent as a body in place of a response (HTTP only)."""
    times: int = 1_000_000
    """How many requests it befalls."""
    signal: str | None = None
    """The only signal it befalls; None means all."""
    holding: bytes = b""
    """It befalls only requests in which these bytes stand."""

    def befalls(self, received: Received) -> bool:
        """Whether the request is one it is meant for."""
        return self.signal in {None, received.signal} and self.holding in received.body


class Receiver:
    """What both servers share: the requests that were accepted, and the fault to commit next."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.refused: list[Received] = []
        self.fault: Fault | None = None
        self.closing = threading.Event()
        self._arrived = threading.Condition()

    def take(self, received: Received) -> Fault | None:
        """Keep a request, or return the fault that befalls it."""
        with self._arrived:
            fault = self.fault
            if fault is not None and fault.times > 0 and fault.befalls(received):
                fault.times -= 1
            else:
                fault = None
            refuses = fault is not None and (fault.grpc or fault.http or fault.garbage is not None)
            (self.refused if refuses else self.requests).append(received)
            self._arrived.notify_all()
        if fault is not None and fault.delay:
            self.closing.wait(fault.delay)
        return fault if refuses else None

    def of(self, signal: str) -> list[Received]:
        """The accepted requests of one signal."""
        return [received for received in self.requests if received.signal == signal]

    @property
    def spans(self) -> list[FinishedSpan]:
        """Every accepted span, in order of arrival."""
        return [span for request in self.of("traces") for span in read_spans(request.message)]

    @property
    def metric_names(self) -> set[str]:
        """The names of every accepted metric."""
        return {
            metric.name
            for request in self.of("metrics")
            for resource in request.message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def wait_for_spans(self, count: int, timeout: float = 10.0) -> list[FinishedSpan]:
        """Return once this many spans have come; AssertionError when they do not in time."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self.spans) >= count, timeout)
        assert came, f"{len(self.spans)} of {count} spans came within {timeout} s"
        return self.spans


@dataclass(frozen=True)
class Address:
    """A running receiver and where it listens."""

    receiver: Receiver
    endpoint: str
    protocol: str


@contextmanager
def grpc_receiver(
    credentials: grpc.ServerCredentials | None = None, port: int = 0
) -> Iterator[Address]:
    """Serve OTLP over gRPC; with credentials, over TLS."""
    receiver = Receiver()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for signal, (service, _, response) in SIGNALS.items():
        method = grpc.unary_unary_rpc_method_handler(_grpc_export(receiver, signal, response))
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": method}),)
        )
    address = f"localhost:{port}"
    bound = (
        server.add_secure_port(address, credentials)
        if credentials
        else server.add_insecure_port(address)
    )
    server.start()
    scheme = "https" if credentials else "http"
    try:
        yield Address(receiver, f"{scheme}://localhost:{bound}", "grpc")
    finally:
        receiver.closing.set()
        server.stop(grace=0).wait()


def _grpc_export(receiver: Receiver, signal: str, response: Any) -> Any:
    """An Export method that sees the bytes as they came."""

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        headers = dict(context.invocation_metadata())
        received = Received(
            signal,
            body,
            {key: value for key, value in headers.items() if isinstance(value, str)},
            "identity",  # grpc undoes the compression before anyone sees it
            time.monotonic(),
        )
        fault = receiver.take(received)
        if fault is not None and fault.grpc is not None:
            context.set_trailing_metadata(tuple(fault.headers.items()))
            context.abort(fault.grpc, "the receiver was told to refuse")
        encoded: bytes = response().SerializeToString()
        return encoded

    return export


@contextmanager
def http_receiver(context: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Address]:
    """Serve OTLP over HTTP with protobuf bodies; with a context, over TLS."""
    receiver = Receiver()

    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            encoding = self.headers.get("content-encoding", "identity")
            signal = self.path.rpartition("/")[2]
            if signal not in SIGNALS or self.path != f"/v1/{signal}":
                self.answer(404, b"")
                return
            received = Received(
                signal,
                gzip.decompress(body) if encoding == "gzip" else body,
                {key.lower(): value for key, value in self.headers.items()},
                encoding,
                time.monotonic(),
            )
            fault = receiver.take(received)
            if fault is None:
                self.answer(200, SIGNALS[signal][2]().SerializeToString())
            else:
                self.answer(fault.http or 200, fault.garbage or b"", fault.headers)

        def answer(
            self, status: int, body: bytes, headers: Mapping[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing on stderr."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is what some tests are about."""

    server = Server(("localhost", port), Exchange)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    scheme = "https" if context is not None else "http"
    try:
        yield Address(receiver, f"{scheme}://localhost:{server.server_port}", "http/protobuf")
    finally:
        receiver.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


RECEIVERS = {"grpc": grpc_receiver, "http/protobuf": http_receiver}
"""By OTLP protocol."""


def dead_endpoint() -> str:
    """Return the address of a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def read_spans(request: traces.ExportTraceServiceRequest) -> Iterator[FinishedSpan]:
    """Decode the spans of a request, with the types OTLP gave their attributes."""
    for resource_spans in request.resource_spans:
        resource = _mapping(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _read_span(span, resource, scope_spans.scope.name)


def _read_span(span: Span, resource: Mapping[str, Any], scope: str) -> FinishedSpan:
    return FinishedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        kind=KINDS[span.kind],
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=STATUSES[span.status.code],
        status_message=span.status.message,
        attributes=_mapping(span.attributes),
        events=tuple(
            SpanEvent(event.name, event.time_unix_nano, _mapping(event.attributes))
            for event in span.events
        ),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        resource=resource,
        scope=scope,
    )


def _mapping(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    """The Python value of an AnyValue; an array becomes a tuple, as the SDK has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return _mapping(value.kvlist_value.values)
    return getattr(value, kind)
