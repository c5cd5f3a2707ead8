"""A handler that prints chains, tools and texts to stdout as they come."""

# ruff: noqa: ARG002 - an event is handed over with more than this handler needs
from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from lc_otel.callbacks import _host
from lc_otel.callbacks.base import BaseCallbackHandler

if TYPE_CHECKING:
    from lc_otel.callbacks._shapes import AgentAction, AgentFinish

    class HostStdOut:
        """To a type checker LangChain's base handler is base enough."""

else:
    HostStdOut = _host.stdout_class()

# The terminal codes of langchain_core.utils.input.
_COLORS = {
    "blue": "36;1",
    "yellow": "33;1",
    "pink": "38;5;200",
    "green": "32;1",
    "red": "31;1",
}


def print_text(
    text: str, color: str | None = None, end: str = "", file: TextIO | None = None
) -> None:
    """Print a text in a color, to stdout or to a file, which is flushed.

    Raises:
        KeyError: The color is none of blue, yellow, pink, green and red.
    """
    if color:
        text = f"\x1b[{_COLORS[color]}m\x1b[1;3m{text}\x1b[0m"
    print(text, end=end, file=file)
    if file:
        file.flush()


def chain_name(serialized: dict[str, Any] | None, name: str | None) -> str:
    """A chain's name: the one given at its start, else what its class says of itself."""
    if name is not None:
        return name
    serialized = serialized or {}
    return str(serialized.get("name") or (serialized.get("id") or ["<unknown>"])[-1])


class StdOutCallbackHandler(BaseCallbackHandler, HostStdOut):
    """Prints to stdout; `color` is for texts that come without one of their own."""

    def __init__(self, color: str | None = None) -> None:
        self.color = color

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: dict[str, Any], **kwargs: Any
    ) -> None:
        """Print which chain starts, in bold."""
        name = chain_name(serialized, kwargs.get("name"))
        print_text(f"\n\n\x1b[1m> Entering new {name} chain...\x1b[0m", end="\n")

    def on_chain_end(self, outputs: dict[str, Any], **kwargs: Any) -> None:
        """Print that the chain is over."""
        print_text("\n\x1b[1m> Finished chain.\x1b[0m", end="\n")

    def on_agent_action(self, action: AgentAction, color: str | None = None, **kwargs: Any) -> Any:
        """Print the agent's log of its action."""
        print_text(action.log, color=color or self.color)

    def on_tool_end(
        self,
        output: Any,
        color: str | None = None,
        observation_prefix: str | None = None,
        llm_prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Print the tool's output between the two prefixes."""
        if observation_prefix is not None:
            print_text(f"\n{observation_prefix}")
        print_text(str(output), color=color or self.color)
        if llm_prefix is not None:
            print_text(f"\n{llm_prefix}")

    def on_text(
        self,
        text: str,
        color: str | None = None,
        end: str = "",
        **kwargs: Any,
    ) -> None:
        """Print the text."""
        print_text(text, color=color or self.color, end=end)

    def on_agent_finish(self, finish: AgentFinish, color: str | None = None, **kwargs: Any) -> None:
        """Print the agent's log of its end."""
        print_text(finish.log, color=color or self.color, end="\n")
