"""A bridge's name in, the instructions it spends on each workload out, counted by callgrind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent

MARKS = 3
"""A workload is marked before its short run, before its long one, and after that."""


def count_instructions(
    python: str | os.PathLike[str], bridge: str, workloads: Sequence[str]
) -> Mapping[str, float]:
    """Instructions that one time of each workload takes under a bridge, LangChain's own included.

    Args:
        python: The interpreter of the bridge's environment.
        bridge: A name in `benchmarks.bridges.BRIDGES`.
        workloads: Names in `benchmarks.workloads.WORKLOADS`.

    Raises:
        RuntimeError: Valgrind is not there, or the program under it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part")
        command = [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            "--dump-before=getloadavg",
            f"--callgrind-out-file={part}",
            os.fspath(python),
            *("-m", "benchmarks.measure", "instructions", bridge, *workloads),
        ]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise RuntimeError("valgrind is not installed; apt-get install valgrind") from None
        if done.returncode:
            raise RuntimeError(f"{bridge} under valgrind: {done.stderr[-2_000:]}")
        sizes = json.loads(done.stdout)
        spent: dict[str, float] = {}
        for index, (name, (short, long)) in enumerate(sizes.items()):
            first = index * MARKS + 2  # part 1 ends at the first mark
            spent_short, spent_long = (
                read_total(part.with_name(f"part.{number}").read_text())
                for number in (first, first + 1)
            )
            spent[name] = (spent_long - spent_short) / (long - short)
        return spent


def read_total(part: str) -> int:
    """The instructions that one part of callgrind's output sums up."""
    found = re.search(r"^totals: (\d+)$", part, re.MULTILINE)
    if found is None:
        raise RuntimeError("callgrind wrote a part without a line of totals")
    return int(found[1])


def environment() -> Mapping[str, str]:
    """The variables every measurement runs with: hashes that repeat, and this tree's modules."""
    quiet = {"PYTHONHASHSEED": "0", "PYTHONPATH": os.fspath(ROOT), "LANGSMITH_TRACING": "false"}
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return kept | quiet
