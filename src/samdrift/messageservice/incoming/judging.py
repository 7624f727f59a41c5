"""Judgement of incoming envelopes: their signature, payload and content, and the answer to them.

The order is that of transport-model-extended 3.3.1 and 3.3.2, steps 16 to 22: the sender's published
certificate is looked up, the signature verified, and only a payload under a valid signature is decrypted
(invariant 6), with a session key that opened no other envelope (invariant 13). The answer is a receipt, or
none where message-receipt 2.1.2 requires that there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Literal

from cryptography import x509

from samdrift.contracts.discovery import (
    CertificateChecks,
    CertificatePurpose,
    Discovery,
    DiscoveryUnavailable,
    NotRegistered,
    SharedService,
)
from samdrift.contracts.errors import Temporary
from samdrift.contracts.hold import Hold
from samdrift.contracts.transfer import InboxItem
from samdrift.messageservice import findings as rules
from samdrift.messageservice.offloading import offload
from samdrift.messageservice.screening import Screening
from samdrift.messageservice.settings import MessageServiceSettings, OrganisationProfile
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.sessionkeys import Claim
from samdrift.wire import envelope, receipt, sdkmessage, xml
from samdrift.wire.crypto.keys import OaepNotOffered, Random
from samdrift.wire.crypto.xmlenc import LockedPayload
from samdrift.wire.envelope import EnvelopeHeader, EnvelopeVerdict, VerifiedEnvelope
from samdrift.wire.errors import WireError
from samdrift.wire.findings import Finding
from samdrift.wire.identifiers import RECEIPT_BASE, RECEIPT_EXTENDED, receipt_document_for
from samdrift.wire.receipt import MessageReceipt
from samdrift.wire.sdkmessage import SdkMessage
from samdrift.wire.verdicts import CertificateVerdict, Grounds, SignedPart

RECEIPTS = (RECEIPT_EXTENDED, RECEIPT_BASE)
_UNREADABLE = "the payload cannot be decrypted, or is not well-formed"
"""The only reason given for any failure with an encrypted payload: a more precise one would be an oracle."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that is well enough formed to be answered; it is accepted if ``findings`` is empty."""

    header: EnvelopeHeader
    message: SdkMessage | None
    payload: bytes
    findings: tuple[Finding, ...]
    signer: x509.Certificate | None = None
    """The certificate of the valid signature; ``None`` in the base transport model or if none was valid."""
    grounds: Grounds | None = None
    """The grounds on which that certificate is trusted."""
    signed: SignedPart | None = None
    """The signature that was verified as valid."""
    malware: str = ""
    """The scanner's name for the malware, for the log."""
    meaningless: bool = False
    """True if the decrypted payload did not name its envelope's id and sender; such envelopes are counted."""
    decrypted: bool = False
    """True if the payload was decrypted, as those of a limited sender are not."""

    @property
    def authentic(self) -> bool:
        """Return whether the message provably comes from its sender, as far as its transport model allows.

        Only then is its id marked as used, so that another party cannot use it up before the sender does.
        """
        return self.signer is not None or not self.header.document.requires_protection


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """A message receipt under a valid signature."""

    header: EnvelopeHeader
    receipt: MessageReceipt
    payload: bytes
    signer: x509.Certificate | None = None
    grounds: Grounds | None = None
    signed: SignedPart | None = None
    meaningless: Literal[False] = False
    decrypted: bool = False


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """An envelope that gets no receipt, with the reason for the log.

    Clauses: message-receipt 2.1.2 sentence 1.
    """

    envelope_id: str
    reason: str
    meaningless: bool = False
    """True if the payload did not decrypt, or not to well-formed XML; such envelopes are counted."""
    decrypted: bool = False
    """True if decrypting was tried, as it is not with those of a limited sender."""


class SenderLimited(Temporary):
    """Too many of the sender's envelopes were meaningless when decrypted, so its further ones wait."""

    text = "too many envelopes of this sender could not be decrypted; this one waits"
    hold = Hold.LIMIT

    def __init__(self) -> None:
        super().__init__(self.text)


Judgement = NewMessage | NewReceipt | Unanswerable


class Judging:
    """Judges incoming envelopes.

    Raises :class:`DiscoveryUnavailable`, :class:`SenderLimited`, or
    :class:`samdrift.contracts.malware.ScannerUnavailable`, when an envelope must wait.
    """

    def __init__(
        self,
        settings: MessageServiceSettings,
        discovery: Discovery,
        checks: CertificateChecks,
        screening: Screening,
        rng: Random,
    ) -> None:
        self._settings = settings
        self._discovery = discovery
        self._checks = checks
        self._screening = screening
        self._rng = rng

    async def judge(
        self,
        data: bytes,
        item: InboxItem,
        profile: OrganisationProfile,
        vault: MessageServiceVault,
        now: datetime,
    ) -> Judgement:
        """Determine what ``data`` is and how to answer it; ``vault`` must not have been used before."""
        judgement = await self._judged(data, item, profile, vault, now)
        return await self._screened(profile, judgement) if isinstance(judgement, NewMessage) else judgement

    async def _screened(self, profile: OrganisationProfile, new: NewMessage) -> NewMessage:
        """Reject an otherwise acceptable message that contains malicious code (content-specification 5.3)."""
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
        vault: MessageServiceVault,
        now: datetime,
    ) -> Judgement:
        """Judge an envelope, except for the scan for malicious code.

        Clauses: certpub-rest-binding 3.2 step 3b; content-specification 2.1 step 1b, 4.3.2.2 sentence 3, 5
        sentence 5, 5.3 row 13; transport-model-extended 2.6 sentence 3, 3.3.1 step 16, step 28, 3.3.2 step
        17, step 28.
        """
        verdict = await offload(len(data), lambda: envelope.verify(data))
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
            return await offload(len(data), lambda: _open_plain(data, header, profile))
        trust = await self._trust(verdict, now)
        broken = rules.of_signature(verdict, metadata.certificates.signing, trust)
        if broken or verdict.envelope is None:
            return _refused(header, broken)
        verified = verdict.envelope
        if header.document in RECEIPTS:
            judgement = await offload(len(data), lambda: _open_receipt(verified))
        elif not header.encrypted:
            judgement = _refused(header, [rules.NOT_ENCRYPTED])
        else:
            judgement = await self._decrypted(data, verified, profile, vault, now)
        if isinstance(judgement, Unanswerable):
            return judgement
        grounds = trust.grounds if trust else None
        return replace(judgement, signer=verdict.signer, grounds=grounds, signed=verdict.signed)

    async def _decrypted(
        self,
        data: bytes,
        verified: VerifiedEnvelope,
        profile: OrganisationProfile,
        vault: MessageServiceVault,
        now: datetime,
    ) -> Judgement:
        """Decrypt a payload whose session key opens only this envelope (invariant 13).

        If the key cannot be unwrapped, or belongs to another envelope, the same steps are performed with a
        random key, so that the sender cannot distinguish the cases.
        """
        header, size, keys = verified.header, len(data), vault.keys().decryption
        try:
            locked = await offload(size, lambda: verified.unlock(keys, self._rng), *keys)
        except OaepNotOffered as error:
            return Unanswerable(header.id, f"{_UNREADABLE}: {error.text}")
        except WireError:
            return Unanswerable(header.id, _UNREADABLE)
        claimed = await vault.take_session_key(
            locked.session_key,
            locked.recipient,
            envelope=sha256(data).digest(),
            created=header.created,
            sender=header.sender.value,
            limit=self._settings.meaningless_limit,
            now=now,
        )
        if claimed.claim is Claim.LIMITED:
            raise SenderLimited
        opened = locked if claimed.claim is Claim.TAKEN else locked.denied(self._rng)
        judgement = await offload(size, lambda: _open(opened, header, profile))
        if claimed.doubted and judgement.meaningless:
            judgement = Unanswerable(header.id, _UNREADABLE, meaningless=True)
        return replace(judgement, decrypted=True)

    async def _trust(self, verdict: EnvelopeVerdict, now: datetime) -> CertificateVerdict | None:
        """Check the signing certificate's validity and revocation (envelope-profile-xhe 3.5 a).

        Clauses: architecture-sad 5.4 step 4; transport-model-extended 3.3.1 step 17, step 29, 3.3.2 step 18,
        step 29.
        """
        if not verdict.valid or verdict.signer is None:
            return None
        trust = await self._checks.check(verdict.signer, CertificatePurpose.ORGANISATION, now)
        if trust.temporary:
            text = "no revocation information for the sender's signing certificate"
            raise DiscoveryUnavailable(text, SharedService.REVOCATION)
        return trust


def _refused(header: EnvelopeHeader, found: Sequence[Finding]) -> Judgement:
    """Reject an envelope before reading its payload; a receipt is never answered with a receipt.

    Clauses: transport-model-base 3.2 d.
    """
    if header.document in RECEIPTS:
        return Unanswerable(header.id, f"message receipt refused: {found[0].text}")
    return NewMessage(header, None, b"", tuple(found))


def _open(locked: LockedPayload, header: EnvelopeHeader, profile: OrganisationProfile) -> Judgement:
    """Decrypt and judge, in the same steps for every ciphertext.

    A payload that does not decrypt, or not to well-formed XML, gets no receipt (message-receipt 2.1.2).
    Nothing about the plaintext is reported until it is wholly well-formed and a message that names its own
    envelope's id and sender.

    Clauses: certpub-rest-binding 3.2 step 5b; content-specification 5.3 row 14; transport-model-extended
    3.3.1 step 18.
    """
    try:
        decrypted = locked.decrypt()
        size, root = len(decrypted.data), xml.parse(decrypted.data, xml.LARGE)
    except WireError:
        return Unanswerable(header.id, _UNREADABLE, meaningless=True)
    if not decrypted.sound:
        return Unanswerable(header.id, _UNREADABLE, meaningless=True)
    if foreign := rules.of_origin(sdkmessage.origin(root), header):
        return NewMessage(header, None, b"", tuple(foreign), meaningless=True)
    found, message = sdkmessage.read_tree(root, size)
    if message is None:
        return NewMessage(header, None, b"", found)
    return NewMessage(header, message, decrypted.data, tuple(rules.of_message(message, header, profile)))


def _open_receipt(verified: VerifiedEnvelope) -> Judgement:
    """Read a receipt under a valid signature; receipts are never encrypted (transport-model-extended 2.1)."""
    header = verified.header
    if header.encrypted:
        return Unanswerable(header.id, "message receipt refused: it is encrypted")
    try:
        return _read_receipt(header, verified.payload(()))
    except WireError as error:
        return Unanswerable(header.id, f"payload: {error.text}")


def _read_plain(header: EnvelopeHeader, profile: OrganisationProfile, payload: bytes) -> Judgement:
    """Validate a payload that was not encrypted.

    A payload that is not well-formed gets no receipt (message-receipt 2.1.2).

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
    """Judge an envelope under the base transport model: nothing is signed, and nothing may be encrypted.

    Clauses: transport-model-base 2.9.3 a, 2.11 b.
    """
    if not profile.base_model:
        return Unanswerable(header.id, "the recipient does not use the base transport model")
    try:
        payload = envelope.read(data).unprotected_payload()
    except WireError:
        return Unanswerable(header.id, "the payload is encrypted under the base transport model")
    return _read_plain(header, profile, payload)
