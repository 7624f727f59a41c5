"""Builds Go's own libraries for logs and two witnesses in ``target``, once per change of their source.

Versions and hashes are in ``go.mod`` and ``go.sum``. A stamp says what has been built, so that later runs
need no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

from tests.interop.tools import require_version
from tests.programs import found

_HERE = Path(__file__).parent
_TARGET = _HERE / "target"
_GO = 21
"""The first version that fetches the toolchain which ``go.mod`` names."""
_BUILT = {
    "peer": ".",
    "litewitness": "filippo.io/torchwood/cmd/litewitness",
    "omniwitness": "github.com/transparency-dev/witness/cmd/omniwitness",
}


def program(name: str) -> Path:
    """Return a peer's program, built if need be; :class:`Unavailable` without Go."""
    require_version("go", "Go 1.", "version", r"go1\.(\d+)", _GO)
    _TARGET.mkdir(exist_ok=True)
    stamp = _TARGET / f"{name}.built-from"
    with open(_TARGET / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != _fingerprint():
            _build(name)
            stamp.write_text(_fingerprint())
    return _TARGET / name


def _fingerprint() -> str:
    files = [_HERE / "go.mod", _HERE / "go.sum", *sorted(_HERE.glob("*.go"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _build(name: str) -> None:
    built = subprocess.run(
        [f"{found('go')}", "build", "-mod=readonly", "-buildvcs=false", "-o", _TARGET / name, _BUILT[name]],
        cwd=_HERE,
        env=os.environ | {"GOTOOLCHAIN": "auto"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"Go could not build {name}:\n{built.stdout}")
