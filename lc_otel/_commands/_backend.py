"""What the commands that send something to a backend share: their arguments, and their quiet."""

from __future__ import annotations

import argparse
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def add_backend_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where to send to; what is left out, `configure` takes from the ``OTEL_*`` variables."""
    parser.add_argument("--endpoint", help="OTLP address, such as http://localhost:4317")
    parser.add_argument("--protocol", help="grpc or http/protobuf; by default told by the endpoint")
    parser.add_argument(
        "--header",
        action="append",
        type=_read_header,
        default=[],
        metavar="NAME=VALUE",
        help="sent with every request, such as an API key; may be repeated",
    )


def _read_header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError("expected NAME=VALUE")
    return name.strip(), value.strip()


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Keep loggers off the terminal: a command says in one line what they would say in ten.

    Their levels stay as they are, since the pipeline hears from them why an export failed.
    """
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.propagate for logger in loggers]
    handler = logging.NullHandler()
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
