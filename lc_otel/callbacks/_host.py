"""LangChain's own callback classes, hooks and config where it is installed; stand-ins where not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

__all__ = [
    "HostHandler",
    "HostManager",
    "current_config",
    "manager_classes",
    "register_hook",
    "registered_hooks",
    "run_manager_class",
    "stdout_class",
]

# An ImportError may also come from a langchain_core that is itself being imported just now:
# both mean that we stand alone.
try:
    from langchain_core.callbacks.base import BaseCallbackHandler as HostHandler
    from langchain_core.callbacks.base import BaseCallbackManager as HostManager
except ImportError:

    class HostHandler:  # type: ignore[no-redef]  # the stand-in
        """What a handler derives from where there is no LangChain."""

    class HostManager:  # type: ignore[no-redef]  # the stand-in
        """What a manager derives from where there is no LangChain."""


if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import ContextVar

    from lc_otel.callbacks._shapes import RunnableConfig


def manager_classes() -> tuple[type, type]:
    """LangChain's CallbackManager and AsyncCallbackManager, else `object` twice.

    LangGraph runs a given manager itself only if it is one of these. They cost several times what
    the base classes cost to import, so only the manager module asks for them.
    """
    try:
        from langchain_core.callbacks.manager import (  # noqa: PLC0415 - see above
            AsyncCallbackManager,
            CallbackManager,
        )
    except ImportError:
        return object, object
    return CallbackManager, AsyncCallbackManager


def run_manager_class() -> type:
    """LangChain's AsyncCallbackManagerForLLMRun, else `object`.

    Its retries await `on_retry` only of one of these; it asks so of no other run manager.
    """
    try:
        from langchain_core.callbacks.manager import (  # noqa: PLC0415 - as for manager_classes
            AsyncCallbackManagerForLLMRun,
        )
    except ImportError:
        return object
    return AsyncCallbackManagerForLLMRun


def stdout_class() -> type:
    """LangChain's StdOutCallbackHandler, else a stand-in; ours derives from it.

    A verbose run is printed unless there is one of these already.
    """
    try:
        from langchain_core.callbacks.stdout import (  # noqa: PLC0415 - not every handler prints
            StdOutCallbackHandler,
        )
    except ImportError:
        return type("HostStdOut", (), {})
    return StdOutCallbackHandler


def register_hook(
    context_var: ContextVar[Any],
    inheritable: bool,
    handle_class: type[Any] | None,
    env_var: str | None,
) -> None:
    """Register a hook for LangChain's own managers too; nothing where there is no LangChain."""
    try:
        from langchain_core.tracers.context import (  # noqa: PLC0415 - imports langsmith
            register_configure_hook,
        )
    except ImportError:
        return
    register_configure_hook(context_var, inheritable, handle_class, env_var)


def registered_hooks() -> Sequence[tuple[ContextVar[Any], bool, type[Any] | None, str | None]]:
    """The hooks of LangChain's managers, ours among them; none while its registry is unloaded.

    LangChain has no public way to list them. Nobody can have set a hook before its registry was
    imported, so looking never imports anything.
    """
    registry = sys.modules.get("langchain_core.tracers.context")
    return getattr(registry, "_configure_hooks", ())


def current_config(config: RunnableConfig | None) -> RunnableConfig:
    """The config given, over that of the LangChain runnable whose body is running, if any."""
    if "langchain_core" not in sys.modules:  # or the managers would have imported it
        return config or {}
    try:
        from langchain_core.runnables.config import (  # noqa: PLC0415 - only custom events need it
            ensure_config,
        )
    except ImportError:
        return config or {}
    return ensure_config(cast("Any", config))
