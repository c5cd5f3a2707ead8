"""A handler that writes chains, tools and texts to a file as they come."""

# ruff: noqa: ARG002 - an event is handed over with more than this handler needs
from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from lc_otel.callbacks.base import BaseCallbackHandler
from lc_otel.callbacks.stdout import chain_name, print_text

if TYPE_CHECKING:
    from typing_extensions import Self

    from lc_otel.callbacks._shapes import AgentAction, AgentFinish

_warned_outside_with = False


class FileCallbackHandler(BaseCallbackHandler):
    """Writes to a file, which is open from the start to the end of a ``with`` block, or to `close`.

    Args:
        filename: The file's path.
        mode: How to open it, as for `open`.
        color: The color of texts that come without one of their own; none by default.
    """

    def __init__(self, filename: str, mode: str = "a", color: str | None = None) -> None:
        self.filename = filename
        self.mode = mode
        self.color = color
        self._file_opened_in_context = False
        self.file = cast(
            "TextIO",
            Path(filename).open(mode, encoding="utf-8"),  # noqa: SIM115 - this class is one itself
        )

    def __enter__(self) -> Self:
        self._file_opened_in_context = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: object,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a closed one, or one that never opened, is no error."""
        if self._is_open():
            self.file.close()

    def _is_open(self) -> bool:
        file = getattr(self, "file", None)
        return file is not None and not file.closed

    def _write(self, text: str, color: str | None = None, end: str = "") -> None:
        global _warned_outside_with  # noqa: PLW0603 - once a process, as in LangChain
        if not self._file_opened_in_context and not _warned_outside_with:
            _warned_outside_with = True
            warnings.warn(
                "Using FileCallbackHandler without a context manager is deprecated. Use 'with "
                "FileCallbackHandler(...) as handler:' instead.",
                PendingDeprecationWarning,
                stacklevel=3,
            )
        if not self._is_open():
            raise RuntimeError("File is not open. Use FileCallbackHandler as a context manager.")
        print_text(text, color=color, end=end, file=self.file)

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: dict[str, Any], **kwargs: Any
    ) -> None:
        """Write which chain starts."""
        name = chain_name(serialized, kwargs.get("name") or None)
        self._write(f"\n\n> Entering new {name} chain...", end="\n")

    def on_chain_end(self, outputs: dict[str, Any], **kwargs: Any) -> None:
        """Write that the chain is over."""
        self._write("\n> Finished chain.", end="\n")

    def on_agent_action(self, action: AgentAction, color: str | None = None, **kwargs: Any) -> Any:
        """Write the agent's log of its action."""
        self._write(action.log, color=color or self.color)

    def on_tool_end(
        self,
        output: str,
        color: str | None = None,
        observation_prefix: str | None = None,
        llm_prefix: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the tool's output between the two prefixes."""
        if observation_prefix is not None:
            self._write(f"\n{observation_prefix}")
        self._write(str(output))
        if llm_prefix is not None:
            self._write(f"\n{llm_prefix}")

    def on_text(self, text: str, color: str | None = None, end: str = "", **kwargs: Any) -> None:
        """Write the text."""
        self._write(text, color=color or self.color, end=end)

    def on_agent_finish(self, finish: AgentFinish, color: str | None = None, **kwargs: Any) -> None:
        """Write the agent's log of its end."""
        self._write(finish.log, color=color or self.color, end="\n")
