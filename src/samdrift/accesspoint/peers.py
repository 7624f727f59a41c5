"""Whether another access point may send to this one."""

from __future__ import annotations

from datetime import datetime

from samdrift.accesspoint.agreement import common_name
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.discovery import CertificateChecks, CertificatePurpose
from samdrift.wire.as4 import As4Fault, SignedHeader
from samdrift.wire.ebms import EbmsErrorCode


class PeerUndecided(Exception):
    """Nothing can be said of the peer's certificate now; it should send again later."""


class Peers:
    """Authenticates peers by certificate and by the name that they use for themselves."""

    def __init__(self, settings: AccessPointSettings, checks: CertificateChecks) -> None:
        self._settings = settings
        self._checks = checks

    async def authenticate(self, header: SignedHeader, now: datetime) -> None:
        """Return when the sender is an approved access point of this federation and environment.

        Chain and revocation (transport-profile-as4 2.10 c, d), the party
        identifier in the certificate (component-accesspoint 3.1.5 a), and that
        the message is for this access point (3.1.5 b).
        """
        message = header.user_message
        verdict = await self._checks.check(header.certificate, CertificatePurpose.ACCESS_POINT, now)
        if verdict.temporary:
            raise PeerUndecided(verdict.detail)
        if not verdict.trusted:
            raise As4Fault(
                EbmsErrorCode.FAILED_AUTHENTICATION,
                f"certificate of the sending access point: {verdict.reason.value}",
                ref_to_message_id=message.message_id,
            )
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
