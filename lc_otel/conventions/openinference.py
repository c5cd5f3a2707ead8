"""Run and Outcome in, OpenInference attributes out (openinference-semantic-conventions 0.1.42)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, to_json

from lc_otel._content import scrub
from lc_otel.conventions import _names as names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lc_otel._content import Piece
    from lc_otel.run import Operation, Outcome, Request, Run, Usage

KIND = "openinference.span.kind"
PROMPT = "PROMPT"

KINDS: Mapping[Operation, str] = {
    # OpenInferenceSpanKindValues; a prompt template's step is a PROMPT
    "chat": "LLM",
    "text_completion": "LLM",
    "execute_tool": "TOOL",
    "retrieval": "RETRIEVER",
    "invoke_agent": "AGENT",
    "invoke_workflow": "CHAIN",
    "step": "CHAIN",
}

RUN: Mapping[str, str] = {
    # field of Run -> attribute
    "model": "llm.model_name",
    "tool_name": "tool.name",
    "agent_name": "agent.name",
    "conversation_id": "session.id",
}

PROVIDERS: Mapping[str, tuple[str, str | None]] = {
    # gen_ai.provider.name -> llm.provider (OpenInferenceLLMProviderValues), llm.system; a provider
    # that is not listed is told as it is
    "anthropic": ("anthropic", "anthropic"),
    "aws.bedrock": ("aws", None),
    "azure.ai.inference": ("azure", None),
    "azure.ai.openai": ("azure", "openai"),
    "cohere": ("cohere", "cohere"),
    "gcp.gemini": ("google", None),
    "gcp.gen_ai": ("google", None),
    "gcp.vertex_ai": ("google", "vertexai"),
    "mistral_ai": ("mistralai", "mistralai"),
    "openai": ("openai", "openai"),
    "x_ai": ("xai", None),
}

PARAMS: Mapping[str, str] = {
    # neutral name of Request.params -> key in llm.invocation_parameters, where it is another
    "stop_sequences": "stop",
    "choice_count": "n",
    "reasoning_level": "reasoning_effort",
    "output_type": "output_type",
}

REQUEST: Mapping[str, str] = {
    # field of Request -> attribute
    "tool_call_id": "tool.id",
    "tool_description": "tool.description",
    "prompt_version": "llm.prompt_template.version",
}

USAGE: Mapping[str, str] = {
    # field of Usage -> attribute; details are parts of prompt and completion
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "cache_read": "llm.token_count.prompt_details.cache_read",
    "cache_write": "llm.token_count.prompt_details.cache_write",
    "input_audio": "llm.token_count.prompt_details.audio",
    "output_audio": "llm.token_count.completion_details.audio",
    "reasoning": "llm.token_count.completion_details.reasoning",
}
TOTAL_TOKENS = "llm.token_count.total"

VALUES: Mapping[str, str] = {
    # kind of a piece of content -> the attribute that says it as a whole, with its mime type
    "input_messages": "input",
    "input": "input",
    "tool_arguments": "input",
    "retrieval_query": "input",
    "output_messages": "output",
    "output": "output",
    "tool_result": "output",
    "documents": "output",
}

TEXTS: Mapping[str, str] = {
    # kind of a piece of content -> attribute; a text as it is, anything else as JSON
    "tool_arguments": "tool.parameters",
    "prompt_variables": "llm.prompt_template.variables",
}

# The SDK keeps 128 attributes a span and drops the oldest beyond that, which the ones that matter
# most would be. So at most so many come of the parts of a piece; `input.value` says the whole.
MAX_FLAT: Mapping[str, int] = {
    "input_messages": 28,
    "output_messages": 10,
    "tool_definitions": 6,
    "documents": 48,
}


def request_attributes(
    run: Run, request: Request, own: Mapping[str, Any], *, is_prompt: bool = False
) -> dict[str, Any]:
    """What is known at the start.

    Args:
        run: The run.
        request: What it was asked for.
        own: lc_otel's own attributes of the start, from `lc_otel.conventions.langchain`.
        is_prompt: Whether the run fills a prompt template.
    """
    attributes: dict[str, Any] = {KIND: PROMPT if is_prompt else KINDS[run.operation]}
    for field, attribute in RUN.items():
        value = getattr(run, field)
        if value is not None:
            attributes[attribute] = value
    provider, system = PROVIDERS.get(run.provider or "", (run.provider, None))
    if provider is not None and provider != "_OTHER":
        attributes["llm.provider"] = provider
        if system is not None:
            attributes["llm.system"] = system
    for field, attribute in REQUEST.items():
        value = getattr(request, field)
        if value is not None:
            attributes[attribute] = value
    if request.params:
        params = {PARAMS.get(name, name): value for name, value in request.params.items()}
        attributes["llm.invocation_parameters"] = _json(params)
    attributes.update(_own(own))
    return attributes


def outcome_attributes(run: Run, outcome: Outcome) -> dict[str, Any]:
    """What is known at the end."""
    attributes: dict[str, Any] = {}
    if outcome.tool_call_id is not None:
        attributes[REQUEST["tool_call_id"]] = outcome.tool_call_id
    if run.operation in {"chat", "text_completion"}:
        if outcome.response_model is not None:
            attributes["llm.model_name"] = outcome.response_model
        if outcome.finish_reasons and outcome.finish_reasons[0]:
            attributes["llm.finish_reason"] = outcome.finish_reasons[0]
        if outcome.usage is not None:
            attributes.update(usage_attributes(outcome.usage))
    return attributes


def usage_attributes(usage: Usage) -> dict[str, Any]:
    """Token counts; what was not reported is absent."""
    attributes = {
        attribute: count
        for field, attribute in USAGE.items()
        if (count := getattr(usage, field)) is not None
    }
    if usage.input_tokens is not None and usage.output_tokens is not None:
        attributes[TOTAL_TOKENS] = usage.input_tokens + usage.output_tokens
    return attributes


def content_attributes(pieces: Mapping[str, Piece]) -> dict[str, Any]:
    """Captured content: each piece as a whole, and its messages, tools and documents one by one."""
    attributes: dict[str, Any] = {}
    for kind, piece in pieces.items():
        flatten = FLATTEN.get(kind)
        if flatten is not None and _is_list_of_dicts(piece.value):
            attributes.update(flatten(piece.value))
    for kind, piece in pieces.items():
        attribute = VALUES.get(kind)
        if attribute is not None:
            said = _only_text(piece.value)
            attributes[f"{attribute}.value"] = piece.json if said is None else said
            attributes[f"{attribute}.mime_type"] = (
                "application/json" if said is None else "text/plain"
            )
        if kind in TEXTS:
            attributes[TEXTS[kind]] = piece.text
    return attributes


def _own(own: Mapping[str, Any]) -> dict[str, Any]:
    """The place in the graph, user, tags and metadata, from lc_otel's own attributes."""
    attributes: dict[str, Any] = {}
    node = own.get(names.LANGGRAPH_NODE)
    if node is not None:
        attributes["graph.node.id"] = attributes["graph.node.name"] = node
    tags = own.get(names.RUN_TAGS)
    if tags:
        attributes["tag.tags"] = tags
    prefix = names.METADATA_PREFIX
    metadata = {
        key.removeprefix(prefix): value for key, value in own.items() if key.startswith(prefix)
    }
    if metadata:
        attributes["metadata"] = _json(metadata)
    return attributes


def _only_text(value: Any) -> str | None:
    """A text, or that of a single answer of one part: what a person wants to read."""
    if isinstance(value, str):
        return value
    if not _is_list_of_dicts(value) or len(value) != 1:
        return None
    parts = value[0].get("parts")
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], dict):
        return None
    said = parts[0].get("content") if parts[0].get("type") == "text" else None
    return said if isinstance(said, str) else None


def _is_list_of_dicts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


# -- messages, tools and documents, one by one


def _flatten_inputs(messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    flat = [_flatten_message(message) for message in messages]
    kept = _first_and_last(flat, MAX_FLAT["input_messages"])
    return _number("llm.input_messages", kept)


def _flatten_outputs(messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    flat = [_flatten_message(message) for message in messages]
    kept = _first_ones(flat, MAX_FLAT["output_messages"])
    return _number("llm.output_messages", kept)


def _flatten_tools(tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
    flat = [{"tool.json_schema": _json(_tool_schema(tool))} for tool in tools]
    return _number("llm.tools", _first_ones(flat, MAX_FLAT["tool_definitions"]))


def _flatten_documents(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    flat = [_flatten_document(document, index) for index, document in enumerate(documents)]
    return _number("retrieval.documents", _first_ones(flat, MAX_FLAT["documents"]))


FLATTEN = {
    "input_messages": _flatten_inputs,
    "output_messages": _flatten_outputs,
    "tool_definitions": _flatten_tools,
    "documents": _flatten_documents,
}


def _tool_schema(tool: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's form, which is what Phoenix reads."""
    function = {key: tool[key] for key in ("name", "description", "parameters") if key in tool}
    return {"type": tool.get("type", "function"), "function": function}


def _flatten_document(document: dict[str, Any], index: int) -> dict[str, Any]:
    # Phoenix drops a document without id or score; where LangChain gives none they are the
    # document's position, and 0.0.
    flat: dict[str, Any] = {
        "document.id": str(document.get("id", index)),
        "document.score": document.get("score", 0.0),
        "document.content": _text(document.get("content")),
    }
    metadata = document.get("metadata")
    if metadata:
        flat["document.metadata"] = _text(metadata)
    return flat


def _flatten_message(message: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {"message.role": _text(message.get("role"))}
    name = message.get("name")
    if name:
        flat["message.name"] = _text(name)
    parts = message.get("parts")
    parts = parts if isinstance(parts, list) and _is_list_of_dicts(parts) else []
    calls = [part for part in parts if part.get("type") == "tool_call"]
    responses = [part for part in parts if part.get("type") == "tool_call_response"]
    shown = [part for part in parts if part not in calls and part not in responses]
    for response in responses[:1]:
        if response.get("id"):
            flat["message.tool_call_id"] = _text(response["id"])
        flat["message.content"] = _text(response.get("response"))
    if len(shown) == 1 and shown[0].get("type") == "text":
        flat["message.content"] = _text(shown[0].get("content"))
    else:
        for index, part in enumerate(shown):
            for key, value in _flatten_part(part).items():
                flat[f"message.contents.{index}.message_content.{key}"] = value
    for index, call in enumerate(calls):
        prefix = f"message.tool_calls.{index}.tool_call"
        if call.get("id"):
            flat[f"{prefix}.id"] = _text(call["id"])
        flat[f"{prefix}.function.name"] = _text(call.get("name"))
        flat[f"{prefix}.function.arguments"] = _text(call.get("arguments"))
    if "finish_reason" in message:
        flat["message.finish_reason"] = _text(message["finish_reason"])
    return flat


def _flatten_part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind in {"text", "reasoning"}:
        return {"type": kind, "text": _text(part.get("content"))}
    modality = part.get("modality")
    if kind == "uri" and modality in {"image", "audio", "video"}:
        return {"type": modality, f"{modality}.{modality}.url": _text(part.get("uri"))}
    held, mime = part.get("content"), part.get("mime_type")
    is_captured = mime and isinstance(held, str) and not held.startswith("[")
    if kind == "blob" and modality in {"image", "audio", "video"} and is_captured:
        return {"type": modality, f"{modality}.{modality}.url": f"data:{mime};base64,{held}"}
    return {"type": _text(kind), "text": _text(part)}


def _first_ones(flat: Iterable[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for item in flat:
        if len(item) > limit:
            # of one message with very many parts, the first ones
            return kept or [dict(islice(item.items(), limit))]
        limit -= len(item)
        kept.append(item)
    return kept


def _first_and_last(flat: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """The first message, often the system's, then the last ones."""
    first = _first_ones(flat[:1], limit)
    room = limit - sum(map(len, first))
    rest = _first_ones(reversed(flat[1:]), room) if room else []
    return [*first, *reversed(rest)]


def _number(prefix: str, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        f"{prefix}.{index}.{key}": value
        for index, item in enumerate(items)
        for key, value in item.items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    try:
        return to_json(value, inf_nan_mode="null").decode()
    except PydanticSerializationError:  # a lone surrogate
        return to_json(scrub(value), inf_nan_mode="null").decode()
