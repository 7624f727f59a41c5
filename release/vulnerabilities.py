"""Publicly known vulnerabilities of the locked packages, as found by ``pip-audit``.

It skips a package that its service does not know, and so finds nothing if an index has no such data. Here
that is a failure: there must be a result for each package.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from failures import BuildFailure

NAME = "audit.json"


def audit(lock: Path, folder: Path) -> Path:
    """Look up each package of a lock file, write the result, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / NAME
    answer.unlink(missing_ok=True)
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        *options,
        "--output",
        str(answer),
        "--requirement",
        str(lock),
    ]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if not answer.exists():
        *_, last = ["it said nothing", *asked.stderr.split("\n")[:-1]]
        raise BuildFailure(f"the service for vulnerabilities cannot be asked: {last.strip()}")
    packages = json.loads(answer.read_text())["dependencies"]
    if unknown := [package["name"] for package in packages if "skip_reason" in package]:
        several = f"{len(unknown)} of {len(packages)} packages, {unknown[0]} among them"
        raise BuildFailure(f"the service for vulnerabilities knows nothing of {several}: ask another one")
    known = [_line(package, each) for package in packages for each in package["vulns"]]
    if known:
        raise BuildFailure("vulnerabilities are known:\n" + "\n".join(known))
    return answer


def _line(package: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    mended = ", ".join(vulnerability["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {vulnerability['id']}, mended in {mended}"
