"""TLS 1.2 and 1.3, one-way or mutual, from files that may be replaced meanwhile (transport-profile-as4 2.4).

One-way with the public issuers is the profile's ground rule (2.4.1 a, 2.4.2 b),
mutual with named issuers what the federation has chosen instead (A1, A2).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import certifi
import structlog

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption, SSL Labs grade A; 1.3 has nothing else."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Files of a certificate with its chain and of its private key, which may be the same, in PEM."""

    certificate: Path
    key: Path | None = None
    password: str | None = None


class TlsContext:
    """The context that its files give now; rebuilt when one of them has changed.

    New connections use it, existing ones go on as they are. Files that do not
    fit together, as half-way through a replacement, leave the former context in
    use until they do.
    """

    def __init__(self, build: Callable[[], ssl.SSLContext], files: tuple[Path, ...]) -> None:
        """Build for the first time: only then is passed on what :mod:`ssl` raises for bad files."""
        self._build = build
        self._files = files
        self._seen = self._state()
        self._context = build()

    def current(self) -> ssl.SSLContext:
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._context = self._build()
            except (OSError, ValueError):
                _log.warning("tls-files-unusable", files=len(self._files))
        return self._context

    def serving(self) -> ssl.SSLContext:
        """A context for a server's whole life, which hands each new connection to the current one."""
        context = self._build()

        def hand_over(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
            connection.context = self.current()

        context.sni_callback = hand_over
        return context

    def _state(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state(file) for file in self._files)


def client_tls(own: TlsIdentity | None = None, trust: Path | None = None) -> TlsContext:
    """For connections to others: who we are, in mutual TLS, and a bundle of the issuers that we trust.

    Without ``trust`` these are Mozilla's (transport-profile-as4 2.4.1 a). The
    name in the server's certificate is always checked.
    """

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(trust or certifi.where())
        context.set_alpn_protocols(["http/1.1"])
        return _common(context, own)

    return TlsContext(build, _files(own, trust))


def server_tls(own: TlsIdentity, clients: Path | None = None) -> TlsContext:
    """For connections from others; with ``clients``, a bundle of issuers, they must show a certificate."""

    def build() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        return _common(context, own)

    return TlsContext(build, _files(own, clients))


def _common(context: ssl.SSLContext, own: TlsIdentity | None) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    if own is not None:
        # Never None: that would ask at the terminal when the key turns out to have a password.
        context.load_cert_chain(own.certificate, own.key, own.password or "")
    return context


def _files(own: TlsIdentity | None, trust: Path | None) -> tuple[Path, ...]:
    named = (own.certificate, own.key) if own else ()
    return tuple(file for file in (*named, trust) if file is not None)


def _state(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or written anew; ``None`` when it is not there."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
