"""LangChain's messages in, messages of role and parts out, as the GenAI conventions shape them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from lc_otel._reading.shapes import first_text, get, mapping, sequence, text

if TYPE_CHECKING:
    from lc_otel._reading.values import Reader

Message = dict[str, Any]
"""``role``, ``parts``, and ``name`` where it has one; of an output, ``finish_reason`` too."""

Part = dict[str, Any]

ROLES: Mapping[str, str] = {
    # LangChain's message type, or the role of a message given as a dict -> GenAI role
    "human": "user",
    "user": "user",
    "HumanMessageChunk": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "SystemMessageChunk": "system",
    "developer": "system",
    "tool": "tool",
    "ToolMessageChunk": "tool",
    "function": "tool",
    "FunctionMessageChunk": "tool",
}

_FEW = 8  # messages that are always read
_OVERHEAD = 60  # bytes of JSON about a message's text
_GENERAL_TYPES = frozenset({"chat", "ChatMessageChunk", "message"})  # these say who in ``role``

FINISH_REASONS: Mapping[str, str] = {
    # the provider's word -> the conventions'; others stay, in lower case
    "tool_calls": "tool_call",  # OpenAI
    "function_call": "tool_call",
    "tool_use": "tool_call",  # Anthropic, Bedrock
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",  # Mistral
    "eos_token": "stop",  # Hugging Face, Together
    "eos": "stop",
    "complete": "stop",  # Cohere
    "completed": "stop",  # OpenAI's Responses
    "load": "stop",  # Ollama
    "model_context_window_exceeded": "length",
    "safety": "content_filter",  # Gemini
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "image_safety": "content_filter",
    "refusal": "content_filter",
    "guardrail_intervened": "content_filter",  # Bedrock
    "content_filtered": "content_filter",
}


def read_messages(messages: Sequence[Any], reader: Reader) -> list[Message]:
    """The messages a chat model is given, in their order.

    Of more than are wanted, the first one (the system's, often) and the last ones are read.
    """
    limit = reader.limit
    if limit is None or len(messages) <= _FEW:
        return [_read_or_name(message, reader) for message in messages]
    room = limit * 4 // 5
    last = len(messages) - 1
    while last > 0 and room > 0:
        room -= min(_weigh(messages[last]), limit // 5) + _OVERHEAD
        last -= 1
    read = [_read_or_name(message, reader) for message in (messages[0], *messages[last + 1 :])]
    if last > 0:
        size = sum(map(_weigh, messages[1 : last + 1]))
        marker = {"type": "omitted", "items": last, "bytes": size}
        read.insert(1, {"role": "omitted", "parts": [marker]})
    return read


def _weigh(message: Any) -> int:
    """About how many bytes a message has: those of its text."""
    content = get(message, "content")
    if type(content) is str:
        return len(content)
    texts = (get(block, "text") for block in sequence(content))
    return sum(len(said) for said in texts if isinstance(said, str))


def _read_or_name(message: Any, reader: Reader) -> Message:
    try:
        return read_message(message, reader)
    except Exception:  # noqa: BLE001 -- a message that cannot be read must not cost the others
        return _unknown(f"[{type(message).__qualname__}]")


def _unknown(content: Any) -> Message:
    return {"role": "user", "parts": [{"type": "unknown", "content": content}]}


def read_message(message: Any, reader: Reader) -> Message:
    """One message: an object of LangChain's, a dict, a pair of role and content, or a text."""
    if isinstance(message, str):
        return {"role": "user", "parts": [_text(message, reader)]}
    if isinstance(message, (list, tuple)) and len(message) == 2:  # noqa: PLR2004 -- (role, content)
        message = {"role": message[0], "content": message[1]}
    kind = get(message, "type")
    if not isinstance(kind, str) or kind in _GENERAL_TYPES:
        kind = get(message, "role")
    if not isinstance(kind, str):
        return _unknown(reader.read(message))
    role = ROLES.get(kind, kind)
    content = get(message, "content")
    read: Message = {"role": role}
    if role == "tool":
        response: Part = {"type": "tool_call_response"}
        identity = get(message, "tool_call_id")
        if isinstance(identity, str):
            response["id"] = identity
        response["response"] = read_tool_content(content, reader)
        read["parts"] = [response]
    elif role != "assistant" and type(content) is str:
        read["parts"] = [_text(content, reader)]
    else:
        read["parts"] = [*_read_parts(message, content, role == "assistant", reader)]
    name = get(message, "name")
    if isinstance(name, str) and name:
        read["name"] = name
    return read


def read_tool_content(content: Any, reader: Reader) -> Any:
    """What a tool said to the model: a text, or parts."""
    if isinstance(content, (list, tuple)):
        return [*_read_blocks(content, frozenset(), reader)]
    return reader.read(content)


def read_output(generation: Any, reason: str | None, reader: Reader) -> Message:
    """One choice of a model's answer.

    Args:
        generation: LangChain's ``Generation``, of a chat model with a message.
        reason: Why the model stopped, in the provider's word. Where there is none, "stop" is
            taken: backends (Phoenix) drop the whole answer over a choice without a reason.
        reader: Reads what is not of a known shape.
    """
    message = get(generation, "message")
    if message is None:
        said = get(generation, "text")
        parts = [_text(said, reader)] if isinstance(said, str) else []
        read: Message = {"role": "assistant", "parts": parts}
    else:
        read = read_message(message, reader)
    read["finish_reason"] = _name_reason(reason, read["parts"])
    return read


def _name_reason(reason: str | None, parts: Sequence[Part]) -> str:
    word = reason.lower() if reason else "completed"
    if word == "completed" and any(part["type"] == "tool_call" for part in parts):
        return "tool_call"  # OpenAI's Responses give no reason of its own for it
    return FINISH_REASONS.get(word, word)


def _read_parts(message: Any, content: Any, answers: bool, reader: Reader) -> Iterator[Part]:
    extra = mapping(get(message, "additional_kwargs")) if answers else {}
    calls = sequence(get(message, "tool_calls")) if answers else ()
    invalid = sequence(get(message, "invalid_tool_calls")) if answers else ()
    reasoning = extra.get("reasoning_content")  # DeepSeek, Qwen, xAI
    if isinstance(reasoning, str) and reasoning:
        yield {"type": "reasoning", "content": reasoning}
    if isinstance(content, str):
        if content:
            yield _text(content, reader)
    elif isinstance(content, (list, tuple)):
        # A provider's own blocks tell the calls that LangChain has put into tool_calls once more.
        ids = (get(call, "id") for call in (*calls, *invalid))
        told = frozenset(identity for identity in ids if isinstance(identity, str))
        yield from _read_blocks(content, told, reader)
    elif content is not None:
        yield {"type": "unknown", "content": reader.read(content)}
    if not answers:
        return
    if extra:
        yield from _read_extra(extra, reader)
    yield from _read_calls(calls, invalid, extra, reader)


def _read_calls(
    calls: Sequence[Any], invalid: Sequence[Any], extra: Mapping[Any, Any], reader: Reader
) -> Iterator[Part]:
    for call in calls or (() if invalid else sequence(extra.get("tool_calls"))):
        yield _read_call(call, reader)
    for call in invalid:
        yield {**_read_call(call, reader), "error": reader.read(get(call, "error"))}
    function = extra.get("function_call")
    if function and not calls:
        yield _read_call(function, reader)


def _read_extra(extra: Mapping[Any, Any], reader: Reader) -> Iterator[Part]:
    """What langchain-openai keeps beside the content: a refusal, a spoken answer, reasoning."""
    refusal = text(extra.get("refusal"))
    if refusal is not None:
        yield {"type": "refusal", "content": reader.read(refusal)}
    audio = mapping(extra.get("audio"))
    data, transcript = text(audio.get("data")), text(audio.get("transcript"))
    if data is not None:
        yield _blob("audio", None, data, reader)
    if transcript is not None:
        yield _text(transcript, reader)
    reasoning = extra.get("reasoning")
    if isinstance(reasoning, Mapping):
        thought = _read_reasoning(reasoning, reader)
        if thought["content"]:
            yield thought
    for call in sequence(extra.get("tool_outputs")):
        if isinstance(call, Mapping):
            yield _read_server_call(call, reader)


def _read_call(call: Any, reader: Reader) -> Part:
    function = get(call, "function")  # OpenAI's own form
    name = get(function or call, "name")
    arguments = get(function, "arguments") if function else None
    for key in ("args", "arguments", "input"):
        if arguments is None:
            arguments = get(call, key)
    if not arguments:
        arguments = get(call, "partial_json") or arguments  # streamed by Anthropic
    read: Part = {"type": "tool_call"}
    identity = get(call, "call_id") or get(call, "id")
    if isinstance(identity, str):
        read["id"] = identity
    read["name"] = name if isinstance(name, str) else ""
    read["arguments"] = reader.read(parse_object(arguments))
    return read


def parse_object(said: Any) -> Any:
    """A text that is a JSON object or array as such, anything else as it is."""
    if isinstance(said, str) and said[:1] in ("{", "["):
        try:
            return from_json(said)
        except ValueError:
            return said
    return said


def _text(content: str, reader: Reader) -> Part:
    return {"type": "text", "content": reader.read(content)}


# -- content blocks

Block = Mapping[Any, Any]


def _read_blocks(blocks: Iterable[Any], told: frozenset[Any], reader: Reader) -> Iterator[Part]:
    for block in blocks:
        if isinstance(block, str):
            yield _text(block, reader)
        elif isinstance(block, Mapping):
            kind = block.get("type")
            if not isinstance(kind, str):
                kind = ""
            if kind in _CALLS and told.intersection(_identities(block)):
                continue
            read = BLOCKS.get(kind)
            yield (_read_other if read is None else read)(block, reader)
        else:
            yield {"type": "unknown", "content": reader.read(block)}


def _identities(block: Block) -> Iterator[str]:
    return (found for key in ("id", "call_id") if isinstance(found := block.get(key), str))


def _read_text_block(block: Block, reader: Reader) -> Part:
    said = block.get("text")
    return _text(said, reader) if isinstance(said, str) else _read_other(block, reader)


def _read_reasoning(block: Block, reader: Reader) -> Part:  # noqa: ARG001 -- as BLOCKS calls it
    said = first_text(block, "reasoning", "thinking", "content", "text")
    if said is None:
        said = text(get(block.get("reasoning_content"), "text"))  # Bedrock Converse
    if said is None:
        # in pieces: OpenAI's Responses, Mistral
        held = (sequence(block.get(key)) for key in ("summary", "content", "thinking"))
        pieces = next(filter(None, held), ())
        said = "\n".join(filter(None, (text(get(piece, "text")) for piece in pieces)))
    return {"type": "reasoning", "content": said}


def _read_refusal(block: Block, reader: Reader) -> Part:
    return {"type": "refusal", "content": reader.read(block.get("refusal"))}


def _read_call_block(block: Block, reader: Reader) -> Part:
    return _read_call(block, reader)


def _read_result(block: Block, reader: Reader) -> Part:
    return {
        "type": "tool_call_response",
        "id": first_text(block, "tool_use_id", "tool_call_id", "call_id") or "",
        "response": read_tool_content(_first(block, "content", "output"), reader),
    }


def _read_server_call(block: Block, reader: Reader) -> Part:
    kind = str(block.get("type"))
    name = first_text(block, "name") or kind.removesuffix("_call")
    details = _first(block, "args", "input", "action", "arguments", "queries", "code")
    if not details:
        details = block.get("partial_json") or details  # streamed by Anthropic
    read: Part = {"type": "server_tool_call", "name": name}
    identity = first_text(block, "id")
    if identity is not None:
        read["id"] = identity
    read["server_tool_call"] = {"type": name, "arguments": reader.read(parse_object(details))}
    return read


def _read_server_result(block: Block, reader: Reader) -> Part:
    kind = str(block.get("type"))
    return {
        "type": "server_tool_call_response",
        "id": first_text(block, "tool_call_id", "tool_use_id") or "",
        "server_tool_call_response": {
            "type": kind.removesuffix("_result"),
            "output": reader.read(_first(block, "output", "content")),
        },
    }


def _read_media(block: Block, reader: Reader) -> Part:
    """An image, a sound, a film or a file, in any of its dozen spellings."""
    kind = str(block.get("type"))
    modality = _MODALITIES.get(kind, "document")
    holder = _holder(block)
    mime = first_text(holder, "mime_type", "media_type", "mimeType") or first_text(
        block, "mime_type", "media_type"
    )
    uri = first_text(holder, "url", "uri", "file_uri", "image_url")
    data = first_text(holder, "base64", "data", "file_data")
    said = first_text(holder, "text")  # a document of plain text
    if said is None and holder.get("type") == "text":  # Anthropic's
        said = data
    if said is not None:
        return _text(said, reader)
    if uri is not None and is_data_url(uri):
        uri, data = None, uri
    if data is not None:
        if is_data_url(data):
            head, _, data = data.partition(",")
            mime = mime or head[5:].partition(";")[0] or None
        if mime is None and (form := first_text(holder, "format")):
            mime = f"{modality}/{form}"
        return _blob(_modality_of(mime, modality), mime, data, reader)
    read: Part = {"modality": _modality_of(mime, modality)}
    if mime is not None:
        read["mime_type"] = mime
    identity = first_text(holder, "file_id", "id")
    if uri is not None:
        return {"type": "uri", **read, "uri": uri}
    if identity is not None:
        return {"type": "file", **read, "file_id": identity}
    return _read_other(block, reader)


def _holder(block: Block) -> Block:
    """Where the block keeps what it refers to: in itself, or one level down."""
    for key in (
        *("image_url", "input_audio", "source", "file", "video_url", "audio_url"),
        *("inline_data", "inlineData"),
    ):
        inner = block.get(key)
        if isinstance(inner, Mapping):
            return inner
        if key == "input_audio" and isinstance(inner, str):
            return {"data": inner}
    return block


def _blob(modality: str, mime: str | None, data: str, reader: Reader) -> Part:
    blob: Part = {"type": "blob", "modality": modality}
    if mime is not None:
        blob["mime_type"] = mime
    blob["byte_size"] = _decoded_size(data)
    blob["content"] = data if reader.binary else size_of_base64(data)
    return blob


def is_data_url(said: str) -> bool:
    """Whether a text is a ``data:`` URL, or begins as one."""
    return said[:5].lower() == "data:"


def size_of_base64(base64: str) -> str:
    """What stands for base64: the size of what it holds."""
    return f"[{_decoded_size(base64)} bytes]"


def data_url_size(url: str) -> str:
    """What stands for a ``data:`` URL: its type and the size of what it holds."""
    head, _, data = url.partition(",")
    return f"[{head[5:].partition(';')[0] or 'data'}, {_decoded_size(data)} bytes]"


def _decoded_size(base64: str) -> int:
    return len(base64) * 3 // 4 - base64[-2:].count("=")


def _modality_of(mime: str | None, otherwise: str) -> str:
    kind = (mime or "").partition("/")[0]
    return kind if kind in {"image", "audio", "video"} else otherwise


def _read_non_standard(block: Block, reader: Reader) -> Part:
    value = block.get("value")
    return _read_other(value if isinstance(value, Mapping) else block, reader)


def _read_other(block: Block, reader: Reader) -> Part:
    """A block no table knows: its type, and its fields as they are."""
    read = reader.read(block)
    if not isinstance(read, dict):
        return {"type": "unknown", "content": read}
    kind = read.get("type")
    return {**read, "type": kind if isinstance(kind, str) else "unknown"}


def _first(block: Block, *keys: str) -> Any:
    return next((block[key] for key in keys if block.get(key) is not None), None)


_CALLS = frozenset(
    {"tool_use", "tool_call", "tool_call_chunk", "function_call", "custom_tool_call"}
)

_MODALITIES: Mapping[str, str] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "input_audio": "audio",
    "audio_url": "audio",
    "video": "video",
    "video_url": "video",
}

BLOCKS: Mapping[str, Callable[[Block, Reader], Part]] = {
    # type of a content block -> how it is read
    # LangChain 1.x (langchain_core.messages.content), and what 0.3 shares with it
    "text": _read_text_block,
    "reasoning": _read_reasoning,
    "tool_call": _read_call_block,
    "tool_call_chunk": _read_call_block,
    "invalid_tool_call": _read_call_block,
    "server_tool_call": _read_server_call,
    "server_tool_call_chunk": _read_server_call,
    "server_tool_result": _read_server_result,
    "image": _read_media,
    "audio": _read_media,
    "video": _read_media,
    "file": _read_media,
    "text-plain": _read_media,
    "non_standard": _read_non_standard,
    # OpenAI: chat completions, then Responses
    "image_url": _read_media,
    "input_audio": _read_media,
    "refusal": _read_refusal,
    "input_text": _read_text_block,
    "output_text": _read_text_block,
    "input_image": _read_media,
    "input_file": _read_media,
    "function_call": _read_call_block,
    "custom_tool_call": _read_call_block,
    "function_call_output": _read_result,
    "web_search_call": _read_server_call,
    "file_search_call": _read_server_call,
    "code_interpreter_call": _read_server_call,
    "image_generation_call": _read_server_call,
    "computer_call": _read_server_call,
    "mcp_call": _read_server_call,
    # Anthropic
    "thinking": _read_reasoning,
    "document": _read_media,
    "tool_use": _read_call_block,
    "tool_result": _read_result,
    "server_tool_use": _read_server_call,
    "web_search_tool_result": _read_server_result,
    "web_fetch_tool_result": _read_server_result,
    "code_execution_tool_result": _read_server_result,
    # Bedrock Converse, Gemini, vLLM
    "reasoning_content": _read_reasoning,
    "media": _read_media,
    "video_url": _read_media,
    "audio_url": _read_media,
}
