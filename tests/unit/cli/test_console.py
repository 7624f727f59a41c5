"""`samdrift console` as a process of its own: over TLS, until it is stopped."""

from __future__ import annotations

import asyncio
import re
import signal
import ssl
import sys
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.net.server import listening_socket
from tests import pki
from tests.secretfiles import secret_file
from tests.unit.cli import test_org_commands
from tests.unit.cli.commandline import in_process
from tests.vaults import Installation

config = test_org_commands.config
HOST = "console.samdrift.test"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2sT0Twb24BUkl/op6pZ0BSF9sRxBSJPow1Zi8STSdZ"
TABLE = """
[console]
listen = "127.0.0.1:PORT"
host = "console.samdrift.test"
name = "Driftbolaget"
[console.sign_in]
issuer = "https://login.samdrift.test"
client_id = "console"
secret_file = "console.secret"
levels = ["mfa"]
[[console.staff]]
subject = "anna"
name = "anna-ap"
"""


async def test_the_command_serves_over_tls_and_ends_when_it_is_told_to(
    installation: Installation, config: Path
) -> None:
    issuer, keys = pki.root("CA", 3), installation.gate._keys
    request = keys.create_key(OPERATOR_KEYS, KeyName.TLS_SERVER, pki.name(HOST), 2048)
    public = x509.load_pem_x509_csr(request).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    keys.install_certificate(OPERATOR_KEYS, KeyName.TLS_SERVER, issuer.certify(HOST, public))
    secret_file(config.parent / "console.secret", "secret")
    with listening_socket("127.0.0.1") as free:
        port = free.getsockname()[1]
    config.write_text(config.read_text() + TABLE.replace("PORT", str(port)))
    command = (sys.executable, "-P", "-m", "samdrift.cli.main", "console", "--config", str(config))
    running = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert running.stderr is not None
    try:
        while not re.search(
            rb"console at https://console\.samdrift\.test", line := await running.stderr.readline()
        ):
            assert line, "the console ended before it was ready"
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        headers = {"host": f"{HOST}:{port}"}
        async with httpx.AsyncClient(verify=unverified, base_url=f"https://127.0.0.1:{port}") as browser:
            assert (await browser.get("/health", headers=headers)).status_code == 204
            answer = await browser.get("/queues", headers=headers)
            assert answer.status_code == 401
            assert "default-src" in answer.headers["content-security-policy"]
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def test_a_configuration_without_the_table_is_refused_with_where_it_is_explained(config: Path) -> None:
    ended = await asyncio.to_thread(in_process, "console", "--config", config)
    assert (ended.status, ended.output) == (2, "")
    assert "docs/console.md" in ended.complaints
    assert "Traceback" not in ended.complaints


def test_names_that_others_can_write_open_no_console(config: Path) -> None:
    """Anyone who can write the file could enter themselves as one of the staff."""
    staff = f'[[staff]]\nname = "anna-ap"\nkeys = ["{KEY}"]\n'
    config.write_text(config.read_text() + TABLE.replace("PORT", "1") + staff)
    secret_file(config.parent / "console.secret", "secret")
    config.chmod(0o664)
    ended = in_process("console", "--config", config)
    assert ended.status == 2
    assert "users other than its owner can write it" in ended.complaints
