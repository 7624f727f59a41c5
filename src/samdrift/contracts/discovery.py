"""Interface B as the roles see it: look-ups of participants, and checks of certificates."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from cryptography import x509

from samdrift.contracts.errors import Explained, Temporary
from samdrift.contracts.hold import Hold
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.smp import ServiceMetadata
from samdrift.wire.verdicts import CertificateVerdict


class CertificatePurpose(StrEnum):
    """Purpose of a certificate, which decides the federation's chain policy that it is checked against."""

    ACCESS_POINT = "access-point"
    SMP = "smp"
    ORGANISATION = "organisation"


class DiscoveryError(Explained):
    """A look-up without a usable answer; ``text`` names neither the organisation nor any content."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class NotRegistered(DiscoveryError):
    """The participant, or the document type for it, is not registered (component-accesspoint 3.2.4 a)."""

    hold = Hold.NOT_REGISTERED


class SharedService(StrEnum):
    """A service of the federation that look-ups or checks need, by the name shown to a waiting sender."""

    SML = "SML"
    SMP = "SMP"
    REVOCATION = "The revocation service"


class DiscoveryUnavailable(DiscoveryError, Temporary):
    """A shared service did not answer; a later look-up may succeed (component-accesspoint 3.2.3 a)."""

    def __init__(self, text: str, service: SharedService) -> None:
        super().__init__(text)
        self.service = service
        self.hold = Hold(service.name.lower())


class DiscoveryUntrusted(DiscoveryError):
    """The answer's signature or its signer is not trusted (transport-profile-as4 2.10 f, g)."""

    hold = Hold.CERTIFICATE


class SenderNotRegistered(NotRegistered):
    """The sender cannot receive the message receipt, so it must not send (transport-model-extended 3.2 c)."""

    def __init__(self) -> None:
        super().__init__(
            "the sender is not registered in SMP to receive message receipts under this transport model; "
            "register it there, then send again"
        )


class Discovery(Protocol):
    """Look-up of a participant through SML, SMP and CertPub in one call."""

    async def service(
        self, participant: ParticipantIdentifier, document: DocumentIdentifier
    ) -> ServiceMetadata:
        """Return verified metadata with published certificates, or raise a :class:`DiscoveryError`."""


class CertificateChecks(Protocol):
    """Checks of a certificate's chain, validity and revocation under the federation's policy."""

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict: ...
