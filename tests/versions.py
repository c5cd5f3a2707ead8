"""What tests must know of the versions they run on: of Python, of LangChain and what it brings."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest
from packaging.version import Version

LANGSMITH_ON_3_14 = (
    "ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning"
    ":langsmith._internal._beta_decorator"
)
STRICT = [sys.executable, "-W", "error", "-W", LANGSMITH_ON_3_14]
"""Begins the command line of a program in which warnings are errors, but for langsmith's own."""


def at_least(package: str, version: str) -> bool:
    """Whether the installed version of a package is that one or a later one."""
    return Version(importlib.metadata.version(package)) >= Version(version)


def needs_create_agent() -> None:
    """Skip where there is no langchain with ``create_agent``."""
    pytest.importorskip("langchain", "1.0", reason="create_agent came with langchain 1.0")
