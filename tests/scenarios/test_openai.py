"""A real client: ChatOpenAI over HTTP to a local stub, with its HTTP client instrumented too."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

openai = pytest.importorskip("openai")
langchain_openai = pytest.importorskip("langchain_openai")
httpx_instrumentation = pytest.importorskip("opentelemetry.instrumentation.httpx")

from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import BaseModel

from tests.openai_stub import MODEL, Stub, openai_stub
from tests.scenarios.ways import call, each_way
from tests.versions import at_least

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenarios.conftest import Oracle


@pytest.fixture(scope="module")
def server() -> Iterator[Stub]:
    """The server, one for all tests: a client's set-up takes longer than its calls."""
    with openai_stub() as stub:
        yield stub


@pytest.fixture
def stub(server: Stub) -> Stub:
    """The server, with nothing left of the test before."""
    server.requests.clear()
    server.failures.clear()
    return server


@pytest.fixture(autouse=True)
def http_spans(oracle: Oracle) -> Iterator[None]:
    """Instrument the HTTP client that openai uses."""
    # openai 3 moved from httpx to httpx2
    name = "HTTPX2ClientInstrumentor" if at_least("openai", "3") else "HTTPXClientInstrumentor"
    instrumentor = getattr(httpx_instrumentation, name)()
    instrumentor.instrument(tracer_provider=oracle.tracer_provider)
    yield
    instrumentor.uninstrument()


@cache
def make_model(stub: Stub, **more: Any) -> Any:
    """A model that talks to the stub."""
    settings: dict[str, Any] = {"temperature": 0.5, "max_retries": 0, "max_tokens": 50, **more}
    return langchain_openai.ChatOpenAI(
        model="gpt-4o", base_url=stub.url, api_key="sk-secret", **settings
    )


@each_way
async def test_the_request_nests_and_the_answer_is_told(
    way: str, stub: Stub, oracle: Oracle
) -> None:
    """The HTTP span is the model's child; server, response, finish reasons and usage are true."""
    streams = way.endswith("stream")
    model = make_model(stub, **({"stream_usage": True} if streams else {}))
    chain = RunnableLambda(lambda x: x) | model
    await call(way, chain, "hi", oracle.config())
    assert oracle.parent_name("POST") == "chat gpt-4o"
    attributes = oracle.span("chat gpt-4o").attributes
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "server.address": "127.0.0.1",
        "server.port": stub.port,
    }
    if streams:
        expected["gen_ai.request.stream"] = True
        del expected["gen_ai.response.id"]  # LangChain drops it from streamed messages
    assert {key: attributes.get(key) for key in expected} == expected
    assert ("gen_ai.request.stream" in attributes) == streams
    assert len(oracle.llm_calls) == 1


@each_way
async def test_tool_calls(way: str, stub: Stub, oracle: Oracle) -> None:
    """A model that asks for a tool: finish reason tool_calls, one model span, one request."""

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    model = make_model(stub).bind_tools([add])
    await call(way, model, "1+2", oracle.config())
    [span] = oracle.llm_calls
    assert span.attributes["gen_ai.response.finish_reasons"] == ("tool_calls",)
    assert oracle.parent_name("POST") == "chat gpt-4o"


# langchain-openai 1.0 dumps openai's parsed answer against its type
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_structured_output(way: str, stub: Stub, oracle: Oracle) -> None:
    """A model asked for a schema says its output type is JSON, in a chain of its own."""

    class City(BaseModel):
        """A city."""

        city: str

    model = make_model(stub).with_structured_output(City, method="json_schema")
    answer = await call(way, model, "capital?", oracle.config())
    assert answer == City(city="Bern")
    [span] = oracle.llm_calls
    assert span.attributes["gen_ai.output.type"] == "json"
    assert oracle.parent_name("POST") == "chat gpt-4o"


@each_way
@pytest.mark.parametrize(
    ("status", "error_type"),
    [(400, "context_length_exceeded"), (429, "rate_limit_exceeded"), (500, None)],
)
async def test_errors(
    way: str, status: int, error_type: str | None, stub: Stub, oracle: Oracle
) -> None:
    """An HTTP error: status, the provider's code where it has one, else the exception's class."""
    stub.failures = [status]
    with pytest.raises(openai.APIError) as raised:
        await call(way, make_model(stub), "hi", oracle.config())
    span = oracle.span("chat gpt-4o")
    assert span.status == "error"
    cls = raised.type
    assert span.attributes["error.type"] == (error_type or f"{cls.__module__}.{cls.__qualname__}")
    assert [event.name for event in span.events] == ["exception"]
    assert oracle.parent_name("POST") == "chat gpt-4o"


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_retries_of_the_client_are_requests_of_one_model_span(
    way: str, stub: Stub, oracle: Oracle
) -> None:
    """A client that retries makes two HTTP spans under one model span, which ends well."""
    stub.failures = [429]
    await call(way, make_model(stub, max_retries=2), "hi", oracle.config())
    posts = [span for span in oracle.spans if span.name == "POST"]
    assert len(posts) == 2
    assert oracle.parent_name("POST") == "chat gpt-4o"
    assert oracle.span("chat gpt-4o").status == "unset"


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_retries_of_a_runnable_are_runs_of_their_own(
    way: str, stub: Stub, oracle: Oracle
) -> None:
    """``with_retry``: a failed and a good model span side by side."""
    stub.failures = [500]
    model = make_model(stub).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    await call(way, model, "hi", oracle.config())
    assert [span.status for span in oracle.llm_calls] == ["error", "unset"]


async def test_the_key_leaves_nowhere(stub: Stub, oracle: Oracle) -> None:
    """No attribute of any of our spans holds the API key or the base URL's path."""
    await make_model(stub).ainvoke("hi", oracle.config())
    said = repr([span for span in oracle.spans if span.scope == "lc_otel"])
    assert "sk-secret" not in said
    assert "/v1" not in said
