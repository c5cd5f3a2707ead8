"""The commands of ``lc-otel``, by name; each imports what it needs when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from lc_otel._errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


class CommandError(Exception):
    """A command cannot do what was asked; the message is all the user sees, in one line."""


class Command(NamedTuple):
    """One command: a module with ``add_arguments(parser)`` and ``run(arguments) -> exit code``."""

    module: str
    help: str
    example: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Let the module say which arguments it takes."""
        self._load().add_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Run it; the exit code."""
        code: int = self._load().run(arguments)
        return code

    def _load(self) -> Any:
        try:
            return import_module(self.module)
        except ValueError as error:  # OpenTelemetry's SDK reads its limits when it is imported
            raise ConfigurationError(f"OpenTelemetry cannot be imported: {error}") from None


COMMANDS: Mapping[str, Command] = {
    "demo": Command(
        "lc_otel._commands.demo",
        "Run a LangChain agent, show its trace, and send it to a backend if one is named.",
        "lc-otel demo --endpoint http://localhost:4317",
    ),
    "view": Command(
        "lc_otel._commands.view",
        "Show the traces of trace files: as trees here, or on a page for the browser.",
        "lc-otel view traces.jsonl --errors --html traces.html",
    ),
    "send": Command(
        "lc_otel._commands.send",
        "Send the spans of trace files to a backend, going on where it stopped before.",
        "lc-otel send traces.jsonl --endpoint http://localhost:4317",
    ),
    "doctor": Command(
        "lc_otel._commands.doctor",
        "Say what would happen: versions, settings, LangChain, and whether the backend answers.",
        "lc-otel doctor --endpoint http://localhost:4317",
    ),
}
