"""Sealing of a message or a receipt in an envelope: look-ups, encryption, signature.

The order is that of transport-model-extended 3.3.1, steps 3 to 6: the recipient's published key is looked up,
the payload encrypted, the envelope signed, and only then is anything sent to the access point (invariant 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from samdrift.contracts.discovery import (
    CertificateChecks,
    CertificatePurpose,
    Discovery,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    SharedService,
)
from samdrift.messageservice.offloading import offload
from samdrift.net.discovery import require_sender
from samdrift.wire.crypto.keys import Random, SigningKey
from samdrift.wire.envelope import EnvelopeHeader, seal
from samdrift.wire.envelope.header import CONTENT_TYPE, RECEIPT_DOCUMENT_TYPE, SDK_DOCUMENT_TYPE
from samdrift.wire.identifiers import NO_PROCESS, DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.verdicts import Grounds


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """An envelope and, if it is encrypted, the recipient's certificate that was used for it."""

    envelope: bytes
    certificate: x509.Certificate | None = None
    grounds: Grounds | None = None
    """The grounds on which that certificate is trusted."""


class Sealing:
    """Creates envelopes for every organisation that the message service serves."""

    def __init__(self, federation: str, discovery: Discovery, checks: CertificateChecks, rng: Random) -> None:
        self._federation = federation
        self._discovery = discovery
        self._checks = checks
        self._rng = rng

    async def message(
        self,
        payload: bytes,
        *,
        message_id: str,
        sender: ParticipantIdentifier,
        recipient: ParticipantIdentifier,
        document: DocumentIdentifier,
        handling_service_id: str,
        key: SigningKey,
        now: datetime,
    ) -> SealedMessage:
        """Return the envelope of an SDK message, with the certificate for which it is encrypted.

        Raises :class:`DiscoveryError` when the recipient has no usable key, or the sender is not registered
        for the receipt (transport-model-extended 3.2 c).

        Clauses: certpub-rest-binding 3.2 step 3; content-specification 3.2 sentence 1; envelope-profile-xhe
        2.2 sentence 11; transport-model-base 2.11 b, 3.3.1 step 3, 3.3.2 step 3; transport-model-extended 0
        sentence 1, 2.11 a, 3.3.1 steps 4-6, 3.3.2 steps 4-6.
        """
        await require_sender(self._discovery, sender, document, now)
        header = self._header(
            message_id, sender, recipient, document, SDK_DOCUMENT_TYPE, handling_service_id, now
        )
        if not document.requires_protection:
            return SealedMessage(seal(header, payload, signer=None, recipient=None, rng=self._rng))
        certificate, grounds = await self._encryption_certificate(recipient, document, now)
        envelope = await offload(
            len(payload),
            lambda: seal(header, payload, signer=key, recipient=certificate, rng=self._rng),
            key,
        )
        return SealedMessage(envelope, certificate, grounds)

    async def receipt(
        self,
        payload: bytes,
        *,
        receipt_id: str,
        sender: ParticipantIdentifier,
        recipient: ParticipantIdentifier,
        document: DocumentIdentifier,
        handling_service_id: str | None,
        key: SigningKey,
        now: datetime,
    ) -> bytes:
        """Return the envelope of a message receipt.

        It is signed, never encrypted (transport-model-extended 2.11 b).

        Clauses: architecture-sad 4.3.6.1 sentence 1; certpub-rest-binding 3.2 step 8;
        transport-model-extended 2.1 sentence 1, 2.11 c, 3.3.1 step 22, 3.3.2 step 22.
        """
        header = self._header(
            receipt_id, sender, recipient, document, RECEIPT_DOCUMENT_TYPE, handling_service_id, now
        )
        if not document.requires_protection:
            return seal(header, payload, signer=None, recipient=None, rng=self._rng)
        return await offload(
            len(payload), lambda: seal(header, payload, signer=key, recipient=None, rng=self._rng), key
        )

    def _header(
        self,
        envelope_id: str,
        sender: ParticipantIdentifier,
        recipient: ParticipantIdentifier,
        document: DocumentIdentifier,
        document_type: str,
        handling_service_id: str | None,
        now: datetime,
    ) -> EnvelopeHeader:
        """Return the header of an envelope that is to be sealed.

        Clauses: architecture-sad 5.3.7.1 sentence 1; envelope-profile-xhe 2.2 sentence 8, sentence 10.
        """
        return EnvelopeHeader(
            id=envelope_id,
            created=now,
            sender=sender,
            recipient=recipient,
            document=document,
            process=NO_PROCESS,
            federation=self._federation,
            document_type_code=document_type,
            content_type_code=CONTENT_TYPE,
            handling_service_id=handling_service_id,
            encrypted=False,
        )

    async def _encryption_certificate(
        self, recipient: ParticipantIdentifier, document: DocumentIdentifier, now: datetime
    ) -> tuple[x509.Certificate, Grounds | None]:
        """Look up a trusted certificate for the receiver and the message type (certpub-rest-binding 3).

        Clauses: architecture-sad 5.3.6.2 step 2, 5.4 step 3b; certpub-rest-binding 3 sentence 1, 3.2 step 2;
        envelope-profile-xhe 3.4 sentence 2; transport-model-extended 2.6 sentence 3, 3.3.1 step 3, 3.3.2 step
        3.
        """
        metadata = await self._discovery.service(recipient, document)
        temporary = False
        for certificate in metadata.certificates.encryption:
            verdict = await self._checks.check(certificate, CertificatePurpose.ORGANISATION, now)
            if verdict.trusted:
                return certificate, verdict.grounds
            temporary = temporary or verdict.temporary
        if temporary:
            text = "no revocation information for the recipient's encryption certificate"
            raise DiscoveryUnavailable(text, SharedService.REVOCATION)
        raise DiscoveryUntrusted("the recipient has published no valid encryption certificate")
