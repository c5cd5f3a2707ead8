"""What happens inside a run in, `RunEvent` out."""

from __future__ import annotations

from typing import Any

from lc_otel._reading.ends import error_name
from lc_otel._reading.shapes import get
from lc_otel.run import RunEvent


def read_text(said: Any) -> RunEvent:
    """A chain that shows its intermediate text."""
    return RunEvent("langchain.text", content=said)


def read_retry(state: Any) -> RunEvent:
    """A retry, as tenacity's ``RetryCallState`` tells it: attempt, wait in seconds, last error."""
    attributes: dict[str, Any] = {}
    attempt = get(state, "attempt_number")
    if isinstance(attempt, int):
        attributes["langchain.retry.attempt"] = attempt
    wait = get(get(state, "next_action"), "sleep")
    if isinstance(wait, (int, float)):
        attributes["langchain.retry.wait"] = float(wait)
    outcome = get(state, "outcome")
    if outcome is not None and get(outcome, "failed"):
        error = outcome.exception()
        attributes["error.type"] = error_name(type(error))
    return RunEvent("langchain.retry", attributes)


def read_agent_action(action: Any) -> RunEvent:
    """A tool that an ``AgentExecutor`` chose."""
    # the name is content as well: whatever a model wrote where its prompt asks for one
    said = {"tool": get(action, "tool"), "tool_input": get(action, "tool_input")}
    return RunEvent("langchain.agent.action", content=said)


def read_agent_finish(finish: Any) -> RunEvent:
    """The answer of an ``AgentExecutor``."""
    return RunEvent("langchain.agent.finish", content=get(finish, "return_values"))


def read_custom_event(name: Any, data: Any) -> RunEvent:
    """An event the program dispatched itself; the name is its own, the data is content."""
    return RunEvent(name if isinstance(name, str) else str(name), content=data)


def read_interrupt(event: Any) -> RunEvent:
    """LangGraph's ``GraphInterruptEvent``; what it asks of a person is content."""
    interrupts = get(event, "interrupts") or ()
    return RunEvent(
        "langgraph.interrupt",
        {**_read_checkpoint(event), "langgraph.interrupts": len(interrupts)},
        [get(interrupt, "value") for interrupt in interrupts],
    )


def read_resume(event: Any) -> RunEvent:
    """LangGraph's ``GraphResumeEvent``."""
    return RunEvent("langgraph.resume", _read_checkpoint(event))


def _read_checkpoint(event: Any) -> dict[str, Any]:
    namespace = get(event, "checkpoint_ns") or ()
    return {
        "langgraph.status": str(get(event, "status")),
        "langgraph.checkpoint_id": str(get(event, "checkpoint_id")),
        "langgraph.checkpoint_ns": "|".join(str(part) for part in namespace),
    }
