"""A handler that prints each token to stdout as the model streams it."""

# ruff: noqa: ARG002 - an event is handed over with more than this handler needs
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lc_otel.callbacks.base import BaseCallbackHandler

if TYPE_CHECKING:
    from lc_otel.callbacks._shapes import AgentAction, AgentFinish, BaseMessage, LLMResult


class StreamingStdOutCallbackHandler(BaseCallbackHandler):
    """Prints tokens, and nothing else; the model must stream."""

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **kwargs: Any) -> None:
        """Print nothing."""

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **kwargs: Any
    ) -> None:
        """Print nothing."""

    def on_llm_new_token(self, token: str | list[str | dict[str, Any]], **kwargs: Any) -> None:
        """Print the token at once; a list of content blocks as Python writes it."""
        sys.stdout.write(str(token))
        sys.stdout.flush()

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Print nothing."""

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """Print nothing."""

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: dict[str, Any], **kwargs: Any
    ) -> None:
        """Print nothing."""

    def on_chain_end(self, outputs: dict[str, Any], **kwargs: Any) -> None:
        """Print nothing."""

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """Print nothing."""

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **kwargs: Any) -> None:
        """Print nothing."""

    def on_agent_action(self, action: AgentAction, **kwargs: Any) -> Any:
        """Print nothing."""

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        """Print nothing."""

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        """Print nothing."""

    def on_text(self, text: str, **kwargs: Any) -> None:
        """Print nothing."""

    def on_agent_finish(self, finish: AgentFinish, **kwargs: Any) -> None:
        """Print nothing."""
