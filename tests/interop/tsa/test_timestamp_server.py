"""Time stamps of sigstore's timestamp-authority, requested and verified as in a running installation."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from samdrift.audit.reading import Unverified
from samdrift.net.addresses import any_address
from samdrift.net.entered import EnteredAddressClient
from samdrift.transparency.stamping import ask
from samdrift.transparency.timestamps import Trusted, response_of, token_of
from tests.interop.tlog.build import program
from tests.interop.tlog.witnesses import free_port, running
from tests.interop.tools import Unavailable, left_out

NOTE = b"samdrift.log/0\n7\nAAAA\n\n\xe2\x80\x94 samdrift.log/0 AAAA\n"


@dataclass(frozen=True)
class Server:
    """The running authority."""

    address: str
    chain: tuple[x509.Certificate, ...]
    pem: bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        path = program("timestamp-server")
    except Unavailable as reason:
        left_out("Go", reason)
    port = free_port()
    command = [path, "serve", "--timestamp-signer", "memory", "--host", "127.0.0.1", "--port", port]
    command += ["--disable-ntp-monitoring"]
    with running(command, tmp_path_factory.mktemp("tsa") / "log", port):
        address = f"http://127.0.0.1:{port}/api/v1/timestamp"
        with urllib.request.urlopen(f"{address}/certchain") as answer:
            pem = answer.read()
        yield Server(address, tuple(x509.load_pem_x509_certificates(pem)), pem)


async def test_it_stamps_a_checkpoint_that_holds_here_and_for_openssl(server: Server, tmp_path: Path) -> None:
    """The authority sends only its own certificate: intermediates are configured with the trusted one."""
    trusted = Trusted(server.chain[1:])
    async with EnteredAddressClient(any_address, plain=True) as client:
        stamp = await ask(client, server.address, trusted, NOTE, datetime.now(UTC))
    assert stamp.until == server.chain[0].not_valid_after_utc
    assert trusted.verify(response_of(token_of(stamp.data)), NOTE).at == stamp.at
    for untrusted in (server.chain[2:], ()):
        with pytest.raises(Unverified):
            Trusted(untrusted).verify(stamp.data, NOTE)
    (tmp_path / "note").write_bytes(NOTE)
    (tmp_path / "stamp").write_bytes(stamp.data)
    (tmp_path / "chain").write_bytes(server.pem)
    command = ["openssl", "ts", "-verify", "-data", "note", "-in", "stamp", "-CAfile", "chain"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert b"Verification: OK" in ended.stdout
