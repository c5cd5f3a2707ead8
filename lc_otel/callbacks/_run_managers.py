"""Run managers: a run's ids, handlers and tags, and what the run may tell after its start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from lc_otel.callbacks import _host
from lc_otel.callbacks._dispatch import IGNORED_BY, ahandle_event, handle_event, shielded
from lc_otel.callbacks._mixins import (
    ChainManagerMixin,
    LLMManagerMixin,
    RetrieverManagerMixin,
    RunManagerMixin,
    ToolManagerMixin,
)
from lc_otel.callbacks._uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from typing_extensions import Self

    from lc_otel.callbacks._managers import AsyncCallbackManager, CallbackManager
    from lc_otel.callbacks._shapes import (
        AgentAction,
        AgentFinish,
        AnyHandler,
        ChatGenerationChunk,
        Document,
        GenerationChunk,
        LLMResult,
        MessagesData,
        RetryCallState,
    )
    from lc_otel.callbacks.base import BaseCallbackManager

    Manager = TypeVar("Manager", bound=BaseCallbackManager)

    # To a type checker ours are not LangChain's: their handlers are typed more loosely.
    class _HostAsyncLLMRun: ...

else:
    _HostAsyncLLMRun = _host.run_manager_class()

R = TypeVar("R", bound="BaseRunManager")


class BaseRunManager(RunManagerMixin):
    """A callback manager bound to one run."""

    def __init__(
        self,
        *,
        run_id: UUID,
        handlers: list[AnyHandler],
        inheritable_handlers: list[AnyHandler],
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        inheritable_tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inheritable_metadata: dict[str, Any] | None = None,
    ) -> None:
        self.run_id = run_id
        self.handlers = handlers
        self.inheritable_handlers = inheritable_handlers
        self.parent_run_id = parent_run_id
        self.tags = tags or []
        self.inheritable_tags = inheritable_tags or []
        self.metadata = metadata or {}
        self.inheritable_metadata = inheritable_metadata or {}

    @classmethod
    def get_noop_manager(cls) -> Self:
        """Return a run that nobody listens to, for code that needs a run manager."""
        return cls(run_id=uuid7(), handlers=[], inheritable_handlers=[])


def bind(kind: type[R], run_id: UUID, source: BaseCallbackManager | BaseRunManager) -> R:
    """Make a run manager that shares the lists and dicts of a manager or another run manager."""
    return kind(
        run_id=run_id,
        handlers=source.handlers,
        inheritable_handlers=source.inheritable_handlers,
        parent_run_id=source.parent_run_id,
        tags=source.tags,
        inheritable_tags=source.inheritable_tags,
        metadata=source.metadata,
        inheritable_metadata=source.inheritable_metadata,
    )


def _child_of(run: BaseRunManager, manager: Manager, tag: str | None) -> Manager:
    """Hand a run's inheritable half down to the empty manager of its children."""
    manager.set_handlers(run.inheritable_handlers)
    manager.add_tags(run.inheritable_tags)
    manager.add_metadata(run.inheritable_metadata)
    if tag is not None:
        manager.add_tags([tag], inherit=False)
    return manager


class RunManager(BaseRunManager):
    """A run whose events are plain calls."""

    def _emit(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:
        if self.handlers:
            handle_event(
                self.handlers,
                event_name,
                IGNORED_BY[event_name],
                *args,
                run_id=self.run_id,
                parent_run_id=self.parent_run_id,
                tags=self.tags,
                **kwargs,
            )

    def on_text(self, text: str, **kwargs: Any) -> None:
        """Tell of a text of the run's own."""
        self._emit("on_text", text, **kwargs)

    def on_retry(self, retry_state: RetryCallState, **kwargs: Any) -> None:
        """Tell that a call is about to be retried."""
        self._emit("on_retry", retry_state, **kwargs)


class ParentRunManager(RunManager):
    """A run that may have children."""

    def get_child(self, tag: str | None = None) -> CallbackManager:
        """Return a manager for this run's children; `tag` marks them but not their children."""
        from lc_otel.callbacks._managers import CallbackManager  # noqa: PLC0415 - a cycle

        return _child_of(self, CallbackManager(handlers=[], parent_run_id=self.run_id), tag)


class AsyncRunManager(BaseRunManager, ABC):
    """A run whose events are coroutines."""

    @abstractmethod
    def get_sync(self) -> RunManager:
        """Return the sync manager of this very run, with the same lists."""

    async def _emit(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:
        if self.handlers:
            await ahandle_event(
                self.handlers,
                event_name,
                IGNORED_BY[event_name],
                *args,
                run_id=self.run_id,
                parent_run_id=self.parent_run_id,
                tags=self.tags,
                **kwargs,
            )

    async def on_text(self, text: str, **kwargs: Any) -> None:
        """Tell of a text of the run's own."""
        await self._emit("on_text", text, **kwargs)

    async def on_retry(self, retry_state: RetryCallState, **kwargs: Any) -> None:
        """Tell that a call is about to be retried."""
        await self._emit("on_retry", retry_state, **kwargs)


class AsyncParentRunManager(AsyncRunManager):
    """A run that may have children, and whose events are coroutines."""

    def get_child(self, tag: str | None = None) -> AsyncCallbackManager:
        """Return a manager for this run's children; `tag` marks them but not their children."""
        from lc_otel.callbacks._managers import AsyncCallbackManager  # noqa: PLC0415 - a cycle

        return _child_of(self, AsyncCallbackManager(handlers=[], parent_run_id=self.run_id), tag)


class CallbackManagerForLLMRun(RunManager, LLMManagerMixin):
    """The run of a model."""

    def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell of a token: its text, or a list of content blocks; `chunk` has the rest of it."""
        self._emit("on_llm_new_token", token=token, chunk=chunk, **kwargs)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Tell the model's answer; the run is over."""
        self._emit("on_llm_end", response, **kwargs)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the model raised; the run is over. `response` may hold what it had answered."""
        self._emit("on_llm_error", error, **kwargs)

    def on_stream_event(self, event: MessagesData, **kwargs: Any) -> None:
        """Tell one protocol event of `stream_events(version="v3")`."""
        self._emit("on_stream_event", event, **kwargs)


class AsyncCallbackManagerForLLMRun(AsyncRunManager, LLMManagerMixin, _HostAsyncLLMRun):
    """The run of a model, told by coroutines."""

    def get_sync(self) -> CallbackManagerForLLMRun:
        """Return the sync manager of this very run, with the same lists."""
        return bind(CallbackManagerForLLMRun, self.run_id, self)

    async def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell of a token: its text, or a list of content blocks; `chunk` has the rest of it."""
        await self._emit("on_llm_new_token", token, chunk=chunk, **kwargs)

    @shielded
    async def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Tell the model's answer; the run is over."""
        await self._emit("on_llm_end", response, **kwargs)

    @shielded
    async def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the model raised; the run is over. `response` may hold what it had answered."""
        await self._emit("on_llm_error", error, **kwargs)

    async def on_stream_event(self, event: MessagesData, **kwargs: Any) -> None:
        """Tell one protocol event of `stream_events(version="v3")`."""
        await self._emit("on_stream_event", event, **kwargs)


class CallbackManagerForChainRun(ParentRunManager, ChainManagerMixin):
    """The run of a chain."""

    def on_chain_end(self, outputs: dict[str, Any] | Any, **kwargs: Any) -> None:
        """Tell what the chain returned; the run is over."""
        self._emit("on_chain_end", outputs, **kwargs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the chain raised; the run is over."""
        self._emit("on_chain_error", error, **kwargs)

    def on_agent_action(self, action: AgentAction, **kwargs: Any) -> None:
        """Tell which action a classic agent chose."""
        self._emit("on_agent_action", action, **kwargs)

    def on_agent_finish(self, finish: AgentFinish, **kwargs: Any) -> None:
        """Tell that a classic agent chose to stop."""
        self._emit("on_agent_finish", finish, **kwargs)


class AsyncCallbackManagerForChainRun(AsyncParentRunManager, ChainManagerMixin):
    """The run of a chain, told by coroutines."""

    def get_sync(self) -> CallbackManagerForChainRun:
        """Return the sync manager of this very run, with the same lists."""
        return bind(CallbackManagerForChainRun, self.run_id, self)

    @shielded
    async def on_chain_end(self, outputs: dict[str, Any] | Any, **kwargs: Any) -> None:
        """Tell what the chain returned; the run is over."""
        await self._emit("on_chain_end", outputs, **kwargs)

    @shielded
    async def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the chain raised; the run is over."""
        await self._emit("on_chain_error", error, **kwargs)

    async def on_agent_action(self, action: AgentAction, **kwargs: Any) -> None:
        """Tell which action a classic agent chose."""
        await self._emit("on_agent_action", action, **kwargs)

    async def on_agent_finish(self, finish: AgentFinish, **kwargs: Any) -> None:
        """Tell that a classic agent chose to stop."""
        await self._emit("on_agent_finish", finish, **kwargs)


class CallbackManagerForToolRun(ParentRunManager, ToolManagerMixin):
    """The run of a tool."""

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        """Tell what the tool returned; the run is over."""
        self._emit("on_tool_end", output, **kwargs)

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the tool raised; the run is over."""
        self._emit("on_tool_error", error, **kwargs)


class AsyncCallbackManagerForToolRun(AsyncParentRunManager, ToolManagerMixin):
    """The run of a tool, told by coroutines."""

    def get_sync(self) -> CallbackManagerForToolRun:
        """Return the sync manager of this very run, with the same lists."""
        return bind(CallbackManagerForToolRun, self.run_id, self)

    async def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        """Tell what the tool returned; the run is over."""
        await self._emit("on_tool_end", output, **kwargs)

    async def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the tool raised; the run is over."""
        await self._emit("on_tool_error", error, **kwargs)


class CallbackManagerForRetrieverRun(ParentRunManager, RetrieverManagerMixin):
    """The run of a retriever."""

    def on_retriever_end(self, documents: Sequence[Document], **kwargs: Any) -> None:
        """Tell which documents were found; the run is over."""
        self._emit("on_retriever_end", documents, **kwargs)

    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the retriever raised; the run is over."""
        self._emit("on_retriever_error", error, **kwargs)


class AsyncCallbackManagerForRetrieverRun(AsyncParentRunManager, RetrieverManagerMixin):
    """The run of a retriever, told by coroutines."""

    def get_sync(self) -> CallbackManagerForRetrieverRun:
        """Return the sync manager of this very run, with the same lists."""
        return bind(CallbackManagerForRetrieverRun, self.run_id, self)

    @shielded
    async def on_retriever_end(self, documents: Sequence[Document], **kwargs: Any) -> None:
        """Tell which documents were found; the run is over."""
        await self._emit("on_retriever_end", documents, **kwargs)

    @shielded
    async def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        """Tell what the retriever raised; the run is over."""
        await self._emit("on_retriever_error", error, **kwargs)
