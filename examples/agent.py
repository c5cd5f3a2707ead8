"""An agent with two tools: model calls, tool calls, and a tool that fails."""

from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import tool

from lc_otel import configure


@tool
def weather(city: str) -> str:
    """Look up today's weather."""
    return f"Rain in {city}."


@tool
def book_table(city: str) -> str:
    """Book a table outside."""
    raise RuntimeError(f"no tables outside in {city}")


class ScriptedModel(GenericFakeChatModel):
    """Stands in for a paid model; says what it is given to say."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Accept the tools an agent offers."""
        return self.bind(**kwargs)


def call(name: str, number: int) -> AIMessage:
    """A model's wish to call a tool."""
    tool_call = {"name": name, "args": {"city": "Bergen"}, "id": f"call_{number}"}
    usage = {"input_tokens": 40 * number, "output_tokens": 9, "total_tokens": 40 * number + 9}
    return AIMessage("", tool_calls=[tool_call], usage_metadata=usage)


def main() -> None:
    """Ask the agent and print its trace, the failed tool included."""
    pipeline = configure(console=True)
    script = [call("weather", 1), call("book_table", 2)]
    agent = create_agent(ScriptedModel(messages=iter(script)), [weather, book_table], name="waiter")
    question = {"messages": [("user", "Can we eat outside in Bergen?")]}
    try:
        agent.invoke(question, {"callbacks": [pipeline.handler]})
    except RuntimeError as error:
        print(f"the agent failed: {error}")


if __name__ == "__main__":
    main()
