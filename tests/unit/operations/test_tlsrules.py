"""TLS of a listener judged by rules: servers that each break one, and a server that breaks none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from samdrift.net.tls import server_tls
from samdrift.net.tlsprobe import Listener
from samdrift.operations.findings import State
from samdrift.operations.tlsrules import RULES, Target, check_tls, weakness
from tests import pki
from tests.unit.net.servers import talking
from tests.unit.net.test_tls import Place

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def server(place: Place, ciphers: str, oldest: ssl.TLSVersion, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.server.certificate)
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = oldest, newest
    return context


@asynccontextmanager
async def examined(
    context: ssl.SSLContext | None, issuers: Path | None, name: str = "localhost"
) -> AsyncIterator[dict[str, State]]:
    """Yield the states of the rules for a listener with that context."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.se ESMTP\r\n")

    async with talking(greet, context) as url:
        port = urlsplit(url).port
        assert port
        target = Target("a", Listener("127.0.0.1", port, name, 30.0), issuers)
        yield {one.id.removeprefix("tls.a."): one.state async for one in check_tls(target)}


OLD, MODERN, LATEST = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
GOOD = "ECDHE-RSA-AES128-GCM-SHA256"
BAD = {
    "1.0 and 1.1": (f"{GOOD}:ECDHE-RSA-AES128-SHA", OLD, LATEST, {"versions": State.FAIL, "cbc": State.WARN}),
    "no 1.3": (GOOD, MODERN, MODERN, {"tls13": State.WARN}),
    "static RSA": (f"{GOOD}:AES128-GCM-SHA256", MODERN, LATEST, {"forward-secrecy": State.FAIL}),
    "CBC": (f"{GOOD}:ECDHE-RSA-AES128-SHA256", MODERN, LATEST, {"cbc": State.WARN}),
    "no encryption": (f"{GOOD}:ECDHE-RSA-NULL-SHA", MODERN, LATEST, {"suites": State.FAIL}),
    "anonymous": (f"{GOOD}:AECDH-AES128-SHA", MODERN, LATEST, {"suites": State.FAIL}),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_listener_that_breaks_a_rule(place: Place, kind: str) -> None:
    ciphers, oldest, newest, broken = BAD[kind]
    async with examined(server(place, ciphers, oldest, newest), place.trust) as states:
        assert {rule: state for rule, state in states.items() if state is not State.OK} == broken
    assert states.keys() == RULES.keys()


@pytest.mark.parametrize("clients", [False, True], ids=["one-way", "mutual"])
async def test_our_own_listeners_break_none(place: Place, clients: bool) -> None:
    context = server_tls(place.server, place.trust if clients else None).serving()
    async with examined(context, place.trust) as states:
        assert states == dict.fromkeys(RULES, State.OK)


async def test_a_certificate_of_another_name_or_issuer(place: Place, tmp_path: Path) -> None:
    context = server_tls(place.server).serving()
    for issuers, name in ((place.trust, "ap.example.se"), (None, "localhost")):
        async with examined(context, issuers, name) as states:
            wrong = {rule: state for rule, state in states.items() if state is not State.OK}
            assert wrong == {"certificate": State.FAIL}


async def test_what_is_no_tls_server_or_not_there(place: Place) -> None:
    async with examined(None, place.trust) as states:
        pass
    assert states == {"reach": State.FAIL}
    target = Target("a", Listener("127.0.0.1", 9, seconds=30.0))
    (found,) = [one async for one in check_tls(target)]
    assert found.found == "connection refused at 127.0.0.1:9"


def test_short_keys_and_old_hashes() -> None:
    def certificate(bits: int) -> x509.Certificate:
        return pki.root("CA", 1).certify("server", pki.key(5, bits).public_key())

    assert weakness(certificate(1024)) == "its RSA key has 1024 bits"
    assert weakness(certificate(2048)) == ""
