"""Every example of docs/callbacks.md runs as it stands and prints what the page says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.versions import STRICT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "callbacks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_example_says_what_it_prints() -> None:
    """No example stands without its output."""
    assert len(BLOCKS) == PAGE.count("```python") > 8


@pytest.mark.parametrize(("code", "output"), BLOCKS)
def test_an_example_prints_what_the_page_says(code: str, output: str, tmp_path: Path) -> None:
    """Run as a user would run it: a file of its own, warnings being errors."""
    if "langchain_core" in code:
        pytest.importorskip("langchain_core")
    program = tmp_path / "example.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [*STRICT, "-u", str(program)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, output)
