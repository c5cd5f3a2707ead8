"""``lc-otel view``: the right traces, in the right order, and one clear line for bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lc_otel._trace import Trace
from lc_otel._tracefile import TraceFileExporter, read_spans
from lc_otel._tree import render_tree
from lc_otel.cli import main
from tests import agent_trace
from tests.agent_trace import Node, weather_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
HEADER = re.compile(r"^trace ([0-9a-f]{32})", re.MULTILINE)

FAILED = Node("failed", 0, 700, error=("E", "broke"))
SLOW = Node("slow", 0, 90_000)
QUICK = Node("quick", 0, 3)


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    """A file of five traces, oldest first, a span a line."""
    path = tmp_path / "traces.jsonl"
    exporter = TraceFileExporter(path)
    for span in agent_trace.build(SLOW, FAILED, QUICK, weather_agent(), QUICK):
        exporter.export([span])
    return path


def roots(out: str) -> list[str]:
    """The names of the root spans printed, in order: they stand below the headers."""
    return re.findall(r"^trace .*\n(?:  .*\n)*(\S+)", out, re.MULTILINE)


def test_newest_first(trace_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All traces are printed, the newest first, each as the house's tree."""
    assert main(["view", str(trace_file)]) == 0
    out, err = capsys.readouterr()
    assert roots(out) == ["quick", "invoke_agent", "quick", "failed", "slow"]
    assert err == ""
    agent_id = HEADER.findall(out)[1]
    spans = [span for span in read_spans(trace_file, pytest.fail) if span.trace_id == agent_id]
    assert render_tree(Trace.of(spans), width=80) in out


def test_no_line_is_wider_than_a_pipe_reads(
    trace_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a pipe, lines have 80 columns at most, and no colours."""
    TraceFileExporter(trace_file).export(agent_trace.build(Node("n" * 200, 0, 1), seed=8))
    main(["view", str(trace_file)])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--errors"], ["invoke_agent", "failed"]),
        (["--slowest", "2"], ["slow", "invoke_agent"]),
        (["--slowest", "9", "--errors"], ["invoke_agent", "failed"]),
        (["--limit", "1"], ["quick"]),
    ],
)
def test_choosing(
    trace_file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: list[str],
) -> None:
    """Only failed ones, the slowest, the first few."""
    assert main(["view", str(trace_file), *arguments]) == 0
    assert roots(capsys.readouterr().out) == expected


def test_what_the_limit_hides_is_said(trace_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside a limited list stands how many there are more, and how to see them."""
    main(["view", str(trace_file), "--limit", "2"])
    assert capsys.readouterr().err == "3 more not shown; --limit 5 shows all\n"


def test_a_page_says_that_it_does_not_have_all(trace_file: Path, tmp_path: Path) -> None:
    """Who is given the page never saw the terminal."""
    page = tmp_path / "page.html"
    main(["view", str(trace_file), "--limit", "2", "--html", str(page)])
    assert f'"source":"{trace_file.name} (2 of 5 traces)"' in page.read_text(encoding="utf-8")
    main(["view", str(trace_file), "--html", str(page)])
    assert f'"source":"{trace_file.name}"' in page.read_text(encoding="utf-8")


def test_a_trace_by_the_beginning_of_its_id(
    trace_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The beginning of an id, in any case, chooses its trace."""
    wanted = next(read_spans(trace_file, pytest.fail)).trace_id
    assert main(["view", str(trace_file), "--trace", wanted[:7].upper()]) == 0
    assert HEADER.findall(capsys.readouterr().out) == [wanted]


def test_a_trace_over_several_files_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trace whose spans lie in two files, some in both, is shown once and whole."""
    spans = agent_trace.build(weather_agent())
    TraceFileExporter(tmp_path / "a.jsonl").export(spans[:7])
    TraceFileExporter(tmp_path / "b.jsonl").export(spans[5:])
    assert main(["view", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]) == 0
    assert " 11 spans " in capsys.readouterr().out


def embedded(path: Path) -> Any:
    """The data that a page carries."""
    [block] = re.findall(
        r'<script id="data" type="application/json">(.*?)</script>', path.read_text(), re.DOTALL
    )
    return json.loads(block)


def test_a_page_holds_every_span(
    trace_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page carries the chosen traces with all that their spans hold, and is announced."""
    out = tmp_path / "page.html"
    assert main(["view", str(trace_file), "--html", str(out)]) == 0
    said = capsys.readouterr().out
    assert str(out) in said
    assert out.as_uri() in said
    data = embedded(out)
    assert data["source"] == "traces.jsonl"
    assert [trace["name"] for trace in data["traces"]] == [
        "quick",
        "invoke_agent weather_assistant",
        "quick",
        "failed",
        "slow",
    ]
    shown = {span["id"]: span for trace in data["traces"] for span in trace["spans"]}
    spans = {span.span_id: span for span in read_spans(trace_file, pytest.fail)}
    assert shown.keys() == spans.keys()
    for span_id, span in spans.items():
        assert shown[span_id]["name"] == span.name
        assert shown[span_id]["attributes"] == span.attributes
        assert shown[span_id]["duration"] == pytest.approx(span.duration_s * 1e3)
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links are others there")
def test_a_page_written_anew_is_as_open_as_it_was(trace_file: Path, tmp_path: Path) -> None:
    """A page that only its owner could read stays so, and a link leads to the new page."""
    page, link = tmp_path / "private.html", tmp_path / "link.html"
    page.touch(mode=0o600)
    link.symlink_to(page)
    for out in (page, link):
        assert main(["view", str(trace_file), "--html", str(out)]) == 0
        assert page.stat().st_mode & 0o777 == 0o600
        assert link.is_symlink()
        assert len(embedded(page)["traces"]) == 5
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links are others there")
def test_a_page_is_created_as_files_are(trace_file: Path, tmp_path: Path) -> None:
    """A new page has the mode that the umask leaves, through a link to nothing too."""
    (tmp_path / "link.html").symlink_to(tmp_path / "new.html")
    before = os.umask(0o027)
    try:
        assert main(["view", str(trace_file), "--html", str(tmp_path / "link.html")]) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "new.html").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of this kind")
def test_a_pipe_is_written_to_and_stays_a_pipe(trace_file: Path, tmp_path: Path) -> None:
    """Who reads a named pipe, or stdout by its name, gets the page and nothing else."""
    pipe = tmp_path / "page.html"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "lc_otel", "view", str(trace_file), "--html"]
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        done = subprocess.run([*command, str(pipe)], capture_output=True, text=True, check=True)
        if not pipe.is_fifo():
            reader.kill()
        through_the_pipe = reader.communicate()[0]
    assert pipe.is_fifo()
    assert done.stdout == ""
    done = subprocess.run([*command, "/dev/stdout"], capture_output=True, text=True, check=True)
    assert done.stdout == through_the_pipe
    assert done.stdout.endswith("</html>\n")


def test_a_page_refers_to_nothing_outside(trace_file: Path, tmp_path: Path) -> None:
    """The page names no address, and its policy allows no source but the two hashes."""
    main(["view", str(trace_file), "--html", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text()
    assert "http:" not in text
    assert "https:" not in text
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    sources = re.findall(r"(\S+-src) ([^;]*);", policy)
    assert [name for name, _ in sources] == ["default-src", "style-src", "script-src"]
    assert sources[0][1] == "'none'"
    assert all(re.fullmatch(r"'sha256-[\w+/=]{44}'", source) for _, source in sources[1:])


def test_values_that_javascript_would_change(tmp_path: Path) -> None:
    """Integers beyond 2**53 and floats that are no numbers reach the page as text."""
    path = tmp_path / "t.jsonl"
    attributes = {"big": 2**62, "fits": 2**53, "nan": float("nan"), "list": [1.5, float("inf")]}
    TraceFileExporter(path).export(agent_trace.build(Node("n", 0, 1, attributes)))
    main(["view", str(path), "--html", str(tmp_path / "page.html")])
    [trace] = embedded(tmp_path / "page.html")["traces"]
    assert trace["spans"][0]["attributes"] == {
        "big": str(2**62),
        "fits": 2**53,
        "nan": "nan",
        "list": [1.5, "inf"],
    }


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "arguments", "expected"),
    [
        (None, [], "cannot read {path}: No such file or directory"),
        (lambda path: path.mkdir(), [], "cannot read {path}: Is a directory"),
        (lambda path: path.touch(), [], "no spans in {path}"),
        (lambda path: path.write_text("\n\n"), [], "no spans in {path}"),
        (
            lambda path: TraceFileExporter(path).export(agent_trace.build(QUICK)),
            ["--trace", "xyz"],
            "no trace id begins with 'xyz'; the newest of 1 is 6513270e269e0d37f2a74de452e6b439",
        ),
        (
            lambda path: TraceFileExporter(path).export(agent_trace.build(QUICK)),
            ["--errors"],
            "no span failed",
        ),
        (
            lambda path: TraceFileExporter(path).export(agent_trace.build(QUICK)),
            ["--html", "/nowhere/page.html"],
            "cannot write /nowhere/page.html: No such file or directory",
        ),
        (
            lambda path: TraceFileExporter(path).export(agent_trace.build(QUICK)),
            ["--html", "/dev/null/page.html"],
            "cannot write /dev/null/page.html: Not a directory",
        ),
        (
            lambda path: TraceFileExporter(path).export(agent_trace.build(QUICK)),
            ["--html", "/"],
            "/ is a folder; name a file for the page",
        ),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Any,
    arguments: list[str],
    expected: str,
) -> None:
    """A file that is missing, empty or a folder, an unknown id: one line, exit code 1."""
    path = tmp_path / "t.jsonl"
    if make:
        make(path)
    assert main(["view", str(path), *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"lc-otel view: {expected.format(path=path)}\n"


def test_a_page_never_overwrites_its_traces(
    trace_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trace file given as the page's name too is refused, and stays as it was."""
    before = trace_file.read_bytes()
    assert main(["view", str(trace_file), "--html", str(trace_file)]) == 1
    assert "is the trace file itself" in capsys.readouterr().err
    assert trace_file.read_bytes() == before


def test_broken_lines_are_named_and_the_rest_is_shown(
    trace_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each broken line is one line on stderr; beyond five they are counted."""
    with trace_file.open("a") as file:
        file.write("{broken\n" * 8)
    assert main(["view", str(trace_file)]) == 0
    out, err = capsys.readouterr()
    assert len(roots(out)) == 5
    lines = err.splitlines()
    assert lines[0] == f"{trace_file}:16: skipped a line that is no JSON"
    assert lines[5:] == ["... and 3 more skipped"]


def test_a_number_that_is_none_is_a_usage_error(
    trace_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--slowest 0`` and ``--limit x`` say what was expected."""
    for arguments in (["--slowest", "0"], ["--limit", "x"]):
        with pytest.raises(SystemExit) as stopped:
            main(["view", str(trace_file), *arguments])
        assert stopped.value.code == 2
        assert "expected a whole number from 1 up" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` shows how the command is used."""
    with pytest.raises(SystemExit):
        main(["view", "--help"])
    assert "example: lc-otel view traces.jsonl" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close differently there")
def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """``lc-otel view ... | head -1`` ends without a word."""
    path = tmp_path / "t.jsonl"
    TraceFileExporter(path).export(agent_trace.build(*[weather_agent() for _ in range(200)]))
    with subprocess.Popen(
        [sys.executable, "-m", "lc_otel", "view", str(path), "--limit", "200"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"trace ")
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="no device that is always full")
def test_a_full_disk_is_one_line(trace_file: Path) -> None:
    """What cannot be printed is said on stderr; there is no traceback."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 -- a device
        done = subprocess.run(
            [sys.executable, "-m", "lc_otel", "view", str(trace_file)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    assert (done.returncode, done.stderr) == (1, "lc-otel view: No space left on device\n")


def test_an_interrupted_page_leaves_nothing_behind(
    trace_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a half page nor the file it was written to; exit code 130, as shells have it."""

    def interrupted(*_: Any) -> Iterator[str]:
        yield "<!doctype html>"
        raise KeyboardInterrupt

    monkeypatch.setattr("lc_otel._commands.view.build_page", interrupted)
    before = {*tmp_path.iterdir()}
    assert main(["view", str(trace_file), "--html", str(tmp_path / "page.html")]) == 130
    assert {*tmp_path.iterdir()} == before


def rotate(path: Path) -> None:
    """What a writer does whose file is full: set it aside, and begin another."""
    path.rename(path.with_stem(f"{path.stem}-20261122T081935.123456"))
    TraceFileExporter(path).export(agent_trace.build(Node("newer", 0, 1), seed=3))


def empty(path: Path) -> None:
    """What ``> traces.jsonl`` does."""
    path.write_bytes(b"")


@pytest.fixture(params=[rotate, empty])
def meddler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Changes a file between its first reading and the second."""
    from lc_otel._commands import view

    choose = view._choose

    def meddle(found: Any, arguments: Any) -> Any:
        request.param(arguments.file[0])
        return choose(found, arguments)

    monkeypatch.setattr(view, "_choose", meddle)
    return request.param


def test_a_file_may_be_set_aside_while_it_is_read(
    trace_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], meddler: Any
) -> None:
    """Its traces are shown all the same; what was thrown away is said, and nothing else shown."""
    assert main(["view", str(trace_file)]) == 0
    out, err = capsys.readouterr()
    if meddler is rotate:
        assert roots(out) == ["quick", "invoke_agent", "quick", "failed", "slow"]
        assert err == ""
    else:
        assert out == ""
        assert len(err.splitlines()) == 5
        assert f"{trace_file}: changed while it was read, trace " in err


@pytest.mark.parametrize("open_files", [0, 64])
def test_a_page_of_a_file_that_is_set_aside(
    trace_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meddler: Any,
    open_files: int,
) -> None:
    """The page has the traces that there are, also where files are too many to be kept open."""
    monkeypatch.setattr("lc_otel._commands.view._OPEN_FILES", open_files)
    page = tmp_path / "page.html"
    assert main(["view", str(trace_file), "--html", str(page)]) == 0
    kept = meddler is rotate and open_files
    assert len(embedded(page)["traces"]) == (5 if kept else 0)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """To show one trace of a file of 40 MB, memory for the rest of it is not needed."""
    path = tmp_path / "t.jsonl"
    exporter = TraceFileExporter(path)
    exporter.export(agent_trace.build(Node("n", 0, 1, {"pad": "x" * 200_000})))
    line = path.read_text()
    trace_id = next(read_spans(path, pytest.fail)).trace_id
    with path.open("a") as file:
        for number in range(200):
            file.write(line.replace(trace_id, f"{number:032x}"))
    program = (
        "import sys, tracemalloc; from lc_otel.cli import main; tracemalloc.start();"
        f"code = main(['view', {str(path)!r}, '--limit', '1']);"
        "print(code, tracemalloc.get_traced_memory()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    code, peak = map(int, done.stdout.splitlines()[-1].split())
    assert code == 0
    assert path.stat().st_size > 40_000_000
    assert peak < 20_000_000


# -- docs/view.md -------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    """The code blocks of the page about viewing."""
    text = (ROOT / "docs/view.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_docs_program_writes_a_file(tmp_path: Path) -> None:
    """The program in the docs runs as it stands, and leaves the file that the docs go on with."""
    [program] = blocks("python")
    probe = "pipeline.tracer_provider.get_tracer('t').start_span('n').end()"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{probe}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert [span.name for span in read_spans(tmp_path / "traces.jsonl", pytest.fail)] == ["n"]


def test_the_docs_tree_is_real(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the docs show is what the command prints."""
    monkeypatch.chdir(tmp_path)
    TraceFileExporter("traces.jsonl").export(agent_trace.build(weather_agent()))
    shown = next(block for block in blocks("console") if "├─" in block)
    command, _, output = shown.partition("\n")
    assert main(command.removeprefix("$ lc-otel ").split()) == 0
    assert capsys.readouterr().out.strip() == output.strip()
