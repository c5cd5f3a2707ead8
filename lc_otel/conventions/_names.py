"""Attribute names: GenAI semantic conventions v1.42.0-dev (development), and lc_otel's own.

The `gen_ai.*` names are those of open-telemetry/semantic-conventions-genai as of 2026-11-22. The
constants in `opentelemetry.semconv._incubating` are marked deprecated and lack the newer names.
"""

from typing import Final

# -- GenAI: what is done, by whom, to what (registry/gen-ai)
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
AGENT_NAME: Final = "gen_ai.agent.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"

# -- GenAI: the request
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
OUTPUT_TYPE: Final = "gen_ai.output.type"

# -- GenAI: the response
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"

# -- general registry
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# -- lc_otel's own
RUN_ID: Final = "langchain.run.id"
RUN_PARENT_ID: Final = "langchain.run.parent_id"
RUN_TYPE: Final = "langchain.run.type"
RUN_NAME: Final = "langchain.run.name"
RUN_OUTCOME: Final = "langchain.run.outcome"
RUN_TAGS: Final = "langchain.run.tags"
METADATA_PREFIX: Final = "langchain.metadata."
LANGGRAPH_NODE: Final = "langgraph.node"
LANGGRAPH_STEP: Final = "langgraph.step"
LANGGRAPH_CHECKPOINT_NS: Final = "langgraph.checkpoint_ns"
TOTAL_INPUT_TOKENS: Final = "langchain.usage.input_tokens"
TOTAL_OUTPUT_TOKENS: Final = "langchain.usage.output_tokens"
LLM_CALLS: Final = "langchain.llm_calls"
TOOL_CALLS: Final = "langchain.tool_calls"
LLM_CACHED: Final = "langchain.llm.cached"
STREAM_CHUNKS: Final = "langchain.stream.chunks"
DOCUMENT_COUNT: Final = "langchain.retrieval.document_count"
