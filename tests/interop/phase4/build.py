"""Compiles the peer and gathers its libraries in ``target``, once per change of the project.

What has been built is told by a stamp, so that later runs need neither Maven nor a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.interop.tools import require, require_version

_HERE = Path(__file__).parent
_TARGET = _HERE / "target"
_STAMP = _TARGET / "built-from"
_JAVA = 17
_GOALS = (
    "compiler:compile",
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
    f"-DoutputDirectory={_TARGET / 'lib'}",
)


def classpath() -> str:
    """Where Java finds the peer, built when need be; :class:`Unavailable` without Java or Maven."""
    require_version("java", "Java", "-version", r'version "(\d+)', _JAVA)
    _TARGET.mkdir(exist_ok=True)
    with open(_TARGET / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _STAMP.exists() or _STAMP.read_text() != _fingerprint():
            _build()
    return f"{_TARGET / 'classes'}:{_TARGET / 'lib'}/*"


def _fingerprint() -> str:
    files = [_HERE / "pom.xml", *sorted((_HERE / "src").rglob("*.java"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _build() -> None:
    require("mvn", "Maven")
    for part in ("classes", "lib"):
        shutil.rmtree(_TARGET / part, ignore_errors=True)
    built = subprocess.run(
        ["mvn", "--batch-mode", "--quiet", *_GOALS],
        cwd=_HERE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"Maven could not build the peer:\n{built.stdout}")
    _STAMP.write_text(_fingerprint())
