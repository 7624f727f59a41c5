"""Compiles the peer and gathers its libraries in ``target``, once per change of the project.

What has been built is told by a stamp, so that later runs need neither Maven nor a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

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


class Unavailable(Exception):
    """This machine lacks what the peer needs; the text says what."""


def classpath() -> str:
    """Where Java finds the peer, built when need be; :class:`Unavailable` without Java or Maven."""
    _require_java()
    _TARGET.mkdir(exist_ok=True)
    with open(_TARGET / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _STAMP.exists() or _STAMP.read_text() != _fingerprint():
            _build()
    return f"{_TARGET / 'classes'}:{_TARGET / 'lib'}/*"


def _require_java() -> None:
    if shutil.which("java") is None:
        raise Unavailable("no Java on this machine")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < _JAVA:
        raise Unavailable(f"no Java {_JAVA} or newer on this machine")


def _fingerprint() -> str:
    files = [_HERE / "pom.xml", *sorted((_HERE / "src").rglob("*.java"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _build() -> None:
    if shutil.which("mvn") is None:
        raise Unavailable("no Maven on this machine")
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
