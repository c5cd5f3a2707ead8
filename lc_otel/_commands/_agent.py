"""A question in, an answer out: a small LangChain agent that needs no network and no key.

The model is scripted; everything else (agent, tools, retriever, streaming) is LangChain's own.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.callbacks import (
        CallbackManagerForLLMRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.messages import BaseMessage
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.runnables import Runnable

AGENT_NAME = "hut-guide"
SYSTEM_PROMPT = "You help hikers choose a mountain hut. Look facts up before you state them."
QUESTION = "Which hut on the ridge takes dogs, and what do two nights cost for three people?"
SEARCH_QUERY = "hut on the ridge that takes dogs"
NIGHTS, GUESTS = 2, 3

_WORD = re.compile(r"\w+|[^\w\s]")
_PRICE = re.compile(r"costs (\d+) a person")


class HutRetriever(BaseRetriever):
    """Finds documents by the words they share with the query."""

    documents: list[Document]
    k: int = 2

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002  # LangChain's signature
    ) -> list[Document]:
        wanted = _stems(query)
        scored = [
            (len(wanted & _stems(document.page_content)) / len(wanted), document)
            for document in self.documents
        ]
        scored.sort(key=lambda pair: pair[0], reverse=True)
        return [
            Document(
                id=document.id,
                page_content=document.page_content,
                metadata={**document.metadata, "score": round(score, 3)},
            )
            for score, document in scored[: self.k]
        ]


def read_documents() -> list[Document]:
    """Read the documents that ship with the package."""
    huts = json.loads(resources.files(__package__).joinpath("huts.json").read_text("utf-8"))
    return [
        Document(id=f"hut-{number}", page_content=hut["text"], metadata={"name": hut["name"]})
        for number, hut in enumerate(huts, 1)
    ]


@tool
def search_huts(query: str) -> str:
    """Look up what the guidebook says about huts and paths."""
    found = HutRetriever(documents=read_documents(), name="guidebook").invoke(query)
    return "\n".join(f"{document.metadata['name']}: {document.page_content}" for document in found)


@tool
def quote_stay(price: int, nights: int, guests: int) -> str:
    """Work out what a stay costs in total."""
    return f"total: {price * nights * guests}"


class ScriptedChatModel(BaseChatModel):
    """Plays the model's part: searches, asks for a quote, then answers from what the tools said."""

    model_name: str = "scripted-1"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Pass tools on in the form a provider takes; the script knows them already."""
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = list(self._stream(messages, stop, run_manager, **kwargs))
        whole = chunks[0].message
        for chunk in chunks[1:]:
            whole += chunk.message
        message = AIMessage(
            content=whole.content,
            tool_calls=getattr(whole, "tool_calls", []),
            usage_metadata=getattr(whole, "usage_metadata", None),
            response_metadata=whole.response_metadata,
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002  # LangChain's signature
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> Iterator[ChatGenerationChunk]:
        reply = play(messages)
        pieces = re.findall(r"\S+\s*", str(reply.content)) or [""]
        for piece in pieces:
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
            if run_manager and piece:
                run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                tool_calls=reply.tool_calls,
                usage_metadata=count_tokens(messages, reply),
                response_metadata={
                    "model_name": f"{self.model_name}-2026-11",
                    "finish_reason": "tool_calls" if reply.tool_calls else "stop",
                },
            )
        )


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """The script: what to say after what has been said."""
    said = [message for message in messages if isinstance(message, ToolMessage)]
    if not said:
        return AIMessage("", tool_calls=[_call("search_huts", {"query": SEARCH_QUERY}, 1)])
    name, _, facts = str(said[0].content).partition(": ")
    price = _PRICE.search(facts)
    if price is None:
        return AIMessage("The guidebook names no hut with a price for that.")
    if len(said) == 1:
        stay = {"price": int(price[1]), "nights": NIGHTS, "guests": GUESTS}
        return AIMessage("", tool_calls=[_call("quote_stay", stay, 2)])
    total = str(said[1].content).removeprefix("total: ")
    return AIMessage(
        f"{name} takes dogs, in its annex. {NIGHTS} nights for {GUESTS} people come to {total}, "
        "supper included."
    )


def count_tokens(messages: Sequence[BaseMessage], reply: AIMessage) -> UsageMetadata:
    """Count words and marks as tokens; all but the last message is as if read from a cache."""
    counts = [len(_WORD.findall(f"{m.content} {getattr(m, 'tool_calls', '')}")) for m in messages]
    given = len(_WORD.findall(f"{reply.content} {reply.tool_calls}"))
    return {
        "input_tokens": sum(counts),
        "output_tokens": given,
        "total_tokens": sum(counts) + given,
        "input_token_details": {"cache_read": sum(counts[:-1]) if len(counts) > 2 else 0},  # noqa: PLR2004  # system prompt and question: the first call
    }


def build_agent() -> Any:
    """Put the agent together."""
    return create_agent(
        ScriptedChatModel(),
        tools=[search_huts, quote_stay],
        system_prompt=SYSTEM_PROMPT,
        name=AGENT_NAME,
    )


def _call(name: str, arguments: dict[str, Any], number: int) -> Any:
    return {"name": name, "args": arguments, "id": f"call_{number}", "type": "tool_call"}


def _stems(text: str) -> set[str]:
    """The words of a text without plural endings, short ones left out."""
    words = (word.lower().rstrip("s") for word in re.findall(r"\w+", text))
    return {word for word in words if len(word) > 2}  # noqa: PLR2004  # "a", "of", "is"
