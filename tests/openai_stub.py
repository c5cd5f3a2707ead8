"""A local server that speaks the OpenAI chat API: requests in, scripted answers out."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "gpt-4o-2024-08-06"
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
}
TOOL_CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}
]


class Stub:
    """What the server answers, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.requests: list[dict[str, Any]] = []
        self.failures: list[int] = []
        """HTTP statuses to answer with first, one a request."""

    def answer(self, asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """The message and the finish reason for a request."""
        if asked.get("response_format"):
            return {"role": "assistant", "content": '{"city": "Bern"}'}, "stop"
        if asked.get("tools") and asked["messages"][-1]["role"] != "tool":
            return {"role": "assistant", "content": None, "tool_calls": TOOL_CALLS}, "tool_calls"
        return {"role": "assistant", "content": "hello there"}, "stop"


class _Exchange(BaseHTTPRequestHandler):
    stub: Stub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay quiet."""

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        asked = json.loads(self.rfile.read(length))
        self.stub.requests.append(asked)
        if self.stub.failures:
            status = self.stub.failures.pop(0)
            code = {400: "context_length_exceeded", 429: "rate_limit_exceeded"}.get(status)
            self._send(
                status, {"error": {"message": "no", "type": "t", "code": code, "param": None}}
            )
            return
        message, reason = self.stub.answer(asked)
        whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
        if not asked.get("stream"):
            choices = [{"index": 0, "message": message, "finish_reason": reason}]
            self._send(200, {**whole, "choices": choices, "usage": USAGE})
            return
        self._stream(asked, {**whole, "object": "chat.completion.chunk"}, message, reason)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        # a client that keeps connections would leave them to a later test's garbage collection
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def _stream(
        self, asked: dict[str, Any], whole: dict[str, Any], message: dict[str, Any], reason: str
    ) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        if message.get("tool_calls"):
            deltas.append({"tool_calls": [{"index": 0, **call} for call in message["tool_calls"]]})
        else:
            deltas.extend({"content": piece} for piece in message["content"].partition(" "))
        for delta in deltas:
            self._event({**whole, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self._event({**whole, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if (asked.get("stream_options") or {}).get("include_usage"):
            self._event({**whole, "choices": [], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, body: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(body)}\n\n".encode())
        self.wfile.flush()


@contextmanager
def openai_stub() -> Iterator[Stub]:
    """Serve on loopback until the block ends."""
    stub = Stub()
    exchange = type("Exchange", (_Exchange,), {"stub": stub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), exchange)
    server.daemon_threads = True
    stub.port = server.server_address[1]
    stub.url = f"http://127.0.0.1:{stub.port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
