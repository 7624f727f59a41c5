"""The doctor's check of the operator's console: its listener, and the basis of staff certificates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.responses import Response

from samdrift.config.console import ConsoleCertificatesConfig, ConsoleConfig, StaffConfig
from samdrift.config.model import Config, Environment, SocketAddress
from samdrift.config.staff import StaffKeysConfig
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import server_tls
from samdrift.operations.consolecheck import check_console
from samdrift.operations.findings import Finding, State
from samdrift.wire.crypto.sshsig import SshKey
from tests import pki
from tests.unit.console.scene import config_of
from tests.unit.net.test_tls import FIRST, SECOND, identity, localhost, write

STAFF = pki.root("Driftens utfärdare", 21)


def with_console(folder: Path, port: int, *, issuer: pki.Authority = FIRST, plain: bool = False) -> Config:
    """Return a configuration with a console at ``localhost`` whose staff present certificates."""
    config = config_of(folder)
    trusted = write(folder / "tls.pem", issuer.certificate)
    (folder / "staff.pem").write_bytes(STAFF.certificate.public_bytes(Encoding.PEM))
    certificates = ConsoleCertificatesConfig(folder / "staff.pem", folder / "staff.crl")
    own = ConsoleConfig(
        SocketAddress("127.0.0.1", port),
        "localhost",
        "Driftbolaget",
        (StaffConfig("ab" * 32, "jl"),),
        certificates=certificates,
        plain=plain,
    )
    return replace(config, console=own, federation=replace(config.federation, tls_issuers=trusted))


async def examined(config: Config) -> dict[str, Finding]:
    return {one.id: one async for one in check_console(config, pki.NOW)}


@pytest.mark.parametrize("issuer", [FIRST, SECOND], ids=["trusted", "not trusted"])
async def test_the_listener_is_judged_as_the_others_though_it_asks_for_certificates(
    tmp_path: Path, issuer: pki.Authority
) -> None:
    tls = server_tls(
        identity(tmp_path / "server.pem", localhost(FIRST)),
        write(tmp_path / "clients.pem", STAFF.certificate),
        demanded=False,
    )
    (tmp_path / "staff.crl").write_bytes(STAFF.crl())
    with listening_socket("127.0.0.1") as sock:
        port = sock.getsockname()[1]
        async with serving(Response(status_code=204), sock, tls=tls.serving):
            found = await examined(with_console(tmp_path, port, issuer=issuer))
    expected = {"console.staff"} | ({"tls.console.certificate"} if issuer is SECOND else set())
    assert {name for name, one in found.items() if one.state is not State.OK} == expected
    assert {"tls.console.reach", "tls.console.versions", "tls.console.key", "console.certificates"} <= set(
        found
    )


async def test_one_that_does_not_answer_names_its_own_unit(tmp_path: Path) -> None:
    (tmp_path / "staff.crl").write_bytes(STAFF.crl())
    with listening_socket("127.0.0.1") as sock:
        port = sock.getsockname()[1]
    found = await examined(with_console(tmp_path, port))
    assert found["tls.console.reach"].state is State.FAIL
    assert "journalctl -u samdrift-console" in found["tls.console.reach"].todo


@pytest.mark.parametrize(
    ("lasts", "state", "words"),
    [
        (7 * pki.DAY, State.OK, "ends at"),
        (timedelta(hours=5), State.WARN, "ends at"),
        (timedelta(minutes=30), State.FAIL, "ended at"),
        (None, State.FAIL, "no such file"),
    ],
)
async def test_a_revocation_list_that_ends_soon_is_seen_before_nobody_can_sign_in(
    tmp_path: Path, lasts: timedelta | None, state: State, words: str
) -> None:
    if lasts is not None:
        (tmp_path / "staff.crl").write_bytes(STAFF.crl(lasts=lasts))
    found = await examined(with_console(tmp_path, 1, plain=True))
    finding = found["console.certificates"]
    assert (finding.id, finding.state) == ("console.certificates", state)
    assert words in finding.found
    assert state is State.OK or finding.todo


async def test_without_a_console_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    assert await examined(config_of(tmp_path)) == {}


@pytest.mark.parametrize(
    ("names", "environment", "state", "told"),
    [
        ((), Environment.TEST, State.SKIPPED, "required only in production"),
        ((), Environment.PRODUCTION, State.WARN, "[[staff]] is empty"),
        (("ola",), Environment.TEST, State.WARN, "may look but not act: jl"),
        (("ola", "jl"), Environment.PRODUCTION, State.OK, "1 may sign in"),
        (("jl (service)",), Environment.PRODUCTION, State.WARN, "may look but not act: jl"),
    ],
)
async def test_those_who_sign_in_are_to_be_named_with_keys(
    tmp_path: Path, names: tuple[str, ...], environment: Environment, state: State, told: str
) -> None:
    key = SshKey.parse("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2sT0Twb24BUkl/op6pZ0BSF9sRxBSJPow1Zi8STSdZ")
    staff = tuple(
        StaffKeysConfig(each.split()[0], (key,), ("backup create",) if "service" in each else ())
        for each in names
    )
    config = replace(with_console(tmp_path, 1, plain=True), staff=staff, environment=environment)
    found = (await examined(config))["console.staff"]
    assert found.state is state
    assert told in found.found
