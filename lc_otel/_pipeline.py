"""Settings in, providers and a handler out: the place where everything is put together."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from lc_otel._delivery import CountedExporter, OwnExporter, SideExporter
from lc_otel._errand import Runner, call_in_child
from lc_otel._errors import ConfigurationError
from lc_otel._handler import OTelCallbackHandler
from lc_otel._install import install, uninstall
from lc_otel._queue import SpanQueue
from lc_otel._sigterm import Delivery, deliver_on_sigterm
from lc_otel._spool import Spool
from lc_otel._version import __version__
from lc_otel.config import (
    Config,
    Console,
    Destination,
    ExportSettings,
    Signal,
    read_export_settings,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from opentelemetry.sdk.trace.export import SpanExporter
    from typing_extensions import Self

_logger = logging.getLogger(__name__)

_FILE_DELAY_MS = 1_000  # what a killed program loses of its file or spool at most
_DEFAULT_TIMEOUT = 10.0  # seconds, the OTLP exporters' own default for one export

# module and class of each exporter, imported when chosen: gRPC alone costs a tenth of a second
_EXPORTERS: Mapping[tuple[str, str], tuple[str, str]] = {
    (protocol, signal): (f"opentelemetry.exporter.otlp.proto.{package}.{module}", name)
    for protocol, package in (("grpc", "grpc"), ("http/protobuf", "http"))
    for signal, module, name in (
        ("traces", "trace_exporter", "OTLPSpanExporter"),
        ("metrics", "metric_exporter", "OTLPMetricExporter"),
        ("logs", "_log_exporter", "OTLPLogExporter"),
    )
}
# imported by requests at its first request: a child forked meanwhile could never import them
_IMPORTED_LATE = ("netrc", "encodings.idna")
# a member of both packages' Compression
_COMPRESSIONS: Mapping[str, str] = {"gzip": "Gzip", "none": "NoCompression"}


class Pipeline:
    """A handler, and the way its spans take out of the process; made by `configure`.

    As a context manager it shuts down at the end of the block.

    Attributes:
        settings: What `configure` was asked for, checked.
        handler: Give it to LangChain: ``config={"callbacks": [pipeline.handler]}``.
        address: Where spans are sent, or None where they are not.
        tracer_provider: What the handler makes its spans with; other instrumentations may too.
        meter_provider: What the handler measures with; None means the global one.
    """

    def __init__(self, settings: ExportSettings) -> None:
        self.settings = settings
        self._renew_lock()
        call_in_child(self._renew_lock)
        self._closers: list[Callable[[], Any]] = []
        self._flushers: list[Callable[[], Any]] = []
        self._exporter: CountedExporter | None = None
        self._queue: SpanQueue | None = None
        self._queues: list[SpanQueue] = []
        self._file: SpanExporter | None = None
        self._lost_before = 0
        self._delivered: bool | None = None
        self.address = settings.traces.address if settings.traces else None
        providers = self._build_providers()
        self._runner = Runner("lc-otel-pipeline")
        self.tracer_provider: trace.TracerProvider = providers["tracer_provider"]
        self.meter_provider: metrics.MeterProvider | None = providers.get("meter_provider")
        self.handler = OTelCallbackHandler(config=settings.config, **providers)
        self._sigterm: Delivery | None = None
        if settings.flush_on_sigterm:
            # a little sooner than the signal takes its effect, so as to say what was lost
            shutdown = partial(self.shutdown, 0.9 * _DEFAULT_TIMEOUT)
            self._sigterm = deliver_on_sigterm(shutdown, self.flush, _DEFAULT_TIMEOUT)
        atexit.register(self.shutdown)

    def _renew_lock(self) -> None:
        """Begin with a free one; in a forked child too, whatever the parent's threads were at."""
        # re-entrant: a signal handler may call `shutdown` in the middle of `shutdown`
        self._lock = threading.RLock()

    @property
    def exported(self) -> int:
        """Spans the backend has accepted."""
        return self._exporter.exported if self._exporter else 0

    @property
    def failed(self) -> int:
        """Spans that were given up after the exporter's retries."""
        return self._exporter.failed if self._exporter else 0

    @property
    def dropped(self) -> int:
        """Spans that ended faster than they could be sent or written, and found no room to wait."""
        return sum(queue.dropped for queue in self._queues)

    @property
    def spooled(self) -> int:
        """Spans of this pipeline that wait in the spool."""
        return self._exporter.kept if self._exporter else 0

    @property
    def last_error(self) -> str | None:
        """Why the last export that failed did, in the exporter's words."""
        return self._exporter.last_error if self._exporter else None

    def flush(self, timeout: float = _DEFAULT_TIMEOUT) -> bool:
        """Send what has ended so far, and wait for it at most ``timeout`` seconds.

        Returns:
            Whether every span since the last flush was accepted by the backend, and the last ones
            written to the file. With a provider that is not ours, what that provider says. After a
            shutdown, what that has said.
        """
        answers: list[bool] = []
        done = self._runner.run(lambda: answers.extend(map(_attempt, self._flushers)), timeout)
        if self._runner.closed and not done:
            return bool(self._delivered)
        lost, before = self.failed + self.dropped, self._lost_before
        self._lost_before = lost
        return done and all(answers) and lost == before

    def shutdown(self, timeout: float = _DEFAULT_TIMEOUT) -> bool:
        """End what is open, send what is left, and stop; further calls do nothing.

        Runs by itself when the interpreter exits, and goes on there where Ctrl-C has broken it off.
        What could not be delivered is said in one line at WARNING. A provider that is not ours is
        left as it is.

        Args:
            timeout: Seconds after which what is still on its way is given up.

        Returns:
            Whether every span of this pipeline was accepted by the backend, and the last ones
            written to the file.
        """
        with self._sigterm.held_back() if self._sigterm else nullcontext():
            if not self._lock.acquire(timeout=max(timeout, 0)):
                return False  # another thread is at it
            try:
                return self._shut_down(timeout)
            finally:
                self._lock.release()

    def _shut_down(self, timeout: float) -> bool:
        """Shut down; each step may be broken off by a signal, or taken again by its handler."""
        if self._delivered is not None:
            return self._delivered
        if self._closers:
            _closed.add(self.tracer_provider)  # first, since `configure` looks there
        _forget(self)
        uninstall(self.handler)
        self.handler.end_open_runs()
        if self._exporter:
            self._exporter.close_within(timeout / 2)  # the rest is for what must be kept
        done = self._runner.run(self._close, timeout)
        if self._delivered is None:
            written = self._file is None or self._file.force_flush()
            arrived = self._say_what_is_missing(None if done else f"gave up after {timeout:g} s")
            self._delivered = done and written and arrived
        self._runner.close()
        if self._sigterm:
            self._sigterm.forget()
        atexit.unregister(self.shutdown)
        return self._delivered

    def _close(self) -> None:
        # spans first: where time runs out, metrics are the lesser loss
        while self._closers:
            _attempt(self._closers.pop(0))

    def _say_what_is_missing(self, trouble: str | None) -> bool:
        """Log which spans did not reach the backend, and why; whether there are none."""
        ended, dropped = (self._queue.ended, self._queue.dropped) if self._queue else (0, 0)
        kept = self.spooled
        lost = ended - self.exported - kept
        if kept:
            _logger.warning(
                "%d of %d spans did not reach %s (%s) and are kept in %s: a pipeline with the "
                "same spool delivers them.",
                kept,
                ended,
                self.address,
                self.last_error,
                self.settings.spool,
            )
        if lost:
            reasons = [
                self.last_error,
                f"{dropped} found the queue full or closed" if dropped else None,
                trouble,
            ]
            _logger.warning(
                "%d of %d spans did not reach %s: %s",
                lost,
                ended,
                self.address,
                "; ".join(filter(None, reasons)) or "no reason given",
            )
        return not (lost or kept or self.dropped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _build_providers(self) -> dict[str, Any]:
        """Make the providers, or take the ones that are there; the handler's arguments."""
        settings = self.settings
        if settings.disabled:
            self.address = None
            return {
                "tracer_provider": trace.NoOpTracerProvider(),
                "meter_provider": metrics.NoOpMeterProvider(),
            }
        present = trace.get_tracer_provider()
        unset = isinstance(present, trace.ProxyTracerProvider)
        if settings.set_global and not unset and present not in _closed:
            _logger.info(
                "A tracer provider is set already (%s): its own exporters are used, configure() "
                "adds none. Pass set_global=False for a pipeline of its own.",
                type(present).__qualname__,
            )
            self.address = None
            if flush := getattr(present, "force_flush", None):
                self._flushers.append(flush)
            return {"tracer_provider": present}

        resource = _build_resource(settings)
        providers: dict[str, Any] = {"tracer_provider": self._build_tracer_provider(resource)}
        if settings.metrics:
            providers["meter_provider"] = self._build_meter_provider(resource, settings.metrics)
        if settings.logs:
            providers["logger_provider"] = self._build_logger_provider(resource, settings.logs)
        if settings.set_global and not unset:
            _logger.warning(
                "The global tracer provider belongs to a pipeline that was shut down, and cannot "
                "be replaced: LangChain's runs are recorded again, spans of other libraries are "
                "not. Keep one pipeline open instead."
            )
        elif settings.set_global:
            trace.set_tracer_provider(providers["tracer_provider"])
            if settings.metrics:
                metrics.set_meter_provider(providers["meter_provider"])
            if settings.logs:
                _logs.set_logger_provider(providers["logger_provider"])
        return providers

    def _build_tracer_provider(self, resource: Resource) -> TracerProvider:
        try:
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        except ValueError as error:  # of OTEL_*_LIMIT: it names variable and value
            raise ConfigurationError(f"{error}.") from None
        if self.settings.file:
            self._file = _build_file_exporter(self.settings.file)
        if self.settings.traces:
            self._exporter = build_span_exporter(self.settings.traces, self.settings)
        if self.settings.console:
            from lc_otel._live import console_printer  # noqa: PLC0415  # only where asked for

            provider.add_span_processor(console_printer(self.settings.console))
        if self._file:  # before the backend: they are flushed and closed in turn, and that may hang
            queue = self._enqueue(self._file, str(self.settings.file), _FILE_DELAY_MS)
            provider.add_span_processor(queue)
        if self._exporter and self.settings.traces:
            delay = _FILE_DELAY_MS if self.settings.spool else self.settings.span_delay_ms
            self._queue = self._enqueue(self._exporter, self.settings.traces.address, delay)
            provider.add_span_processor(self._queue)
        self._flushers.append(provider.force_flush)
        if self._exporter:
            self._flushers.append(self._exporter.force_flush)
        if self._file:
            self._flushers.append(self._file.force_flush)
        self._closers.append(provider.shutdown)
        return provider

    def _enqueue(self, exporter: SpanExporter, destination: str, delay_ms: float) -> SpanQueue:
        """Put a queue before an exporter."""
        queue = SpanQueue(
            exporter,
            destination,
            size=self.settings.queue_size,
            batch=self.settings.batch_size,
            delay_ms=delay_ms,
        )
        self._queues.append(queue)
        return queue

    def _build_meter_provider(self, resource: Resource, destination: Destination) -> Any:
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415  # only where wanted
        from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
            PeriodicExportingMetricReader,
        )

        exporter: Any = self._build_side_exporter("metrics", "metrics", destination)
        provider = MeterProvider(
            [PeriodicExportingMetricReader(exporter, self.settings.metric_interval_ms)],
            resource,
            shutdown_on_exit=False,
        )
        for queue in self._queues:
            queue.observe(provider)
        self._flushers.append(provider.force_flush)
        self._closers.append(provider.shutdown)
        return provider

    def _build_logger_provider(self, resource: Resource, destination: Destination) -> Any:
        from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415  # only where wanted
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415

        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        exporter: Any = self._build_side_exporter("logs", "log events", destination)
        provider.add_log_record_processor(
            BatchLogRecordProcessor(
                exporter,
                self.settings.log_delay_ms,
                self.settings.log_batch_size,
                max_queue_size=self.settings.log_queue_size,
            )
        )
        self._flushers.append(provider.force_flush)
        self._closers.append(provider.shutdown)
        return provider

    def _build_side_exporter(self, signal: Signal, name: str, where: Destination) -> SideExporter:
        exporter = _build_exporter(signal, where, self.settings)
        return SideExporter(exporter, name, where.address, lambda: self.failed > 0)


# tracer providers of pipelines that were shut down; one of them may still be the global one
_closed: weakref.WeakSet[trace.TracerProvider] = weakref.WeakSet()

_active: Pipeline | None = None
_active_lock = threading.Lock()


def configure(
    endpoint: str | None = None,
    protocol: str | None = None,
    service_name: str | None = None,
    headers: Mapping[str, str] | None = None,
    config: Config | None = None,
    *,
    console: Console = False,
    file: str | os.PathLike[str] | None = None,
    spool: str | os.PathLike[str] | None = None,
    flush_on_sigterm: bool = False,
    service_version: str | None = None,
    timeout: float | None = None,
    compression: str | None = None,
    set_global: bool = True,
) -> Pipeline:
    """Send LangChain's runs to an OpenTelemetry backend, print them, or both.

    Makes tracer, meter and logger provider with OTLP exporters, makes them the global ones, and
    shuts them down when the interpreter exits. Every run of the process is told to its handler,
    as by `instrument`; where the handler is attached by hand as well, no run is told twice.

    Whatever is not given here is taken from the standard ``OTEL_*`` variables: endpoint, protocol,
    headers, timeout, compression, certificates, service name, resource attributes, sampler, batch
    sizes, ``OTEL_SDK_DISABLED``, ``OTEL_TRACES_EXPORTER``, ``OTEL_METRICS_EXPORTER``.

    **A tracer provider that is set globally already is respected**: nothing is added to it and
    nothing of it is shut down; the handler makes its spans with it, and the other arguments but
    ``config`` have no effect. An INFO record says so. ``set_global=False`` makes a pipeline of its
    own instead.

    Called again with the same settings while the first pipeline is open, it returns that one.

    Args:
        endpoint: The backend's general OTLP address, such as ``http://localhost:4317``; for
            http/protobuf, ``/v1/traces`` and ``/v1/metrics`` are appended. The scheme decides about
            TLS.
        protocol: ``"grpc"`` or ``"http/protobuf"``. Left out: http/protobuf where the endpoint has
            port 4318 or a path, else grpc.
        service_name: ``service.name`` of the resource.
        headers: Sent with each export, such as an API key. Never logged.
        config: What the handler records.
        console: Print each finished trace as a tree to ``sys.stdout``; ``"live"`` also shows on a
            terminal what runs just now, with the time and tokens so far. With no endpoint given
            here or in the environment, nothing is sent.
        file: Append finished spans to this trace file, as OTLP/JSON lines that ``lc-otel view``
            shows and ``lc-otel send`` ships. At 100 MiB it is set aside under the time's name, and
            the newest 9 of those are kept. Several processes may share it. With no endpoint given
            here or in the environment, nothing is sent.
        spool: Keep spans that the backend does not take in this directory, up to 256 MiB, and
            deliver them, oldest first, when it answers again; the next process with the same
            directory delivers what this one leaves. It must be the user's own, and is made so where
            it is missing. Several processes may share it.
        flush_on_sigterm: Deliver spans before SIGTERM takes its effect: where it would kill the
            process, open runs are ended and all is sent first; where the program has a handler,
            what has ended is sent before that is called. Call `configure` in the main thread then.
        service_version: ``service.version`` of the resource.
        timeout: Seconds one export may take, retries included.
        compression: ``"gzip"`` or ``"none"``.
        set_global: Make the providers the global ones, so that spans of other libraries join the
            trace. False leaves the global providers alone, whatever they are, and traces only runs
            to which the handler is attached.

    Returns:
        The pipeline; its ``handler`` goes into LangChain's ``callbacks``.

    Raises:
        ConfigurationError: A setting cannot be used, or `configure` was called before with others.
    """
    global _active  # noqa: PLW0603  # the global providers are one a process, and so is this
    settings = read_export_settings(
        endpoint=endpoint,
        protocol=protocol,
        service_name=service_name,
        headers=headers,
        config=config,
        console=console,
        file=file,
        spool=spool,
        flush_on_sigterm=flush_on_sigterm,
        service_version=service_version,
        timeout=timeout,
        compression=compression,
        set_global=set_global,
    )
    if not set_global:
        return Pipeline(settings)
    with _active_lock:
        pipeline = _active
        if pipeline is None:
            pipeline = _active = Pipeline(settings)
            install(pipeline.handler)
        elif pipeline.settings != settings:
            raise ConfigurationError(
                "configure() was called before with other settings, and its pipeline is still "
                "open; use that one, shut it down first, or pass set_global=False for a second."
            )
        return pipeline


def _forget(pipeline: Pipeline) -> None:
    """A pipeline that is shut down is no longer the one `configure` returns."""
    global _active  # noqa: PLW0603  # see configure
    # without the lock, which a thread that a signal has stopped may hold; `configure` replaces none
    if _active is pipeline:
        _active = None


def _build_file_exporter(path: Path) -> SpanExporter:
    from lc_otel._tracefile import TraceFileExporter  # noqa: PLC0415  # only where asked for

    try:
        return TraceFileExporter(path)
    except OSError as error:
        raise ConfigurationError(
            f"file is '{path}', it cannot be written: {error.strerror}."
        ) from None


def build_span_exporter(destination: Destination, settings: ExportSettings) -> CountedExporter:
    """Make the exporter that takes spans to a destination, and counts what arrives."""
    exporter = _build_exporter("traces", destination, settings)
    if settings.spool is None:
        return CountedExporter(exporter, destination.address)
    from lc_otel._redelivery import SpooledExporter  # noqa: PLC0415  # only where asked for

    try:
        spool = Spool(settings.spool)
    except OSError as error:
        raise ConfigurationError(
            f"spool is '{settings.spool}', it cannot be used: {error.strerror}; expected a "
            "directory that only this user may write to (mode 0700)."
        ) from None
    return SpooledExporter(exporter, destination.address, spool)


def _build_exporter(signal: Signal, destination: Destination, settings: ExportSettings) -> Any:
    """Make the SDK's exporter for a destination; what is None it reads from OTEL_* itself."""
    module, name = _EXPORTERS[destination.protocol, signal]
    arguments: dict[str, Any] = {
        "endpoint": destination.endpoint,
        "headers": settings.headers,
        "timeout": settings.timeout,
    }
    grpc = destination.protocol == "grpc"
    if grpc:
        arguments["insecure"] = destination.insecure
        if settings.headers:  # names travel in lower case in HTTP/2
            arguments["headers"] = tuple((k.lower(), v) for k, v in settings.headers.items())
    if settings.compression:
        home = import_module("grpc" if grpc else "opentelemetry.exporter.otlp.proto.http")
        arguments["compression"] = getattr(home.Compression, _COMPRESSIONS[settings.compression])
    exporter = getattr(import_module(module), name)
    if not grpc:
        for late in _IMPORTED_LATE:
            import_module(late)
    try:
        return OwnExporter(lambda: exporter(**arguments))
    except Exception as error:
        raise ConfigurationError(
            f"the {destination.protocol} exporter for {destination.address} cannot be made: "
            f"{error}; look at the OTEL_EXPORTER_OTLP_* variables."
        ) from error


def _build_resource(settings: ExportSettings) -> Resource:
    """What the spans come from; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES fill the rest."""
    attributes: dict[str, str] = {
        "telemetry.distro.name": "lc-otel",
        "telemetry.distro.version": __version__,
    }
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    if settings.service_version:
        attributes["service.version"] = settings.service_version
    return Resource.create(attributes)


def _attempt(step: Callable[[], Any]) -> bool:
    """Run one step of flushing or closing; whether it neither raised nor said no."""
    try:
        return step() is not False
    except Exception:
        _logger.warning("%s failed.", getattr(step, "__qualname__", step), exc_info=True)
        return False
