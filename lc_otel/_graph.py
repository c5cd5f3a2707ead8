"""A handler in, one that LangGraph also tells of interrupts and resumes out."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from lc_otel._opener import is_graphs, module_of

if TYPE_CHECKING:
    from types import FrameType

    from lc_otel._handler import OTelCallbackHandler


def enlist(handler: OTelCallbackHandler, opener: FrameType) -> None:
    """Let ``handler`` hear lifecycle events, when the first graph opens a run.

    LangGraph sends them to instances of its own `GraphCallbackHandler` alone. Importing that costs
    most of a second, so it waits until a graph runs; and the handler users hold was made long
    before, so it is the handler whose class changes. Versions without such events change nothing.
    """
    if is_graphs(module_of(opener)):
        base = getattr(sys.modules.get("langgraph.callbacks"), "GraphCallbackHandler", None)
        if base is not None and not isinstance(handler, base):
            cls: type = type(handler)
            handler.__class__ = _graph_class(cls, base)


@cache
def _graph_class(cls: type, base: type) -> type:
    return type(cls.__name__, (cls, base), {"__module__": cls.__module__, "__doc__": cls.__doc__})
