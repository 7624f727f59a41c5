"""The running test bed: its access points, the access point under test, and observations of both."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from samdrift.contracts.transfer import TransferEvent
from samdrift.federation.testbed import envelopes
from samdrift.federation.testbed.accesspoint import Sent, TestAccessPoint
from samdrift.federation.testbed.envelopes import Correspondent, Envelope
from samdrift.federation.testbed.observer import Arrived, Observer
from samdrift.federation.testbed.parties import Subject
from samdrift.wire.identifiers import SDK_MESSAGE_EXTENDED, DocumentIdentifier
from samdrift.wire.receipt import MessageReceipt

PATIENCE = 30.0
QUIET = 1.5
"""Seconds to wait before concluding that nothing will arrive."""


@dataclass(frozen=True, slots=True)
class Bed:
    """The environment of a test case; ``points`` has the access points by name, such as ``TestAP-01``."""

    subject: Subject
    observer: Observer
    points: Mapping[str, TestAccessPoint]
    subject_encryption: Correspondent
    """The participant under test in its capacity as recipient."""

    async def submit(
        self, recipient: TestAccessPoint, document: DocumentIdentifier = SDK_MESSAGE_EXTENDED
    ) -> Envelope:
        """Make the access point under test send a message to a participant of the test bed."""
        envelope = envelopes.message(
            self.subject_encryption,
            recipient.correspondent,
            document,
            self.subject.federation,
            self.subject.keys.signing,
        )
        await self.subject.interface_c.submit(envelope.header.id, envelope.header.id, envelope.data)
        return envelope

    async def outcome(self, envelope: Envelope, within: float = PATIENCE) -> TransferEvent | None:
        """Return the outcome of a submitted envelope, or ``None`` if there is none in time."""
        return await self.observer.outcome(envelope.header.id, within)

    def message_from(
        self,
        sender: TestAccessPoint,
        document: DocumentIdentifier = SDK_MESSAGE_EXTENDED,
        *,
        attachment: int = 0,
        handling_service: bool = True,
    ) -> Envelope:
        """Return a message from a participant of the test bed to the participant under test."""
        return envelopes.message(
            sender.correspondent,
            self.subject_encryption,
            document,
            self.subject.federation,
            sender.keys.signing,
            attachment=attachment,
            handling_service=handling_service,
        )

    async def arrived(self, envelope: Envelope, within: float = PATIENCE) -> list[Arrived]:
        """Return the arrivals of an envelope at the participant under test, if identical byte for byte."""
        found = await self.observer.items(envelope.header.id, within)
        digest = hashlib.sha256(envelope.data).hexdigest()
        return [one for one in found if one.sha256 == digest]

    async def answered(self, sender: TestAccessPoint, envelope: Envelope) -> MessageReceipt | None:
        """Answer an arrived message on behalf of its recipient, and wait for the receipt at the sender."""
        answer = envelopes.receipt(envelope.header, self.subject.federation, self.subject.keys.signing)
        await self.subject.interface_c.submit(answer.header.id, envelope.header.id, answer.data)
        return await self._receipt_at(sender, envelope.header.id)

    async def _receipt_at(self, point: TestAccessPoint, message_id: str) -> MessageReceipt | None:
        try:
            async with asyncio.timeout(PATIENCE):
                while message_id not in point.inbox.receipts:
                    await point.inbox.changed.wait()
        except TimeoutError:
            return None
        return point.inbox.receipts[message_id]

    async def said(self, sent: Sent | str) -> str:
        """Return the entries of the event log under test about an AS4 message or an envelope."""
        return await self.subject.evidence(sent if isinstance(sent, str) else sent.as4_message_id)
