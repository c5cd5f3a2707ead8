"""Handlers and a size in, LangChain at work on local fake models: what every bridge is run with."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import CallbackManagerForRetrieverRun

ANSWER = "The quick brown fox jumps over the lazy dog."
QUESTION = "What does the fox do, and how often does it do so in a day?"
MESSAGES = 50
MESSAGE_BYTES = 4_000
GRAPH_STEPS = 10
TREE_TURNS = 3


class Workload(NamedTuple):
    """A program that does the same thing over and over.

    What it costs is the difference between a long and a short run, so that nothing which happens
    once counts.
    """

    title: str
    run: Callable[[RunnableConfig, int], None]
    """Does it so many times, under this config."""
    units: int
    """What one time comes to: LangChain runs, or tokens."""
    short: int
    long: int
    many: int
    """Times at full speed, where CPU time and memory are looked at."""


class FakeChat(BaseChatModel):
    """A chat model that answers at once, with usage and metadata as OpenAI's has them."""

    model_name: str = "gpt-4o-mini"
    temperature: float = 0.2
    tokens: int = 8
    """How many pieces a streamed answer has."""

    @property
    def _llm_type(self) -> str:
        return "openai-chat"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model_name": self.model_name, "temperature": self.temperature}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return super()._get_ls_params(stop, **kwargs) | {"ls_provider": "openai"}

    def _generate(self, messages: list[BaseMessage], *_: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage(
            ANSWER,
            id="chatcmpl-1",
            usage_metadata={"input_tokens": 17, "output_tokens": 10, "total_tokens": 27},
            response_metadata={"model_name": "gpt-4o-mini-2024-07-18", "finish_reason": "stop"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **kwargs: Any) -> ChatResult:
        return self._generate(messages)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.tokens):
            chunk = ChatGenerationChunk(message=AIMessageChunk("fox "))
            if run_manager is not None:
                run_manager.on_llm_new_token("fox ", chunk=chunk)
            yield chunk


class FakeRetriever(BaseRetriever):
    """Finds the same two documents."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [Document(ANSWER, metadata={"source": str(page)}) for page in range(2)]


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: {ANSWER}"


def _chain() -> Runnable[Any, str]:
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
    return prompt | FakeChat() | StrOutputParser()


def _chat(config: RunnableConfig, size: int) -> None:
    model = FakeChat()
    for _ in range(size):
        model.invoke(QUESTION, config)


def _chains(config: RunnableConfig, size: int) -> None:
    chain = _chain()
    for _ in range(size):
        chain.invoke({"question": QUESTION}, config)


def _trees(config: RunnableConfig, size: int) -> None:
    chain, retriever = _chain(), FakeRetriever()

    def turn(question: str) -> str:
        found = retriever.invoke(question)
        look_up.invoke({"word": found[0].page_content[:9]})
        return chain.invoke({"question": question})

    step = RunnableLambda(turn, name="turn")
    agent = RunnableLambda(lambda question: [step.invoke(question) for _ in range(TREE_TURNS)])
    for _ in range(size):
        agent.invoke(QUESTION, {**config, "run_name": "agent"})


class _State(TypedDict):
    steps: int


@cache
def _graph() -> Any:
    graph = StateGraph(_State)
    names = [f"step_{index}" for index in range(GRAPH_STEPS)]
    for name in names:
        graph.add_node(name, lambda state: {"steps": state["steps"] + 1})
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile()


def _graphs(config: RunnableConfig, size: int) -> None:
    for _ in range(size):
        _graph().invoke({"steps": 0}, config)


def _stream(config: RunnableConfig, size: int) -> None:
    for _ in FakeChat(tokens=size).stream(QUESTION, config):
        pass


def _concurrent(config: RunnableConfig, size: int) -> None:
    chain = _chain()

    async def main() -> None:
        await asyncio.gather(*(chain.ainvoke({"question": QUESTION}, config) for _ in range(size)))

    asyncio.run(main())


def _large(config: RunnableConfig, size: int) -> None:
    model = FakeChat()
    text = 'The fox said "jump".\n' * (MESSAGE_BYTES // 20)
    messages: Sequence[BaseMessage] = [HumanMessage(text) for _ in range(MESSAGES)]
    for _ in range(size):
        model.invoke(messages, config)


WORKLOADS: Mapping[str, Workload] = {
    "chat": Workload("one chat call", _chat, 1, 20, 60, 300),
    "chain": Workload("prompt, model, parser", _chains, 4, 10, 30, 150),
    "tree": Workload("agent-like tree of 22 runs", _trees, 1 + TREE_TURNS * 7, 3, 9, 30),
    "graph": Workload("LangGraph graph of 10 steps", _graphs, 1 + GRAPH_STEPS, 5, 15, 60),
    "concurrent": Workload("concurrent `ainvoke`s of the chain", _concurrent, 4, 10, 60, 1_000),
    "large": Workload("200 kB prompt of 50 messages", _large, 1, 4, 12, 50),
    "stream": Workload("a token of a stream", _stream, 1, 200, 1_000, 1_000),
}
"""By name."""
