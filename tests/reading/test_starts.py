"""What is read of a run's start: provider, model, server, parameters, names, conversation."""

from __future__ import annotations

from typing import Any

import pytest

from lc_otel import Config
from tests.telemetry import Telemetry, answer


def told(config: Config | None = None, **start: Any) -> dict[str, Any]:
    """Attributes of a chat model's run that starts so."""
    telemetry = Telemetry(config)
    telemetry.chat([("user", "hi")], answer({"type": "ai", "content": "ho"}), **start)
    return telemetry.attributes


@pytest.mark.parametrize(
    ("said", "provider"),
    [
        ("openai", "openai"),
        ("anthropic", "anthropic"),
        ("azure", "azure.ai.openai"),
        ("amazon_bedrock", "aws.bedrock"),
        ("bedrock_converse", "aws.bedrock"),
        ("google_genai", "gcp.gemini"),
        ("google_vertexai", "gcp.vertex_ai"),
        ("mistral", "mistral_ai"),
        ("mistralai", "mistral_ai"),
        ("xai", "x_ai"),
        ("ibm", "ibm.watsonx.ai"),
        ("groq", "groq"),
        ("deepseek", "deepseek"),
        ("ollama", "ollama"),
        ("cohere", "cohere"),
        ("perplexity", "perplexity"),
        ("MyOwn", "myown"),
    ],
)
def test_a_provider_is_told_by_its_well_known_name(said: str, provider: str) -> None:
    """LangChain's word becomes the registry's value; another stays, in lower case."""
    assert told(metadata={"ls_provider": said})["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("start", "provider"),
    [
        ({"invocation_params": {"_type": "openai-chat"}}, "openai"),
        ({"invocation_params": {"_type": "azure-openai-chat"}}, "azure.ai.openai"),
        ({"serialized": {"id": ["langchain", "chat_models", "mistralai", "Chat"]}}, "mistral_ai"),
        ({}, "_OTHER"),
    ],
)
def test_a_provider_that_is_not_named_is_looked_for(start: Any, provider: str) -> None:
    """The parameters' type, then the class's package; else the value for what is not listed."""
    assert told(**start)["gen_ai.provider.name"] == provider


@pytest.mark.parametrize(
    ("kwargs", "server"),
    [
        ({"openai_api_base": "https://api.openai.com/v1"}, ("api.openai.com", 443)),
        ({"base_url": "http://localhost:11434"}, ("localhost", 11434)),
        ({"azure_endpoint": "https://x.openai.azure.com/"}, ("x.openai.azure.com", 443)),
        ({"anthropic_api_url": "https://[::1]:8443"}, ("::1", 8443)),
        ({"base_url": "https://user:secret@llm.test/v1?key=secret"}, ("llm.test", 443)),
        ({"base_url": "http://host:port"}, (None, None)),
        ({"base_url": 7, "other_url": "http://x.test"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_a_server_is_told_where_the_model_names_its_base_url(kwargs: Any, server: Any) -> None:
    """Host and port of an allow-list of fields, and nothing else of the URL."""
    attributes = told(serialized={"name": "Chat", "kwargs": kwargs})
    assert (attributes.get("server.address"), attributes.get("server.port")) == server


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"temperature": 0, "top_p": 1}, {"temperature": 0.0, "top_p": 1.0}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"n": 1}, {}),
        ({"n": 3}, {"choice.count": 3}),
        ({"stop": "END"}, {"stop_sequences": ("END",)}),
        ({"stop_sequences": ["a", "b"]}, {"stop_sequences": ("a", "b")}),
        ({"reasoning": {"effort": "high"}}, {"reasoning.level": "high"}),
        ({"seed": 2**70, "top_k": "many", "temperature": float("nan")}, {}),
        ({"seed": True}, {}),
        ({"stream": True}, {"stream": True}),
        ({"stream": False}, {}),
    ],
)
def test_parameters_are_told_under_the_conventions_names(params: Any, expected: Any) -> None:
    """Each provider's spelling, in the registry's type; what is not of it is left out."""
    prefix = "gen_ai.request."
    attributes = {
        key.removeprefix(prefix): value
        for key, value in told(invocation_params=params).items()
        if key.startswith(prefix)
    }
    assert attributes == expected


@pytest.mark.parametrize(
    ("params", "output"),
    [
        ({"response_format": {"type": "json_schema"}}, "json"),
        ({"response_format": {"type": "text"}}, "text"),
        ({"modalities": ["text", "audio"]}, "speech"),
        ({}, None),
    ],
)
def test_an_output_type_is_told_where_one_is_asked_for(params: Any, output: Any) -> None:
    """JSON, text or speech."""
    assert told(invocation_params=params).get("gen_ai.output.type") == output


def test_the_conversation_is_the_first_key_that_holds_one() -> None:
    """thread_id before session_id before conversation_id; a UUID is never made up."""
    both = {"session_id": "s", "thread_id": "t"}
    assert told(metadata=both)["gen_ai.conversation.id"] == "t"
    assert told(metadata={"conversation_id": 7})["gen_ai.conversation.id"] == "7"
    assert "gen_ai.conversation.id" not in told(metadata={"thread_id": ""})
    own = Config(conversation_keys=("case",), user_keys=("member",))
    attributes = told(own, metadata={"case": "c1", "thread_id": "t", "member": "m", "user_id": "u"})
    assert attributes["gen_ai.conversation.id"] == "c1"
    assert attributes["user.id"] == "m"


def test_a_types_name_is_no_workflows_name() -> None:
    """A workflow's name is of low cardinality and means something, or is not told."""
    for name in ("RunnableSequence", "LangGraph", "ChatPromptTemplate", "StrOutputParser"):
        telemetry = Telemetry()
        telemetry.chain({}, {}, name=name)
        assert telemetry.span.name == "invoke_workflow"
        assert "gen_ai.workflow.name" not in telemetry.attributes
    telemetry = Telemetry()
    telemetry.chain({}, {}, name="LangGraph", metadata={"workflow_name": "triage"})
    assert telemetry.span.name == "invoke_workflow triage"


def test_names_that_cannot_be_encoded_do_not_cost_the_batch() -> None:
    """A lone surrogate in a span's name would lose every span beside it."""
    telemetry = Telemetry()
    telemetry.chain({}, {}, name="fl\ud800ow", tags=["t\udfff"])
    assert telemetry.span.name == "invoke_workflow fl�ow"
    assert telemetry.attributes["langchain.run.tags"] == ("t�",)
    telemetry.encoded()


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (["seq:step:2"], None),
        (["graph:step:1", "mine"], ("mine",)),
        (["map:key:context"], ("map:key:context",)),
        ([7, "mine"], ("mine",)),
    ],
)
def test_tags_are_told_but_for_the_numbers_that_langchain_gives_steps(tags: Any, told: Any) -> None:
    """A trace has the steps in their order anyway; which key of a map one fills, it has not."""
    telemetry = Telemetry()
    telemetry.chain({}, {}, tags=tags)
    assert telemetry.attributes.get("langchain.run.tags") == told


def test_a_retriever_tells_its_embedding_model_but_no_provider() -> None:
    """LangChain names the embeddings' class, which is not who retrieves."""
    telemetry = Telemetry()
    metadata = {
        "ls_embedding_provider": "OpenAIEmbeddings",
        "ls_embedding_model": "text-embedding-3-small",
        "ls_vector_store_provider": "Chroma",
        "data_source_id": "handbook",
        "top_k": 4,
    }
    telemetry.retriever("q", [], metadata=metadata)
    attributes = telemetry.attributes
    assert telemetry.span.name == "retrieval handbook"
    assert attributes["gen_ai.request.model"] == "text-embedding-3-small"
    assert attributes["gen_ai.retrieval.top_k"] == 4
    assert attributes["langchain.metadata.ls_vector_store_provider"] == "Chroma"
    assert "gen_ai.provider.name" not in attributes
