"""Run and Outcome in, lc_otel's own attributes out: what GenAI has no name for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lc_otel.conventions import _names as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lc_otel.run import Outcome, Run, Streaming, Totals

GRAPH: Mapping[str, tuple[str, type]] = {
    # key LangGraph puts into the metadata -> (attribute, type)
    "langgraph_node": (names.LANGGRAPH_NODE, str),
    "langgraph_step": (names.LANGGRAPH_STEP, int),
    "langgraph_checkpoint_ns": (names.LANGGRAPH_CHECKPOINT_NS, str),
}


def start_attributes(run: Run) -> dict[str, Any]:
    """The run's identity, so that a sampler can also decide by run type and name."""
    attributes: dict[str, Any] = {
        names.RUN_ID: str(run.run_id),
        names.RUN_TYPE: run.type,
        names.RUN_NAME: run.name,
    }
    if run.parent_run_id is not None:
        attributes[names.RUN_PARENT_ID] = str(run.parent_run_id)
    return attributes


def request_attributes(run: Run, metadata_keys: frozenset[str]) -> dict[str, Any]:
    """Tags, the place in the graph, and the metadata whose keys were allowed."""
    attributes: dict[str, Any] = {}
    if run.tags:
        attributes[names.RUN_TAGS] = [tag for tag in run.tags if isinstance(tag, str)]
    metadata = run.metadata
    if "langgraph_node" in metadata:
        for key, (attribute, kind) in GRAPH.items():
            value = metadata.get(key)
            if isinstance(value, kind):
                attributes[attribute] = value
    for key in metadata_keys & metadata.keys():
        value = metadata[key]
        if isinstance(value, (str, bool, int, float)):
            attributes[names.METADATA_PREFIX + key] = value
    return attributes


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
