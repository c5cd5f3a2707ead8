"""The ``lc-otel`` command: arguments in, an exit code out."""

from __future__ import annotations

import argparse
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from lc_otel._commands import COMMANDS, CommandError
from lc_otel._errors import ConfigurationError
from lc_otel._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; None takes them from ``sys.argv``.

    Returns:
        0 when it did what was asked, 1 when it could not, 2 when the arguments make no sense.
    """
    words = sys.argv[1:] if argv is None else argv
    _prepare_output()
    try:
        return _run(_build_parser(words).parse_args(words))
    except ConfigurationError as error:
        print(f"lc-otel: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _prepare_output() -> None:
    """Let output that is closed (``>&-``) take everything, and spell out what others cannot."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _Nowhere())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr has it


class _Nowhere(io.TextIOBase):
    """Output that nobody sees."""

    def write(self, text: str) -> int:
        return len(text)


def _run(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except (ConfigurationError, CommandError) as error:
        print(f"lc-otel {arguments.command}: {error}", file=sys.stderr)
        return USAGE_ERROR if isinstance(error, ConfigurationError) else 1
    except OSError as error:
        # nothing can be printed: leave the interpreter nothing to flush
        with suppress(io.UnsupportedOperation):  # a stdout that is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # the reader has gone (`| head`), and knows
            print(f"lc-otel {arguments.command}: {error.strerror or error}", file=sys.stderr)
        return 1
    return code


def _build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Only the command that is named says what it takes: to ask it is to import it."""
    parser = argparse.ArgumentParser(
        prog="lc-otel", description="LangChain's callbacks, told as OpenTelemetry spans."
    )
    parser.add_argument("--version", action="version", version=f"lc-otel {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.help,
            description=command.help,
            epilog=f"example: {command.example}",
        )
        if name in words:
            command.add_arguments(sub)
            sub.set_defaults(run=command.run)
    return parser
