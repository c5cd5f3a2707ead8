"""However a program ends, its open runs are ended as incomplete and what it told is delivered."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lc_otel import ConfigurationError
from lc_otel._pipeline import configure
from lc_otel._spool import Spool
from tests.receiver import Fault
from tests.robustness.conftest import run_program, start_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.receiver import Address

START = """
import os, signal, sys, threading, time
from uuid import uuid4
from lc_otel import configure

def open_run(handler):
    outer, inner = uuid4(), uuid4()
    handler.on_chain_start({}, {}, run_id=outer, name="outer")
    handler.on_chain_start({}, {}, run_id=inner, parent_run_id=outer, name="inner")
"""

OUTCOME = "langchain.run.outcome"

with_signals = pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGTERM")


def assert_both_came(address: Address) -> None:
    """Parent and child are there, both marked."""
    inner, outer = sorted(address.receiver.spans, key=lambda span: span.name)
    assert (inner.name, outer.name) == ("inner", "invoke_workflow outer")
    assert inner.parent_id == outer.span_id
    assert inner.attributes[OUTCOME] == outer.attributes[OUTCOME] == "incomplete"
    assert inner.status == outer.status == "unset"


ENDS = {
    "return": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception": ("raise KeyError('x')", 1),
    # what a shell starts in the background ignores SIGINT
    "interrupt": (
        "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), 2)",
        -signal.SIGINT,
    ),
    "exit in a thread": ("threading.Thread(target=sys.exit).start()", 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_program_that_ends_inside_a_run(end: str, http_backend: Address) -> None:
    """Whichever way the interpreter exits, the runs it leaves open arrive."""
    statement, code = ENDS[end]
    got, _, _ = run_program(
        START
        + f"""
pipeline = configure(sys.argv[1], sys.argv[2])
open_run(pipeline.handler)
{statement}
""",
        http_backend.endpoint,
        http_backend.protocol,
    )
    assert got == code
    assert_both_came(http_backend)


def terminate(source: str, address: Address, *arguments: str) -> tuple[int, str, str, float]:
    """Send SIGTERM once the program has said that it is ready; code, output, errors, seconds."""
    program = start_program(START + source, address.endpoint, address.protocol, *arguments)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    began = time.monotonic()
    program.send_signal(signal.SIGTERM)
    out, err = program.communicate(timeout=60)
    return program.returncode, out, err, time.monotonic() - began


# Short sleeps: Python handles a signal that comes just before a sleep only after it.
WAIT = """
print("ready", flush=True)
for _ in range(600):
    time.sleep(0.1)
"""


@with_signals
def test_sigterm_kills_after_all_was_delivered(backend: Address) -> None:
    """Open runs are ended and sent, and the exit status is still that of the signal."""
    code, _, err, _ = terminate(
        """
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True)
open_run(pipeline.handler)
"""
        + WAIT,
        backend,
    )
    assert (code, err) == (-signal.SIGTERM, "")
    assert_both_came(backend)


@with_signals
def test_sigterm_is_not_touched_unless_asked_for(http_backend: Address) -> None:
    """The program's signals are its own."""
    code, _, _, _ = terminate(
        """
pipeline = configure(sys.argv[1], sys.argv[2])
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
open_run(pipeline.handler)
"""
        + WAIT,
        http_backend,
    )
    assert code == -signal.SIGTERM
    assert http_backend.receiver.spans == []


@with_signals
def test_a_handler_of_the_programs_is_called_after_a_flush(http_backend: Address) -> None:
    """What had ended is there before it runs; it decides how the program ends."""
    code, out, _, _ = terminate(
        """
def end(number, frame):
    print("exported", pipeline.exported, "open", pipeline.handler.open_runs)
    sys.exit(7)

signal.signal(signal.SIGTERM, end)
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True)
pipeline.tracer_provider.get_tracer("test").start_span("ended").end()
open_run(pipeline.handler)
"""
        + WAIT,
        http_backend,
    )
    assert (code, out) == (7, "exported 1 open 2\n")
    assert len(http_backend.receiver.spans) == 3


@with_signals
def test_a_signal_that_is_ignored_stays_ignored(http_backend: Address) -> None:
    """The program goes on, and delivers when it ends."""
    code, out, _, _ = terminate(
        """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True)
open_run(pipeline.handler)
print("ready", flush=True)
time.sleep(0.5)
print("went on")
""",
        http_backend,
    )
    assert (code, out) == (0, "went on\n")
    assert_both_came(http_backend)


@with_signals
def test_sigterm_does_not_wait_for_a_backend_that_hangs(http_backend: Address) -> None:
    """The process ends within the timeout, whatever it holds."""
    http_backend.receiver.fault = Fault(http=503, delay=60)
    code, _, _, took = terminate(
        """
import lc_otel._pipeline
lc_otel._pipeline._DEFAULT_TIMEOUT = 1.0
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True, timeout=60)
open_run(pipeline.handler)
"""
        + WAIT,
        http_backend,
    )
    assert code == -signal.SIGTERM
    assert took < 5


@with_signals
def test_sigterm_in_the_middle_of_a_shutdown_loses_nothing(http_backend: Address) -> None:
    """A program that has ended already, and waits for its backend, is killed once that is done."""
    http_backend.receiver.fault = Fault(http=503, delay=1, times=1)
    code, _, _, took = terminate(
        """
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True)
open_run(pipeline.handler)
threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
pipeline.shutdown()
time.sleep(60)
""",
        http_backend,
    )
    assert code == -signal.SIGTERM
    assert_both_came(http_backend)
    assert took < 8


@with_signals
def test_sigterm_before_the_open_runs_were_ended_loses_none(http_backend: Address) -> None:
    """A shutdown that it comes in goes on to its end."""
    code, _, err = run_program(
        START
        + """
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True)
open_run(pipeline.handler)
end_open_runs = pipeline.handler.end_open_runs

def told_to_end():
    os.kill(os.getpid(), signal.SIGTERM)
    return end_open_runs()

pipeline.handler.end_open_runs = told_to_end
pipeline.shutdown()
time.sleep(60)
""",
        http_backend.endpoint,
        http_backend.protocol,
    )
    assert (code, err) == (-signal.SIGTERM, "")
    assert_both_came(http_backend)


@with_signals
def test_sigterm_waits_no_longer_for_a_shutdown_than_for_a_delivery(http_backend: Address) -> None:
    """Whatever time the shutdown has, a backend that hangs does not keep the process."""
    http_backend.receiver.fault = Fault(http=503, delay=60)
    code, _, _, took = terminate(
        """
import lc_otel._pipeline
lc_otel._pipeline._DEFAULT_TIMEOUT = 1.0
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True, timeout=60)
open_run(pipeline.handler)
threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
pipeline.shutdown(50)
""",
        http_backend,
    )
    assert code == -signal.SIGTERM
    assert took < 20


WAYS_TO_WAIT = {
    "at work": WAIT,
    "in a shutdown": """
threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
pipeline.shutdown(0.9)
time.sleep(60)
""",
}


@with_signals
@pytest.mark.parametrize("way", WAYS_TO_WAIT)
def test_what_sigterm_loses_is_said(way: str, http_backend: Address) -> None:
    """The line with numbers comes before the process dies."""
    http_backend.receiver.fault = Fault(http=503, delay=60)
    code, _, err, _ = terminate(
        """
import lc_otel._pipeline
lc_otel._pipeline._DEFAULT_TIMEOUT = 3.0
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True, timeout=60)
open_run(pipeline.handler)
"""
        + WAYS_TO_WAIT[way],
        http_backend,
    )
    assert code == -signal.SIGTERM
    assert "2 of 2 spans did not reach" in err


OTHERS = {
    "open": "",
    "shut down": "first.shutdown()",
    "shut down elsewhere": "t = threading.Thread(target=first.shutdown); t.start(); t.join()",
}


@with_signals
@pytest.mark.parametrize("other", OTHERS)
def test_sigterm_delivers_of_every_pipeline(other: str, http_backend: Address) -> None:
    """Whichever came first, and whichever is shut down already."""
    code, _, err, _ = terminate(
        f"""
first, second = (
    configure(sys.argv[1], sys.argv[2], set_global=False, flush_on_sigterm=True) for _ in "12"
)
open_run(first.handler)
open_run(second.handler)
{OTHERS[other]}
"""
        + WAIT,
        http_backend,
    )
    assert (code, err) == (-signal.SIGTERM, "")
    assert [span.attributes[OUTCOME] for span in http_backend.receiver.spans] == ["incomplete"] * 4


@with_signals
def test_sigterm_after_all_pipelines_are_shut_down_just_kills(http_backend: Address) -> None:
    """Also where the handler could not be taken away, off the main thread; a new one may come."""
    code, _, err, _ = terminate(
        """
for _ in range(2):
    pipeline = configure(sys.argv[1], sys.argv[2], set_global=False, flush_on_sigterm=True)
    open_run(pipeline.handler)
    thread = threading.Thread(target=pipeline.shutdown)
    thread.start()
    thread.join()
"""
        + WAIT,
        http_backend,
    )
    assert (code, err) == (-signal.SIGTERM, "")
    assert len(http_backend.receiver.spans) == 4


@with_signals
def test_a_handler_of_the_programs_may_shut_down_in_a_shutdown(http_backend: Address) -> None:
    """It does not wait for the main thread, in which it runs itself."""
    http_backend.receiver.fault = Fault(http=503, delay=60)
    code, out, _, _ = terminate(
        """
def end(number, frame):
    print(pipeline.shutdown(1), flush=True)
    os._exit(7)

signal.signal(signal.SIGTERM, end)
pipeline = configure(sys.argv[1], sys.argv[2], timeout=60)
open_run(pipeline.handler)
threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
pipeline.shutdown(50)
""",
        http_backend,
    )
    assert (code, out) == (7, "False\n")


def test_what_an_interrupt_breaks_off_is_done_at_exit(http_backend: Address) -> None:
    """Ctrl-C in the middle of a shutdown loses nothing."""
    code, _, err = run_program(
        START
        + """
pipeline = configure(sys.argv[1], sys.argv[2])
open_run(pipeline.handler)
end_open_runs = pipeline.handler.end_open_runs

def interrupted():
    pipeline.handler.end_open_runs = end_open_runs
    raise KeyboardInterrupt

pipeline.handler.end_open_runs = interrupted
try:
    pipeline.shutdown()
except KeyboardInterrupt:
    print("interrupted")
""",
        http_backend.endpoint,
        http_backend.protocol,
    )
    assert (code, err) == (0, "")
    assert_both_came(http_backend)


@with_signals
def test_an_interrupt_while_a_spool_waits_for_the_backend_keeps_all(
    http_backend: Address, tmp_path: Path
) -> None:
    """What is on its way then is on disk when the program has ended."""
    http_backend.receiver.fault = Fault(http=503, delay=60)
    code, out, err = run_program(
        START
        + """
signal.signal(signal.SIGINT, signal.default_int_handler)
pipeline = configure(sys.argv[1], sys.argv[2], spool=sys.argv[3], timeout=60)
open_run(pipeline.handler)
threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    pipeline.shutdown(4)
except KeyboardInterrupt:
    print("interrupted")
""",
        http_backend.endpoint,
        http_backend.protocol,
        str(tmp_path),
    )
    assert (code, out) == (0, "interrupted\n")
    assert "2 of 2 spans did not reach" in err
    assert sum(entry.spans for entry in Spool(tmp_path).entries()) == 2


@with_signals
def test_a_lock_held_by_the_main_thread_does_not_hang_the_end(http_backend: Address) -> None:
    """The signal comes in the middle of a span's own lock: the process ends all the same."""
    code, _, _, took = terminate(
        """
import lc_otel._pipeline
lc_otel._pipeline._DEFAULT_TIMEOUT = 1.0
pipeline = configure(sys.argv[1], sys.argv[2], flush_on_sigterm=True)
run = uuid4()
pipeline.handler.on_chain_start({}, {}, run_id=run)
pipeline.handler.span_for(run)._lock.acquire()
"""
        + WAIT,
        http_backend,
    )
    assert code == -signal.SIGTERM
    assert took < 5


@pytest.fixture
def sigterm_as_it_was() -> Iterator[None]:
    """Give the test runner its handler back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@with_signals
@pytest.mark.usefixtures("sigterm_as_it_was")
def test_a_pipeline_that_is_shut_down_gives_the_signal_back(http_backend: Address) -> None:
    """The handler of before is in place again, unless the program has set another since."""
    before = signal.getsignal(signal.SIGTERM)
    with configure(
        http_backend.endpoint, http_backend.protocol, set_global=False, flush_on_sigterm=True
    ):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    with configure(
        http_backend.endpoint, http_backend.protocol, set_global=False, flush_on_sigterm=True
    ):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_sigterm_can_only_be_asked_for_in_the_main_thread(http_backend: Address) -> None:
    """Elsewhere one clear error says what to do."""
    caught: list[BaseException] = []

    def work() -> None:
        try:
            configure(
                http_backend.endpoint,
                http_backend.protocol,
                set_global=False,
                flush_on_sigterm=True,
            )
        except ConfigurationError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "flush_on_sigterm is True, and only the main thread may" in str(caught[0])
