"""A user's program that subclasses each public class; `mypy --strict` must have nothing to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lc_otel.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManager,
    AsyncCallbackManagerForChainGroup,
    AsyncCallbackManagerForChainRun,
    AsyncCallbackManagerForLLMRun,
    AsyncCallbackManagerForRetrieverRun,
    AsyncCallbackManagerForToolRun,
    AsyncParentRunManager,
    AsyncRunManager,
    BaseCallbackHandler,
    BaseCallbackManager,
    BaseRunManager,
    CallbackManager,
    CallbackManagerForChainGroup,
    CallbackManagerForChainRun,
    CallbackManagerForLLMRun,
    CallbackManagerForRetrieverRun,
    CallbackManagerForToolRun,
    CallbackManagerMixin,
    Callbacks,
    ChainManagerMixin,
    FileCallbackHandler,
    LLMManagerMixin,
    ParentRunManager,
    RetrieverManagerMixin,
    RunManager,
    RunManagerMixin,
    StdOutCallbackHandler,
    StreamingStdOutCallbackHandler,
    ToolManagerMixin,
    UsageMetadataCallbackHandler,
    adispatch_custom_event,
    atrace_as_chain_group,
    dispatch_custom_event,
    get_usage_metadata_callback,
    trace_as_chain_group,
)
from lc_otel.callbacks.manager import ahandle_event, handle_event, shielded

if TYPE_CHECKING:
    from uuid import UUID


class Handler(BaseCallbackHandler):
    """Overrides in full, and with the rest as keywords."""

    raise_error = True
    run_inline = True

    @property
    def ignore_llm(self) -> bool:
        """Hear of chains only."""
        return True

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Take messages of any kind."""

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        """Take a response of any kind."""

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: dict[str, Any], **kwargs: Any
    ) -> None:
        """Take the rest as keywords."""


class AsyncHandler(AsyncCallbackHandler):
    """Overrides with coroutines."""

    async def on_llm_new_token(
        self, token: str | list[str | dict[str, Any]], **kwargs: Any
    ) -> None:
        """Take a token."""

    async def on_tool_end(self, output: str, **kwargs: Any) -> None:
        """Take an output of the user's own."""


class Printing(StdOutCallbackHandler):
    """One of each shipped handler."""


class Streaming(StreamingStdOutCallbackHandler):
    """One of each shipped handler."""


class Writing(FileCallbackHandler):
    """One of each shipped handler."""


class Summing(UsageMetadataCallbackHandler):
    """One of each shipped handler."""


class Managers(CallbackManager):
    """A manager with a start of its own."""

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: dict[str, Any] | Any,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> CallbackManagerForChainRun:
        """Start as the base does."""
        return super().on_chain_start(serialized, inputs, run_id, **kwargs)


class AsyncManagers(AsyncCallbackManager):
    """A manager with a start of its own."""

    async def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: dict[str, Any] | Any,
        run_id: UUID | None = None,
        **kwargs: Any,
    ) -> AsyncCallbackManagerForChainRun:
        """Start as the base does."""
        return await super().on_chain_start(serialized, inputs, run_id, **kwargs)


class BaseManagers(BaseCallbackManager):
    """The base of managers."""


class Group(CallbackManagerForChainGroup):
    """A group."""


class AsyncGroup(AsyncCallbackManagerForChainGroup):
    """A group."""


class Bases(BaseRunManager):
    """A run manager."""


class Runs(RunManager):
    """A run manager."""


class Parents(ParentRunManager):
    """A run manager."""


class LLMRuns(CallbackManagerForLLMRun):
    """A run manager."""


class ChainRuns(CallbackManagerForChainRun):
    """A run manager."""


class ToolRuns(CallbackManagerForToolRun):
    """A run manager."""


class RetrieverRuns(CallbackManagerForRetrieverRun):
    """A run manager."""


class AsyncRuns(AsyncRunManager):
    """A run manager."""

    def get_sync(self) -> RunManager:
        """Return a sync one."""
        return Runs(run_id=self.run_id, handlers=[], inheritable_handlers=[])


class AsyncParents(AsyncParentRunManager):
    """A run manager."""

    def get_sync(self) -> RunManager:
        """Return a sync one."""
        return Parents(run_id=self.run_id, handlers=[], inheritable_handlers=[])


class AsyncLLMRuns(AsyncCallbackManagerForLLMRun):
    """A run manager."""


class AsyncChainRuns(AsyncCallbackManagerForChainRun):
    """A run manager."""


class AsyncToolRuns(AsyncCallbackManagerForToolRun):
    """A run manager."""


class AsyncRetrieverRuns(AsyncCallbackManagerForRetrieverRun):
    """A run manager."""


class Everything(
    LLMManagerMixin,
    ChainManagerMixin,
    ToolManagerMixin,
    RetrieverManagerMixin,
    CallbackManagerMixin,
    RunManagerMixin,
):
    """All events, with no base class."""


def loop(callbacks: Callbacks) -> str:
    """Tell of an agent; every result has a type."""
    run = CallbackManager.configure(callbacks, [Handler()]).on_chain_start({}, {"question": "?"})
    child: CallbackManager = run.get_child("step")
    llm_runs: list[CallbackManagerForLLMRun] = child.on_chat_model_start(
        {}, [[{"role": "user", "content": "?"}]]
    )
    llm_runs[0].on_llm_end({"generations": []})
    tool: CallbackManagerForToolRun = child.on_tool_start({"name": "add"}, "1")
    tool.on_tool_end("2")
    run.on_chain_end({"answer": "2"})
    with trace_as_chain_group("group", child) as group, get_usage_metadata_callback() as usage:
        dispatch_custom_event("name", 1, config={"callbacks": group})
        copied: CallbackManagerForChainGroup = group.copy().merge(child)
        copied.on_chain_end({})
    merged: CallbackManager = child.copy().merge(CallbackManager(handlers=[Handler()]))
    handle_event(merged.handlers, "on_text", None, "text", run_id=run.run_id)
    return repr(usage)


@shielded
async def aloop(callbacks: Callbacks) -> int:
    """The same, with coroutines; `shielded` keeps the type of the function."""
    manager = AsyncCallbackManager.configure(callbacks, [AsyncHandler()])
    run: AsyncCallbackManagerForChainRun = await manager.on_chain_start({}, {})
    sync: CallbackManagerForChainRun = run.get_sync()
    await run.on_text("text")
    async with atrace_as_chain_group("group", run.get_child()) as group:
        await adispatch_custom_event("name", 1, config={"callbacks": group})
    await ahandle_event(manager.handlers, "on_text", None, "text", run_id=sync.run_id)
    return len(AsyncCallbackManagerForLLMRun.get_noop_manager().handlers)


async def result() -> int:
    """What `shielded` returns is typed."""
    return await aloop([AsyncHandler(), Handler()])
