"""docker-compose.yml and deploy/ agree with each other; CI checks the file against its schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
CONFIGS = sorted(path.name for path in DEPLOY.glob("*.yaml") if path.stem != "collector-builder")


@pytest.fixture(scope="module")
def compose() -> Any:
    """The compose file, its YAML merges carried out."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def image_version(compose: Any, image: str) -> str:
    """The one version in which the services use an image."""
    found = {
        service["image"].rpartition(":")[2]
        for service in compose["services"].values()
        if service["image"].startswith(f"{image}:")
    }
    (version,) = found
    return str(version)


def test_images_are_pinned(compose: Any) -> None:
    """Every image names a full version."""
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", service["image"]), name


def test_ports_are_open_on_loopback_only(compose: Any) -> None:
    """No port is published to the network, and the documented ones are there."""
    published = [
        port for service in compose["services"].values() for port in service.get("ports", ())
    ]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert {port.split(":")[1] for port in published} >= {"4317", "4318", "16686"}


def test_mounted_configs_are_the_ones_that_are_run(compose: Any) -> None:
    """Each service reads, from where it is mounted read-only, a config that is in deploy/."""
    for name, service in compose["services"].items():
        source, target, mode = service["volumes"][0].split(":")
        assert (ROOT / source).is_file(), name
        assert mode == "ro", name
        assert service["command"] == [f"--config={target}"], name


@pytest.mark.parametrize("config", CONFIGS)
def test_default_addresses_are_services(compose: Any, config: str) -> None:
    """Where a config sends to, unless told otherwise, is a service of the compose file."""
    hosts = set(re.findall(r"([a-z][\w-]*):4317", (DEPLOY / config).read_text()))
    assert hosts <= set(compose["services"])


def test_environment_reaches_the_configs(compose: Any) -> None:
    """Every variable that a service is given is read by its config."""
    for name, service in compose["services"].items():
        config = (ROOT / service["volumes"][0].split(":")[0]).read_text()
        for variable in service.get("environment", ()):
            assert f"${{env:{variable}:-" in config, (name, variable)


def test_the_native_collector_is_the_one_compose_runs(compose: Any) -> None:
    """The builder's manifest names the image's version for the collector and each component."""
    version = image_version(compose, "otel/opentelemetry-collector-contrib")
    manifest = yaml.safe_load((DEPLOY / "collector-builder.yaml").read_text())
    assert manifest["dist"]["version"] == version
    components = [
        component["gomod"].split()
        for kind in ("receivers", "processors", "exporters", "extensions")
        for component in manifest[kind]
    ]
    assert components
    others = [name for name, pinned in components if pinned != f"v{version}"]
    assert [name.rpartition("/")[2] for name in others] == ["otlpjsonfilereceiver"]  # says why
    (replaced,) = manifest["replaces"]
    assert replaced.endswith(f"/pkg/stanza v{version}")  # what does that receiver's work


def test_the_native_jaeger_is_the_one_compose_runs(compose: Any) -> None:
    """The build script knows the Go module version of the image's release."""
    version = image_version(compose, "jaegertracing/jaeger")
    assert f"{version}) echo v" in (ROOT / "scripts/build-backends").read_text()
