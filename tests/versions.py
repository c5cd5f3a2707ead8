"""What the supported versions of LangChain have in common only partly; what one lacks skips."""

from __future__ import annotations

import importlib.metadata

import pytest


def at_least(package: str, version: str) -> bool:
    """Whether the installed version of a package is that one or a later one."""
    return _numbers(importlib.metadata.version(package)) >= _numbers(version)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a release; a pre-release counts as its release."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


MARKS_AGENTS = "1.2.13"
"""The first langchain whose ``create_agent`` marks its runs; before, agents show as workflows."""


def needs_marked_agents() -> None:
    """Skip without ``create_agent``, or where nothing tells its graph from any other."""
    pytest.importorskip(
        "langchain", minversion=MARKS_AGENTS, reason=f"langchain marks agents from {MARKS_AGENTS} on"
    )
