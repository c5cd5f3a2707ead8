"""Traces in, one self-contained HTML page out: it needs no network and runs no script but its own.

Whatever the traces hold is data: it stands in a block that no browser executes, and the page's
script puts it on screen as text nodes only. A Content-Security-Policy that knows the style and the
script by their hashes forbids anything else, and Trusted Types forbid markup made from text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lc_otel._tree import sum_tokens

if TYPE_CHECKING:
    from lc_otel._trace import FinishedSpan, Trace

_STYLES = ("page.css", "panel.css")
_SCRIPTS = ("model.js", "dom.js", "waterfall.js", "detail.js", "app.js")
"""Both concatenated in this order."""

_POLICY = (
    "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

_KINDS: Mapping[str, Mapping[Any, str]] = {
    "gen_ai.operation.name": {
        "chat": "model",
        "text_completion": "model",
        "generate_content": "model",
        "embeddings": "model",
        "execute_tool": "tool",
        "retrieval": "retriever",
        "invoke_agent": "agent",
        "create_agent": "agent",
        "invoke_workflow": "workflow",
    },
    "openinference.span.kind": {
        "LLM": "model",
        "EMBEDDING": "model",
        "TOOL": "tool",
        "RETRIEVER": "retriever",
        "RERANKER": "retriever",
        "AGENT": "agent",
        "CHAIN": "step",
        "PROMPT": "step",
        "GUARDRAIL": "step",
        "EVALUATOR": "step",
    },
    "langchain.run.type": {
        "chat_model": "model",
        "llm": "model",
        "tool": "tool",
        "retriever": "retriever",
        "chain": "step",
    },
}
"""Attribute, then its value: the kind of run the page shows; the first attribute that says wins."""

_EXACT_IN_JAVASCRIPT = 2**53


def build_page(traces: Iterable[Trace], source: str) -> Iterator[str]:
    """Write the page piece by piece, a trace at a time.

    Args:
        traces: Each with at least one span, in the order to list them.
        source: What the page says its traces are from.
    """
    style = "\n".join(map(_read, _STYLES))
    script = "\n".join(map(_read, _SCRIPTS))
    policy = _POLICY.format(style=_hash(style), script=_hash(script))
    page = _read("page.html").replace("@CSP@", policy)
    before, after = page.split("@DATA@")
    yield before.replace("@STYLE@", style)
    yield '{"source":' + _inert(source) + ',"traces":['
    for number, trace in enumerate(traces):
        yield ("," if number else "") + _inert(_trace(trace))
    yield "]}" + after.replace("@SCRIPT@", script)


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _inert(value: Any) -> str:
    """JSON, ASCII only, in which nothing can end the block that holds it."""
    return (
        json.dumps(value, separators=(",", ":"), allow_nan=False)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )


def _trace(trace: Trace) -> Mapping[str, Any]:
    began = min(span.start_ns for span in trace.spans)
    ended = max(span.end_ns for span in trace.spans)
    sums = sum_tokens(trace.spans)
    resources: list[Mapping[str, Any]] = []
    spans = []
    for depth, span in trace.walk():
        if not resources or resources[-1] != span.resource:
            resources.append(span.resource)
        spans.append(_span(span, depth, began, len(resources) - 1))
    return {
        "id": trace.trace_id,
        "name": trace.roots[0].name if trace.roots else "",
        "began": began / 1e6,
        "duration": (ended - began) / 1e6,
        "failed": len(trace.errors),
        "calls": sums.calls,
        "tokens": [sums.input, sums.output] if sums.input or sums.output else None,
        "resources": [_plain(resource) for resource in resources],
        "spans": spans,
    }


def _span(span: FinishedSpan, depth: int, began: int, resource: int) -> Mapping[str, Any]:
    """One span as the script reads it; times in milliseconds after the trace's start."""
    sums = sum_tokens([span])
    return {
        "id": span.span_id,
        "name": span.name,
        "kind": kind_of(span),
        "depth": depth,
        "start": (span.start_ns - began) / 1e6,
        "duration": (span.end_ns - span.start_ns) / 1e6,
        "status": span.status,
        "message": span.status_message,
        "spanKind": span.kind,
        "tokens": [sums.input, sums.output] if sums.input or sums.output else None,
        "attributes": _plain(span.attributes),
        "events": [
            {
                "name": event.name,
                "at": (event.time_ns - began) / 1e6,
                "attributes": _plain(event.attributes),
            }
            for event in span.events
        ],
        "links": span.links,
        "resource": resource,
        "scope": span.scope,
    }


def kind_of(span: FinishedSpan) -> str:
    """The kind of run a span tells of: its colour and label on the page."""
    for attribute, kinds in _KINDS.items():
        value = span.attributes.get(attribute)
        if isinstance(value, str) and value in kinds:
            return kinds[value]
    return "other"


def _plain(value: Any) -> Any:
    """An attribute value as JSON can hold it and JavaScript will not change it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > _EXACT_IN_JAVASCRIPT:
        return str(value)
    return value
