"""lc-otel doctor: what it finds, what it says to do about it, and its exit code."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from lc_otel import _doctor
from lc_otel._doctor import MEANINGS, SUPPORTED, check_variables, check_versions
from lc_otel.cli import main
from tests.receiver import RECEIVERS, Address, Fault, dead_endpoint, grpc_receiver, http_receiver
from tests.versions import STRICT

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


@pytest.fixture(params=list(RECEIVERS))
def backend(request: pytest.FixtureRequest) -> Iterator[Address]:
    """A receiver, once for each protocol."""
    with RECEIVERS[request.param]() as address:
        yield address


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's environment says about proxies and authorities."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def examine(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code and what was printed; nothing goes to stderr."""
    code = main(["doctor", *arguments])
    out, err = capsys.readouterr()
    assert err == ""
    return code, out


def failures(out: str) -> list[tuple[str, str]]:
    """What failed, and what to do about each."""
    return re.findall(r"^  FAIL  (.*)\n        next: (.*)$", out, re.MULTILINE)


def test_a_backend_that_takes_spans_is_well(
    backend: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each step is said, one span with the headers arrives, and nothing else."""
    code, out = examine(
        capsys,
        "--endpoint",
        backend.endpoint,
        "--protocol",
        backend.protocol,
        "--header",
        "x-key=s3cret",
    )
    assert (code, failures(out)) == (0, [])
    assert f"spans go to {backend.endpoint} over {backend.protocol}" in out
    assert "connects" in out
    assert f"it took a probe span (lc-otel doctor) over {backend.protocol}" in out
    assert out.endswith("all well\n")
    (request,) = backend.receiver.requests
    assert request.headers["x-key"] == "s3cret"
    assert [span.name for span in backend.receiver.spans] == ["lc-otel doctor"]
    assert "s3cret" not in out


def test_the_environment_is_read_as_configure_reads_it(
    backend: Address, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endpoint, protocol, headers and sampler of OTEL_* hold; the probe is sent in any case."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", backend.protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    code, out = examine(capsys)
    assert code == 0
    (request,) = backend.receiver.requests
    assert request.headers["x-key"] == "s3cret"
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT = '{backend.endpoint}': the backend's address" in out
    assert "OTEL_EXPORTER_OTLP_HEADERS = (not shown)" in out
    assert "s3cret" not in out


@pytest.mark.logs_warnings("the exporter says why it fails, which the command keeps to itself")
@pytest.mark.parametrize(
    ("protocol", "receiver"), [("grpc", http_receiver), ("http/protobuf", grpc_receiver)]
)
def test_the_wrong_protocol_is_told_from_the_right_one(
    protocol: str, receiver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the chosen protocol fails, the other is tried, and its settings are said."""
    with receiver() as backend:
        code, out = examine(capsys, "--endpoint", backend.endpoint, "--protocol", protocol)
        [(said, then)] = failures(out)
        assert code == 1
        assert f"did not take a probe span over {protocol}" in said
        assert f"OTEL_EXPORTER_OTLP_PROTOCOL={backend.protocol}" in then
        assert f"OTEL_EXPORTER_OTLP_ENDPOINT={backend.endpoint}" in then


def test_a_dead_port_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """No exporter is tried on a port that does not connect."""
    endpoint = dead_endpoint()
    code, out = examine(capsys, "--endpoint", endpoint)
    [(said, then)] = failures(out)
    assert code == 1
    assert said.startswith(f"{endpoint.removeprefix('http://')} does not connect: Connection ref")
    assert "docker compose up -d" in then


def test_a_name_that_does_not_resolve(capsys: pytest.CaptureFixture[str]) -> None:
    """RFC 2606 keeps .invalid free."""
    code, out = examine(capsys, "--endpoint", "http://collector.invalid:4317")
    [(said, then)] = failures(out)
    assert code == 1
    assert said.startswith("the name collector.invalid does not resolve")
    assert "spelling" in then


@pytest.mark.logs_warnings("the exporter says why it fails, which the command keeps to itself")
def test_refused_headers(backend: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """401 and UNAUTHENTICATED lead to the headers."""
    backend.receiver.fault = Fault(grpc=grpc.StatusCode.UNAUTHENTICATED, http=401)
    code, out = examine(capsys, "--endpoint", backend.endpoint, "--protocol", backend.protocol)
    [(said, then)] = failures(out)
    assert code == 1
    assert re.search("UNAUTHENTICATED|401", said)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in then


@contextmanager
def babbler() -> Iterator[str]:
    """A server that answers every connection with what is no protocol."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.logs_warnings("the exporter says why it fails, which the command keeps to itself")
@pytest.mark.parametrize("protocol", list(RECEIVERS))
def test_a_port_that_speaks_something_else(
    protocol: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connects and takes nothing: a failure with a next step, and no traceback."""
    monkeypatch.setattr(_doctor, "_TIMEOUT", 1.0)
    with babbler() as endpoint:
        code, out = examine(capsys, "--endpoint", endpoint, "--protocol", protocol)
    [(said, then)] = failures(out)
    assert code == 1
    assert f"over {protocol}: " in said
    assert then


@pytest.fixture(scope="module")
def authority() -> Any:
    """Vouches for localhost."""
    return pytest.importorskip("trustme").CA()


@contextmanager
def secured(protocol: str, authority: Any) -> Iterator[Address]:
    """A receiver behind TLS."""
    certificate = authority.issue_cert("localhost")
    if protocol == "grpc":
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        key = certificate.private_key_pem.bytes()
        with grpc_receiver(grpc.ssl_server_credentials([(key, chain)])) as address:
            yield address
    else:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        with http_receiver(context) as address:
            yield address


@pytest.mark.parametrize("protocol", list(RECEIVERS))
def test_tls_with_an_authority_of_ones_own(
    protocol: str,
    authority: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The handshake is shown; without the authority, the certificate is what fails."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with secured(protocol, authority) as backend:
        arguments = ("--endpoint", backend.endpoint, "--protocol", protocol)
        code, out = examine(capsys, *arguments)
        [(said, then)] = failures(out)
        assert code == 1
        assert said.startswith("its certificate is not trusted: ")
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in then

        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "none.pem"))
        code, out = examine(capsys, *arguments)
        [(said, then)] = failures(out)
        assert code == 1
        assert "cannot be read" in said

        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(file))
        code, out = examine(capsys, *arguments)
        assert (code, failures(out)) == (0, [])
        assert "it speaks TLSv1.3, with a certificate for localhost" in out


@pytest.mark.logs_warnings("exports that fail, which the command says as a finding")
@pytest.mark.parametrize("protocol", list(RECEIVERS))
def test_no_tls_where_it_is_needed(
    protocol: str, authority: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """An http address of a backend behind TLS is told by a handshake of the doctor's own."""
    with secured(protocol, authority) as backend:
        endpoint = backend.endpoint.replace("https:", "http:")
        code, out = examine(capsys, "--endpoint", endpoint, "--protocol", protocol)
    [(_, then)] = failures(out)
    assert (code, then) == (1, "it speaks TLS: write https://")


def test_tls_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """An https address of a plain backend is told by its handshake."""
    with http_receiver() as backend:
        endpoint = backend.endpoint.replace("http:", "https:")
        code, out = examine(capsys, "--endpoint", endpoint, "--protocol", "http/protobuf")
    [(said, then)] = failures(out)
    assert code == 1
    assert said.startswith("it does not speak TLS")
    assert "http://" in then


@pytest.mark.logs_warnings("the exporter says why it fails, which the command keeps to itself")
def test_behind_a_proxy_nothing_is_tried_past_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy resolves and connects, so only the probe can tell."""
    monkeypatch.setenv("HTTP_PROXY", dead_endpoint())
    monkeypatch.setattr(_doctor, "_TIMEOUT", 1.0)
    code, out = examine(
        capsys, "--endpoint", "http://collector.invalid:4318", "--protocol", "http/protobuf"
    )
    assert code == 1
    assert "the proxy of HTTP_PROXY makes the connection" in out
    [(said, _)] = failures(out)
    assert said.startswith("it did not take a probe span over http/protobuf")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "tcp"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'tcp'"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector"}, "OTEL_EXPORTER_OTLP_ENDPOINT is 'coll"),
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED is true"),
    ],
)
def test_a_setting_that_cannot_work_is_a_failure(
    variables: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The doctor says it among its findings rather than stopping at it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out = examine(capsys)
    assert code == 1
    assert failures(out)[-1][0].startswith(said)


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """One object: healthy, and each check with topic, status, words and next step."""
    with http_receiver() as backend:
        arguments = ("--endpoint", backend.endpoint, "--protocol", "http/protobuf", "--json")
        code, out = examine(capsys, *arguments)
    answer = json.loads(out)
    assert (code, answer["healthy"]) == (0, True)
    assert {check["topic"] for check in answer["checks"]} == {
        "versions", "settings", "langchain", "provider", "backend",
    }  # fmt: skip
    code, out = examine(capsys, "--endpoint", dead_endpoint(), "--json")
    answer = json.loads(out)
    assert (code, answer["healthy"]) == (1, False)
    (failed,) = (check for check in answer["checks"] if check["status"] == "fail")
    assert failed["next"]


# -- what does not depend on a backend ----------------------------------------------------------


@pytest.mark.logs_warnings("an invalid value, which the command says as a finding")
def test_variables_are_explained_and_typos_found() -> None:
    """A known variable has its meaning, a near miss its cure, a secret no value."""
    environ = {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPORTER_OTLP_HEADRS": "x=1",
        "OTEL_EXPORTER_OTLP_HEADERS": "x=s3cret",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:s3cret@host",
        "OTEL_OF_SOMEBODY_ELSE": "s3cret",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "yes",
        "PATH": "/bin",
    }
    found = list(check_variables(environ))
    said = "\n".join(f"{finding.status} {finding.said} {finding.next_step}" for finding in found)
    assert "ok OTEL_SERVICE_NAME = 'shop': service.name" in said
    assert "warn OTEL_EXPORTER_OTLP_HEADRS" in said
    assert "did you mean OTEL_EXPORTER_OTLP_HEADERS?" in said
    assert "note OTEL_OF_SOMEBODY_ELSE" in said
    assert "is 'yes', which captures nothing" in said
    assert "s3cret" not in said
    assert "PATH" not in said


@pytest.mark.logs_warnings("headers that the SDK cannot read, which the command says as a finding")
@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ("api-key=s3cret", None),
        ("Authorization=Bearer s3cret,x=1", None),
        ("s3cret", "1 of 1"),
        ("api key=s3cret", "1 of 1"),
        ("x=1,Bearer s3cret,y=2,s3cret", "2, 4 of 4"),
    ],
)
def test_headers_that_are_not_sent_are_said(headers: str, parts: str | None) -> None:
    """The SDK passes them over; which ones is said, and nothing of what they hold."""
    found = list(check_variables({"OTEL_EXPORTER_OTLP_TRACES_HEADERS": headers}))
    said = [finding.said for finding in found if finding.status == "warn"]
    expected = f"OTEL_EXPORTER_OTLP_TRACES_HEADERS is no list of name=value: part {parts} is not"
    assert said == ([f"{expected} sent"] if parts else [])
    assert not any("s3cret" in finding.said + finding.next_step for finding in found)


def test_a_sampler_that_is_none_is_said() -> None:
    """The SDK then records everything, which nobody asked for."""
    (found,) = (
        finding
        for finding in check_variables({"OTEL_TRACES_SAMPLER": "sometimes"})
        if finding.status == "warn"
    )
    assert "every trace is recorded" in found.said
    assert "parentbased_traceidratio" in found.next_step


def test_an_empty_sampler_is_none() -> None:
    """The specification takes an empty value as unset."""
    found = check_variables({"OTEL_TRACES_SAMPLER": ""})
    assert [finding for finding in found if finding.status == "warn"] == []


@pytest.mark.logs_warnings("headers that are none, as every value here")
def test_what_opentelemetry_reads_is_no_typo() -> None:
    """No variable that the SDK or the API knows is said to be read by nobody."""
    from opentelemetry import environment_variables as api
    from opentelemetry.sdk import environment_variables as sdk

    names = {
        value
        for home in (api, sdk)
        for value in vars(home).values()
        if isinstance(value, str) and value.startswith("OTEL_")
    }
    assert "OTEL_BLRP_MAX_QUEUE_SIZE" in names
    found = list(check_variables(dict.fromkeys(names, "1")))
    assert [finding.said for finding in found if " is not read by " in finding.said] == []
    said = "\n".join(finding.said for finding in found)
    assert "OTEL_BLRP_MAX_QUEUE_SIZE = '1': log events that may wait" in said


def test_a_password_is_not_shown() -> None:
    """Nor what else a variable's name says to be a secret."""
    found = check_variables({"OTEL_EXPORTER_JAEGER_PASSWORD": "s3cret", "OTEL_TOKEN": "s3cret"})
    assert not any("s3cret" in finding.said for finding in found)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "{endpoint}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            ["metrics go there too", "log events go there too"],
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{endpoint}/v1/traces"},
            [
                "metrics go to http://localhost:4317 over grpc; OTEL_METRICS_EXPORTER=none",
                "log events go to http://localhost:4317 over grpc; OTEL_LOGS_EXPORTER=none",
            ],
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "{endpoint}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://elsewhere:4318/v1/metrics",
                "OTEL_LOGS_EXPORTER": "none",
            },
            ["metrics go to http://elsewhere:4318/v1/metrics over http/protobuf"],
        ),
    ],
)
def test_where_metrics_and_log_events_go_is_said(
    variables: dict[str, str],
    expected: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There too, or to an address of their own."""
    with http_receiver() as backend:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(endpoint=backend.endpoint))
        code, out = examine(capsys)
    assert code == 0
    said = re.findall(r"^  note  ((?:metrics|log events) .*)$", out, re.MULTILINE)
    assert len(said) == len(expected)
    assert all(map(str.startswith, said, expected))


def test_content_that_leaves_is_said() -> None:
    """A warning, since it is what nobody should be surprised by."""
    environ = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
    assert list(check_variables(environ))[-1].said.startswith("content (prompts, answers, argum")
    assert list(check_variables(environ))[-1].status == "warn"
    assert list(check_variables({}))[-1].status == "ok"


def test_the_versions_are_those_of_pyproject() -> None:
    """The table of supported versions cannot drift from what pip is told."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for name in ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp",
                 "pydantic", "langchain-core"):  # fmt: skip
        first, end = (".".join(map(str, release)) for release in SUPPORTED[name])
        assert f'"{name}>={first},<{end}"' in project
    assert f'requires-python = ">={".".join(map(str, _doctor._OLDEST_PYTHON))}"' in project


@pytest.mark.parametrize(
    ("versions", "said", "then"),
    [
        ({"opentelemetry-sdk": "1.30.0"}, "opentelemetry-sdk 1.30.0 is not supported", ">=1.38"),
        ({"langchain-core": "2.0.0rc1"}, "langchain-core 2.0.0rc1 is not supported", "<2"),
        ({"pydantic": None}, "pydantic is not installed", "pip install pydantic"),
        ({"opentelemetry-api": "1.40.0"}, "of different versions", "opentelemetry-api==1.45.2"),
    ],
)
def test_versions_that_do_not_work_are_failures(
    versions: dict[str, str | None], said: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with the command that puts it right."""
    right = {
        **dict.fromkeys(_doctor._TOGETHER, "1.45.2"), "pydantic": "2.12.0",
        "langchain-core": "1.7.2", "langchain": "1.4.7", "langgraph": None, **versions,
    }  # fmt: skip
    monkeypatch.setattr(_doctor, "_version", right.get)
    failed = [finding for finding in check_versions() if finding.status == "fail"]
    assert any(said in finding.said and then in finding.next_step for finding in failed)


def test_every_meaning_is_of_a_variable_of_opentelemetrys() -> None:
    """The names in the table are those of the specification, not typos of ours."""
    from opentelemetry import environment_variables as api
    from opentelemetry.sdk import environment_variables as sdk

    known = {value for home in (api, sdk) for value in vars(home).values() if type(value) is str}
    assert MEANINGS.keys() - known == {
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        "OTEL_SEMCONV_STABILITY_OPT_IN",
    }


def in_a_process(program: str) -> str:
    """What a program of its own prints, with warnings as errors."""
    done = subprocess.run(
        [*STRICT, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_a_provider_that_is_set_is_said() -> None:
    """configure() would use it, and send nothing by itself."""
    out = in_a_process(
        "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))\n"
        "from lc_otel._doctor import check_provider\n"
        "print(*check_provider())"
    )
    assert "status='warn'" in out
    assert "opentelemetry.sdk.trace.TracerProvider" in out


@pytest.mark.skipif(find_spec("langchain_core") is None, reason="langchain_core is not installed")
def test_instrument_is_seen_to_take() -> None:
    """LangChain is asked for its handlers; a process that has instrumented already says so."""
    out = in_a_process(
        "from lc_otel._doctor import check_langchain; from lc_otel import instrument\n"
        "print(*check_langchain()); instrument(); print(*check_langchain())"
    )
    first, second = out.splitlines()
    assert "instrument() takes" in first
    assert "in force already" in second


@pytest.mark.skipif(find_spec("langchain_core") is None, reason="langchain_core is not installed")
def test_an_instrument_that_does_not_take_is_a_failure() -> None:
    """A LangChain whose managers ask for no hook would be noticed."""
    out = in_a_process(
        "import langchain_core.callbacks as callbacks\n"
        "callbacks.CallbackManager.configure = classmethod(lambda cls: cls([]))\n"
        "from lc_otel._doctor import check_langchain; print(*check_langchain())"
    )
    assert "status='fail'" in out
    assert "attach it by hand" in out


@pytest.mark.skipif(find_spec("langchain_core") is not None, reason="langchain_core is installed")
def test_no_langchain_is_worth_a_note() -> None:
    """The callback system stands alone."""
    out = in_a_process("from lc_otel._doctor import check_langchain; print(*check_langchain())")
    assert "status='note'" in out
