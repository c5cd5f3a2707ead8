"""A handler in, every run of the process told to it: one hook, in LangChain's managers and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lc_otel._handler import OTelCallbackHandler
from lc_otel.callbacks._hooks import register_configure_hook

if TYPE_CHECKING:
    from contextvars import ContextVar


class _Installed:
    """What the hook asks for a handler; a hook cannot be unregistered, so this can be emptied.

    It stands where the hook expects a context variable and reads its value. A real one would be
    empty in threads that were started before it was set.
    """

    name = "lc_otel_handler"

    def __init__(self) -> None:
        self.handlers: tuple[OTelCallbackHandler, ...] = ()
        """The last one is told; the others take its place in turn."""
        self._registered = False

    def get(self, default: Any = None) -> Any:
        return (default, *self.handlers)[-1]

    def register(self) -> None:
        if not self._registered:
            self._registered = True
            # By class: where a handler of ours is attached already, the hook adds no second one.
            hook = cast("ContextVar[Any]", self)
            register_configure_hook(hook, inheritable=True, handle_class=OTelCallbackHandler)


_installed = _Installed()


def install(handler: OTelCallbackHandler) -> None:
    """Tell every run that starts from now on to ``handler``, in every thread."""
    _installed.handlers += (handler,)
    _installed.register()


def uninstall(handler: OTelCallbackHandler | None = None) -> None:
    """Tell no further run; runs that are open are told to their end.

    Args:
        handler: Only this one; the one that was installed before it is told again.
    """
    _installed.handlers = tuple(each for each in _installed.handlers if handler not in (None, each))


def installed() -> OTelCallbackHandler | None:
    """The handler to which all runs are told."""
    handler: OTelCallbackHandler | None = _installed.get()
    return handler
