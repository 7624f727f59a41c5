"""TLS one-way and mutual, and files that are replaced (transport-profile-as4 2.4)."""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from samdrift.net.client import FetchLimits, NoAnswer, fetch, http_client
from samdrift.net.tls import TlsContext, TlsIdentity, client_tls, server_tls
from samdrift.wire.crypto.certificates import common_name
from tests import pki
from tests.unit.net.servers import Asked, answering, asked, reply, talking

pytestmark = pytest.mark.usefixtures("files_looked_at_always")

LIMITS = FetchLimits(1000, 5.0)
FIRST, SECOND, CLIENTS = pki.root("TLS CA", 1), pki.root("TLS CA 2", 2), pki.root("Client CA", 3)


def localhost(authority: pki.Authority) -> pki.Certified:
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return certified(authority, "localhost", names)


def certified(
    authority: pki.Authority, name: str, names: Sequence[x509.GeneralName], years: float = 10
) -> pki.Certified:
    key = pki.key(9)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(pki.name(name))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(pki.NOW - 3650 * pki.DAY)
        .not_valid_after(pki.NOW + 365 * years * pki.DAY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority.own.private_key, hashes.SHA256())
    )
    return pki.Certified(certificate, key)


def write(file: Path, *certificates: x509.Certificate, key: pki.Certified | None = None) -> Path:
    """Write the file, so that it is seen to have changed if it existed."""
    data = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
    if key is not None:
        data += key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_bytes(data)
    if before:
        os.utime(file, ns=(before + 1_000_000, before + 1_000_000))
    return file


def identity(file: Path, certified: pki.Certified) -> TlsIdentity:
    return TlsIdentity(write(file, certified.certificate, key=certified))


@dataclass
class Place:
    """Files of a server and of its clients."""

    folder: Path

    def __post_init__(self) -> None:
        self.server = identity(self.folder / "server.pem", localhost(FIRST))
        self.trust = write(self.folder / "trust.pem", FIRST.certificate)
        self.clients = write(self.folder / "clients.pem", CLIENTS.certificate)

    def client(self, name: str, authority: pki.Authority) -> TlsIdentity:
        issued = authority.issue(name, not_before=pki.NOW - 300 * pki.DAY, not_after=pki.NOW + 3650 * pki.DAY)
        return identity(self.folder / f"{name}.pem", issued)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def hello(asked: Asked) -> bytes:
    return reply(b"hello")


async def greets(tls: TlsContext, url: str) -> bool:
    async with http_client(tls, public_only=False) as client:
        try:
            return (await fetch(client, url, LIMITS)).body == b"hello"
        except NoAnswer:
            return False


async def test_2_4_2_b_one_way(place: Place) -> None:
    """Clauses: transport-profile-as4 2.4.2 b."""
    async with answering(hello, server_tls(place.server).serving()) as url:
        assert await greets(client_tls(trust=place.trust), url)
        assert not await greets(client_tls(trust=place.clients), url)
        assert not await greets(client_tls(), url)


async def test_the_name_of_the_server_is_checked(place: Place) -> None:
    identity(place.server.certificate, FIRST.issue("elsewhere", not_after=pki.NOW + 3650 * pki.DAY))
    async with answering(hello, server_tls(place.server).serving()) as url:
        assert not await greets(client_tls(trust=place.trust), url)


async def test_why_the_certificate_of_a_server_is_refused_is_in_words(place: Place) -> None:
    """The person on call reads the fault of the certificate, not the name of a class."""

    async def refused(trust: Path) -> str:
        async with (
            answering(hello, server_tls(place.server).serving()) as url,
            http_client(client_tls(trust=trust), public_only=False) as client,
        ):
            with pytest.raises(NoAnswer) as told:
                await fetch(client, url, LIMITS)
        return told.value.words

    assert await refused(place.clients) == (
        "unreachable (its certificate is refused: unable to get local issuer certificate)"
    )
    elsewhere = [x509.DNSName("elsewhere")]
    identity(place.server.certificate, certified(FIRST, "elsewhere", elsewhere))
    assert await refused(place.trust) == "unreachable (its certificate names another host)"
    ended = {"not_before": pki.NOW - 300 * pki.DAY, "not_after": pki.NOW - pki.DAY}
    identity(place.server.certificate, FIRST.issue("localhost", **ended))
    assert await refused(place.trust) == "unreachable (its certificate has expired)"


async def test_a2_mutual(place: Place) -> None:
    """Clauses: transport-profile-as4 2.4.2 A2."""
    known, unknown = place.client("known", CLIENTS), place.client("unknown", SECOND)
    async with answering(hello, server_tls(place.server, place.clients).serving()) as url:
        assert await greets(client_tls(known, place.trust), url)
        assert not await greets(client_tls(unknown, place.trust), url)
        assert not await greets(client_tls(trust=place.trust), url)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_2_4_1_a_versions(place: Place, version: ssl.TLSVersion) -> None:
    """Clauses: transport-profile-as4 2.4.1 a."""
    context = client_tls(trust=place.trust).current()
    context.minimum_version = context.maximum_version = version
    async with answering(hello, server_tls(place.server).serving()) as url:
        assert await greets(TlsContext("test", lambda: context, lambda: None), url)


def test_2_4_1_a_older_versions_and_weak_ciphers_are_not_offered(place: Place) -> None:
    """Clauses: transport-profile-as4 2.4.1 a."""
    for context in (server_tls(place.server).current(), client_tls().current()):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        for cipher in context.get_ciphers():
            assert cipher["aead"], cipher["name"]
            assert cipher["protocol"] == "TLSv1.3" or "ECDHE" in cipher["name"]


async def test_a_server_shows_its_new_certificate_without_restart(place: Place) -> None:
    second = write(place.folder / "second.pem", SECOND.certificate)
    async with answering(hello, server_tls(place.server).serving()) as url:
        assert not await greets(client_tls(trust=second), url)
        write(place.server.certificate, localhost(SECOND).certificate, key=localhost(SECOND))
        assert await greets(client_tls(trust=second), url)
        assert not await greets(client_tls(trust=place.trust), url)


async def test_a_server_trusts_new_issuers_of_clients_and_forgets_old_ones(place: Place) -> None:
    old, new = place.client("old", CLIENTS), place.client("new", SECOND)
    async with answering(hello, server_tls(place.server, place.clients).serving()) as url:
        assert not await greets(client_tls(new, place.trust), url)
        write(place.clients, SECOND.certificate)
        assert await greets(client_tls(new, place.trust), url)
        assert not await greets(client_tls(old, place.trust), url)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_that_was_agreed_before_is_not_resumed_under_other_issuers(
    place: Place, version: ssl.TLSVersion
) -> None:
    context = client_tls(place.client("old", CLIENTS), place.trust).current()
    context.maximum_version = version

    def call(url: str, session: ssl.SSLSession | None) -> tuple[bool | None, bytes, ssl.SSLSession | None]:
        host, port = url.removeprefix("https://").split(":")
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname=host, session=session) as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return tls.session_reused, tls.recv(1000), tls.session

    async with answering(hello, server_tls(place.server, place.clients).serving()) as url:
        _, _, session = await asyncio.to_thread(call, url, None)
        reused, said, session = await asyncio.to_thread(call, url, session)
        assert (reused, said.endswith(b"hello")) == (True, True)
        write(place.clients, SECOND.certificate)
        with pytest.raises((OSError, AssertionError)):
            assert (await asyncio.to_thread(call, url, session))[1]


async def test_a_client_follows_its_files_while_an_exchange_is_under_way(place: Place) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked) -> bytes:
        begun.set()
        await go_on.wait()
        return reply(b"hello")

    tls = server_tls(place.server).serving()
    async with (
        answering(slow, tls) as url,
        http_client(client_tls(trust=place.trust), public_only=False) as client,
    ):
        under_way = asyncio.create_task(fetch(client, url, LIMITS))
        await begun.wait()
        write(place.trust, SECOND.certificate)
        with pytest.raises(NoAnswer):
            await fetch(client, url, LIMITS)
        go_on.set()
        assert (await under_way).body == b"hello"
        write(place.trust, FIRST.certificate)
        assert (await fetch(client, url, LIMITS)).body == b"hello"


async def test_a_kept_connection_is_not_used_under_another_identity(place: Place) -> None:
    own = place.client("first", CLIENTS)
    shown = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        shown.append(certificate["subject"][-1][0][1])
        while True:
            await asked(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")

    tls = server_tls(place.server, place.clients).serving()
    async with (
        talking(talk, tls) as url,
        http_client(client_tls(own, place.trust), public_only=False) as client,
    ):
        for _ in range(2):
            await fetch(client, url, LIMITS)
        other = CLIENTS.issue("second", not_after=pki.NOW + 3650 * pki.DAY)
        write(own.certificate, other.certificate, key=other)
        for _ in range(2):
            await fetch(client, url, LIMITS)
    assert shown == ["first", "second"]


async def test_a_server_of_several_hosts_shows_the_certificate_of_the_one_that_is_asked_for(
    place: Place,
) -> None:
    """It is the newest that names the host, or else the newest, even after one is removed."""
    pages = [x509.DNSName("*.pages.example.se"), x509.DNSName("PAGES.example.se")]
    other = identity(place.folder / "other.pem", certified(SECOND, "pages", pages))
    older = identity(place.folder / "older.pem", certified(FIRST, "older", pages))
    servers = [place.server, other, older]
    tls = server_tls(lambda: tuple(servers))
    async with answering(hello, tls.serving()) as url:
        for host, name in (
            ("localhost", "localhost"),
            ("habo.pages.example.se", "pages"),
            ("pages.example.se", "pages"),
            ("a.habo.pages.example.se", "localhost"),
            ("elsewhere.example.se", "localhost"),
            (None, "localhost"),
        ):
            assert await shown_to(url, host) == name
        servers.remove(other)
        assert await shown_to(url, "habo.pages.example.se") == "older"


async def test_a_valid_certificate_is_shown_before_an_expired_one_that_is_newer(place: Place) -> None:
    pages = [x509.DNSName("pages.example.se")]
    older = identity(place.folder / "older.pem", certified(FIRST, "older", pages))
    newest = identity(place.folder / "newest.pem", certified(FIRST, "newest", pages, years=-5))
    alone = [x509.DNSName("alone.example.se")]
    expired = identity(place.folder / "expired.pem", certified(FIRST, "expired", alone, years=-5))
    tls = server_tls(lambda: (newest, expired, older))
    async with answering(hello, tls.serving()) as url:
        assert await shown_to(url, "pages.example.se") == "older"
        assert await shown_to(url, "elsewhere.example.se") == "older", "also where none names the host"
        assert await shown_to(url, "alone.example.se") == "expired", "there is no other"


async def test_mutual_tls_stays_so_whichever_certificate_is_chosen(place: Place) -> None:
    pages = [x509.DNSName("pages.example.se")]
    other = identity(place.folder / "other.pem", certified(FIRST, "pages", pages))
    tls = server_tls(lambda: (place.server, other), place.clients)
    async with answering(hello, tls.serving()) as url:
        for host in ("localhost", "pages.example.se"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await shown_to(url, host)


async def shown_to(url: str, host: str | None) -> str | None:
    """Return the name in the certificate that a client is shown for that host, after an answer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    parts = urlsplit(url)

    def ask() -> str | None:
        with (
            socket.create_connection((parts.hostname, parts.port), 10) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
            assert shown is not None
            secured.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            if not secured.recv(1):
                raise ConnectionResetError
            return common_name(x509.load_der_x509_certificate(shown))

    return await asyncio.to_thread(ask)


async def test_files_that_do_not_fit_together_leave_the_former_in_use(place: Place) -> None:
    tls = server_tls(place.server)
    former = tls.current()
    assert tls.current() is former
    place.server.certificate.write_bytes(b"half a fi")
    assert tls.current() is former
    place.server.certificate.unlink()
    assert tls.current() is former
    write(place.server.certificate, localhost(FIRST).certificate, key=localhost(FIRST))
    assert tls.current() is not former


def test_wrong_files_at_the_start_are_told(place: Place) -> None:
    with pytest.raises(ssl.SSLError):
        server_tls(TlsIdentity(place.trust))
    with pytest.raises(OSError, match="No such file"):
        client_tls(trust=place.folder / "nothing.pem")


def test_a_key_with_a_password_is_opened_with_it_and_never_asked_for(place: Place) -> None:
    own = localhost(FIRST)
    key = place.folder / "key.pem"
    key.write_bytes(
        own.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    server_tls(TlsIdentity(place.server.certificate, key, "secret"))
    for password in ("wrong", None):
        with pytest.raises(ssl.SSLError):
            server_tls(TlsIdentity(place.server.certificate, key, password))


async def test_a_server_at_an_address_that_nobody_certifies_is_known_by_its_name_and_no_other(
    place: Place,
) -> None:
    named = certified(FIRST, "sdk.example.se", [x509.DNSName("sdk.example.se")])
    server = server_tls(identity(place.folder / "named.pem", named))
    trust = client_tls(trust=place.trust)

    async def greeted(server_name: str | None) -> bool:
        async with http_client(trust, public_only=False, server_name=server_name) as client:
            try:
                return (await fetch(client, url, LIMITS)).body == b"hello"
            except NoAnswer:
                return False

    async with answering(hello, server.serving()) as url:
        assert await greeted("sdk.example.se")
        assert not await greeted(None)
        assert not await greeted("sdk.example.com")
