"""console="live": what a terminal shows while spans run, and what is left on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

pyte = pytest.importorskip("pyte", reason="a terminal to look at")
pty = pytest.importorskip("pty", reason="terminals of this kind are not for Windows")

from lc_otel import ConfigurationError, configure
from tests.versions import STRICT

PROGRAM = """
import sys, time
from lc_otel import configure

pipeline = configure(console="live", set_global=False)
tracer = pipeline.tracer_provider.get_tracer("t")
model = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 34,
         "gen_ai.usage.output_tokens": 47}

def wait():
    print(end="", flush=True)
    sys.stdin.readline()

"""


class Terminal:
    """A program on a terminal of its own; each line sent to it lets it go on."""

    def __init__(self, program: str, *, lines: int = 24, columns: int = 80) -> None:
        self._screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        input_, self._input = os.pipe()
        self._process = subprocess.Popen(
            [*STRICT, "-c", PROGRAM + textwrap.dedent(program)],
            stdin=input_,
            stdout=slave,
            stderr=slave,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), *sys.path])),
                "PYTHONIOENCODING": "utf-8",
                "TERM": "xterm",
                "NO_COLOR": "1",
                "LINES": str(lines),
                "COLUMNS": str(columns),
            },
        )
        os.close(slave)
        os.close(input_)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the program has ended
                return
            if not data:
                return
            self._stream.feed(data)

    @property
    def shown(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def everything(self) -> str:
        """What has scrolled off the screen, and what stands on it."""
        gone = [
            "".join(line[column].data for column in range(self._screen.columns)).rstrip()
            for line in self._screen.history.top
        ]
        return "\n".join([*gone, self.shown])

    def wait_for(self, pattern: str, timeout: float = 20.0) -> str:
        """The screen, once it shows this."""
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, f"no {pattern!r} on:\n{self.everything}"
            time.sleep(0.02)
        return self.shown

    def go_on(self) -> None:
        """Let the program pass its next `wait`."""
        os.write(self._input, b"\n")

    def finish(self) -> str:
        """Everything, once the program has ended well."""
        os.close(self._input)
        code = self._process.wait(20)
        self._reader.join(20)
        os.close(self._master)
        assert code == 0, self.everything
        return self.everything


def test_a_shutdown_ends_the_thread_that_draws() -> None:
    """It leaves nothing that runs."""
    terminal = Terminal("""
        import threading
        def drawing():
            return [each for each in threading.enumerate() if each.name == "lc-otel-live"]
        begun = drawing()
        pipeline.shutdown()
        for each in begun:
            each.join(10)
        print(f"{len(begun)} begun, {len(drawing())} left")
    """)
    assert "1 begun, 0 left" in terminal.finish()


def test_running_spans_are_shown_and_the_final_tree_is_left() -> None:
    """Elapsed time and tokens move while the run goes on; then the tree stands alone."""
    terminal = Terminal("""
        with tracer.start_as_current_span("invoke_agent guide"):
            tracer.start_span("chat m", attributes=model).end()
            with tracer.start_as_current_span("execute_tool search"):
                wait()
        print("that was all")
    """)
    seen = terminal.wait_for(r"execute_tool search +\d+ ms +running")
    assert re.search(r"^trace \w+ · 3 spans · .*34→47 tokens", seen, re.MULTILINE)
    assert re.search(r"^invoke_agent guide +\S+ m?s +running$", seen, re.MULTILINE)
    assert re.search(r"^├─ chat m +\S+ ms +34→47 tok$", seen, re.MULTILINE)
    terminal.wait_for(r"execute_tool search +1\.\d\d s +running")
    terminal.go_on()
    left = terminal.finish()
    assert "running" not in left
    assert left.count("execute_tool search") == 1
    assert left.rstrip().endswith("that was all")


def test_what_the_program_prints_stays_whole() -> None:
    """Lines, half lines and errors keep their order and place, above what is running."""
    terminal = Terminal("""
        with tracer.start_as_current_span("work on it"):
            wait()
            for number in range(30):
                print("line", number)
            print("half a ", end="", flush=True)
            wait()
            print("line, and", end=" ")
            print("an error", file=sys.stderr, flush=True)
            wait()
    """)
    terminal.wait_for("running")
    terminal.go_on()
    terminal.wait_for(r"(?s)line 29\nhalf a\n.*running")
    terminal.go_on()
    terminal.wait_for(r"(?s)an error.*running")
    terminal.go_on()
    left = [line for line in terminal.finish().splitlines() if line]
    expected = [*(f"line {number}" for number in range(30))]
    assert left[:30] == expected
    assert sorted(left[30].split()) == sorted(["half", "a", "line,", "and", "an", "error"])
    assert re.match(r"trace .* 1 span", left[31])
    assert left[32].startswith("work on it")
    assert len(left) == 33


def test_a_tree_that_is_too_tall_shows_its_header_and_its_end() -> None:
    """Nothing scrolls away that could not be taken back."""
    terminal = Terminal(
        """
        with tracer.start_as_current_span("root"):
            for number in range(40):
                tracer.start_span(f"step {number}").end()
            with tracer.start_as_current_span("last"):
                wait()
        """,
        lines=12,
    )
    seen = terminal.wait_for("last .*running").splitlines()
    assert len(seen) <= 12
    assert any(line.startswith("trace ") for line in seen)
    assert "step 39" in seen[-2]
    terminal.go_on()
    left = terminal.finish()
    assert left.count("step 7 ") == 1
    assert left.count("last ") == 1
    assert left.count("trace ") == 1


def test_two_traces_run_side_by_side() -> None:
    """Each has its tree; the one that finishes is printed above the one that goes on."""
    terminal = Terminal("""
        first, second = tracer.start_span("first"), tracer.start_span("second")
        wait()
        first.end()
        wait()
        second.end()
    """)
    terminal.wait_for(r"(?s)first .*running.*second .*running")
    terminal.go_on()
    terminal.wait_for(r"(?s)first +\S+ m?s\n.*second .*running")
    terminal.go_on()
    left = terminal.finish()
    assert "running" not in left
    assert left.index("first") < left.index("second")


def test_a_span_that_never_ends_is_not_left_moving() -> None:
    """At exit the picture goes, and what did end is printed."""
    terminal = Terminal("""
        span = tracer.start_span("root")
        from opentelemetry import trace
        with trace.use_span(span):
            tracer.start_span("child").end()
        wait()
    """)
    terminal.wait_for("root .*running")
    terminal.go_on()
    left = terminal.finish()
    assert "running" not in left
    assert "unfinished" in left
    assert "child" in left


def test_the_streams_are_given_back() -> None:
    """sys.stdout is the program's own whenever nothing runs."""
    terminal = Terminal("""
        mine = sys.stdout
        with tracer.start_as_current_span("root"):
            wait()
            assert sys.stdout is not mine and sys.stdout.fileno() == mine.fileno()
        assert sys.stdout is mine
        print("given back")
    """)
    terminal.wait_for("root .*running")
    terminal.go_on()
    assert "given back" in terminal.finish()


def test_without_a_terminal_it_is_the_plain_console(capsys: pytest.CaptureFixture[str]) -> None:
    """What is piped gets whole trees and no codes."""
    with configure(console="live", set_global=False) as pipeline:
        pipeline.tracer_provider.get_tracer("t").start_span("alone").end()
    out = capsys.readouterr().out
    assert "alone" in out
    assert "\x1b" not in out


def test_without_a_standard_output_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without a console, as pythonw starts it, runs."""
    monkeypatch.setattr(sys, "stdout", None)
    with configure(console="live", set_global=False) as pipeline:
        pipeline.tracer_provider.get_tracer("t").start_span("alone").end()


def test_a_forked_child_has_the_streams_back() -> None:
    """What it prints does not take its parent's picture back."""
    terminal = Terminal("""
        import os, warnings
        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)
        mine = sys.stdout
        with tracer.start_as_current_span("root"):
            wait()
            assert sys.stdout is not mine
            pid = os.fork()
            if not pid:
                os._exit(0 if sys.stdout is mine else 1)
            assert os.waitpid(pid, 0)[1] == 0
    """)
    terminal.wait_for("root .*running")
    terminal.go_on()
    terminal.finish()


def test_another_word_is_refused() -> None:
    """The error says what may be given."""
    with pytest.raises(ConfigurationError, match="console is 'lively', expected True, False or"):
        configure(console="lively", set_global=False)  # type: ignore[arg-type]
