"""Run, Outcome and RunEvent: the frozen records in which the rooms speak of what LangChain did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

RunType = Literal["chain", "llm", "chat_model", "tool", "retriever"]
"""What LangChain calls the run."""

Operation = Literal[
    "chat",
    "text_completion",
    "execute_tool",
    "retrieval",
    "invoke_agent",
    "invoke_workflow",
    "step",
]
"""What the run does; all but ``step`` are GenAI operation names."""

OutcomeKind = Literal[
    "ok",  # it returned
    "error",  # it raised; the only kind that sets status ERROR
    "cancelled",  # its task was cancelled
    "interrupted",  # a LangGraph interrupt paused it
    "handoff",  # a LangGraph Command went to the parent graph
    "abandoned",  # the consumer of its stream stopped early
    "incomplete",  # nobody ended it: shutdown, or it fell out of the table of open runs
]


class Run(NamedTuple):
    """A run that starts: who it is and what it does, known before its span is made.

    Only what a sampler may want to see is read at this point. What LangChain handed over beyond
    that stays unread in ``source`` until the span turns out to be recording.
    """

    run_id: UUID
    parent_run_id: UUID | None
    type: RunType
    operation: Operation
    name: str
    """The run's own name in LangChain: ``run_name``, else the class or function name."""
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = {}
    """As LangChain gave it; keys need not be strings."""
    model: str | None = None
    """The model asked for (chat, text_completion), or a retriever's embedding model."""
    provider: str | None = None
    """The provider by its well-known ``gen_ai.provider.name`` value, else LangChain's own word."""
    tool_name: str | None = None
    agent_name: str | None = None
    """Of an invoke_agent run: itself; of a run inside one: the agent that executes it."""
    workflow_name: str | None = None
    data_source: str | None = None
    conversation_id: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    resumes: bool = False
    """A graph that takes up again where an interrupt paused it."""
    source: Any = None
    """The callback's other arguments, for `_reading` alone."""


class Request(NamedTuple):
    """What a model run was asked for, beyond its input; read only for a recording span.

    ``params`` uses neutral names: temperature, top_p, top_k, max_tokens, frequency_penalty,
    presence_penalty, seed, stop_sequences, choice_count, stream, output_type, reasoning_level.
    A name that is absent was not asked for.
    """

    params: Mapping[str, Any] = {}
    tool_call_id: str | None = None
    tool_description: str | None = None
    top_k: int | None = None
    """How many documents a retriever was asked for."""
    prompt_name: str | None = None
    prompt_version: str | None = None


class Usage(NamedTuple):
    """Tokens of one model call. Details are subsets of the two totals; None means not reported."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    input_text: int | None = None
    input_image: int | None = None
    input_audio: int | None = None
    output_text: int | None = None
    output_image: int | None = None
    output_audio: int | None = None


class Outcome(NamedTuple):
    """How a run ended and what is known only then."""

    kind: OutcomeKind
    error: BaseException | None = None
    error_type: str | None = None
    """The provider's code or the exception's qualified class name; only where ``kind`` is error."""
    response_id: str | None = None
    response_model: str | None = None
    finish_reasons: Sequence[str] = ()
    """One a generation, in order; "" where none is told for it, none at all where for no one."""
    usage: Usage | None = None
    cached: bool = False
    """LangChain's own LLM cache answered; its tokens were not spent now."""
    document_count: int | None = None
    tool_call_id: str | None = None
    """Of the message that a tool returned; langchain-core before 1.2 tells it no sooner."""
    source: Any = None
    """The end callback's payload, for `_reading` alone."""


class Streaming(NamedTuple):
    """How the answer of a model run came in pieces; absent where it came whole."""

    chunks: int
    time_to_first_chunk: float
    """Seconds from the start of the run to its first chunk."""


class Totals(NamedTuple):
    """What a run and everything inside it used."""

    input_tokens: int = 0
    output_tokens: int = 0
    llm_calls: int = 0
    tool_calls: int = 0


class RunEvent(NamedTuple):
    """Something that happened inside a run: custom event, text, retry, agent action."""

    name: str
    attributes: Mapping[str, Any] = {}
    content: Any = None
    """The payload, subject to the content policy; None where there is none."""
