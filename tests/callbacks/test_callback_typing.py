"""A user's program type-checks, with LangChain installed and without."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.callbacks import typing_program

PROGRAM = Path(__file__).parent / "typing_program.py"
ROOT = PROGRAM.parents[2]


def check(tmp_path: Path, program: Path, *options: str) -> str:
    """Run `mypy --strict` on a program, as a user's project would; return what it says."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull),
            *("--follow-imports", "silent", "--cache-dir", str(tmp_path), *options),
            str(program),
        ],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.stdout + done.stderr


def test_a_program_that_subclasses_each_public_class_type_checks(tmp_path: Path) -> None:
    """Mypy --strict has nothing to say about it."""
    assert "Success" in check(tmp_path, PROGRAM)


def test_a_handler_and_a_manager_of_ours_type_check_in_a_langchain_config(tmp_path: Path) -> None:
    """To a type checker too they are LangChain's; what is neither is found."""
    pytest.importorskip("langchain_core")
    program = tmp_path / "program.py"
    program.write_text(
        "from langchain_core.runnables import RunnableConfig\n"
        "from lc_otel.callbacks import BaseCallbackHandler, CallbackManager\n"
        "handlers: RunnableConfig = {'callbacks': [BaseCallbackHandler()]}\n"
        "manager: RunnableConfig = {'callbacks': CallbackManager.configure()}\n"
        "neither: RunnableConfig = {'callbacks': [object()]}\n",
        encoding="utf-8",
    )
    found = [line for line in check(tmp_path, program).splitlines() if "error" in line]
    assert len(found) == 2, found  # the one error and its count
    assert "program.py:5" in found[0]


def test_the_program_runs() -> None:
    """What type-checks also works."""
    assert typing_program.loop([]) == "{}"
    assert asyncio.run(typing_program.result()) == 0
