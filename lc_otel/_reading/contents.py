"""Runs and outcomes in, the pieces of content they carry out; read only where content is wanted."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from lc_otel._reading.ends import error_name, is_tool_message
from lc_otel._reading.messages import (
    parse_object,
    read_message,
    read_messages,
    read_output,
    read_tool_content,
)
from lc_otel._reading.shapes import first_text, get, mapping, sequence, text
from lc_otel._reading.values import Reader, Wanted, read_documents

if TYPE_CHECKING:
    from lc_otel._reading.starts import Source
    from lc_otel.run import Outcome, Run

KINDS: Mapping[str, str] = {
    # what `Config.redact` is told of a piece -> the shape its value has
    "system_instructions": "parts: what the model's API takes apart from the messages",
    "input_messages": "messages ({role, parts, name?}) given to a model",
    "output_messages": "messages ({role, parts, finish_reason}) a model answered, one a choice",
    "tool_definitions": "list of {type, name, description?, parameters?}",
    "tool_arguments": "what a tool is called with: an object, or a text",
    "tool_result": "what a tool returned",
    "retrieval_query": "text",
    "documents": "list of {id?, score?, content, metadata?}",
    "input": "what a chain, graph, node or agent is given",
    "output": "what a chain, graph, node or agent returned",
    "prompt_variables": "object: the values a prompt template was filled with",
    "exception_message": "text",
    "exception_stacktrace": "text",
    "event": "payload of a custom event, a retry, a text, an agent's action or finish",
}

LATE = frozenset(
    # the kinds of what a run returned or raised
    {
        "output_messages",
        "tool_result",
        "documents",
        "output",
        "exception_message",
        "exception_stacktrace",
    }
)

INFERENCE = frozenset({"chat", "text_completion"})

_INSTRUCTIONS = ("instructions", "system", "system_instruction")  # of invocation_params


def read_input(run: Run, prompt: Run | None, wanted: Wanted) -> Iterator[tuple[str, Any]]:
    """The pieces known at the start, each with its kind.

    Args:
        run: The run that starts.
        prompt: The prompt run that made a model's messages, where one did.
        wanted: How much of each piece is wanted.
    """
    source: Source = run.source
    if run.operation in INFERENCE:
        params = mapping(source.extra.get("invocation_params"))
        instructions = next((params[key] for key in _INSTRUCTIONS if params.get(key)), None)
        if instructions is not None:
            parts = read_tool_content(instructions, Reader(wanted))
            if isinstance(parts, str):
                parts = [{"type": "text", "content": parts}]
            yield "system_instructions", parts
        given = sequence(source.input)
        # Each prompt of a call is a run of its own, so there is one list of messages or one text.
        messages = given[0] if given else ()
        if isinstance(messages, str):
            messages = (messages,)
        yield "input_messages", read_messages(sequence(messages), Reader(wanted))
        tools = sequence(
            params.get("tools")
            or params.get("functions")
            or get(params.get("toolConfig"), "tools")  # Bedrock Converse
        )
        if tools:
            reader = Reader(wanted)
            definitions = [read for tool in tools for read in _read_tool(tool, reader)]
            if definitions:
                yield "tool_definitions", definitions
        if prompt is not None and prompt.source.input:
            yield "prompt_variables", Reader(wanted).read(prompt.source.input)
    elif run.type == "tool":
        yield "tool_arguments", Reader(wanted).read(parse_object(source.input))
    elif run.type == "retriever":
        yield "retrieval_query", Reader(wanted).read(source.input)
    else:
        yield "input", _read_state(run, source.input, Reader(wanted))


def read_output_pieces(run: Run, outcome: Outcome, wanted: Wanted) -> Iterator[tuple[str, Any]]:
    """The pieces known at the end, each with its kind; of a run that failed there is none."""
    returned = outcome.source
    if returned is None:
        return
    reader = Reader(wanted)
    if run.operation in INFERENCE:
        yield (
            "output_messages",
            [
                read_output(generation, reason, reader)
                for generation, reason in zip_longest(
                    returned, outcome.finish_reasons[: len(returned)]
                )
            ],
        )
    elif run.type == "tool":
        if outcome.kind == "ok":
            yield "tool_result", _read_tool_result(returned, reader)
    elif run.type == "retriever":
        yield "documents", read_documents(sequence(returned), reader)
    else:
        yield "output", _read_state(run, returned, reader)


def read_exception(error: BaseException) -> Iterator[tuple[str, str]]:
    """The message of an exception, and where it was raised."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 -- an exception may hold anything, and spell it badly
        message = f"[{error_name(type(error))}]"
    yield "exception_message", message
    yield "exception_stacktrace", "".join(traceback.format_exception(error))


def _read_state(run: Run, state: Any, reader: Reader) -> Any:
    """What a chain is given or returns; an agent's messages as messages, however they are given."""
    if run.operation in {"invoke_agent", "invoke_workflow"} and isinstance(state, dict):
        messages = _as_messages(state.get("messages"))
        if messages is not None:
            rest = {key: value for key, value in state.items() if key != "messages"}
            read = reader.read(rest)
            if isinstance(read, dict):
                return {"messages": read_messages(messages, reader), **read}
    return reader.read(state)


def _as_messages(given: Any) -> Sequence[Any] | None:
    """Messages as a list; LangGraph takes one alone, and a pair of role and content for one."""
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):  # noqa: PLR2004
        return [given]
    if isinstance(given, (list, tuple)):
        return given
    is_one = isinstance(given, str) or get(given, "content") is not None
    return [given] if is_one else None


def _read_tool_result(returned: Any, reader: Reader) -> Any:
    """What a tool said: of a ``ToolMessage`` its content."""
    if not isinstance(returned, Mapping) and is_tool_message(returned):
        return reader.read(read_message(returned, reader)["parts"][0].get("response"))
    return reader.read(returned)


def _read_tool(tool: Any, reader: Reader) -> Iterator[dict[str, Any]]:
    """Definitions of a tool in any provider's form, by an allow-list of fields.

    A provider's own tools (an MCP server, say) carry addresses and headers beside these.
    """
    if isinstance(tool, str):
        yield {"type": "function", "name": tool}
        return
    if not isinstance(tool, Mapping):  # langchain-aws hands on what it was given
        name = text(get(tool, "name")) or text(get(tool, "__name__"))
        if name is not None:
            yield _define("function", name, get(tool, "description") or get(tool, "__doc__"))
        return
    declared = tool.get("function_declarations")  # Gemini: several in one
    if declared:
        for function in sequence(declared):
            yield from _read_tool(function, reader)
        return
    definition = _read_definition(tool, reader)
    if definition is not None:
        yield definition


def _read_definition(tool: Mapping[Any, Any], reader: Reader) -> dict[str, Any] | None:
    kind = text(tool.get("type"))
    if kind == "custom" and tool.get("input_schema") is not None:
        kind = "function"  # Anthropic's word
    holders = (tool.get(key) for key in ("function", "custom", "toolSpec"))
    function = next((held for held in holders if isinstance(held, Mapping)), tool)
    name = text(get(function, "name"))
    if name is None and kind is None:
        # a tool of the provider's own, by its name alone: Gemini's {"google_search": {}}
        named = [key for key, value in tool.items() if value is not None and key != "cachePoint"]
        if len(named) != 1:
            return None
        kind = name = str(named[0])
    kind = kind or "function"
    definition = _define(kind, name or kind, get(function, "description"))
    for key in ("parameters", "input_schema", "inputSchema", "parameters_json_schema"):
        schema = get(function, key)
        if isinstance(schema, Mapping):
            schema = schema["json"] if schema.keys() == {"json"} else schema  # Bedrock Converse
            definition["parameters"] = _without_nulls(reader.read(schema))
            break
    return definition


def _define(kind: str, name: str, description: Any) -> dict[str, Any]:
    definition = {"type": kind, "name": name}
    if isinstance(description, str):
        definition["description"] = description
    return definition


def _without_nulls(schema: Any) -> Any:
    """A schema without what it does not say: Gemini's have a null for all they could."""
    if isinstance(schema, dict):
        return {key: _without_nulls(value) for key, value in schema.items() if value is not None}
    return [_without_nulls(item) for item in schema] if isinstance(schema, list) else schema


def read_prompt(prompt: Run) -> tuple[str | None, str | None]:
    """Name and version of a prompt template: of the hub's, else the name its program gave it."""
    metadata = prompt.metadata
    name = first_text(metadata, "lc_hub_repo", "prompt_name")
    if name is None:
        path = get(prompt.source.serialized, "id")
        class_name = path[-1] if isinstance(path, (list, tuple)) and path else None
        name = None if prompt.name == class_name or prompt.name in _TEMPLATES else prompt.name
    return name, first_text(metadata, "lc_hub_commit_hash", "prompt_version")


_TEMPLATES = frozenset(
    # class names, which say nothing of which prompt it is
    {"ChatPromptTemplate", "PromptTemplate", "FewShotPromptTemplate", "StructuredPrompt"}
)
