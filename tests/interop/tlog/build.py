"""Builds peers in Go (logs, witnesses, time stamps, an S3 gateway), once per change of source.

Versions and hashes are in ``go.mod`` and ``go.sum``. A stamp records what was built, so that later runs need
no network.
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
"""The first minor version of Go that downloads the toolchain named in ``go.mod``."""
_BUILT = {
    "peer": ".",
    "litewitness": "filippo.io/torchwood/cmd/litewitness",
    "omniwitness": "github.com/transparency-dev/witness/cmd/omniwitness",
    "timestamp-server": "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw",
}
_ELSEWHERE = {"timestamp-server": _HERE.parent / "tsa", "versitygw": _HERE.parent / "s3"}
"""Folders of programs with a ``go.mod`` of their own."""


def program(name: str) -> Path:
    """Return the path of a peer's program, building if necessary; raise :class:`Unavailable` without Go."""
    require_version("go", "Go 1.", "version", r"go1\.(\d+)", _GO)
    _TARGET.mkdir(exist_ok=True)
    stamp, here = _TARGET / f"{name}.built-from", _ELSEWHERE.get(name, _HERE)
    with open(_TARGET / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != _fingerprint(here):
            _build(name, here)
            stamp.write_text(_fingerprint(here))
    return _TARGET / name


def _fingerprint(here: Path) -> str:
    files = [here / "go.mod", here / "go.sum", *sorted(here.glob("*.go"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _build(name: str, here: Path) -> None:
    built = subprocess.run(
        [f"{found('go')}", "build", "-mod=readonly", "-buildvcs=false", "-o", _TARGET / name, _BUILT[name]],
        cwd=here,
        env=os.environ | {"GOTOOLCHAIN": "auto"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"Go could not build {name}:\n{built.stdout}")
