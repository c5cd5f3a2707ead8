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

# -- GenAI: content (opt-in)
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"

# -- GenAI: metrics and events
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 -- of a count
IS_NESTED: Final = "gen_ai.invocation.is_nested"
INFERENCE_DETAILS: Final = "gen_ai.client.inference.operation.details"

# -- general registry
USER_ID: Final = "user.id"
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
INPUT: Final = "langchain.input"
OUTPUT: Final = "langchain.output"
PROMPT_VARIABLES: Final = "langchain.prompt.variables"
EVENT_DATA: Final = "langchain.event.data"
