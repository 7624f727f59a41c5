"""A Java program, driven over pipes with JSON objects, one per line."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.interop.maven import MavenProject
from tests.interop.tools import Unavailable, left_out

_HERE = Path(__file__).parent
_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


class JavaProgram:
    """A running program of a project, named by its main class below ``samdrift``.

    Its log is in ``folder``. The test is skipped where Java or Maven is missing.
    """

    def __init__(self, name: str, peer: str, folder: Path, project: Path = _HERE) -> None:
        try:
            classpath = MavenProject(project).classpath()
        except Unavailable as reason:
            left_out(peer, reason)
        self._log = (folder / f"{name}.log").open("w")
        self._process = subprocess.Popen(
            ["java", *_OPTIONS, f"-Djava.io.tmpdir={folder}", "-cp", classpath, f"samdrift.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=folder,
            text=True,
        )

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the program; bytes, keys and certificates in the arguments are encoded."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"call": call} | {name: _encoded(value) for name, value in arguments.items()}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the program ended:\n{Path(self._log.name).read_text()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Stop the program."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


def _encoded(value: Any) -> Any:
    """Return bytes in base64, a key as PKCS #8 in base64, and a certificate as DER in base64."""
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case x509.Certificate():
            return _encoded(value.public_bytes(Encoding.DER))
        case RSAPrivateKey():
            return _encoded(value.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        case _:
            return value
