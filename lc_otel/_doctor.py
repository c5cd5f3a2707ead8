"""An environment and arguments in, what would happen with them out, check by check."""

from __future__ import annotations

import difflib
import importlib
import os
import platform
import re
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Literal, NamedTuple, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from opentelemetry import environment_variables as api_variables
from opentelemetry import trace
from opentelemetry.sdk import environment_variables as sdk_variables
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.util.re import parse_env_headers

from lc_otel._errors import ConfigurationError
from lc_otel._install import installed
from lc_otel._pipeline import build_span_exporter
from lc_otel._version import __version__
from lc_otel.config import (
    CAPTURE_CONTENT,
    CAPTURE_VALUES,
    Destination,
    ExportSettings,
    Protocol,
    read_capture_content,
    read_export_settings,
)
from lc_otel.instrumentation import instrument, uninstrument

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

Status = Literal["ok", "note", "warn", "fail"]
"""As it should be; worth knowing; may surprise; does not work."""

_TIMEOUT = 5.0  # seconds for each connection and each probe


class Finding(NamedTuple):
    """What one check found."""

    status: Status
    said: str
    next_step: str = ""
    """What to do about it; given for every failure."""


Findings = Iterator[Finding]


class Backend(NamedTuple):
    """Where the doctor is to look; what is None is taken from the environment."""

    endpoint: str | None = None
    protocol: str | None = None
    headers: Mapping[str, str] | None = None


def examine(backend: Backend) -> Iterator[tuple[str, Findings]]:
    """Each topic with its findings, made as they are asked for."""
    yield "versions", check_versions()
    yield "settings", check_variables(os.environ)
    yield "langchain", check_langchain()
    yield "provider", check_provider()
    yield "backend", check_backend(backend)


# --- versions ----------------------------------------------------------------------------------

Release = tuple[int, ...]

SUPPORTED: Mapping[str, tuple[Release, Release]] = {
    # distribution -> the first version that is supported, the first that is not; as pyproject.toml
    "opentelemetry-api": ((1, 38), (2,)),
    "opentelemetry-sdk": ((1, 38), (2,)),
    "opentelemetry-exporter-otlp": ((1, 38), (2,)),
    "pydantic": ((2, 7), (3,)),
    "langchain-core": ((0, 3, 61), (2,)),
    "langchain": ((0, 3, 25), (2,)),
    "langgraph": ((0, 5), (2,)),
}
_OPTIONAL = {"langchain-core", "langchain", "langgraph"}
_TOGETHER = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp")
_OLDEST_PYTHON = (3, 10)


def check_versions() -> Findings:
    """Whether what is installed is supported, and supported together."""
    python = platform.python_version()
    known = sys.version_info >= _OLDEST_PYTHON
    yield Finding(
        "ok" if known else "fail",
        f"Python {python}",
        "" if known else f"use Python {_dotted(_OLDEST_PYTHON)} or newer",
    )
    yield Finding("ok", f"lc-otel {__version__}")
    for name, (first, end) in SUPPORTED.items():
        yield _check_version(name, first, end)
    versions = {version for name in _TOGETHER if (version := _version(name))}
    if len(versions) > 1:
        pinned = " ".join(f"{name}=={max(versions, key=_release)}" for name in _TOGETHER)
        yield Finding(
            "fail",
            f"OpenTelemetry's packages are of different versions: {', '.join(sorted(versions))}",
            f"pip install {pinned}",
        )


def _check_version(name: str, first: Release, end: Release) -> Finding:
    version = _version(name)
    if version is None:
        if name in _OPTIONAL:
            return Finding("note", f"{name} is not installed")
        return Finding("fail", f"{name} is not installed", f"pip install {name}")
    if first <= _release(version) < end:
        return Finding("ok", f"{name} {version}")
    wanted = f"{name}>={_dotted(first)},<{_dotted(end)}"
    return Finding("fail", f"{name} {version} is not supported", f"pip install '{wanted}'")


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> Release:
    """The numbers a version begins with."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def _dotted(release: Release) -> str:
    return ".".join(map(str, release))


# --- OTEL_* variables --------------------------------------------------------------------------

_OTLP_SETTINGS: Mapping[str, str] = {
    # https://opentelemetry.io/docs/specs/otel/protocol/exporter/
    "ENDPOINT": "the backend's address",
    "PROTOCOL": "grpc or http/protobuf; left out, told by the endpoint",
    "HEADERS": "sent with every request, as name=value,name=value",
    "TIMEOUT": "seconds one export may take (milliseconds by the specification, not in Python)",
    "COMPRESSION": "gzip or none",
    "CERTIFICATE": "file with the authority that vouches for the backend",
    "CLIENT_CERTIFICATE": "our certificate, for mutual TLS",
    "CLIENT_KEY": "its key",
    "INSECURE": "false: gRPC speaks TLS to an http:// address too; true changes nothing",
}
MEANINGS: Mapping[str, str] = {
    # https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    "OTEL_SDK_DISABLED": "true records nothing",
    "OTEL_SERVICE_NAME": "service.name of every span",
    "OTEL_RESOURCE_ATTRIBUTES": "attributes of every span's resource",
    "OTEL_TRACES_EXPORTER": "otlp, console or none",
    "OTEL_METRICS_EXPORTER": "otlp or none",
    "OTEL_LOGS_EXPORTER": "otlp or none",
    "OTEL_TRACES_SAMPLER": "which traces are recorded",
    "OTEL_TRACES_SAMPLER_ARG": "its argument, such as a ratio",
    "OTEL_BSP_SCHEDULE_DELAY": "milliseconds a span waits at most for its batch",
    "OTEL_BSP_EXPORT_TIMEOUT": "milliseconds one batch may take",
    "OTEL_BSP_MAX_QUEUE_SIZE": "spans that may wait",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "spans in one export",
    "OTEL_BLRP_SCHEDULE_DELAY": "milliseconds a log event waits at most for its batch",
    "OTEL_BLRP_EXPORT_TIMEOUT": "milliseconds one batch of log events may take",
    "OTEL_BLRP_MAX_QUEUE_SIZE": "log events that may wait",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "log events in one export",
    "OTEL_METRIC_EXPORT_INTERVAL": "milliseconds from one export of metrics to the next",
    "OTEL_METRIC_EXPORT_TIMEOUT": "milliseconds one export of metrics may take",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "attributes a span, event, link or log event keeps",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "attributes an event of a span keeps",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "attributes a link of a span keeps",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "attributes a span keeps",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "events a span keeps",
    "OTEL_SPAN_LINK_COUNT_LIMIT": "links a span keeps",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "characters of a value; cuts JSON in the middle",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "characters of a value; cuts JSON in the middle",
    "OTEL_PROPAGATORS": "how a trace travels in headers",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "no effect here: the newest GenAI names are always used",
    CAPTURE_CONTENT: "whether prompts, answers, arguments and documents leave the process",
    **{
        f"OTEL_EXPORTER_OTLP_{signal}{setting}": meaning
        + (f", for {signal[:-1].lower()} alone" if signal else "")
        for signal in ("", "TRACES_", "METRICS_", "LOGS_")
        for setting, meaning in _OTLP_SETTINGS.items()
    },
}
OTHERS = {
    # what OpenTelemetry knows besides
    value
    for home in (api_variables, sdk_variables)
    for value in vars(home).values()
    if isinstance(value, str) and value.startswith("OTEL_")
}
_SECRET = re.compile("HEADERS|KEY|PASSWORD|TOKEN")
_SAMPLERS = (
    # what the SDK knows
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


def check_variables(environ: Mapping[str, str]) -> Findings:
    """Which OTEL_* variables are in force, and what they mean."""
    ours = sorted(name for name in environ if name.startswith("OTEL_"))
    if not ours:
        yield Finding("note", "no OTEL_* variable is set: the defaults hold")
    for name in ours:
        secret = _SECRET.search(name) or "@" in environ[name]  # as in http://user:password@host
        shown = "(not shown)" if secret else repr(environ[name])
        meaning = MEANINGS.get(name)
        if meaning:
            yield Finding("ok", f"{name} = {shown}: {meaning}")
            continue
        if name in OTHERS:
            yield Finding("ok", f"{name} = {shown}: known to OpenTelemetry")
            continue
        near = difflib.get_close_matches(name, {*MEANINGS, *OTHERS}, 1, 0.9)
        if near:
            yield Finding("warn", f"{name} is not read by anybody", f"did you mean {near[0]}?")
        else:
            yield Finding("note", f"{name} is not read by lc-otel")
    yield from _check_headers(environ)
    sampler = environ.get("OTEL_TRACES_SAMPLER", "")
    if sampler and sampler.lower() not in _SAMPLERS:  # empty means unset
        yield Finding(
            "warn",
            f"OTEL_TRACES_SAMPLER is {sampler!r}, which is passed over: every trace is recorded",
            f"expected {', '.join(_SAMPLERS)}",
        )
    asked = environ.get(CAPTURE_CONTENT, "")
    if asked.strip().lower() not in CAPTURE_VALUES:
        yield Finding(
            "warn",
            f"{CAPTURE_CONTENT} is {asked!r}, which captures nothing",
            "expected NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT",
        )
    captured = read_capture_content(environ)
    yield Finding(
        "warn" if captured else "ok",
        f"content (prompts, answers, arguments) {'leaves' if captured else 'stays in'} the process"
        ", unless Config(capture_content=...) says otherwise",
    )


def _check_headers(environ: Mapping[str, str]) -> Findings:
    """Whether the SDK, which reads these by itself, sends all of them; values are not shown."""
    for name in sorted(environ):
        if not re.fullmatch(r"OTEL_EXPORTER_OTLP_(TRACES_|METRICS_|LOGS_)?HEADERS", name):
            continue
        parts = [part for part in environ[name].split(",") if part.strip()]
        bad = [n for n, part in enumerate(parts, 1) if not parse_env_headers(part, liberal=True)]
        if bad:
            numbers = ", ".join(map(str, bad))
            yield Finding(
                "warn",
                f"{name} is no list of name=value: part {numbers} of {len(parts)} is not sent",
                "write name=value,name=value, and a comma in a value as %2C",
            )


# --- LangChain ---------------------------------------------------------------------------------


def check_langchain() -> Findings:
    """Whether LangChain is there, and asks for the handler."""
    if _version("langchain-core") is None:
        yield Finding("note", "LangChain is not installed: lc_otel.callbacks stands alone")
        return
    try:
        callbacks = importlib.import_module("langchain_core.callbacks")
    except Exception as error:  # noqa: BLE001 -- a broken installation can raise anything
        said = f"langchain-core cannot be imported: {type(error).__name__}: {error}"
        yield Finding("fail", said, "pip install --force-reinstall langchain-core")
        return
    before = installed()
    if before is not None:
        yield Finding("ok", "instrument() is in force already in this process")
    else:
        handler = instrument()
        told = callbacks.CallbackManager.configure().handlers
        uninstrument()
        if handler in told:
            yield Finding("ok", "instrument() takes: LangChain's runs are told to its handler")
        else:
            yield Finding(
                "fail",
                "instrument() does not take: LangChain's runs are not told to its handler",
                "attach it by hand: config={'callbacks': [handler]}",
            )
    for other in _other_instrumentations():
        yield Finding(
            "warn",
            f"{other} instruments LangChain too: with both on, every run is told twice",
            f"uninstall it, or leave it off: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS={other}",
        )
    if os.environ.get("LANGSMITH_OTEL_ENABLED", "").lower() == "true":
        yield Finding(
            "warn",
            "LANGSMITH_OTEL_ENABLED is true: LangSmith tells every run as a span of its own",
            "unset it",
        )


def _other_instrumentations() -> list[str]:
    points = metadata.entry_points(group="opentelemetry_instrumentor")
    return sorted(
        {
            point.dist.name if point.dist else point.name
            for point in points
            if "langchain" in point.name and not point.value.startswith("lc_otel")
        }
    )


# --- the provider ------------------------------------------------------------------------------


def check_provider() -> Findings:
    """Whether a tracer provider is set in this process already."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        yield Finding("ok", "no tracer provider is set in this process: configure() sets its own")
    else:
        kind = f"{type(provider).__module__}.{type(provider).__qualname__}"
        yield Finding(
            "warn",
            f"a tracer provider is set already ({kind}): configure() uses it, and adds no exporter",
            "configure(set_global=False) makes a pipeline of its own",
        )


# --- the backend -------------------------------------------------------------------------------

_OTHER: Mapping[Protocol, Protocol] = {"grpc": "http/protobuf", "http/protobuf": "grpc"}
_PORTS: Mapping[Protocol, int] = {"grpc": 4317, "http/protobuf": 4318}

_ADVICE: tuple[tuple[str, str], ...] = (
    # in what the exporter says -> what to do
    (
        r"UNAUTHENTICATED|PERMISSION_DENIED|\b40[13]\b",
        "the backend does not accept the headers: look at --header or OTEL_EXPORTER_OTLP_HEADERS",
    ),
    (r"UNIMPLEMENTED|\b40[45]\b", "nothing takes traces at that address: look at path and port"),
    (r"RESOURCE_EXHAUSTED|\b429\b", "the backend asks for less: look at its quota"),
    (
        r"certificate|CERTIFICATE|SSL|handshake",
        "name the authority that vouches for it in OTEL_EXPORTER_OTLP_CERTIFICATE",
    ),
    (r"DEADLINE|timed? ?out|no reason", "the backend does not answer in time: look at its log"),
)


def check_backend(backend: Backend) -> Findings:
    """Whether spans would arrive, step by step from the settings to a span."""
    try:
        settings = read_export_settings(**backend._asdict())
    except ConfigurationError as error:
        yield Finding("fail", str(error), "change it to what was expected")
        return
    if settings.disabled:
        yield Finding(
            "fail", "OTEL_SDK_DISABLED is true: nothing is recorded", "unset OTEL_SDK_DISABLED"
        )
        return
    if settings.traces is None:
        yield Finding(
            "warn",
            "OTEL_TRACES_EXPORTER names no otlp: nothing is sent",
            "unset it, or name an endpoint",
        )
        return
    destination = settings.traces
    yield Finding("ok", f"spans go to {destination.address} over {destination.protocol}")
    for signal, name, other in (
        ("METRICS", "metrics", settings.metrics),
        ("LOGS", "log events", settings.logs),
    ):
        if other:
            yield _say_destination(signal, name, other, destination)
    try:
        yield from _connect(destination)
    except _UnreachableError as unreachable:
        yield unreachable.finding
        return
    yield from _probe(settings, destination, backend)


def _say_destination(signal: str, name: str, where: Destination, spans: Destination) -> Finding:
    """Say where another signal goes than spans."""
    off = f"OTEL_{signal}_EXPORTER=none"
    same = urlsplit(where.address)[:2] == urlsplit(spans.address)[:2]  # scheme and host
    if same and where.protocol == spans.protocol:
        return Finding("note", f"{name} go there too; {off}, if it takes spans only")
    return Finding(
        "note", f"{name} go to {where.address} over {where.protocol}; {off} sends none of them"
    )


class _UnreachableError(Exception):
    """There is no use in trying further."""

    def __init__(self, said: str, next_step: str) -> None:
        super().__init__(said)
        self.finding = Finding("fail", said, next_step)


def _connect(destination: Destination) -> Findings:
    """Resolve, connect and shake hands, unless a proxy does it for us."""
    parts = urlsplit(destination.address)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    proxy = getproxies().get(parts.scheme)
    if destination.protocol == "http/protobuf" and proxy and not proxy_bypass(host):
        yield Finding("note", f"the proxy of {parts.scheme.upper()}_PROXY makes the connection")
        return
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _UnreachableError(
            f"the name {host} does not resolve: {error.strerror}",
            "look at the endpoint's spelling, and at this machine's DNS",
        ) from None
    yield Finding("ok", f"{host} is {', '.join(sorted({str(item[4][0]) for item in found}))}")
    try:
        connection = socket.create_connection((host, port), _TIMEOUT)
    except OSError as error:
        raise _UnreachableError(
            f"{host}:{port} does not connect: {error.strerror or error}",
            "start the backend (docker compose up -d starts a collector and Jaeger), or name "
            "another with OTEL_EXPORTER_OTLP_ENDPOINT",
        ) from None
    with connection:
        yield Finding("ok", f"{host}:{port} connects")
        if secure:
            yield _shake_hands(connection, host)


def _shake_hands(connection: socket.socket, host: str) -> Finding:
    """Speak TLS as the exporter would."""
    authority = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE") or os.environ.get(
        "OTEL_EXPORTER_OTLP_CERTIFICATE"
    )
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise _UnreachableError(
            f"the certificates in {authority} cannot be read: {error.strerror or error}",
            "look at OTEL_EXPORTER_OTLP_CERTIFICATE",
        ) from None
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            return Finding("ok", f"it speaks {secured.version()}, with a certificate for {host}")
    except ssl.SSLCertVerificationError as error:
        raise _UnreachableError(
            f"its certificate is not trusted: {error.verify_message}",
            "name the authority that vouches for it in OTEL_EXPORTER_OTLP_CERTIFICATE",
        ) from None
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        raise _UnreachableError(
            f"it does not speak TLS: {reason}", "write http:// for a backend without TLS"
        ) from None


def _probe(settings: ExportSettings, destination: Destination, backend: Backend) -> Findings:
    """Send one span over the chosen protocol, and over the other where that fails."""
    error = _send(settings, destination)
    if error is None:
        yield Finding("ok", f"it took a probe span (lc-otel doctor) over {destination.protocol}")
        return
    found = next((then for seen, then in _ADVICE if re.search(seen, error)), None)
    other = _OTHER[destination.protocol]
    for endpoint in _elsewhere(destination.address, other):
        try:
            alternative = read_export_settings(
                endpoint=endpoint, protocol=other, headers=backend.headers
            )
        except ConfigurationError:  # a path, of which gRPC knows nothing
            continue
        if alternative.traces and _send(alternative, alternative.traces) is None:
            found = (
                f"it takes spans over {other}: set OTEL_EXPORTER_OTLP_PROTOCOL={other} "
                f"and OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}"
            )
            break
    if found is None and _speaks_tls(destination.address):
        found = "it speaks TLS: write https://"
    yield Finding(
        "fail",
        f"it did not take a probe span over {destination.protocol}: {error}",
        found or "look at the backend's log, and at whether it speaks OTLP on that port",
    )


def _speaks_tls(address: str) -> bool:
    """Whether TLS is what an address without it answers to; nobody's certificate is believed."""
    parts = urlsplit(address)
    if parts.scheme != "http":
        return False
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), _TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except OSError:
        return False


def _elsewhere(address: str, protocol: Protocol) -> Iterator[str]:
    """Where the same backend may listen for another protocol: there, and on its usual port."""
    parts = urlsplit(address)
    base = f"{parts.scheme}://{parts.netloc}"
    yield base
    if parts.port in _PORTS.values() and parts.port != _PORTS[protocol]:
        yield base.replace(f":{parts.port}", f":{_PORTS[protocol]}")


def _send(settings: ExportSettings, destination: Destination) -> str | None:
    """Send the probe; what went wrong."""
    settings = replace(settings, timeout=settings.timeout or _TIMEOUT)
    try:
        exporter = build_span_exporter(destination, settings)
    except ConfigurationError as error:
        return str(error)
    exporter.closing = True  # the doctor says by itself what went wrong
    try:
        exporter.export([_make_probe(settings.service_name)])
    finally:
        exporter.shutdown()
    return exporter.last_error if exporter.failed else None


def _make_probe(service_name: str | None) -> ReadableSpan:
    resource = Resource.create({"service.name": service_name} if service_name else {})
    provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
    span = provider.get_tracer("lc_otel", __version__).start_span("lc-otel doctor")
    span.end()
    return cast("ReadableSpan", span)
