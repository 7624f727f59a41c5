"""TLS 1.2 and 1.3, one-way or mutual, from files that may change at run time (transport-profile-as4 2.4).

One-way TLS with public issuers is the profile's basic rule (2.4.1 a, 2.4.2 b); mutual TLS with named issuers
is the alternative that the federation has chosen (A1, A2).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
from cryptography import x509

from samdrift.net.clock import system_clock
from samdrift.net.following import Followed, file_state
from samdrift.wire.crypto.certificates import shown_for

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 suites with forward secrecy and authenticated encryption (SSL Labs grade A); 1.3 has no others."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """The PEM files of a certificate chain and its private key, which may be the same file."""

    certificate: Path
    key: Path | None = None
    password: str | None = None


Own = TlsIdentity | Callable[[], TlsIdentity]
"""Our TLS identity, or a function that returns it if a new certificate is a new file, as in a key store."""
Servers = Own | Callable[[], Sequence[TlsIdentity]]
"""A server's identities: the first valid one for the requested host is used, else the first."""


class TlsContext:
    """A TLS context that is rebuilt when its files change (:class:`~samdrift.net.following.Followed`).

    New connections use the current one; existing connections are not affected.
    """

    def __init__(self, name: str, build: Callable[[], ssl.SSLContext], state: Callable[[], Hashable]) -> None:
        """Build the context; raise what :mod:`ssl` raises for bad files."""
        self.current = Followed(name, build, state, seldom=True).current

    def serving(self) -> ssl.SSLContext:
        """Return a context for a server's lifetime, which passes each new connection to the current one."""
        return _HandingOver(self.current)


class _HandingOver(ssl.SSLContext):
    """A context that makes every connection with another context, the current one.

    The whole context changes, including its session tickets: otherwise a client whose issuer is no longer
    trusted could resume a session from the time when it was.
    """

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> _HandingOver:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, current: Callable[[], ssl.SSLContext]) -> None:
        self._current = current

    def wrap_bio(self, *arguments: Any, **settings: Any) -> ssl.SSLObject:
        return self._current().wrap_bio(*arguments, **settings)


def client_tls(own: Own | None = None, trust: Path | None = None, *, http: bool = True) -> TlsContext:
    """Create a context for connections to peers: our identity, for mutual TLS, and the trusted issuers.

    Without ``trust``, a bundle, the issuers are Mozilla's (transport-profile-as4 2.4.1 a). The name in the
    server's certificate is always checked. ``http`` negotiates HTTP/1.1 by ALPN (RFC 7301).

    Clauses: transport-model-base 3.3.1 step 8, 3.3.2 step 8; transport-model-extended 3.3.1 step 11, 3.3.2
    step 12; transport-profile-as4 2.4.1 A1.
    """

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(trust or certifi.where())
        if http:
            context.set_alpn_protocols(["http/1.1"])
        return _common(context, own)

    return TlsContext("TLS as a client", build, lambda: _state(own, trust))


def server_tls(own: Servers, clients: Path | None = None, *, demanded: bool = True) -> TlsContext:
    """Create a context for incoming connections; ``clients`` is a bundle of issuers of client certificates.

    Clients must show a certificate from one of these issuers. Unless ``demanded``, connections without a
    certificate are accepted too, so that people can be shown a page that tells them what to do. A certificate
    from any other issuer fails the handshake in either case.

    Clauses: transport-profile-as4 2.4.2 b, A2.
    """

    def build() -> ssl.SSLContext:
        first, *others = [(identity, _server(identity, clients, demanded)) for identity in _identities(own)]
        if others:
            first[1].sni_callback = _by_host([first, *others])
        return first[1]

    def state() -> Hashable:
        return tuple(_state(identity, clients) for identity in _identities(own))

    return TlsContext("TLS as a server", build, state)


def _server(identity: TlsIdentity, clients: Path | None, demanded: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED if demanded else ssl.CERT_OPTIONAL
        context.load_verify_locations(clients)
        if not demanded:  # Issuers of personal certificates need not be roots.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return _common(context, identity)


def _by_host(
    servers: Sequence[tuple[TlsIdentity, ssl.SSLContext]],
) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    """Return an SNI callback that selects the certificate by the requested host (RFC 6066 3).

    An expired certificate is shown only where there is no valid one: a valid one is older, for example, if
    the newest was issued for a short time.
    """
    certificates = [_certificate(identity) for identity, _ in servers]

    def choose(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
        connection.context = servers[shown_for(certificates, host, system_clock())][1]

    return choose


def _certificate(identity: TlsIdentity) -> x509.Certificate:
    return x509.load_pem_x509_certificates(identity.certificate.read_bytes())[0]


def _identities(own: Servers) -> Sequence[TlsIdentity]:
    found = own if isinstance(own, TlsIdentity) else own()
    return [found] if isinstance(found, TlsIdentity) else found


def _common(context: ssl.SSLContext, own: Own | None) -> ssl.SSLContext:
    """Apply the protocol version, the suites and our identity to ``context``.

    Clauses: transport-profile-as4 2.4.1 a.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    if own is not None:
        identity = _now(own)
        # Not ``None``: OpenSSL would then prompt at the terminal if the key has a password.
        context.load_cert_chain(identity.certificate, identity.key, identity.password or "")
    return context


def _now(own: Own) -> TlsIdentity:
    return own if isinstance(own, TlsIdentity) else own()


def _state(own: Own | None, trust: Path | None) -> Hashable:
    """Return the configured files, each with a state that changes when the file does."""
    identity = None if own is None else _now(own)
    files = (identity.certificate, identity.key, trust) if identity else (trust,)
    return tuple((file, file_state(file)) for file in files if file is not None)
