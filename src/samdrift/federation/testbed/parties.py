"""The parties to a test: the access point under test, and the participants of the test bed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography import x509

from samdrift.contracts.transfer import AccessPoint
from samdrift.wire.crypto.keys import DecryptionKey, SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

Evidence = Callable[[str], Awaitable[str]]
"""Looks up an AS4 message or envelope in the event log of the access point under test."""


@dataclass(frozen=True, slots=True)
class OrganisationKeys:
    """A participant's own keys, for protection between organisations."""

    signing: SigningKey
    decryption: DecryptionKey


class Destination(Protocol):
    """An access point, as other access points address it, and the certificate to encrypt for."""

    @property
    def party(self) -> str: ...

    @property
    def as4_address(self) -> str: ...

    @property
    def certificate(self) -> x509.Certificate: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """The access point under test, with one participant whose message service is played by the test bed.

    ``interface_c`` is that participant's connection; ``evidence`` reads the access point's event log, which
    no interface exposes to others.
    """

    participant: ParticipantIdentifier
    mailbox: str
    keys: OrganisationKeys
    interface_c: AccessPoint
    party: str
    as4_address: str
    certificate: x509.Certificate
    federation: str
    evidence: Evidence
