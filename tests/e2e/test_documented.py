"""The settings in docs/backends.md are what configure() makes of them."""

from __future__ import annotations

import pytest
from opentelemetry.util.re import parse_env_headers

from lc_otel.config import read_export_settings
from tests.e2e.documented import read_settings

SETTINGS = read_settings()
ADDRESSES = {
    "Jaeger": "http://localhost:4317",
    "Phoenix": "http://localhost:6006/v1/traces",
    "Grafana Tempo": "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/traces",
    "Honeycomb": "https://api.honeycomb.io/v1/traces",
    "Datadog": "https://otlp.datadoghq.com/v1/traces",
    "Langfuse": "https://cloud.langfuse.com/api/public/otel/v1/traces",
    "LangSmith": "https://api.smith.langchain.com/otel/v1/traces",
    "Arize": "https://otlp.arize.com/v1/traces",
    "MLflow": "http://localhost:5000/v1/traces",
}
"""Where spans are posted; the gRPC address for Jaeger."""
TAKES_METRICS = {"Jaeger", "Grafana Tempo", "Honeycomb"}
NEEDS_NO_HEADER = {"Jaeger", "Phoenix"}


def test_the_page_has_every_backend() -> None:
    """Each backend that is promised has its settings."""
    assert set(SETTINGS) == set(ADDRESSES)


@pytest.mark.parametrize("backend", SETTINGS)
def test_configure_understands_the_settings(backend: str) -> None:
    """Address, protocol and the wish for metrics are read as the page says."""
    settings = SETTINGS[backend]
    read = read_export_settings(environ=settings)
    assert read.traces
    assert read.traces.protocol == ("grpc" if backend == "Jaeger" else "http/protobuf")
    exact = read.traces.endpoint or settings.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    assert (exact or read.traces.address) == ADDRESSES[backend]
    assert bool(read.metrics) == (backend in TAKES_METRICS)


@pytest.mark.parametrize("backend", sorted(set(SETTINGS) - NEEDS_NO_HEADER))
def test_headers_are_encoded_for_the_environment(backend: str) -> None:
    """The SDK reads every header of the page, its spaces and equals signs decoded."""
    settings = SETTINGS[backend]
    given = (
        settings.get("OTEL_EXPORTER_OTLP_HEADERS") or settings["OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
    )
    headers = parse_env_headers(given, liberal=True)
    assert len(headers) == given.count(",") + 1
    assert not any("%" in value for value in headers.values())
