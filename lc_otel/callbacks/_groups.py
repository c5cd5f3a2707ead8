"""Chain groups: a block of code in, one run of it out, with a manager for the runs inside."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Generic

from lc_otel.callbacks._managers import AsyncCallbackManager, CallbackManager, R
from lc_otel.callbacks._run_managers import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
)
from lc_otel.callbacks.base import BaseCallbackManager, copied, merged, union

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from uuid import UUID

    from typing_extensions import Self

    from lc_otel.callbacks._shapes import AgentAddress, AnyHandler, AnyManager


class _ChainGroup(BaseCallbackManager, Generic[R]):
    """What both groups share: copies and merges of a group belong to the group's own run."""

    def __init__(
        self,
        handlers: list[AnyHandler],
        inheritable_handlers: list[AnyHandler] | None = None,
        parent_run_id: UUID | None = None,
        *,
        parent_run_manager: R,
        **kwargs: Any,
    ) -> None:
        super().__init__(handlers, inheritable_handlers, parent_run_id, **kwargs)
        self.parent_run_manager = parent_run_manager
        self.ended = False

    def copy(self) -> Self:
        """Return a group with the same content and the same run, not marked as ended."""
        return self.__class__(**copied(self), parent_run_manager=self.parent_run_manager)

    def merge(self, other: AnyManager) -> Self:
        """Return a group of the same run with what both hold; all handlers become inheritable."""
        both = merged(self, other)
        both["handlers"] = union(both["handlers"], both["inheritable_handlers"])
        both["inheritable_handlers"] = both["handlers"].copy()
        return self.__class__(**both, parent_run_manager=self.parent_run_manager)


class CallbackManagerForChainGroup(_ChainGroup[CallbackManagerForChainRun], CallbackManager):
    """The manager inside `trace_as_chain_group`: what it starts is a child of the group's run."""

    def on_chain_end(self, outputs: dict[str, Any] | Any, **kwargs: Any) -> None:
        """End the group's run with these outputs, instead of with none at the end of the block."""
        self.ended = True
        self.parent_run_manager.on_chain_end(outputs, **kwargs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the group's run with this error."""
        self.ended = True
        self.parent_run_manager.on_chain_error(error, **kwargs)


class AsyncCallbackManagerForChainGroup(
    _ChainGroup[AsyncCallbackManagerForChainRun], AsyncCallbackManager
):
    """The manager inside `atrace_as_chain_group`: what it starts is a child of the group's run."""

    async def on_chain_end(self, outputs: dict[str, Any] | Any, **kwargs: Any) -> None:
        """End the group's run with these outputs, instead of with none at the end of the block."""
        self.ended = True
        await self.parent_run_manager.on_chain_end(outputs, **kwargs)

    async def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        """End the group's run with this error."""
        self.ended = True
        await self.parent_run_manager.on_chain_error(error, **kwargs)


@contextmanager
def trace_as_chain_group(
    group_name: str,
    callback_manager: CallbackManager | None = None,
    *,
    inputs: dict[str, Any] | None = None,
    project_name: str | None = None,  # noqa: ARG001 - LangSmith
    address: AgentAddress | None = None,  # noqa: ARG001 - LangSmith
    example_id: str | UUID | None = None,  # noqa: ARG001 - LangSmith
    run_id: UUID | None = None,
    tags: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Generator[CallbackManagerForChainGroup, None, None]:
    """Make one run of the block: a chain whose children are what the yielded manager is given to.

    Args:
        group_name: The run's name.
        callback_manager: Whose handlers, tags, metadata and parent the group takes over.
        inputs: The run's inputs.
        project_name: Accepted and unused: it is LangSmith's.
        address: Accepted and unused: it is LangSmith's.
        example_id: Accepted and unused: it is LangSmith's.
        run_id: The run's id; a new one if None.
        tags: Tags for the group and all runs in it.
        metadata: Metadata for the group and all runs in it.

    Yields:
        A manager, to be given as ``config={"callbacks": manager}``, or to start runs with.
    """
    manager = CallbackManager.configure(
        callback_manager, inheritable_tags=tags, inheritable_metadata=metadata
    )
    run = manager.on_chain_start({"name": group_name}, inputs or {}, run_id=run_id)
    group = CallbackManagerForChainGroup(**copied(run.get_child()), parent_run_manager=run)
    try:
        yield group
    except BaseException as error:
        if not group.ended:
            run.on_chain_error(error)
        raise
    else:
        if not group.ended:
            run.on_chain_end({})


@asynccontextmanager
async def atrace_as_chain_group(
    group_name: str,
    callback_manager: AsyncCallbackManager | None = None,
    *,
    inputs: dict[str, Any] | None = None,
    project_name: str | None = None,  # noqa: ARG001 - LangSmith
    address: AgentAddress | None = None,  # noqa: ARG001 - LangSmith
    example_id: str | UUID | None = None,  # noqa: ARG001 - LangSmith
    run_id: UUID | None = None,
    tags: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> AsyncGenerator[AsyncCallbackManagerForChainGroup, None]:
    """Make one run of the block, as `trace_as_chain_group` does, with an async manager.

    Args:
        group_name: The run's name.
        callback_manager: Whose handlers, tags, metadata and parent the group takes over.
        inputs: The run's inputs.
        project_name: Accepted and unused: it is LangSmith's.
        address: Accepted and unused: it is LangSmith's.
        example_id: Accepted and unused: it is LangSmith's.
        run_id: The run's id; a new one if None.
        tags: Tags for the group and all runs in it.
        metadata: Metadata for the group and all runs in it.

    Yields:
        A manager, to be given as ``config={"callbacks": manager}``, or to start runs with.
    """
    manager = AsyncCallbackManager.configure(
        callback_manager, inheritable_tags=tags, inheritable_metadata=metadata
    )
    run = await manager.on_chain_start({"name": group_name}, inputs or {}, run_id=run_id)
    group = AsyncCallbackManagerForChainGroup(**copied(run.get_child()), parent_run_manager=run)
    try:
        yield group
    except BaseException as error:
        if not group.ended:
            await run.on_chain_error(error)
        raise
    else:
        if not group.ended:
            await run.on_chain_end({})
