"""lc_otel.testing: what a user's tests see of a capture, and what their failures say."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from lc_otel import Config
from lc_otel._trace import FinishedSpan
from lc_otel.testing import Captured, CapturedTrace, capture

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

CONVENTIONS = (("genai",), ("openinference",), ("genai", "openinference"))


@pytest.fixture
def captured() -> Iterator[Captured]:
    """A capture of its own: the plugin's fixture is under test."""
    with capture(Config(capture_content=True)) as captured:
        yield captured


def run_agent(captured: Captured, *, fail: bool = False) -> UUID:
    """A chain with a model and a tool inside."""
    handler, root, model, tool = captured.handler, uuid4(), uuid4(), uuid4()
    handler.on_chain_start({"name": "guide"}, {}, run_id=root)
    handler.on_chat_model_start(
        {"name": "fake"}, [[]], run_id=model, parent_run_id=root, metadata={"ls_model_name": "m"}
    )
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    message = {"role": "assistant", "content": "5", "usage_metadata": usage}
    handler.on_llm_end({"generations": [[{"message": message}]]}, run_id=model)
    handler.on_tool_start(
        {"name": "add"}, "", run_id=tool, parent_run_id=root, inputs={"a": 2, "b": 3}
    )
    if fail:
        handler.on_tool_error(ValueError("no"), run_id=tool)
    else:
        handler.on_tool_end("5", run_id=tool)
    handler.on_chain_end({}, run_id=root)
    return root


def test_the_tree_is_the_same_for_the_same_program(captured: Captured) -> None:
    """Twice the same runs give the same text, ids and times."""
    run_agent(captured)
    with capture(Config(capture_content=True)) as again:
        run_agent(again)
    assert again.tree() == captured.tree()
    assert [(s.trace_id, s.span_id, s.start_ns, s.end_ns) for s in again.spans] == [
        (s.trace_id, s.span_id, s.start_ns, s.end_ns) for s in captured.spans
    ]
    captured.trace.assert_tree("""
        invoke_workflow guide
          chat m
          execute_tool add
    """)


@pytest.mark.parametrize("conventions", CONVENTIONS, ids="+".join)
def test_the_queries_hold_under_every_convention(conventions: Any) -> None:
    """Model calls, tool calls and tokens are found whatever the attributes are called."""
    with capture(Config(conventions=conventions)) as captured:
        run_agent(captured)
    trace = captured.trace
    assert [span.name for span in trace.roots] == ["invoke_workflow guide"]
    assert [span.name for span in trace.llm_calls] == ["chat m"]
    assert trace.tool("add").span.name == "execute_tool add"
    assert (trace.tokens.calls, trace.tokens.input, trace.tokens.output) == (1, 7, 3)
    assert trace.errors == []


@pytest.mark.parametrize("conventions", CONVENTIONS, ids="+".join)
def test_a_tools_arguments_and_result_are_values(conventions: Any) -> None:
    """Captured content is parsed, under every convention; without it there is None."""
    with capture(Config(conventions=conventions, capture_content=True)) as captured:
        run_agent(captured)
    assert captured.trace.tool("add").arguments == {"a": 2, "b": 3}
    assert captured.trace.tool("add").result == "5"
    with capture(Config(conventions=conventions, capture_content=False)) as private:
        run_agent(private)
    assert private.trace.tool("add").arguments is None
    assert private.trace.tool("add").result is None


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda trace: trace.tool("subtract"), "one call of the tool 'subtract', saw 0"),
        (lambda trace: trace.span("chat"), "one span 'chat', saw 0"),
        (lambda trace: trace.assert_tree("nothing"), "(- expected, + seen):\n- nothing\n+ invoke"),
        (lambda trace: trace.assert_no_errors(), "1 span ended in an error"),
    ],
)
def test_a_failed_assertion_shows_the_tree(captured: Captured, ask: Any, said: str) -> None:
    """What was expected and what there is, in one message."""
    run_agent(captured, fail=True)
    with pytest.raises(AssertionError) as failure:
        ask(captured.trace)
    assert said in str(failure.value)
    assert "  execute_tool add [ValueError]" in str(failure.value)


def test_white_space_at_the_end_of_a_name_does_not_count(captured: Captured) -> None:
    """A tree that is printed and pasted into a test matches, whatever the names end with."""
    run_id = uuid4()
    captured.handler.on_chain_start({"name": "guide "}, {}, run_id=run_id)
    captured.handler.on_chain_end({}, run_id=run_id)
    assert captured.tree().endswith("guide ")
    captured.trace.assert_tree(captured.tree())


def test_more_than_one_trace_is_no_trace(captured: Captured) -> None:
    """`trace` is for tests that make one; the others have `traces`."""
    with pytest.raises(AssertionError, match="saw no span: was the handler attached"):
        _ = captured.trace
    run_agent(captured)
    run_agent(captured)
    with pytest.raises(AssertionError, match="expected one trace, saw 2"):
        _ = captured.trace
    assert len(captured.traces) == 2
    captured.clear()
    assert captured.spans == []


def test_a_run_that_is_left_open_fails_the_test() -> None:
    """The message names it."""
    with pytest.raises(AssertionError, match=r"left open: 1 run \(invoke_workflow guide\)"):  # noqa: SIM117 -- the inner one raises
        with capture() as captured:
            captured.handler.on_chain_start({"name": "guide"}, {}, run_id=uuid4())


def test_the_tests_own_failure_is_not_hidden() -> None:
    """Where the test fails and leaves a run open, its failure is what is raised."""
    with pytest.raises(ZeroDivisionError), capture() as captured:  # noqa: PT012 -- both are the point
        captured.handler.on_chain_start({"name": "guide"}, {}, run_id=uuid4())
        _ = 1 / 0


@pytest.mark.logs_warnings("the handler says that it could not record an event")
def test_what_the_handler_swallows_fails_the_test() -> None:
    """In production telemetry fails softly; under test it must be seen."""
    with pytest.raises(AssertionError, match="could not record"):  # noqa: PT012, SIM117 -- as above
        with capture() as captured:
            captured.handler.on_retry(None, run_id=run_agent(captured))
            captured.handler.on_chain_start({"name": "x"}, {}, run_id=[])  # type: ignore[arg-type]


# -- notebooks ----------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert [name for name, _ in attrs if name != "style"] == []
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebook_shows_the_tree(captured: Captured) -> None:
    """Names nest as the spans do; tokens, errors and attributes are there."""
    run_agent(captured, fail=True)
    page = Page(captured.trace._repr_html_())
    assert page.tags.count("details") == 3
    assert re.search(r"guide.*chat m 7→3 tokens.*execute_tool add \[ValueError\]", page.text)
    assert "gen_ai.request.model" in page.text
    assert captured._repr_html_() == captured.trace._repr_html_()


def test_a_notebook_runs_nothing_that_a_span_says(captured: Captured) -> None:
    """Markup in names and values stays text."""
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;\"'"
    run_id = uuid4()
    captured.handler.on_chain_start({"name": attack}, {attack: attack}, run_id=run_id)
    captured.handler.on_chain_error(ValueError(attack), run_id=run_id)
    page = Page(captured._repr_html_())
    assert set(page.tags) == {"div", "details", "summary", "b", "table", "tr", "td"}
    assert attack in page.text


def test_a_notebook_shows_a_tree_of_any_depth() -> None:
    """Beyond the depth at which Python gives up recursion, too."""
    spans = [
        FinishedSpan("t", str(level), str(level - 1), f"n{level}", "internal", level, level + 1)
        for level in range(3_000)
    ]
    page = Page(CapturedTrace(spans)._repr_html_())
    assert page.tags.count("details") == 3_000


def test_a_notebook_shows_an_empty_capture(captured: Captured) -> None:
    """Rather than nothing at all."""
    assert "no spans" in Page(captured._repr_html_()).text


# -- the pytest plugin --------------------------------------------------------------------------

# by its module, whether or not the package is installed with its entry point
PLUGIN = ("-p", "no:lc_otel", "-p", "lc_otel._pytest", "-p", "no:cacheprovider", "--strict-markers")
ROOT = Path(__file__).parent.parent


def run_pytest(pytester: pytest.Pytester, test: str) -> pytest.RunResult:
    """Run a user's test module under the plugin."""
    pytester._monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile("import pytest\nfrom uuid import uuid4\n" + test)
    return pytester.runpytest_subprocess(*PLUGIN)


def test_the_fixture_captures(pytester: pytest.Pytester) -> None:
    """A test asks for it by name; nothing is captured of its content."""
    run_pytest(
        pytester,
        """
def test_it(lc_otel_trace):
    run_id = uuid4()
    lc_otel_trace.handler.on_tool_start({"name": "t"}, "", run_id=run_id, inputs={"a": 1})
    lc_otel_trace.handler.on_tool_end("x", run_id=run_id)
    assert lc_otel_trace.trace.tool("t").arguments is None
""",
    ).assert_outcomes(passed=1)


def test_the_marker_says_what_is_recorded(pytester: pytest.Pytester) -> None:
    """Its fields are those of Config; a wrong one is an error that says so."""
    result = run_pytest(
        pytester,
        """
@pytest.mark.lc_otel(capture_content=True)
def test_it(lc_otel_trace):
    run_id = uuid4()
    lc_otel_trace.handler.on_tool_start({"name": "t"}, "", run_id=run_id, inputs={"a": 1})
    lc_otel_trace.handler.on_tool_end("x", run_id=run_id)
    assert lc_otel_trace.trace.tool("t").arguments == {"a": 1}

@pytest.mark.lc_otel(content=True)
def test_wrong(lc_otel_trace):
    pass

@pytest.mark.lc_otel("span")
def test_without_a_name(lc_otel_trace):
    pass
""",
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        ["*Config has no field 'content'*", "*lc_otel('span'): expected fields of Config by name*"]
    )


def test_the_fixture_fails_a_test_that_leaves_a_run_open(pytester: pytest.Pytester) -> None:
    """At teardown, with the run's name."""
    result = run_pytest(
        pytester,
        """
def test_it(lc_otel_trace):
    lc_otel_trace.handler.on_chain_start({"name": "guide"}, {}, run_id=uuid4())
""",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines("*left open: 1 run (invoke_workflow guide)*")
