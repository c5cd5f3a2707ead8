"""docs/attributes.md is what the tables say."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_attribute_reference_is_up_to_date() -> None:
    """Whoever changes a table runs scripts/write_attributes.py."""
    script = runpy.run_path(str(ROOT / "scripts" / "write_attributes.py"))
    assert (ROOT / "docs" / "attributes.md").read_text(encoding="utf-8") == script["write"]()
