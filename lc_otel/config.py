"""Arguments and OTEL_* variables in, one validated Config and one ExportSettings out."""

from __future__ import annotations

import logging
import math
import numbers
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lc_otel._errors import ConfigurationError

_logger = logging.getLogger(__name__)

Protocol = Literal["grpc", "http/protobuf"]
Compression = Literal["gzip", "none"]
Signal = Literal["traces", "metrics", "logs"]
Console = bool | Literal["live"]


# --- what the handler does ---------------------------------------------------------------------

CAPTURE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

CaptureContent = bool | Literal["span", "event", "both"]

CAPTURE_VALUES: Mapping[str, CaptureContent] = {
    "no_content": False,
    "span_only": "span",
    "event_only": "event",
    "span_and_event": "both",
    "false": False,  # the older, two-valued form of the variable
    "true": True,
    "": False,
}


def read_capture_content(environ: Mapping[str, str] = os.environ) -> CaptureContent:
    """Read OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, in any case.

    An unknown value captures nothing and is warned about: privacy is the safe side of a typo.
    """
    seen = environ.get(CAPTURE_CONTENT, "")
    value = CAPTURE_VALUES.get(seen.strip().lower())
    if value is None:
        _logger.warning(
            "%s is %r, expected NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT: "
            "no content is captured.",
            CAPTURE_CONTENT,
            seen,
        )
        return False
    return value


class Config(BaseModel):
    """What the handler records; immutable.

    A field left out takes its default; `capture_content` left out is read from
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, and a value given here wins over it.

    Raises:
        ConfigurationError: A field has a value it cannot have, or does not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    capture_content: CaptureContent = Field(default_factory=read_capture_content)
    """Prompts, completions, arguments, results, documents and exception texts: on spans ("span", or
    True), on log events ("event"), on "both", or nowhere (False)."""
    conventions: tuple[Literal["genai", "openinference"], ...] = Field(("genai",), strict=False)
    """Which attribute names are written; both at once is allowed."""
    redact: Callable[[str, Any], Any] | None = None
    """Called as ``redact(kind, value)`` once for every piece of content before it is written."""
    detail: Literal["all", "steps", "semantic"] = "all"
    """"all" shows every run; "steps" hides prompt, parser and lambda runs; "semantic" shows model,
    tool, retriever, agent and root runs only."""
    max_content_length: int = Field(16_384, ge=256)
    """Bytes of content one attribute may hold."""
    max_span_content: int = Field(131_072, ge=256)
    """Bytes of content one span may hold."""
    max_open_runs: int = Field(10_000, ge=1)
    """Runs that may be open at once; the oldest beyond that is ended and marked incomplete."""
    max_run_age: float = Field(3600.0, gt=0, strict=False)
    """Seconds after which an open run is ended and marked incomplete."""
    conversation_keys: tuple[str, ...] = Field(
        ("thread_id", "session_id", "conversation_id"), strict=False
    )
    """Metadata keys that hold the conversation's id, the first found wins."""
    user_keys: tuple[str, ...] = Field(("user_id",), strict=False)
    """Metadata keys that hold the user's id, the first found wins."""
    metadata_keys: tuple[str, ...] = Field((), strict=False)
    """Metadata keys told as ``langchain.metadata.<key>``, beside those of LangChain's own. Not all
    are: LangGraph copies a config's ``configurable``, API keys included, into the metadata."""
    capture_binary: bool = False
    """Whether base64 payloads (images, sound, files) are captured with the content, rather than
    their type and size."""
    metric_names: Literal["current", "draft"] = "current"
    """"current" are the metric names that OpenTelemetry's own instrumentations send; "draft" those
    of the conventions' newest draft."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None

    @property
    def content_on_spans(self) -> bool:
        """Whether content is written to span attributes."""
        return self.capture_content in (True, "span", "both")

    @property
    def content_in_events(self) -> bool:
        """Whether content is written to log events."""
        return self.capture_content in ("event", "both")


def _explain(error: ValidationError) -> str:
    """Say in one line what is wrong with each field."""
    known = ", ".join(Config.model_fields)
    lines: dict[str, str] = {}  # a union reports every member it tried; the first says enough
    for item in error.errors(include_url=False):
        name = str(item["loc"][0])
        if item["type"] == "extra_forbidden":
            lines.setdefault(name, f"Config has no field {name!r}; its fields are {known}")
        else:
            expected = item["msg"][:1].lower() + item["msg"][1:]
            if name == "capture_content":  # pydantic names each member of the union in turn
                expected = "input should be True, False, 'span', 'event' or 'both'"
            lines.setdefault(name, f"Config.{name} is {item['input']!r:.80}: {expected}")
    return "; ".join(lines.values())


# --- where the spans go ------------------------------------------------------------------------

_DEFAULT_ENDPOINT: Mapping[Protocol, str] = {
    "grpc": "http://localhost:4317",
    "http/protobuf": "http://localhost:4318",
}
_PROTOCOLS: tuple[Protocol, ...] = ("grpc", "http/protobuf")
_HTTP_PORT = 4318
_QUEUE_SIZE = 8192  # spans; a few kB each without content
# OpenTelemetry's own defaults
# https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
_BATCH_SIZE = 512
_LOG_QUEUE_SIZE = 2048
_SPAN_DELAY_MS = 5_000.0
_LOG_DELAY_MS = 1_000.0
_METRIC_INTERVAL_MS = 60_000.0
_LONGEST_DELAY_MS = 1_000 * threading.TIMEOUT_MAX
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2: token
_GRPC_HEADER_NAME = re.compile(r"[0-9A-Za-z_.-]+")  # gRPC over HTTP/2: Header-Name
_GRPC_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")  # gRPC over HTTP/2: ASCII-Value
# RFC 9110, section 5.5, as Latin-1; requests takes no Latin-1 white space at the beginning
_HTTP_HEADER_VALUE = re.compile(r"(?![\x85\xa0])[\t\x20-\x7e\x80-\xff]*")


class Destination(NamedTuple):
    """Where one signal goes."""

    protocol: Protocol
    endpoint: str | None
    """The full address for the exporter, or None where the exporter reads OTEL_* itself."""
    address: str
    """The address as people should read it; holds no secret."""

    @property
    def insecure(self) -> bool | None:
        """Whether the connection is plain text; None where the exporter decides from OTEL_*."""
        return None if self.endpoint is None else urlsplit(self.endpoint).scheme == "http"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExportSettings:
    """Arguments of `lc_otel.configure`, checked; a destination that is None is not wanted."""

    traces: Destination | None
    metrics: Destination | None
    logs: Destination | None
    console: Console
    file: Path | None
    """The trace file to write; absolute."""
    spool: Path | None
    """The directory that keeps what cannot be delivered; absolute."""
    flush_on_sigterm: bool
    disabled: bool
    """OTEL_SDK_DISABLED is true: nothing is recorded."""
    headers: Mapping[str, str] | None
    timeout: float | None
    compression: Compression | None
    service_name: str | None
    service_version: str | None
    set_global: bool
    queue_size: int
    """Finished spans that may wait to be sent."""
    batch_size: int
    """Spans in one export, at most."""
    span_delay_ms: float
    """Milliseconds a span waits at most for its batch to fill."""
    log_queue_size: int
    """Log events that may wait to be sent."""
    log_batch_size: int
    """Log events in one export, at most."""
    log_delay_ms: float
    """Milliseconds a log event waits at most for its batch to fill."""
    metric_interval_ms: float
    """Milliseconds from one export of metrics to the next."""
    config: Config


def read_export_settings(
    *,
    endpoint: str | None = None,
    protocol: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    compression: str | None = None,
    service_name: str | None = None,
    service_version: str | None = None,
    console: Console = False,
    file: str | os.PathLike[str] | None = None,
    spool: str | os.PathLike[str] | None = None,
    flush_on_sigterm: bool = False,
    set_global: bool = True,
    config: Config | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ExportSettings:
    """Check `configure`'s arguments and the OTEL_* variables that stand in for absent ones.

    What the SDK's exporters read by themselves (headers, timeout, compression, certificates) is
    left to them; protocol and endpoint are read here, because they choose the exporter.

    Raises:
        ConfigurationError: A setting cannot be used; names the argument or the variable.
    """
    config = Config() if config is None else config
    if not isinstance(config, Config):
        raise ConfigurationError(
            f"config is {_named(config)}, expected lc_otel.Config(...) with the fields to change."
        )
    if endpoint is not None:
        _split_endpoint(endpoint, "endpoint")
    if protocol is not None:
        _check_protocol(protocol, "protocol")
    if compression not in (None, "gzip", "none"):
        raise ConfigurationError(f"compression is {compression!r}, expected 'gzip' or 'none'.")

    if console not in (True, False, "live"):
        raise ConfigurationError(f"console is {console!r}, expected True, False or 'live'.")

    def destination(signal: Signal) -> Destination | None:
        exporters = _read_exporters(signal, environ)
        asked = signal == "traces" and endpoint is not None  # outright: wins over the variable
        if "otlp" not in exporters and not asked:
            return None
        return _read_destination(signal, endpoint, protocol, environ)

    shown: Console = console or (
        endpoint is None and "console" in _read_exporters("traces", environ)
    )
    traces = destination("traces")
    if (shown or file) and not (endpoint or _names_a_backend(environ)):
        # a console or a file alone needs no backend, and must not complain about its absence
        traces = None
    metrics = destination("metrics") if traces else None
    logs = destination("logs") if traces else None
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"

    def variables_of(user: object) -> Mapping[str, str]:
        """What nothing here uses may say what it likes."""
        return environ if user and not disabled else {}

    of_queues, of_logs = variables_of(traces or file), variables_of(logs)
    queue_size = _read_count("OTEL_BSP_MAX_QUEUE_SIZE", _QUEUE_SIZE, of_queues)
    batch_size = _read_count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _BATCH_SIZE, of_queues)
    log_queue_size = _read_count("OTEL_BLRP_MAX_QUEUE_SIZE", _LOG_QUEUE_SIZE, of_logs)
    log_batch_size = _read_count("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", _BATCH_SIZE, of_logs)
    return ExportSettings(
        traces=traces,
        metrics=metrics,
        logs=logs,
        console=shown,
        file=_check_path(file, "file"),
        spool=_check_path(spool, "spool"),
        flush_on_sigterm=_check_thread(flush_on_sigterm),
        disabled=disabled,
        headers=_check_headers(headers, traces.protocol if traces else "grpc"),
        timeout=_check_timeout(timeout),
        compression=compression,  # type: ignore[arg-type]  # checked above
        service_name=service_name,
        service_version=service_version,
        set_global=set_global,
        queue_size=queue_size,
        batch_size=min(batch_size, queue_size),
        span_delay_ms=_read_delay("OTEL_BSP_SCHEDULE_DELAY", _SPAN_DELAY_MS, variables_of(traces)),
        log_queue_size=log_queue_size,
        log_batch_size=min(log_batch_size, log_queue_size),
        log_delay_ms=_read_delay("OTEL_BLRP_SCHEDULE_DELAY", _LOG_DELAY_MS, of_logs),
        metric_interval_ms=_read_delay(
            "OTEL_METRIC_EXPORT_INTERVAL",
            _METRIC_INTERVAL_MS,
            variables_of(metrics),
            or_never=True,
        ),
        config=config,
    )


def _check_timeout(timeout: object) -> float | None:
    if timeout is None:
        return None
    if not isinstance(timeout, numbers.Real) or not float(timeout) > 0:
        raise ConfigurationError(f"timeout is {timeout!r}, expected seconds above 0.")
    return float(timeout)


def _check_path(path: str | os.PathLike[str] | None, source: str) -> Path | None:
    """Make a path absolute: a later chdir must not move it."""
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)) or "\0" in os.fspath(path):
        raise ConfigurationError(f"{source} is {path!r}, expected a path.")
    return Path(path).absolute()


def _check_thread(flush_on_sigterm: bool) -> bool:
    """Refuse a signal handler where Python would."""
    if flush_on_sigterm and threading.current_thread() is not threading.main_thread():
        raise ConfigurationError(
            "flush_on_sigterm is True, and only the main thread may set a signal's handler; call "
            "configure() there, or shut the pipeline down in a handler of your own."
        )
    return flush_on_sigterm


def _read_count(variable: str, default: int, environ: Mapping[str, str]) -> int:
    """Read a number of spans, at least 1."""
    seen = environ.get(variable, "").strip() or str(default)
    if not seen.isdecimal() or int(seen) < 1:
        raise ConfigurationError(f"{variable} is {seen!r}, expected a whole number above 0.")
    return int(seen)


def _read_delay(
    variable: str, default: float, environ: Mapping[str, str], *, or_never: bool = False
) -> float:
    """Read a time in milliseconds; "inf" may stand for never."""
    seen = environ.get(variable, "").strip() or str(default)
    try:
        delay = float(seen)
    except ValueError:
        delay = 0
    if or_never and delay == math.inf:
        return delay
    if not 0 < delay <= _LONGEST_DELAY_MS:
        raise ConfigurationError(f"{variable} is {seen!r}, expected milliseconds above 0.")
    return delay


def _names_a_backend(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for OTLP by name."""
    return bool(
        environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        or "otlp" in environ.get("OTEL_TRACES_EXPORTER", "").lower()
    )


def _read_exporters(signal: Signal, environ: Mapping[str, str]) -> set[str]:
    """Read OTEL_{SIGNAL}_EXPORTER: otlp unless set, none for nothing, several by comma."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    seen = {part.strip().lower() for part in (environ.get(variable) or "otlp").split(",")}
    unknown = seen - {"otlp", "console", "none"}
    if unknown:
        raise ConfigurationError(
            f"{variable} is {environ[variable]!r}, expected otlp, console or none; "
            "for another exporter set up your own TracerProvider before configure()."
        )
    return seen


def _read_destination(
    signal: Signal, endpoint: str | None, protocol: str | None, environ: Mapping[str, str]
) -> Destination:
    """Choose protocol and address: argument, the signal's variable, the general one, the default.

    Without a protocol, an endpoint on port 4318 or with a path means http/protobuf, any other grpc.
    """
    path = f"v1/{signal}"
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    general = "OTEL_EXPORTER_OTLP_ENDPOINT"
    given = endpoint or environ.get(own) or environ.get(general)
    source = "endpoint" if endpoint else own if environ.get(own) else general

    chosen = protocol
    for variable in (
        f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ):
        if chosen is None and environ.get(variable):
            chosen = environ[variable].strip().lower()
            _check_protocol(chosen, variable)
    if given is None:
        kind: Protocol = _check_protocol(chosen or "grpc", "protocol")
        address = _DEFAULT_ENDPOINT[kind]
        # said outright, so that the exporter agrees with `address`
        return Destination(kind, _with_path(address, path) if kind != "grpc" else address, address)

    parts = _split_endpoint(given, source)
    has_path = parts.path not in ("", "/")
    if chosen is None:
        http = has_path or parts.query or parts.port == _HTTP_PORT
        chosen = "http/protobuf" if http else "grpc"
    kind = _check_protocol(chosen, "protocol")
    address = parts._replace(query="").geturl()  # which may hold a key
    if kind == "grpc":
        if has_path or parts.query:
            raise ConfigurationError(
                f"{source} is {address!r} with protocol grpc, which knows no path and no query; "
                f"leave {parts.path or '?...'!r} out, or set protocol http/protobuf."
            )
        return Destination(kind, given if endpoint else None, given)
    if source == own:
        return Destination(kind, None, address)
    base = re.sub(r"/v1/(traces|metrics|logs)/?$", "", address)
    query = f"?{parts.query}" if parts.query else ""
    return Destination(kind, _with_path(base, path) + query, base)


def _with_path(base: str, path: str) -> str:
    """Append a signal's path to a general endpoint, as the OTLP exporter specification says."""
    return f"{base.rstrip('/')}/{path}"


def _check_protocol(value: str, source: str) -> Protocol:
    for known in _PROTOCOLS:
        if value == known:
            return known
    raise ConfigurationError(f"{source} is {value!r}, expected 'grpc' or 'http/protobuf'.")


def _split_endpoint(value: str, source: str) -> SplitResult:
    """Take an endpoint apart, or say what is wrong with it."""
    problem = ""
    if not isinstance(value, str):
        raise ConfigurationError(f"{source} is {value!r}, expected http://HOST:PORT.")
    try:
        parts = urlsplit(value)
        port = parts.port  # raises where it is no number, or beyond 65535
    except ValueError as error:
        raise ConfigurationError(f"{source} is {value!r}: {error}.") from None
    if parts.username or parts.password:
        # the value is a secret: it must not be repeated
        raise ConfigurationError(
            f"{source} for {parts.hostname} holds a user or password; send them as a header, "
            "for example headers={'authorization': 'Basic ...'}."
        )
    if parts.scheme not in ("http", "https"):
        problem = "expected http://HOST:PORT (plain) or https://HOST:PORT (TLS)"
    elif not parts.hostname:
        problem = "it names no host; expected http://HOST:PORT"
    elif port == 0:
        problem = "port 0 cannot be reached; expected 1 to 65535"
    elif re.search(r"\s", value):
        problem = "it has white space in it"
    if problem:
        raise ConfigurationError(f"{source} is {value!r}: {problem}.")
    return parts


def _check_headers(
    headers: Mapping[str, str] | None, protocol: Protocol
) -> Mapping[str, str] | None:
    """Refuse what the transport would refuse later, on every export; values are never repeated.

    Spaces around a value are taken away, as they are in OTEL_EXPORTER_OTLP_HEADERS.
    """
    if not headers:
        return None
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            f"headers is {_named(headers)}, expected a mapping such as {{'x-api-key': '...'}}."
        )
    return {name: _check_header(name, value, protocol) for name, value in headers.items()}


def _check_header(name: str, value: str, protocol: Protocol) -> str:
    """Check one; its value as it is sent."""
    grpc = protocol == "grpc"
    if not isinstance(name, str) or not isinstance(value, str):
        raise ConfigurationError(f"header {name!r}: name and value must be strings.")
    if not (_GRPC_HEADER_NAME if grpc else _HEADER_NAME).fullmatch(name):
        hint = "letters, digits, '-', '_' and '.'" if grpc else "letters, digits and '-'"
        raise ConfigurationError(f"header name {name!r}: expected {hint} (protocol {protocol}).")
    if grpc and name.lower().endswith("-bin"):
        raise ConfigurationError(
            f"header name {name!r}: gRPC takes '-bin' for bytes, and only text can be sent; "
            "use another name, or protocol http/protobuf."
        )
    value = value.strip(" \t")
    if not (_GRPC_HEADER_VALUE if grpc else _HTTP_HEADER_VALUE).fullmatch(value):
        raise ConfigurationError(
            f"the value of header {name!r} has characters a header cannot carry; "
            "expected printable ASCII, without line breaks."
        )
    return value


def _named(value: object) -> str:
    """What something is, without repeating a secret it may hold."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
