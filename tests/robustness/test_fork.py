"""Workers forked from a process that has a pipeline, as a preloading web server does it."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lc_otel._tracefile import read_spans
from tests.receiver import Fault
from tests.robustness.conftest import run_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.receiver import Address

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")

WORKERS, SPANS = 3, 200


def test_each_worker_sends_its_own_spans(backend: Address) -> None:
    """Every span arrives once, from whoever ended it; connections and counts are not shared."""
    code, out, err = run_program(
        """
        import os, sys, warnings
        from lc_otel import configure

        # of Python 3.12 and later, where the process has threads
        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)

        pipeline = configure(sys.argv[1], sys.argv[2])
        tracer = pipeline.tracer_provider.get_tracer("test")
        tracer.start_span("preload").end()
        assert pipeline.flush()  # the parent's connection is open now
        tracer.start_span("parent").end()
        tracer.start_span("parent, open while it forks")
        workers = []
        for worker in range(int(sys.argv[3])):
            pid = os.fork()
            if not pid:
                for _ in range(int(sys.argv[4])):
                    tracer.start_span(f"worker {worker}").end()
                assert pipeline.exported == 0
                assert pipeline.flush()
                assert pipeline.meter_provider.force_flush()
                assert pipeline.exported == int(sys.argv[4])
                tracer.start_span(f"worker {worker}").end()
                assert pipeline.shutdown()
                os._exit(0)
            workers.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in workers] == [0] * len(workers)
        assert pipeline.shutdown()
        assert pipeline.exported == 2
        """,
        backend.endpoint,
        backend.protocol,
        str(WORKERS),
        str(SPANS),
    )
    assert (code, err, out) == (0, "", "")
    assert Counter(span.name for span in backend.receiver.spans) == {
        "preload": 1,
        "parent": 1,
        **{f"worker {worker}": SPANS + 1 for worker in range(WORKERS)},
    }


def test_a_worker_forked_from_a_busy_process_is_not_stuck(http_backend: Address) -> None:
    """Threads of the parent hold locks when it forks; the worker has locks of its own.

    Over HTTP: gRPC itself says that it cannot promise this.
    """
    code, _, err = run_program(
        """
        import os, sys, threading, warnings
        from lc_otel import configure

        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)  # as above

        pipeline = configure(sys.argv[1], sys.argv[2])
        tracer = pipeline.tracer_provider.get_tracer("test")
        stop = threading.Event()

        def work():
            while not stop.is_set():
                tracer.start_span("busy").end()
                # locks are held often enough like this, and the receiver is not swamped
                stop.wait(0.0002)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            pid = os.fork()
            if not pid:
                tracer.start_span("worker").end()
                os._exit(0 if pipeline.shutdown(20) else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert pipeline.shutdown(30)
        """,
        http_backend.endpoint,
        http_backend.protocol,
    )
    assert code == 0, err
    assert err == ""
    assert sum(span.name == "worker" for span in http_backend.receiver.spans) == 10


def test_a_worker_inherits_no_lock_of_an_export_under_way(http_backend: Address) -> None:
    """A fork in the middle of a name lookup waits for it, since glibc would leave it locked."""
    code, _, err = run_program(
        """
        import os, socket, sys, threading, time, warnings
        from lc_otel import configure

        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)  # as above
        look_up, lock, looking = socket.getaddrinfo, threading.Lock(), threading.Event()

        def slow_look_up(*args, **kwargs):
            with lock:
                looking.set()
                time.sleep(0.05)
                return look_up(*args, **kwargs)

        socket.getaddrinfo = slow_look_up
        pipeline = configure(sys.argv[1], sys.argv[2])
        tracer = pipeline.tracer_provider.get_tracer("test")
        tracer.start_span("parent").end()
        flushing = threading.Thread(target=pipeline.flush)
        flushing.start()
        assert looking.wait(10)
        pid = os.fork()
        if not pid:
            tracer.start_span("worker").end()
            os._exit(0 if pipeline.shutdown(10) else 1)
        assert os.waitpid(pid, 0)[1] == 0
        flushing.join()
        assert pipeline.shutdown(10)
        """,
        http_backend.endpoint,
        http_backend.protocol,
    )
    assert code == 0, err
    assert sorted(span.name for span in http_backend.receiver.spans) == ["parent", "worker"]


def test_a_fork_waits_no_longer_for_a_backend_that_hangs(http_backend: Address) -> None:
    """The export goes on in the parent, which has its child after a moment."""
    http_backend.receiver.fault = Fault(delay=5, times=1)
    code, out, err = run_program(
        """
        import os, sys, threading, time, warnings
        from lc_otel import configure

        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)  # as above
        pipeline = configure(sys.argv[1], sys.argv[2], timeout=20)
        tracer = pipeline.tracer_provider.get_tracer("test")
        tracer.start_span("parent").end()
        flushing = threading.Thread(target=pipeline.flush)
        flushing.start()
        time.sleep(1)
        begin = time.monotonic()
        pid = os.fork()
        if not pid:
            os._exit(0)
        print(time.monotonic() - begin)
        os.waitpid(pid, 0)
        flushing.join()
        assert pipeline.shutdown(10)
        """,
        http_backend.endpoint,
        http_backend.protocol,
    )
    assert (code, err) == (0, "")
    assert float(out) < 2
    assert [span.name for span in http_backend.receiver.spans] == ["parent"]


def test_a_fork_in_the_middle_of_a_write_stops_no_trace_file(tmp_path: Path) -> None:
    """The child has no part in the lock its parent holds: both go on to write."""
    code, out, err = run_program(
        """
        import os, pathlib, sys, threading, warnings
        from lc_otel import configure

        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)  # as above
        writing, go_on = threading.Event(), threading.Event()
        open_ = pathlib.Path.open

        def slow_open(path, mode="r", *args, **kwargs):
            if mode == "a+b":
                writing.set()
                go_on.wait(20)
            return open_(path, mode, *args, **kwargs)

        pathlib.Path.open = slow_open
        pipeline = configure(file=sys.argv[1])
        tracer = pipeline.tracer_provider.get_tracer("test")
        tracer.start_span("parent").end()
        assert writing.wait(20)
        parent_is_done, tell = os.pipe()
        pid = os.fork()
        go_on.set()
        if not pid:
            os.read(parent_is_done, 1)
            tracer.start_span("child").end()
            os._exit(0 if pipeline.flush() else 1)
        tracer.start_span("parent again").end()
        flushed = pipeline.flush()
        os.write(tell, b".")
        assert os.waitpid(pid, 0)[1] == 0
        assert flushed, "not while the child lives"
        """,
        str(tmp_path / "t.jsonl"),
    )
    assert (code, out, err) == (0, "", "")
    spans = read_spans(tmp_path / "t.jsonl", pytest.fail)
    assert [span.name for span in spans] == ["parent", "parent again", "child"]


@pytest.mark.parametrize("printer", ["_console.TreePrinter", "_live.LivePrinter"])
def test_a_child_prints_with_a_lock_of_its_own(printer: str) -> None:
    """A thread of the parent prints while it forks: the child prints all the same."""
    code, out, err = run_program(
        """
        import faulthandler, importlib, os, sys, warnings
        from opentelemetry.sdk.trace import TracerProvider

        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)  # as above
        module, _, name = sys.argv[1].partition(".")
        printer = getattr(importlib.import_module(f"lc_otel.{module}"), name)()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(printer)
        printer._lock.acquire()
        pid = os.fork()
        if not pid:
            faulthandler.dump_traceback_later(20, exit=True)
            provider.get_tracer("test").start_span("in the child").end()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        printer._lock.release()
        provider.shutdown()
        """,
        printer,
    )
    assert (code, err) == (0, "")
    assert "in the child" in out


def test_a_child_prints_only_what_ended_in_it() -> None:
    """Of a trace that was half done when it was forked, the parent prints the parent's half."""
    code, out, err = run_program(
        """
        import os, sys, warnings
        from lc_otel import configure

        warnings.filterwarnings("ignore", "(?s).*fork", DeprecationWarning)  # as above
        pipeline = configure(console=True)
        tracer = pipeline.tracer_provider.get_tracer("test")
        root = tracer.start_as_current_span("root")
        root.__enter__()
        tracer.start_span("before").end()
        for spans in ([], ["one", "two"]):
            pid = os.fork()
            if not pid:
                for span in spans:
                    tracer.start_span(span).end()
                pipeline.shutdown()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        print("-- parent", flush=True)
        root.__exit__(None, None, None)
        """
    )
    assert (code, err) == (0, "")
    child, parent = out.split("-- parent")
    assert child.count("unfinished") == 1
    assert "one" in child
    assert "two" in child
    assert "before" not in child
    assert "before" in parent
    assert "one" not in parent
