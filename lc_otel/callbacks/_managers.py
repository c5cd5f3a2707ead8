"""Callback managers: the start of a run in, its handlers called, the run's own manager out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from lc_otel.callbacks import _host
from lc_otel.callbacks._dispatch import IGNORED_BY, ahandle_event, ahandle_events, handle_event
from lc_otel.callbacks._hooks import hooked_handlers
from lc_otel.callbacks._run_managers import (
    AsyncCallbackManagerForChainRun,
    AsyncCallbackManagerForLLMRun,
    AsyncCallbackManagerForRetrieverRun,
    AsyncCallbackManagerForToolRun,
    BaseRunManager,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
    CallbackManagerForToolRun,
    bind,
)
from lc_otel.callbacks._uuid7 import uuid7
from lc_otel.callbacks.base import BaseCallbackManager, copied
from lc_otel.callbacks.stdout import HostStdOut, StdOutCallbackHandler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from lc_otel.callbacks._shapes import BaseMessage
    from lc_otel.callbacks.base import Callbacks

    # To a type checker LangChain's base manager is base enough; its run managers are not ours.
    class _HostSync: ...

    class _HostAsync: ...
else:
    _HostSync, _HostAsync = _host.manager_classes()

R = TypeVar("R", bound=BaseRunManager)
M = TypeVar("M", bound=BaseCallbackManager)


class CallbackManager(BaseCallbackManager, _HostSync):
    """Starts runs, by plain calls; each start returns the manager of that run."""

    def _start(
        self, kind: type[R], event_name: str, run_id: UUID | None, /, *args: Any, **kwargs: Any
    ) -> R:
        if run_id is None:
            run_id = uuid7()
        handle_event(
            self.handlers,
            event_name,
            IGNORED_BY[event_name],
            *args,
            run_id=run_id,
            parent_run_id=self.parent_run_id,
            tags=self.tags,
            metadata=self.metadata,
            **kwargs,
        )
        return bind(kind, run_id, self)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> list[CallbackManagerForLLMRun]:
        """Start a text model's run for each prompt; a given `run_id` is the first one's."""
        return [
            self._start(
                CallbackManagerForLLMRun,
                "on_llm_start",
                None if position else run_id,
                serialized,
                [prompt],
                **kwargs,
            )
            for position, prompt in enumerate(prompts)
        ]

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> list[CallbackManagerForLLMRun]:
        """Start a chat model's run for each list of messages; a given `run_id` is the first one's.

        A message may be LangChain's or a dict with ``role`` and ``content``.
        """
        return [
            self._start(
                CallbackManagerForLLMRun,
                "on_chat_model_start",
                None if position else run_id,
                serialized,
                [batch],
                **kwargs,
            )
            for position, batch in enumerate(messages)
        ]

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: dict[str, Any] | Any,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> CallbackManagerForChainRun:
        """Start the run of a chain, or of any step that has parts."""
        return self._start(
            CallbackManagerForChainRun, "on_chain_start", run_id, serialized, inputs, **kwargs
        )

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,  # noqa: ARG002 - documented; the manager's own wins
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> CallbackManagerForToolRun:
        """Start a tool's run; `inputs` are its arguments by name, `parent_run_id` is ignored."""
        kwargs["inputs"] = inputs
        return self._start(
            CallbackManagerForToolRun, "on_tool_start", run_id, serialized, input_str, **kwargs
        )

    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,  # noqa: ARG002 - documented; the manager's own wins
        **kwargs: Any,
    ) -> CallbackManagerForRetrieverRun:
        """Start a retriever's run; `parent_run_id` is ignored."""
        return self._start(
            CallbackManagerForRetrieverRun,
            "on_retriever_start",
            run_id,
            serialized,
            query,
            **kwargs,
        )

    def on_custom_event(
        self,
        name: str,
        data: Any,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell an event of the application's own.

        Raises:
            ValueError: Extra keyword arguments: what there is to say belongs into `data`.
        """
        if not self.handlers:
            return
        _refuse_extra(kwargs)
        handle_event(
            self.handlers,
            "on_custom_event",
            "ignore_custom_event",
            name,
            data,
            run_id=run_id or uuid7(),
            tags=self.tags,
            metadata=self.metadata,
        )

    @classmethod
    def configure(
        cls,
        inheritable_callbacks: Callbacks = None,
        local_callbacks: Callbacks = None,
        verbose: bool = False,
        inheritable_tags: list[str] | None = None,
        local_tags: list[str] | None = None,
        inheritable_metadata: dict[str, Any] | None = None,
        local_metadata: dict[str, Any] | None = None,
        *,
        langsmith_inheritable_metadata: Mapping[str, Any] | None = None,  # noqa: ARG003 - LangSmith
        langsmith_inheritable_tags: list[str] | None = None,  # noqa: ARG003 - LangSmith
    ) -> CallbackManager:
        """Make a manager of what callers gave and what hooks add.

        Args:
            inheritable_callbacks: Handlers for this run and its children, or a manager to copy.
            local_callbacks: Handlers for this run only, or the manager that has them.
            verbose: Whether to print this run with a StdOutCallbackHandler.
            inheritable_tags: Tags for this run and its children.
            local_tags: Tags for this run only.
            inheritable_metadata: Metadata for this run and its children.
            local_metadata: Metadata for this run only.
            langsmith_inheritable_metadata: Accepted and unused: it is for LangSmith's tracer.
            langsmith_inheritable_tags: Accepted and unused: it is for LangSmith's tracer.

        Raises:
            TypeError: Callbacks that are neither a list nor a manager.
        """
        manager = configure(cls, inheritable_callbacks, local_callbacks, verbose=verbose)
        return describe(manager, inheritable_tags, local_tags, inheritable_metadata, local_metadata)


class AsyncCallbackManager(BaseCallbackManager, _HostAsync):
    """Starts runs, by coroutines; each start returns the manager of that run."""

    @property
    def is_async(self) -> bool:
        """Whether the events of this manager are coroutines."""
        return True

    def _start_kwargs(self, run_id: UUID, kwargs: dict[str, Any]) -> dict[str, Any]:
        return dict(
            run_id=run_id,
            parent_run_id=self.parent_run_id,
            tags=self.tags,
            metadata=self.metadata,
            **kwargs,
        )

    async def _start(
        self, kind: type[R], event_name: str, run_id: UUID | None, /, *args: Any, **kwargs: Any
    ) -> R:
        run = bind(kind, run_id or uuid7(), self)
        event = (args, self._start_kwargs(run.run_id, kwargs))
        await ahandle_events(self.handlers, event_name, IGNORED_BY[event_name], [event])
        return run

    async def _start_each(
        self,
        event_name: str,
        run_id: UUID | None,
        serialized: dict[str, Any],
        inputs: Iterable[Any],
        kwargs: dict[str, Any],
    ) -> list[AsyncCallbackManagerForLLMRun]:
        """Start a model's run for each input, every one known to all inline handlers first."""
        inputs = list(inputs)
        runs = [
            bind(AsyncCallbackManagerForLLMRun, (not position and run_id) or uuid7(), self)
            for position in range(len(inputs))
        ]
        events = [
            ((serialized, [one]), self._start_kwargs(run.run_id, kwargs))
            for one, run in zip(inputs, runs, strict=True)
        ]
        await ahandle_events(self.handlers, event_name, IGNORED_BY[event_name], events)
        return runs

    async def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> list[AsyncCallbackManagerForLLMRun]:
        """Start a text model's run for each prompt; a given `run_id` is the first one's."""
        return await self._start_each("on_llm_start", run_id, serialized, prompts, kwargs)

    async def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> list[AsyncCallbackManagerForLLMRun]:
        """Start a chat model's run for each list of messages; a given `run_id` is the first one's.

        A message may be LangChain's or a dict with ``role`` and ``content``.
        """
        return await self._start_each("on_chat_model_start", run_id, serialized, messages, kwargs)

    async def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: dict[str, Any] | Any,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> AsyncCallbackManagerForChainRun:
        """Start the run of a chain, or of any step that has parts."""
        return await self._start(
            AsyncCallbackManagerForChainRun, "on_chain_start", run_id, serialized, inputs, **kwargs
        )

    async def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,  # noqa: ARG002 - documented; the manager's own wins
        **kwargs: Any,
    ) -> AsyncCallbackManagerForToolRun:
        """Start a tool's run; `parent_run_id` is ignored."""
        return await self._start(
            AsyncCallbackManagerForToolRun, "on_tool_start", run_id, serialized, input_str, **kwargs
        )

    async def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        run_id: UUID | None = None,
        parent_run_id: UUID | None = None,  # noqa: ARG002 - documented; the manager's own wins
        **kwargs: Any,
    ) -> AsyncCallbackManagerForRetrieverRun:
        """Start a retriever's run; `parent_run_id` is ignored."""
        return await self._start(
            AsyncCallbackManagerForRetrieverRun,
            "on_retriever_start",
            run_id,
            serialized,
            query,
            **kwargs,
        )

    async def on_custom_event(
        self,
        name: str,
        data: Any,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell an event of the application's own.

        Raises:
            ValueError: Extra keyword arguments: what there is to say belongs into `data`.
        """
        if not self.handlers:
            return
        _refuse_extra(kwargs)
        await ahandle_event(
            self.handlers,
            "on_custom_event",
            "ignore_custom_event",
            name,
            data,
            run_id=run_id or uuid7(),
            tags=self.tags,
            metadata=self.metadata,
        )

    @classmethod
    def configure(
        cls,
        inheritable_callbacks: Callbacks = None,
        local_callbacks: Callbacks = None,
        verbose: bool = False,
        inheritable_tags: list[str] | None = None,
        local_tags: list[str] | None = None,
        inheritable_metadata: dict[str, Any] | None = None,
        local_metadata: dict[str, Any] | None = None,
        *,
        langsmith_inheritable_metadata: Mapping[str, Any] | None = None,  # noqa: ARG003 - LangSmith
        langsmith_inheritable_tags: list[str] | None = None,  # noqa: ARG003 - LangSmith
    ) -> AsyncCallbackManager:
        """Make a manager of what callers gave and hooks add, as `CallbackManager.configure`."""
        manager = configure(cls, inheritable_callbacks, local_callbacks, verbose=verbose)
        return describe(manager, inheritable_tags, local_tags, inheritable_metadata, local_metadata)


def configure(
    kind: type[M], inheritable_callbacks: Callbacks, local_callbacks: Callbacks, *, verbose: bool
) -> M:
    inheritable_callbacks, local_callbacks = inheritable_callbacks or [], local_callbacks or []
    for given in (inheritable_callbacks, local_callbacks):
        if not (isinstance(given, list) or hasattr(given, "inheritable_handlers")):
            raise TypeError(
                f"callbacks must be a list of handlers or a callback manager, got "
                f"{type(given).__name__}; put a single handler into a list"
            )
    if isinstance(inheritable_callbacks, list):
        inherited = inheritable_callbacks
        manager = kind(handlers=inherited.copy(), inheritable_handlers=inherited.copy())
    else:
        manager = kind(**copied(inheritable_callbacks))
    local = local_callbacks if isinstance(local_callbacks, list) else local_callbacks.handlers
    for handler in local:
        manager.add_handler(handler, inherit=False)
    if verbose and not any(isinstance(one, HostStdOut) for one in manager.handlers):
        manager.add_handler(StdOutCallbackHandler(), inherit=False)
    for handler, inheritable in hooked_handlers(manager.handlers):
        manager.add_handler(handler, inheritable)
    return manager


def describe(
    manager: M,
    inheritable_tags: list[str] | None,
    local_tags: list[str] | None,
    inheritable_metadata: dict[str, Any] | None,
    local_metadata: dict[str, Any] | None,
) -> M:
    manager.add_tags(inheritable_tags or [])
    manager.add_tags(local_tags or [], inherit=False)
    manager.add_metadata(inheritable_metadata or {})
    manager.add_metadata(local_metadata or {}, inherit=False)
    return manager


def _refuse_extra(kwargs: dict[str, Any]) -> None:
    if kwargs:
        raise ValueError(
            "The dispatcher API does not accept additional keyword arguments. Please do not pass "
            f"any additional keyword arguments ({', '.join(kwargs)}), instead include them in the "
            "data field."
        )
