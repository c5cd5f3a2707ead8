"""Take the picture of the page that the docs show: python -m tests.browser.take_picture OUT.png."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from lc_otel._finished import read_span
from lc_otel._page import build_page
from lc_otel._trace import group_traces
from tests.agent_trace import Node, build, weather_agent
from tests.browser.conftest import start_browser

WORKFLOW = {"gen_ai.operation.name": "invoke_workflow", "langchain.run.type": "chain"}


def take(out: Path) -> None:
    """Open the page of a few traces at the last model call, and save what is seen."""
    agent = weather_agent()
    fine = replace(agent, children=[agent.children[0], *agent.children[2:]], end=2_806)
    report = Node("invoke_workflow morning_report", 0, 812, WORKFLOW, fine.children[:1])
    spans = build(report, fine, report, fine, agent)
    traces = sorted(group_traces(map(read_span, spans)), key=lambda trace: -trace.spans[0].start_ns)
    with tempfile.TemporaryDirectory() as folder, start_browser(Path(folder)) as browser:
        page = Path(folder) / "page.html"
        page.write_text("".join(build_page(traces, "traces.jsonl")), encoding="utf-8")
        browser.set_window_size(1380, 860)
        browser.get(page.as_uri())
        browser.find_element("css selector", "#spans [data-row='2'] .text").click()
        browser.find_element("id", "trace-head").click()
        browser.save_screenshot(str(out))


if __name__ == "__main__":
    take(Path(sys.argv[1]))
