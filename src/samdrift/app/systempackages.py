"""Programs that only tests talk to, from the system's packages.

Installed where that may be done without asking: as root, where there is apt.
Elsewhere the tests that need them are skipped, and say which package is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

NEEDED = (("clamd", "clamav-daemon"), ("softhsm2-util", "softhsm2"))
"""Program and the Debian package that has it."""
_APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300")
_STEPS = (("update",), ("install", "--no-install-recommends"))


def install_missing(needed: Sequence[tuple[str, str]] = NEEDED) -> None:
    """Install what is missing, if it may be; that it failed is told and hinders nothing."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    missing = [package for program, package in needed if shutil.which(program, path=path) is None]
    if not missing or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    _say(f"installing {', '.join(missing)} for the tests")
    update, install = _STEPS
    for command in ((*_APT, *update), (*_APT, *install, *missing)):
        if not _done(command):
            _say("could not be installed; the tests that need it are skipped")
            return


def _done(command: Sequence[str]) -> bool:
    """Run a step, quiet unless it fails."""
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    ran = subprocess.run(
        command, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if ran.returncode:
        sys.stderr.write(ran.stdout.decode("utf-8", "replace")[-2000:])
    return ran.returncode == 0


def _say(text: str) -> None:
    sys.stderr.write(f"samdrift: {text}\n")
    sys.stderr.flush()
