"""TLS of interfaces A and C, seen by clients of one version and suite (transport-profile-as4 2.4.1 a)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from samdrift.config.model import SocketAddress
from tests.roles import web
from tests.roles.stage import Stage

CLIENTS = {
    "TLS 1.1": (ssl.TLSVersion.TLSv1_1, "ALL", False),
    "no forward secrecy": (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", False),
    "CBC": (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA256", False),
    "TLS 1.2": (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256", True),
    "TLS 1.3": (ssl.TLSVersion.TLSv1_3, "ALL", True),
}


def welcome(where: SocketAddress, trust: Path, own: tuple[Path, str], kind: str) -> bool:
    """Return whether a handshake succeeds, and the server then answers a request."""
    version, ciphers, _ = CLIENTS[kind]
    context = web.tls(trust, own)
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection((where.host, where.port), timeout=10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=where.host) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return tls.recv(8) == b"HTTP/1.1"
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("interface", ["A", "C"])
async def test_2_4_1_a_versions_and_suites(stage: Stage, interface: str, kind: str) -> None:
    """Clauses: transport-profile-as4 2.4.1 a."""
    own = stage.habo.access_point
    where = own.listen if interface == "A" else own.listen_c
    client = await stage.habo.client_tls()
    trust = stage.habo.config.inner_issuers
    assert await asyncio.to_thread(welcome, where, trust, client, kind) is CLIENTS[kind][2]
