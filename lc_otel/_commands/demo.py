"""Run a LangChain agent, show its trace, and send it to a backend if one is named."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import format_trace_id

from lc_otel._commands import CommandError
from lc_otel._commands._backend import add_backend_arguments, quiet
from lc_otel._pipeline import Pipeline, configure

if TYPE_CHECKING:
    import argparse

_EXPORT_TIMEOUT = 5.0  # seconds for one export; a backend at hand answers in milliseconds
_SHUTDOWN_TIMEOUT = 8.0  # seconds for all of it
_MISSING = "it runs an agent of LangChain 1.x, which is not there: pip install 'lc-otel[demo]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where the trace is to go."""
    add_backend_arguments(parser)
    parser.add_argument(
        "--jaeger",
        default="http://localhost:16686",
        metavar="URL",
        help="Jaeger's page, for the link (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask the agent and print what came of it; 1 where a named backend did not take the trace."""
    try:
        from lc_otel._commands import _agent  # noqa: PLC0415  # the extra may be missing
    except ImportError:
        raise CommandError(_MISSING) from None

    with quiet("opentelemetry", "lc_otel"):
        pipeline = configure(
            endpoint=arguments.endpoint,
            protocol=arguments.protocol,
            headers=dict(arguments.header) or None,
            service_name="lc-otel-demo",
            console=True,
            timeout=_EXPORT_TIMEOUT,
            set_global=False,
        )
        if pipeline.settings.disabled:
            pipeline.shutdown()
            raise CommandError("OTEL_SDK_DISABLED is true, so nothing is recorded; unset it")
        print(f"question  {_agent.QUESTION}\nanswer    ", end="")
        trace_id = _print_answer(_agent.build_agent(), _agent.QUESTION, pipeline)
        whole = pipeline.shutdown(_SHUTDOWN_TIMEOUT)

    print(f"\ntrace id  {trace_id}")
    if pipeline.address is None:
        print("next      lc-otel demo --endpoint http://localhost:4317  sends it to a backend")
        return 0
    if pipeline.failed or not pipeline.exported:
        unasked = "no span was sampled, see OTEL_TRACES_SAMPLER" if whole else "no answer in time"
        reason = pipeline.last_error or unasked
        raise CommandError(f"{pipeline.address} did not take the trace: {reason}")
    print(f"sent      {pipeline.exported} spans, accepted by {pipeline.address}")
    print(f"see it    {arguments.jaeger.rstrip('/')}/trace/{trace_id}")
    return 0


def _print_answer(agent: Any, question: str, pipeline: Pipeline) -> str:
    """Print the agent's final answer as it streams; the id of its trace."""
    run_id = uuid.uuid4()
    trace_id = ""
    stream = agent.stream(
        {"messages": [("user", question)]},
        config={"callbacks": [pipeline.handler], "run_id": run_id},
        stream_mode="messages",
    )
    for message, metadata in stream:
        if span := pipeline.handler.span_for(run_id):
            trace_id = format_trace_id(span.get_span_context().trace_id)
        if metadata["langgraph_node"] == "model":
            print(message.text, end="", flush=True)
            if message.usage_metadata and not message.tool_calls:
                print()  # the last piece of the answer: the tree comes next
    return trace_id
