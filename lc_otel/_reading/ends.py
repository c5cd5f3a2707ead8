"""End and error callbacks in, `Outcome` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from lc_otel._reading.shapes import first_text, get, mapping, sequence, text
from lc_otel._reading.usage import read_raw_usage, read_usage
from lc_otel.run import Outcome, OutcomeKind, Usage

CONTROL_FLOW: Mapping[tuple[str, str], OutcomeKind] = {
    # (package, class name) of what is raised without being an error
    ("langgraph", "GraphInterrupt"): "interrupted",
    ("langgraph", "ParentCommand"): "handoff",
    ("langgraph", "GraphBubbleUp"): "interrupted",
    ("asyncio", "CancelledError"): "cancelled",
    ("concurrent", "CancelledError"): "cancelled",
    ("builtins", "KeyboardInterrupt"): "cancelled",
    ("builtins", "GeneratorExit"): "abandoned",
}

PROVIDER_ERRORS = frozenset(
    # packages whose exceptions tell the provider's error code in `.code`
    {"openai", "anthropic", "groq", "mistralai", "cohere", "together", "fireworks"}
)


def unreadable(payload: Any) -> Outcome:
    """Of a run that returned, or raised, something that could not be read."""
    return Outcome("error", None, "_OTHER") if isinstance(payload, BaseException) else Outcome("ok")


def read_tool_outcome(output: Any) -> Outcome:
    """A tool that returned, perhaps with a ``ToolMessage`` that says it failed."""
    call_id = get(output, "tool_call_id")
    if call_id is None:
        return Outcome("ok", source=output)
    if get(output, "status") == "error":
        return Outcome("error", None, "tool_error", tool_call_id=text(call_id), source=output)
    call_id = call_id if is_tool_message(output) else None
    return Outcome("ok", tool_call_id=text(call_id), source=output)


def is_tool_message(output: Any) -> bool:
    """Whether a tool returned a message of its own, and not some object with a tool call's id."""
    return get(output, "tool_call_id") is not None and "tool" in (
        get(output, "type"),
        get(output, "role"),
    )


def read_chain_outcome(output: Any) -> Outcome:
    """A chain that returned; a graph paused by an interrupt says so in its output."""
    if isinstance(output, dict) and output.get("__interrupt__"):
        return Outcome("interrupted", source=output)
    return Outcome("ok", source=output)


def read_retriever_outcome(documents: Any) -> Outcome:
    """A retriever that returned documents."""
    count = len(documents) if isinstance(documents, Sequence) else None
    return Outcome("ok", document_count=count, source=documents)


def read_model_outcome(response: Any) -> Outcome:
    """A model that answered: the ``LLMResult`` (or what has its shape) of one prompt."""
    generations = sequence(get(response, "generations"))
    if generations and isinstance(generations[0], (list, tuple)):
        generations = generations[0]
    llm_output = mapping(get(response, "llm_output"))
    usage: Usage | None = None
    cached = False
    response_id = response_model = None
    reasons: list[str] = []
    for generation in generations:
        message = get(generation, "message")
        info = mapping(get(generation, "generation_info"))
        said = mapping(get(message, "response_metadata"))
        reported = get(message, "usage_metadata")
        if usage is None:
            usage = read_usage(reported) or read_raw_usage(said) or read_raw_usage(info)
        # On a hit LangChain's LLM cache hands back the old message with its cost set to int 0; what
        # a provider reports of a free model is a float.
        cost = get(reported, "total_cost")
        cached = cached or (type(cost) is int and cost == 0)
        response_id = response_id or text(said.get("id")) or _message_id(message)
        for holder in (said, info):
            response_model = response_model or first_text(holder, "model_name", "model", "model_id")
        reasons.append(_finish_reason(said) or _finish_reason(info) or "")
    return Outcome(
        "ok",
        response_id=response_id or text(llm_output.get("id")),
        response_model=response_model or first_text(llm_output, "model_name", "model"),
        finish_reasons=reasons if any(reasons) else (),
        usage=usage or read_raw_usage(llm_output),
        cached=cached,
        source=generations,
    )


def read_error(error: BaseException) -> Outcome:
    """A run that raised; control flow, cancellation and a closed stream are no errors."""
    cls: type = type(error)
    kind = _control_flow(cls)
    if kind is not None:
        return Outcome(kind, error)
    return Outcome("error", error, read_error_type(error))


def read_model_error(response: Any, error: BaseException) -> Outcome:
    """A model that raised; what had been generated and used by then stands in ``response``."""
    raised = read_error(error)
    if response is None:
        return raised
    try:
        answered = read_model_outcome(response)
    except Exception:  # noqa: BLE001 -- half an answer may have any shape, and the error matters more
        return raised
    return answered._replace(kind=raised.kind, error=error, error_type=raised.error_type)


def read_error_type(error: BaseException) -> str:
    """The provider's code where the error is a provider's and has one, else the qualified class."""
    cls: type = type(error)
    if _is_provider_error(cls):
        code = get(error, "code")
        if isinstance(code, str) and code.isidentifier() and len(code) <= _MAX_CODE:
            return code
    return error_name(cls)


def error_name(cls: type) -> str:
    """Qualified name of an exception class, without ``builtins.`` (semconv: error.type)."""
    module = cls.__module__
    return cls.__qualname__ if module in {"builtins", None} else f"{module}.{cls.__qualname__}"


_MAX_CODE = 64


@lru_cache(maxsize=512)
def _control_flow(cls: type) -> OutcomeKind | None:
    for base in cls.__mro__:
        kind = CONTROL_FLOW.get((str(base.__module__).partition(".")[0], base.__name__))
        if kind is not None:
            return kind
    return None


@lru_cache(maxsize=512)
def _is_provider_error(cls: type) -> bool:
    return any(str(base.__module__).partition(".")[0] in PROVIDER_ERRORS for base in cls.__mro__)


def _finish_reason(holder: Mapping[Any, Any]) -> str | None:
    reason = first_text(holder, "finish_reason", "stop_reason", "done_reason", "stopReason")
    if reason is None and (status := holder.get("status")) in _RESPONSE_STATUSES:
        return text(get(holder.get("incomplete_details"), "reason")) or str(status)
    return reason


_RESPONSE_STATUSES = ("completed", "incomplete")  # OpenAI's Responses


def _message_id(message: Any) -> str | None:
    """A message's id, unless LangChain made it up from the run's."""
    given = text(get(message, "id"))
    return None if given is None or given.startswith(("run-", "lc_run-")) else given
