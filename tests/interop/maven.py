"""Compiles a peer's Java program and collects its libraries in ``target``, once per change of the project.

A stamp records what was built, so that later runs need neither Maven nor a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.interop.tools import require, require_version

_JAVA = 17


@dataclass(frozen=True, slots=True)
class MavenProject:
    """A folder with a ``pom.xml`` and its sources."""

    folder: Path

    def classpath(self) -> str:
        """Return the class path, building if necessary; raise :class:`Unavailable` without Java or Maven."""
        require_version("java", "Java", "-version", r'version "(\d+)', _JAVA)
        self._target.mkdir(exist_ok=True)
        with open(self._target / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._stamp.exists() or self._stamp.read_text() != self._fingerprint():
                self._build()
        return f"{self._target / 'classes'}:{self._target / 'lib'}/*"

    @property
    def _target(self) -> Path:
        return self.folder / "target"

    @property
    def _stamp(self) -> Path:
        return self._target / "built-from"

    def _fingerprint(self) -> str:
        files = [self.folder / "pom.xml", *sorted((self.folder / "src").rglob("*.java"))]
        return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()

    def _build(self) -> None:
        require("mvn", "Maven")
        for part in ("classes", "lib"):
            shutil.rmtree(self._target / part, ignore_errors=True)
        goals = (
            "compiler:compile",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={self._target / 'lib'}",
        )
        built = subprocess.run(
            ["mvn", "--batch-mode", "--quiet", *goals],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if built.returncode:
            raise RuntimeError(f"Maven could not build {self.folder.name}:\n{built.stdout}")
        self._stamp.write_text(self._fingerprint())
