"""Authentication of other access points: whether one may send to this one, and by which certificate."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509

from samdrift.accesspoint.agreement import participant
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.discovery import (
    CertificateChecks,
    CertificatePurpose,
    Discovery,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
)
from samdrift.contracts.errors import Temporary
from samdrift.wire.as4 import ORIGINAL_SENDER, As4Fault, SignedHeader, UserMessage
from samdrift.wire.crypto.certificates import common_name
from samdrift.wire.ebms import EbmsErrorCode
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.verdicts import Grounds


class PeerUndecided(Temporary):
    """The peer's certificate cannot be checked now; the peer should send again later."""

    reported = True

    def __init__(self, text: str, cause: str) -> None:
        super().__init__(text)
        self.cause = cause


class Peers:
    """Authenticates peers by certificate and by the name that they use for themselves."""

    def __init__(
        self, settings: AccessPointSettings, discovery: Discovery, checks: CertificateChecks
    ) -> None:
        self._settings = settings
        self._discovery = discovery
        self._checks = checks

    async def certificates(
        self, message: UserMessage, documents: Iterable[DocumentIdentifier]
    ) -> tuple[x509.Certificate, ...]:
        """Return the certificates that may have signed a ``message`` which does not include one.

        The profile requires the certificate in the message, but some peers only name it (WSS X.509 token
        profile 3.2). SMP has it: the access point that sends for an organisation also receives for it, at
        least ``documents``. Nothing in the message is verified yet, so it only determines where to look.
        Raises :class:`PeerUndecided` when SML or SMP does not answer.
        """
        sender = participant(message.property(ORIGINAL_SENDER))
        if sender is None:
            return ()
        found: list[x509.Certificate] = []
        for document in documents:
            found += await self._certificates(sender, document)
        return tuple(found)

    async def _certificates(
        self, sender: ParticipantIdentifier, document: DocumentIdentifier
    ) -> list[x509.Certificate]:
        try:
            metadata = await self._discovery.service(sender, document)
        except (NotRegistered, DiscoveryUntrusted):
            return []
        except DiscoveryUnavailable as failure:
            raise PeerUndecided(failure.text, f"{failure.service} does not answer") from None
        return [endpoint.certificate for endpoint in metadata.endpoints]

    async def require_trusted(self, header: SignedHeader, now: datetime) -> Grounds | None:
        """Require an approved access point of this federation and environment; return the grounds.

        Checks chain and revocation (transport-profile-as4 2.10 c, d). Raises :class:`PeerUndecided` when they
        cannot be determined now.

        Clauses: accesspoint-test-cases 4.3.1 TF-03; transport-model-base 3.3.1 step 9, step 18, 3.3.2 step 9,
        step 18; transport-model-extended 3.3.1 step 12, step 24, 3.3.2 step 13, step 24.
        """
        message = header.user_message
        verdict = await self._checks.check(header.certificate, CertificatePurpose.ACCESS_POINT, now)
        if verdict.temporary:
            raise PeerUndecided(
                verdict.detail, f"certificate of the sending access point: {verdict.reason.value}"
            )
        if not verdict.trusted:
            raise As4Fault(
                EbmsErrorCode.FAILED_AUTHENTICATION,
                f"certificate of the sending access point: {verdict.reason.value}",
                ref_to_message_id=message.message_id,
            )
        return verdict.grounds

    def require_named(self, header: SignedHeader) -> None:
        """Require the sender to have its certificate's name, and this access point to be the recipient.

        Clauses: component-accesspoint 3.1.5 a, b.
        """
        message = header.user_message
        if message.from_party != common_name(header.certificate):
            raise As4Fault(
                EbmsErrorCode.FAILED_AUTHENTICATION,
                "From/PartyId is not the name in the signing certificate",
                ref_to_message_id=message.message_id,
            )
        if message.to_party != self._settings.party:
            raise As4Fault(
                EbmsErrorCode.VALUE_INCONSISTENT,
                "To/PartyId is another access point",
                ref_to_message_id=message.message_id,
            )
