"""Secrets a program hands over are used, and seen nowhere else."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import grpc
import pytest

from lc_otel import ConfigurationError
from lc_otel._pipeline import configure
from lc_otel._spool import Spool
from tests.receiver import Address, Fault, dead_endpoint

SECRET = "s3cret-t0ken"
HEADERS = {"Authorization": f"Bearer {SECRET}", "x-api-key": SECRET}


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that any library logs, at any level."""
    caplog.set_level(logging.DEBUG)
    return caplog


def formatted(records: list[logging.LogRecord]) -> str:
    """Records as a log file would have them, with their tracebacks and arguments."""
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join(formatter.format(record) + repr(record.args) for record in records)


FAULTS = {
    "taken": None,
    "401": Fault(grpc=grpc.StatusCode.UNAUTHENTICATED, http=401),
    "400": Fault(grpc=grpc.StatusCode.INVALID_ARGUMENT, http=400),
    "503": Fault(grpc=grpc.StatusCode.UNAVAILABLE, http=503),
    "garbage": Fault(grpc=grpc.StatusCode.UNKNOWN, garbage=b"\xff\x00garbage"),
}


@pytest.mark.logs_warnings("the backend refuses")
@pytest.mark.parametrize("fault", FAULTS)
def test_headers_are_sent_and_never_said(
    fault: str, backend: Address, said: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Whatever becomes of an export: no log line, repr, reason or file on disk holds them."""
    backend.receiver.fault = FAULTS[fault]
    pipeline = configure(
        backend.endpoint,
        backend.protocol,
        headers=HEADERS,
        timeout=1,
        spool=tmp_path,
        file=tmp_path / "traces.jsonl",
        set_global=False,
    )
    pipeline.tracer_provider.get_tracer("test").start_span("one").end()
    pipeline.flush()
    shown = [pipeline, pipeline.settings, pipeline._exporter, pipeline._queue, pipeline.handler]
    texts = [repr(thing) + str(thing) for thing in shown]
    pipeline.shutdown(4)
    sent = [*backend.receiver.requests, *backend.receiver.refused]
    assert {request.headers["x-api-key"] for request in sent} == {SECRET}
    texts += [formatted(said.records), str(pipeline.last_error)]
    assert not [text for text in texts if SECRET in text]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


@pytest.mark.logs_warnings("nobody listens")
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_dead_backend_is_told_without_the_headers(
    protocol: str, said: pytest.LogCaptureFixture
) -> None:
    """The reason for a connection that fails quotes its address only."""
    pipeline = configure(dead_endpoint(), protocol, headers=HEADERS, timeout=1, set_global=False)
    pipeline.tracer_provider.get_tracer("test").start_span("one").end()
    assert not pipeline.shutdown(4)
    assert pipeline.last_error
    assert SECRET not in formatted(said.records) + pipeline.last_error


SETTINGS: dict[str, dict[str, Any]] = {
    "a line break in a value": {"headers": {"x-api-key": f"{SECRET}\n"}},
    "a value that is bytes": {"headers": {"x-api-key": SECRET.encode()}},
    "a password in the endpoint": {"endpoint": f"https://user:{SECRET}@localhost:4318"},
    "a compression that is none": {"headers": HEADERS, "compression": "zip"},
    "a spool for everybody": {"headers": HEADERS, "spool": "/tmp"},  # noqa: S108
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_error_about_settings_repeats_no_secret(setting: str) -> None:
    """Neither its text nor its traceback, with the errors it came of, holds one."""
    arguments = {"endpoint": "http://localhost:4318", **SETTINGS[setting]}
    with pytest.raises(ConfigurationError) as caught:
        configure(set_global=False, **arguments)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_what_lies_in_a_spool_is_data(tmp_path: Path) -> None:
    """A file somebody put there is no entry unless its name and checksum fit; none is executed."""
    spool = Spool(tmp_path)
    for name in ("evil.otlp", "1-x-00-0.otlp", "1-1-0.otlp", "__init__.py", "1-1-00000000-0.txt"):
        (tmp_path / name).write_bytes(b"raise SystemExit")
    assert spool.entries() == []
