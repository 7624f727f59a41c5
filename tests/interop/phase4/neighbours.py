"""Organisations served by another operator, with phase4: keys, envelopes, registration."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from samdrift.demo.cast import DemoOrganisation
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.server import LocalFederation
from samdrift.federation.shapes import Use
from samdrift.installation.services import Services
from samdrift.messageservice.outgoing.compose import Address, Draft, compose
from samdrift.messageservice.outgoing.sealing import Sealing
from samdrift.wire import receipt, sdkmessage
from samdrift.wire.codes import ReceiptStatus
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey
from samdrift.wire.envelope import verify
from samdrift.wire.identifiers import RECEIPT_EXTENDED, SDK_MESSAGE_EXTENDED, ParticipantIdentifier
from samdrift.wire.receipt import MessageReceipt
from tests.interop.phase4.driver import Identity
from tests.pki import key


@dataclass(frozen=True, slots=True)
class Packed:
    """An envelope, and the id that it shares with its message."""

    id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An organisation served by phase4, with the functions of its message service."""

    demo: DemoOrganisation
    signing: Identity
    encryption: Identity
    federation: LocalFederation
    services: Services

    @property
    def identifier(self) -> ParticipantIdentifier:
        return self.demo.identifier

    def live_at(self, address: str, access_point: Identity) -> None:
        """Register the organisation in SML, SMP, CertPub and address book, with an access point's address."""
        self.federation.register_participant(
            self.identifier,
            self.demo.name,
            self.demo.number,
            address,
            access_point.certificate,
            self.signing.certificate,
            self.encryption.certificate,
            [self.demo.mailbox],
        )

    async def message(self, draft: Draft, recipient: Address) -> Packed:
        """Return the envelope of a message that opens a conversation."""
        now, message_id = datetime.now(UTC), str(uuid4())
        message = compose(draft, self.demo.address, recipient, message_id=message_id, at=now)
        sealed = await self._sealing().message(
            sdkmessage.build(message),
            message_id=message_id,
            sender=self.identifier,
            recipient=recipient.organisation,
            document=SDK_MESSAGE_EXTENDED,
            handling_service_id=recipient.functional_address,
            key=self._key(),
            now=now,
        )
        return Packed(message_id, sealed.envelope)

    async def accepted(self, message_id: str, sender: Address) -> Packed:
        """Return the envelope of a receipt that accepts ``sender``'s message."""
        now, receipt_id = datetime.now(UTC), str(uuid4())
        accepted = MessageReceipt(
            receipt_id, now, self.identifier, sender.organisation, message_id, ReceiptStatus.ACCEPTED
        )
        envelope = await self._sealing().receipt(
            receipt.build(accepted),
            receipt_id=receipt_id,
            sender=self.identifier,
            recipient=sender.organisation,
            document=RECEIPT_EXTENDED,
            handling_service_id=sender.functional_address,
            key=self._key(),
            now=now,
        )
        return Packed(receipt_id, envelope)

    def open(self, file: Path) -> bytes:
        """Return the payload of an envelope that the organisation received."""
        verdict = verify(file.read_bytes())
        assert verdict.envelope is not None, verdict.reason
        return verdict.envelope.payload(
            [SoftwareDecryptionKey(self.encryption.key, self.encryption.certificate)]
        )

    def _key(self) -> SoftwareSigningKey:
        return SoftwareSigningKey(self.signing.key, self.signing.certificate)

    def _sealing(self) -> Sealing:
        services = self.services
        return Sealing(self.federation.identifier, services.discovery, services.checks, os.urandom)


def neighbour(name: str, federation: LocalFederation, services: Services) -> Neighbour:
    """Return an organisation with certificates."""
    identifier = ParticipantIdentifier(f"0203:{name}.se")
    mailbox = FunctionalAddress(f"sdk.registrator.{identifier.value}", "Registrator")
    demo = DemoOrganisation(identifier, name.capitalize(), "2021002114", mailbox)

    def certified(use: Use, number: int) -> Identity:
        own = key(number, 3072)
        issue = federation.authority.issue_organisation
        return Identity(own, issue(identifier, demo.name, own.public_key(), use))

    return Neighbour(demo, certified(Use.SIGNING, 1), certified(Use.ENCRYPTION, 2), federation, services)
