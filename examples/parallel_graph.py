"""A LangGraph graph whose middle nodes run side by side."""

import operator
from typing import Annotated, TypedDict

from langchain_core.language_models import FakeListChatModel
from langgraph.graph import END, START, StateGraph

from lc_otel import configure


class State(TypedDict):
    """What the nodes share; reviews are collected."""

    text: str
    reviews: Annotated[list[str], operator.add]


def review(kind: str, verdict: str):
    """Build a node that asks a model for its verdict."""
    model = FakeListChatModel(responses=[verdict])

    def node(state: State) -> dict[str, list[str]]:
        return {"reviews": [f"{kind}: {model.invoke(state['text']).content}"]}

    return node


def main() -> None:
    """Run two reviews at once and print the trace."""
    graph = StateGraph(State)
    graph.add_node("draft", lambda _: {"text": "Dogs are welcome."})
    graph.add_node("style", review("style", "short and clear"))
    graph.add_node("facts", review("facts", "true of the annex"))
    graph.add_edge(START, "draft")
    for node in ("style", "facts"):
        graph.add_edge("draft", node)
        graph.add_edge(node, END)

    with configure(console=True) as pipeline:
        app = graph.compile(name="review-desk")
        config = {"callbacks": [pipeline.handler], "configurable": {"thread_id": "desk-1"}}
        print(*app.invoke({"reviews": []}, config)["reviews"], sep="\n")


if __name__ == "__main__":
    main()
