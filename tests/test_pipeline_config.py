"""Config and the settings of a pipeline: what is accepted, and what is said of the rest."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lc_otel.config import (
    CAPTURE_CONTENT,
    Config,
    ConfigurationError,
    Destination,
    read_export_settings,
)

LOCAL = "http://localhost:4317"


def test_content_is_off_unless_asked_for() -> None:
    """The default captures nothing."""
    config = Config()
    assert config.capture_content is False
    assert not config.content_on_spans
    assert not config.content_in_events


@pytest.mark.parametrize(
    ("value", "on_spans", "in_events"),
    [
        ("NO_CONTENT", False, False),
        ("SPAN_ONLY", True, False),
        ("event_only", False, True),
        (" Span_And_Event ", True, True),
        ("true", True, False),
        ("False", False, False),
        ("", False, False),
    ],
)
def test_the_standard_variable_decides_about_content(
    value: str, on_spans: bool, in_events: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four values are known, in any case, and the older two."""
    monkeypatch.setenv(CAPTURE_CONTENT, value)
    config = Config(detail="steps")
    assert (config.content_on_spans, config.content_in_events) == (on_spans, in_events)


def test_an_argument_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program says outright stands."""
    monkeypatch.setenv(CAPTURE_CONTENT, "SPAN_AND_EVENT")
    assert Config(capture_content=False).capture_content is False


@pytest.mark.logs_warnings("the variable has a typo")
def test_an_unknown_value_of_the_variable_captures_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A typo is on the side of privacy, and is said."""
    monkeypatch.setenv(CAPTURE_CONTENT, "SPANS")
    assert Config().capture_content is False
    assert "'SPANS'" in caplog.text
    assert "SPAN_ONLY" in caplog.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"capture_content": "all"}, "Config.capture_content is 'all'"),
        ({"capture_content": 1}, "Config.capture_content is 1"),
        ({"conventions": ("genai", "other")}, "Config.conventions is 'other'"),
        ({"detail": "some"}, "Config.detail is 'some'"),
        ({"max_open_runs": 0}, "Config.max_open_runs is 0"),
        ({"max_run_age": -1.0}, "Config.max_run_age is -1.0"),
        ({"max_content_length": 3}, "Config.max_content_length is 3"),
        ({"redact": "no"}, "Config.redact is 'no'"),
        ({"capture": True}, "Config has no field 'capture'; its fields are capture_content"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(fields: dict[str, object], said: str) -> None:
    """One line says which field, what was seen and what was expected."""
    with pytest.raises(ConfigurationError) as raised:
        Config(**fields)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)
    assert "pydantic" not in str(raised.value)


def test_config_is_immutable_and_takes_lists() -> None:
    """A list of conventions is as good as a tuple; a field cannot be set later."""
    config = Config(conventions=["genai", "openinference"])
    assert config.conventions == ("genai", "openinference")
    with pytest.raises(ValueError, match="frozen"):
        config.detail = "steps"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("localhost:4317", "http://HOST:PORT"),
        ("ftp://localhost", "http://HOST:PORT"),
        ("http://", "names no host"),
        ("http://localhost:99999", "Port out of range"),
        ("http://localhost:port", "Port could not be cast"),
        ("http://localhost:0", "port 0"),
        ("http://local host:4317", "white space"),
        ("", "http://HOST:PORT"),
    ],
)
def test_a_bad_endpoint_is_refused_by_name(endpoint: str, said: str) -> None:
    """The same words for an argument and for a variable."""
    with pytest.raises(ConfigurationError) as raised:
        read_export_settings(endpoint=endpoint, environ={})
    assert str(raised.value).startswith(f"endpoint is {endpoint!r}")
    assert said in str(raised.value)
    if endpoint:
        with pytest.raises(ConfigurationError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is '"):
            read_export_settings(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})


def test_a_password_in_an_endpoint_is_refused_and_not_repeated() -> None:
    """Addresses are logged, so a secret has no place in one."""
    with pytest.raises(ConfigurationError) as raised:
        read_export_settings(endpoint="https://user:hunter2@host:4317", environ={})
    assert "hunter2" not in str(raised.value)
    assert "header" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"protocol": "http"}, "protocol is 'http', expected 'grpc' or 'http/protobuf'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"compression": "zip"}, "compression is 'zip'"),
        ({"endpoint": LOCAL + "/path", "protocol": "grpc"}, "knows no path"),
        ({"headers": {"a b": "c"}}, "header name 'a b'"),
        ({"headers": {"": "c"}}, "header name ''"),
        ({"headers": {"a": "b\nc"}}, "the value of header 'a'"),
        ({"headers": {"a": "käse"}}, "the value of header 'a'"),
        ({"headers": {"a": 1}}, "header 'a': name and value must be strings"),
        ({"headers": {"a": "käse\n"}}, "the value of header 'a'"),
        ({"headers": {"X-Key-Bin": "käse"}, "protocol": "grpc"}, "'X-Key-Bin': gRPC takes '-bin'"),
        ({"headers": {"a": "\xa0käse"}, "protocol": "http/protobuf"}, "the value of header 'a'"),
        ({"headers": [("a", "käse")]}, "headers is a list, expected a mapping"),
        ({"headers": "a=käse"}, "headers is a str, expected a mapping"),
        ({"endpoint": 4317}, "endpoint is 4317, expected http://HOST:PORT"),
        ({"timeout": "5"}, "timeout is '5', expected seconds"),
        ({"file": 5}, "file is 5, expected a path"),
        ({"file": "a\0b"}, "file is 'a\\x00b', expected a path"),
        ({"spool": "a\0b"}, "spool is 'a\\x00b', expected a path"),
        ({"config": {"detail": "all"}}, "config is a dict, expected lc_otel.Config(...)"),
        ({"config": Config}, "config is the class Config, expected lc_otel.Config(...)"),
    ],
)
def test_a_bad_argument_is_refused_by_name(arguments: dict[str, object], said: str) -> None:
    """Protocol, timeout, compression and headers are checked before anything is made."""
    with pytest.raises(ConfigurationError) as raised:
        read_export_settings(**{"endpoint": LOCAL, **arguments}, environ={})  # type: ignore[arg-type]
    assert said in str(raised.value)
    assert "käse" not in str(raised.value)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_spaces_around_a_header_are_taken_away(protocol: str) -> None:
    """A key that was copied with one works, and no exporter quotes it in its refusal."""
    headers = {"authorization": " Bearer key\t"}
    settings = read_export_settings(endpoint=LOCAL, protocol=protocol, headers=headers, environ={})
    assert settings.headers == {"authorization": "Bearer key"}


@given(st.sampled_from(["grpc", "http/protobuf"]), st.text(), st.text())
def test_any_header_is_accepted_or_refused_clearly(protocol: str, name: str, value: str) -> None:
    """No other error escapes, and it is one line."""
    headers = {name: value}
    try:
        read_export_settings(endpoint=LOCAL, protocol=protocol, headers=headers, environ={})
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017 -- either way is right


@given(st.text())
def test_any_endpoint_is_accepted_or_refused_clearly(endpoint: str) -> None:
    """No other error escapes."""
    try:
        settings = read_export_settings(endpoint=endpoint, environ={})
    except ConfigurationError:
        return
    assert settings.traces is not None


@pytest.mark.parametrize(
    ("arguments", "environ", "traces"),
    [
        ({}, {}, ("grpc", LOCAL, LOCAL)),
        ({"endpoint": "http://h:9"}, {}, ("grpc", "http://h:9", "http://h:9")),
        (
            {"endpoint": "http://h:4318"},
            {},
            ("http/protobuf", "http://h:4318/v1/traces", "http://h:4318"),
        ),
        (
            {"endpoint": "https://h/otel/"},
            {},
            ("http/protobuf", "https://h/otel/v1/traces", "https://h/otel/"),
        ),
        (
            {"endpoint": "https://h/otel/v1/traces"},
            {},
            ("http/protobuf", "https://h/otel/v1/traces", "https://h/otel"),
        ),
        (
            {"protocol": "http/protobuf"},
            {},
            ("http/protobuf", "http://localhost:4318/v1/traces", "http://localhost:4318"),
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"},
            ("http/protobuf", "http://h:4318/v1/traces", "http://h:4318"),
        ),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:4318/in",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://other",
            },
            ("http/protobuf", None, "http://h:4318/in"),
        ),
        (
            {"endpoint": "http://h:9"},
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "none"},
            ("http/protobuf", "http://h:9/v1/traces", "http://h:9"),
        ),
        (
            {"endpoint": "https://h/otlp?key=x"},
            {},
            ("http/protobuf", "https://h/otlp/v1/traces?key=x", "https://h/otlp"),
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h?key=x"},
            ("http/protobuf", "https://h/v1/traces?key=x", "https://h"),
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://h/in?key=x"},
            ("http/protobuf", None, "https://h/in"),
        ),
        ({}, {"OTEL_TRACES_EXPORTER": "none"}, None),
        ({}, {"OTEL_TRACES_EXPORTER": "OTLP,console"}, ("grpc", LOCAL, LOCAL)),
        ({"console": True}, {}, None),
        ({"console": True}, {"OTEL_TRACES_EXPORTER": "otlp"}, ("grpc", LOCAL, LOCAL)),
        ({"console": True, "endpoint": LOCAL}, {}, ("grpc", LOCAL, LOCAL)),
    ],
)
def test_where_spans_go(
    arguments: dict[str, object],
    environ: dict[str, str],
    traces: tuple[str, str | None, str] | None,
) -> None:
    """Argument, then the signal's variable, then the general one, then the default."""
    settings = read_export_settings(**arguments, environ=environ)  # type: ignore[arg-type]
    assert settings.traces == (None if traces is None else Destination(*traces))  # type: ignore[arg-type]


def test_metrics_can_be_turned_off_for_an_endpoint_that_takes_none() -> None:
    """OTEL_METRICS_EXPORTER=none holds beside an endpoint argument: Jaeger takes spans only."""
    settings = read_export_settings(endpoint=LOCAL, environ={"OTEL_METRICS_EXPORTER": "none"})
    assert settings.traces is not None
    assert settings.metrics is None


def test_log_events_go_where_spans_go() -> None:
    """Evaluations are log events too, so they need no content to be asked for."""
    settings = read_export_settings(endpoint="http://h:4318", environ={})
    assert settings.logs is not None
    assert settings.logs.endpoint == "http://h:4318/v1/logs"
    assert read_export_settings(console=True, environ={}).logs is None
    environ = {"OTEL_LOGS_EXPORTER": "none"}
    assert read_export_settings(endpoint=LOCAL, environ=environ).logs is None


def test_console_may_be_asked_for_by_the_environment() -> None:
    """OTEL_TRACES_EXPORTER=console is configure(console=True)."""
    settings = read_export_settings(environ={"OTEL_TRACES_EXPORTER": "console"})
    assert settings.console
    assert settings.traces is None


def test_an_exporter_that_is_not_ours_is_refused() -> None:
    """An exporter like zipkin needs a provider of the user's own."""
    with pytest.raises(ConfigurationError, match="OTEL_TRACES_EXPORTER is 'zipkin'"):
        read_export_settings(environ={"OTEL_TRACES_EXPORTER": "zipkin"})


def test_a_key_in_an_endpoint_is_not_repeated() -> None:
    """A query has no place in gRPC, and the error leaves it out."""
    with pytest.raises(ConfigurationError) as raised:
        read_export_settings(endpoint="https://h:4317?key=hunter2", protocol="grpc", environ={})
    assert "no query" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(("scheme", "plain"), [("http", True), ("HTTP", True), ("HTTPS", False)])
def test_a_scheme_is_read_in_any_case(scheme: str, plain: bool) -> None:
    """It decides about TLS."""
    settings = read_export_settings(endpoint=f"{scheme}://h:4317", protocol="grpc", environ={})
    assert settings.traces is not None
    assert settings.traces.insecure is plain


DELAYS = ("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL")
COUNTS = (
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
)


@pytest.mark.parametrize("value", ["0", "-1", "x", "nan", "inf"])
@pytest.mark.parametrize("variable", [*DELAYS, *COUNTS])
def test_a_variable_of_the_queues_that_cannot_be_is_named(variable: str, value: str) -> None:
    """With its value, and what was expected; to measure never is allowed."""
    if (variable, value) == ("OTEL_METRIC_EXPORT_INTERVAL", "inf"):
        assert read_export_settings(environ={variable: value}).metric_interval_ms == math.inf
        return
    with pytest.raises(ConfigurationError, match=rf"^{variable} is '{value}', expected .* above 0"):
        read_export_settings(environ={variable: value})


@pytest.mark.parametrize("variable", [*DELAYS, *COUNTS])
def test_a_variable_that_nothing_uses_may_say_what_it_likes(variable: str) -> None:
    """A disabled SDK, or a signal that is not sent, asks for none of its settings."""
    broken = {variable: "broken"}
    assert read_export_settings(environ={**broken, "OTEL_SDK_DISABLED": "true"}).disabled
    assert read_export_settings(environ=broken, console=True).console
    if "BSP" not in variable:
        unsent = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
        assert read_export_settings(environ={**broken, **unsent}).traces is not None


@pytest.mark.parametrize("timeout", [2, 2.5, Fraction(5, 2), True])
def test_any_number_of_seconds_is_a_timeout(timeout: Any) -> None:
    """Whatever kind of number it is."""
    assert read_export_settings(timeout=timeout, environ={}).timeout == float(timeout)


@pytest.mark.parametrize("headers", [None, {}, "", ()])
def test_no_headers_are_none(headers: Any) -> None:
    """As a program says that takes them from a setting of its own, which is empty."""
    assert read_export_settings(headers=headers, environ={}).headers is None


def test_no_batch_is_larger_than_its_queue() -> None:
    """The SDK refuses that; a small queue alone is asked for in good faith."""
    settings = read_export_settings(
        environ={"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BLRP_MAX_QUEUE_SIZE": "90"}
    )
    assert (settings.queue_size, settings.batch_size) == (100, 100)
    assert (settings.log_queue_size, settings.log_batch_size) == (90, 90)
