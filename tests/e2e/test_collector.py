"""What a program sends through the repository's own collector is what Jaeger then shows."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace

from tests.e2e.documented import read_settings
from tests.e2e.programs import DEPLOY, ROOT, find_collector, find_program, wait_until
from tests.e2e.sending import PROTOCOLS, assert_shown, end_span, sending
from tests.versions import needs_create_agent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Backend

CONFIGS = (
    ("collector.yaml",),
    ("collector.yaml", "collector-tls.yaml"),
    ("collector.yaml", "collector-tls.yaml", "collector-auth.yaml"),
    ("gateway.yaml",),
    ("sampler.yaml",),
)


@pytest.mark.parametrize("configs", CONFIGS, ids="+".join)
def test_the_collector_accepts_the_configs(configs: tuple[str, ...]) -> None:
    """Each config in deploy/, and each overlay, passes the Collector's own validation."""
    command = [find_collector(), "validate", *(f"--config={DEPLOY / name}" for name in configs)]
    variables = {"TLS_CERT_FILE": "cert.pem", "TLS_KEY_FILE": "key.pem", "OTLP_TOKEN": "secret"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_jaeger_accepts_its_config() -> None:
    """deploy/jaeger.yaml passes Jaeger's own validation."""
    command = [find_program("jaeger", "jaegertracing/jaeger"), "validate"]
    command.append(f"--config={DEPLOY / 'jaeger.yaml'}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_validation_refuses_a_wrong_config(tmp_path: Path) -> None:
    """The validation is a check that can fail: an exporter nobody defined is an error."""
    broken = tmp_path / "broken.yaml"
    config = (DEPLOY / "collector.yaml").read_text()
    broken.write_text(config.replace("exporters: [otlp_grpc]", "exporters: [nobody]"))
    command = [find_collector(), "validate", f"--config={broken}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nobody" in done.stderr


@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everything_a_span_carries_arrives(
    backend: Backend, protocol: str, compression: str
) -> None:
    """Ids, parents, kinds, attributes, statuses, events, links, resource and times are kept."""
    endpoint = backend.endpoint(protocol)
    settings = {"service_name": "everything", "service_version": "1.2.3"}
    with sending(endpoint, protocol, compression=compression, **settings) as (pipeline, ended):
        tracer = pipeline.tracer_provider.get_tracer("e2e")
        with tracer.start_as_current_span("root") as root:
            link = trace.Link(root.get_span_context(), {"why": "because"})
            for kind in trace.SpanKind:
                with tracer.start_as_current_span(kind.name, kind=kind, links=[link]) as span:
                    span.set_attributes(
                        {
                            "text": "grüße 漢字 🙂 \n",
                            "empty": "",
                            "int": 2**62,
                            "float": 0.1,
                            "flag": True,
                            "texts": ["a", "b"],
                            "ints": [1, 2],
                            "long": "x" * 20_000,
                        }
                    )
                    span.add_event("happened", {"number": 1, "flag": False})
            with tracer.start_as_current_span("fine") as span:
                span.set_status(trace.StatusCode.OK)
            with tracer.start_as_current_span("failed") as span:
                span.record_exception(ValueError("bad"))
                span.set_status(trace.StatusCode.ERROR, "it was bad")
        assert pipeline.flush()
    sent = ended()
    assert len(sent) == 8
    assert sent[0].resource["service.name"] == "everything"
    assert_shown(backend.jaeger, sent)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_batch_of_large_prompts_arrives(backend: Backend, protocol: str) -> None:
    """A batch far beyond gRPC's usual 4 MiB passes, split for those behind the collector."""
    with sending(backend.endpoint(protocol), protocol, service_name="large") as (pipeline, ended):
        tracer = pipeline.tracer_provider.get_tracer("e2e")
        with tracer.start_as_current_span("root"):
            for number in range(400):
                prompt = f"{number:06}" * 8_000
                tracer.start_span("chat", attributes={"gen_ai.input.messages": prompt}).end()
        assert pipeline.flush(), pipeline.last_error
    assert_shown(backend.jaeger, ended())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_demo_agents_trace_arrives_whole(backend: Backend, protocol: str) -> None:
    """Every span of an agent with two tools and a retriever is in Jaeger as it was made."""
    needs_create_agent()
    from lc_otel._commands._agent import QUESTION, build_agent  # needs LangChain

    with sending(backend.endpoint(protocol), protocol, service_name="agent") as (pipeline, ended):
        build_agent().invoke(
            {"messages": [("user", QUESTION)]}, config={"callbacks": [pipeline.handler]}
        )
        assert pipeline.flush()
    sent = ended()
    assert {span.name for span in sent} >= {
        "invoke_agent hut-guide",
        "chat scripted-1",
        "execute_tool search_huts",
        "execute_tool quote_stay",
    }
    assert sum(span.parent_id is None for span in sent) == 1
    assert_shown(backend.jaeger, sent)


def test_the_documented_settings_reach_jaeger(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/backends.md gives for Jaeger, but for the address, is enough."""
    settings = read_settings()["Jaeger"] | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint("grpc"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with sending() as (pipeline, ended):
        end_span(pipeline)
        assert pipeline.flush()
    assert_shown(backend.jaeger, ended())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_demo_command_links_to_its_trace(backend: Backend, protocol: str) -> None:
    """`lc-otel demo --endpoint` prints the address under which Jaeger has the trace it printed."""
    needs_create_agent()
    command = [sys.executable, "-m", "lc_otel", "demo", "--jaeger", backend.jaeger.url]
    command += ["--endpoint", backend.endpoint(protocol), "--protocol", protocol]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    link = re.search(rf"{backend.jaeger.url}/trace/([0-9a-f]{{32}})", done.stdout)
    assert link, done.stdout
    accepted = re.search(r"(\d+) spans, accepted", done.stdout)
    assert accepted, done.stdout
    wait_until(
        lambda: len(backend.jaeger.trace(link[1])) == int(accepted[1]), "Jaeger shows the trace"
    )
