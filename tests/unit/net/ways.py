"""An application reached over the network and from its own process, with the same result both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from samdrift.net.client import HttpClient, http_client
from samdrift.net.inprocess import InProcess, called_here
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import TlsContext, TlsIdentity, client_tls, server_tls
from tests import pki
from tests.unit.net.test_tls import CLIENTS, FIRST, identity, localhost, write

NETWORK, HERE = "over the network", "in one process"
WAYS = NETWORK, HERE


@dataclass(frozen=True)
class Way:
    """One of the two ways, with the files of the listener and of callers."""

    name: str
    folder: Path

    def __post_init__(self) -> None:
        write(self.trust, FIRST.certificate)
        write(self.issuers, CLIENTS.certificate)

    @property
    def issuers(self) -> Path:
        """Return the issuers of callers' certificates."""
        return self.folder / "clients.pem"

    @property
    def trust(self) -> Path:
        """Return the issuers of the listener's certificate."""
        return self.folder / "trust.pem"

    def listener(self) -> TlsContext:
        return server_tls(identity(self.folder / "server.pem", localhost(FIRST)), self.issuers)

    def identity(self, name: str, issuer: pki.Authority = CLIENTS, *, days: int = 3650) -> TlsIdentity:
        """Return a caller's key and certificate, which ends after ``days`` days."""
        issued = issuer.issue(name, not_before=pki.NOW - 3650 * pki.DAY, not_after=pki.NOW + days * pki.DAY)
        return identity(self.folder / f"{name}.pem", issued)

    def caller(
        self, name: str = "caller", issuer: pki.Authority = CLIENTS, *, days: int = 3650
    ) -> TlsContext:
        return client_tls(self.identity(name, issuer, days=days), self.trust)

    @asynccontextmanager
    async def reached(
        self,
        application: ASGIApp,
        *callers: TlsContext,
        silence: float = 10.0,
        connections: int = 16,
        host: str = "localhost",
    ) -> AsyncIterator[tuple[str, list[HttpClient]]]:
        """Serve the application; yield its address, and a client for each caller."""
        listener = self.listener()
        if self.name == NETWORK:
            sock = listening_socket("127.0.0.1")
            async with serving(application, sock, tls=listener.serving):
                clients = [
                    http_client(
                        one, public_only=False, seconds=silence, connections=connections, server_name=host
                    )
                    for one in callers
                ]
                yield f"https://localhost:{sock.getsockname()[1]}", clients
                for client in clients:
                    await client.aclose()
        else:
            async with called_here(application, listener) as local:
                clients = [
                    HttpClient(
                        InProcess(local, one, server_name=host, connections=connections), silence=silence
                    )
                    for one in callers
                ]
                yield "https://localhost:8444", clients
                for client in clients:
                    await client.aclose()
