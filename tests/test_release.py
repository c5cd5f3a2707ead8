"""What the package index shows of the README."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("hatch_fancy_pypi_readme", reason="comes with the extra dev")
markdown = pytest.importorskip("readme_renderer.markdown", reason="comes with the extra dev")

ROOT = Path(__file__).parent.parent


class Page(HTMLParser):
    """What a page of HTML links to and loads, and how often it has each element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]


def test_the_index_shows_a_whole_readme_without_dead_links() -> None:
    """Rendered as the index does it: every section and table, and no link into a repository."""
    readme = (ROOT / "README.md").read_text("utf-8")
    published = subprocess.run(
        [sys.executable, "-m", "hatch_fancy_pypi_readme"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    shown, kept = (Page(markdown.render(text)) for text in (published, readme))
    for element in ("h1", "h2", "table", "tr", "pre"):
        assert shown.elements.count(element) == kept.elements.count(element) > 0, element
    assert [at for at in shown.addresses if not at.startswith(("https://", "#"))] == []
    assert re.findall(r"\]\((?!https?:)", readme), "nothing is relative: the rewriting can go"
    assert "img" not in shown.elements
