"""Context variables that put a handler into every manager configured while they are set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lc_otel.callbacks import _host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import ContextVar

    from lc_otel.callbacks._shapes import AnyHandler
    from lc_otel.callbacks.base import BaseCallbackHandler

_FALSE = ("", "0", "false", "False")
"""What LangChain takes for unset in an environment variable."""

_hooks: list[tuple[ContextVar[Any], bool, type[Any] | None, str | None]] = []


def register_configure_hook(
    context_var: ContextVar[Any | None],
    inheritable: bool,
    handle_class: type[BaseCallbackHandler] | None = None,
    env_var: str | None = None,
) -> None:
    """Have every `configure` look for a handler, in our managers and in LangChain's.

    A hook cannot be taken back: it rests while its variable is None.

    Args:
        context_var: Holds the handler to add, or None. Its default counts too: a handler given as
            the default is added in every thread and task.
        inheritable: Whether child runs get the handler as well.
        handle_class: Add the handler only where there is none of this class yet; without a class,
            only where it is not itself there yet.
        env_var: While this environment variable is set, an empty `context_var` means a new
            instance of `handle_class`.

    Raises:
        ValueError: An `env_var` without a `handle_class`.
    """
    if env_var is not None and handle_class is None:
        raise ValueError("If env_var is set, handle_class must also be set to a non-None value.")
    _hooks.append((context_var, inheritable, handle_class, env_var))
    _host.register_hook(context_var, inheritable, handle_class, env_var)


def hooked_handlers(present: list[AnyHandler]) -> Iterator[tuple[AnyHandler, bool]]:
    """Each handler that a hook asks for and `present` lacks, and whether children inherit it.

    LangChain's own hooks count, so that its run collectors see our runs. The caller adds each
    handler to `present` before it asks for the next.
    """
    for hook in (*_hooks, *(hook for hook in _host.registered_hooks() if hook not in _hooks)):
        context_var, inheritable, handle_class, env_var = hook
        handler = context_var.get()
        if handler is None and (env_var is None or os.environ.get(env_var, "") in _FALSE):
            continue
        if handle_class is None:
            there = any(one is handler for one in present)
        else:
            there = any(isinstance(one, handle_class) for one in present)
        if not there:
            yield handle_class() if handler is None and handle_class else handler, inheritable
