"""Trace files: what is written is OTLP/JSON, and what is read back is what was told."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExportResult,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from lc_otel._pipeline import Pipeline, configure
from lc_otel._tracefile import (
    KEEP,
    TraceFileExporter,
    encode_request,
    read_requests,
    read_spans,
    restore_line,
)
from lc_otel.config import ConfigurationError
from tests import agent_trace
from tests.receiver import grpc_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write(path: Path, *roots: agent_trace.Node, **how: Any) -> list[Any]:
    """Write each tree as one line of a trace file."""
    exporter = TraceFileExporter(path)
    spans = agent_trace.build(*roots, **how)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    return spans


def read(path: Path) -> tuple[list[Any], list[str]]:
    """Read the spans of a file, and what was warned about."""
    warnings: list[str] = []
    return list(read_spans(path, warnings.append)), warnings


def test_a_line_is_an_otlp_json_request(tmp_path: Path) -> None:
    """A line is one export request: camel case, hex ids, numbers for enums, strings for int64."""
    write(tmp_path / "t.jsonl", agent_trace.weather_agent())
    text = (tmp_path / "t.jsonl").read_text()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    [resource_spans] = json.loads(text)["resourceSpans"]
    [scope_spans] = resource_spans["scopeSpans"]
    assert scope_spans["scope"]["name"] == "lc_otel"
    spans = {span["name"]: span for span in scope_spans["spans"]}
    chat = spans["chat gpt-5-mini"]
    assert re.fullmatch(r"[0-9a-f]{32}", chat["traceId"])
    assert re.fullmatch(r"[0-9a-f]{16}", chat["spanId"])
    assert re.fullmatch(r"[0-9a-f]{16}", chat["parentSpanId"])
    assert chat["kind"] == 3
    assert chat["startTimeUnixNano"] == str(agent_trace.NOON + 3_031_000_000)
    assert {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "756"}} in chat["attributes"]
    assert spans["execute_tool radar"]["status"] == {
        "code": 2,
        "message": "weather.example took too long",
    }


def test_no_line_is_longer_than_the_collector_reads(tmp_path: Path) -> None:
    """A batch of much content becomes several lines; a span is never cut, however long."""
    nodes = [agent_trace.Node(f"n{n}", n, n + 1, {"text": "x" * 300_000}) for n in range(9)]
    huge = agent_trace.Node("huge", 9, 10, {"text": "x" * 3_000_000})
    written = write(tmp_path / "t.jsonl", *nodes, huge)
    *lines, last = (tmp_path / "t.jsonl").read_bytes().splitlines()
    assert max(map(len, lines)) < 2**20 < len(last)
    assert len(lines) < len(nodes)
    spans, warnings = read(tmp_path / "t.jsonl")
    assert [span.name for span in spans] == [span.name for span in written]
    assert warnings == []


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    """Each attribute type, event, link, status and the resource survive the way out and back."""
    attributes = {
        "text": "naïve 🐍 \u2028 </script>",
        "int": 2**62,
        "float": 0.1,
        "bool": True,
        "texts": ["a", ""],
        "ints": [1, 2],
        "none": "",
    }
    provider = TracerProvider(resource=Resource({"service.name": "s"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(TraceFileExporter(tmp_path / "t.jsonl")))
    linked = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))
    span = provider.get_tracer("scope").start_span(
        "name", kind=SpanKind.PRODUCER, attributes=attributes, links=[Link(linked)], start_time=5
    )
    span.add_event("happened", {"n": 1.5}, timestamp=6)
    span.end(end_time=7)
    [back], warnings = read(tmp_path / "t.jsonl")
    assert not warnings
    assert back.attributes == attributes
    assert (back.kind, back.start_ns, back.end_ns, back.status) == ("producer", 5, 7, "unset")
    assert back.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert back.parent_id is None
    assert [(e.name, e.time_ns, e.attributes) for e in back.events] == [("happened", 6, {"n": 1.5})]
    assert back.links == [(f"{0xABC:032x}", f"{0xDEF:016x}")]
    assert back.resource["service.name"] == "s"
    assert back.scope == "scope"


@pytest.mark.logs_warnings  # the SDK says that it drops an attribute
def test_restored_spans_encode_as_they_were(tmp_path: Path) -> None:
    """What `restore_line` makes of a line is encoded into that very line again."""
    agent_trace_spans = write(tmp_path / "t.jsonl", agent_trace.weather_agent())
    limits = SpanLimits(max_attributes=1, max_events=1, max_links=1)
    provider = TracerProvider(
        resource=Resource({"service.name": "s", "list": ["a"]}, "https://schema.example/1"),
        span_limits=limits,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(TraceFileExporter(tmp_path / "t.jsonl")))
    tracer = provider.get_tracer("scope", "2.0", "https://schema.example/2", {"a": 1})
    state = TraceState([("vendor", "value")])
    remote = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    context = set_span_in_context(NonRecordingSpan(remote))
    span = tracer.start_span(
        "n", context, attributes={"a": 1, "b": 2}, links=[Link(remote, {"k": "v"}), Link(remote)]
    )
    span.add_event("first")
    span.add_event("second")
    span.set_status(StatusCode.OK)
    span.end()

    lines = list(read_requests(tmp_path / "t.jsonl", pytest.fail))
    restored = [list(restore_line(tmp_path / "t.jsonl", line, pytest.fail)) for line in lines]
    assert len(restored[0]) == len(agent_trace_spans)
    assert (
        lines[1].request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        | {
            "traceState": "vendor=value",
            "flags": 0x300,
            "droppedAttributesCount": 1,
            "droppedEventsCount": 1,
            "droppedLinksCount": 1,
        }
        == lines[1].request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    )
    assert [encode_request(spans) for spans in restored] == [line.request for line in lines]


def test_nested_and_odd_values_of_other_writers_are_read(tmp_path: Path) -> None:
    """Maps, nested lists, bytes, NaN and an empty value, as other SDKs write them, are read."""
    values = [
        ("map", {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}, {"a": 1}),
        ("bytes", {"bytesValue": "AAE="}, b"\x00\x01"),
        ("nothing", {}, None),
        ("infinite", {"doubleValue": "-Infinity"}, float("-inf")),
        (
            "list",
            {"arrayValue": {"values": [{"arrayValue": {}}, {"boolValue": False}]}},
            [[], False],
        ),
    ]
    span = {
        "traceId": "AB" * 16,
        "spanId": "cd" * 8,
        "parentSpanId": "",
        "attributes": [{"key": key, "value": value} for key, value, _ in values],
    }
    lines = [{"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, {"resourceLogs": []}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    [back], warnings = read(tmp_path / "t.jsonl")
    assert not warnings
    assert back.trace_id == "ab" * 16
    assert back.attributes == {key: expected for key, _, expected in values}


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("{broken", "t.jsonl:2: skipped a line that is no JSON"),
        ('"text"', "t.jsonl:2: skipped a line without resourceSpans"),
        ('{"spans": []}', "t.jsonl:2: skipped a line without resourceSpans"),
        (
            '{"resourceSpans": 5}',
            "t.jsonl:2: skipped a line whose resourceSpans have another shape",
        ),
        ('{"resourceSpans": [{"scopeSpans": [[]]}]}', "t.jsonl:2: skipped a line whose"),
        ('{"resourceSpans": [{"scopeSpans": [{"spans": "ab"}]}]}', "t.jsonl:2: skipped a line"),
        ("[" * 100_000, "t.jsonl:2: skipped a line that is no JSON"),
        ("\udcff", "t.jsonl:2: skipped a line that is no JSON"),
        (
            '{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}',
            "t.jsonl:2: skipped a span: its traceId is 'xyz', not 32 hex digits",
        ),
        (
            '{"resourceSpans": [{"scopeSpans": [{"spans": [7]}]}]}',
            "t.jsonl:2: skipped a span: ",
        ),
    ],
)
def test_a_broken_line_costs_only_itself(tmp_path: Path, line: str, warning: str) -> None:
    """What cannot be read is named by file and line, once, and the rest is read."""
    path = tmp_path / "t.jsonl"
    write(path, agent_trace.Node("before", 0, 1))
    with path.open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{line}\n")
    write(path, agent_trace.Node("after", 0, 1))
    spans, warnings = read(path)
    assert [span.name for span in spans] == ["before", "after"]
    [said] = warnings
    assert warning in said
    assert "\n" not in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder and key or index in a JSON value."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


@pytest.mark.logs_warnings  # of values that the SDK's resource refuses
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_json_breaks_the_reader(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands anywhere in a line, reading and restoring give spans or a warning."""
    request = encode_request(agent_trace.build(agent_trace.weather_agent())[4:7])
    holder, key = data.draw(st.sampled_from(list(places(request))))
    holder[key] = data.draw(JSON)
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(request) + "\n")
    spans, warnings = read(path)
    assert len(spans) + len(warnings) <= 3
    for line in read_requests(path, warnings.append):
        said: list[str] = []
        restored = list(restore_line(path, line, said.append))
        assert len(restored) == len(spans) or len(restored) + len(said) == 3
        encode_request(restored)


def test_a_line_torn_by_a_killed_writer_spoils_no_other(tmp_path: Path) -> None:
    """The next writer begins a line of its own after a torn one."""
    path = tmp_path / "t.jsonl"
    write(path, agent_trace.Node("before", 0, 1))
    with path.open("a") as file:
        file.write('{"resourceSpans":[{"sc')
    spans, [warning] = read(path)
    assert len(spans) == 1
    assert "its end is missing, is it being written?" in warning
    write(path, agent_trace.Node("after", 0, 1))
    spans, [warning] = read(path)
    assert [span.name for span in spans] == ["before", "after"]
    assert ":2: " in warning


def test_a_full_file_is_set_aside(tmp_path: Path) -> None:
    """No file outgrows max_bytes, and of those set aside the newest ``keep`` stay."""
    exporter = TraceFileExporter(tmp_path / "t.jsonl", max_bytes=2_000, keep=2)
    (tmp_path / "t-mine.jsonl").write_text("not ours to delete")
    batches = [agent_trace.build(agent_trace.Node(f"n{n}", 0, 1), seed=n) for n in range(20)]
    for batch in batches:
        assert exporter.export(batch) is SpanExportResult.SUCCESS
    aside = sorted(tmp_path.glob("t-2*.jsonl"))
    assert len(aside) == 2
    files = [*aside, tmp_path / "t.jsonl"]
    assert all(path.stat().st_size <= 2_000 for path in files)
    names = [span.name for path in files for span in read(path)[0]]
    assert names == [f"n{n}" for n in range(20 - len(names), 20)]
    assert (tmp_path / "t-mine.jsonl").exists()


@pytest.mark.parametrize("keep", [0, 1, 2, KEEP])
def test_as_many_files_set_aside_stay_as_are_to_be_kept(tmp_path: Path, keep: int) -> None:
    """None goes before there are too many, and then the oldest."""
    exporter = TraceFileExporter(tmp_path / "t.jsonl", max_bytes=1, keep=keep)
    kept = []
    for number in range(keep + 4):
        exporter.export(agent_trace.build(agent_trace.Node(f"n{number}", number, number + 1)))
        kept.append(len(list(tmp_path.glob("t-*.jsonl"))))
    assert kept == [min(number, keep) for number in range(keep + 4)]
    left = sorted(tmp_path.glob("t*.jsonl"), key=lambda path: (path.stem == "t", path.name))
    assert [span.name for path in left for span in read(path)[0]] == [
        f"n{number}" for number in range(3, keep + 4)
    ]


def test_a_batch_larger_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    """A single batch is never cut: it gets a file of its own."""
    exporter = TraceFileExporter(tmp_path / "t.jsonl", max_bytes=10)
    for seed in (1, 2):
        exporter.export(agent_trace.build(agent_trace.weather_agent(), seed=seed))
    files = sorted(tmp_path.glob("t*.jsonl"))
    assert [len(read(path)[0]) for path in files] == [11, 11]


def _write_many(path: str, writer: int, count: int) -> None:
    exporter = TraceFileExporter(path, max_bytes=200_000, keep=100)
    for number in range(count):
        node = agent_trace.Node(f"{writer}-{number}", 0, 1, {"pad": "x" * 10_000})
        exporter.export(agent_trace.build(node, seed=writer * 10_000 + number))


def test_processes_share_a_file(tmp_path: Path) -> None:
    """Four processes that write and set aside the same file lose and mix up nothing."""
    path = tmp_path / "t.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(path), w, 50)) for w in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
        assert process.exitcode == 0
    files = list(tmp_path.glob("t*.jsonl"))
    assert len(files) > 5
    read_back = [read(file) for file in files]
    assert not [warning for _, warnings in read_back for warning in warnings]
    names = sorted(span.name for spans, _ in read_back for span in spans)
    assert names == sorted(f"{w}-{n}" for w in range(4) for n in range(50))


def test_what_a_batch_held_is_in_the_file_after_shutdown(tmp_path: Path) -> None:
    """Behind a batch processor, shutdown leaves every span in the file."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(TraceFileExporter(tmp_path / "t.jsonl")))
    for _ in range(100):
        provider.get_tracer("t").start_span("s").end()
    provider.shutdown()
    assert len(read(tmp_path / "t.jsonl")[0]) == 100


def test_the_file_may_move_or_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file deleted under the writer is begun anew, where it was named whatever chdir does."""
    monkeypatch.chdir(tmp_path)
    exporter = TraceFileExporter("deep/er/t.jsonl")
    (tmp_path / "deep/er/t.jsonl").unlink()
    monkeypatch.chdir("/")
    exporter.export(agent_trace.build(agent_trace.Node("n", 0, 1)))
    assert len(read(tmp_path / "deep/er/t.jsonl")[0]) == 1


@pytest.mark.logs_warnings
def test_a_failing_disk_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Writes that fail return FAILURE; the log gets one line until one succeeds."""
    exporter = TraceFileExporter(tmp_path / "gone/t.jsonl")
    spans = agent_trace.build(agent_trace.Node("n", 0, 1))
    for leftover in (tmp_path / "gone").iterdir():
        leftover.unlink()
    (tmp_path / "gone").rmdir()
    assert [exporter.export(spans) for _ in range(3)] == [SpanExportResult.FAILURE] * 3
    (tmp_path / "gone").mkdir()
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    [record] = caplog.records
    assert "spans lost: cannot write" in record.getMessage()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder opens differently there")
def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """A folder, or a file where a folder should be, raises OSError at construction."""
    with pytest.raises(OSError, match="directory"):
        TraceFileExporter(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|directory"):
        TraceFileExporter(tmp_path / "file" / "t.jsonl")
    with pytest.raises(ValueError, match="max_bytes"):
        TraceFileExporter(tmp_path / "t.jsonl", max_bytes=0)


def test_reading_holds_one_line_at_a_time(tmp_path: Path) -> None:
    """Reading 20 MB of lines needs far less memory than the file has bytes."""
    path = tmp_path / "t.jsonl"
    write(path, agent_trace.Node("n", 0, 1, {"pad": "x" * 100_000}))
    line = path.read_bytes()
    with path.open("ab") as file:
        for _ in range(200):
            file.write(line)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_spans(path, pytest.fail))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 201
    assert os.path.getsize(path) > 20_000_000  # noqa: PTH202 - one call, no object
    assert peak < 4_000_000


def test_reading_from_an_offset_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Offsets are those of line starts and ends, so that reading can go on from any of them."""
    path = tmp_path / "t.jsonl"
    for seed in range(3):
        write(path, agent_trace.Node(f"n{seed}", 0, 1), seed=seed)
    lines = list(read_requests(path, pytest.fail))
    assert [line.number for line in lines] == [1, 2, 3]
    assert lines[0].start == 0
    assert lines[-1].end == path.stat().st_size
    again = list(read_requests(path, pytest.fail, start=lines[1].start, number=2))
    assert again == lines[1:]


def make_spans(pipeline: Pipeline, count: int = 3) -> None:
    """End so many spans."""
    tracer = pipeline.tracer_provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"n{number}").end()


def test_configure_writes_a_file_and_needs_no_backend(tmp_path: Path) -> None:
    """With ``file=`` alone, spans go there, nothing is sent, and flush tells the truth."""
    with configure(file=tmp_path / "t.jsonl", set_global=False, service_name="s") as pipeline:
        make_spans(pipeline)
        assert pipeline.address is None
        assert pipeline.flush() is True
        spans, _ = read(tmp_path / "t.jsonl")
        assert [span.name for span in spans] == ["n0", "n1", "n2"]
        assert spans[0].resource["service.name"] == "s"
        make_spans(pipeline)
    assert len(read(tmp_path / "t.jsonl")[0]) == 6


def test_configure_writes_a_file_and_sends(tmp_path: Path) -> None:
    """With an endpoint besides, spans go to both."""
    with grpc_receiver() as backend:
        path = tmp_path / "t.jsonl"
        with configure(backend.endpoint, file=str(path), set_global=False) as pipeline:
            make_spans(pipeline)
        written = [span.span_id for span in read(path)[0]]
        assert [span.span_id for span in backend.receiver.spans] == written


def test_a_program_that_just_ends_leaves_a_whole_file(tmp_path: Path) -> None:
    """Nothing is lost when a program ends without a word."""
    program = (
        "from lc_otel import configure; from opentelemetry import trace;"
        "configure(file='t.jsonl'); tracer = trace.get_tracer('t');"
        "[tracer.start_span('n').end() for _ in range(100)]"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=environ)
    assert len(read(tmp_path / "t.jsonl")[0]) == 100


@pytest.mark.logs_warnings
def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """At the start it is one error; later, flush and shutdown say that spans were lost."""
    with pytest.raises(ConfigurationError, match=r"file is '.*', it cannot be written: Is a dir"):
        configure(file=tmp_path, set_global=False)
    pipeline = configure(file=tmp_path / "gone" / "t.jsonl", set_global=False)
    shutil.rmtree(tmp_path / "gone")
    make_spans(pipeline)
    assert pipeline.flush() is False
    assert pipeline.shutdown() is False
