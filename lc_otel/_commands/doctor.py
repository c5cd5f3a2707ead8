"""Say what would happen: versions, settings, LangChain, and whether the backend takes a span."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lc_otel._commands._backend import add_backend_arguments, quiet
from lc_otel._doctor import Backend, Finding, examine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which backend to look at, and how to answer."""
    add_backend_arguments(parser)
    parser.add_argument("--json", action="store_true", help="answer as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print what each check finds; 1 where one failed."""
    backend = Backend(arguments.endpoint, arguments.protocol, dict(arguments.header) or None)
    answer = _print_json if arguments.json else _print_lines
    with quiet("opentelemetry", "lc_otel"):
        return answer(examine(backend))


def _print_lines(topics: Iterator[tuple[str, Iterator[Finding]]]) -> int:
    failures = 0
    for topic, findings in topics:
        print(topic)
        for finding in findings:
            failures += finding.status == "fail"
            mark = finding.status.upper() if finding.status == "fail" else finding.status
            print(f"  {mark:<5} {finding.said}", flush=True)
            if finding.next_step:
                print(f"        next: {finding.next_step}")
    print(f"\n{failures} failed" if failures else "\nall well")
    return int(failures > 0)


def _print_json(topics: Iterator[tuple[str, Iterator[Finding]]]) -> int:
    checks = [
        {"topic": topic, "status": found.status, "said": found.said, "next": found.next_step}
        for topic, findings in topics
        for found in findings
    ]
    healthy = all(check["status"] != "fail" for check in checks)
    print(json.dumps({"healthy": healthy, "checks": checks}, indent=2))
    return int(not healthy)
