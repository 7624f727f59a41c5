"""Installs the peer's packages in ``node_modules``, once per change of the lock.

What has been installed is told by a stamp, so that later runs need neither npm nor a network.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
_LOCK = HERE / "package-lock.json"
_INSTALLED = HERE / "node_modules" / "installed-from"
_NODE = 20


class Unavailable(Exception):
    """This machine lacks what the peer needs; the text says what."""


def install() -> None:
    """Have the packages there; :class:`Unavailable` without Node.js or npm."""
    _require_node()
    with open(HERE / "package.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _INSTALLED.exists() or _INSTALLED.read_bytes() != _LOCK.read_bytes():
            _npm()


def _require_node() -> None:
    if shutil.which("node") is None:
        raise Unavailable("no Node.js on this machine")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    version = re.match(r"v(\d+)", said)
    if version is None or int(version[1]) < _NODE:
        raise Unavailable(f"no Node.js {_NODE} or newer on this machine")


def _npm() -> None:
    if shutil.which("npm") is None:
        raise Unavailable("no npm on this machine")
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if installed.returncode:
        raise RuntimeError(f"npm could not install the peer:\n{installed.stdout}")
    shutil.copyfile(_LOCK, _INSTALLED)
