"""A handler that adds up the tokens of chat models, by model."""

# ruff: noqa: ARG002 - an event is handed over with more than this handler needs
from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lc_otel.callbacks._hooks import register_configure_hook
from lc_otel.callbacks._messages import get
from lc_otel.callbacks.base import BaseCallbackHandler

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from lc_otel.callbacks._shapes import LLMResult, UsageMetadata


class UsageMetadataCallbackHandler(BaseCallbackHandler):
    """Sums the ``usage_metadata`` of answers that name their model.

    The answer is read by shape: its first generation's message, with ``usage_metadata`` (token
    counts, nested) and ``response_metadata["model_name"]``, as attributes or as dict keys.
    """

    usage_metadata: dict[str, UsageMetadata]
    """By model name: `input_tokens`, `output_tokens`, `total_tokens` and their details."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.usage_metadata = {}

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
                self.usage_metadata[model] = _add(self.usage_metadata.get(model, {}), usage)


def _add(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """The sum of two nested dicts of counts, key by key; a count that is None is zero."""
    total = dict(left)
    for key, value in right.items():
        if isinstance(value, dict):
            total[key] = _add(left.get(key) or {}, value)
        else:
            total[key] = (left.get(key) or 0) + (value or 0)
    return total


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
