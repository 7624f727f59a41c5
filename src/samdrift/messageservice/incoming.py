"""An envelope that waits at the access point on its way to the organisation.

The order is that of transport-model-extended 3.3.1 and 3.3.2, steps 16 to 22:
the sender's published certificate is looked up, the signature verified, and
only a payload under a valid signature is decrypted (invariant 6). The answer
is a receipt, or none where message-receipt 2.1.2 says that there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from samdrift.contracts.discovery import (
    CertificateChecks,
    CertificatePurpose,
    Discovery,
    DiscoveryUnavailable,
    NotRegistered,
)
from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice import findings as rules
from samdrift.messageservice.aside import aside
from samdrift.messageservice.screening import Screening
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.wire import envelope, receipt, sdkmessage
from samdrift.wire.envelope import EnvelopeHeader, EnvelopeVerdict, VerifiedEnvelope
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import RECEIPT_BASE, RECEIPT_EXTENDED, receipt_document_for
from samdrift.wire.keys import DecryptionKey, OaepNotOffered
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.sdkmessage import SdkMessage
from samdrift.wire.verdicts import CertificateVerdict

RECEIPTS = (RECEIPT_EXTENDED, RECEIPT_BASE)


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that is well enough formed to be answered; findings empty when it is accepted."""

    header: EnvelopeHeader
    message: SdkMessage | None
    payload: bytes
    findings: tuple[Finding, ...]
    signer: x509.Certificate | None = None
    """Whose signature held; ``None`` in the base transport model and when none did."""
    malware: str = ""
    """The scanner's name of what it found, for the log."""

    @property
    def authentic(self) -> bool:
        """Whether the message is its sender's, as far as its transport model can tell.

        Only then is its id taken: nobody can use it up before the sender does.
        """
        return self.signer is not None or not self.header.document.requires_protection


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """A message receipt under a valid signature."""

    header: EnvelopeHeader
    receipt: MessageReceipt
    payload: bytes
    signer: x509.Certificate | None = None


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """Something that gets no receipt: the reason for the log.

    Clauses: message-receipt 2.1.2 sentence 1.
    """

    envelope_id: str
    reason: str


Judgement = NewMessage | NewReceipt | Unanswerable


class Judging:
    """Judges incoming envelopes.

    Raises :class:`DiscoveryUnavailable`, or
    :class:`samdrift.contracts.malware.ScannerUnavailable`, when that must wait.
    """

    def __init__(self, discovery: Discovery, checks: CertificateChecks, screening: Screening) -> None:
        self._discovery = discovery
        self._checks = checks
        self._screening = screening

    async def judge(
        self,
        data: bytes,
        item: InboxItem,
        profile: OrganisationProfile,
        keys: tuple[DecryptionKey, ...],
        now: datetime,
    ) -> Judgement:
        """What ``data`` is and how it is to be answered."""
        judgement = await self._judged(data, item, profile, keys, now)
        return await self._screened(profile, judgement) if isinstance(judgement, NewMessage) else judgement

    async def _screened(self, profile: OrganisationProfile, new: NewMessage) -> NewMessage:
        """What else would be accepted is scanned for malicious code (content-specification 5.3)."""
        if new.findings or new.message is None:
            return new
        malware = await self._screening.malware(profile.organisation, new.message)
        return (
            new if malware is None else replace(new, findings=(malware.finding,), malware=malware.signature)
        )

    async def _judged(
        self,
        data: bytes,
        item: InboxItem,
        profile: OrganisationProfile,
        keys: tuple[DecryptionKey, ...],
        now: datetime,
    ) -> Judgement:
        """Clauses: certpub-rest-binding 3.2 step 3b; content-specification 2.1 step 1b, 4.3.2.2 sentence 3, 5
        sentence 5, 5.3 row 13; transport-model-extended 2.6 sentence 3, 3.3.1 step 16, step 28, 3.3.2 step
        17, step 28.
        """
        verdict = await aside(len(data), lambda: envelope.verify(data))
        header = verdict.header
        if header is None:
            return Unanswerable(item.envelope_id, f"broken envelope: {verdict.reason}")
        try:
            metadata = await self._discovery.service(header.sender, receipt_document_for(header.document))
        except NotRegistered:
            return Unanswerable(header.id, "the sender is not registered in SMP")
        mismatch = rules.of_transport(item, header)
        if mismatch:
            return _refused(header, mismatch)
        if not header.document.requires_protection:
            return await aside(len(data), lambda: _open_plain(data, header, profile))
        trust = await self._trust(verdict, now)
        broken = rules.of_signature(verdict, metadata.certificates.signing, trust)
        if broken or verdict.envelope is None:
            return _refused(header, broken)
        verified = verdict.envelope
        judgement = await aside(len(data), lambda: _open(verified, header, profile, keys), *keys)
        return judgement if isinstance(judgement, Unanswerable) else replace(judgement, signer=verdict.signer)

    async def _trust(self, verdict: EnvelopeVerdict, now: datetime) -> CertificateVerdict | None:
        """The signing certificate's validity and revocation (envelope-profile-xhe 3.5 a).

        Clauses: architecture-sad 5.4 step 4; transport-model-extended 3.3.1 step 17, step 29, 3.3.2 step 18,
        step 29.
        """
        if not verdict.valid or verdict.signer is None:
            return None
        trust = await self._checks.check(verdict.signer, CertificatePurpose.ORGANISATION, now)
        if trust.temporary:
            raise DiscoveryUnavailable("no revocation information for the sender's signing certificate")
        return trust


def _refused(header: EnvelopeHeader, found: Sequence[Finding]) -> Judgement:
    """Rejected before the payload could be read; a receipt is never answered with a receipt.

    Clauses: transport-model-base 3.2 d.
    """
    if header.document in RECEIPTS:
        return Unanswerable(header.id, f"message receipt refused: {found[0].text}")
    return NewMessage(header, None, b"", tuple(found))


def _open(
    verified: VerifiedEnvelope,
    header: EnvelopeHeader,
    profile: OrganisationProfile,
    keys: Sequence[DecryptionKey],
) -> Judgement:
    """Clauses: certpub-rest-binding 3.2 step 5b; content-specification 5.3 row 14; transport-model-extended
    3.3.1 step 18.
    """
    if header.document not in RECEIPTS and not header.encrypted:
        return _refused(header, [rules.NOT_ENCRYPTED])
    try:
        payload = verified.payload(keys)
    except OaepNotOffered as error:
        return Unanswerable(header.id, f"the payload cannot be decrypted: {error.text}")
    except WireError:
        return Unanswerable(header.id, "the payload cannot be decrypted")
    return _read(header, profile, payload)


def _read(header: EnvelopeHeader, profile: OrganisationProfile, payload: bytes) -> Judgement:
    """Validate the payload; one that is not well-formed gets no receipt (message-receipt 2.1.2).

    Clauses: architecture-sad 5.2.1 sentence 1; certpub-rest-binding 3.2 step 6b; content-specification 5
    sentence 1, sentence 4; transport-model-base 3.3.1 step 13, 3.3.2 step 13; transport-model-extended 3.3.1
    step 19.
    """
    try:
        if header.document in RECEIPTS:
            return _read_receipt(header, payload)
        found, message = sdkmessage.read(payload)
        if message is None:
            return NewMessage(header, None, payload, found)
    except WireError as error:
        return Unanswerable(header.id, f"payload: {error}")
    return NewMessage(header, message, payload, tuple(rules.of_message(message, header, profile)))


def _read_receipt(header: EnvelopeHeader, payload: bytes) -> Judgement:
    found = receipt.validate(payload)
    if found:
        return Unanswerable(header.id, f"message receipt refused: {found[0].text} at {found[0].path}")
    parsed = receipt.parse(payload)
    if (parsed.sender, parsed.receiver) != (header.sender, header.recipient):
        return Unanswerable(header.id, "message receipt refused: its parties differ from the envelope's")
    return NewReceipt(header, parsed, payload)


def _open_plain(data: bytes, header: EnvelopeHeader, profile: OrganisationProfile) -> Judgement:
    """Under the base transport model nothing is signed, and nothing may be encrypted.

    Clauses: transport-model-base 2.9.3 a, 2.11 b.
    """
    if not profile.base_model:
        return Unanswerable(header.id, "the recipient does not use the base transport model")
    try:
        payload = envelope.read(data).unprotected_payload()
    except WireError:
        return Unanswerable(header.id, "the payload is encrypted under the base transport model")
    return _read(header, profile, payload)
