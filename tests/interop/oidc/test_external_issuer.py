"""oidc-provider, a certified OAuth2 server in JavaScript, as an organisation's own authorisation server."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.config.reader import load
from samdrift.contracts.messageclients import AUTH_ID, Scope
from samdrift.contracts.principals import Role
from samdrift.installation.authorization import Authorizing, authorizing
from samdrift.installation.rolesettings import profiles
from samdrift.messageservice.access import Access, Unauthorized
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki
from tests.interop.oidc.build import HERE, install
from tests.interop.tools import Unavailable, left_out
from tests.unit.messageservice.oauth.scene import ASSERTION_TYPE, curve_key, sign
from tests.vaults import Installation

ADDRESS = "https://sdk.operator.test"
SCHOOL, CARE = "sdk.skola", "sdk.omsorg"
TLS = pki.root("TLS CA", 1)


@dataclass
class Peer:
    """The organisation's server, and our side of it."""

    issuer: str
    http: httpx.AsyncClient
    ours: Authorizing
    organisation: ParticipantIdentifier

    async def token(
        self, client: str = "journal", resource: str = ADDRESS, scope: str = " ".join(Scope)
    ) -> str:
        """Request an access token as a client that signs an assertion."""
        metadata = (await self.http.get("/.well-known/openid-configuration")).json()
        now = int(time.time())
        claims = {
            "iss": client,
            "sub": client,
            "aud": self.issuer,
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + 60,
        }
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": sign(claims, curve_key(1), {"kid": "ec-1"}),
            "resource": resource,
            "scope": scope,
        }
        answer = await self.http.post(metadata["token_endpoint"], data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def access(self, token: str) -> Access:
        return await self.ours.tokens.access(token)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def peer(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    """Run oidc-provider and our side, or skip the test where oidc-provider cannot run."""
    try:
        await asyncio.to_thread(install)
    except Unavailable as reason:
        left_out("oidc-provider", reason)
    folder = tmp_path_factory.mktemp("oidc")
    organisation = await installation.organisation([Role.MESSAGE_SERVICE])
    async with running(settings()) as issuer:
        config = load(configuration(folder, organisation, issuer))
        assert config.message_service is not None
        verify = ssl.create_default_context(cafile=str(folder / "tls.pem"))
        async with (
            authorizing(config, config.message_service, installation.gate, profiles(config)) as ours,
            httpx.AsyncClient(base_url=issuer, verify=verify) as http,
        ):
            yield Peer(issuer, http, ours, organisation)


@contextlib.asynccontextmanager
async def running(told: dict[str, Any], program: str = "server.mjs") -> AsyncIterator[str]:
    """Run the peer, and yield its issuer."""
    process = await asyncio.create_subprocess_exec(
        "node", program, cwd=HERE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(told).encode() + b"\n")
        while not (line := (await process.stdout.readline()).decode()).startswith("https://"):
            assert line, "the peer has ended"
        yield line.strip()
    finally:
        process.stdin.close()
        await process.wait()


def settings() -> dict[str, Any]:
    certificate, private_key = tls_server()
    jwks = {"keys": [curve_key(1).as_dict(private=False)]}
    given = {"journal": [SCHOOL, "sdk.elsewhere"], "narrow": [CARE], "stranger": ["*"]}
    return {
        "certificate": certificate,
        "key": private_key,
        "clients": [{"id": name, "jwks": jwks, "auth_id": each} for name, each in given.items()],
        "scopes": [scope.value for scope in Scope],
        "claim": AUTH_ID,
        "algorithm": "ES256",
    }


def tls_server() -> tuple[str, str]:
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(pki.name("localhost"))
        .issuer_name(TLS.certificate.subject)
        .public_key(pki.key(9).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(pki.NOW - 3650 * pki.DAY)
        .not_valid_after(pki.NOW + 3650 * pki.DAY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(TLS.own.private_key, hashes.SHA256())
    )
    private_key = pki.key(9).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private_key.decode()


def configuration(folder: Path, organisation: ParticipantIdentifier, issuer: str) -> Path:
    """Write the operator's configuration file: an issuer and two of its clients, without their keys."""
    (folder / "tls.pem").write_bytes(TLS.certificate.public_bytes(Encoding.PEM))
    file = folder / "samdrift.toml"
    file.write_text(f"""
environment = "test"
inner_issuers = "tls.pem"

[federation]
identifier = "urn:fdc:digg.se:edelivery:federation:test"
sml_zone = "sml.test"
trust = "trust"

[vaults]
database = "database"
objects = "objects"
secrets = "secrets"
passphrase_file = "passphrase"

[message_service]
address_d = "{ADDRESS}"

[malware]
scanner = "none"

[[organisations]]
identifier = "{organisation}"
name = "En kommun"
roles = ["mt"]
access_point = "https://localhost:8444"
functional_addresses = ["{SCHOOL}", "{CARE}"]

[organisations.external_issuer]
issuer = "{issuer}"
tls_issuers = "tls.pem"

[[organisations.message_clients]]
id = "journal"
addresses = ["*"]
scopes = ["urn:sdk.api:getMessage", "urn:sdk.api:getMessageByFilter"]

[[organisations.message_clients]]
id = "narrow"
scopes = ["urn:sdk.api:getMessage"]
default = true
""")
    return file


async def test_its_access_tokens_are_accepted(peer: Peer) -> None:
    """This covers discovery, JWKS over HTTPS, RFC 9068, and the claim of api-mt-mk 5.2."""
    access = await peer.access(await peer.token())
    assert access.organisation == peer.organisation
    assert access.client == "journal"
    assert access.scopes == frozenset({Scope.READ, Scope.LIST})
    assert [access.covers(address) for address in (SCHOOL, CARE, "sdk.elsewhere")] == [True, False, False]


async def test_scopes_are_what_the_token_names(peer: Peer) -> None:
    access = await peer.access(await peer.token(scope=Scope.READ))
    assert access.scopes == frozenset({Scope.READ})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"client": "stranger"}, "not registered"),
        ({"resource": "https://elsewhere.test"}, "audience"),
        ({"resource": f"{ADDRESS}/opaque"}, "not a signed JSON Web Token"),
    ],
)
async def test_its_other_tokens_are_refused(peer: Peer, asked: dict[str, str], said: str) -> None:
    with pytest.raises(Unauthorized, match=said):
        await peer.access(await peer.token(**asked))


async def test_what_another_clients_pattern_covers_is_not_the_defaults(peer: Peer) -> None:
    access = await peer.access(await peer.token("narrow"))
    assert access.patterns == ()
