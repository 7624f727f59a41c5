"""Interface C, submitting: an organisation hands over an envelope to be transferred."""

from __future__ import annotations

from collections.abc import AsyncIterable

from samdrift.accesspoint.outbound import Sending
from samdrift.accesspoint.problems import Problem, ProblemKind
from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.audit.events import AuditEvent
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Principal, Purpose, Role
from samdrift.contracts.transfer import Submission
from samdrift.vault.bodies import BodyWriter
from samdrift.vault.gate import Gate
from samdrift.vault.records import OutgoingEnvelope
from samdrift.wire.as4 import new_message_id
from samdrift.wire.crypto.keys import Random
from samdrift.wire.envelope import EnvelopeHeader, HeaderScanner
from samdrift.wire.errors import WireError
from samdrift.wire.gzip import Gzip
from samdrift.wire.identifiers import ParticipantIdentifier, is_uuid


class Submissions:
    """Takes envelopes from message services, stores them compressed, and starts their transfer.

    They are compressed on arrival since AS4 sends them so: digest and size are
    then known before an attempt, and each attempt reads the body once.
    """

    def __init__(
        self, settings: AccessPointSettings, gate: Gate, sending: Sending, clock: Clock, rng: Random
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._sending = sending
        self._clock = clock
        self._rng = rng

    async def take(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        envelope_id: str,
        conversation_id: str | None,
        stream: AsyncIterable[bytes],
    ) -> Submission:
        """Store the envelope durably; :class:`Problem` when it cannot be transferred as it is.

        ``conversation_id`` becomes the AS4 ConversationId. Without one it is
        the envelope's id (transport-profile-as4 2.7 a; content-specification
        4.3.2 asks for the message's).

        Clauses: transport-model-base 3.3.1 step 17, 3.3.2 step 17; transport-model-extended 3.3.1 step 23,
        3.3.2 step 23.
        """
        if not is_uuid(envelope_id):
            raise _invalid("the envelope id in the path is not a UUID")
        if conversation_id is not None and not is_uuid(conversation_id):
            raise _invalid("the conversation id is not a UUID")
        claim = self._sending.room(organisation) > 0
        now = self._clock()
        async with self._gate.open(principal, organisation, Role.ACCESS_POINT, Purpose.SUBMIT) as vault:
            writer = vault.new_body(digested=True)
            try:
                header = await _spool(stream, writer)
            except WireError as error:
                raise _invalid(str(error)) from None
            self._check(header, organisation, envelope_id)
            body = await writer.finish()
            transfer, created = await vault.submit(
                OutgoingEnvelope(
                    envelope_id=header.id,
                    conversation_id=conversation_id or header.id,
                    sender=header.sender,
                    recipient=header.recipient,
                    document=header.document,
                    process=header.process,
                ),
                body,
                as4_message_id=new_message_id(self._rng, self._settings.message_id_domain),
                now=now,
                lease=self._settings.lease if claim else None,
            )
            if created:
                vault.record(
                    AuditEvent.AP_TRANSFER_QUEUED,
                    envelope=header.id,
                    conversation=transfer.envelope.conversation_id,
                    as4=transfer.as4_message_id,
                    recipient=header.recipient.value,
                )
        if created and claim:
            self._sending.start(organisation, transfer, body.reader())
        elif created:
            self._sending.queued(organisation)
        return Submission(header.id, transfer.id, created)

    def _check(self, header: EnvelopeHeader, organisation: ParticipantIdentifier, envelope_id: str) -> None:
        """An organisation sends as itself, within this federation, what this access point transfers.

        Clauses: envelope-profile-xhe 2.2 sentence 5; transport-profile-as4 2.6 sentence 1.
        """
        if header.id != envelope_id.lower() and header.id != envelope_id:
            raise _invalid("the envelope id in the path differs from the envelope's")
        if header.sender != organisation:
            raise Problem(
                ProblemKind.SENDER_MISMATCH, "the envelope's FromParty is not the organisation of the client"
            )
        if header.federation != self._settings.federation:
            raise _invalid("the envelope names another federation")
        if header.document not in self._settings.documents(organisation):
            raise Problem(ProblemKind.NOT_SERVICED, "this type of message is not transferred here")


async def _spool(stream: AsyncIterable[bytes], writer: BodyWriter) -> EnvelopeHeader:
    """Clauses: component-accesspoint 3.1.4 a; transport-profile-as4 2.6 a."""
    scanner, gzip = HeaderScanner(), Gzip()
    async for piece in stream:
        scanner.feed(piece)
        await writer.write(gzip.feed(piece))
    await writer.write(gzip.finish())
    return scanner.close()


def _invalid(text: str) -> Problem:
    return Problem(ProblemKind.ENVELOPE_INVALID, text)
