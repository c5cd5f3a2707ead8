"""Models, tools and retrievers that stand in for paid ones, and tell the tests what they see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.documents import Document
from langchain_core.language_models import LLM, BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from langchain_core.retrievers import BaseRetriever
from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

USAGE = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


class FakeChat(BaseChatModel):
    """Answers with its script, one message a call, then with "done"; streams a word a chunk.

    With a tracer, each call opens a span "http" where a real model would send its request.
    """

    script: list[Any] = []
    tracer: Any = None
    delay: float = 0.0
    fail: Any = None
    calls: list[Any] = []

    @property
    def _llm_type(self) -> str:
        return "fake-chat"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": "fake-1", "ls_model_type": "chat"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[{"name": getattr(tool, "name", str(tool))} for tool in tools])

    def _answer(self) -> AIMessage:
        if self.fail is not None:
            raise self.fail
        message = self.script.pop(0) if self.script else "done"
        if isinstance(message, str):
            message = AIMessage(message)
        message.usage_metadata = message.usage_metadata or USAGE
        return message

    def _request(self, name: str) -> Any:
        """A span where a real model's HTTP client would make one."""
        self.calls.append(trace.get_current_span().get_span_context())
        tracer = self.tracer or trace.NoOpTracer()
        return tracer.start_as_current_span(name)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._request("http"):
            return ChatResult(generations=[ChatGeneration(message=self._answer())])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._request("http"):
            await asyncio.sleep(self.delay)
            return ChatResult(generations=[ChatGeneration(message=self._answer())])

    def _chunks(self) -> Iterator[ChatGenerationChunk]:
        message = self._answer()
        words = str(message.content).split(" ")
        for index, word in enumerate(words):
            last = index == len(words) - 1
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    word if last else word + " ",
                    tool_calls=message.tool_calls if last else [],
                    usage_metadata=message.usage_metadata if last else None,
                )
            )


class StreamingChat(FakeChat):
    """A `FakeChat` that can stream, and opens a span "http" before and "chunk" at each piece."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self._request("http"):
            pass
        for chunk in self._chunks():
            with self._request("chunk"):
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with self._request("http"):
            await asyncio.sleep(self.delay)
        for chunk in self._chunks():
            with self._request("chunk"):
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class FakeLLM(LLM):
    """A text model that answers "done", with a span "http" where it would send its request."""

    tracer: Any = None

    @property
    def _llm_type(self) -> str:
        return "fake-llm"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        with (self.tracer or trace.NoOpTracer()).start_as_current_span("http"):
            return "done"

    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        with (self.tracer or trace.NoOpTracer()).start_as_current_span("http"):
            pass
        for word in ("do", "ne"):
            chunk = GenerationChunk(text=word)
            if run_manager:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


class FakeRetriever(BaseRetriever):
    """Finds one document, with a span "search" where it would ask a database."""

    tracer: Any = None

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        with (self.tracer or trace.NoOpTracer()).start_as_current_span("search"):
            return [Document("a page", id="d1", metadata={"score": 0.5})]


def calls_tool(name: str, args: dict[str, Any], call_id: str = "c1") -> AIMessage:
    """A model's answer that asks for a tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": call_id}])
