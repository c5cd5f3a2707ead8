"""docs/backends.md in, the settings it gives for each backend out."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/backends.md"


def read_settings() -> dict[str, dict[str, str]]:
    """Read the ``export`` lines under each heading: variables by backend."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {
        section.partition("\n")[0]: dict(re.findall(r"^export (\w+)=(.*)$", section, re.MULTILINE))
        for section in sections
    }
    return {backend: settings for backend, settings in found.items() if settings}
