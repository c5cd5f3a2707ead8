"""Handlers, which listen to the events of runs, and the manager that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from lc_otel.callbacks._host import HostHandler, HostManager
from lc_otel.callbacks._mixins import (
    CallbackManagerMixin,
    ChainManagerMixin,
    LLMManagerMixin,
    RetrieverManagerMixin,
    RunManagerMixin,
    ToolManagerMixin,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeVar
    from uuid import UUID

    from typing_extensions import Self

    from lc_otel.callbacks._shapes import (
        AgentAction,
        AgentFinish,
        AnyHandler,
        AnyManager,
        BaseMessage,
        ChatGenerationChunk,
        Document,
        GenerationChunk,
        LLMResult,
        MessagesData,
        RetryCallState,
    )

    T = TypeVar("T")

__all__ = [
    "AsyncCallbackHandler",
    "BaseCallbackHandler",
    "BaseCallbackManager",
    "CallbackManagerMixin",
    "Callbacks",
    "ChainManagerMixin",
    "LLMManagerMixin",
    "RetrieverManagerMixin",
    "RunManagerMixin",
    "ToolManagerMixin",
]


class BaseCallbackHandler(
    LLMManagerMixin,
    ChainManagerMixin,
    ToolManagerMixin,
    RetrieverManagerMixin,
    CallbackManagerMixin,
    RunManagerMixin,
    HostHandler,
):
    """A listener: override the events of interest.

    What an override raises is logged as a warning and forgotten, unless `raise_error` is set. An
    override may be a coroutine function, under a sync manager as well.
    """

    raise_error: bool = False
    """Whether what this handler raises reaches the code that is being observed."""

    run_inline: bool = False
    """Whether an async manager calls this handler first, in the caller's own task and context."""

    @property
    def ignore_llm(self) -> bool:
        """Whether to leave out the events of models, text and chat."""
        return False

    @property
    def ignore_retry(self) -> bool:
        """Whether to leave out `on_retry`."""
        return False

    @property
    def ignore_chain(self) -> bool:
        """Whether to leave out the events of chains."""
        return False

    @property
    def ignore_agent(self) -> bool:
        """Whether to leave out the events of agents and tools."""
        return False

    @property
    def ignore_retriever(self) -> bool:
        """Whether to leave out the events of retrievers."""
        return False

    @property
    def ignore_chat_model(self) -> bool:
        """Whether to leave out `on_chat_model_start`, and no other event."""
        return False

    @property
    def ignore_custom_event(self) -> bool:
        """Whether to leave out `on_custom_event`."""
        return False


class AsyncCallbackHandler(BaseCallbackHandler):
    """A listener whose events are coroutines; each method means what its sync namesake means."""

    async def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A text model starts on one prompt; or a chat model whose own start is not handled."""

    async def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A chat model starts on one list of messages.

        Raises:
            NotImplementedError: Unless overridden; the event is then told by `on_llm_start`, with
                the messages as one string. An override must name `serialized` and `messages`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement `on_chat_model_start`")

    async def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """A streaming model wrote a token: its text, or a list of content blocks."""

    async def on_llm_end(
        self,
        response: LLMResult,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The model answered."""

    async def on_llm_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The model raised; `kwargs["response"]` is what it had answered by then, if anything."""

    async def on_stream_event(
        self,
        event: MessagesData,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """One protocol event of `stream_events(version="v3")`, finer than a token."""

    async def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A chain, graph, node or any other composed step starts."""

    async def on_chain_end(
        self,
        outputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The chain returned."""

    async def on_chain_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The chain raised."""

    async def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool starts; `inputs` are its arguments by name, where known."""

    async def on_tool_end(
        self,
        output: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The tool returned."""

    async def on_tool_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The tool raised."""

    async def on_text(
        self,
        text: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """A run wrote a text of its own; no `ignore_*` flag mutes it."""

    async def on_retry(
        self,
        retry_state: RetryCallState,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> Any:
        """A call is about to be retried (tenacity's state)."""

    async def on_agent_action(
        self,
        action: AgentAction,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """A classic agent chose an action (a tool and its input)."""

    async def on_agent_finish(
        self,
        finish: AgentFinish,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """A classic agent chose to stop."""

    async def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A retriever starts."""

    async def on_retriever_end(
        self,
        documents: Sequence[Document],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The retriever returned documents."""

    async def on_retriever_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """The retriever raised."""

    async def on_custom_event(
        self,
        name: str,
        data: Any,
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """`dispatch_custom_event` was called inside the run, whose id this is."""


class BaseCallbackManager(CallbackManagerMixin, HostManager):
    """Handlers, tags and metadata, each kept twice: for the next run, and for that run's children.

    The plain lists serve the next run; the ``inheritable_`` ones are handed down by `get_child`.
    """

    def __init__(
        self,
        handlers: list[AnyHandler],
        inheritable_handlers: list[AnyHandler] | None = None,
        parent_run_id: UUID | None = None,
        *,
        tags: list[str] | None = None,
        inheritable_tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inheritable_metadata: dict[str, Any] | None = None,
    ) -> None:
        self.handlers = handlers
        self.inheritable_handlers = inheritable_handlers or []
        self.parent_run_id = parent_run_id
        self.tags = tags or []
        self.inheritable_tags = inheritable_tags or []
        self.metadata = metadata or {}
        self.inheritable_metadata = inheritable_metadata or {}

    def copy(self) -> Self:
        """Return a manager with the same content that shares no list or dict with this one."""
        return self.__class__(**copied(self))

    def merge(self, other: AnyManager) -> Self:
        """Return one manager with what both hold; this parent and the other's metadata win."""
        return self.__class__(**merged(self, other))

    @property
    def is_async(self) -> bool:
        """Whether the events of this manager are coroutines."""
        return False

    def add_handler(self, handler: AnyHandler, inherit: bool = True) -> None:
        """Add a handler, if it is not there yet, for this run and (`inherit`) its children."""
        if handler not in self.handlers:
            self.handlers.append(handler)
        if inherit and handler not in self.inheritable_handlers:
            self.inheritable_handlers.append(handler)

    def remove_handler(self, handler: AnyHandler) -> None:
        """Remove a handler, inherited or not; an unknown one is no error."""
        for handlers in (self.handlers, self.inheritable_handlers):
            if handler in handlers:
                handlers.remove(handler)

    def set_handlers(self, handlers: list[AnyHandler], inherit: bool = True) -> None:
        """Replace all handlers, the inheritable ones included."""
        self.handlers = []
        self.inheritable_handlers = []
        for handler in handlers:
            self.add_handler(handler, inherit=inherit)

    def set_handler(self, handler: AnyHandler, inherit: bool = True) -> None:
        """Replace all handlers with one."""
        self.set_handlers([handler], inherit=inherit)

    def add_tags(self, tags: list[str], inherit: bool = True) -> None:
        """Append tags; one that is there already moves to the end."""
        for tag in tags:
            if tag in self.tags:
                self.remove_tags([tag])
        self.tags.extend(tags)
        if inherit:
            self.inheritable_tags.extend(tags)

    def remove_tags(self, tags: list[str]) -> None:
        """Remove tags, inherited or not; an unknown one is no error."""
        for tag in tags:
            for held in (self.tags, self.inheritable_tags):
                if tag in held:
                    held.remove(tag)

    def add_metadata(self, metadata: dict[str, Any], inherit: bool = True) -> None:
        """Merge metadata over what is there, into new dicts: those handed out stay as they are."""
        self.metadata = merge_metadata(self.metadata, metadata)
        if inherit:
            self.inheritable_metadata = merge_metadata(self.inheritable_metadata, metadata)

    def remove_metadata(self, keys: list[str]) -> None:
        """Remove metadata by key, inherited or not; an unknown key is no error."""
        for key in keys:
            self.metadata.pop(key, None)
            self.inheritable_metadata.pop(key, None)


Callbacks: TypeAlias = list[Any] | HostManager | None
"""What a caller may give as callbacks: a list of handlers, or a manager (LangChain's too)."""


def copied(manager: AnyManager) -> dict[str, Any]:
    """The constructor arguments of a manager with the content of this one, and no list of it."""
    return {
        "handlers": manager.handlers.copy(),
        "inheritable_handlers": manager.inheritable_handlers.copy(),
        "parent_run_id": manager.parent_run_id,
        "tags": manager.tags.copy(),
        "inheritable_tags": manager.inheritable_tags.copy(),
        "metadata": manager.metadata.copy(),
        "inheritable_metadata": manager.inheritable_metadata.copy(),
    }


def merged(left: AnyManager, right: AnyManager) -> dict[str, Any]:
    """The constructor arguments of a manager with the content of both."""
    return {
        "handlers": union(left.handlers, right.handlers),
        "inheritable_handlers": union(left.inheritable_handlers, right.inheritable_handlers),
        "parent_run_id": left.parent_run_id or right.parent_run_id,
        "tags": union(left.tags, right.tags),
        "inheritable_tags": union(left.inheritable_tags, right.inheritable_tags),
        "metadata": {**left.metadata, **right.metadata},
        "inheritable_metadata": {**left.inheritable_metadata, **right.inheritable_metadata},
    }


def union(left: Iterable[T], right: Iterable[T]) -> list[T]:
    """Both, in order, each once; compared by equality, for a handler need not be hashable."""
    both: list[T] = []
    for item in (*left, *right):
        if item not in both:
            both.append(item)
    return both


def merge_metadata(base: Mapping[str, Any], incoming: Mapping[str, Any]) -> dict[str, Any]:
    """Incoming over base; only LangChain's ``lc_versions`` merges one level down."""
    metadata = {**base, **incoming}
    versions, older = metadata.get("lc_versions"), base.get("lc_versions")
    if isinstance(versions, Mapping):
        metadata["lc_versions"] = {**(older if isinstance(older, Mapping) else {}), **versions}
    return metadata
