"""Run and Outcome in, GenAI span name, kind and attributes out (semconv v1.42.0-dev)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind
from pydantic_core import to_json

from lc_otel.conventions import _names as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lc_otel._content import Piece
    from lc_otel.run import Operation, Outcome, Request, Run, Streaming, Usage

KINDS: Mapping[Operation, SpanKind] = {
    # gen-ai-spans.md and gen-ai-agent-spans.md, "span kind" of each span
    "chat": SpanKind.CLIENT,
    "text_completion": SpanKind.CLIENT,
    "retrieval": SpanKind.CLIENT,
    "execute_tool": SpanKind.INTERNAL,
    "invoke_agent": SpanKind.INTERNAL,
    "invoke_workflow": SpanKind.INTERNAL,
    "step": SpanKind.INTERNAL,
}

SUBJECTS: Mapping[Operation, str] = {
    # the field of Run that follows the operation in the span's name ("{operation} {subject}")
    "chat": "model",
    "text_completion": "model",
    "retrieval": "data_source",
    "execute_tool": "tool_name",
    "invoke_agent": "agent_name",
    "invoke_workflow": "workflow_name",
}

_MODEL = (
    ("provider", names.PROVIDER_NAME),
    ("model", names.REQUEST_MODEL),
    ("server_address", names.SERVER_ADDRESS),
    ("server_port", names.SERVER_PORT),
    ("conversation_id", names.CONVERSATION_ID),
)

START: Mapping[Operation, tuple[tuple[str, str], ...]] = {
    # (field of Run, attribute) given at span creation, because samplers see no others
    "chat": _MODEL,
    "text_completion": _MODEL,
    "retrieval": (
        ("data_source", names.DATA_SOURCE_ID),
        ("provider", names.PROVIDER_NAME),
        ("model", names.REQUEST_MODEL),
    ),
    "execute_tool": (
        ("tool_name", names.TOOL_NAME),
        ("agent_name", names.AGENT_NAME),
        ("conversation_id", names.CONVERSATION_ID),
    ),
    "invoke_agent": (
        ("agent_name", names.AGENT_NAME),
        ("conversation_id", names.CONVERSATION_ID),
    ),
    "invoke_workflow": (
        ("workflow_name", names.WORKFLOW_NAME),
        ("conversation_id", names.CONVERSATION_ID),
    ),
}

PARAMS: Mapping[str, str] = {
    # neutral name of Request.params -> attribute
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop_sequences": "gen_ai.request.stop_sequences",
    "choice_count": "gen_ai.request.choice.count",
    "reasoning_level": "gen_ai.request.reasoning.level",
    "stream": names.REQUEST_STREAM,
    "output_type": names.OUTPUT_TYPE,
}

REQUEST: Mapping[str, str] = {
    # field of Request -> attribute
    "tool_call_id": names.TOOL_CALL_ID,
    "tool_description": names.TOOL_DESCRIPTION,
    "top_k": names.RETRIEVAL_TOP_K,
    "prompt_name": names.PROMPT_NAME,
    "prompt_version": names.PROMPT_VERSION,
}

USAGE: Mapping[str, str] = {
    # all fields of Usage, in their order -> attribute; details are subsets of the totals, and there
    # is no total of both
    "input_tokens": names.USAGE_INPUT_TOKENS,
    "output_tokens": names.USAGE_OUTPUT_TOKENS,
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.usage.cache_write.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
    "input_text": "gen_ai.usage.text.input_tokens",
    "input_image": "gen_ai.usage.image.input_tokens",
    "input_audio": "gen_ai.usage.audio.input_tokens",
    "output_text": "gen_ai.usage.text.output_tokens",
    "output_image": "gen_ai.usage.image.output_tokens",
    "output_audio": "gen_ai.usage.audio.output_tokens",
}


LISTS: Mapping[str, str] = {
    # kind of a piece of content that is a list -> attribute; on spans its JSON (registry: type any)
    "system_instructions": names.SYSTEM_INSTRUCTIONS,
    "input_messages": names.INPUT_MESSAGES,
    "output_messages": names.OUTPUT_MESSAGES,
    "tool_definitions": names.TOOL_DEFINITIONS,
    "documents": names.RETRIEVAL_DOCUMENTS,
}

TEXTS: Mapping[str, str] = {
    # kind of a piece that may be a text -> attribute; a text as it is, anything else as JSON
    "tool_arguments": names.TOOL_CALL_ARGUMENTS,
    "tool_result": names.TOOL_CALL_RESULT,
    "retrieval_query": names.RETRIEVAL_QUERY,
}

STATES: Mapping[str, str] = {
    # kind of a piece of an agent's or workflow's -> attribute for the messages in it
    "input": names.INPUT_MESSAGES,
    "output": names.OUTPUT_MESSAGES,
}


def span_name(run: Run) -> str:
    """``{operation} {subject}``, the operation alone without a subject, a step's own name."""
    operation = run.operation
    if operation == "step":
        return run.name
    subject = getattr(run, SUBJECTS[operation])
    return f"{operation} {subject}" if subject else operation


def start_attributes(run: Run) -> dict[str, Any]:
    """What a sampler may decide by; to be given at span creation."""
    operation = run.operation
    if operation == "step":
        return {}
    attributes: dict[str, Any] = {names.OPERATION_NAME: operation}
    for field, attribute in START[operation]:
        value = getattr(run, field)
        if value is not None:
            attributes[attribute] = value
    if operation == "execute_tool":
        attributes[names.TOOL_TYPE] = "function"
    return attributes


def request_attributes(request: Request) -> dict[str, Any]:
    """What a recording span says of the request beyond `start_attributes`."""
    attributes = _named(request, REQUEST)
    for name, value in request.params.items():
        if name == "choice_count" and value == 1:
            continue  # conditionally required "if != 1"
        attributes[PARAMS[name]] = value
    return attributes


def outcome_attributes(
    run: Run, outcome: Outcome, streaming: Streaming | None = None
) -> dict[str, Any]:
    """What is known only at the end: error, response, usage, streaming."""
    attributes: dict[str, Any] = {}
    if outcome.error_type is not None:
        attributes[names.ERROR_TYPE] = outcome.error_type
    if outcome.tool_call_id is not None:
        attributes[names.TOOL_CALL_ID] = outcome.tool_call_id
    if run.operation not in {"chat", "text_completion"}:
        return attributes
    if outcome.response_id is not None:
        attributes[names.RESPONSE_ID] = outcome.response_id
    if outcome.response_model is not None:
        attributes[names.RESPONSE_MODEL] = outcome.response_model
    if outcome.finish_reasons:
        attributes[names.RESPONSE_FINISH_REASONS] = outcome.finish_reasons
    if streaming is not None:
        attributes[names.REQUEST_STREAM] = True
        attributes[names.RESPONSE_TIME_TO_FIRST_CHUNK] = streaming.time_to_first_chunk
    if outcome.usage is not None:
        attributes.update(usage_attributes(outcome.usage))
    return attributes


def usage_attributes(usage: Usage) -> dict[str, Any]:
    """Token counts; what was not reported is absent."""
    return {
        attribute: value
        for attribute, value in zip(USAGE.values(), usage, strict=True)
        if value is not None
    }


def content_attributes(run: Run, pieces: Mapping[str, Piece]) -> dict[str, Any]:
    """Captured content as spans say it: JSON in text, as today's backends read it."""
    attributes: dict[str, Any] = {}
    for kind, piece in pieces.items():
        if kind in LISTS:
            attributes[LISTS[kind]] = piece.json
        elif kind in TEXTS:
            attributes[TEXTS[kind]] = piece.text
        elif kind in STATES and run.operation in {"invoke_agent", "invoke_workflow"}:
            messages = state_messages(kind, piece)
            if messages:
                attributes[STATES[kind]] = to_json(messages).decode()
    return attributes


def content_values(pieces: Mapping[str, Piece]) -> dict[str, Any]:
    """Captured content as log events say it: structured."""
    return {LISTS[kind]: piece.value for kind, piece in pieces.items() if kind in LISTS}


def state_messages(kind: str, piece: Piece) -> list[dict[str, Any]]:
    """The messages an agent is given; of those it returns, the last: its answer."""
    state = piece.value
    messages = state.get("messages") if isinstance(state, dict) else None
    if not isinstance(messages, list) or not all(
        isinstance(message, dict) and "parts" in message for message in messages
    ):
        return []
    if kind == "input":
        return messages
    return [{**message, "finish_reason": "stop"} for message in messages[-1:]]


def _named(record: Any, table: Mapping[str, str]) -> dict[str, Any]:
    return {
        attribute: value
        for field, attribute in table.items()
        if (value := getattr(record, field)) is not None
    }
