"""The command line: exit codes, one-line errors, help."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lc_otel
from lc_otel import __version__
from lc_otel._commands import COMMANDS
from lc_otel.cli import main
from tests.versions import STRICT, needs_create_agent


def run(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lc_otel``."""
    return subprocess.run(
        [*STRICT, "-m", "lc_otel", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
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
