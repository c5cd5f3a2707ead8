"""The command line: exit codes, one-line errors, help."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import lc_otel
from lc_otel import __version__
from lc_otel._commands import COMMANDS
from lc_otel._tracefile import TraceFileExporter
from lc_otel.cli import main
from tests.agent_trace import Node, build
from tests.receiver import http_receiver
from tests.versions import STRICT, needs_create_agent

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lc_otel``."""
    return subprocess.run(
        [*STRICT, "-m", "lc_otel", *arguments],
        capture_output=True,
        env={**os.environ, **environ},
        text=True,
        timeout=60,
        check=False,
    )


def test_version_is_printed() -> None:
    """``lc-otel --version`` names the package's version."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"lc-otel {__version__}\n")


def test_without_a_command_the_usage_is_shown() -> None:
    """Exit code 2, as for every argument that makes no sense."""
    done = run()
    assert done.returncode == 2
    assert "usage: lc-otel" in done.stderr


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--help`` shows how it is used."""
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"example: lc-otel {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--endpoint", "localhost:4317"], "endpoint is 'localhost:4317'"),
        (["demo", "--protocol", "tcp"], "protocol is 'tcp'"),
        (["demo", "--endpoint", "http://h:1", "--header", "a b=c"], "header name 'a b'"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what was seen; there is no traceback."""
    pytest.importorskip("langgraph")
    needs_create_agent()
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("lc-otel demo: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_header_without_a_value_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The metavar says what was expected."""
    with pytest.raises(SystemExit) as exit_:
        main(["demo", "--header", "key"])
    assert exit_.value.code == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_the_demo_without_its_extra_says_what_to_install() -> None:
    """One line names the command."""
    hidden = "import sys; sys.modules['langchain.agents'] = None; from lc_otel.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden} sys.exit(main(['demo']))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'lc-otel[demo]'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_limit_that_is_no_number_is_one_line(command: str) -> None:
    """OpenTelemetry's SDK cannot even be imported then: the line names the variable."""
    done = run(command, "traces.jsonl", OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="abc")
    assert (done.returncode, done.stdout) == (2, "")
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    """A file of one trace, with a name that ASCII lacks."""
    path = tmp_path / "größe.jsonl"
    TraceFileExporter(path).export(build(Node("größe", 0, 1)))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="its shell closes no output")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(
    "arguments", [["view", "{path}"], ["view", "nothing"], ["doctor", "--json"]]
)
def test_output_that_is_closed_is_no_error(
    trace_file: Path, arguments: list[str], closed: str
) -> None:
    """What would be said is lost, and what goes to one output does not come out of the other."""
    command = [
        sys.executable,
        "-m",
        "lc_otel",
        *(word.format(path=trace_file) for word in arguments),
    ]
    done, open_one = (
        subprocess.run(
            ["sh", "-c", f'"$@" {how}', "sh", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for how in (closed, "")
    )
    assert done.returncode == open_one.returncode
    assert done.stderr == ("" if "2>" in closed else open_one.stderr)
    assert done.stdout == ("" if closed.startswith(">") else open_one.stdout)


def test_a_name_that_the_output_lacks_is_spelled_out(trace_file: Path) -> None:
    """The work is done, and said in the characters that there are."""
    page = trace_file.with_suffix(".html")
    done = run("view", str(trace_file), "--html", str(page), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "gr\\xf6\\xdfe.html; open file://" in done.stdout
    assert page.exists()
    with http_receiver() as backend:
        where = ("--endpoint", backend.endpoint, "--protocol", backend.protocol)
        done = run("send", str(trace_file), *where, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sent 1 spans of ")
    assert "gr\\xf6\\xdfe.jsonl" in done.stdout


HEAVY = {"grpc", "langchain", "langchain_core", "langgraph", "pydantic", "requests"}


@pytest.mark.parametrize(
    ("program", "heavy"),
    [
        ("from lc_otel.cli import main; main(['view', 'nothing.jsonl'])", HEAVY),
        ("import lc_otel._pytest", HEAVY | {"opentelemetry"}),
    ],
    ids=["lc-otel view", "the pytest plugin, in every session of every project"],
)
def test_what_starts_often_starts_soon(program: str, heavy: set[str]) -> None:
    """It imports only what it needs."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; __file__ = 'x'; {program}; print({heavy} & {{*sys.modules}})",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_every_public_name_is_found() -> None:
    """Each is imported when it is asked for, and is what type checkers take it for."""
    assert set(dir(lc_otel)) == set(lc_otel.__all__) == {"__version__", *lc_otel._HOMES}
    for name, home in lc_otel._HOMES.items():
        found = getattr(lc_otel, name)
        assert (found.__name__, found.__module__) == (name, home)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = lc_otel.nonsense
