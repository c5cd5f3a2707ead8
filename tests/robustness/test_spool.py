"""configure(spool=DIR): what a backend does not take is kept, and delivered once when it does."""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lc_otel import ConfigurationError
from lc_otel._pipeline import Pipeline, configure
from lc_otel._spool import Spool
from tests.receiver import Address, Fault, dead_endpoint, http_receiver
from tests.robustness.conftest import run_program, start_program

pytestmark = pytest.mark.logs_warnings("the backend is away")

AWAY = 20.0
"""Seconds; far above what anything here takes."""


def open_pipeline(endpoint: str, protocol: str, spool: Path, **settings: Any) -> Pipeline:
    """A pipeline with a spool that gives up soon."""
    return configure(
        endpoint, protocol, set_global=False, spool=spool, **{"timeout": 1.0, **settings}
    )


def end_spans(pipeline: Pipeline, *names: str) -> None:
    """End spans of these names."""
    tracer = pipeline.tracer_provider.get_tracer("test", "1.0")
    for name in names:
        with tracer.start_as_current_span(name) as span:
            span.set_attributes({"text": name, "n": 3, "x": 0.5, "flags": [True, False]})
            span.add_event("happened", {"n": 1})


def wait_until(what: Any) -> None:
    """Return once it is so."""
    end = time.monotonic() + AWAY
    while not what():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.05)


def names(address: Address) -> list[str]:
    """Those of the spans that came, in order."""
    return [span.name for span in address.receiver.spans]


def port_of(endpoint: str) -> int:
    """The port of an endpoint."""
    return int(endpoint.rpartition(":")[2])


def test_a_backend_that_answers_needs_no_spool(backend: Address, tmp_path: Path) -> None:
    """Nothing is written while all is taken."""
    with open_pipeline(backend.endpoint, backend.protocol, tmp_path / "spool") as pipeline:
        end_spans(pipeline, "a", "b")
        assert pipeline.flush()
        assert (pipeline.exported, pipeline.spooled) == (2, 0)
        assert not list((tmp_path / "spool").glob("*.otlp"))
    assert names(backend) == ["a", "b"]


def test_what_was_not_delivered_is_by_the_next_pipeline(backend: Address, tmp_path: Path) -> None:
    """It arrives once, oldest first, with all it carried; what was taken before does not again."""
    pipeline = open_pipeline(backend.endpoint, backend.protocol, tmp_path)
    end_spans(pipeline, "taken")
    assert pipeline.flush()
    backend.receiver.fault = Fault(grpc=grpc.StatusCode.UNAVAILABLE, http=503)
    for name in ("one", "two", "three"):
        end_spans(pipeline, name)
        assert not pipeline.flush()
    assert (pipeline.exported, pipeline.spooled, pipeline.failed) == (1, 3, 0)
    assert not pipeline.shutdown(4)
    backend.receiver.fault = None
    with open_pipeline(backend.endpoint, backend.protocol, tmp_path) as pipeline:
        end_spans(pipeline, "new")
        assert pipeline.flush()
        assert pipeline.exported == 1
    assert names(backend) == ["taken", "one", "two", "three", "new"]
    taken, one = backend.receiver.spans[:2]
    assert one.attributes == {**taken.attributes, "text": "one"}
    assert one.resource == taken.resource
    assert (one.scope, one.kind) == (taken.scope, taken.kind) == ("test", "internal")
    assert one.events[0].attributes == {"n": 1}
    assert not list(tmp_path.glob("*.otlp"))


def test_what_is_kept_arrives_by_itself_when_the_backend_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No flush, no new span: the pipeline looks again; both ends of the outage are one line."""
    endpoint = dead_endpoint()
    caplog.set_level(logging.INFO, "lc_otel")
    with open_pipeline(endpoint, "http/protobuf", tmp_path) as pipeline:
        pipeline._exporter._retry = 0.1  # type: ignore[union-attr]
        end_spans(pipeline, "one")
        assert not pipeline.flush()
        end_spans(pipeline, "two")
        with http_receiver(port=port_of(endpoint)) as address:
            address.receiver.wait_for_spans(2, AWAY)
            assert names(address) == ["one", "two"]
            wait_until(lambda: pipeline.exported == 2)
            assert pipeline.shutdown()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("lc_otel")]
    assert said[0].startswith(f"1 span(s) did not reach {endpoint}")
    assert f"kept in {tmp_path} until it answers" in said[0]
    assert said[1].startswith(f"{endpoint} answers again")
    assert len(said) == 2


REFUSALS = {
    "503": Fault(grpc=grpc.StatusCode.UNAVAILABLE, http=503),
    "429": Fault(grpc=grpc.StatusCode.RESOURCE_EXHAUSTED, http=429, headers={"retry-after": "9"}),
    "401": Fault(grpc=grpc.StatusCode.UNAUTHENTICATED, http=401),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_that_may_pass_is_waited_out(
    refusal: str, backend: Address, tmp_path: Path
) -> None:
    """A busy backend or a key that has expired loses nothing."""
    backend.receiver.fault = REFUSALS[refusal]
    with open_pipeline(backend.endpoint, backend.protocol, tmp_path) as pipeline:
        end_spans(pipeline, "kept")
        assert not pipeline.flush()
        assert pipeline.spooled == 1
        backend.receiver.fault = None
        assert pipeline.flush()
        assert (pipeline.exported, pipeline.failed) == (1, 0)
    assert names(backend) == ["kept"]


def test_a_request_at_fault_is_not_tried_again(backend: Address, tmp_path: Path) -> None:
    """What the backend calls invalid would block all behind it: it is given up, and counted."""
    backend.receiver.fault = Fault(grpc=grpc.StatusCode.UNAVAILABLE, http=503)
    with open_pipeline(backend.endpoint, backend.protocol, tmp_path) as pipeline:
        end_spans(pipeline, "bad")
        assert not pipeline.flush()
        end_spans(pipeline, "good")
        assert not pipeline.flush()
        backend.receiver.fault = Fault(
            grpc=grpc.StatusCode.INVALID_ARGUMENT, http=400, holding=b"bad"
        )
        assert not pipeline.flush()
        assert (pipeline.exported, pipeline.failed, pipeline.spooled) == (1, 1, 0)
        end_spans(pipeline, "next")
        assert pipeline.flush()
    assert names(backend) == ["good", "next"]


def test_a_backend_that_hangs_at_the_end_costs_no_span(backend: Address, tmp_path: Path) -> None:
    """Shutdown keeps what is on its way, and everything behind it, within its timeout."""
    backend.receiver.fault = Fault(grpc=grpc.StatusCode.UNAVAILABLE, http=503, delay=4.0)
    pipeline = open_pipeline(backend.endpoint, backend.protocol, tmp_path, timeout=30.0)
    end_spans(pipeline, *(f"span {number}" for number in range(600)))
    began = time.monotonic()
    assert not pipeline.shutdown(2)
    assert time.monotonic() - began < 3.5
    assert (pipeline.exported, pipeline.spooled) == (0, 600)
    assert sum(entry.spans for entry in Spool(tmp_path).entries()) == 600


PROGRAM = """
import sys
from lc_otel import configure

pipeline = configure(sys.argv[1], "http/protobuf", spool=sys.argv[2], timeout=0.5)
tracer = pipeline.tracer_provider.get_tracer("test")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no kill -9")
def test_a_killed_program_loses_only_what_was_in_memory(tmp_path: Path) -> None:
    """What a flush has kept survives kill -9, and the next program delivers it, once."""
    endpoint = dead_endpoint()
    program = start_program(
        PROGRAM
        + """
for number in range(10_000):
    tracer.start_span(str(number)).end()
    if number % 100 == 99:
        pipeline.flush()
        print(pipeline.spooled, flush=True)
""",
        endpoint,
        str(tmp_path),
    )
    assert program.stdout is not None
    kept = 0
    while kept < 300:
        kept = int(program.stdout.readline())
    program.kill()
    program.communicate()
    with http_receiver(port=port_of(endpoint)) as address:
        assert run_program(PROGRAM, endpoint, str(tmp_path))[0] == 0
        got = names(address)
    assert len(got) >= kept
    assert got == [str(number) for number in range(len(got))]
    assert not Spool(tmp_path).entries()


def test_two_programs_share_a_spool(tmp_path: Path) -> None:
    """Both keep, both deliver, and every span arrives once."""
    endpoint = dead_endpoint()
    source = (
        PROGRAM
        + """
for number in range(300):
    tracer.start_span(sys.argv[3] + str(number)).end()
    if number % 50 == 49:
        pipeline.flush(0.2)
"""
    )
    keepers = [start_program(source, endpoint, str(tmp_path), name) for name in "ab"]
    for keeper in keepers:
        keeper.communicate(timeout=AWAY * 3)
        assert keeper.returncode == 0
    assert sum(entry.spans for entry in Spool(tmp_path).entries()) == 600
    with http_receiver(port=port_of(endpoint)) as address:
        senders = [start_program(source, endpoint, str(tmp_path), name) for name in "cd"]
        for sender in senders:
            sender.communicate(timeout=AWAY * 3)
            assert sender.returncode == 0
        with open_pipeline(endpoint, "http/protobuf", tmp_path) as pipeline:
            wait_until(pipeline.flush)
        counts = Counter(names(address))
    assert set(counts.values()) == {1}
    assert len(counts) == 1_200
    assert not Spool(tmp_path).entries()


# -- the directory


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_the_spool_is_its_users_own(tmp_path: Path) -> None:
    """Directory and files are for their user alone."""
    spool = tmp_path / "deep" / "spool"
    pipeline = open_pipeline(dead_endpoint(), "http/protobuf", spool)
    end_spans(pipeline, "secret")
    pipeline.shutdown(3)
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    files = list(spool.iterdir())
    assert any(file.suffix == ".otlp" for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_directory_that_all_may_write_is_refused(mode: int, tmp_path: Path) -> None:
    """One clear error names the directory, what is wrong, and what is expected."""
    tmp_path.chmod(mode)
    with pytest.raises(ConfigurationError) as caught:
        open_pipeline(dead_endpoint(), "grpc", tmp_path)
    assert str(caught.value) == (
        f"spool is '{tmp_path}', it cannot be used: every user of this machine may write to it; "
        "expected a directory that only this user may write to (mode 0700)."
    )


def test_a_file_in_the_spools_place_is_refused(tmp_path: Path) -> None:
    """It cannot be a directory, and that is said."""
    (tmp_path / "spool").write_text("mine")
    with pytest.raises(ConfigurationError, match="File exists"):
        open_pipeline(dead_endpoint(), "grpc", tmp_path / "spool")


def damage_cut(path: Path) -> None:
    """Lose the end."""
    path.write_bytes(path.read_bytes()[:-7])


def damage_flip(path: Path) -> None:
    """Change one byte."""
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(body)


def damage_empty(path: Path) -> None:
    """Lose everything."""
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_cut, damage_flip, damage_empty])
def test_a_damaged_file_is_set_aside_and_holds_up_none(
    damage: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, by name; what stands behind it arrives."""
    endpoint = dead_endpoint()
    pipeline = open_pipeline(endpoint, "http/protobuf", tmp_path)
    for name in ("damaged", "whole"):
        end_spans(pipeline, name)
        pipeline.flush(3)
    pipeline.shutdown(2)
    first = Spool(tmp_path).entries()[0].path
    damage(first)
    caplog.clear()
    with http_receiver(port=port_of(endpoint)) as address:
        for _ in range(2):
            with open_pipeline(endpoint, "http/protobuf", tmp_path) as pipeline:
                assert pipeline.flush()
        assert names(address) == ["whole"]
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{first} cannot be read and is set aside as {first.stem}.corrupt."]


def bad_ids() -> bytes:
    """A request whose span has no proper ids."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"12", name="x")
    encoded: bytes = request.SerializeToString()
    return encoded


@pytest.mark.parametrize("request_bytes", [b"\xff no protobuf", bad_ids()])
def test_what_is_no_request_of_ours_is_set_aside(request_bytes: bytes, tmp_path: Path) -> None:
    """A file that is whole, and still of no use, holds up nobody either."""
    spool = Spool(tmp_path)
    path, _ = spool.put(request_bytes, 1)
    with http_receiver() as address:
        with open_pipeline(address.endpoint, "http/protobuf", tmp_path) as pipeline:
            wait_until(spool.is_empty)
            end_spans(pipeline, "one")
            assert pipeline.flush()
        assert names(address) == ["one"]
    assert path.with_suffix(".corrupt").exists()


def test_what_a_killed_writer_left_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file nobody finishes any more is put out of the way; a fresh one may be in the making."""
    for name in ("old.part", "new.part"):
        (tmp_path / name).write_bytes(b"half")
    os.utime(tmp_path / "old.part", (0, 0))
    endpoint = dead_endpoint()
    pipeline = open_pipeline(endpoint, "http/protobuf", tmp_path)
    end_spans(pipeline, "one")
    pipeline.flush(3)
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix != ".otlp") == [
        "", ".corrupt", ".part"
    ]  # fmt: skip
    assert [record for record in caplog.records if "old.part cannot be" in record.getMessage()]
    pipeline.shutdown(2)


def test_the_oldest_make_room(tmp_path: Path) -> None:
    """The spool never exceeds its bound; what had to go is told, what is set aside goes first."""
    spool = Spool(tmp_path, max_bytes=1_000)
    paths = [spool.put(bytes(300), 1)[0] for _ in range(3)]
    spool.set_aside(paths.pop())
    _, evicted = spool.put(bytes(300), 1)
    assert evicted == []
    assert not list(tmp_path.glob("*.corrupt"))
    _, evicted = spool.put(bytes(600), 5)
    assert [entry.path for entry in evicted] == paths
    assert sum(entry.size for entry in spool.entries()) <= 1_000
    with pytest.raises(OSError, match="more than the spool's"):
        spool.put(bytes(1_001), 1)


def test_a_clock_set_back_does_not_turn_the_order_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is that of keeping."""
    spool = Spool(tmp_path)
    times = iter([5_000, 4_000, 3_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    paths = [spool.put(b"x", 1)[0] for _ in range(3)]
    assert [entry.path for entry in spool.entries()] == paths


class FullDisk(Spool):
    """A spool on a disk that has no room."""

    def put(self, request: bytes, spans: int) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_costs_what_does_not_fit_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The spans are counted as failed, and the program goes on."""
    pipeline = open_pipeline(dead_endpoint(), "http/protobuf", tmp_path)
    pipeline._exporter._spool = FullDisk(tmp_path)  # type: ignore[union-attr]
    end_spans(pipeline, "a", "b")
    assert not pipeline.flush()
    assert (pipeline.failed, pipeline.spooled) == (2, 0)
    assert "nor kept in the spool: No space left on device" in str(pipeline.last_error)
    assert not pipeline.shutdown(2)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("lc_otel")]
    assert len(ours) == 2
    assert ours[1].startswith("2 of 2 spans did not reach")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a disk that can be filled at will")
def test_a_disk_that_fills_up_in_truth(tmp_path: Path) -> None:
    """Where the system stops a file half-way, the error is told and nothing half stays behind."""
    code, out, err = run_program(
        """
        import resource, signal, sys, pathlib
        from lc_otel._spool import Spool

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        spool = Spool(pathlib.Path(sys.argv[1]))
        spool.put(bytes(900), 1)
        try:
            spool.put(bytes(5000), 1)
        except OSError as error:
            print(error.strerror)
        """,
        str(tmp_path),
    )
    assert (code, out, err) == (0, "File too large\n", "")
    assert [entry.size for entry in Spool(tmp_path).entries()] == [900]
    assert not list(tmp_path.glob("*.part"))
