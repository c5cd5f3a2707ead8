"""A command in, a running program with addresses out: the backends these tests talk to."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    from typing_extensions import Self

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CACHE = Path(os.environ.get("LC_OTEL_CACHE") or Path.home() / ".cache/lc-otel")
START_TIMEOUT = 120.0  # seconds; Phoenix alone takes 25 on an idle machine
STOP_TIMEOUT = 10.0


def miss(what: str, cure: str) -> NoReturn:
    """Skip the test that needs this; fail it where LC_OTEL_REQUIRE_BACKENDS=1 forbids skipping."""
    reason = f"needs {what}: {cure}"
    if os.environ.get("LC_OTEL_REQUIRE_BACKENDS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def pinned_version(image: str) -> str:
    """The version of an image in docker-compose.yml."""
    found = re.search(rf"image: {image}:(\S+)", (ROOT / "docker-compose.yml").read_text())
    assert found, f"docker-compose.yml has no {image}"
    return found[1]


def find_program(name: str, image: str, *others: str) -> str:
    """Return the path of a program: the version that compose pins from the cache, else PATH."""
    version = pinned_version(image)
    cached = CACHE / "bin" / f"{name}-{version}"
    path = str(cached) if cached.exists() else None
    for candidate in (name, *others):
        path = path or shutil.which(candidate)
    return path or miss(
        f"{name} {version}", "scripts/build-backends collector jaeger builds it (Go needed)"
    )


def free_addresses(count: int) -> list[str]:
    """Return hosts and ports, on the loopback address, that nobody uses now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in sockets]


def wait_until(
    condition: Callable[[], bool], what: str, timeout: float = 30.0, pause: float = 0.1
) -> None:
    """Return as soon as the condition holds; AssertionError when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(pause)


def answers(url: str) -> bool:
    """Whether a GET of this URL is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # ours, on loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def accepts(address: str) -> bool:
    """Whether somebody listens at this host and port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


@dataclass
class Program:
    """A program that is started, stopped and started again on the same addresses."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    takes_requests: Callable[[], bool]
    log: Path
    addresses: Mapping[str, str] = field(default_factory=dict)
    """By purpose: grpc, http, query; host and port."""
    _process: subprocess.Popen[bytes] | None = None
    _output: IO[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes requests."""
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            self.command,
            env={"PATH": os.environ["PATH"], "HOME": str(self.log.parent), **self.environment},
            cwd=self.log.parent,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        wait_until(self._is_ready, f"{self.name} takes requests", START_TIMEOUT)

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process
        return self._process.pid

    def _is_ready(self) -> bool:
        assert self._process
        code = self._process.poll()
        assert code is None, f"{self.name} ended with code {code}:\n{self.tail()}"
        return self.takes_requests()

    def stop(self) -> None:
        """End it in the ordinary way; by force when it does not within ten seconds."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()

    def kill(self) -> None:
        """End it as a crash would: connections are reset, nothing is flushed."""
        assert self._process
        self._process.kill()
        self._process.wait()
        self._forget()

    def hang(self) -> None:
        """Stop its clock: it still accepts connections, and answers nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on after `hang`."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def tail(self, lines: int = 40) -> str:
        """Return the end of what it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _forget(self) -> None:
        self._process = None
        if self._output:
            self._output.close()


class Launcher:
    """Starts programs on free ports of the loopback address, and stops them all with its block.

    Args:
        folder: Where they log, and write what else they must.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.programs: list[Program] = []

    def jaeger(self) -> Program:
        """Start Jaeger with deploy/jaeger.yaml."""
        path = find_program("jaeger", "jaegertracing/jaeger")
        grpc, http, query, query_grpc, health = free_addresses(5)
        return self.launch(
            "jaeger",
            [path, f"--config={DEPLOY / 'jaeger.yaml'}"],
            {
                "OTLP_GRPC_ENDPOINT": grpc,
                "OTLP_HTTP_ENDPOINT": http,
                "QUERY_HTTP_ENDPOINT": query,
                "QUERY_GRPC_ENDPOINT": query_grpc,
                "HEALTH_ENDPOINT": health,
            },
            lambda: answers(f"http://{health}/status"),
            {"grpc": grpc, "http": http, "query": query},
        )

    def collector(
        self, *configs: str, export_to: str = "", environment: Mapping[str, str] | None = None
    ) -> Program:
        """Start the Collector with configs of deploy/, each laid over the one before.

        Args:
            configs: File names; collector.yaml where there are none.
            export_to: Host and port of the program that it sends to.
            environment: Further variables the configs read.
        """
        path = find_collector()
        grpc, http, health = free_addresses(3)
        names = configs or ("collector.yaml",)
        return self.launch(
            names[0].removesuffix(".yaml"),
            [path, *(f"--config={DEPLOY / name}" for name in names)],
            {
                "OTLP_GRPC_ENDPOINT": grpc,
                "OTLP_HTTP_ENDPOINT": http,
                "HEALTH_ENDPOINT": health,
                "EXPORT_ENDPOINT": export_to,
                **(environment or {}),
            },
            lambda: answers(f"http://{health}/"),
            {"grpc": grpc, "http": http},
        )

    def launch(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        takes_requests: Callable[[], bool],
        addresses: Mapping[str, str],
    ) -> Program:
        """Start any program, to be stopped with the others."""
        log = self._folder / f"{name}-{len(self.programs)}.log"
        program = Program(name, command, environment, takes_requests, log, addresses)
        self.programs.append(program)
        program.start()
        return program

    def __enter__(self) -> Self:
        LAUNCHERS.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        LAUNCHERS.remove(self)
        for program in reversed(self.programs):
            program.stop()


LAUNCHERS: list[Launcher] = []
"""Those whose programs run now."""


def find_collector() -> str:
    """Return the path of the Collector."""
    return find_program("otelcol", "otel/opentelemetry-collector-contrib", "otelcol-contrib")
