"""Links to files of the repository in, their names out: the site has only docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Show a file outside docs/ as its path; one that is not there stays a link, and fails."""
    folder = Path(page.file.src_path).parent

    def name(link: re.Match[str]) -> str:
        path = (ROOT / "docs" / folder / ".." / link[2]).resolve()
        outside = ROOT / "docs" not in path.parents
        return f"`{path.relative_to(ROOT)}`" if outside and path.exists() else link[0]

    return _OUTSIDE.sub(name, markdown)
