"""The documented home of managers, run managers and dispatch; custom events find their run here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lc_otel.callbacks import _host
from lc_otel.callbacks._dispatch import ahandle_event, handle_event, shielded
from lc_otel.callbacks._groups import (
    AsyncCallbackManagerForChainGroup,
    CallbackManagerForChainGroup,
    atrace_as_chain_group,
    trace_as_chain_group,
)
from lc_otel.callbacks._hooks import register_configure_hook
from lc_otel.callbacks._managers import (
    AsyncCallbackManager,
    CallbackManager,
    M,
    configure,
    describe,
)
from lc_otel.callbacks._run_managers import (
    AsyncCallbackManagerForChainRun,
    AsyncCallbackManagerForLLMRun,
    AsyncCallbackManagerForRetrieverRun,
    AsyncCallbackManagerForToolRun,
    AsyncParentRunManager,
    AsyncRunManager,
    BaseRunManager,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
    CallbackManagerForToolRun,
    ParentRunManager,
    RunManager,
)
from lc_otel.callbacks.base import (
    BaseCallbackHandler,
    BaseCallbackManager,
    Callbacks,
    ChainManagerMixin,
    LLMManagerMixin,
    RetrieverManagerMixin,
    RunManagerMixin,
    ToolManagerMixin,
)
from lc_otel.callbacks.stdout import StdOutCallbackHandler

if TYPE_CHECKING:
    from lc_otel.callbacks._shapes import RunnableConfig

__all__ = [
    "AsyncCallbackManager",
    "AsyncCallbackManagerForChainGroup",
    "AsyncCallbackManagerForChainRun",
    "AsyncCallbackManagerForLLMRun",
    "AsyncCallbackManagerForRetrieverRun",
    "AsyncCallbackManagerForToolRun",
    "AsyncParentRunManager",
    "AsyncRunManager",
    "BaseCallbackHandler",
    "BaseCallbackManager",
    "BaseRunManager",
    "CallbackManager",
    "CallbackManagerForChainGroup",
    "CallbackManagerForChainRun",
    "CallbackManagerForLLMRun",
    "CallbackManagerForRetrieverRun",
    "CallbackManagerForToolRun",
    "Callbacks",
    "ChainManagerMixin",
    "LLMManagerMixin",
    "ParentRunManager",
    "RetrieverManagerMixin",
    "RunManager",
    "RunManagerMixin",
    "StdOutCallbackHandler",
    "ToolManagerMixin",
    "adispatch_custom_event",
    "ahandle_event",
    "atrace_as_chain_group",
    "dispatch_custom_event",
    "handle_event",
    "register_configure_hook",
    "shielded",
    "trace_as_chain_group",
]


def dispatch_custom_event(name: str, data: Any, *, config: RunnableConfig | None = None) -> None:
    """Tell an event of the application's own, from inside a run, to that run's handlers.

    Args:
        name: The event's name.
        data: Whatever there is to say.
        config: ``{"callbacks": run.get_child()}``, or a runnable's config. Inside a LangChain
            runnable it may be left out.

    Raises:
        RuntimeError: There is no run to tell it of.
    """
    manager = _configure_for_event(CallbackManager, config)
    manager.on_custom_event(name, data, run_id=manager.parent_run_id)


async def adispatch_custom_event(
    name: str, data: Any, *, config: RunnableConfig | None = None
) -> None:
    """Tell an event of the application's own, as `dispatch_custom_event`, without blocking.

    Args:
        name: The event's name.
        data: Whatever there is to say.
        config: ``{"callbacks": run.get_child()}``, or a runnable's config. Inside a LangChain
            runnable it may be left out, but for Python 3.10, where it does not reach coroutines.

    Raises:
        RuntimeError: There is no run to tell it of.
    """
    manager = _configure_for_event(AsyncCallbackManager, config)
    await manager.on_custom_event(name, data, run_id=manager.parent_run_id)


def _configure_for_event(kind: type[M], config: RunnableConfig | None) -> M:
    config = _host.current_config(config)
    manager = configure(kind, config.get("callbacks"), None, verbose=False)
    if manager.parent_run_id is None:
        raise RuntimeError(
            "Unable to dispatch an adhoc event without a parent run id. Call this inside a run: in "
            "a LangChain runnable or tool, or with config={'callbacks': run.get_child()}."
        )
    return describe(manager, config.get("tags"), None, config.get("metadata"), None)
