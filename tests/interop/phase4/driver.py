"""A driver that starts phase4 as an access point of its own, and controls it over pipes."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.interop.phase4.build import classpath

_OPTIONS = (
    "-Xmx192m",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A key with its certificate."""

    key: RSAPrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """The peer's identity, the issuers that it trusts, and the participants that it serves."""

    party: str
    access_point: Identity
    issuers: Collection[x509.Certificate]
    tls: Identity
    tls_issuers: Collection[x509.Certificate]
    actions: Collection[str]
    recipients: Collection[str]
    bouncy_castle: bool = True
    """True if Bouncy Castle does the cryptography.

    By default phase4 leaves that to Java, whose version 17 takes minutes to decrypt 30 MB in a stream,
    because it reallocates the whole buffer every few bytes.
    """


class Phase4:
    """A running phase4, which writes received messages and its log to ``folder``."""

    def __init__(self, folder: Path, settings: PeerSettings) -> None:
        self._received = folder / "received.jsonl"
        self._log = (folder / "phase4.log").open("w")
        self._process = subprocess.Popen(
            ["java", *_OPTIONS, f"-Djava.io.tmpdir={folder}", "-cp", classpath(), "samdrift.phase4.Peer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=folder,
            text=True,
        )
        self._lock = asyncio.Lock()
        self.port: int = self._call(
            folder=str(folder),
            party=settings.party,
            key=_pem_key(settings.access_point),
            certificate=pem(settings.access_point.certificate),
            issuers=_bundle(settings.issuers),
            tls_key=_pem_key(settings.tls),
            tls_certificate=pem(settings.tls.certificate),
            tls_issuers=_bundle(settings.tls_issuers),
            actions=sorted(settings.actions),
            recipients=sorted(settings.recipients),
            bouncy_castle=settings.bouncy_castle,
        )["port"]

    @property
    def address(self) -> str:
        """Return the address at which it receives."""
        return f"https://127.0.0.1:{self.port}/as4"

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, **request: Any) -> dict[str, Any]:
        """Send a message with :class:`samdrift.phase4.Sender`; return phase4's verdict on the response."""
        async with self._lock:
            return await asyncio.to_thread(self._call, **request)

    def received(self) -> list[dict[str, Any]]:
        """Return the messages that it received, verified and decrypted, oldest first."""
        if not self._received.exists():
            return []
        return [json.loads(line) for line in self._received.read_text(encoding="utf-8").splitlines()]

    def close(self) -> None:
        """Stop phase4."""
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

    def _call(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"phase4 ended:\n{Path(self._log.name).read_text()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _bundle(certificates: Collection[x509.Certificate]) -> str:
    return "".join(map(pem, certificates))


def _pem_key(identity: Identity) -> str:
    return identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
