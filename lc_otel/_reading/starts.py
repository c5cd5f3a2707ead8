"""Start callbacks in, `Run` and `Request` out."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from lc_otel._reading.shapes import count, first_text, get, mapping, number, text, texts
from lc_otel.run import Operation, Request, Run, RunType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROVIDERS: Mapping[str, str] = {
    # LangChain's ls_provider -> well-known values of gen_ai.provider.name (GenAI registry)
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "amazon_bedrock": "aws.bedrock",
    "cohere": "cohere",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}

PARAMS: Mapping[str, tuple[tuple[str, ...], str | None, type]] = {
    # neutral name -> (keys of invocation_params, in order; key of the ls_ metadata; type)
    "temperature": (("temperature",), "ls_temperature", float),
    "top_p": (("top_p",), None, float),
    "top_k": (("top_k",), None, int),
    "max_tokens": (
        (
            *("max_tokens", "max_completion_tokens", "max_output_tokens"),
            *("max_tokens_to_sample", "max_new_tokens"),
        ),
        "ls_max_tokens",
        int,
    ),
    "frequency_penalty": (("frequency_penalty",), None, float),
    "presence_penalty": (("presence_penalty",), None, float),
    "seed": (("seed", "random_seed"), None, int),
    "choice_count": (("n", "candidate_count"), None, int),
}
_PARAM_OF: Mapping[str, str] = {
    # any of those keys -> the neutral name it may tell
    key: name
    for name, (keys, ls_key, _) in PARAMS.items()
    for key in (*keys, *(() if ls_key is None else (ls_key,)))
}

BASE_URLS = (
    # the constructor fields in which LangChain's partner packages keep a model's base URL
    "openai_api_base",
    "base_url",
    "azure_endpoint",
    "anthropic_api_url",
    "groq_api_base",
    "deepseek_api_base",
    "xai_api_base",
    "mistralai_api_url",
    "fireworks_api_base",
    "endpoint_url",
    "endpoint",
)

AGENTS = frozenset(
    # the ls_integration marks under which langchain and deepagents run an agent's graph
    {"langchain_create_agent", "deepagents"}
)
_TYPE_NAMES = frozenset({"LangGraph", "StateGraph", "CompiledStateGraph", "Pregel"})
_TYPE_PREFIX = "Runnable"
_TYPE_SUFFIXES = ("PromptTemplate", "OutputParser")


class Source(NamedTuple):
    """The arguments of a start event that are read only for a recording span."""

    serialized: Any
    input: Any
    extra: Mapping[str, Any]


class Opener(NamedTuple):
    """What the code that opened a chain's run tells of it."""

    agent: str | None = None
    """Name of the agent that opened it, "" for one without; None where it was none."""
    is_program: bool = False
    """The program opened it by managers of its own; whether it is an agent, only metadata tell."""


UNKNOWN = Opener()


class Start(NamedTuple):
    """What every start event carries, and the run it starts in."""

    run_id: UUID
    parent_run_id: UUID | None
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    source: Source
    parent: Run | None
    """The parent run while it is open."""
    conversation_keys: Sequence[str]
    """Metadata keys that may hold the conversation's id, the best first."""
    opener: Opener = UNKNOWN


def read_chain(start: Start) -> Run:
    """Read the start of a chain, a graph, a graph node, a prompt, a parser or a lambda."""
    metadata, name = start.metadata, read_name(start.source)
    operation: Operation = "step"
    agent = _inherited_agent(start)
    workflow = None
    if _is_agent(name, start):
        operation = "invoke_agent"
        names = (start.opener.agent, _own(start, "lc_agent_name"), name)
        agent = next((each for each in names if each and not _is_type_name(each)), None)
    elif start.parent_run_id is None:
        operation = "invoke_workflow"
        workflow = text(metadata.get("workflow_name"))
        if workflow is None and not _is_type_name(name):
            workflow = name
    return Run(
        start.run_id,
        start.parent_run_id,
        "chain",
        operation,
        name,
        start.tags,
        metadata,
        agent_name=agent,
        workflow_name=workflow,
        conversation_id=_conversation(start),
        resumes=start.parent_run_id is None and _resumes(start.source.input),
        source=start.source,
    )


def read_chat_model(start: Start) -> Run:
    """Read the start of a chat model."""
    return _read_model(start, "chat_model", "chat")


def read_text_model(start: Start) -> Run:
    """Read the start of a model that completes a text."""
    return _read_model(start, "llm", "text_completion")


def _read_model(start: Start, kind: RunType, operation: Operation) -> Run:
    metadata, source = start.metadata, start.source
    params = mapping(source.extra.get("invocation_params"))
    model = text(metadata.get("ls_model_name"))
    if model is None:
        model = first_text(params, "model", "model_name", "model_id")
    address, port = read_server(source.serialized)
    return Run(
        start.run_id,
        start.parent_run_id,
        kind,
        operation,
        read_name(source),
        start.tags,
        metadata,
        model=model,
        provider=read_provider(metadata, params, source.serialized),
        agent_name=_inherited_agent(start),
        conversation_id=_conversation(start),
        server_address=address,
        server_port=port,
        source=source,
    )


def read_tool(start: Start) -> Run:
    """Read the start of a tool."""
    name = read_name(start.source)
    return Run(
        start.run_id,
        start.parent_run_id,
        "tool",
        "execute_tool",
        name,
        start.tags,
        start.metadata,
        tool_name=name,
        agent_name=_inherited_agent(start),
        conversation_id=_conversation(start),
        source=start.source,
    )


def read_retriever(start: Start) -> Run:
    """Read the start of a retriever."""
    metadata = start.metadata
    return Run(
        start.run_id,
        start.parent_run_id,
        "retriever",
        "retrieval",
        read_name(start.source),
        start.tags,
        metadata,
        # Not the provider: LangChain tells the embeddings' class, and they are not who retrieves.
        model=text(metadata.get("ls_embedding_model")),
        agent_name=_inherited_agent(start),
        conversation_id=_conversation(start),
        data_source=text(metadata.get("data_source_id")),
        source=start.source,
    )


def _inherited_agent(start: Start) -> str | None:
    return None if start.parent is None else start.parent.agent_name


def _conversation(start: Start) -> str | None:
    if not start.metadata.keys().isdisjoint(start.conversation_keys):
        for key in start.conversation_keys:
            value = start.metadata.get(key)
            if isinstance(value, (str, int, UUID)) and value != "":
                return str(value)
    return None if start.parent is None else start.parent.conversation_id


READERS: Mapping[RunType, Callable[[Start], Run]] = {
    "chain": read_chain,
    "chat_model": read_chat_model,
    "llm": read_text_model,
    "tool": read_tool,
    "retriever": read_retriever,
}

_OPERATIONS: Mapping[RunType, Operation] = {
    "chain": "step",
    "chat_model": "chat",
    "llm": "text_completion",
    "tool": "execute_tool",
    "retriever": "retrieval",
}


def unreadable(start: Start, kind: RunType) -> Run:
    """A run of which nothing is known but that it started."""
    source = Source(None, None, {})
    operation = _OPERATIONS[kind]
    return Run(start.run_id, start.parent_run_id, kind, operation, "unknown", source=source)


def read_name(source: Source) -> str:
    """The run's name: LangChain's keyword, else ``serialized``'s name, else the class it names."""
    name = text(source.extra.get("name"))
    if name is None:
        serialized = source.serialized
        name = text(get(serialized, "name"))
        if name is None:
            path = get(serialized, "id")
            name = text(path[-1]) if isinstance(path, (list, tuple)) and path else None
    return name or "unknown"


def read_provider(metadata: Mapping[Any, Any], params: Mapping[Any, Any], serialized: Any) -> str:
    """The provider by its well-known name; ``_OTHER`` where LangChain says nothing of it."""
    said = text(metadata.get("ls_provider"))
    if said is None:
        kind = text(params.get("_type")) or ""
        # partner packages name themselves in _type: openai-chat, anthropic-chat, azure-openai-chat
        said = kind.removesuffix("-chat").removesuffix("-llm").replace("-", "_")
        if not said:
            path = get(serialized, "id")
            known = path[-2] if isinstance(path, (list, tuple)) and len(path) > 1 else None
            said = known if isinstance(known, str) and known in PROVIDERS else "_OTHER"
    if said == "_OTHER":
        return said
    said = said.lower()
    return PROVIDERS.get(said) or ("aws.bedrock" if said.startswith("bedrock") else said)


def read_server(serialized: Any) -> tuple[str | None, int | None]:
    """Host and port of the model's base URL, from the constructor fields in `BASE_URLS` alone."""
    kwargs = mapping(get(serialized, "kwargs"))
    if kwargs.keys().isdisjoint(BASE_URLS):
        return None, None
    for field in BASE_URLS:
        url = kwargs.get(field)
        if isinstance(url, str) and url:
            return _split_address(url)
    return None, None


@lru_cache(maxsize=256)
def _split_address(url: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None, None
    if host is None:
        return None, None
    return host, {"http": 80, "https": 443}.get(parts.scheme) if port is None else port


def _is_agent(name: str, start: Start) -> bool:
    if start.opener.agent is not None or name == "AgentExecutor":
        return True
    return (
        start.opener.is_program
        and start.metadata.get("ls_integration") in AGENTS
        and (_own(start, "ls_integration") or _own(start, "lc_agent_name")) is not None
    )


def _own(start: Start, key: str) -> str | None:
    """A text in the run's metadata that it has not inherited from the run above."""
    value = text(start.metadata.get(key))
    return None if start.parent and start.parent.metadata.get(key) == value else value


def _is_type_name(name: str) -> bool:
    return name in _TYPE_NAMES or name.startswith(_TYPE_PREFIX) or name.endswith(_TYPE_SUFFIXES)


def _resumes(value: Any) -> bool:
    """Whether a graph's input is a ``Command(resume=...)``."""
    return type(value).__name__ == "Command" and getattr(value, "resume", None) is not None


PLUMBING = frozenset({"RunnableLambda", "RunnableGenerator", "RunnablePassthrough"})


def is_prompt(run: Run) -> bool:
    """Whether the run fills a prompt template."""
    return run.operation == "step" and run.source.extra.get("run_type") == "prompt"


def is_hidden_step(run: Run, runnable: str) -> bool:
    """Whether ``Config.detail="steps"`` hides the run: a prompt, parser, lambda, or marked hidden.

    Args:
        run: The run that starts.
        runnable: Class name of the runnable that opened it; LangChain names a lambda's run after
            its function.
    """
    if "langsmith:hidden" in run.tags:
        return True
    if run.operation != "step":
        return False
    return run.source.extra.get("run_type") in {"prompt", "parser"} or runnable in PLUMBING


def read_request(run: Run) -> Request:
    """What a run was asked for, beyond its input."""
    source: Source = run.source
    if run.operation in {"chat", "text_completion"}:
        return Request(_read_params(run.metadata, mapping(source.extra.get("invocation_params"))))
    if run.type == "tool":
        return Request(
            tool_call_id=text(source.extra.get("tool_call_id")),
            tool_description=text(get(source.serialized, "description")),
        )
    if run.type == "retriever":
        return Request(top_k=count(run.metadata, "top_k"))
    return _NO_REQUEST


_NO_REQUEST = Request()


def _read_params(metadata: Mapping[Any, Any], asked: Mapping[Any, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    given = {_PARAM_OF[key] for key in _PARAM_OF.keys() & {*asked, *metadata}}
    for name in PARAMS:
        amount = _read_amount(name, metadata, asked) if name in given else None
        if amount is not None:
            params[name] = amount
    for stop in (asked.get("stop"), asked.get("stop_sequences"), metadata.get("ls_stop")):
        if isinstance(stop, (str, list, tuple, set, frozenset)) and stop:
            params["stop_sequences"] = [stop] if isinstance(stop, str) else texts([*stop])
            break
    if asked.get("stream") is True or asked.get("streaming") is True:
        params["stream"] = True
    output = _output_type(asked)
    if output is not None:
        params["output_type"] = output
    effort = text(asked.get("reasoning_effort")) or text(get(asked.get("reasoning"), "effort"))
    if effort is not None:
        params["reasoning_level"] = effort
    return params


def _read_amount(
    name: str, metadata: Mapping[Any, Any], asked: Mapping[Any, Any]
) -> int | float | None:
    keys, ls_key, kind = PARAMS[name]
    for key in keys:
        value = asked.get(key)
        if value is not None:
            return number(value, kind)
    return number(metadata.get(ls_key), kind)


def _output_type(asked: Mapping[Any, Any]) -> str | None:
    wanted = asked.get("response_format")
    if wanted is not None:
        return "text" if "text" in (wanted, get(wanted, "type")) else "json"
    if asked.get("response_mime_type") == "application/json":  # Gemini
        return "json"
    modalities = asked.get("modalities")
    if isinstance(modalities, (list, tuple)) and "audio" in modalities:
        return "speech"
    return None
