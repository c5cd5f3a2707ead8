"""The frame that opened a chain in, whether an agent did, and its name, out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lc_otel._opener import is_graphs, module_of
from lc_otel._reading.starts import UNKNOWN, Opener

if TYPE_CHECKING:
    from types import FrameType

_logger = logging.getLogger(__name__)

_BUILDERS = frozenset(
    # module and name of the functions whose graphs are agents
    {
        ("langchain.agents.factory", "create_agent"),
        ("langgraph.prebuilt.chat_agent_executor", "create_react_agent"),
    }
)
_EXECUTORS = frozenset({"AgentExecutor", "AgentExecutorIterator"})
_PROGRAM = Opener(is_program=True)


def read_opener(frame: FrameType) -> Opener:
    """What the code that opened a chain's run tells of it.

    Why code is asked, and not marks in metadata: docs/adr/0012-agents-are-known-by-their-code.md.
    """
    module = module_of(frame)
    if not module.startswith(("langchain", "langgraph")):
        return _PROGRAM
    try:
        if is_graphs(module):
            return _read_graph(frame.f_locals.get("self"))
        if module.startswith(("langchain.", "langchain_classic.")):
            return _read_chain(frame.f_locals.get("self"))
    except Exception:
        _logger.debug("What opened a chain could not be read.", exc_info=True)
    return UNKNOWN


def _read_graph(graph: Any) -> Opener:
    """An agent, where a node's function was defined inside a function that builds agents."""
    for node in getattr(graph, "nodes", {}).values():
        runnable = getattr(node, "bound", None)
        function = getattr(runnable, "func", None) or getattr(runnable, "afunc", None)
        builder = str(getattr(function, "__qualname__", "")).partition(".")[0]
        if (getattr(function, "__module__", None), builder) in _BUILDERS:
            return Opener(str(graph.name))
    return UNKNOWN


def _read_chain(chain: Any) -> Opener:
    if _EXECUTORS.isdisjoint(base.__name__ for base in type(chain).__mro__):
        return UNKNOWN
    return Opener("")
