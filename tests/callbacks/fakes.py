"""Handlers that keep what they are told, for tests that need no LangChain."""

from __future__ import annotations

from typing import Any

from lc_otel.callbacks.base import AsyncCallbackHandler, BaseCallbackHandler

EVENTS = [name for name in dir(BaseCallbackHandler) if name.startswith("on_")]


class Told:
    """One event as a handler was told of it."""

    def __init__(self, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.event = event
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"{self.event}{self.args}"


def listener(base: type = BaseCallbackHandler, **attributes: Any) -> Any:
    """A handler that keeps every event in `told`; `raises`, if given, is raised after each."""

    def method(event: str) -> Any:
        def tell(self: Any, *args: Any, **kwargs: Any) -> None:
            self.told.append(Told(event, args, kwargs))
            if getattr(self, "raises", None) is not None:
                raise self.raises

        async def atell(self: Any, *args: Any, **kwargs: Any) -> None:
            tell(self, *args, **kwargs)

        return atell if issubclass(base, AsyncCallbackHandler) else tell

    members = {event: method(event) for event in EVENTS}
    return type("Listener", (base,), {**members, "told": [], **attributes})()


def events(handler: Any) -> list[str]:
    """The names of the events that the handler was told, in order."""
    return [told.event for told in handler.told]
