"""Run and Outcome in, lc_otel's own attributes out: what GenAI has no name for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lc_otel.conventions import _names as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lc_otel._content import Piece
    from lc_otel.run import Outcome, Run, Streaming, Totals

GRAPH: Mapping[str, tuple[str, type]] = {
    # key LangGraph puts into the metadata -> (attribute, type)
    "langgraph_node": (names.LANGGRAPH_NODE, str),
    "langgraph_step": (names.LANGGRAPH_STEP, int),
    "langgraph_checkpoint_ns": (names.LANGGRAPH_CHECKPOINT_NS, str),
}

NUMBERING = ("seq:step:", "graph:step:")
"""How the tags begin with which LangChain and LangGraph number a run among its siblings: a trace
has them in their order, and ``langgraph.step`` says the rest."""


def start_attributes(
    run: Run, metadata_keys: frozenset[str], user_keys: tuple[str, ...]
) -> dict[str, Any]:
    """The run's identity, tags and place in the graph, its user, and the metadata that is allowed.

    A sampler may decide by any of them.
    """
    attributes: dict[str, Any] = {
        names.RUN_ID: str(run.run_id),
        names.RUN_TYPE: run.type,
        names.RUN_NAME: run.name,
    }
    if run.parent_run_id is not None:
        attributes[names.RUN_PARENT_ID] = str(run.parent_run_id)
    tags = [tag for tag in run.tags if isinstance(tag, str) and not tag.startswith(NUMBERING)]
    if tags:
        attributes[names.RUN_TAGS] = tags
    if run.metadata:
        attributes.update(_metadata_attributes(run.metadata, metadata_keys, user_keys))
    return attributes


METADATA = frozenset(
    # keys LangChain, LangGraph and its server put into the metadata themselves; any other key is
    # told only where `Config.metadata_keys` names it, since a config's `configurable`, API keys
    # included, is copied into the metadata (docs/adr/0007)
    {
        "assistant_id",
        "graph_id",
        "langgraph_plan",
        "langgraph_version",
        "lc_agent_name",
        "ls_agent_type",
        "ls_embedding_provider",
        "ls_integration",
        "ls_model_type",
        "ls_retriever_name",
        "ls_vector_store_provider",
    }
)


def _metadata_attributes(
    metadata: Mapping[Any, Any], metadata_keys: frozenset[str], user_keys: tuple[str, ...]
) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if "langgraph_node" in metadata:
        for key, (attribute, kind) in GRAPH.items():
            value = metadata.get(key)
            if isinstance(value, kind):
                attributes[attribute] = value
    for key in metadata_keys & metadata.keys():
        value = metadata[key]
        if isinstance(value, (str, bool, int, float)):
            attributes[names.METADATA_PREFIX + key] = value
    for key in user_keys:
        value = metadata.get(key)
        if isinstance(value, (str, int)) and value != "":
            attributes[names.USER_ID] = str(value)
            break
    return attributes


TEXTS: Mapping[str, str] = {
    # kind of a piece of content -> attribute; a text as it is, anything else as JSON
    "input": names.INPUT,
    "output": names.OUTPUT,
    "prompt_variables": names.PROMPT_VARIABLES,
}


EXCEPTION: Mapping[str, str] = {
    # kind of a piece of content -> attribute of the span event "exception"
    "exception_message": names.EXCEPTION_MESSAGE,
    "exception_stacktrace": names.EXCEPTION_STACKTRACE,
}


def content_attributes(pieces: Mapping[str, Piece]) -> dict[str, Any]:
    """Captured content that GenAI has no name for."""
    return {TEXTS[kind]: piece.text for kind, piece in pieces.items() if kind in TEXTS}


TOTALS: Mapping[str, str] = {
    # field of Totals -> attribute; not gen_ai.usage.*, so that adding those up counts nothing twice
    "input_tokens": names.TOTAL_INPUT_TOKENS,
    "output_tokens": names.TOTAL_OUTPUT_TOKENS,
    "llm_calls": names.LLM_CALLS,
    "tool_calls": names.TOOL_CALLS,
}


def total_attributes(totals: Totals) -> dict[str, int]:
    """What a root or an agent used, with everything inside it."""
    return {attribute: getattr(totals, field) for field, attribute in TOTALS.items()}


def outcome_attributes(outcome: Outcome, streaming: Streaming | None = None) -> dict[str, Any]:
    """The outcome, and what LangChain alone knows of the answer."""
    attributes: dict[str, Any] = {names.RUN_OUTCOME: outcome.kind}
    if outcome.cached:
        attributes[names.LLM_CACHED] = True
    if outcome.document_count is not None:
        attributes[names.DOCUMENT_COUNT] = outcome.document_count
    if streaming is not None:
        attributes[names.STREAM_CHUNKS] = streaming.chunks
    return attributes
