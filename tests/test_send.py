"""``lc-otel send``: what is in the file arrives, once, over either protocol, also in two goes."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from lc_otel._trace import FinishedSpan
from lc_otel._tracefile import TraceFileExporter, read_spans
from lc_otel.cli import main
from tests.agent_trace import Node, build, weather_agent
from tests.receiver import RECEIVERS, Address, Fault, dead_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BIG = "x" * 300_000


@pytest.fixture(params=RECEIVERS)
def backend(request: pytest.FixtureRequest) -> Iterator[Address]:
    """A receiver of each protocol."""
    with RECEIVERS[request.param]() as address:
        yield address


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    """Twelve lines: an agent's spans one by one, and a span of 300 kB."""
    path = tmp_path / "traces.jsonl"
    exporter = TraceFileExporter(path)
    for span in build(weather_agent(), Node("big", 0, 1, {"pad": BIG})):
        exporter.export([span])
    return path


def send(path: Path, backend: Address, *more: str) -> int:
    """Run the command against a receiver."""
    where = ["--endpoint", backend.endpoint, "--protocol", backend.protocol]
    return main(["send", str(path), *where, *more])


def comparable(span: FinishedSpan) -> Any:
    """A span without the difference between lists and tuples."""
    plain = {name: getattr(span, name) for name in FinishedSpan.__slots__}
    plain["events"] = [(event.name, event.time_ns, event.attributes) for event in span.events]
    return json.loads(json.dumps(plain))


def test_everything_arrives_as_it_was(
    trace_file: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids, times, attributes, events, resource and scope of every span reach the backend."""
    assert send(trace_file, backend, "--header", "api-key=secret") == 0
    arrived = [comparable(span) for span in backend.receiver.spans]
    written = [comparable(span) for span in read_spans(trace_file, pytest.fail)]
    assert arrived == written
    assert all(request.headers["api-key"] == "secret" for request in backend.receiver.requests)
    out, err = capsys.readouterr()
    assert out == f"sent 12 spans of {trace_file} to {backend.endpoint}\n"
    assert err == ""


def test_small_lines_share_a_request(trace_file: Path, backend: Address) -> None:
    """Lines travel together as long as they fit into one request."""
    send(trace_file, backend)
    assert len(backend.receiver.requests) == 1


def test_a_line_too_long_for_a_request_is_cut(tmp_path: Path, backend: Address) -> None:
    """A line of 6 MB arrives in requests that a receiver takes by default."""
    nodes = [Node(f"n{i}", 0, 1, {"pad": BIG}) for i in range(20)]
    TraceFileExporter(tmp_path / "t.jsonl").export(build(*nodes))
    assert send(tmp_path / "t.jsonl", backend) == 0
    assert [span.name for span in backend.receiver.spans] == [node.name for node in nodes]
    assert max(len(request.body) for request in backend.receiver.requests) < 2_000_000


def test_only_what_is_new_is_sent(
    trace_file: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second time only lines that came later are sent, unless a restart is asked for."""
    send(trace_file, backend)
    capsys.readouterr()
    assert send(trace_file, backend) == 0
    assert capsys.readouterr().out.startswith("sent 0 spans ")
    TraceFileExporter(trace_file).export(build(Node("later", 0, 1), seed=9))
    send(trace_file, backend)
    assert backend.receiver.spans[-1].name == "later"
    assert len(backend.receiver.spans) == 13
    send(trace_file, backend, "--restart")
    assert len(backend.receiver.spans) == 26


def test_where_nothing_can_be_kept_everything_is_sent(
    trace_file: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that cannot be written costs the memory of what was sent; one line says so."""
    (trace_file.parent / ".traces.jsonl.sent.part").mkdir()
    exporter = TraceFileExporter(trace_file)
    for seed in range(5):
        exporter.export(build(Node("more", 0, 1, {"pad": BIG}), seed=seed))
    assert send(trace_file, backend) == 0
    assert len(backend.receiver.spans) == 17
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert err.startswith(f"cannot keep {trace_file.parent / '.traces.jsonl.sent'}: Is a directory")
    assert out.startswith("sent 17 spans ")


def test_a_file_of_another_kind_is_said_in_a_few_lines(
    tmp_path: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not one for each of its lines; exit code 1."""
    path = tmp_path / "other.log"
    path.write_text("GET /\n" * 100)
    assert send(path, backend) == 1
    *skipped, more, error = capsys.readouterr().err.splitlines()
    assert len(skipped) == 5
    assert more == "... and 95 more skipped"
    assert error == f"lc-otel send: no spans in {path}"


@pytest.mark.logs_warnings
def test_it_goes_on_where_it_stopped(
    tmp_path: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused half-way, it says so; the next call sends the rest, nothing is missing or twice."""
    path = tmp_path / "t.jsonl"
    exporter = TraceFileExporter(path)
    for span in build(*[Node(f"n{i}", 0, 1, {"pad": BIG}) for i in range(12)]):
        exporter.export([span])
    accept_two = backend.receiver.take

    def refuse_the_third(received: Any) -> Any:
        if len(backend.receiver.requests) == 2:
            backend.receiver.fault = Fault(grpc=grpc.StatusCode.UNAUTHENTICATED, http=401)
        return accept_two(received)

    backend.receiver.take = refuse_the_third  # type: ignore[method-assign]
    assert send(path, backend) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"lc-otel send: {backend.endpoint} did not take the spans: ")
    assert err.endswith(f"; 6 spans of {path} were sent, the same command goes on from there\n")
    assert err.count("\n") == 1
    backend.receiver.take = accept_two  # type: ignore[method-assign]
    backend.receiver.fault = None
    assert send(path, backend) == 0
    assert capsys.readouterr().out.endswith("(the rest was sent before)\n")
    assert [span.name for span in backend.receiver.spans] == [f"n{i}" for i in range(12)]


def spoil(path: Path, name: str, **fields: Any) -> None:
    """Change a span in its file."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for span in line["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            if span["name"] == name:
                span.update(fields)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.logs_warnings
@pytest.mark.parametrize("fault", ["refused", "not to be encoded"])
def test_a_span_that_cannot_be_sent_holds_up_nothing(
    tmp_path: Path, backend: Address, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    """It is named with its line and the reason, all others arrive, once; exit code 1."""
    path = tmp_path / "t.jsonl"
    exporter = TraceFileExporter(path)
    for i in range(3):
        nodes = [Node(f"n{i}{j}", 0, 1, {"k": f"value {i}{j}"}) for j in range(5)]
        exporter.export(build(*nodes, seed=i))
    if fault == "refused":
        backend.receiver.fault = Fault(
            grpc=grpc.StatusCode.INVALID_ARGUMENT, http=400, holding=b"value 13"
        )
    else:
        spoil(path, "n13", droppedAttributesCount=-1)
    assert send(path, backend) == 1
    out, err = capsys.readouterr()
    reason = "400|INVALID_ARGUMENT" if fault == "refused" else "out of range"
    assert re.fullmatch(
        rf"{re.escape(str(path))}:2: skipped a span that cannot be sent: .*({reason}).*\n", err
    )
    assert out == f"sent 14 spans of {path} to {backend.endpoint}, 1 cannot be sent\n"
    names = [span.name for span in backend.receiver.spans]
    assert sorted(names) == [f"n{i}{j}" for i in range(3) for j in range(5) if (i, j) != (1, 3)]
    assert send(path, backend) == 0
    assert capsys.readouterr().out.startswith("sent 0 spans ")


@pytest.mark.logs_warnings
def test_a_span_larger_than_a_receiver_takes_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gRPC receiver takes 4 MiB by default, and no span can be cut in two."""
    path = tmp_path / "t.jsonl"
    exporter = TraceFileExporter(path)
    for span in build(Node("a", 0, 1), Node("b", 0, 1, {"pad": "x" * 5_000_000}), Node("c", 0, 1)):
        exporter.export([span])
    with RECEIVERS["grpc"]() as backend:
        assert send(path, backend) == 1
        assert [span.name for span in backend.receiver.spans] == ["a", "c"]
    err = capsys.readouterr().err
    assert err.startswith(f"{path}:2: skipped a span that cannot be sent: RESOURCE_EXHAUSTED")


@pytest.mark.logs_warnings
def test_a_backend_that_refuses_everything_is_at_fault_itself(
    tmp_path: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is given up then: when it is put right, all spans arrive."""
    path = tmp_path / "t.jsonl"
    TraceFileExporter(path).export(build(*[Node(f"n{i}", 0, 1) for i in range(60)]))
    backend.receiver.fault = Fault(grpc=grpc.StatusCode.INVALID_ARGUMENT, http=400)
    assert send(path, backend) == 1
    err = capsys.readouterr().err
    assert f"lc-otel send: {backend.endpoint} did not take the spans: " in err
    backend.receiver.fault = None
    assert send(path, backend) == 0
    assert len(backend.receiver.spans) == 60


def test_a_file_that_was_set_aside_is_known_by_what_it_holds(
    trace_file: Path, backend: Address
) -> None:
    """It is not sent again under its new name, in whatever order, nor taken for its successor."""
    send(trace_file, backend)
    aside = trace_file.with_stem("traces-20261122T081935.123456")
    trace_file.rename(aside)
    TraceFileExporter(trace_file).export(build(Node("newer", 0, 1), seed=3))
    for path in (trace_file, aside, trace_file):
        assert send(path, backend) == 0
    assert [span.name for span in backend.receiver.spans[12:]] == ["newer"]
    TraceFileExporter(aside).export(build(Node("late", 0, 1), seed=4))
    send(aside, backend)
    assert [span.name for span in backend.receiver.spans[13:]] == ["late"]


@pytest.mark.logs_warnings("the backend refuses")
def test_a_restart_that_is_broken_off_goes_on_from_there(tmp_path: Path, backend: Address) -> None:
    """What was remembered under the file's old name is forgotten too."""
    path = tmp_path / "t.jsonl"
    exporter = TraceFileExporter(path)
    for span in build(*[Node(f"n{i}", 0, 1, {"pad": BIG}) for i in range(6)]):
        exporter.export([span])
    assert send(path, backend) == 0
    aside = path.rename(tmp_path / "t-20261122T081935.123456.jsonl")
    accept, taken = backend.receiver.take, []

    def refuse_later(received: Any) -> Any:
        taken.append(received)
        if len(taken) > 1:
            return Fault(grpc=grpc.StatusCode.UNAUTHENTICATED, http=401)
        return accept(received)

    backend.receiver.take = refuse_later  # type: ignore[method-assign]
    assert send(aside, backend, "--restart") == 1
    backend.receiver.take = accept  # type: ignore[method-assign]
    assert send(aside, backend) == 0
    assert [span.name for span in backend.receiver.spans[6:]] == [f"n{i}" for i in range(6)]


def test_a_file_that_is_set_aside_meanwhile_keeps_its_place(
    tmp_path: Path, backend: Address
) -> None:
    """What is remembered is how far the file came that was read, not its successor."""
    path, aside = tmp_path / "t.jsonl", tmp_path / "t-20261122T081935.123456.jsonl"
    exporter = TraceFileExporter(path)
    for span in build(*[Node(f"n{i}", 0, 1, {"pad": BIG}) for i in range(6)]):
        exporter.export([span])
    accept = backend.receiver.take

    def rotate(received: Any) -> Any:
        backend.receiver.take = accept  # type: ignore[method-assign]
        path.rename(aside)
        pads = [Node(f"m{i}", 0, 1, {"pad": BIG}) for i in range(9)]
        TraceFileExporter(path).export(build(*pads, seed=3))
        return accept(received)

    backend.receiver.take = rotate  # type: ignore[method-assign]
    send(path, backend)
    send(path, backend)
    send(aside, backend)
    names = [span.name for span in backend.receiver.spans]
    assert names == [*(f"n{i}" for i in range(6)), *(f"m{i}" for i in range(9))]


def test_another_backend_gets_everything(trace_file: Path, backend: Address) -> None:
    """Progress is remembered for each backend by itself."""
    send(trace_file, backend)
    with RECEIVERS["grpc"]() as other:
        send(trace_file, other)
        assert len(other.receiver.spans) == 12
    send(trace_file, backend)
    assert len(backend.receiver.spans) == 12


def test_a_file_begun_anew_is_sent_from_its_start(trace_file: Path, backend: Address) -> None:
    """When the file of that name is another one, what was remembered does not count."""
    send(trace_file, backend)
    first = trace_file.read_bytes()
    trace_file.unlink()
    TraceFileExporter(trace_file).export(build(Node("new", 0, 1), seed=5))
    send(trace_file, backend)
    assert backend.receiver.spans[-1].name == "new"
    with trace_file.open("ab") as file:
        file.write(first)
    send(trace_file, backend)
    assert len(backend.receiver.spans) == 25


def test_what_is_still_being_written_is_sent_later(
    trace_file: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a last line is left for the next time."""
    whole = trace_file.read_bytes()
    trace_file.write_bytes(whole[:-100])
    send(trace_file, backend)
    assert "its end is missing" in capsys.readouterr().err
    trace_file.write_bytes(whole)
    send(trace_file, backend)
    assert [span.name for span in backend.receiver.spans][-1] == "big"
    assert len(backend.receiver.spans) == 12


def test_broken_lines_are_named_and_passed_over(
    trace_file: Path, backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken line costs a warning with its true number, also when resumed."""
    send(trace_file, backend)
    with trace_file.open("a") as file:
        file.write("{broken\n")
    TraceFileExporter(trace_file).export(build(Node("later", 0, 1), seed=9))
    assert send(trace_file, backend) == 0
    assert capsys.readouterr().err == f"{trace_file}:13: skipped a line that is no JSON\n"
    assert backend.receiver.spans[-1].name == "later"


@pytest.mark.logs_warnings
def test_nobody_there_is_one_line(
    trace_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead endpoint: exit code 1, one line that names it and why."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    endpoint = dead_endpoint()
    assert (
        main(["send", str(trace_file), "--endpoint", endpoint, "--protocol", "http/protobuf"]) == 1
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"lc-otel send: {endpoint} did not take the spans: ")
    assert "refused" in err
    assert "0 spans of" in err


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["{path}.missing"], 1, "{path}.missing: No such file or directory"),
        (["{path}", "--endpoint", "ftp://x"], 2, "endpoint is 'ftp://x'"),
        (["{path}", "--protocol", "smoke"], 2, "protocol is 'smoke'"),
    ],
)
def test_bad_input_is_one_line(
    trace_file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    expected: str,
) -> None:
    """A missing file, a wrong endpoint or protocol: one line that says which."""
    assert main(["send", *(part.format(path=trace_file) for part in arguments)]) == code
    err = capsys.readouterr().err
    assert err.startswith(f"lc-otel send: {expected.format(path=trace_file)}")
    assert err.count("\n") == 1


def test_a_damaged_memory_means_the_start(trace_file: Path, backend: Address) -> None:
    """What is beside the file and cannot be read is passed over."""
    for nonsense in ("", "[]", json.dumps({backend.endpoint: 7}), "{"):
        trace_file.with_name(".traces.jsonl.sent").write_text(nonsense)
        assert send(trace_file, backend) == 0
    assert len(backend.receiver.spans) == 48


def test_a_terminal_sees_a_bar(
    trace_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal a bar shows the share of the file and the number of spans sent."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with RECEIVERS["grpc"]() as backend:
        send(trace_file, backend)
    err = capsys.readouterr().err
    assert f"traces.jsonl [{'#' * 24}] 100% 12 spans" in err
    assert err.endswith("\r\x1b[K")


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` shows how the command is used."""
    with pytest.raises(SystemExit):
        main(["send", "--help"])
    assert "example: lc-otel send traces.jsonl --endpoint" in capsys.readouterr().out
