"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("langchain_core")

from tests.versions import needs_create_agent

needs_create_agent()

import langchain.chat_models
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.prompts import ChatPromptTemplate
from opentelemetry import trace

import lc_otel
from lc_otel._commands._agent import build_agent
from lc_otel.cli import main
from lc_otel.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def without_figures(text: str) -> list[str]:
    """Lines of a tree without what changes from run to run."""
    text = re.sub(r"[0-9a-f]{32}", "ID", text)
    text = re.sub(r"\d[\d.]* m?s\b", "TIME", text)
    return [re.sub(r" +", " ", line).rstrip() for line in text.strip().splitlines()]


def test_the_tree_is_what_the_demo_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """The picture is real output."""
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    printed = re.search(r"^trace [0-9a-f].*?(?=\n\n)", out, re.DOTALL | re.MULTILINE)
    assert printed is not None
    assert without_figures(blocks("text")[0]) == without_figures(printed[0])


@pytest.fixture
def kept_providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep configure() from touching what is global in the tests' process."""
    original = lc_otel.configure
    opened = []

    def configure(*arguments: object, **named: object) -> lc_otel.Pipeline:
        pipeline = original(*arguments, **named, set_global=False)  # type: ignore[arg-type]
        opened.append(pipeline)
        return pipeline

    monkeypatch.setattr(lc_otel, "configure", configure)
    yield
    for pipeline in opened:
        pipeline.shutdown()
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@pytest.mark.usefixtures("kept_providers")
@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_blocks_run(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each block runs as it stands; only the model that costs money is exchanged."""
    model = FakeListChatModel(responses=["It scatters."])
    monkeypatch.setattr(langchain.chat_models, "init_chat_model", lambda name: model)
    names: dict[str, object] = {}
    exec(compile(blocks("python")[number], f"README block {number}", "exec"), names)  # noqa: S102 -- our own text
    if number == 0:
        assert "chat" in capsys.readouterr().out
    else:
        assert {"configure", "OTelCallbackHandler"} & names.keys()


def test_the_first_screen_is_short() -> None:
    """At most 8 lines of code bring a user to a trace."""
    code = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(code) <= 8


@pytest.mark.parametrize("command", [line for block in blocks("sh") for line in block.splitlines()])
def test_commands_are_single_lines_that_exist(command: str) -> None:
    """Each line can be pasted by itself, and what it starts is there."""
    assert not command.endswith("\\")
    subprocess.run(["bash", "-n", "-c", command], check=True)
    for extra in re.findall(r"\.\[(\w+)\]", command):
        assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text("utf-8")
    for arguments in re.findall(r"(?<!install )lc-otel ([^&]+)", command):
        words = [word for word in arguments.split() if not word.startswith("http")]
        shown = subprocess.run(
            [sys.executable, "-m", "lc_otel", words[0], "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        known = [word for word in words if not re.search(r"\.(jsonl|html)$", word)]
        assert [word for word in known if word not in shown.stdout] == []


def test_links_lead_somewhere() -> None:
    """Each relative link names a file of the repository."""
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(links) >= 3
    assert [link for link in links if not (ROOT / link).exists()] == []


ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([A-Z]+) \| ([^|]+) \|$", README, re.MULTILINE)


def test_the_table_says_what_is_made() -> None:
    """Each row is found among the spans of real runs, with its kind and its attributes."""
    with capture() as captured:
        config = {"callbacks": [captured.handler], "configurable": {"thread_id": "t"}}
        build_agent().invoke({"messages": [("user", "?")]}, config)
        chain = ChatPromptTemplate.from_template("{x}") | FakeListLLM(responses=["y"])
        chain.invoke({"x": "x"}, {"callbacks": [captured.handler], "run_name": "answer"})
    made = [span for trace in captured.traces for span in trace.spans]
    assert len(ROWS) == 7
    for run, name, kind, attributes in ROWS:
        pattern = {"its own name": "model"}.get(
            name, re.sub(r" \{\w+\}", "( .+)?", name.strip("`"))
        )
        spans = [span for span in made if re.fullmatch(pattern, span.name)]
        assert spans, f"no span for {run}"
        promised = {*re.findall(r"`([a-z_.]+)`", attributes), "langchain.run.outcome"}
        for span in spans:
            assert span.kind == kind.lower()
            assert promised <= span.attributes.keys(), f"{run}: {promised - span.attributes.keys()}"
