"""Handshakes with peers that support only old versions or weak suites (transport-profile-as4 2.4.1 a).

Each is tried with a partner that accepts it too, to show that the refusal is ours and not the
library's.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from samdrift.net.tls import TlsContext, client_tls, server_tls
from tests.unit.net.servers import answering
from tests.unit.net.test_tls import Place, greets, hello

REFUSED = {
    "TLS 1.0": (ssl.TLSVersion.TLSv1, "ALL"),
    "TLS 1.1": (ssl.TLSVersion.TLSv1_1, "ALL"),
    "no forward secrecy": (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
    "CBC": (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA256"),
    "SHA-1": (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-SHA"),
    "anonymous": (ssl.TLSVersion.TLSv1_2, "AECDH-AES128-SHA"),
    "no encryption": (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-NULL-SHA"),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def only(context: ssl.SSLContext, kind: str) -> TlsContext:
    """Return the context, which now supports only what is refused."""
    version, ciphers = REFUSED[kind]
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return TlsContext("test", lambda: context, lambda: None)


def outdated_server(place: Place, kind: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.server.certificate)
    return only(context, kind).current()


def outdated_client(place: Place, kind: str) -> TlsContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(place.trust)
    if kind == "anonymous":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return only(context, kind)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", REFUSED)
async def test_2_4_1_a_neither_as_a_server_nor_as_a_client(place: Place, kind: str) -> None:
    async with answering(hello, outdated_server(place, kind)) as url:
        assert await greets(outdated_client(place, kind), url), (
            "the outdated client and server must work with each other"
        )
        assert not await greets(client_tls(trust=place.trust), url)
    async with answering(hello, server_tls(place.server).serving()) as url:
        assert not await greets(outdated_client(place, kind), url)
        assert await greets(client_tls(trust=place.trust), url)
