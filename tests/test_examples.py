"""Every example runs as a user would run it, offline, and shows what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("langgraph")

from tests.receiver import RECEIVERS, dead_endpoint
from tests.versions import STRICT, needs_create_agent

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an example as a program of its own, with warnings as errors."""
    return subprocess.run(
        [*STRICT, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(EXAMPLES.parent)},
    )


def tree(output: str) -> list[str]:
    """The drawn names, without the figures that change from run to run."""
    lines = [line for line in output.splitlines() if re.search(r" \d[\d.]* m?s\b", line)]
    return [re.sub(r"\s+\d[\d.]* m?s\b.*", "", line) for line in lines if "trace" not in line]


def test_chain() -> None:
    """One root with three children in order."""
    done = run("chain.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(done.stdout) == [
        "invoke_workflow explain",
        "├─ ChatPromptTemplate",
        "├─ chat",
        "└─ StrOutputParser",
    ]
    assert "14→6 tok" in done.stdout
    assert "Because it scatters blue light." in done.stdout


def test_agent() -> None:
    """Agent over model and tools over tool, usage on each model span, the error on the tool's."""
    needs_create_agent()
    done = run("agent.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(done.stdout) == [
        "invoke_agent waiter",
        "├─ model",
        "│  └─ chat",
        "├─ tools",
        "│  └─ execute_tool weather",
        "├─ model",
        "│  └─ chat",
        "└─ tools",
        "   └─ execute_tool book_table",
    ]
    assert "40→9 tok" in done.stdout
    assert "80→9 tok" in done.stdout
    assert re.search(r"execute_tool book_table .*✗ RuntimeError", done.stdout)
    assert "the agent failed: no tables outside in Bergen" in done.stdout


def test_rag() -> None:
    """The retrieval is in the tree."""
    done = run("rag.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "│  │  ├─ retrieval" in tree(done.stdout)
    assert done.stdout.endswith("On quiet lakes.\n")


def test_streaming_async() -> None:
    """Two traces, each whole."""
    done = run("streaming_async.py")
    assert (done.returncode, done.stderr) == (0, "")
    drawn = tree(done.stdout)
    assert len(drawn) == 6
    assert sorted(drawn[::3]) == ["invoke_workflow fox-story", "invoke_workflow hen-story"]
    assert drawn[1:3] == drawn[4:6] == ["├─ chat", "└─ StrOutputParser"]
    assert done.stdout.endswith("A fox ran.\nA hen slept.\n")


def test_parallel_graph() -> None:
    """The parallel nodes are siblings, each with its own model call."""
    done = run("parallel_graph.py")
    assert (done.returncode, done.stderr) == (0, "")
    drawn = tree(done.stdout)
    assert drawn[:2] == ["invoke_workflow review-desk", "├─ draft"]
    assert sorted(name[3:] for name in drawn[2::2]) == ["facts", "style"]
    assert drawn[3::2] == ["│  └─ chat", "   └─ chat"]


def test_own_provider() -> None:
    """The run is a child of the program's own span."""
    done = run("own_provider.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "'chat' is a child of 'handle request'" in done.stdout


@pytest.mark.parametrize("protocol", list(RECEIVERS))
def test_backend_with_headers(protocol: str) -> None:
    """The trace arrives with the key; HTTP is told by the path."""
    with RECEIVERS[protocol]() as backend:
        path = "" if protocol == "grpc" else "/v1/traces"
        done = run("backend_with_headers.py", backend.endpoint + path, "s3cret")
        assert (done.returncode, done.stderr) == (0, "")
        (request,) = backend.receiver.of("traces")
        assert request.headers["x-api-key"] == "s3cret"
        assert [span.name for span in backend.receiver.spans] == ["chat"]
    assert f"1 span accepted by {backend.endpoint}" in done.stdout


def test_backend_with_headers_without_a_backend() -> None:
    """The loss is said, the key is not."""
    done = run("backend_with_headers.py", dead_endpoint(), "s3cret")
    assert done.returncode == 1
    # the second one where the machine is slow
    assert re.search("1 span lost: (UNAVAILABLE|DEADLINE_EXCEEDED)", done.stdout)
    assert "s3cret" not in done.stdout + done.stderr


def test_no_example_is_left_out() -> None:
    """Each file in examples/ has a test here or in a file of its own."""
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in tests] == []
