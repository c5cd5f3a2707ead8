"""What Arize Phoenix shows of the demo agent: messages, tool calls, documents, tokens, session."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from lc_otel.config import Config
from tests.e2e.documented import read_settings
from tests.e2e.programs import CACHE, Launcher, Program, answers, free_addresses, miss, wait_until
from tests.e2e.sending import PROTOCOLS, sending
from tests.versions import needs_create_agent

needs_create_agent()
from lc_otel._commands._agent import (
    GUESTS,
    NIGHTS,
    QUESTION,
    SEARCH_QUERY,
    SYSTEM_PROMPT,
    HutRetriever,
    build_agent,
    read_documents,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.phoenix

PROJECT = "my-agent"
"""As docs/backends.md has it."""
MESSAGE = "llm.{}_messages.{}.message.{}"
CALL = "tool_calls.0.tool_call.function.{}"


def find_phoenix() -> str:
    """Return the path of the command."""
    cached = CACHE / "phoenix/bin/phoenix"
    path = str(cached) if cached.exists() else shutil.which("phoenix")
    return path or miss("Phoenix", "scripts/build-backends phoenix installs it (850 MB)")


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Phoenix with a database of its own, which calls nobody."""
    folder = tmp_path_factory.mktemp("phoenix")
    http, grpc = free_addresses(2)
    with Launcher(folder) as launch:
        yield launch.launch(
            "phoenix",
            [find_phoenix(), "serve"],
            {
                "PHOENIX_WORKING_DIR": str(folder),
                "PHOENIX_HOST": "127.0.0.1",
                "PHOENIX_PORT": http.rpartition(":")[2],
                "PHOENIX_GRPC_PORT": grpc.rpartition(":")[2],
                "PHOENIX_TELEMETRY_ENABLED": "false",
                "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            },
            lambda: answers(f"http://{http}/healthz"),
            {"http/protobuf": http, "grpc": grpc},
        )


def get(phoenix: Program, path: str) -> list[dict[str, Any]]:
    """Return what Phoenix's API has under a path of the project; nothing before its first span."""
    url = f"http://{phoenix.addresses['http/protobuf']}/v1/projects/{PROJECT}/{path}?limit=1000"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []
        raise
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_demo_agent_is_shown_with_all_its_content(
    phoenix: Program, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages, tool calls, documents with scores, tokens and the session are where they belong."""
    session_id = f"session-{protocol[:4]}"
    config = Config(capture_content=True, conventions=("openinference",))
    settings = read_settings()["Phoenix"] | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{phoenix.addresses[protocol]}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with sending(config=config) as (pipeline, ended):
        result = build_agent().invoke(
            {"messages": [("user", QUESTION)]},
            config={
                "callbacks": [pipeline.handler],
                "metadata": {"thread_id": session_id, "user_id": "ann"},
            },
        )
        assert pipeline.flush()
    sent = {span.span_id: span for span in ended()}
    trace_id = next(iter(sent.values())).trace_id

    def shown() -> list[dict[str, Any]]:
        return [span for span in get(phoenix, "spans") if span["context"]["trace_id"] == trace_id]

    wait_until(lambda: len(shown()) == len(sent), "Phoenix shows the spans")
    spans = sorted(shown(), key=lambda span: str(span["start_time"]))
    for span in spans:
        assert span["name"] == sent[span["context"]["span_id"]].name
        assert span["parent_id"] == sent[span["context"]["span_id"]].parent_id
        assert span["attributes"]["session.id"] == session_id
        assert span["attributes"]["user.id"] == "ann"
    of_kind = {
        kind: [span["attributes"] for span in spans if span["span_kind"] == kind]
        for kind in ("AGENT", "LLM", "TOOL", "RETRIEVER")
    }

    (agent,) = of_kind["AGENT"]
    assert agent["agent.name"] == "hut-guide"
    assert_models_are_shown(of_kind["LLM"], result["messages"][-1].text)
    search, quote = of_kind["TOOL"]
    assert (search["tool.name"], quote["tool.name"]) == ("search_huts", "quote_stay")
    assert json.loads(search["input.value"]) == {"query": SEARCH_QUERY}
    assert "Birch Saddle Hut" in search["output.value"]
    assert_documents_are_shown(of_kind["RETRIEVER"])

    (session,) = (each for each in get(phoenix, "sessions") if each["session_id"] == session_id)
    assert [trace["trace_id"] for trace in session["traces"]] == [trace_id]
    usage = [message.usage_metadata for message in result["messages"] if message.type == "ai"]
    assert session["token_count_prompt"] == sum(each["input_tokens"] for each in usage)
    assert session["token_count_completion"] == sum(each["output_tokens"] for each in usage)


def assert_models_are_shown(models: list[dict[str, Any]], answer: str) -> None:
    """The three calls have their prompt, the tool calls they asked for, and the answer."""
    for model in models:
        assert model[MESSAGE.format("input", 0, "role")] == "system"
        assert model[MESSAGE.format("input", 0, "content")] == SYSTEM_PROMPT
        assert model[MESSAGE.format("input", 1, "role")] == "user"
        assert model[MESSAGE.format("input", 1, "content")] == QUESTION
    search, quote, last = models
    name, arguments = (
        MESSAGE.format("output", 0, CALL.format(each)) for each in ("name", "arguments")
    )
    assert search[name] == "search_huts"
    assert json.loads(search[arguments]) == {"query": SEARCH_QUERY}
    assert quote[name] == "quote_stay"
    assert json.loads(quote[arguments]).items() >= {("nights", NIGHTS), ("guests", GUESTS)}
    assert last[MESSAGE.format("output", 0, "content")] == answer


def assert_documents_are_shown(retrievers: list[dict[str, Any]]) -> None:
    """The one retrieval has what the retriever finds, with its scores, in order."""
    (retriever,) = retrievers
    found = HutRetriever(documents=read_documents()).invoke(SEARCH_QUERY)
    assert found
    assert [
        (
            retriever[f"retrieval.documents.{index}.document.id"],
            retriever[f"retrieval.documents.{index}.document.content"],
            retriever[f"retrieval.documents.{index}.document.score"],
        )
        for index in range(len(found))
    ] == [(document.id, document.page_content, document.metadata["score"]) for document in found]
    assert f"retrieval.documents.{len(found)}.document.id" not in retriever
