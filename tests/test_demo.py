"""``lc-otel demo``: what it prints, what it sends, and what it keeps to itself."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.versions import needs_create_agent

pytest.importorskip("langchain_core")
pytest.importorskip("langgraph")
needs_create_agent()

from lc_otel._commands import _agent
from lc_otel._trace import Trace
from lc_otel.cli import main
from tests.receiver import RECEIVERS, Address, dead_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = (
    "Birch Saddle Hut takes dogs, in its annex. 2 nights for 3 people come to 186, supper included."
)


@pytest.fixture(params=list(RECEIVERS))
def backend(request: pytest.FixtureRequest) -> Iterator[Address]:
    """A receiver, once for each protocol."""
    with RECEIVERS[request.param]() as address:
        yield address


def demo(*arguments: str) -> int:
    """Run the command in this process."""
    return main(["demo", *arguments])


def test_the_demo_prints_answer_tree_tokens_and_trace_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without an endpoint it needs nothing but itself."""
    assert demo() == 0
    out = capsys.readouterr().out
    assert f"answer    {ANSWER}\n" in out
    trace_id = re.search(r"^trace id  ([0-9a-f]{32})$", out, re.MULTILINE)
    assert trace_id is not None
    assert f"trace {trace_id[1]} · 12 spans" in out
    assert re.search(r"· \d+→\d+ tokens$", out, re.MULTILINE)
    tree = [re.split(r"  +", line)[0] for line in out.splitlines() if "─ " in line]
    assert tree == ["├─ model", "│", "├─ tools", "│", "│", "├─ model", "│", "├─ tools", "│",
                    "└─ model", ""]  # fmt: skip
    assert max(map(len, out.split("trace ", 1)[1].splitlines())) <= 80


def test_the_demo_sends_the_tree_it_prints(
    backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names, parents, kinds, usage and resource as the receiver decodes them."""
    assert demo("--endpoint", backend.endpoint, "--protocol", backend.protocol) == 0
    out = capsys.readouterr().out
    trace = Trace.of(backend.receiver.spans)
    assert [(depth, span.name) for depth, span in trace.walk()] == [
        (0, "invoke_agent hut-guide"),
        (1, "model"),
        (2, "chat scripted-1"),
        (1, "tools"),
        (2, "execute_tool search_huts"),
        (3, "retrieval"),
        (1, "model"),
        (2, "chat scripted-1"),
        (1, "tools"),
        (2, "execute_tool quote_stay"),
        (1, "model"),
        (2, "chat scripted-1"),
    ]
    chats = [span for span in trace.spans if span.name == "chat scripted-1"]
    assert {span.kind for span in chats} == {"client"}
    for chat in chats:
        assert isinstance(chat.attributes["gen_ai.usage.input_tokens"], int)
        assert chat.attributes["gen_ai.usage.output_tokens"] > 0
        assert chat.attributes["gen_ai.response.model"] == "scripted-1-2026-11"
    assert trace.roots[0].resource["service.name"] == "lc-otel-demo"
    assert f"sent      12 spans, accepted by {backend.endpoint}\n" in out
    assert f"see it    http://localhost:16686/trace/{trace.trace_id}\n" in out


def test_headers_and_the_link_are_the_users(
    backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--header`` is sent, ``--jaeger`` is where the link goes."""
    arguments = ["--endpoint", backend.endpoint, "--protocol", backend.protocol]
    assert demo(*arguments, "--header", "x-key=a=b", "--jaeger", "https://j.example/") == 0
    assert backend.receiver.of("traces")[0].headers["x-key"] == "a=b"
    assert "see it    https://j.example/trace/" in capsys.readouterr().out


def test_the_endpoint_may_come_from_the_environment(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_EXPORTER_OTLP_ENDPOINT is as good as ``--endpoint``."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", backend.protocol)
    assert demo() == 0
    assert len(backend.receiver.spans) == 12


def texts_used() -> set[str]:
    """Every piece of content the demo's run handles, and the lines and sentences of it."""
    agent = _agent.build_agent()
    messages = agent.invoke({"messages": [("user", _agent.QUESTION)]})["messages"]
    texts = {_agent.SYSTEM_PROMPT, _agent.QUESTION, _agent.SEARCH_QUERY, ANSWER}
    for message in messages:
        texts.add(str(message.content))
        for call in getattr(message, "tool_calls", ()):
            texts.add(json.dumps(call["args"]))
            texts.update(value for value in call["args"].values() if isinstance(value, str))
    for document in _agent.read_documents():
        texts.update({document.page_content, document.metadata["name"]})
    pieces = {piece for text in texts for piece in re.split(r"(?<=[.?:;,])\s+|\n", text)}
    return {piece for piece in texts | pieces if len(piece) > 5}


def texts_found(backend: Address) -> list[str]:
    """The texts used that are in the encoded bytes the backend was sent."""
    sent = b"".join(request.body for request in backend.receiver.requests)
    assert b"chat scripted-1" in sent
    return [text for text in texts_used() if text.encode() in sent]


def test_no_content_leaves_by_default(backend: Address) -> None:
    """No text of the run is in the encoded bytes: prompt, answer, arguments, results, documents."""
    assert {ANSWER, "total: 186", "Falcon Rest"} <= texts_used()
    assert len(texts_used()) > 25
    assert demo("--endpoint", backend.endpoint, "--protocol", backend.protocol) == 0
    assert texts_found(backend) == []


def test_the_search_for_content_can_find_it(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text planted where it does not belong is found: the test above can fail."""
    monkeypatch.setattr(_agent, "AGENT_NAME", "Falcon Rest")
    assert demo("--endpoint", backend.endpoint, "--protocol", backend.protocol) == 0
    assert texts_found(backend) == ["Falcon Rest"]


def test_content_leaves_when_it_is_asked_for(
    backend: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard variable turns it on: question, answer, documents and results are sent."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    assert demo("--endpoint", backend.endpoint, "--protocol", backend.protocol) == 0
    assert {_agent.QUESTION, ANSWER, "Birch Saddle Hut", "total: 186"} <= set(texts_found(backend))


@pytest.mark.usefixtures("spans_only")
@pytest.mark.logs_warnings("what the exporters say about a backend that is not there")
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_dead_endpoint_is_one_line(protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Under 15 s, exit code 1, the address named, and the tree printed all the same."""
    endpoint = dead_endpoint()
    began = time.monotonic()
    assert demo("--endpoint", endpoint, "--protocol", protocol) == 1
    assert time.monotonic() - began < 15
    out, err = capsys.readouterr()
    assert "invoke_agent hut-guide" in out
    assert err.startswith(f"lc-otel demo: {endpoint} did not take the trace: ")
    assert re.search("refused|unavailable", err, re.IGNORECASE)
    assert err.count("\n") == 1


@pytest.fixture
def spans_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send no metrics, whose export would go on, and warn, after a shutdown that gave up."""
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """A server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def accept() -> None:
            try:
                while True:
                    kept.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


@pytest.mark.usefixtures("spans_only")
@pytest.mark.logs_warnings("what the exporters say about a backend that does not answer")
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_silent_endpoint_is_one_line(
    protocol: str, silent_endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backend that hangs ends no later than one that is dead."""
    began = time.monotonic()
    assert demo("--endpoint", silent_endpoint, "--protocol", protocol) == 1
    assert time.monotonic() - began < 15
    out, err = capsys.readouterr()
    assert "invoke_agent hut-guide" in out
    assert silent_endpoint in err
    assert err.count("\n") == 1


def test_a_disabled_sdk_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """OTEL_SDK_DISABLED leaves nothing to show, so the demo says why."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert demo() == 1
    assert "OTEL_SDK_DISABLED" in capsys.readouterr().err


def test_the_script_follows_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is made from what the tools returned, not written beforehand."""
    hut = _agent.read_documents()[0]
    hut.page_content = hut.page_content.replace("costs 31", "costs 50")
    monkeypatch.setattr(_agent, "read_documents", lambda: [hut])
    result = _agent.build_agent().invoke({"messages": [("user", _agent.QUESTION)]})
    assert "come to 300" in result["messages"][-1].content
