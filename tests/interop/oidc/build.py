"""Installs the peer's packages in ``node_modules``, once per change of the lock.

What has been installed is told by a stamp, so that later runs need neither npm nor a network.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.interop.tools import require, require_version

HERE = Path(__file__).parent
_LOCK = HERE / "package-lock.json"
_INSTALLED = HERE / "node_modules" / "installed-from"
_NODE = 20


def install() -> None:
    """Have the packages there; :class:`Unavailable` without Node.js or npm."""
    require_version("node", "Node.js", "--version", r"v(\d+)", _NODE)
    with open(HERE / "package.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _INSTALLED.exists() or _INSTALLED.read_bytes() != _LOCK.read_bytes():
            _npm()


def _npm() -> None:
    require("npm", "npm")
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
