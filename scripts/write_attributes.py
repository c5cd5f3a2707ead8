"""Tables of lc_otel.conventions in, docs/attributes.md out: run it after changing a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from lc_otel._metrics import ATTRIBUTES, DURATIONS, INSTRUMENTS
from lc_otel._reading.contents import KINDS
from lc_otel._reading.starts import PARAMS, PROVIDERS
from lc_otel.conventions import _names as names
from lc_otel.conventions import evaluation, genai, langchain, openinference
from lc_otel.run import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).resolve().parents[1] / "docs" / "attributes.md"

RUNS = {
    # operation -> the LangChain run it is
    "chat": "chat model",
    "text_completion": "model that completes a text",
    "execute_tool": "tool",
    "retrieval": "retriever",
    "invoke_agent": "agent (`create_agent`, `create_react_agent`, `AgentExecutor`, deep agents)",
    "invoke_workflow": "root chain or graph",
    "step": "inner chain, graph node, lambda, parser, prompt",
}

FIELDS = {
    # field of Run -> what it is, in words
    "provider": "`ls_provider` of the metadata, else the parameters' `_type`; else `_OTHER`",
    "model": "`ls_model_name` of the metadata, else the model in the parameters",
    "server_address": "host of the base URL among the model's constructor fields",
    "server_port": "port of that URL",
    "conversation_id": "first of `Config.conversation_keys` in the metadata; inherited",
    "tool_name": "the tool's name",
    "agent_name": "the agent's name; inside an agent, that of the agent it works for",
    "workflow_name": "`workflow_name` of the metadata, else the run's name unless it is a type's",
    "data_source": "the retriever's data source, where it tells one",
    "tool_call_id": "id of the model's call; before langchain-core 1.2 told at the end",
    "tool_description": "the tool's description",
    "top_k": "how many documents were asked for",
    "prompt_name": "name of the prompt template before the call: the hub's, else its `run_name`",
    "prompt_version": "the hub's commit, else `prompt_version` of the prompt's metadata",
}

INTRO = """\
# What a run becomes: attributes, events, metrics

Written by `python scripts/write_attributes.py` from the tables in `lc_otel/conventions`; a test
holds it to them. GenAI names are those of the OpenTelemetry GenAI semantic conventions
v1.42.0-dev (Development), OpenInference names those of openinference-semantic-conventions 0.1.42.

**When**: *creation* means given to the sampler; *start* and *end* are read only for spans that are
recorded. **Content** is read only where `Config.capture_content` (or
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`) asks for it, after `Config.redact`, within
`Config.max_content_length` bytes an attribute and `Config.max_span_content` bytes a span. What is
not known is absent; nothing is guessed.
"""


CONTENT = """\
## Content

Lists are JSON text on spans and structures on log events; the others are text as it is, or JSON.
An agent's and a workflow's `messages` also stand in `gen_ai.input.messages` and
`gen_ai.output.messages`. What is left out of a list or cut from a text is marked with its size.
Base64 payloads become their type and size unless `Config.capture_binary` is on.
"""

FLATTENED = """\
OpenInference also tells messages, tools and documents one by one (`llm.input_messages.N`,
`llm.output_messages.N`, `llm.tools.N`, `retrieval.documents.N`), so many attributes at most:
{limits}. A document without id or score is told its position and 0.0.

The log event `gen_ai.client.inference.operation.details` carries the attributes of a model call
with its content, in the modes `event` and `both`. Its severity is DEBUG.
"""

EVALUATIONS = f"""\
## Evaluations

`record_evaluation` emits the log event `{evaluation.EVENT}`, severity INFO, in the context of the
span that was evaluated. What is not said is absent.
"""

VERDICT = {
    # parameter of record_evaluation -> what it is
    "name": "the metric",
    "score": "its value, a double",
    "label": "what the score means, in a word",
    "explanation": "why, at most 16,384 bytes; content that `Config.redact` is not asked about",
    "response_id": "the provider's id of the completion",
}

METRICS = """\
## Metrics

Of sampled and unsampled runs alike; not of suppressed ones, nor of answers from LangChain's LLM
cache.
"""


def write() -> str:
    """The page."""
    parts = (_runs, _spans, _content, _evaluations, _own, _metrics, _origins)
    return "\n".join([INTRO, *(line for part in parts for line in part())])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]


def _code(name: str) -> str:
    return f"`{name}`"


def _runs() -> list[str]:
    rows = (
        (
            what,
            _code(f"{operation} {{{genai.SUBJECTS[operation]}}}")
            if operation != "step"
            else "the run's own name",
            genai.KINDS[operation].name,
            _code(operation) if operation != "step" else "none",
            openinference.KINDS[operation],
        )
        for operation, what in RUNS.items()
    )
    head = ("LangChain run", "span name", "kind", "`gen_ai.operation.name`", "OpenInference kind")
    return ["## Runs\n", *_table(head, rows)]


def _spans() -> list[str]:
    lines = ["## GenAI attributes by kind of run\n"]
    for operation, rows in genai.START.items():
        told = [(_code(names.OPERATION_NAME), "creation", _code(operation))]
        told += [(_code(attribute), "creation", FIELDS[field]) for field, attribute in rows]
        if operation == "execute_tool":
            told.append((_code(names.TOOL_TYPE), "creation", "`function`"))
        for field in _REQUESTED.get(operation, ()):
            told.append((_code(genai.REQUEST[field]), "start", FIELDS[field]))
        if operation in {"chat", "text_completion"}:
            told += _inference()
        told.append((_code(names.ERROR_TYPE), "end", "of a run that failed"))
        lines += [f"### {RUNS[operation]}\n", *_table(("attribute", "when", "from"), told)]
    return lines


_REQUESTED = {
    "chat": ("prompt_name", "prompt_version"),
    "text_completion": ("prompt_name", "prompt_version"),
    "execute_tool": ("tool_call_id", "tool_description"),
    "retrieval": ("top_k",),
}


def _inference() -> list[tuple[str, str, str]]:
    told = []
    for name, attribute in genai.PARAMS.items():
        keys, metadata, _ = PARAMS.get(name, ((), None, str))
        places = [_code(key) for key in keys] + ([_code(metadata)] if metadata else [])
        told.append((_code(attribute), "start", ", ".join(places) or _PARAMS[name]))
    told += [
        (_code(names.RESPONSE_ID), "end", "the provider's id of the answer"),
        (_code(names.RESPONSE_MODEL), "end", "`model_name` or `model` of the answer"),
        (
            _code(names.RESPONSE_FINISH_REASONS),
            "end",
            "one a choice, in the provider's words; empty for a choice without, if others have one",
        ),
        (_code(names.RESPONSE_TIME_TO_FIRST_CHUNK), "end", "seconds; of a streamed answer"),
    ]
    told += [
        (_code(attribute), "end", _code(f"usage: {field}"))
        for field, attribute in genai.USAGE.items()
    ]
    return told


_PARAMS = {
    "stop_sequences": "`stop`, `stop_sequences`, `ls_stop`",
    "reasoning_level": "`reasoning_effort`, `reasoning.effort`",
    "stream": "`stream` or `streaming`; also where the answer came in chunks",
    "output_type": "`response_format`, `modalities`",
}


def _content() -> list[str]:
    rows = []
    for kind, shape in KINDS.items():
        genai_name = {**genai.LISTS, **genai.TEXTS, **langchain.TEXTS, **langchain.EXCEPTION}.get(
            kind, names.EVENT_DATA
        )
        whole = openinference.VALUES.get(kind)
        rows.append(
            (
                _code(kind),
                shape,
                _code(genai_name),
                f"`{whole}.value`, `{whole}.mime_type`" if whole else _OPENINFERENCE.get(kind, ""),
            )
        )
    head = ("kind, as `redact` is told it", "value", "attribute", "OpenInference")
    limits = ", ".join(f"{kind} {limit}" for kind, limit in openinference.MAX_FLAT.items())
    return [CONTENT, *_table(head, rows), FLATTENED.format(limits=limits)]


_OPENINFERENCE = {
    "tool_definitions": "`llm.tools.N`",
    "prompt_variables": "`llm.prompt_template.variables`",
}


def _evaluations() -> list[str]:
    rows = (
        (_code(attribute), _code(told), VERDICT[told])
        for told, attribute in evaluation.ATTRIBUTES.items()
    )
    return [EVALUATIONS, *_table(("attribute", "given as", "is"), rows)]


def _own() -> list[str]:
    rows = [
        (names.RUN_ID, "creation", "LangChain's run id"),
        (names.RUN_PARENT_ID, "creation", "the parent run's"),
        (names.RUN_TYPE, "creation", "chain, llm, chat_model, tool, retriever"),
        (names.RUN_NAME, "creation", "the run's name in LangChain"),
        (
            names.RUN_TAGS,
            "creation",
            "tags, but for the numbers LangChain gives steps (`seq:step:1`)",
        ),
        (names.USER_ID, "creation", "first of `Config.user_keys` in the metadata"),
        *((attribute, "creation", _code(key)) for key, (attribute, _) in langchain.GRAPH.items()),
        (
            names.METADATA_PREFIX + "<key>",
            "creation",
            "keys of `Config.metadata_keys`, and "
            + ", ".join(_code(key) for key in sorted(langchain.METADATA)),
        ),
        (
            names.RUN_OUTCOME,
            "end",
            ", ".join(get_args(OutcomeKind)),
        ),
        (names.LLM_CACHED, "end", "LangChain's own LLM cache answered"),
        (names.DOCUMENT_COUNT, "end", "documents a retriever returned"),
        (names.STREAM_CHUNKS, "end", "chunks of a streamed answer"),
        *(
            (attribute, "end", "sum over the run and all inside it; on roots and agents")
            for attribute in langchain.TOTALS.values()
        ),
    ]
    told = [
        ("openinference.span.kind", "start", "see above"),
        *((attribute, "start", FIELDS[field]) for field, attribute in openinference.RUN.items()),
        ("llm.provider, llm.system", "start", "of the provider"),
        *((a, "start", FIELDS[field]) for field, a in openinference.REQUEST.items()),
        ("llm.invocation_parameters", "start", "the parameters above, as JSON"),
        ("graph.node.id, graph.node.name", "start", "the graph's node"),
        ("tag.tags, metadata", "start", "tags; the metadata above, as JSON"),
        ("llm.finish_reason", "end", "the first choice's"),
        *((a, "end", _code(f"usage: {field}")) for field, a in openinference.USAGE.items()),
        (openinference.TOTAL_TOKENS, "end", "prompt and completion"),
    ]
    head = ("attribute", "when", "from")
    return [
        "## lc_otel's own attributes, whatever the convention\n",
        *_table(head, ((_code(name), when, what) for name, when, what in rows)),
        "## OpenInference attributes, where `Config.conventions` names it\n",
        *_table(
            head,
            ((", ".join(map(_code, name.split(", "))), when, what) for name, when, what in told),
        ),
    ]


def _metrics() -> list[str]:
    rows = []
    for key, row in INSTRUMENTS.items():
        source = key if key in ATTRIBUTES else "inference"
        attributes = [attribute for _, attribute in ATTRIBUTES[source]]
        if source == "inference":
            attributes.append(names.RESPONSE_MODEL)
        if key in DURATIONS.values():
            attributes.append(names.ERROR_TYPE)
        if key in {"input_tokens", "output_tokens"}:
            attributes.append(names.TOKEN_TYPE)
        rows.append(
            (_code(row.current), _code(row.draft), row.unit, ", ".join(map(_code, attributes)))
        )
    head = ("histogram", 'with `metric_names="draft"`', "unit", "attributes")
    return [METRICS, *_table(head, rows)]


def _origins() -> list[str]:
    rows = ((_code(said), _code(told)) for said, told in PROVIDERS.items())
    return [
        "## Providers\n",
        "Others are told as LangChain says them, in lower case; `bedrock*` is `aws.bedrock`.\n",
        *_table(("`ls_provider`", "`gen_ai.provider.name`"), rows),
    ]


if __name__ == "__main__":
    PAGE.write_text(write(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")
