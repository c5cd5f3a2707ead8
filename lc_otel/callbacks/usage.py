"""A handler that adds up the tokens of chat models, by model."""

# ruff: noqa: ARG002 - an event is handed over with more than this handler needs
from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lc_otel.callbacks._hooks import register_configure_hook
from lc_otel.callbacks._messages import get
from lc_otel.callbacks.base import BaseCallbackHandler

if TYPE_CHECKING:
    from lc_otel.callbacks._shapes import LLMResult, UsageMetadata


class UsageMetadataCallbackHandler(BaseCallbackHandler):
    """Sums the ``usage_metadata`` of answers that name their model.

    The answer is read by shape: its first generation's message, with ``usage_metadata`` (token
    counts, nested) and ``response_metadata["model_name"]``, as attributes or as dict keys.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.usage_metadata: dict[str, UsageMetadata] = {}
        """By model name: `input_tokens`, `output_tokens`, `total_tokens` and their details."""

    def __repr__(self) -> str:
        return str(self.usage_metadata)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Add the answer's tokens to those of its model."""
        try:
            message = get(get(response, "generations")[0][0], "message")
        except (IndexError, KeyError, TypeError):
            return
        usage = get(message, "usage_metadata")
        model = get(get(message, "response_metadata"), "model_name")
        if usage and model:
            with self._lock:
                held = self.usage_metadata.get(model)
                self.usage_metadata[model] = dict(usage) if held is None else _add(held, usage)


def _add(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """The sum of two nested dicts of counts, key by key."""
    return {**left, **{key: _sum(left.get(key), value) for key, value in right.items()}}


def _sum(held: Any, new: Any) -> Any:
    """Two entries as one: counts add up, and give way to nothing else; of the rest the first stays.

    A provider adds what it likes to its counts, such as the tier that served the call.
    """
    if isinstance(held, Mapping) and isinstance(new, Mapping):
        return _add(held, new)
    if all(one is None or isinstance(one, (int, float)) for one in (held, new)):
        return (held or 0) + (new or 0)
    counts = (int, float, Mapping)
    new_wins = held is None or (isinstance(new, counts) and not isinstance(held, counts))
    return new if new_wins else held


_slots: dict[str, list[ContextVar[UsageMetadataCallbackHandler | None]]] = {}
"""A variable, with its hook, for each depth of nesting: hooks cannot be unregistered."""
_slots_lock = threading.Lock()


def _free_slot(name: str) -> ContextVar[UsageMetadataCallbackHandler | None]:
    with _slots_lock:
        slots = _slots.setdefault(name, [])
        for slot in slots:
            if slot.get() is None:
                return slot
        slots.append(ContextVar(name, default=None))
        register_configure_hook(slots[-1], inheritable=True)
        return slots[-1]


@contextmanager
def get_usage_metadata_callback(
    name: str = "usage_metadata_callback",
) -> Generator[UsageMetadataCallbackHandler, None, None]:
    """Sum the tokens of every model called in the block, through our managers or LangChain's.

    Blocks may be nested: an inner block's tokens count in the outer one as well.

    Args:
        name: The name of the context variable that holds the handler.

    Yields:
        The handler; its ``usage_metadata`` may also be read after the block.
    """
    slot = _free_slot(name)
    handler = UsageMetadataCallbackHandler()
    token = slot.set(handler)
    try:
        yield handler
    finally:
        slot.reset(token)
