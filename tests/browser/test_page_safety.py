"""The page in a real browser: what spans bring from strangers is shown, and never run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent_trace import Node, weather_agent
from tests.browser.conftest import DOWN, ESCAPE, HOME

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage

ATTACKS = [
    "</script><script>window.hit=1</script>",
    "</script bogus",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    "<!--<script>window.hit=1</script>",
    "'\"><iframe srcdoc='<script>parent.hit=1</script>'>",
    "javascript:window.hit=1",
    "{{constructor.constructor('window.hit=1')()}}",
    "@SCRIPT@ @STYLE@ @CSP@ @DATA@",
    "</style></title></textarea><body onload=window.hit=1>",
]


CENSUS = """return ["script", "style", "img", "svg", "iframe", "a", "body", "form", "object"]
  .map((tag) => document.getElementsByTagName(tag).length)"""


def hostile(attack: str) -> list[Node]:
    """Spans that carry the attack in every place where text can stand."""
    message = {
        "role": attack,
        "name": attack,
        "finish_reason": attack,
        "parts": [
            {"type": "text", "content": attack},
            {"type": "reasoning", "content": attack},
            {"type": "tool_call", "id": attack, "name": attack, "arguments": {attack: attack}},
            {"type": "tool_call_response", "id": attack, "response": attack},
            {"type": "blob", "mime_type": attack, "content": attack},
            {"type": "uri", "modality": attack, "uri": attack},
            {"type": "file", "mime_type": attack, "file_id": attack},
            {"type": attack, attack: attack},
            attack,
        ],
    }
    document = {"id": attack, "score": attack, "content": attack, "metadata": {attack: attack}}
    every = {
        attack: attack,
        "error.type": attack,
        "gen_ai.input.messages": json.dumps([message]),
        "gen_ai.output.messages": json.dumps([message]),
        "gen_ai.system_instructions": json.dumps(message["parts"]),
        "gen_ai.tool.call.arguments": json.dumps({attack: attack}),
        "gen_ai.tool.call.result": attack,
        "gen_ai.retrieval.documents": json.dumps([document, {**document, "score": 0.5}]),
        "gen_ai.retrieval.query.text": attack,
        "gen_ai.provider.name": attack,
        "gen_ai.tool.definitions": json.dumps([{"name": attack, "description": attack}, attack]),
        "gen_ai.response.model": attack,
        "gen_ai.response.finish_reasons": [attack],
        "gen_ai.usage.cache_read.input_tokens": attack,
        "gen_ai.conversation.id": attack,
        "langchain.run.tags": [attack],
        "langchain.run.outcome": attack,
        "langgraph.node": attack,
    }
    flat = {
        "openinference.span.kind": attack,
        "llm.input_messages.0.message.role": attack,
        "llm.input_messages.0.message.content": attack,
        f"llm.input_messages.{attack}.message.content": attack,
        "retrieval.documents.0.document.content": attack,
    }
    in_and_out = {
        "input.value": attack,
        "langchain.output": json.dumps({"messages": [message, attack]}),
    }
    exception = {"exception.message": attack, "exception.stacktrace": attack, attack: attack}
    operations = ["chat", "execute_tool", "retrieval", "invoke_agent", "invoke_workflow", attack]
    children = [
        Node(
            attack,
            i,
            i + 1,
            {**every, "gen_ai.operation.name": operation},
            error=(attack, attack),
            events=[("exception", i, exception), (attack, i, exception)],
        )
        for i, operation in enumerate(operations)
    ]
    children += [Node(attack, 20, 21, flat), Node(attack, 22, 23, in_and_out)]
    return [Node(attack, 0, 30, every, children), Node(attack, 0, 1, every)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_content_is_shown_and_never_run(open_page: OpenPage, attack: str) -> None:
    """Script in every field, clicked through: each shows as text, none runs or becomes markup."""
    page = open_page(*hostile(attack), source=attack)
    before = page.js(CENSUS)
    assert before == [2, 1, 0, 0, 0, 0, 1, 1, 0]
    assert page.text("#source") == attack
    for _ in range(9):
        page.press(DOWN)
        assert page.text(".heading h2").endswith(f" {attack}")
        page.js("document.querySelectorAll('details').forEach((held) => { held.open = true; })")
        panel = page.text("aside")
        assert attack in panel
        assert page.js(CENSUS) == before
    page.press(HOME)
    shown = [
        ".message header b",
        ".message .prose",
        ".message .attachment",
        ".block .title b",
        ".document header b",
        ".document .prose",
        ".figures dd",
        ".facts dd",
        "th",
        "td",
    ]
    for selector in shown:
        assert any(attack in found for found in page.texts(selector)), selector
    page.press(DOWN)
    assert page.text(".failure b") == attack
    assert attack in page.texts("pre.stack")
    assert attack in page.texts(".event header b")
    page.search(attack)
    assert page.names()
    page.click("#errors")
    for button in page.driver.find_elements("css selector", "#kinds button"):
        button.click()
    page.press("?", ESCAPE, "]", "[")
    assert page.js(CENSUS) == before
    assert page.js("return window.hit") is None


def test_the_policy_stops_what_slips_through(driver: Any, open_page: OpenPage) -> None:
    """Even script that got into the page's markup does not run, load or connect."""
    page = open_page(weather_agent())
    path = Path(page.js("return location.pathname"))
    html = path.read_text(encoding="utf-8")
    slipped = (
        "<script>window.hit=1</script><img src='data:,' onerror='window.hit=1'>"
        "<style>body{--slipped:1}</style><base href='http://127.0.0.1:9/'>"
    )
    path.write_text(html.replace("<body>", f"<body>{slipped}"), encoding="utf-8")
    driver.get("about:blank")
    driver.get(path.as_uri())
    assert page.names()
    assert page.js("return window.hit") is None
    assert page.js("return getComputedStyle(document.body).getPropertyValue('--slipped')") == ""
    assert page.js("return document.baseURI").startswith("file:")
    refused = driver.execute_async_script(
        """const done = arguments[0], refused = [];
           const attempt = (name, act) => { try { act(); } catch { refused.push(name); } };
           setTimeout(() => {  // out of the driver's own call, which may use eval
             attempt("eval", () => { window.eval("window.hit=1"); });
             attempt("innerHTML", () => { document.body.innerHTML = "<b>x</b>"; });
             attempt("script", () => {
               const script = document.createElement("script");
               script.text = "window.hit=1";
               document.body.append(script);
             });
             fetch("http://127.0.0.1:9/").catch(() => { refused.push("fetch"); done(refused); });
           })"""
    )
    assert sorted(refused) == ["eval", "fetch", "innerHTML", "script"]
    assert page.js("return window.hit") is None
    said = [entry["message"] for entry in driver.get_log("browser")]
    assert len(said) >= 5
    assert all(
        "Content Security Policy" in message or "TrustedHTML" in message or "Trusted" in message
        for message in said
    ), said


def test_the_page_fetches_nothing(open_page: OpenPage) -> None:
    """Opened from disk, the page loads no resource at all."""
    page = open_page(weather_agent())
    page.press(DOWN, "n")
    assert page.js("return performance.getEntriesByType('resource').map((e) => e.name)") == []
