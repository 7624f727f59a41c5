"""Listeners, good and bad: each bad one breaks one rule, using programs that still can."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from samdrift.federation.ports import free_port
from tests.pki import key, name
from tests.vaults import until

HOST, NAME = "127.0.0.1", "localhost"
_NOW = datetime.now(UTC).replace(microsecond=0)
_DAY = timedelta(days=1)
_PASSWORD = b"listener"
_GOOD = "ECDHE-RSA-AES128-GCM-SHA256"


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    private_key: rsa.RSAPrivateKey


def issue(
    of: str,
    issuer: Issued | None,
    *,
    number: int,
    bits: int = 2048,
    ca: bool = False,
    ends: datetime = _NOW + 200 * _DAY,
    host: str = NAME,
) -> Issued:
    """Issue a certificate that is currently valid; it is self-signed if there is no issuer."""
    private_key = key(number, bits)
    by = issuer or Issued(None, private_key)  # type: ignore[arg-type]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(of))
        .issuer_name(issuer.certificate.subject if issuer else name(of))
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - 300 * _DAY)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private_key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.private_key.public_key()), critical=False
        )
    )
    if not ca:
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(names, critical=False).add_extension(usage, critical=False)
    return Issued(builder.sign(by.private_key, hashes.SHA256()), private_key)


@dataclass
class Files:
    """The programs' input files: issuers, and certificates with their keys."""

    folder: Path
    root: Issued = field(init=False)
    subordinate: Issued = field(init=False)

    def __post_init__(self) -> None:
        self.root = issue("Root", None, number=101, ca=True)
        self.subordinate = issue("Issuer", self.root, number=102, ca=True)
        self.issuers.parent.mkdir()
        self.issuers.write_bytes(self.root.certificate.public_bytes(Encoding.PEM))

    @property
    def issuers(self) -> Path:
        """Return the path of the bundle of issuers that clients trust."""
        return self.folder / "issuers" / "issuers.pem"

    def pem(self, which: str, *chain: Issued) -> Path:
        """Write key and certificates, the server's certificate first."""
        path = self.folder / f"{which}.pem"
        secret = chain[0].private_key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        path.write_bytes(secret + b"".join(one.certificate.public_bytes(Encoding.PEM) for one in chain))
        return path

    def keystore(self, chain: Sequence[Issued]) -> Path:
        """Write the same as PKCS#12, for Java."""
        path = self.folder / "keys.p12"
        first, *rest = chain
        path.write_bytes(
            pkcs12.serialize_key_and_certificates(
                b"server",
                first.private_key,
                first.certificate,
                [one.certificate for one in rest],
                BestAvailableEncryption(_PASSWORD),
            )
        )
        return path

    def with_sha1(self, issued: Issued, issuer: Issued) -> Issued:
        """Reissue a certificate, signed with SHA-1, which libraries no longer support for signing."""
        asked, made = self.folder / "asked.pem", self.folder / "made.pem"
        request = x509.CertificateSigningRequestBuilder().subject_name(issued.certificate.subject)
        for each in issued.certificate.extensions:
            request = request.add_extension(each.value, critical=each.critical)
        signed = request.sign(issued.private_key, hashes.SHA256())
        asked.write_bytes(signed.public_bytes(Encoding.PEM))
        by, serial = self.pem("by", issuer), str(issued.certificate.serial_number)
        options = ("-sha1", "-days", "200", "-copy_extensions", "copyall", "-set_serial", serial)
        _openssl("x509", "-req", "-in", asked, "-out", made, "-CA", by, "-CAkey", by, *options)
        return Issued(x509.load_pem_x509_certificate(made.read_bytes()), issued.private_key)


def _openssl(*arguments: Any) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


OPENSSL: Mapping[str, Sequence[str]] = {
    "TLS 1.0 and 1.1": ("-min_protocol", "TLSv1", "-cipher", f"{_GOOD}:ECDHE-RSA-AES128-SHA:@SECLEVEL=0"),
    "no TLS 1.3": ("-no_tls1_3", "-cipher", _GOOD),
    "no encryption": ("-min_protocol", "TLSv1.2", "-cipher", f"{_GOOD}:ECDHE-RSA-NULL-SHA:@SECLEVEL=0"),
    "no certificate": ("-min_protocol", "TLSv1.2", "-cipher", f"{_GOOD}:AECDH-AES128-SHA:@SECLEVEL=0"),
    "no forward secrecy": ("-no_tls1_3", "-cipher", "AES128-GCM-SHA256:AES256-GCM-SHA384"),
    "a suite without forward secrecy": ("-cipher", f"{_GOOD}:AES128-GCM-SHA256"),
    "CBC": ("-cipher", f"{_GOOD}:ECDHE-RSA-AES128-SHA256"),
    "a group of 2048 bits": ("-cipher", f"{_GOOD}:DHE-RSA-AES128-GCM-SHA256"),
    "renegotiation by clients": ("-client_renegotiation", "-cipher", _GOOD),
}
"""Options of ``openssl s_server`` instances with an otherwise good certificate."""
CERTIFICATES = (
    "a chain as it should be",
    "expired",
    "issued by itself",
    "another name",
    "no intermediate",
    "SHA-1",
    "SHA-1 of the issuer",
    "RSA of 1024 bits",
)
"""Certificates of otherwise good instances of ``openssl s_server``."""
JAVA: Mapping[str, tuple[str, str]] = {
    "SSL 3.0": ("SSLv3,TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    "RC4": ("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    "DES": ("TLSv1.1,TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,SSL_RSA_WITH_DES_CBC_SHA"),
    "3DES": ("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    "a short group": (
        "TLSv1.2",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    ),
    "export": ("TLSv1,TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,SSL_RSA_EXPORT_WITH_RC4_40_MD5"),
}
"""Protocols and cipher suites of Java's own TLS, with everything enabled that it supports."""
COMPRESSING = "compression"
LISTENERS = (*CERTIFICATES, *JAVA, COMPRESSING, *OPENSSL)


_LENIENT = ("-min_protocol", "TLSv1.2", "-cipher", f"{_GOOD}:@SECLEVEL=0")
"""Options of a server that may have a weak certificate."""


def chains(files: Files) -> dict[str, tuple[Issued, ...]]:
    """Return the certificate chains of listeners that deviate from the default one."""
    issuer = files.subordinate
    good = issue(NAME, issuer, number=103)
    itself = issue(NAME, None, number=104)
    old = files.with_sha1(issue("Old issuer", files.root, number=105, ca=True), files.root)
    return {
        "a chain as it should be": (good, issuer),
        "expired": (issue(NAME, issuer, number=103, ends=_NOW - _DAY), issuer),
        "issued by itself": (itself,),
        "another name": (issue("ap.example.se", issuer, number=103, host="ap.example.se"), issuer),
        "no intermediate": (good,),
        "SHA-1": (files.with_sha1(good, issuer), issuer),
        "SHA-1 of the issuer": (issue(NAME, old, number=103), old),
        "RSA of 1024 bits": (issue(NAME, issuer, number=106, bits=1024), issuer),
    }


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[Files, dict[str, int]]]:
    """Run all listeners; yield the files, and the port of each listener."""
    files = await asyncio.to_thread(Files, folder)
    those = await asyncio.to_thread(chains, files)
    good = those["a chain as it should be"]
    ports: dict[str, int] = {}
    with ExitStack() as stack:
        for which in (*OPENSSL, *CERTIFICATES):
            first, *rest = those.get(which, good)
            options: list[Any] = [*OPENSSL.get(which, _LENIENT)]
            if rest:
                options += ["-cert_chain", files.pem(f"above {which}", *rest)]
            pem = files.pem(which, first)
            ports[which] = stack.enter_context(_s_server(folder, pem, options))
        ports |= stack.enter_context(_java(folder, files.keystore(good)))
        await until(lambda: all(map(_answers, ports.values())))
        async with _compressing(ports["a chain as it should be"]) as port:
            yield files, ports | {COMPRESSING: port}


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port)):
        return True
    return False


@contextmanager
def _s_server(folder: Path, pem: Path, options: Sequence[Any]) -> Iterator[int]:
    port = free_port(HOST)
    command = ["openssl", "s_server", "-accept", f"{HOST}:{port}", "-www", "-quiet"]
    with _running([*command, "-cert", pem, "-key", pem, *options], folder):
        yield port


@contextmanager
def _java(folder: Path, keystore: Path) -> Iterator[dict[str, int]]:
    ports = {which: free_port(HOST) for which in JAVA}
    asked = [f"{ports[which]};{protocols};{suites}" for which, (protocols, suites) in JAVA.items()]
    # Listener.java enables old algorithms by security properties, which must be set before TLS is first used.
    with _running(["java", Path(__file__).with_name("Listener.java"), keystore, *asked], folder):
        yield ports


@contextmanager
def _running(command: Sequence[Any], folder: Path) -> Iterator[None]:
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@asynccontextmanager
async def _compressing(behind: int) -> AsyncIterator[int]:
    """Relay to a good listener, but claim in its hello that compression is used if the client offers it.

    No current TLS library compresses; only the server's hello shows it here.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(HOST, behind)
        try:
            hello = await _record(reader)
            inner_writer.write(hello)
            answer = await _record(inner_reader)
            writer.write(_compressed(answer) if _offers_compression(hello) else answer)
            await asyncio.gather(_pass(reader, inner_writer), _pass(inner_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            inner_writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _record(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[3:], "big"))


def _after_session(record: bytes) -> int:
    """Return the offset after the session id in a client's or server's hello."""
    place = 5 + 4 + 2 + 32
    return place + 1 + record[place]


def _offers_compression(hello: bytes) -> bool:
    place = _after_session(hello)
    place += 2 + int.from_bytes(hello[place : place + 2], "big")
    return 1 in hello[place + 1 : place + 1 + hello[place]]


def _compressed(answer: bytes) -> bytes:
    if answer[0] != 22:
        return answer
    place = _after_session(answer) + 2
    return answer[:place] + b"\x01" + answer[place + 1 :]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 14):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
