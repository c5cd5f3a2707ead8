"""configure(): what is sent, to whom, and what is said when it is not."""

from __future__ import annotations

import gc
import gzip
import logging
import re
import subprocess
import textwrap
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lc_otel import OTelCallbackHandler
from lc_otel._delivery import CountedExporter
from lc_otel._errand import Runner
from lc_otel._install import install, installed, uninstall
from lc_otel._pipeline import Pipeline, configure
from lc_otel.config import ConfigurationError
from tests.receiver import RECEIVERS, Address, Fault, dead_endpoint, grpc_receiver, http_receiver
from tests.versions import STRICT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture(params=list(RECEIVERS))
def backend(request: pytest.FixtureRequest) -> Iterator[Address]:
    """A receiver, once for each protocol."""
    with RECEIVERS[request.param]() as address:
        yield address


def open_pipeline(backend: Address, **settings: object) -> Pipeline:
    """A pipeline to the receiver that leaves the global providers alone."""
    return configure(
        backend.endpoint,
        backend.protocol,
        set_global=False,
        **settings,  # type: ignore[arg-type]
    )


def make_spans(pipeline: Pipeline, count: int = 1) -> None:
    """End so many spans."""
    tracer = pipeline.tracer_provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"span {number}").end()


def test_spans_arrive_with_ids_parents_and_types(backend: Address) -> None:
    """What the receiver decodes is what the program made, over both protocols."""
    with open_pipeline(backend) as pipeline:
        tracer = pipeline.tracer_provider.get_tracer("test")
        with (
            tracer.start_as_current_span("root", kind=trace.SpanKind.CLIENT) as root,
            tracer.start_as_current_span("child") as child,
        ):
            child.set_attributes(
                {"text": "a", "int": 3, "float": 0.5, "flag": True, "list": ["x", "y"]}
            )
            child.add_event("happened", {"n": 1})
            child.set_status(trace.Status(trace.StatusCode.ERROR, "bad"))
        assert pipeline.flush()
        assert pipeline.exported == 2
    got_child, got_root = backend.receiver.spans
    assert got_root.parent_id is None
    assert got_child.parent_id == got_root.span_id
    assert got_root.span_id == trace.format_span_id(root.get_span_context().span_id)
    assert got_child.span_id == trace.format_span_id(child.get_span_context().span_id)
    assert got_child.trace_id == trace.format_trace_id(root.get_span_context().trace_id)
    assert (got_root.kind, got_child.kind) == ("client", "internal")
    assert got_child.attributes == {
        "text": "a",
        "int": 3,
        "float": 0.5,
        "flag": True,
        "list": ("x", "y"),
    }
    assert [type(value) for value in got_child.attributes.values()] == [
        str, int, float, bool, tuple
    ]  # fmt: skip
    assert (got_child.status, got_child.status_message) == ("error", "bad")
    assert [(event.name, event.attributes) for event in got_child.events] == [
        ("happened", {"n": 1})
    ]
    assert got_child.scope == "test"


def test_the_resource_names_service_version_and_distro(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments win over OTEL_RESOURCE_ATTRIBUTES, which fills what they leave out."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,team=search")
    with open_pipeline(backend, service_name="shop", service_version="1.2") as pipeline:
        make_spans(pipeline)
    resource = backend.receiver.spans[0].resource
    assert resource["service.name"] == "shop"
    assert resource["service.version"] == "1.2"
    assert resource["team"] == "search"
    assert resource["telemetry.distro.name"] == "lc-otel"
    assert resource["telemetry.sdk.language"] == "python"


def test_the_service_name_may_come_from_the_environment(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_SERVICE_NAME stands in for the argument."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-env")
    with open_pipeline(backend) as pipeline:
        make_spans(pipeline)
    assert backend.receiver.spans[0].resource["service.name"] == "from-env"


def test_headers_are_sent_and_kept_out_of_sight(backend: Address) -> None:
    """An API key reaches the backend, and no repr."""
    with open_pipeline(backend, headers={"X-Api-Key": "s3cret"}) as pipeline:
        make_spans(pipeline)
        assert pipeline.flush()
        assert "s3cret" not in repr(pipeline) + repr(pipeline.settings)
    assert backend.receiver.of("traces")[0].headers["x-api-key"] == "s3cret"


def test_gzip_is_used_when_asked() -> None:
    """The body is compressed on the wire."""
    with http_receiver() as backend, open_pipeline(backend, compression="gzip") as pipeline:
        make_spans(pipeline)
        assert pipeline.flush()
        assert backend.receiver.of("traces")[0].encoding == "gzip"
        assert backend.receiver.spans[0].name == "span 0"
    with grpc_receiver() as backend, open_pipeline(backend, compression="gzip") as pipeline:
        make_spans(pipeline)
        assert pipeline.flush()
        assert gzip.compress(b"")[:2] not in backend.receiver.of("traces")[0].body[:2]


def test_metrics_go_the_same_way(backend: Address) -> None:
    """The meter provider ships what is measured to the same backend."""
    with open_pipeline(backend) as pipeline:
        assert pipeline.meter_provider is not None
        pipeline.meter_provider.get_meter("test").create_counter("cups").add(3)
    assert "cups" in backend.receiver.metric_names


def test_everything_may_come_from_the_environment(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With OTEL_* variables set, configure() takes no argument."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", backend.protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=search")
    with configure(set_global=False) as pipeline:
        make_spans(pipeline)
    assert backend.receiver.of("traces")[0].headers["x-team"] == "search"
    assert backend.receiver.of("metrics") == []  # nothing was measured


def test_the_protocol_follows_from_the_endpoint() -> None:
    """Without a protocol, a path means HTTP."""
    with http_receiver() as backend:
        with configure(f"{backend.endpoint}/v1/traces", set_global=False) as pipeline:
            make_spans(pipeline)
        assert len(backend.receiver.spans) == 1


def test_a_signal_with_exporter_none_is_not_sent(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_TRACES_EXPORTER=none and OTEL_METRICS_EXPORTER=none are honoured."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", backend.protocol)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    with configure(set_global=False) as pipeline:
        assert pipeline.meter_provider is None
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    with configure(set_global=False) as pipeline:
        make_spans(pipeline)
        assert pipeline.address is None
        assert pipeline.flush()
    assert backend.receiver.requests == []


def test_a_disabled_sdk_records_nothing(backend: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_SDK_DISABLED=true leaves a handler that does nothing."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "TRUE")
    with open_pipeline(backend) as pipeline:
        span = pipeline.tracer_provider.get_tracer("test").start_span("x")
        assert not span.is_recording()
        assert pipeline.flush()
    assert backend.receiver.requests == []


@pytest.mark.logs_warnings("the backend is not there")
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_flush_says_when_nothing_arrived(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """A dead backend is reported with its address, a count and the reason, once."""
    endpoint = dead_endpoint()
    pipeline = configure(endpoint, protocol, timeout=1.5, set_global=False)
    make_spans(pipeline, 3)
    assert not pipeline.flush()
    assert (pipeline.exported, pipeline.failed) == (0, 3)
    assert re.search("refused|unavailable", str(pipeline.last_error), re.IGNORECASE)
    make_spans(pipeline, 2)
    assert not pipeline.flush()
    assert not pipeline.shutdown()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("lc_otel")]
    assert len(ours) == 2
    assert ours[0].startswith(f"3 span(s) did not reach {endpoint}: ")
    assert ours[1].startswith(f"5 of 5 spans did not reach {endpoint}: ")


@pytest.mark.logs_warnings("the backend refuses at first")
def test_flush_is_true_again_after_a_recovery(backend: Address) -> None:
    """Each flush answers for the spans since the one before."""
    backend.receiver.fault = Fault(grpc=grpc.StatusCode.INVALID_ARGUMENT, http=400, times=1)
    with open_pipeline(backend) as pipeline:
        make_spans(pipeline)
        assert not pipeline.flush()
        make_spans(pipeline)
        assert pipeline.flush()
        assert (pipeline.exported, pipeline.failed) == (1, 1)
        assert "400" in str(pipeline.last_error) or "INVALID_ARG" in str(pipeline.last_error)
        assert not pipeline.shutdown()


@pytest.mark.logs_warnings("the backend hangs")
def test_flush_and_shutdown_end_in_time_when_the_backend_hangs(backend: Address) -> None:
    """A backend that does not answer holds nobody up for longer than was allowed."""
    backend.receiver.fault = Fault(delay=2.0)
    pipeline = open_pipeline(backend, timeout=4.0)
    make_spans(pipeline)
    began = time.monotonic()
    assert not pipeline.flush(timeout=0.3)
    assert not pipeline.shutdown(timeout=0.3)
    assert time.monotonic() - began < 1.9


@pytest.mark.logs_warnings("the backend hangs")
@pytest.mark.parametrize("way", ["flush", "shutdown"])
def test_a_backend_that_hangs_keeps_nothing_out_of_the_file(
    way: str, backend: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written first: it is near and quick."""
    monkeypatch.setattr("lc_otel._pipeline._FILE_DELAY_MS", 60_000)
    backend.receiver.fault = Fault(delay=3.0)
    pipeline = open_pipeline(backend, timeout=4.0, file=tmp_path / "t.jsonl")
    make_spans(pipeline)
    assert not getattr(pipeline, way)(timeout=1.5)
    assert "span 0" in (tmp_path / "t.jsonl").read_text()
    pipeline.shutdown(timeout=0.1)


def test_shutdown_sends_what_is_left_and_can_be_called_again(backend: Address) -> None:
    """The second call changes nothing and gives the same answer."""
    pipeline = open_pipeline(backend)
    make_spans(pipeline, 5)
    assert pipeline.shutdown()
    assert pipeline.shutdown()
    assert len(backend.receiver.spans) == 5


def test_a_pipeline_that_is_shut_down_leaves_nothing_behind(
    backend: Address, tmp_path: Path
) -> None:
    """Its threads end, and its memory is given back."""
    before = set(threading.enumerate())
    pipeline = open_pipeline(
        backend, file=tmp_path / "traces", spool=tmp_path / "spool", flush_on_sigterm=True
    )
    begun = {thread.name for thread in threading.enumerate() if thread not in before}
    make_spans(pipeline)
    assert pipeline.shutdown()
    assert pipeline.flush()
    assert {"lc-otel-pipeline", "lc-otel-send", "lc-otel-spool", "lc-otel-sigterm"} <= begun
    for thread in threading.enumerate():
        if thread.name.startswith(("lc-otel", "Otel")) and thread not in before:
            thread.join(10)
            assert not thread.is_alive(), thread.name
    reference = weakref.ref(pipeline)
    del pipeline
    gc.collect()
    assert reference() is None


def test_an_errand_that_comes_behind_the_end_is_not_waited_for() -> None:
    """A flush that meets a shutdown returns as soon as that is done."""
    runner = Runner("lc-otel-test")
    errands = runner._errands

    class Late:
        def put(self, item: Any) -> None:
            if item is not None:
                runner.close()
            errands.put(item)

    runner._errands = Late()  # type: ignore[assignment]
    began = time.monotonic()
    assert not runner.run(lambda: None, 30)
    assert time.monotonic() - began < 15


def test_a_handler_that_was_installed_before_comes_back() -> None:
    """`instrument` holds again when a pipeline that came later is shut down."""
    first, second = OTelCallbackHandler(), OTelCallbackHandler()
    try:
        install(first)
        install(second)
        assert installed() is second
        uninstall(second)
        assert installed() is first
        install(second)
    finally:
        uninstall()
    assert installed() is None


class Broken(SpanExporter):
    """An exporter that raises."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("boom")


def test_an_exporter_that_raises_is_a_failure_with_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The exception is contained and counted."""
    exporter = CountedExporter(Broken(), "nowhere")
    exporter.closing = True
    with caplog.at_level(logging.INFO):
        assert exporter.export([None, None]) is SpanExportResult.FAILURE  # type: ignore[list-item]
    assert exporter.failed == 2
    assert exporter.last_error == "RuntimeError('boom')"


def run_program(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own, since the global providers are one a process."""
    return subprocess.run(
        [*STRICT, "-c", textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_program_that_just_ends_loses_nothing(backend: Address) -> None:
    """configure() sets the global provider, and shutdown at exit delivers."""
    done = run_program(
        """
        import sys
        from opentelemetry import trace
        from lc_otel._pipeline import configure

        pipeline = configure(sys.argv[1], sys.argv[2])
        assert trace.get_tracer_provider() is pipeline.tracer_provider
        assert configure(sys.argv[1], sys.argv[2]) is pipeline
        with trace.get_tracer("any").start_as_current_span("last words"):
            pass
        """,
        backend.endpoint,
        backend.protocol,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [span.name for span in backend.receiver.spans] == ["last words"]


def test_other_settings_while_a_pipeline_is_open_are_refused() -> None:
    """The second call neither replaces the first pipeline nor is ignored."""
    done = run_program(
        """
        from lc_otel._pipeline import configure
        from lc_otel.config import ConfigurationError

        first = configure(console=True)
        try:
            configure(console=True, service_name="other")
        except ConfigurationError as error:
            assert "called before with other settings" in str(error)
        else:
            raise AssertionError
        assert configure(console=True) is first
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipeline_after_one_that_was_shut_down_works() -> None:
    """A provider of ours that is shut down is not respected as if it were the user's."""
    done = run_program(
        """
        from opentelemetry import trace
        from lc_otel._pipeline import configure

        for name in ("first", "second"):
            with configure(console=True) as pipeline:
                pipeline.tracer_provider.get_tracer("any").start_span(name).end()
        """
    )
    assert done.returncode == 0
    assert "first" in done.stdout
    assert "second" in done.stdout
    assert done.stderr.startswith("The global tracer provider belongs to a pipeline that was shut")
    assert done.stderr.count("\n") == 1


def test_a_pipeline_made_while_the_one_before_shuts_down_works(tmp_path: Path) -> None:
    """The provider that is closing is not respected as if it were the user's."""
    done = run_program(
        """
        import socket, sys, threading, time
        from lc_otel import _pipeline, configure

        backend = socket.create_server(("127.0.0.1", 0))  # accepts, and never answers
        port = backend.getsockname()[1]
        first = configure(f"http://127.0.0.1:{port}", protocol="http/protobuf", timeout=2)
        first.tracer_provider.get_tracer("any").start_span("x").end()
        closing = threading.Thread(target=first.shutdown)
        closing.start()
        while _pipeline._active is first:
            time.sleep(0.001)
        with configure(file=sys.argv[1]) as second:
            assert second.tracer_provider is not first.tracer_provider
            second.tracer_provider.get_tracer("any").start_span("second").end()
        closing.join()
        backend.close()
        """,
        str(tmp_path / "t.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    assert "second" in (tmp_path / "t.jsonl").read_text()


def test_a_provider_that_is_there_is_used_and_left_alone(backend: Address) -> None:
    """Spans go to the user's provider only; neither flush nor shutdown takes it over."""
    done = run_program(
        """
        import logging, sys
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from lc_otel._pipeline import configure

        logging.basicConfig(level="INFO", stream=sys.stdout, format="%(levelname)s %(message)s")
        mine, spans = TracerProvider(), InMemorySpanExporter()
        mine.add_span_processor(SimpleSpanProcessor(spans))
        trace.set_tracer_provider(mine)
        pipeline = configure(sys.argv[1], sys.argv[2])
        assert trace.get_tracer_provider() is mine
        assert pipeline.tracer_provider is mine
        assert pipeline.address is None
        mine.get_tracer("any").start_span("one").end()
        assert pipeline.flush()
        pipeline.shutdown()
        mine.get_tracer("any").start_span("two").end()
        assert [span.name for span in spans.get_finished_spans()] == ["one", "two"]
        """,
        backend.endpoint,
        backend.protocol,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("INFO A tracer provider is set already (TracerProvider)")
    assert done.stdout.count("\n") == 1
    assert backend.receiver.requests == []


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_program_with_a_dead_backend_ends_soon_and_says_so(protocol: str) -> None:
    """One line of ours at exit names the address; the program's own result stands."""
    endpoint = dead_endpoint()
    began = time.monotonic()
    done = run_program(
        """
        import sys
        from lc_otel._pipeline import configure

        pipeline = configure(sys.argv[1], sys.argv[2], timeout=2)
        pipeline.tracer_provider.get_tracer("any").start_span("x").end()
        print("the result")
        """,
        endpoint,
        protocol,
    )
    assert time.monotonic() - began < 20
    assert (done.returncode, done.stdout) == (0, "the result\n")
    assert f"1 of 1 spans did not reach {endpoint}" in done.stderr


def test_console_alone_needs_no_backend(capsys: pytest.CaptureFixture[str]) -> None:
    """configure(console=True) prints trees and sends nothing."""
    with configure(console=True, set_global=False) as pipeline:
        assert pipeline.address is None
        make_spans(pipeline)
        assert pipeline.flush()
    assert "span 0" in capsys.readouterr().out


def test_console_and_backend_go_together(
    backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an endpoint the tree is printed and the spans are sent."""
    with open_pipeline(backend, console=True) as pipeline:
        make_spans(pipeline)
    assert "span 0" in capsys.readouterr().out
    assert len(backend.receiver.spans) == 1


def test_what_an_exporter_refuses_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable only the exporter reads is reported like any other setting."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")
    with pytest.raises(ConfigurationError, match=r"grpc exporter .*zip"):
        configure("http://localhost:4317", set_global=False)


def test_a_limit_the_sdk_refuses_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable, what it is, and what was expected."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    with pytest.raises(ConfigurationError, match=r"^OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT .* many\.$"):
        configure("http://localhost:4317", set_global=False)


def test_a_small_queue_for_log_events_is_heeded(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batches are no larger."""
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "100")
    with open_pipeline(backend) as pipeline:
        make_spans(pipeline)
    assert len(backend.receiver.spans) == 1
