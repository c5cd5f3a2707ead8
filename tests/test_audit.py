"""CI's audit of dependencies fails for a vulnerability, and says when it could ask nobody."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parents[1] / "scripts" / "audit_dependencies.py"
SPEC = importlib.util.spec_from_file_location("audit_dependencies", PATH)
assert SPEC is not None
assert SPEC.loader is not None
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)

SKIPPED = {"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited"}
CLEAN = {"name": "b", "version": "1", "vulns": []}
FLAWED = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SKIPPED], 0, "nothing was audited"),
        ([SKIPPED, CLEAN], 0, "1 packages, no known vulnerability"),
        ([SKIPPED, CLEAN, FLAWED], 1, "c 2: CVE-1, fixed in 3"),
        ([{**FLAWED, "vulns": [{"id": "CVE-2", "fix_versions": []}]}], 1, "no version yet"),
    ],
)
def test_a_report_is_judged(packages: list[Any], code: int, said: str) -> None:
    """One known vulnerability is enough to fail; what could not be asked about is none."""
    judged, words = audit.judge({"dependencies": packages})
    assert judged == code
    assert said in words
