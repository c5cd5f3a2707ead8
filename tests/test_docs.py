"""What the pages of docs/ show is what happens: every program runs, every name and link is real."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lc_otel._commands import COMMANDS
from tests.receiver import Address, grpc_receiver
from tests.versions import STRICT, needs_create_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "adr" not in path.parts)

ELSEWHERE = {
    "callbacks.md": "tests/callbacks/test_docs.py compares what they print",
    "view.md": "tests/test_view.py",
}
"""Pages whose programs other tests run."""

FRAGMENTS = {"backends.md": "goes on from the reader's own agent; configure() alone is tested"}
"""Pages whose programs are not whole."""

PRELUDE = """
import langchain.chat_models
from langchain_core.language_models import FakeListChatModel
langchain.chat_models.init_chat_model = lambda name: FakeListChatModel(responses=["It scatters."])
"""
"""Only the model that costs money is exchanged."""


class Program(NamedTuple):
    """A program of a page."""

    page: str
    number: int
    code: str
    check: str
    """What holds after it, from a comment that the page does not show."""


def read_programs() -> Iterator[Program]:
    """Every python block of the pages that are run here."""
    for page in PAGES:
        name = page.relative_to(DOCS).as_posix()
        if name in ELSEWHERE or name in FRAGMENTS:
            continue
        blocks = re.findall(
            r"^```python\n(.*?)^```\n(?:\n<!-- check: (.*?) -->\n)?",
            page.read_text("utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        for number, (code, check) in enumerate(blocks, 1):
            yield Program(name, number, code, check)


PROGRAMS = list(read_programs())


@pytest.fixture
def backend() -> Iterator[Address]:
    """Stands where the pages have a backend."""
    with grpc_receiver() as address:
        yield address


@pytest.mark.parametrize(
    "program", PROGRAMS, ids=lambda program: f"{program.page}-{program.number}"
)
def test_a_program_runs_as_it_stands(program: Program, backend: Address, tmp_path: Path) -> None:
    """In a process of its own, with warnings as errors; nothing is complained about."""
    needs_create_agent()
    for module in re.findall(r"^from (fastapi|langgraph)", program.code, re.MULTILINE):
        pytest.importorskip(module)
    if "multiprocessing" in program.code and not hasattr(__import__("os"), "fork"):
        pytest.skip("this system does not fork")
    code = program.code.replace("http://localhost:4317", backend.endpoint)
    file = tmp_path / "program.py"
    file.write_text(f"{PRELUDE}\n{code}\n{program.check}\n", encoding="utf-8")
    forks = "ignore:This process:DeprecationWarning"  # from 3.12 on, said of every fork
    done = subprocess.run(
        [*STRICT, "-W", forks, str(file)],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8",
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint,
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_programs_were_found() -> None:
    """The pattern finds every python block that there is."""
    shown = sum(
        page.read_text("utf-8").count("```python")
        for page in PAGES
        if page.relative_to(DOCS).as_posix() not in ELSEWHERE.keys() | FRAGMENTS.keys()
    )
    assert len(PROGRAMS) == shown >= 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file, each anchor a heading of it."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)", text):
        path = (page.parent / target) if target else page
        assert path.exists(), f"{target} is not there"
        if anchor:
            assert anchor[1:] in anchors(path), f"{target} has no heading {anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that a site makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
        for heading in headings
    }


def test_every_page_is_in_the_navigation() -> None:
    """And every entry of the navigation is a page."""
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == [page.relative_to(DOCS).as_posix() for page in PAGES]


def test_commands_exist() -> None:
    """Each ``lc-otel`` command that a page shows is one."""
    shown = {
        command
        for page in PAGES
        for command in re.findall(
            r"(?:^\$? ?|`)lc-otel ([a-z]+)", page.read_text("utf-8"), re.MULTILINE
        )
    }
    assert shown == COMMANDS.keys()


def test_our_names_in_the_table_of_names_are_real() -> None:
    """Each is in the attribute reference, which is written from the tables in the code."""
    reference = (DOCS / "attributes.md").read_text("utf-8")
    table = (DOCS / "how-to" / "migrating.md").read_text("utf-8").partition("## Attribute names")[2]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("|")][2:]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row[2])}
    assert len(rows) >= 15
    assert {name for name in named if f"`{name}`" not in reference} == set()
