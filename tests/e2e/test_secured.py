"""Spans through a collector that asks for a token, over TLS that a test authority vouches for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.e2e.jaeger import Jaeger
from tests.e2e.sending import PROTOCOLS, assert_shown, end_span, sending

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.e2e.programs import Launcher, Program

CONFIGS = ("collector.yaml", "collector-tls.yaml")
NOWHERE = "127.0.0.1:9"


class Authority:
    """A certificate authority of ours, and the files of those it vouches for."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder
        self.certificate = str(folder / "authority.pem")
        self._authority.cert_pem.write_to_path(self.certificate)

    def vouch(self, name: str) -> tuple[str, str]:
        """Return the files of a certificate for this machine and of its key."""
        issued = self._authority.issue_cert("127.0.0.1", "localhost")
        certificate, key = (str(self._folder / f"{name}.{kind}") for kind in ("pem", "key"))
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    @property
    def server_variables(self) -> Mapping[str, str]:
        """What collector-tls.yaml reads."""
        certificate, key = self.vouch("server")
        return {"TLS_CERT_FILE": certificate, "TLS_KEY_FILE": key}


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that the exporters are told of."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # the HTTP exporter puts these first
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.certificate)
    return authority


def secure_endpoint(collector: Program, protocol: str) -> str:
    """The collector's https address for a protocol."""
    return f"https://{collector.addresses['grpc' if protocol == 'grpc' else 'http']}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_token_in_a_header_opens_a_guarded_collector(
    launch: Launcher, authority: Authority, protocol: str
) -> None:
    """With the right token in a header, spans reach Jaeger through TLS."""
    jaeger = launch.jaeger()
    collector = launch.collector(
        *CONFIGS,
        "collector-auth.yaml",
        export_to=jaeger.addresses["grpc"],
        environment={**authority.server_variables, "OTLP_TOKEN": "s3cret"},
    )
    headers = {"authorization": "Bearer s3cret"}
    with sending(secure_endpoint(collector, protocol), protocol, headers=headers) as (
        pipeline,
        ended,
    ):
        end_span(pipeline)
        assert pipeline.flush()
    assert_shown(Jaeger(jaeger.addresses["query"]), ended())


@pytest.mark.logs_warnings
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_guarded_collector_takes_nothing_with_a_wrong_token(
    launch: Launcher, authority: Authority, protocol: str
) -> None:
    """With a wrong token the span is refused, counted as lost, and the reason is told."""
    collector = launch.collector(
        *CONFIGS,
        "collector-auth.yaml",
        export_to=NOWHERE,
        environment={**authority.server_variables, "OTLP_TOKEN": "s3cret"},
    )
    headers = {"authorization": "Bearer wrong"}
    with sending(secure_endpoint(collector, protocol), protocol, headers=headers) as (pipeline, _):
        end_span(pipeline)
        assert not pipeline.flush()
        assert (pipeline.exported, pipeline.failed) == (0, 1)
        assert re.search("unauthenticated|unauthorized", str(pipeline.last_error), re.IGNORECASE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_certificate_opens_a_collector_that_asks_for_one(
    launch: Launcher, authority: Authority, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With mutual TLS, spans of a client that the authority vouches for reach Jaeger."""
    jaeger = launch.jaeger()
    collector = launch.collector(
        *CONFIGS,
        export_to=jaeger.addresses["grpc"],
        environment={**authority.server_variables, "TLS_CLIENT_CA_FILE": authority.certificate},
    )
    certificate, key = authority.vouch("client")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", key)
    with sending(secure_endpoint(collector, protocol), protocol) as (pipeline, ended):
        end_span(pipeline)
        assert pipeline.flush()
    assert_shown(Jaeger(jaeger.addresses["query"]), ended())


@pytest.mark.logs_warnings
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_without_a_certificate_is_turned_away(
    launch: Launcher, authority: Authority, protocol: str
) -> None:
    """With mutual TLS, a client that shows no certificate gets nothing through, and knows it."""
    collector = launch.collector(
        *CONFIGS,
        export_to=NOWHERE,
        environment={**authority.server_variables, "TLS_CLIENT_CA_FILE": authority.certificate},
    )
    endpoint = secure_endpoint(collector, protocol)
    with sending(endpoint, protocol, timeout=2) as (pipeline, _):
        end_span(pipeline)
        assert not pipeline.flush()
        assert (pipeline.exported, pipeline.failed) == (0, 1)


@pytest.mark.logs_warnings
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_nobody_vouches_for_gets_nothing(
    launch: Launcher,
    authority: Authority,
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A collector with a certificate of an unknown authority is sent no span."""
    collector = launch.collector(
        *CONFIGS, export_to=NOWHERE, environment=authority.server_variables
    )
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", stranger.certificate)
    endpoint = secure_endpoint(collector, protocol)
    with sending(endpoint, protocol, timeout=2) as (pipeline, _):
        end_span(pipeline)
        assert not pipeline.flush()
        assert (pipeline.exported, pipeline.failed) == (0, 1)
