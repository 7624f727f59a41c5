"""transport-model-extended 3.3.1: the required lookups, and the published certificates that are used."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from cryptography import x509

from samdrift.contracts.discovery import (
    CertificatePurpose,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
)
from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice.incoming.judging import Judgement, Judging, NewMessage
from samdrift.messageservice.outgoing.compose import Address
from samdrift.messageservice.outgoing.sealing import Sealing
from samdrift.messageservice.screening import Screening
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.vault.records import KeySet
from samdrift.vault.sessionkeys import Claim, Claimed
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey
from samdrift.wire.envelope import verify
from samdrift.wire.identifiers import (
    FEDERATION_TEST,
    NO_PROCESS,
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.smp import Endpoint, PublishedCertificates, ServiceMetadata
from samdrift.wire.verdicts import CertificateVerdict, TrustReason
from tests import pki
from tests.roles.letters import Envelope, enclose, letter
from tests.settings import message_service_settings
from tests.unit.messageservice.test_screening import Scanner

NOW = datetime.now(UTC)
PAYLOAD = b'<payload xmlns="urn:example"/>'
HERE = Address(ParticipantIdentifier("0203:a.se"), "A", "sdk.a", "A")
THERE = Address(ParticipantIdentifier("0203:b.se"), "B", "sdk.b", "B")
ISSUER = pki.root("Issuer", 0)
SIGNING = ISSUER.issue("a.se", private_key=pki.key(1))
ENCRYPTION = ISSUER.issue("b.se", private_key=pki.key(2))
OLD = ISSUER.issue("b.se", private_key=pki.key(3))
ENDPOINT = Endpoint("p", "https://a.test/as4", ISSUER.issue("AP", private_key=pki.key(4)).certificate)
Lookup = tuple[ParticipantIdentifier, DocumentIdentifier]


class Services:
    """SMP, certificate publishing and revocation: everything is trusted except as ``verdicts`` states."""

    def __init__(self, *encryption: x509.Certificate) -> None:
        self.looked_up: list[Lookup] = []
        self.checked: list[tuple[x509.Certificate, CertificatePurpose]] = []
        self.verdicts: dict[x509.Certificate, TrustReason] = {}
        self.published = PublishedCertificates((SIGNING.certificate,), encryption)
        self.receives = True
        """True if the sender is registered with an endpoint."""

    async def service(
        self, participant: ParticipantIdentifier, document: DocumentIdentifier
    ) -> ServiceMetadata:
        self.looked_up.append((participant, document))
        endpoints = (ENDPOINT,) if self.receives else ()
        return ServiceMetadata(participant, document, NO_PROCESS, endpoints, self.published)

    async def check(
        self, certificate: x509.Certificate, purpose: CertificatePurpose, at: datetime
    ) -> CertificateVerdict:
        self.checked.append((certificate, purpose))
        return CertificateVerdict(self.verdicts.get(certificate, TrustReason.TRUSTED))


async def sealed(services: Services, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED) -> bytes:
    sealing = Sealing(FEDERATION_TEST, services, services, os.urandom)
    message = await sealing.message(
        PAYLOAD,
        message_id="00000000-0000-4000-8000-000000000000",
        sender=HERE.organisation,
        recipient=THERE.organisation,
        document=document,
        handling_service_id="sdk.b",
        key=SIGNING.signing_key(),
        now=NOW,
    )
    return message.envelope


def opens(envelope: bytes, certified: pki.Certified) -> bool:
    verified = verify(envelope).envelope
    assert verified is not None
    key = SoftwareDecryptionKey(certified.private_key, certified.certificate)
    try:
        return verified.payload([key]) == PAYLOAD
    except Exception:
        return False


# --- the recipient's encryption certificate ---------------------------------------------------------------


async def test_step_3_the_key_is_looked_up_under_the_recipient_and_the_type_of_the_message() -> None:
    """Clauses: architecture-sad 5.3.6.2 step 2, 5.4 step 3b; certpub-rest-binding 3 sentence 1, 3.2 step 2,
    step 3; transport-model-extended 2.11 a, 3.3.1 step 3, 3.3.2 step 3.
    """
    services = Services(ENCRYPTION.certificate)
    assert opens(await sealed(services), ENCRYPTION)
    assert services.looked_up[1:] == [(THERE.organisation, SDK_MESSAGE_EXTENDED)]
    assert services.checked == [(ENCRYPTION.certificate, CertificatePurpose.ORGANISATION)]


async def test_under_the_base_model_the_recipient_is_not_looked_up() -> None:
    services = Services()
    await sealed(services, SDK_MESSAGE_BASE)
    assert services.looked_up == [(HERE.organisation, RECEIPT_BASE)]


@pytest.mark.parametrize(
    ("document", "receipt"),
    [(SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED), (SDK_MESSAGE_BASE, RECEIPT_BASE)],
)
async def test_3_2_c_a_sender_that_cannot_receive_the_receipt_sends_nothing(
    document: DocumentIdentifier, receipt: DocumentIdentifier
) -> None:
    """transport-model-extended 3.2 c, transport-model-base 3.2 b: looked up before anything is sealed.

    Clauses: transport-model-base 2.1 sentence 1.
    """
    services = Services(ENCRYPTION.certificate)
    services.receives = False
    with pytest.raises(NotRegistered, match="the sender is not registered"):
        await sealed(services, document)
    assert services.looked_up == [(HERE.organisation, receipt)]


@pytest.mark.parametrize("reason", [TrustReason.REVOKED, TrustReason.EXPIRED, TrustReason.UNKNOWN_ISSUER])
async def test_step_3_a_certificate_that_is_not_valid_is_passed_over(reason: TrustReason) -> None:
    services = Services(OLD.certificate, ENCRYPTION.certificate)
    services.verdicts[OLD.certificate] = reason
    envelope = await sealed(services)
    assert opens(envelope, ENCRYPTION)
    assert not opens(envelope, OLD)


@pytest.mark.parametrize("published", [(), (OLD.certificate,)])
async def test_step_3_without_a_valid_certificate_nothing_is_sent(
    published: tuple[x509.Certificate, ...],
) -> None:
    """Clauses: envelope-profile-xhe 3.4 sentence 2."""
    services = Services(*published)
    services.verdicts[OLD.certificate] = TrustReason.REVOKED
    with pytest.raises(DiscoveryUntrusted):
        await sealed(services)


async def test_step_4_without_word_of_revocation_the_message_waits() -> None:
    services = Services(OLD.certificate, ENCRYPTION.certificate)
    services.verdicts = {
        OLD.certificate: TrustReason.REVOCATION_UNKNOWN,
        ENCRYPTION.certificate: TrustReason.REVOKED,
    }
    with pytest.raises(DiscoveryUnavailable):
        await sealed(services)


# --- the sender's signing certificate ---------------------------------------------------------------------


class Vault:
    """A vault with one key, in which no session key was used before."""

    def keys(self) -> KeySet:
        key = SoftwareDecryptionKey(ENCRYPTION.private_key, ENCRYPTION.certificate)
        return KeySet(cast(Any, None), (key,))

    async def take_session_key(self, *arguments: object, **others: object) -> Claimed:
        return Claimed(Claim.TAKEN)


async def judged(services: Services, envelope: Envelope) -> Judgement:
    settings = message_service_settings(FEDERATION_TEST)
    message = Judging(settings, services, services, Screening(Scanner()), os.urandom)
    item = InboxItem(
        "i", envelope.id, HERE.organisation.value, THERE.organisation.value, "d", "c", "m", "AP", NOW, 1
    )
    profile = OrganisationProfile(THERE.organisation, "B", frozenset({"sdk.b"}), base_model=True)
    return await message.judge(envelope.data, item, profile, cast(Any, Vault()), NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("document", "receipt"),
    [(SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED), (SDK_MESSAGE_BASE, RECEIPT_BASE)],
)
async def test_step_16_the_sender_is_looked_up_under_the_type_of_the_message_receipt(
    document: DocumentIdentifier, receipt: DocumentIdentifier
) -> None:
    """Clauses: certpub-rest-binding 3.2 step 3b; transport-model-extended 2.6 sentence 3, 3.3.1 step 16,
    3.3.2 step 17.
    """
    services = Services()
    protected = document.requires_protection
    envelope = enclose(
        letter(HERE, THERE),
        SIGNING.signing_key() if protected else None,
        ENCRYPTION.certificate if protected else None,
        document=document,
    )
    judgement = await judged(services, envelope)
    assert services.looked_up == [(HERE.organisation, receipt)]
    assert isinstance(judgement, NewMessage)
    assert not judgement.findings
    checked = [(SIGNING.certificate, CertificatePurpose.ORGANISATION)] if protected else []
    assert services.checked == checked


async def test_step_18_without_word_of_revocation_the_message_waits() -> None:
    services = Services()
    services.verdicts[SIGNING.certificate] = TrustReason.REVOCATION_UNKNOWN
    with pytest.raises(DiscoveryUnavailable):
        await judged(services, enclose(letter(HERE, THERE), SIGNING.signing_key(), ENCRYPTION.certificate))


async def test_a_message_between_well_known_parties_has_no_findings_of_anothers_key() -> None:
    """The certificate is compared with the published ones, not only trusted."""
    services = Services()
    services.published = PublishedCertificates((OLD.certificate,))
    judgement = await judged(
        services, enclose(letter(HERE, THERE), SIGNING.signing_key(), ENCRYPTION.certificate)
    )
    assert isinstance(judgement, NewMessage)
    assert [(one.reason, one.detail) for one in judgement.findings] == [("SIG", "security")]
    assert judgement.message is None
    assert cast(Any, judgement).payload == b""
