"""Installs a folder's npm packages in its ``node_modules``, once per change of the lock file.

A stamp records what was installed, so that later runs need neither npm nor a network.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.interop.tools import require, require_version

HERE = Path(__file__).parent
_NODE = 20


def install(folder: Path = HERE) -> None:
    """Install the packages of ``folder`` if necessary; raise :class:`Unavailable` without Node.js or npm."""
    require_version("node", "Node.js", "--version", r"v(\d+)", _NODE)
    lock, installed = folder / "package-lock.json", folder / "node_modules" / "installed-from"
    with open(folder / "package.json") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            _npm(folder)
            shutil.copyfile(lock, installed)


def _npm(folder: Path) -> None:
    require("npm", "npm")
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if installed.returncode:
        raise RuntimeError(f"npm could not install the peer:\n{installed.stdout}")
