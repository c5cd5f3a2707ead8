"""Ask for known vulnerabilities of what is installed; fail where there are any.

    python scripts/audit_dependencies.py SITE_PACKAGES      needs pip-audit beside this interpreter

Exit code 1 where a package has a known vulnerability, or pip-audit itself failed. Where the
vulnerability service cannot be reached nothing was audited; that is said, and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def judge(report: dict[str, Any]) -> tuple[int, str]:
    """Exit code and one line a vulnerability, from pip-audit's JSON report."""
    asked = [package for package in report["dependencies"] if "skip_reason" not in package]
    if not asked:
        return 0, "nothing was audited: the vulnerability service cannot be reached from here"
    found = [
        f"{package['name']} {package['version']}: {flaw['id']}, fixed in "
        f"{', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in asked
        for flaw in package["vulns"]
    ]
    return int(bool(found)), "\n".join(found) or f"{len(asked)} packages, no known vulnerability"


def main(site_packages: str) -> int:
    """Audit one environment, and print what was found."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(
        [*command, "--path", site_packages], capture_output=True, text=True, check=False
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        print(f"pip-audit failed with exit code {done.returncode}:\n{done.stderr}")
        return 1
    code, said = judge(report)
    print(said)
    return code


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
